// The live page. Texts are put in as text; what the server refuses is shown in its own words.
"use strict";
const found = (id) => document.getElementById(id);
const kept = [];
let asked = 0; // so that a late answer never overwrites a newer one
let judging = new AbortController(); // the server stops judging a text that nobody waits for

function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("--")) node.style.setProperty(name, value);
    else if (value !== null) node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

const shown = (value) => (value === null || value === undefined ? "-" : value.toFixed(Math.abs(value) < 1 ? 3 : 2));

/** Ask the server; what it refuses is thrown with its message. */
async function send(path, content, signal) {
  const answer = await fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(content), signal });
  const told = await answer.json();
  if (!answer.ok) throw new Error(told.error);
  return told;
}

function refuse(message) {
  found("refused").hidden = !message;
  found("refused").textContent = message || "";
}

/** Judge the text as it stands. */
async function judge() {
  const number = ++asked;
  judging.abort();
  judging = new AbortController();
  if (!found("text").value.trim()) return empty();
  try {
    const told = await send("judge", { target: found("target").value, text: found("text").value }, judging.signal);
    if (number !== asked) return;
    refuse("");
    found("activation").textContent = shown(told.activation);
    found("worth").textContent = `activation of ${told.target}${told.survives ? "" : "; reads otherwise once typed"}`;
    found("words").replaceChildren(...words(told));
  } catch (error) {
    if (number !== asked) return;
    empty();
    refuse(error.message);
  }
}

function empty() {
  found("activation").textContent = "-";
  found("worth").textContent = "activation";
  found("words").replaceChildren();
}

function words(told) {
  const most = Math.max(1e-12, ...told.adds.map((change) => Math.abs(change || 0)));
  const top = Math.max(...told.adds.filter((change) => change !== null));
  return told.words.map((word, i) => {
    const change = told.adds[i];
    const kind = change === null ? "word" : `word ${change >= 0 ? "adds" : "takes"}${change === top && change > 0 ? " top" : ""}`;
    const heat = change === null ? "0" : Math.sqrt(Math.abs(change) / most).toFixed(3);
    return make("bdi", { class: kind, role: "listitem", "--heat": heat, title: change === null ? null : `adds ${shown(change)}` }, word.trim(), make("small", {}, shown(told.so_far[i])));
  });
}

let waiting;
for (const id of ["target", "text"]) {
  found(id).addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(judge, 150);
  });
}

/** Put a search into the queue and watch it. */
async function optimize(event) {
  event.preventDefault();
  const asks = { target: found("target").value, by: found("by").value };
  for (const name of ["length", "budget", "seed"]) asks[name] = Number(found(name).value);
  try {
    const { number } = await send("jobs", asks);
    refuse("");
    watch(number, asks);
  } catch (error) {
    refuse(error.message);
  }
}

function watch(number, asks) {
  const state = make("span", { class: "state muted" }, "waiting");
  const [best, now] = [make("bdi", { class: "best" }, "…"), make("bdi", { class: "now" }, "")];
  const [value, cool] = [make("strong", { class: "value" }, ""), make("span", { class: "muted temperature" }, "")];
  const [cancel, keep, use] = ["Cancel", "Keep", "Use as text"].map((name) => make("button", { type: "button" }, name));
  keep.hidden = use.hidden = true;
  const svg = drawing();
  found("jobs").prepend(
    make("li", { class: "job", "data-number": number },
      make("div", { class: "line-up" }, make("span", {}, `${asks.target} by ${asks.by}`), state),
      make("div", { class: "line-up" }, best, value),
      make("div", { class: "line-up" }, now, cool),
      svg.node,
      make("div", { class: "line-up" }, cancel, keep, use)),
  );
  cancel.addEventListener("click", () => fetch(`jobs/${number}`, { method: "DELETE" }));
  use.addEventListener("click", () => ((found("target").value = asks.target), (found("text").value = best.textContent), judge()));
  const events = new EventSource(`jobs/${number}/events`);
  events.onmessage = (message) => {
    const told = JSON.parse(message.data);
    state.textContent = told.state + (told.ahead ? `, ${told.ahead} ahead` : "");
    if (told.best) {
      best.textContent = told.best.text;
      value.textContent = shown(told.best.activation);
      now.textContent = `now: ${told.now.text} ${shown(told.now.activation)}`;
      cool.textContent = told.temperature === null ? "" : `temperature ${told.temperature.toFixed(2)}`;
      svg.add(told.best.activation, told.temperature);
    }
    if (!["done", "cancelled", "failed"].includes(told.state)) return;
    events.close();
    cancel.hidden = true;
    now.textContent = told.error || (told.forwards ? `${Math.round(told.forwards).toLocaleString("en")} forward-equivalents` : "");
    cool.textContent = "";
    if (told.text === undefined) return;
    best.textContent = told.text;
    value.textContent = shown(told.activation);
    keep.hidden = use.hidden = false;
    keep.addEventListener("click", () => keepIt({ ...asks, text: told.text, activation: told.activation }, keep), { once: true });
  };
  events.onerror = () => {
    events.close();
    state.textContent = "the server has ended";
  };
}

/** The best so far, and the temperature on its own scale from 0. */
function drawing() {
  const line = (kind) => document.createElementNS("http://www.w3.org/2000/svg", kind);
  const node = line("svg");
  for (const [name, value] of [["viewBox", "0 0 100 100"], ["preserveAspectRatio", "none"], ["role", "img"], ["aria-label", "best so far, and the temperature, dashed"]]) node.setAttribute(name, value);
  const [rise, fall] = [line("path"), line("path")];
  fall.setAttribute("class", "heat");
  node.append(fall, rise);
  const points = [];
  const path = (values) => {
    const [low, high] = [Math.min(0, ...values), Math.max(...values, 1e-9)];
    return values.map((value, i) => `${i ? "L" : "M"}${(100 * i) / Math.max(values.length - 1, 1)} ${100 - (100 * (value - low)) / (high - low)}`).join("");
  };
  return {
    node,
    add(activation, temperature) {
      points.push([activation, temperature]);
      rise.setAttribute("d", path(points.map((point) => point[0])));
      if (temperature !== null) fall.setAttribute("d", path(points.map((point) => point[1])));
    },
  };
}

function keepIt(one, button) {
  button.textContent = "Kept";
  button.disabled = true;
  kept.push(one);
  found("kept").hidden = false;
  found("kept").querySelector("tbody").append(
    make("tr", {}, make("td", {}, make("bdi", {}, one.target)), make("td", {}, make("bdi", {}, one.text)), make("td", { class: "right" }, shown(one.activation)), make("td", {}, one.by)),
  );
  found("download").href = `data:application/jsonl;charset=utf-8,${encodeURIComponent(kept.map((row) => JSON.stringify(row) + "\n").join(""))}`;
}

found("search").addEventListener("submit", optimize);
document.documentElement.classList.add("ready");
