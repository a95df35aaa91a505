// The charts of one neuron: the histogram of its corpus with the texts found, and best so far against cost.
"use strict";

/** The values that a neuron's page shows lie between these two. */
function bounds(neuron) {
  const shown = [...neuron.texts, ...(neuron.examples || []), ...placesOf(neuron)].map((text) => text.activation);
  const soft = neuron.texts.map((text) => text.soft).filter((value) => value !== undefined);
  const edges = neuron.histogram ? [neuron.histogram.low, neuron.histogram.high] : [];
  const top = Math.max(...shown, ...edges);
  const low = Math.min(0, ...shown, ...edges);
  const high = Math.max(top, Math.min(Math.max(top, ...soft), low + 1.35 * (top - low))); // a soft value may be far off
  return [low, high + 0.02 * (high - low)];
}

/** The histogram of the corpus: numbers of n-grams (square root, so that small ones are visible), or of a scan's places (logarithm). */
function histogram(neuron, place) {
  if (neuron.histogram) {
    const { low, high, counts } = neuron.histogram;
    const edges = [...counts.map((_, i) => low + (i * (high - low)) / counts.length), high];
    return bars(neuron, place, edges, counts, Math.sqrt, "n-grams");
  }
  return neuron.places ? placesHistogram(neuron, place) : null;
}

function placesHistogram(neuron, place) {
  const known = neuron.places.histogram;
  return known ? bars(neuron, place, known.edges, known.counts, Math.log1p, "places, of one in 16,") : null;
}

/** Bars between edges, and each method's best as a line. */
function bars(neuron, place, edges, counts, height, what) {
  const most = height(Math.max(...counts));
  const drawn = counts.map((count, i) => {
    const [x, end] = [place(edges[i]), place(edges[i + 1])];
    const tall = count ? Math.max((34 * height(count)) / most, 0.8) : 0;
    return draw("rect", { x, y: 36 - tall, width: Math.max(end - x - 0.15, 0.1), height: tall }, draw("title", {}, `${count} ${what} from ${shown(edges[i])}`));
  });
  const lines = [...firsts(neuron)].map(([series, text]) =>
    draw("line", { x1: place(text.activation), x2: place(text.activation), y1: 0, y2: 36, class: colour(series) }, draw("title", {}, `${DATA.series[series].label} ${shown(text.activation)}`)),
  );
  const label = `Activations of ${counts.reduce((a, b) => a + b, 0)} ${what} of the corpus, with the best of each method`;
  return draw("svg", { viewBox: "0 0 100 36", preserveAspectRatio: "none", class: "histogram", role: "img", "aria-label": label }, ...drawn, ...lines);
}

function axis(low, high, place) {
  return make("span", { class: "ticks", "aria-hidden": "true" }, ...ticks(low, high, 4).map((tick) => make("span", { "--to": `${place(tick)}%` }, String(tick))));
}

/** The best text of each series of a neuron. */
function firsts(neuron) {
  const best = new Map();
  for (const text of neuron.texts) if (!best.has(text.series) || text.activation > best.get(text.series).activation) best.set(text.series, text);
  return best;
}

/** The class of a series's colour. */
function colour(series) {
  return DATA.series[series].colour;
}

/** A plot's grid and scales: x logarithmic unless `log` is false, y linear; `names` [name, value, colour] stand at the ends of lines. */
function frame([from, to], [low, high], title, log = true, names = []) {
  const [wide, tall, left, bottom, top] = [520, 270, 44, 36, 8];
  const edge = wide - 12 - (names.length ? 8 * Math.min(12, Math.max(...names.map(([name]) => name.length))) : 0);
  const way = log ? Math.log : (value) => value;
  const x = (value) => left + ((edge - left) * (way(Math.max(value, from)) - way(from))) / (way(to) - way(from) || 1);
  const y = (value) => tall - bottom - ((tall - bottom - top) * scale(low, high)(value)) / 100;
  const parts = ticks(low, high).flatMap((tick) => [
    draw("line", { x1: left, x2: edge, y1: y(tick), y2: y(tick), class: "grid" }),
    draw("text", { x: left - 6, y: y(tick), class: "tick", "text-anchor": "end", "dominant-baseline": "central" }, String(tick)),
  ]);
  for (const tick of log ? powers(from, to) : ticks(from, to)) {
    parts.push(draw("line", { x1: x(tick), x2: x(tick), y1: top, y2: tall - bottom, class: "grid" }));
    parts.push(draw("text", { x: x(tick), y: tall - bottom + 13, class: "tick", "text-anchor": "middle" }, tick.toLocaleString("en")));
  }
  parts.push(draw("text", { x: (left + edge) / 2, y: tall - 6, class: "axis", "text-anchor": "middle" }, title));
  const whole = (label, ...inside) => draw("svg", { viewBox: `0 0 ${wide} ${tall}`, class: "drawing", role: "img", "aria-label": label }, ...parts, ...inside);
  return { x, y, whole, ends: lineEnds(names, edge + 8, y, tall - bottom) };
}

