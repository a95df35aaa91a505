// Activation against surprisal, where a method kept several texts of a neuron.
"use strict";

/** Texts with a surprisal by series, of those that have several. */
function fronts(neuron) {
  const known = new Map();
  for (const text of neuron.texts) if (text.surprisal !== undefined) known.set(text.series, [...(known.get(text.series) || []), text]);
  return [...known].filter(([, texts]) => new Set(texts.map((text) => text.surprisal)).size > 1);
}

/** The Pareto front: by rising surprisal, each text with a higher activation than all before it. */
function front(texts) {
  const ordered = [...texts].sort((a, b) => a.surprisal - b.surprisal || b.activation - a.activation);
  return ordered.filter((text, i) => ordered.slice(0, i).every((other) => other.activation < text.activation));
}

function frontPanel(neuron) {
  const found = fronts(neuron);
  if (!found.length) return null;
  const texts = found.flatMap(([, some]) => some);
  const span = (values, room) => [Math.min(...values) - room * (Math.max(...values) - Math.min(...values)), Math.max(...values) + room * (Math.max(...values) - Math.min(...values))];
  const { x, y, whole } = frame(span(texts.map((text) => text.surprisal), 0.04), span([0, ...texts.map((text) => text.activation)], 0.04), "surprisal, nats per token", false);
  const drawn = found.flatMap(([series, some]) => {
    const path = front(some).map((text, i) => `${i ? "L" : "M"}${x(text.surprisal).toFixed(1)} ${y(text.activation).toFixed(1)}`).join("");
    const told = (text) => draw("title", {}, `${DATA.series[series].label}: ${text.text} (${shown(text.activation)}, ${shown(text.surprisal)} nats)`);
    return [
      draw("path", { d: path, class: `line ${colour(series)}` }),
      ...some.map((text) => draw("circle", { cx: x(text.surprisal), cy: y(text.activation), r: 4.5, class: `dot ${colour(series)}` }, told(text))),
    ];
  });
  return make(
    "div",
    { class: "panel" },
    make("h3", {}, "Activation against surprisal"),
    legend({ ...neuron, texts }),
    make("figure", {}, whole("Activation against surprisal of each text, by method", ...drawn)),
    make("p", { class: "muted" }, "A point is a text; the line is the Pareto front."),
  );
}
