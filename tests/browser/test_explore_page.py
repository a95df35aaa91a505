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


def test_it_opens_on_a_filled_example(visit, address):
    page = visit(address).page
    assert page.input_value("#target") == "visual:dog"
    assert float(page.inner_text("#activation")) > 10
    assert page.locator("#words .word").count() == 5
    assert "Found before by optigram" in page.inner_text("#stage")
    assert page.input_value("#unit") != ""
    page.click("#concepts button.box >> nth=0")
    words = page.locator("#concepts .class li").first
    assert re.fullmatch(r"dog\s*\d+\.\d+", words.inner_text())
    assert visit(address, viewport={"width": 360, "height": 740}).page.evaluate("document.documentElement.scrollWidth") <= 360


def test_targets_are_suggested_and_any_unit_opens(page):
    page.fill("#target", "umbr")
    expect(page.locator("#suggested li").first).to_have_text(re.compile("language:umbrella"))
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator("#worth")).to_have_text("activation of language:umbrellas")
    assert not page.locator("#suggested").is_visible()
    page.select_option("#site", "visual.hidden")
    page.fill("#unit", "7")
    page.locator("#unit").press("Tab")
    expect(page.locator("#worth")).to_have_text("activation of visual.hidden:7")
    page.click("#next")
    expect(page.locator("#worth")).to_have_text("activation of visual.hidden:8")
    assert page.locator("#concepts *").count() == 0


def test_concepts_are_found_with_progress_and_cancelled(page):
    page.fill("#target", "visual:cat")
    page.click("#explain")
    expect(page.locator("#explain")).to_have_text("Cancel")
    expect(page.locator("#stage")).to_have_text(re.compile("corpus|search"))
    page.click("#explain")
    expect(page.locator("#explain")).to_have_text("Find its concepts")
    assert page.inner_text("#stage") == "cancelled"
