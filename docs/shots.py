"""The pictures of a report: python docs/shots.py REPORT.html docs/pictures NEURON (an address, such as visual:pizza)."""

import os
import sys
from pathlib import Path
from urllib.parse import quote

from playwright.sync_api import Browser, sync_playwright

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
WIDE, TALL, PHONE = (1180, 860), (1180, 1640), (390, 844)


def main(report: Path, folder: Path, neuron: str) -> None:
    """Overview, browser, a neuron, the same in the dark, on a phone, and on paper."""
    folder.mkdir(exist_ok=True)
    address = report.resolve().as_uri()
    page = f"#neuron/{quote(neuron, safe='')}"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"), args=FLAGS)
        shoot(browser, address, folder / "overview.png")
        shoot(browser, address + "#neurons", folder / "neurons.png")
        shoot(browser, address + page, folder / "neuron.png", size=TALL)
        shoot(browser, address + page, folder / "dark.png", dark=True)
        shoot(browser, address + page, folder / "phone.png", size=PHONE)
        shoot(browser, address + page, folder / "print.png", size=(794, 1123), media="print")
        browser.close()


def shoot(browser: Browser, address: str, path: Path, dark: bool = False, size: tuple[int, int] = WIDE, media: str = "screen") -> None:
    """One picture of what a window of this size shows."""
    width, height = size
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light")
    page.emulate_media(media="print" if media == "print" else "screen")
    page.goto(address)
    page.wait_for_selector("html.ready")
    page.screenshot(path=path)
    page.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
