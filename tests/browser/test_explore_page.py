"""The live page in a browser: type, optimize, watch, cancel, keep."""

import re
import signal
import subprocess
import sys

import pytest


@pytest.fixture(scope="module")
def address():
    """`optigram explore` as a user runs it; at the end Ctrl-C must end it."""
    words = [sys.executable, "-m", "optigram", "explore", "imaginet", "--port", "0"]
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    yield re.findall(r"http://\S+", process.stderr.readline())[0]
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) == 130
    assert "Traceback" not in process.stderr.read()


@pytest.fixture
def page(visit, address):
    return visit(address).page


def optimize(page, budget):
    page.fill("#budget", str(budget))
    page.click("#optimize")
    return page.locator("#jobs li").first


def test_typing_shows_the_activation_word_by_word(page):
    page.fill("#target", "visual:pizza")
    page.fill("#text", "a slice of pizza")
    page.wait_for_function("document.querySelectorAll('#words .word').length === 4")
    assert float(page.inner_text("#activation")) > 3
    assert page.locator("#words .top").inner_text().startswith("pizza")
    page.fill("#text", "")
    page.wait_for_function("document.querySelectorAll('#words .word').length === 0")


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
    job.locator(".temperature", has_text="temperature").wait_for()
    seen = [float(job.locator(".temperature").inner_text().split()[-1])]
    page.wait_for_function("before => Number(document.querySelector('.temperature').innerText.split(' ').pop()) < before", arg=seen[0])
    job.get_by_role("button", name="Keep").wait_for()
    assert "done" in job.inner_text()
    text = job.locator(".best").inner_text()
    job.get_by_role("button", name="Keep").click()
    assert text in page.inner_text("#kept")
    assert text.split()[0] in page.get_attribute("#download", "href")
    job.get_by_role("button", name="Use as text").click()
    page.wait_for_function("document.getElementById('activation').innerText !== '-'")
    assert page.inner_text("#activation") == job.locator(".value").inner_text()


def test_a_second_search_waits_until_the_first_is_cancelled(page):
    first = optimize(page, 50000)
    number = first.get_attribute("data-number")
    first = page.locator(f"#jobs li[data-number='{number}']")
    first.locator(".state", has_text="running").wait_for()
    second = optimize(page, 300)
    assert "1 ahead" in second.inner_text()
    first.get_by_role("button", name="Cancel").click()
    first.locator(".state", has_text="cancelled").wait_for()
    assert len(first.locator(".best").inner_text().split()) == 5
    page.locator("#jobs li").first.locator(".state", has_text="done").wait_for()


def test_no_serious_accessibility_fault(visit, address):
    opened = visit(address)
    opened.page.fill("#target", "visual:pizza")
    opened.page.fill("#text", "a slice of pizza")
    opened.page.wait_for_selector("#words .word")
    assert opened.faults() == []
