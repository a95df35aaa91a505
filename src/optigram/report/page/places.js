// Places of a scan: texts with the activation at each token. The token of the place is underlined.
"use strict";
const NEAR = 4; // words on each side of a place in a snippet
const FIFTHS = ["lowest fifth", "second fifth", "middle fifth", "fourth fifth", "highest fifth"];

/** All places of a neuron, the highest first. */
function placesOf(neuron) {
  return neuron.places ? neuron.places.groups.flatMap(([, found]) => found) : [];
}

function placeText(place) {
  return place.words.join("").trim();
}

/** The places in groups with titles; each has the label of its row. */
function placeGroups(neuron) {
  if (!neuron.places) return [];
  const known = new Map(neuron.places.groups);
  const alone = !placesOf(neuron).some((place) => place.values);
  const what = alone ? "n-grams" : "places";
  const fifths = FIFTHS.flatMap((label, i) => (known.get(`quantile ${i + 1} of 5`) || []).map((place) => ({ ...place, label }))).reverse();
  const ranked = (found) => (found || []).map((place, i) => ({ ...place, label: `${what.slice(0, -1)} ${i + 1}` }));
  const made = [
    [`Highest ${what} of the corpus${alone ? ", each scored alone" : ", in context: the activation at each token"}`, ranked(known.get("top"))],
    ["From a random sample, by fifths", fifths],
    ["Drawn at random", ranked(known.get("random"))],
    [`Lowest ${what}`, ranked(known.get("bottom"))],
  ];
  return made.filter(([, found]) => found.length);
}

/** The strongest activation at any word of any place of a neuron. */
function strongest(neuron) {
  return Math.max(1e-12, ...placesOf(neuron).flatMap((place) => place.values || []).map(Math.abs));
}

/** A place in its text: aligned in one column (stacked), with a few words around it, or with all of its window. */
function lit(place, most, context) {
  const words = place.words.map((word, i) => litWord(place, word, i, most));
  if (context === "stacked" && place.values) {
    const [left, right] = [words.slice(0, place.at), words.slice(place.at + 1)];
    return make("span", { class: "lined" }, make("span", { class: "left" }, ...left), words[place.at], make("span", { class: "right-hand" }, ...right));
  }
  const near = context === "snippet" && place.values ? NEAR : Infinity;
  const [begin, end] = [Math.max(0, place.at - near), Math.min(words.length, place.at + near + 1)];
  const dots = (cut) => (cut ? make("bdi", { class: "around" }, "\u2026") : null);
  const part = words.slice(begin, end);
  return make("span", { class: "words", "--many": part.length }, dots(begin > 0 || place.cut), ...part, dots(end < words.length));
}

function litWord(place, word, i, most) {
  const value = place.values ? place.values[i] : null;
  const kind = value === null ? "" : value >= 0 ? " fires" : " below";
  const tight = i > 0 && !word.startsWith(" ");
  return make(
    "bdi",
    {
      class: `word${kind}${value !== null && i === place.at ? " top" : ""}${tight ? " tight" : ""}`,
      "--heat": value === null ? "0" : Math.min(1, Math.abs(value) / most).toFixed(3),
      title: value === null ? null : `${word.trim()}: ${shown(value)}`,
    },
    word.replace(/^ /, ""),
    value === null ? null : make("small", {}, shown(value)),
  );
}

/** A scan's statistics of a neuron: moments, histogram, and the curve against the size of the corpus. */
function corpusPanel(neuron) {
  if (!neuron.places) return null;
  const [low, high] = bounds(neuron);
  const place = scale(low, high);
  const facts = Object.entries(neuron.places.facts).map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value)));
  const beside = neuron.histogram ? placesHistogram(neuron, place) : null; // without one it stands above the texts
  const curve = curvePlot(neuron);
  return make(
    "div",
    { class: "panel" },
    make("h3", {}, "In the corpus"),
    facts.length ? make("dl", { class: "facts" }, ...facts) : null,
    beside ? make("figure", {}, make("figcaption", {}, "Places by activation (logarithm of their number)"), beside, axis(low, high, place)) : null,
    curve ? make("figure", {}, make("figcaption", {}, "Best place against the size of the corpus"), curve) : null,
    make("p", { class: "command muted" }, make("code", {}, neuron.places.command), " ", copier("Command", neuron.places.command)),
  );
}
