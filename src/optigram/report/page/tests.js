// Descriptions of a neuron and how each did in its test.
"use strict";

/** The first description of a neuron, a tested one before others: {text, by, test}; undefined if there is none. */
function described(neuron) {
  const { tests = [], descriptions = [] } = neuron.explained || {};
  if (tests.length) return { text: tests[0].text, test: tests[0] };
  return descriptions[0];
}

/** An area under the curve, or a difference of two. */
function area(value) {
  return value === null ? "-" : value.toFixed(2).replace("-", "\u2212");
}

/** What a test found, in a few words. */
function verdict(test) {
  const known = test.predictions.map((one) => one.detection[0]).filter((value) => value !== null);
  const against = test.counterexamples.reduce((sum, [, , count]) => sum + count, 0);
  return [
    known.length ? `predicts held-out texts at ${area(Math.max(...known))}` : "too few texts for a prediction",
    test.gain === null ? null : `${test.gain > 0 ? "+" : ""}${area(test.gain)} above placebo`,
    against ? `${against} ${against === 1 ? "text contradicts" : "texts contradict"} it` : "no counterexample found",
  ]
    .filter(Boolean)
    .join("; ");
}

/** The panels of all descriptions of a neuron. */
function testPanels(neuron) {
  const { tests = [], descriptions = [] } = neuron.explained || {};
  const untested = tests.length ? descriptions : descriptions.slice(1); // the first one stands at the top of the page
  const list = make("ul", { class: "plain" }, ...untested.map((one) => make("li", {}, make("bdi", {}, one.text), make("span", { class: "muted" }, ` by ${one.by}`))));
  return [...tests.map(testPanel), untested.length ? make("div", { class: "panel" }, make("h3", {}, "Other descriptions"), list) : null];
}

function testPanel(test) {
  const groups = test.counterexamples.map(([kind, rows, count]) => {
    const more = count > rows.length ? `, ${rows.length} of ${count}` : "";
    return make("div", {}, make("h5", {}, upper(kind) + more), textList(rows));
  });
  const counters = groups.length ? make("div", { class: "columns" }, ...groups) : make("p", {}, "No counterexample was found.");
  return make(
    "div",
    { class: "panel test" },
    make("h3", {}, "Is the description right?"),
    make("p", { class: "quoted" }, make("bdi", {}, test.text)),
    make("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "Prediction" }, predictionTable(test)),
    make("h4", {}, "Texts that contradict it"),
    counters,
    make("p", { class: "muted small" }, testFacts(test)),
  );
}

function predictionTable(test) {
  const heads = ["judge", "detection", "", "above placebo", "shuffled", "random directions", "corpus examples alone", "fuzzing"];
  const rows = test.predictions.map((one) => {
    const within = ([value, low, high]) => (value === null ? "-" : `${area(value)} [${area(low)}, ${area(high)}]`);
    const number = (value) => make("td", { class: "right" }, area(value));
    return make(
      "tr",
      {},
      make("th", { scope: "row" }, make("bdi", {}, one.judge)),
      make("td", {}, one.detection[0] === null ? null : interval(one.detection)),
      make("td", { class: "nowrap" }, within(one.detection)),
      make("td", { class: "right" }, make("strong", {}, (one.gain > 0 ? "+" : "") + area(one.gain))),
      number(one.shuffled),
      number(one.directions),
      number(one.examples),
      make("td", { class: "right nowrap" }, within(one.fuzzing)),
    );
  });
  const head = heads.map((words, i) => (words ? make("th", { scope: "col", class: i > 2 ? "right" : "", colspan: i === 1 ? 2 : null }, words) : null));
  return make("table", { class: "tests" }, make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...rows));
}

/** An area under the curve and its interval, between 0 and 1; the middle is chance. */
function interval([value, low, high]) {
  const x = (share) => 4 + 112 * share;
  const line = (from, to, y1, y2, kind) => draw("line", { x1: from, x2: to, y1, y2, class: kind });
  return draw(
    "svg",
    { viewBox: "0 0 120 18", class: "interval", "aria-hidden": "true" },
    line(4, 116, 9, 9, "grid"),
    line(x(0.5), x(0.5), 3, 15, "rule"),
    line(x(low), x(high), 9, 9, "whisker"),
    draw("circle", { cx: x(value), cy: 9, r: 4, class: "dot" }),
  );
}

function testFacts(test) {
  const [fire, tried] = test.paraphrases;
  const [kept, drawn] = test.members;
  const facts = [
    test.peak ? "read at its highest position" : null,
    `a text fires from ${shown(test.fires)} and is silent below ${shown(test.silent)}`,
    test.fitting[0] === null ? null : `the judge accepts ${whole(test.fitting[0])} of the highest texts${test.fitting[1] === null ? "" : `, and ${whole(test.fitting[1])} for other descriptions`}`,
    tried ? `${fire} of ${tried} paraphrases fire` : null,
    drawn ? `${kept} of ${drawn} members of the patterns fire` : null,
    `tested on ${test.corpus}`,
  ];
  const firsts = test.predictions[0];
  return `${upper(facts.filter(Boolean).join("; "))}. Detection is the area under the ROC curve on ${firsts ? `${firsts.firing} texts that fire and ${firsts.silent} that do not` : "held-out texts"}; 0.5 is chance.`;
}
