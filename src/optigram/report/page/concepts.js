// What explains a neuron: concepts with their patterns, the words of a slot, contrasts. The live page draws with the same code.
"use strict";
const FEW = 3; // words of a slot that stand in a pattern
const SOURCES = { search: "Optimized", corpus: "From the corpus" };

/** The concepts of an evidence, each with its pattern and texts. */
function conceptBlocks(evidence) {
  return evidence.concepts.map((concept, number) => conceptBlock(evidence, concept, number));
}

function conceptBlock(evidence, concept, number) {
  const words = make("div", { class: "slot", hidden: true });
  const groups = Object.entries(SOURCES)
    .map(([source, title]) => [title, concept.examples.filter((one) => one[2] === source)])
    .filter(([, found]) => found.length);
  return make(
    "section",
    { class: "concept", "aria-label": `Concept ${number + 1}` },
    evidence.concepts.length > 1 ? make("h4", {}, `Concept ${number + 1}, up to ${shown(concept.height)}`) : null,
    patternLine(concept.pattern, (slot, button) => openSlot(words, slot, button, evidence.base, concept.pattern.core[1])),
    words,
    make("p", { class: "muted small" }, conceptFacts(evidence, concept)),
    make("div", { class: "columns" }, ...groups.map(([title, found]) => make("div", {}, make("h5", {}, title), textList(found)))),
  );
}

/** A share in whole percent. */
function whole(share) {
  return `${Math.round(100 * share)}%`;
}

/** How good a pattern is, in words. */
function conceptFacts(evidence, { pattern, share, order }) {
  const high = share === null || evidence.concepts.length === 1 ? "" : `, which are ${whole(share)} of all`;
  const facts = [
    `${whole(pattern.firing)} of ${pattern.drawn} texts drawn from the pattern fire`,
    pattern.recall === null ? null : `it is in ${whole(pattern.recall)} of the concept's high places of the corpus${high}`,
    order === null ? null : `${whole(order)} of other orders of the best text fire`,
  ];
  return `${facts.filter(Boolean).join("; ")}.`;
}

/** A pattern: a box per slot with its first words. With `open`, a box is a button that is told its slot. */
function patternLine(pattern, open) {
  const parts = [];
  const mark = (words, told) => parts.push(make("span", { class: "mark", title: told }, words));
  if (pattern.begins) mark("^", "the text begins here");
  for (const slot of pattern.slots) {
    if (slot.gap) mark("\u2026", "up to four other words");
    parts.push(slotBox(slot, open));
  }
  if (pattern.ends) mark("$", "the text ends here");
  if (pattern.without) {
    mark("not", "a text with one of these words does not fire");
    parts.push(slotBox(pattern.without, open));
  }
  return make("div", { class: "pattern" }, ...parts);
}

function slotBox(slot, open) {
  const some = slot.words.slice(0, FEW);
  const words = some.flatMap(([word], i) => [i ? make("i", {}, "|") : null, make("bdi", {}, word)]);
  const more = slot.count > some.length ? make("small", {}, ` +${slot.count - some.length}`) : null;
  if (!open) return make("span", { class: "box" }, ...words, more);
  const button = make("button", { type: "button", class: "box", "aria-expanded": "false", title: "show the words that may stand here" }, ...words, more);
  button.addEventListener("click", () => open(slot, button));
  return button;
}

/** Show the words of a slot with the activation of each, or hide them again. */
function openSlot(place, slot, button, base, height) {
  const shut = button.getAttribute("aria-expanded") === "true";
  for (const other of button.parentElement.querySelectorAll("button")) other.setAttribute("aria-expanded", "false");
  button.setAttribute("aria-expanded", String(!shut));
  place.hidden = shut;
  if (shut) return;
  const at = scale(Math.min(base, ...slot.words.map(([, value]) => value)), Math.max(height, ...slot.words.map(([, value]) => value)));
  const rows = slot.words.map(([word, value]) =>
    make("li", {}, make("bdi", {}, word), make("span", { class: "meter", "--to": `${at(value).toFixed(1)}%` }), make("span", { class: "value" }, shown(value))),
  );
  const more = slot.count > slot.words.length ? `, the best ${slot.words.length} of ${slot.count}` : "";
  place.replaceChildren(make("p", { class: "muted small" }, `Words that may stand here, and the activation of the core with each${more}:`), make("ol", { class: "class" }, ...rows));
}

/** Texts with their activations. */
function textList(found) {
  return make("ol", { class: "plain" }, ...found.map(([text, value]) => make("li", {}, make("span", { class: "value" }, shown(value)), make("bdi", {}, text))));
}

/** Pairs of texts that differ little; the words in which they differ are marked. */
function contrastTable(contrasts) {
  const head = ["", "activation", "text", "activation", "other text"].map((words, i) => make("th", { scope: "col", class: i % 2 ? "right" : "" }, words || "kind"));
  const rows = contrasts.map(([kind, text, value, other, rest], i) => {
    const first = i === 0 || contrasts[i - 1][0] !== kind;
    const marked = kind !== "other order" && kind !== "outside the patterns";
    const cell = (one, beside) => make("td", {}, marked ? differing(one, beside) : make("bdi", {}, one));
    const number = (known) => make("td", { class: "right value" }, shown(known));
    return make("tr", { class: first ? "first" : "" }, make("th", { scope: "row" }, first ? kind : make("span", { class: "hidden" }, kind)), number(value), cell(text, other), number(rest), cell(other, text));
  });
  return make("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "Contrasts" }, make("table", { class: "contrasts" }, make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...rows)));
}

/** A text whose words that are not in the other one are marked, unless most of them are not. */
function differing(text, other) {
  const [words, left] = [text.split(" "), other.split(" ")];
  const known = words.map((word) => left.includes(word) && left.splice(left.indexOf(word), 1).length > 0);
  if (known.filter((is) => !is).length * 2 > words.length) return make("bdi", {}, text);
  return make("bdi", {}, ...words.flatMap((word, i) => [i ? " " : null, known[i] ? word : make("em", {}, word)]));
}

/** The evidence of a neuron at the pole that it is named for, if there is one. */
function mainEvidence(neuron) {
  return neuron.explained && neuron.explained.evidences ? neuron.explained.evidences.find((one) => !one.title && one.concepts.length) : undefined;
}

/** All that is known of a neuron's concepts, as panels. */
function conceptPanels(neuron) {
  const evidences = (neuron.explained && neuron.explained.evidences) || [];
  return evidences.flatMap((one) => {
    const count = one.concepts.length;
    const what = one.title === "lowest" ? "What lowers it: " : "";
    const title = count === 1 ? "one concept" : `${count} concepts`;
    const head = make("h3", {}, upper(what + title), count > 1 ? make("span", { class: "muted" }, `reproduced on halves of the texts at ${shown(one.stability)}`) : null);
    const concepts = make("div", { class: "panel" }, head, ...conceptBlocks(one), make("p", { class: "muted small" }, evidenceFacts(one)));
    if (!one.contrasts.length) return [concepts];
    return [concepts, make("div", { class: "panel" }, make("h3", {}, "What switches it off and on"), contrastTable(one.contrasts))];
  });
}

function evidenceFacts(one) {
  const read = one.corpus ? `, ${one.places} high places of ${one.corpus}` : "";
  return `Usually ${shown(one.base)}; a text fires from ${shown((one.base + one.height) / 2)}, half of the way up. Texts of several searches${read}; ${one.forwards.toLocaleString("en")} forward-equivalents.`;
}

function upper(words) {
  return words[0].toUpperCase() + words.slice(1);
}
