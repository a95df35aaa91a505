"""The report in a browser: search, sorting, toggles, keys, links, speed, hostile words, and what a reader without eyes is told."""

import json
import sys

import pytest
from playwright.sync_api import expect

from made_runs import HOSTILE

TARGET = "#neuron/visual%3Aword2"


def rows(page):
    return page.locator("#list tbody tr")


def test_search_and_filters(visit, reports):
    page = visit(reports["large"] + "#neurons").page
    assert rows(page).count() == 320
    page.fill("#search", "visual:unit31")
    assert rows(page).count() == 10
    page.select_option("#series", label="logit")
    page.select_option("#ratio", "above 1")
    assert "0 of 320" in page.inner_text("#shown")
    page.select_option("#ratio", "below 1")
    assert rows(page).count() == 10
    assert set(page.locator("#list td.method").all_inner_texts()) == {"logit"}


def test_sorting(visit, reports):
    page = visit(reports["large"] + "#neurons").page
    for down in (True, False):
        page.click("#list th[data-key=activation] button")
        values = [float(text) for text in page.locator("#list td:nth-child(5)").all_inner_texts()]
        assert values == sorted(values, reverse=down)
        assert page.get_attribute("#list th[data-key=activation]", "aria-sort") == ("descending" if down else "ascending")


def test_320_neurons_open_in_2_seconds_and_sort_in_200_milliseconds(visit, reports, capsys):
    page = visit(reports["large"] + "#neurons").page
    opened = page.evaluate("performance.getEntriesByType('navigation')[0].domComplete")
    sorting = """key => { const from = performance.now(); document.querySelector(`th[data-key=${key}] button`).click();
                 document.getElementById("list").offsetHeight; return performance.now() - from }"""
    sorted_in = [page.evaluate(sorting, key) for key in ("activation", "text", "ratio", "target")]
    with capsys.disabled():
        sys.stdout.write(f"\n320 neurons: open in {opened:.0f} ms, sort in {min(sorted_in):.0f} to {max(sorted_in):.0f} ms\n")
    assert opened < 2000
    assert min(sorted_in) < 200  # of four, as other programs may run


def test_a_neuron_has_its_texts_on_one_scale(visit, reports):
    page = visit(reports["small"] + TARGET).page
    assert page.inner_text("#neuron h2") == "visual:word2"
    assert page.locator("#neuron tr:has(.track)").count() == 5 + 10
    assert page.locator("#neuron .word.top").count() >= 5
    assert page.locator("#neuron .histogram rect").count() == 40
    assert page.locator("#neuron .substitutes tbody tr").count() == 5
    assert "blocks.0.hook" in page.inner_text("#neuron .head")
    writes = page.locator("#neuron .panel", has_text="What it writes")
    assert writes.locator("li").all_inner_texts()[0].split() == ["+2.00", "word0"]
    assert "lowers" in writes.locator("h5").nth(1).inner_text()
    word = page.locator("#neuron .texts .word").first
    assert word.get_attribute("title").startswith(word.inner_text())


def test_the_heat_is_what_each_word_adds(visit, reports):
    page = visit(reports["small"] + TARGET).page
    page.click("#values")
    told = page.evaluate("DATA.neurons[2].texts.map(t => [t.activation, t.without, t.words])")
    shown = page.locator("#neuron tbody:first-of-type .text .words").evaluate_all(
        "all => all.map(one => [...one.querySelectorAll('.word')].map(word => [word.firstChild.data, word.lastChild.innerText]))"
    )
    for (activation, without, words), texts in zip(sorted(told, key=lambda one: -one[0]), shown, strict=True):
        for rest, word, (seen, value) in zip(without, words, texts, strict=True):
            assert seen == word
            assert float(value.replace("\u2212", "-")) == pytest.approx(activation - rest, abs=0.006)


def test_toggles(visit, reports):
    page = visit(reports["small"] + TARGET).page
    around = page.locator("#neuron .around")
    assert around.first.inner_text() == "… very long way before it"[0] + " long way before it"
    page.get_by_role("button", name="Full").click()
    assert around.first.inner_text() == "a very long way before it"
    page.get_by_role("button", name="Stacked").click()
    assert around.count() == 0
    assert page.get_by_role("button", name="Stacked").get_attribute("aria-pressed") == "true"