/** Names at the ends of lines, moved apart where they would overlap. */
function lineEnds(names, x, y, lowest) {
  const ordered = names.map(([name, value, kind]) => ({ name, kind, at: y(value) })).sort((a, b) => a.at - b.at);
  ordered.forEach((one, i) => (one.at = Math.max(one.at, i ? ordered[i - 1].at + 14 : 14)));
  for (let i = ordered.length - 1; i >= 0; i--) ordered[i].at = Math.min(ordered[i].at, i === ordered.length - 1 ? lowest : ordered[i + 1].at - 14);
  return ordered.map(({ name, kind, at }) => draw("text", { x, y: at, class: `end ${kind}`, "dominant-baseline": "central" }, name.length > 12 ? `${name.slice(0, 11)}\u2026` : name));
}

/** Powers of ten between two values. */
function powers(from, to) {
  const made = [];
  for (let power = Math.ceil(Math.log10(from)); 10 ** power <= to; power++) made.push(10 ** power);
  return made;
}

/** Activation of the best text so far against cost, per method of an arm; a diamond is the activation of the soft text. */
function budgetPlot(neuron, arm) {
  const traces = [...firsts(neuron)].filter(([series, text]) => DATA.series[series].arm === arm && text.trace && text.trace.length > 1);
  if (!traces.length) return null;
  const all = traces.flatMap(([, text]) => text.trace);
  const high = bounds(neuron)[1];
  const costs = [Math.max(1, Math.min(...all.map((point) => point[0]))), Math.max(...all.map((point) => point[0]))];
  const names = traces.map(([series, text]) => [DATA.series[series].method, text.trace[text.trace.length - 1][1], colour(series)]);
  const { x, y, whole, ends } = frame(costs, [Math.min(0, ...all.map((point) => point[1])), high], "forward-equivalents per neuron, corpus search included", true, names);
  const lines = traces.flatMap(([series, text]) => trace(text, x, y, colour(series), DATA.series[series].method, high));
  return whole("Activation of the best text so far against forward-equivalents, by method", ...lines, ...ends);
}

/** The best place in random parts of the corpus against their tokens, and each method's best as a line. */
function curvePlot(neuron) {
  const points = neuron.places.curve;
  if (points.length < 2) return null;
  const levels = [...firsts(neuron)];
  const values = [...points.map((point) => point[1]), ...levels.map(([, text]) => text.activation)];
  const span = [Math.min(0, ...values), Math.max(...values) + 0.04 * (Math.max(...values) - Math.min(0, ...values))];
  const names = [["corpus", points[points.length - 1][1], "c0"], ...levels.map(([series, text]) => [DATA.series[series].method, text.activation, colour(series)])];
  const { x, y, whole, ends } = frame([points[0][0], points[points.length - 1][0]], span, "tokens of the corpus", true, names);
  const lines = levels.map(([series, text]) =>
    draw("line", { x1: x(points[0][0]), x2: x(points[points.length - 1][0]), y1: y(text.activation), y2: y(text.activation), class: `level ${colour(series)}` }, draw("title", {}, `${DATA.series[series].label} ${shown(text.activation)}`)),
  );
  const path = points.map(([tokens, value], i) => `${i ? "L" : "M"}${x(tokens).toFixed(1)} ${y(value).toFixed(1)}`).join("");
  const dots = points.map(([tokens, value]) => draw("circle", { cx: x(tokens), cy: y(value), r: 3, class: "dot c0" }, draw("title", {}, `${tokens.toLocaleString("en")} tokens: ${shown(value)}`)));
  return whole("Best activation in random parts of the corpus against their tokens", ...lines, draw("path", { d: path, class: "line c0" }), ...dots, ...ends);
}

function trace(text, x, y, kind, method, high) {
  let steps = "";
  text.trace.forEach(([cost, value], i) => (steps += i ? `H${x(cost).toFixed(1)}V${y(value).toFixed(1)}` : `M${x(cost).toFixed(1)} ${y(value).toFixed(1)}`));
  const [cost, value] = text.trace[text.trace.length - 1];
  const parts = [
    draw("path", { d: steps, class: `line ${kind}` }, draw("title", {}, method)),
    draw("circle", { cx: x(cost), cy: y(value), r: 4, class: `dot ${kind}` }, draw("title", {}, `${method}: ${shown(value)}`)),
  ];
  if (text.soft !== undefined) {
    const [cx, cy] = [x(cost), y(text.soft)];
    const beyond = text.soft > high ? " (beyond the axis)" : "";
    parts.push(draw("path", { d: `M${cx} ${cy - 5}L${cx + 5} ${cy}L${cx} ${cy + 5}L${cx - 5} ${cy}Z`, class: `whisker ${kind}` }, draw("title", {}, `${method}, soft: ${shown(text.soft)}${beyond}`)));
  }
  return parts;
}
