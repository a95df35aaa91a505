// The page of one neuron.
"use strict";
const view = { context: "snippet", values: false };

/** The link to a neuron: #neuron/ADDRESS, with the model where it is not the first one. */
function address(neuron) {
  const other = neuron.model === DATA.neurons[0].model ? "" : `/${encodeURIComponent(neuron.model)}`;
  return `#neuron/${encodeURIComponent(neuron.target)}${other}`;
}

/** The neuron that a link names, or undefined. */
function named(hash) {
  const [target, model] = hash.split("/").slice(1).map(decodeURIComponent);
  return neurons.find((neuron) => neuron.target === target && neuron.model === (model || DATA.neurons[0].model));
}

/** The previous and next neuron in the order of the table, or of all neurons where the table does not show this one. */
function beside(neuron) {
  const order = rows.some((row) => row.neuron === neuron) ? rows.map((row) => row.neuron) : neurons;
  const place = order.indexOf(neuron);
  return { before: order[place - 1], after: order[place + 1], place: place + 1, of: order.length };
}

/** Show a neuron. */
function showNeuron(neuron) {
  const most = hottest([...neuron.texts, ...(neuron.examples || [])]);
  const plots = [substitutes(neuron, most), budgets(neuron), frontPanel(neuron), corpusPanel(neuron)].filter(Boolean);
  found("neuron").className = `scripted ${view.context}${view.values ? " values" : ""}`;
  const known = [...conceptPanels(neuron), ...testPanels(neuron), writesPanel(neuron)].filter(Boolean);
  found("neuron").replaceChildren(
    ...[heading(neuron), summary(neuron), ...known, known.length ? make("h3", { class: "after" }, "All texts") : null, switches(neuron)].filter(Boolean),
    make("div", { class: "panel" }, make("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "All texts" }, textsTable(neuron, most))),
    make("div", { class: "pair" }, ...plots),
  );
}

function heading(neuron) {
  const { before, after, place, of } = beside(neuron);
  const move = (to, words, id) => make("button", { type: "button", id, disabled: !to, onclick: () => (location.hash = address(to)) }, words);
  const names = (neuron.aliases || []).length ? `, also ${neuron.aliases.join(", ")}` : "";
  return make(
    "div",
    { class: "head" },
    make("h2", { class: "address", tabindex: "-1" }, make("bdi", {}, neuron.target)),
    make("span", { class: "muted" }, `${neuron.model}, site ${neuron.site}${names}`),
    make("div", { class: "moves" }, make("span", { class: "muted" }, `${place} of ${of}`), move(before, "\u2190 Previous", "before"), move(after, "Next \u2192", "after")),
  );
}

/** The description, its verdict, and the figures of the neuron. */
function summary(neuron) {
  const about = described(neuron);
  const evidence = mainEvidence(neuron);
  const best = Math.max(...[...neuron.texts, ...placesOf(neuron)].map((one) => one.activation), evidence ? evidence.height : -Infinity);
  const figures = [
    ["highest", shown(best)],
    ["of the corpus", neuron.base === null || SCANNED ? null : shown(neuron.base)],
    ["usual", evidence ? shown(evidence.base) : null],
    ["concepts", evidence ? String(evidence.concepts.length) : null],
  ].filter(([, value]) => value !== null);
  const by = about && (about.test ? verdict(about.test) : `by ${about.by}, not tested`);
  return make(
    "div",
    { class: "summary" },
    about ? make("p", { class: "description" }, make("bdi", {}, about.text)) : null,
    about ? make("p", { class: "muted" }, upper(by)) : null,
    make("div", { class: "best-text" }, SCANNED ? lit(neuron.any, strongest(neuron), "snippet") : heated(neuron.any, hottest([neuron.any]))),
    make("dl", { class: "facts" }, ...figures.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value)))),
    colourLegend([neuron]),
  );
}

