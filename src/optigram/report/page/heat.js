// Words coloured by what each adds to the activation, on one scale per neuron.
"use strict";

/** What each word of a text adds, or null where it is not known. */
function added(text) {
  return (text.without || []).map((rest) => (rest === null ? null : text.activation - rest));
}

/** The largest change that any word of these texts makes. */
function hottest(texts) {
  return Math.max(1e-12, ...texts.flatMap(added).map((change) => Math.abs(change || 0)));
}

/** The words of a text, coloured where there is evidence; fixed words of a template are grey. */
function heated(text, most) {
  if (!text.words) return make("bdi", { class: "word" }, ...pieces(text));
  const changes = added(text);
  const top = changes.reduce((best, change, i) => (change !== null && (best < 0 || change > changes[best]) ? i : best), -1);
  const fixed = new Set(text.fixed || []);
  const words = text.words.map((word, i) => (fixed.has(i) ? fixedWord(word, i) : heatedWord(word, changes[i], most, i === top && changes[i] > 0, i, fixed.size > 0)));
  return make("span", { class: "words", "--many": words.length }, ...words);
}

/** The pieces of a text without evidence; free ones are bold where a template surrounds them. */
function pieces(text) {
  return text.pieces ? text.pieces.map(([piece, free]) => make(free ? "b" : "span", { class: free ? "free" : "muted" }, piece)) : [text.text];
}

function fixedWord(word, place) {
  const tight = DATA.marked && place > 0 && !word.startsWith(" ");
  return make("bdi", { class: `around${tight ? " tight" : ""}` }, word.trim());
}

function heatedWord(word, change, most, top, place, surrounded = false) {
  const tight = DATA.marked && place > 0 && !word.startsWith(" ");
  const kind = change === null ? "" : change >= 0 ? " adds" : " takes";
  const heat = change === null ? 0 : Math.sqrt(Math.abs(change) / most); // square root, so that small changes are visible
  return make(
    "bdi",
    {
      class: `word${kind}${top ? " top" : ""}${tight ? " tight" : ""}${surrounded ? " free" : ""}`,
      "--heat": heat.toFixed(3),
      title: change === null ? null : `${word.trim()}: ${signed(change)}`,
    },
    DATA.marked ? word.replace(/^ /, "") : word,
    make("small", {}, change === null ? "-" : signed(change)),
  );
}

/** A text of the corpus with its context: none, a few words, or the whole sentence. */
function inContext(example, most, context) {
  const words = heated(example, most);
  if (context === "stacked") return words;
  const few = context === "snippet" ? 4 : Infinity;
  const before = (example.before || "").split(" ").filter(Boolean);
  const after = (example.after || "").split(" ").filter(Boolean);
  const left = before.slice(Math.max(0, before.length - few)).join(" ");
  const right = after.slice(0, few).join(" ");
  if (left) words.prepend(make("bdi", { class: "around" }, (before.length > few ? "\u2026 " : "") + left));
  if (right) words.append(make("bdi", { class: "around" }, right + (after.length > few ? " \u2026" : "")));
  return words;
}
