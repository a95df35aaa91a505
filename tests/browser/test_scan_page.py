"""The page of a scan in a browser, alone and beside a run: places in context, toggles, sorting, hostile words."""

import pytest

from made_runs import HOSTILE

TARGET = "#neuron/visual%3Aword2"


def test_every_neuron_has_its_places_on_one_scale(visit, reports):
    page = visit(reports["scan"] + TARGET).page
    assert page.locator("#neuron tr:has(.track)").count() == 10 + 5 + 5 + 5 * 2
    assert page.locator("#neuron .histogram rect").count() > 5
    assert "kurtosis" in page.inner_text("#neuron .panel .facts")
    assert page.inner_text("#neuron code").startswith("optigram scan tiny visual:word2")


def test_toggles_show_more_and_less_of_a_place(visit, reports):
    page = visit(reports["scan"] + TARGET).page
    first = page.locator("#neuron tbody .text").first
    assert first.locator(".word").count() == 9
    assert first.locator(".top").count() == 1
    page.get_by_role("button", name="Full").click()
    assert first.locator(".word").count() == 14
    page.get_by_role("button", name="Stacked").click()
    middles = page.locator("#neuron .lined > .word").evaluate_all(
        "all => all.map(one => Math.round(one.getBoundingClientRect().x + one.getBoundingClientRect().width / 2))"
    )
    assert max(middles) - min(middles) <= 1
    page.click("#values")
    assert first.locator(".top small").is_visible()


def test_sorting_and_search(visit, reports):
    page = visit(reports["scan"] + "#neurons").page
    assert not page.locator("#series").is_visible()
    page.click("#list th[data-key=lowest] button")
    page.click("#list th[data-key=kurtosis] button")
    page.fill("#search", "visual:word3")
    assert page.locator("#list tbody tr").count() == 1


def test_a_run_s_neuron_has_texts_and_places(visit, reports):
    page = visit(reports["both"] + TARGET).page
    assert page.locator("#neuron tr:has(.track)").count() == 5 + 10 + 30
    assert page.locator("#neuron .histogram").count() == 2
    assert page.locator("#neuron .histogram").nth(1).locator("line").count() == 5


@pytest.mark.parametrize("name", ["hostile scan", "hostile alone"])
def test_hostile_words_inject_nothing(visit, reports, name):
    page = visit(reports[name] + "#neurons").page
    for number in range(len(HOSTILE)):
        page.evaluate("number => { location.hash = address(neurons[number]) }", number)
        page.wait_for_function("number => document.querySelector('#neuron h2')?.textContent === neurons[number].target", arg=number)
    assert page.evaluate("document.querySelectorAll('main img, main script, main b, main [onerror], main [onmouseover]').length") == 0
    assert page.evaluate("window.broken === undefined && document.body.scrollWidth <= innerWidth")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("part", ["#overview", "#neurons", TARGET])
def test_no_serious_accessibility_fault(visit, reports, part, scheme):
    for name in ("scan", "both"):
        opened = visit(reports[name] + part, color_scheme=scheme)
        opened.page.evaluate("document.querySelectorAll('details').forEach(one => (one.open = true))")
        assert opened.faults() == []


@pytest.mark.parametrize("part", ["#overview", "#neurons", TARGET])
def test_a_phone_needs_no_scrolling_sideways(visit, reports, part):
    page = visit(reports["both"] + part, viewport={"width": 360, "height": 740}).page
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_without_scripts_there_are_tables(visit, reports):
    page = visit(reports["scan"], java_script_enabled=False).page
    assert page.locator("noscript tbody tr").count() == 6 * 30
