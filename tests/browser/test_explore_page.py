"""The live page in a browser: type, optimize, watch, cancel, keep."""

import re
import signal
import subprocess
import sys

import pytest
from playwright.sync_api import expect


@pytest.fixture(scope="module")
def address():
    """`optigram explore` as a user runs it; at the end Ctrl-C must end it."""
    words = [sys.executable, "-m", "optigram", "explore", "imaginet", "--port", "0"]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        yield re.findall(r"http://\S+", process.stderr.readline())[0]
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 130
        assert "Traceback" not in process.stderr.read()


@pytest.fixture
def page(visit, address):
    return visit(address).page


def optimize(page, budget):
    jobs = page.locator("#jobs li")
    count = jobs.count()
    page.fill("#budget", str(budget))
    page.click("#optimize")
    expect(jobs).to_have_count(count + 1)
    return page.locator(f"#jobs li[data-number='{jobs.first.get_attribute('data-number')}']")


def test_typing_shows_the_activation_word_by_word(page):
    page.fill("#target", "visual:pizza")
    page.fill("#text", "a slice of pizza")
    expect(page.locator("#words .word")).to_have_count(4)
    assert float(page.inner_text("#activation")) > 3
    assert page.locator("#words .top").inner_text().startswith("pizza")
    page.fill("#text", "")
    expect(page.locator("#words .word")).to_have_count(0)


def test_a_bad_target_shows_the_command_line_s_message(visit, address):
    opened = visit(address)
    words = [sys.executable, "-m", "optigram", "score", "imaginet", "visual:pizzza", "--text", "a"]
    told = subprocess.run(words, capture_output=True, text=True).stderr.strip().removeprefix("optigram: ")
    opened.page.fill("#target", "visual:pizzza")
    opened.page.fill("#text", "a")
    opened.page.wait_for_selector("#refused:not([hidden])")
    assert opened.page.inner_text("#refused") == told
    assert [line for line in opened.complaints if "400" not in line] == []
    opened.complaints.clear()  # the browser notes every answer that is no success


def test_a_search_is_watched_and_kept(page):
    page.fill("#target", "visual:dog")
    job = optimize(page, 600)
    expect(job.locator(".temperature")).to_have_text(re.compile("temperature"))
    expect(job.locator(".temperature")).to_have_text(re.compile(r"temperature [01]\.\d\d"))
    job.get_by_role("button", name="Keep").wait_for()
    assert "done" in job.inner_text()
    text = job.locator(".best").inner_text()
    job.get_by_role("button", name="Keep").click()
    assert text in page.inner_text("#kept")
    assert text.split()[0] in page.get_attribute("#download", "href")
    job.get_by_role("button", name="Use as text").click()
    expect(page.locator("#activation")).to_have_text(job.locator(".value").inner_text())


def test_a_second_search_waits_until_the_first_is_cancelled(page):
    first = optimize(page, 50000)
    first.locator(".state", has_text="running").wait_for()
    second = optimize(page, 300)
    expect(second.locator(".state")).to_have_text("waiting, 1 ahead")
    first.get_by_role("button", name="Cancel").click()
    first.locator(".state", has_text="cancelled").wait_for()
    assert len(first.locator(".best").inner_text().split()) == 5
    second.locator(".state", has_text="done").wait_for()


def test_no_serious_accessibility_fault(visit, address):
    opened = visit(address)
    opened.page.fill("#target", "visual:pizza")
    opened.page.fill("#text", "a slice of pizza")
    opened.page.wait_for_selector("#words .word")
    assert opened.faults() == []
