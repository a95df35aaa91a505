// The drawings of one neuron: its corpus histogram with what was found, and best so far against cost.
"use strict";

/** The values that a neuron's page shows lie between these two. */
function bounds(neuron) {
  const shown = [...neuron.texts, ...(neuron.examples || [])].map((text) => text.activation);
  const soft = neuron.texts.map((text) => text.soft).filter((value) => value !== undefined);
  const edges = neuron.histogram ? [neuron.histogram.low, neuron.histogram.high] : [];
  const top = Math.max(...shown, ...edges);
  const low = Math.min(0, ...shown, ...edges);
  const high = Math.max(top, Math.min(Math.max(top, ...soft), low + 1.35 * (top - low))); // a soft value may be far off
  return [low, high + 0.02 * (high - low)];
}

/** How many n-grams of the corpus lie where (by their root, so that few are seen too), and each method's best as a line. */
function histogram(neuron, place) {
  if (!neuron.histogram) return null;
  const { low, high, counts } = neuron.histogram;
  const most = Math.sqrt(Math.max(...counts));
  const width = (high - low) / counts.length;
  const bars = counts.map((count, i) => {
    const x = place(low + i * width);
    const tall = count ? Math.max((34 * Math.sqrt(count)) / most, 0.8) : 0;
    return draw("rect", { x, y: 36 - tall, width: Math.max(place(low + (i + 1) * width) - x - 0.15, 0.1), height: tall }, draw("title", {}, `${count} n-grams from ${shown(low + i * width)}`));
  });
  const lines = [...firsts(neuron)].map(([series, text]) =>
    draw("line", { x1: place(text.activation), x2: place(text.activation), y1: 0, y2: 36, class: colour(series) }, draw("title", {}, `${DATA.series[series].label} ${shown(text.activation)}`)),
  );
  const label = `Activations of ${counts.reduce((a, b) => a + b, 0)} n-grams of the corpus, with the best of each method`;
  return draw("svg", { viewBox: "0 0 100 36", preserveAspectRatio: "none", class: "histogram", role: "img", "aria-label": label }, ...bars, ...lines);
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

/** Best so far of each method of an arm against forward-equivalents; a diamond is what the method believed of its soft text. */
function budgetPlot(neuron, arm) {
  const traces = [...firsts(neuron)].filter(([series, text]) => DATA.series[series].arm === arm && text.trace && text.trace.length > 1);
  if (!traces.length) return null;
  const [wide, tall, left, bottom, top] = [520, 270, 44, 36, 8];
  const all = traces.flatMap(([, text]) => text.trace);
  const [from, to] = [Math.max(1, Math.min(...all.map((point) => point[0]))), Math.max(...all.map((point) => point[0]))];
  const high = bounds(neuron)[1];
  const low = Math.min(0, ...all.map((point) => point[1]));
  const span = Math.log(to) - Math.log(from) || 1;
  const x = (cost) => left + ((wide - left - 12) * (Math.log(Math.max(cost, from)) - Math.log(from))) / span;
  const y = (value) => tall - bottom - ((tall - bottom - top) * scale(low, high)(value)) / 100;
  const parts = ticks(low, high).flatMap((tick) => [
    draw("line", { x1: left, x2: wide - 12, y1: y(tick), y2: y(tick), class: "grid" }),
    draw("text", { x: left - 6, y: y(tick), class: "tick", "text-anchor": "end", "dominant-baseline": "central" }, String(tick)),
  ]);
  for (let power = Math.ceil(Math.log10(from)); 10 ** power <= to; power++) {
    parts.push(draw("line", { x1: x(10 ** power), x2: x(10 ** power), y1: top, y2: tall - bottom, class: "grid" }));
    parts.push(draw("text", { x: x(10 ** power), y: tall - bottom + 13, class: "tick", "text-anchor": "middle" }, (10 ** power).toLocaleString("en")));
  }
  parts.push(draw("text", { x: (left + wide) / 2, y: tall - 6, class: "axis", "text-anchor": "middle" }, "forward-equivalents"));
  for (const [series, text] of traces) parts.push(...trace(text, x, y, colour(series), DATA.series[series].method, high));
  return draw("svg", { viewBox: `0 0 ${wide} ${tall}`, class: "drawing", role: "img", "aria-label": "Best activation so far against forward-equivalents, by method" }, ...parts);
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