/** The words whose logits the unit raises and lowers most, where its output reaches the vocabulary. */
function writesPanel(neuron) {
  if (!neuron.writes) return null;
  const column = (title, words) => make("div", {}, make("h5", {}, title), make("ol", { class: "plain" }, ...words.map(([word, value]) => make("li", {}, make("span", { class: "value" }, signed(value)), make("bdi", {}, word)))));
  const half = neuron.writes.length / 2;
  return make(
    "div",
    { class: "panel" },
    make("h3", {}, "What it writes"),
    make("div", { class: "columns" }, column("Logits that it raises most", neuron.writes.slice(0, half)), column("Logits that it lowers most", neuron.writes.slice(half))),
    make("p", { class: "muted small" }, "The direction that the unit adds to what the unembedding reads, times the unembedding: without what later layers make of it. Only the order of these numbers has a meaning."),
  );
}

function switches(neuron) {
  const pick = (context, words) =>
    make("button", { type: "button", "aria-pressed": String(view.context === context), onclick: () => ((view.context = context), showNeuron(neuron), say(words)) }, words);
  const values = make("button", { type: "button", id: "values", "aria-pressed": String(view.values), onclick: () => ((view.values = !view.values), showNeuron(neuron), found("values").focus()) }, "Values under words");
  const context = make("fieldset", {}, make("legend", {}, "Corpus texts"), pick("stacked", "Stacked"), pick("snippet", "Snippet"), pick("full", "Full"));
  return make("div", { class: "switches" }, (neuron.examples && neuron.examples.length) || neuron.places ? context : null, neuron.texts.some((text) => text.words) || neuron.places ? values : null);
}

/** All texts of the neuron, found ones and those of the corpus, on one scale. */
function textsTable(neuron, most) {
  const [low, high] = bounds(neuron);
  const place = scale(low, high);
  const head = make(
    "tr",
    {},
    ...[["", "method"], [neuron.texts.length ? "text: what each word adds" : "text: the activation at each word", "text"]].map(([words, kind]) => make("th", { scope: "col", class: kind }, words || "by")),
    make("th", { scope: "col", class: "scale" }, histogram(neuron, place) || "activation", axis(low, high, place)),
    make("th", { scope: "col", class: "right number" }, "activation"),
    make("th", { scope: "col", class: "right ratio" }, "/ corpus"),
    make("th", { scope: "col", class: "actions" }, "copy"),
  );
  const table = make("table", { class: "texts" }, make("thead", {}, head));
  const best = Math.max(...neuron.texts.map((text) => text.activation));
  for (const arm of new Set(neuron.texts.map((text) => DATA.series[text.series].arm))) {
    const texts = neuron.texts.filter((text) => DATA.series[text.series].arm === arm).sort((a, b) => b.activation - a.activation);
    const found = texts.map((text) => textRow(neuron, text, heated(text, most), place, text.activation === best));
    table.append(make("tbody", {}, arm ? group(`Found: ${arm}`) : group("Found"), ...found));
  }
  const [tops, others] = [true, false].map((top) => (neuron.examples || []).filter((example) => (example.share === 0) === top));
  for (const [title, examples] of [[`Best of the corpus${DATA.sampled ? ", which was sampled from the model" : ""}; near-copies left out`, tops], ["Elsewhere in the corpus", others]]) {
    const made = examples.map((example) => textRow(neuron, example, inContext(example, most, view.context), place, false));
    if (made.length) table.append(make("tbody", {}, group(title), ...made));
  }
  for (const [title, found] of placeGroups(neuron)) {
    const made = found.map((one) => textRow(neuron, one, lit(one, strongest(neuron), view.context), place, false));
    table.append(make("tbody", {}, group(title), ...made));
  }
  return table;
}

function group(title) {
  return make("tr", { class: "group" }, make("th", { colspan: 6, scope: "colgroup" }, title));
}