def test_keys(visit, reports):
    page = visit(reports["small"]).page
    page.keyboard.press("n")
    page.wait_for_selector("#list")
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "search"
    page.keyboard.type("word")
    page.keyboard.press("Escape")
    page.click("#list a >> nth=1")
    heading = page.locator("#neuron h2")
    for key, expected in (("ArrowRight", "word2"), ("j", "word3"), ("ArrowLeft", "word2"), ("k", "word1"), ("k", "word0"), ("k", "word0")):
        page.keyboard.press(key)
        page.wait_for_function("name => document.querySelector('#neuron h2').innerText === 'visual:' + name", arg=expected)
    assert heading.inner_text() == "visual:word0"
    page.keyboard.press("v")
    assert page.locator("#neuron.values").count() == 1
    page.keyboard.press("Escape")
    page.wait_for_selector("#list")
    page.keyboard.press("?")
    assert page.locator("dialog[open]").count() == 1
    page.uncheck("#shortcuts")
    page.get_by_role("button", name="Close").click()
    page.keyboard.press("o")
    assert page.locator("#neurons").is_visible()


def test_next_follows_the_table_as_it_is_sorted(visit, reports):
    page = visit(reports["small"] + "#neurons").page
    page.click("#list th[data-key=activation] button")
    order = page.locator("#list td:first-child").all_inner_texts()
    page.click("#list tbody tr >> nth=0")
    page.click("#after")
    page.wait_for_function("name => document.querySelector('#neuron h2').innerText === name", arg=order[1])


def test_links_lead_to_a_neuron_and_back(visit, reports):
    page = visit(reports["large"] + "#neuron/visual%3Aunit300").page
    assert page.title() == "visual:unit300 · made · optigram"
    page.go_back()
    page.goto(reports["large"] + "#neuron/visual%3Anone")
    assert page.locator("#neurons").is_visible()


def test_copying(visit, reports):
    page = visit(reports["small"] + TARGET, permissions=["clipboard-read", "clipboard-write"]).page
    page.locator("#neuron .actions button", has_text="Command").first.click()
    expect(page.locator("#said")).to_have_text("copied")
    assert page.evaluate("navigator.clipboard.readText()").startswith("optigram find tiny visual:word2 --by ")


def test_hostile_words_inject_nothing(visit, reports):
    page = visit(reports["hostile"] + "#neurons").page
    allowed = page.evaluate("[...document.querySelectorAll('script')].length")
    assert allowed == 2
    for number in range(len(HOSTILE)):
        page.evaluate("number => { location.hash = address(neurons[number]) }", number)
        page.wait_for_function("number => document.querySelector('#neuron h2')?.textContent === neurons[number].target", arg=number)
    assert page.evaluate("document.querySelectorAll('main img, main script, main b, main [onerror], main [onmouseover]').length") == 0
    assert page.evaluate("window.broken === undefined")
    assert page.evaluate("getComputedStyle(document.querySelector('.word')).unicodeBidi") == "isolate"
    data = json.loads(page.inner_text("#data") or page.evaluate("document.getElementById('data').textContent"))
    assert [neuron["target"] for neuron in data["neurons"]] == [f"visual:{word}" for word in HOSTILE]
    assert page.evaluate("document.body.scrollWidth <= innerWidth")


def test_the_overview_shows_the_neurons_first(visit, reports):
    page = visit(reports["explained"]).page
    assert page.locator("#cards .card").count() == 6
    first = page.locator("#cards .card").nth(1)
    assert first.locator(".box").count() == 4
    assert "predicts held-out texts at 0.90; +0.35 above placebo; 8 texts contradict it" in first.inner_text()
    assert page.locator("#cards").bounding_box()["y"] < page.locator("h2:text('Statistics')").bounding_box()["y"]
    first.locator("a").click()
    assert page.locator("#neuron h2").inner_text() == "visual:word1"
    plain = visit(reports["small"]).page
    assert plain.locator("#cards .card").count() == 6
    assert plain.locator("#cards .box, #cards .said").count() == 0


