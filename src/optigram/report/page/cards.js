// The neurons on the overview: the name, the height, the best text, and what explains it.
"use strict";
const CARDS = 24; // neurons on the overview

/** Fill the overview with the first neurons of the page. */
function startCards() {
  found("cards").replaceChildren(...neurons.slice(0, CARDS).map(card));
  if (neurons.length > CARDS) found("more-neurons").hidden = false;
}

function card(neuron) {
  const best = neuron.any;
  const text = SCANNED ? lit(best, strongest(neuron), "snippet") : heated(best, hottest([best]));
  const evidence = mainEvidence(neuron);
  const about = described(neuron);
  const others = evidence ? evidence.concepts.length - 1 : 0;
  const beside = SCANNED ? `lowest ${shown(neuron.places.lowest)}` : neuron.base > 0 ? `${(best.activation / neuron.base).toFixed(2)} \u00d7 corpus` : "";
  return make(
    "li",
    { class: "card" },
    make("div", { class: "who" }, make("a", { href: address(neuron) }, make("bdi", {}, ...breakable(neuron.target))), make("span", { class: "muted" }, [SCANNED ? null : `by ${named_by(best)}`, neuron.model === neurons[0].model ? null : neuron.model].filter(Boolean).join(", "))),
    make("div", { class: "height" }, make("strong", {}, shown(best.activation)), make("span", { class: "muted" }, beside)),
    make(
      "div",
      { class: "what" },
      text,
      evidence ? make("div", { class: "with" }, patternLine(evidence.concepts[0].pattern), others ? make("span", { class: "muted small" }, `and ${others} more ${others === 1 ? "concept" : "concepts"}`) : null) : null,
      about ? make("p", { class: "said" }, make("bdi", {}, about.text), about.test ? make("span", { class: "muted small" }, ` ${verdict(about.test)}`) : null) : null,
    ),
  );
}

/** What the colours on a page mean: only those that are on it; `places`: whether places of a scan are. */
function colourLegend(some, places = true) {
  const texts = some.flatMap((neuron) => [...neuron.texts, ...(neuron.examples || [])]);
  const rows = [
    ["adds", "the word adds to the activation", texts.some((text) => text.without)],
    ["takes", "the word lowers it", texts.some((text) => text.without)],
    ["fires", "the activation at the token", places && some.some((neuron) => placesOf(neuron).some((place) => place.values))],
  ].filter(([, , is]) => is);
  if (!rows.length) return null;
  return make("ul", { class: "colours", "aria-label": "Colours of words" }, ...rows.map(([kind, words]) => make("li", {}, make("i", { class: `swatch ${kind}` }), words)));
}
