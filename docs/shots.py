"""Take the pictures of a report: `python docs/shots.py REPORT.html docs/pictures visual:pizza`; the last argument is an address.

With that of a running `optigram explore` after it, such as http://127.0.0.1:8000/, also a picture of the live page.
Needs playwright and a Chromium at /usr/bin/chromium, or where the environment variable CHROMIUM says.
"""

import os
import sys
from pathlib import Path
from urllib.parse import quote

from playwright.sync_api import Browser, sync_playwright

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
OVERVIEW, WIDE, TALL, PHONE, PAPER = (1300, 1340), (1300, 900), (1300, 1640), (390, 844), (794, 1123)


def main(report: Path, folder: Path, neuron: str, live: str | None = None) -> None:
    """Take the overview, the neuron browser, and one neuron: in light and dark mode, on a phone and on paper."""
    folder.mkdir(exist_ok=True)
    address = report.resolve().as_uri()
    page = f"#neuron/{quote(neuron, safe='')}"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"), args=FLAGS)
        _shoot(browser, address, folder / "overview.png", size=OVERVIEW)
        _shoot(browser, address + "#neurons", folder / "neurons.png")
        _shoot(browser, address + page, folder / "neuron.png", size=TALL)
        _shoot(browser, address + page, folder / "dark.png", dark=True)
        _shoot(browser, address + page, folder / "phone.png", size=PHONE)
        _shoot(browser, address + page, folder / "print.png", size=PAPER, media="print")
        if live is not None:
            _shoot_live(browser, live, folder / "explore.png")
        browser.close()


def _shoot(browser: Browser, address: str, path: Path, dark: bool = False, size: tuple[int, int] = WIDE, media: str = "screen") -> None:
    """Save what a window of this size, in pixels, shows."""
    width, height = size
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light")
    page.emulate_media(media="print" if media == "print" else "screen")
    page.goto(address)
    page.wait_for_selector("html.ready")
    if media == "print":
        page.add_style_tag(content="body { padding: 12mm }")  # the margins that a printer leaves
    page.screenshot(path=path)
    page.close()


def _shoot_live(browser: Browser, address: str, path: Path) -> None:
    """Save the live page as it opens, with the words of a slot."""
    page = browser.new_page(viewport={"width": OVERVIEW[0], "height": OVERVIEW[1]})
    page.goto(address)
    page.wait_for_selector("html.ready")
    page.click("#concepts button.box >> nth=0")
    page.screenshot(path=path)
    page.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:5])
