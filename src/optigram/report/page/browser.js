// The table of neurons: search, filters, sorting. Next and previous follow its rows in their order.
"use strict";
const FIRST = 400; // rows shown before "Show all"
const SCANNED = DATA.series.length === 0; // a page of a scan without a run
const COLUMNS = [
  { key: "target", title: "neuron" },
  { key: "site", title: "site" },
  ...(SCANNED
    ? [
        { key: "text", title: "highest place" },
        { key: "activation", title: "highest", number: true },
        { key: "lowest", title: "lowest", number: true, extra: true },
        { key: "kurtosis", title: "kurtosis", number: true, extra: true },
      ]
    : [
        { key: "text", title: "text" },
        { key: "method", title: "by" },
        { key: "activation", title: "activation", number: true },
        { key: "ratio", title: "/ corpus", number: true },
      ]),
];
const RATIOS = [["", "any"], ["above 1", "above 1: above the corpus"], ["above 1.1", "above 1.1"], ["above 1.25", "above 1.25"], ["below 1", "below 1: below the corpus"]];
const wanted = { search: "", site: "", model: "", series: "", ratio: "", sort: "", down: false, all: false };
let rows = []; // what is shown, in order
const made = new Map(); // table rows by text, made once

const neurons = DATA.neurons.map((neuron, number) => {
  const best = new Map();
  for (const text of neuron.texts) {
    const known = best.get(text.series);
    if (!known || text.activation > known.activation) best.set(text.series, text);
  }
  const found = [...best.values()].filter((text) => !DATA.series[text.series].base);
  const words = [neuron.target, ...neuron.texts.map((text) => text.text), ...placesOf(neuron).map(placeText), ...explainedWords(neuron)].join("\n").toLowerCase();
  const top = (texts) => texts.reduce((a, b) => (b.activation > a.activation ? b : a));
  if (SCANNED) return { ...neuron, number, best, words, any: placesOf(neuron)[0] };
  return { ...neuron, number, best, words, any: top(found.length ? found : [...best.values()]) };
});

/** What of a neuron's explanation can be searched for: descriptions, and the first words of each slot. */
function explainedWords(neuron) {
  const { tests = [], descriptions = [], evidences = [] } = neuron.explained || {};
  const slots = evidences.flatMap((one) => one.concepts).flatMap((concept) => concept.pattern.slots);
  return [...tests, ...descriptions].map((one) => one.text).concat(slots.flatMap((slot) => slot.words.slice(0, FEW).map(([word]) => word)));
}

/** The row of a neuron under the filters, or null. */
function rowOf(neuron) {
  if (wanted.site && neuron.site !== wanted.site) return null;
  if (wanted.model && neuron.model !== wanted.model) return null;
  if (!wanted.search.toLowerCase().split(/\s+/).every((word) => neuron.words.includes(word))) return null;
  const text = wanted.series === "" ? neuron.any : neuron.best.get(Number(wanted.series));
  if (!text) return null;
  const ratio = neuron.base > 0 ? text.activation / neuron.base : null;
  const [side, edge] = wanted.ratio.split(" ");
  if (side && (ratio === null || (side === "above" ? ratio <= edge : ratio >= edge))) return null;
  return { neuron, text, ratio, target: neuron.target, site: neuron.site, activation: text.activation, ...(SCANNED ? { lowest: neuron.places.lowest, kurtosis: neuron.places.kurtosis } : { method: DATA.series[text.series].label }) };
}

function ordered(found) {
  if (!wanted.sort) return found;
  const value = (row) => (wanted.sort === "text" ? row.text.text || placeText(row.text) : row[wanted.sort]);
  const sign = wanted.down ? -1 : 1;
  return found.sort((a, b) => {
    const [x, y] = [value(a), value(b)];
    if (x === null || y === null) return (x === null) - (y === null);
    return sign * (typeof x === "number" ? x - y : x < y ? -1 : x > y ? 1 : 0);
  });
}