function textRow(neuron, text, words, place, best) {
  const ratio = neuron.base > 0 ? (text.activation / neuron.base).toFixed(2).replace("-0.00", "0.00") : "-";
  const kind = text.series === undefined ? "c0" : colour(text.series);
  const whole = text.text === undefined ? (text.words || []).join(DATA.marked || text.where ? "" : " ").trim() : text.text;
  const told = [
    text.cost === undefined ? null : `${text.cost.toLocaleString("en")} forward-equivalents in all`,
    text.surprisal === undefined ? null : `surprisal ${shown(text.surprisal)} nats per token`,
    text.changes ? "re-tokenizes to other tokens" : null,
    text.where || null,
  ].filter(Boolean);
  return make(
    "tr",
    { class: best ? "best" : "" },
    make("td", { class: "method", title: told.join("; ") || null }, make("i", { class: `key ${kind}` }), named_by(text)),
    make("td", { class: "text" }, words, text.surprisal === undefined ? null : make("span", { class: "nats muted" }, ` ${shown(text.surprisal)} nats`)),
    make("td", { class: "scale" }, track(text, kind, place)),
    make("td", { class: "right number" }, shown(text.activation)),
    make("td", { class: "right ratio" }, ratio),
    make("td", { class: "actions" }, copier("Text", whole), text.command ? copier("Command", text.command) : null),
  );
}

function named_by(text) {
  if (text.label) return text.label;
  if (text.series === undefined) return text.share === 0 ? (DATA.sampled ? "sampled" : "corpus") : `top ${percent(text.share)}`;
  const seeds = new Set(DATA.neurons[0].texts.map((one) => one.seed)).size > 1 ? ` seed ${text.seed}` : "";
  return DATA.series[text.series].method + seeds + (text.rank > 1 ? ` (${text.rank})` : "");
}

function copier(words, text) {
  const button = make("button", { type: "button", title: text, "aria-label": `Copy ${words.toLowerCase()}: ${text}` }, words);
  button.addEventListener("click", () => copy(text, button));
  return button;
}

function track(text, kind, place) {
  const at = (value) => `${place(value)}%`;
  const [from, to] = [Math.min(0, text.activation), Math.max(0, text.activation)].map(at);
  const soft = text.soft === undefined ? null : make("span", { class: "soft", "--to": at(text.soft), title: `soft text: ${shown(text.soft)}` });
  return make("div", { class: `track ${kind}` }, make("span", { class: "fill", "--from": from, "--to": to }), soft, make("span", { class: "pin", "--to": at(text.activation) }));
}

/** The best other words in the place of each free word of the best text. */
function substitutes(neuron, most) {
  if (!neuron.substitutes || !neuron.substitutes.length) return null;
  const best = neuron.texts.reduce((a, b) => (b.activation > a.activation ? b : a));
  const changes = added(best);
  const free = best.words.map((_, i) => i).filter((i) => !(best.fixed || []).includes(i));
  const head = neuron.substitutes.map((_, i) => make("th", { scope: "col" }, free[i] === undefined ? String(i + 1) : heatedWord(best.words[free[i]], changes[free[i]] ?? null, most, false, 0)));
  const lines = neuron.substitutes[0].map((_, rank) =>
    make("tr", {}, ...neuron.substitutes.map((column) => make("td", {}, ...(column[rank] ? [make("bdi", {}, column[rank][0]), make("small", {}, signed(column[rank][1] - best.activation))] : [])))),
  );
  const tried = `The best of ${neuron.tried} words tried in each place, and the change of activation.`;
  return make(
    "div",
    { class: "panel" },
    make("h3", {}, "Other words in the best text"),
    make("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "Other words" }, make("table", { class: "substitutes" }, make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...lines))),
    make("p", { class: "muted" }, tried),
  );
}

function budgets(neuron) {
  const arms = [...new Set(neuron.texts.map((text) => DATA.series[text.series].arm))];
  const plots = arms.map((arm) => [arm, budgetPlot(neuron, arm)]).filter(([, plot]) => plot);
  if (!plots.length) return null;
  const figures = plots.map(([arm, plot]) => make("figure", {}, arm && plots.length > 1 ? make("figcaption", {}, arm) : null, plot));
  return make("div", { class: "panel" }, make("h3", {}, "Activation of the best text so far"), ...figures, make("p", { class: "muted" }, "Cost is per neuron in all, corpus search included. Dots: the best text found. Diamonds: the activation of the method's soft text; at the edge, beyond the axis."));
}

function legend(neuron) {
  const methods = new Map(neuron.texts.map((text) => [DATA.series[text.series].method.split(":")[0], colour(text.series)]));
  return make("ul", { class: "legend" }, ...[...methods].map(([method, kind]) => make("li", {}, make("i", { class: `key ${kind}` }), method)));
}