def test_a_slot_of_a_pattern_opens_its_words(visit, reports):
    page = visit(reports["explained"] + TARGET).page
    assert "0.90 [0.80, 0.97]" in page.inner_text("#neuron .test")
    assert page.locator("#neuron .test .columns li").count() == 8
    assert page.locator("#neuron .contrasts tbody tr").count() == 12
    box, words = page.locator("#neuron .concept button.box").first, page.locator("#neuron .concept .class").first
    assert not words.is_visible()
    box.click()
    assert (words.locator("li").count(), box.get_attribute("aria-expanded")) == (16, "true")
    assert "12.00" in words.inner_text()
    assert "the best 16 of 48" in page.locator("#neuron .slot").first.inner_text()
    box.click()
    assert not words.is_visible()
    assert visit(reports["small"] + TARGET).page.locator("#neuron .concept, #neuron .test, #neuron .said").count() == 0


@pytest.mark.parametrize("part", ["", "#neurons", TARGET])
def test_nothing_is_clipped_at_1300_pixels(visit, reports, part):
    page = visit(reports["explained"] + part, viewport={"width": 1300, "height": 900}).page
    wide = """[...document.querySelectorAll('.wide, .panel, .card')]
        .filter(one => one.scrollWidth > one.clientWidth + 1).map(one => one.className)"""
    assert page.evaluate(wide) == []
    outside = """[...document.querySelectorAll('section:not([hidden]) svg.drawing')].flatMap(svg => {
        const box = svg.getBoundingClientRect();
        return [...svg.querySelectorAll('text')].filter(text => {
            const own = text.getBoundingClientRect();
            return own.width && (own.left < box.left - 1 || own.right > box.right + 1 || own.bottom > box.bottom + 1 || own.height < 9);
        }).map(text => text.textContent) })"""
    assert page.evaluate(outside) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("part", ["#overview", "#neurons", TARGET])
def test_no_serious_accessibility_fault(visit, reports, part, scheme):
    opened = visit(reports["explained"] + part, color_scheme=scheme)
    opened.page.evaluate("document.querySelectorAll('details').forEach(one => (one.open = true))")
    assert opened.faults() == []


def test_theme_is_chosen_and_kept(visit, reports):
    page = visit(reports["small"]).page
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.click("#theme")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != light
    page.reload()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"


@pytest.mark.parametrize("part", ["#overview", "#neurons", TARGET])
def test_a_phone_needs_no_scrolling_sideways(visit, reports, part):
    page = visit(reports["explained"] + part, viewport={"width": 360, "height": 740}).page
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_without_scripts_there_are_tables(visit, reports):
    page = visit(reports["small"], java_script_enabled=False).page
    assert page.locator("noscript tbody tr").count() == 30
    assert page.locator("#overview table").first.is_visible()


def test_on_paper_the_tools_are_gone(visit, reports):
    page = visit(reports["small"] + TARGET).page
    page.emulate_media(media="print")
    assert not page.locator(".bar").is_visible()
    assert not page.locator("#neuron .actions").first.is_visible()
    assert page.locator("#neuron .texts").is_visible()


def test_any_method_is_shown_and_a_front_where_there_is_one(visit, reports):
    page = visit(reports["fronts"]).page
    for part in ("overview", "neurons", TARGET[1:]):
        page.evaluate("part => (location.hash = part)", part)
        page.wait_for_selector(f"#{part.split('/')[0]}:not([hidden])")
        assert "epo+something-quite-long" in page.inner_text("main")
    panel = page.locator("#neuron .panel", has_text="Activation against surprisal")
    assert panel.locator("circle").count() == 5
    assert panel.locator("path.line").count() == 1
    assert panel.locator(".legend li").count() == 1
    assert "nats" in page.locator("#neuron .texts .nats").first.inner_text()
    names = page.locator("#overview svg .name")
    assert names.evaluate_all("all => all.every(one => one.getBBox().x >= 0)")