/** Refill the table. */
function list() {
  rows = ordered(neurons.map(rowOf).filter(Boolean));
  const part = wanted.all ? rows : rows.slice(0, FIRST);
  found("list").tBodies[0].replaceChildren(...part.map(tableRowOnce));
  for (const cell of found("list").tHead.rows[0].cells) {
    if (cell.dataset.key === wanted.sort) cell.setAttribute("aria-sort", wanted.down ? "descending" : "ascending");
    else cell.removeAttribute("aria-sort");
  }
  found("shown").textContent = `${rows.length} of ${neurons.length} neurons`;
  found("more").hidden = part.length === rows.length;
}

function tableRowOnce(row) {
  if (!made.has(row.text)) made.set(row.text, tableRow(row));
  return made.get(row.text);
}

function tableRow(row) {
  const link = make("a", { href: address(row.neuron) }, make("bdi", {}, ...breakable(row.target)));
  const about = described(row.neuron);
  const number = (value, extra = "") => make("td", { class: `right${extra}` }, value);
  const rest = SCANNED
    ? [make("td", {}, lit(row.text, strongest(row.neuron), "snippet")), number(shown(row.activation)), number(shown(row.lowest), " extra"), number(shown(row.kurtosis), " extra")]
    : [make("td", {}, heated(row.text, hottest([row.text]))), make("td", { class: "method muted" }, row.method), number(shown(row.activation)), number(row.ratio === null ? "-" : row.ratio.toFixed(2))];
  return make(
    "tr",
    { "data-number": row.neuron.number },
    make("td", {}, link, about ? make("span", { class: "said muted" }, about.text) : null, row.neuron.model !== neurons[0].model ? make("span", { class: "muted" }, ` ${row.neuron.model}`) : null),
    make("td", { class: "site muted" }, row.site),
    ...rest,
  );
}

/** An address that may be broken after its site. */
function breakable(target) {
  return target.split(/(?<=:)/).flatMap((part) => [part, make("wbr")]);
}

function sortBy(column) {
  wanted.down = wanted.sort === column.key ? !wanted.down : Boolean(column.number);
  wanted.sort = column.key;
  list();
}

/** Fill in the head and the filters, and listen to them. */
function startBrowser() {
  const head = COLUMNS.map((column) =>
    make("th", { scope: "col", "data-key": column.key, class: column.number ? `right${column.extra ? " extra" : ""}` : column.key }, make("button", { type: "button", onclick: () => sortBy(column) }, column.title)),
  );
  found("list").tHead.append(make("tr", {}, ...head));
  choices("site", "all", [...new Set(neurons.map((neuron) => neuron.site))].map((site) => [site, site]));
  choices("model", "all", [...new Set(neurons.map((neuron) => neuron.model))].map((model) => [model, model]));
  choices("series", "the best method", DATA.series.map((series, number) => [String(number), series.label]));
  found("ratio").append(...RATIOS.map(([value, words]) => make("option", { value }, words)));
  if (new Set(neurons.map((neuron) => neuron.model)).size < 2) found("model").parentElement.hidden = true;
  else found("model").value = wanted.model = neurons[0].model;
  for (const name of ["search", "site", "model", "series", "ratio"]) {
    found(name).addEventListener("input", (event) => {
      wanted[name] = event.target.value;
      list();
    });
  }
  for (const name of SCANNED ? ["series", "ratio"] : []) found(name).parentElement.hidden = true;
  found("search").form.addEventListener("submit", (event) => event.preventDefault());
  found("more").addEventListener("click", () => {
    wanted.all = true;
    list();
  });
  found("list").tBodies[0].addEventListener("click", (event) => {
    const row = event.target.closest("tr");
    if (row && !event.target.closest("a")) location.hash = address(neurons[row.dataset.number]);
  });
  list();
}

function choices(name, all, options) {
  found(name).append(make("option", { value: "" }, all), ...options.map(([value, words]) => make("option", { value }, words)));
}
