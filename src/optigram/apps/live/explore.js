// The live page: the neuron and its text, its concepts, and searches. Texts are put in as text; what the server refuses is shown in its own words.
"use strict";
const DONE = ["done", "cancelled", "failed"];
const kept = [];
let asked = 0; // so that a late answer never overwrites a newer one
let judging = new AbortController(); // the server stops judging a text that nobody waits for

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
    showJudged(told);
  } catch (error) {
    if (number !== asked) return;
    empty();
    refuse(error.message);
  }
}

function showJudged(told) {
  if (told.unit !== null) found("unit").value = told.unit;
  found("activation").textContent = shown(told.activation);
  found("worth").textContent = `activation of ${told.target}${told.survives ? "" : "; reads otherwise once typed"}`;
  found("words").replaceChildren(...words(told));
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
found("text").addEventListener("input", () => {
  clearTimeout(waiting);
  waiting = setTimeout(judge, 150);
});

/** Another target: its text is judged anew, and nothing is known of its concepts. */
function choose(target) {
  found("target").value = target;
  changed();
}

function changed() {
  clearTimeout(waiting);
  waiting = setTimeout(judge, 150);
  showSite();
  forget();
}

/** Let the fields for site and unit follow the target; the unit of a name is known once it is judged. */
function showSite() {
  const [site, unit = ""] = found("target").value.trim().split(/:(.*)/s);
  if (site in DATA.widths) found("site").value = site;
  found("of").textContent = `of ${DATA.widths[found("site").value].toLocaleString("en")}`;
  found("unit").max = DATA.widths[found("site").value] - 1;
  found("unit").value = /^\d+$/.test(unit) ? unit : "";
}

/** Open a unit by its site and index. */
function openUnit(unit) {
  const last = DATA.widths[found("site").value] - 1;
  choose(`${found("site").value}:${Math.min(Math.max(unit, 0), last)}`);
}

found("site").addEventListener("change", () => openUnit(0));
found("unit").addEventListener("change", () => found("unit").value !== "" && openUnit(Number(found("unit").value)));
found("previous").addEventListener("click", () => openUnit(Number(found("unit").value) - 1));
found("next").addEventListener("click", () => openUnit(found("unit").value === "" ? 0 : Number(found("unit").value) + 1));

/** Suggestions as one types: the units and sites that the loaded model has. False if something else was typed meanwhile. */
let typing = 0;
async function suggest() {
  const number = ++typing;
  let rows = [];
  try {
    rows = await send("suggest", { typed: found("target").value });
  } catch {} // such as an address that is too long: judging says so
  if (number !== typing || document.activeElement !== found("target")) return false;
  found("suggested").replaceChildren(
    ...rows.map(({ address, note }, i) => {
      const option = make("li", { role: "option", id: `option-${i}`, "aria-selected": "false" }, make("bdi", {}, address), make("span", { class: "muted" }, note));
      option.addEventListener("mousedown", (event) => {
        event.preventDefault(); // the field keeps the focus
        closeList();
        choose(address);
      });
      return option;
    }),
  );
  expand(rows.length > 0);
  return true;
}

/** A target that is being typed is judged once it is one that is suggested, or nothing is. */
async function typed() {
  showSite();
  forget();
  if (!(await suggest())) return;
  const options = [...found("suggested").children].map((one) => one.firstChild.textContent);
  if (found("suggested").hidden || options.includes(found("target").value)) judge();
}

function expand(is) {
  found("suggested").hidden = !is;
  found("target").setAttribute("aria-expanded", String(is));
  if (!is) found("target").removeAttribute("aria-activedescendant");
}

function closeList() {
  typing++;
  expand(false);
}

function select(step) {
  const options = [...found("suggested").children];
  const now = options.findIndex((one) => one.getAttribute("aria-selected") === "true");
  const next = (now + step + options.length) % options.length;
  options.forEach((one, i) => one.setAttribute("aria-selected", String(i === next)));
  options[next].scrollIntoView({ block: "nearest" });
  found("target").setAttribute("aria-activedescendant", options[next].id);
}

found("target").addEventListener("input", typed);
found("target").addEventListener("blur", () => {
  const listed = !found("suggested").hidden;
  closeList();
  if (listed) judge(); // what was typed is final now
});
found("target").addEventListener("keydown", (event) => {
  if (event.key === "Escape") return closeList();
  const is = !found("suggested").hidden;
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    event.preventDefault();
    if (is) select(event.key === "ArrowDown" ? 1 : found("target").hasAttribute("aria-activedescendant") ? -1 : 0);
    else suggest();
  }
  if (event.key !== "Enter" || !is) return;
  event.preventDefault();
  const chosen = found("suggested").querySelector("[aria-selected=true]");
  closeList();
  if (chosen) choose(chosen.firstChild.textContent);
});

/** Follow a job of the server: `told` gets every event. */
function follow(number, told, lost) {
  const events = new EventSource(`jobs/${number}/events`);
  events.onmessage = (message) => {
    const event = JSON.parse(message.data);
    if (DONE.includes(event.state)) events.close();
    told(event);
  };
  events.onerror = () => {
    events.close();
    lost();
  };
}

/** The concepts of the target: asked for, cancelled, shown. */
const HINT = found("stage").textContent;
let explaining = 0; // the number of the job whose concepts the page waits for
let turn = 0; // of the target; an answer for an earlier one is not shown

function forget() {
  turn++;
  if (explaining) fetch(`jobs/${explaining}`, { method: "DELETE" });
  settle(HINT);
  found("concepts").replaceChildren();
}

function settle(words) {
  explaining = 0;
  found("stage").textContent = words;
  found("progress").hidden = true;
  found("explain").textContent = "Find its concepts";
  found("explain").disabled = false;
}

async function explain() {
  if (explaining) {
    fetch(`jobs/${explaining}`, { method: "DELETE" });
    found("explain").disabled = true;
    found("stage").textContent = "cancelling";
    return;
  }
  forget();
  const mine = turn;
  let steps = 0;
  try {
    const { number } = await send("jobs", { target: found("target").value, by: "concepts", length: 5, budget: 5000, seed: 0 });
    refuse("");
    if (mine !== turn) return fetch(`jobs/${number}`, { method: "DELETE" });
    explaining = number;
    found("progress").hidden = false;
    found("explain").textContent = "Cancel";
    const told = (event) => {
      if (mine !== turn) return;
      found("progress").value = steps++;
      if (!DONE.includes(event.state)) found("stage").textContent = event.stage || `${event.state}${event.ahead ? `, ${event.ahead} ahead` : ""}`;
      else if (event.state === "done") showConcepts(event.explained, event.description, "");
      else settle(event.error || "cancelled");
    };
    follow(number, told, () => mine === turn && settle("the server has ended"));
  } catch (error) {
    refuse(error.message);
  }
}

function showConcepts(evidence, description, said) {
  settle(said || evidenceFacts(evidence));
  found("explain").textContent = "Find them again";
  const contrasts = evidence.contrasts.length ? [make("h3", {}, "What switches it off and on"), contrastTable(evidence.contrasts)] : [];
  found("concepts").replaceChildren(make("p", { class: "description" }, make("bdi", {}, description)), ...conceptBlocks(evidence), ...contrasts);
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
  const [place, points] = [make("figure", { class: "curve" }), []];
  keep.hidden = use.hidden = true;
  found("jobs").prepend(
    make("li", { class: "job", "data-number": number },
      make("div", { class: "line-up" }, make("span", {}, make("bdi", {}, asks.target), `: ${DATA.methods[asks.by] || asks.by}`), state),
      make("div", { class: "line-up" }, best, value),
      make("div", { class: "line-up" }, now, cool),
      place,
      make("div", { class: "line-up" }, cancel, keep, use)),
  );
  cancel.addEventListener("click", () => fetch(`jobs/${number}`, { method: "DELETE" }));
  use.addEventListener("click", () => {
    found("text").value = best.textContent;
    if (found("target").value === asks.target) judge();
    else choose(asks.target);
  });
  const told = (event) => {
    state.textContent = event.state + (event.ahead ? `, ${event.ahead} ahead` : "");
    if (event.best) {
      best.textContent = event.best.text;
      value.textContent = shown(event.best.activation);
      now.textContent = `now: ${event.now.text} ${shown(event.now.activation)}`;
      cool.textContent = event.temperature === null ? "" : `temperature ${event.temperature.toFixed(2)}`;
      points.push([event.best.activation, event.temperature]);
      if (points.length > 1) place.replaceChildren(curve(points));
    }
    if (!DONE.includes(event.state)) return;
    cancel.hidden = true;
    now.textContent = event.error || (event.forwards ? `${Math.round(event.forwards).toLocaleString("en")} forward-equivalents` : "");
    cool.textContent = "";
    if (event.text === undefined) return;
    best.textContent = event.text;
    value.textContent = shown(event.activation);
    keep.hidden = use.hidden = false;
    keep.addEventListener("click", () => keepIt({ ...asks, text: event.text, activation: event.activation }, keep), { once: true });
  };
  follow(number, told, () => (state.textContent = "the server has ended"));
}

/** The best activation so far by round, and the temperature on a scale of its own, from 0 to its first value. */
function curve(points) {
  const heights = points.map(([value]) => value);
  const [low, high] = [Math.min(0, ...heights), Math.max(...heights, 1e-9) * 1.05];
  const hot = points[0][1];
  const warm = (temperature) => low + ((high - low) * temperature) / (hot * 1.05);
  const last = points[points.length - 1];
  const names = [["best so far", last[0], "c4"], ...(hot ? [["temperature", warm(last[1]), "c0"]] : [])];
  const { x, y, whole, ends } = frame([1, points.length], [low, high], "round of the search", false, names);
  const path = (values) => values.map((value, i) => `${i ? "L" : "M"}${x(i + 1).toFixed(1)} ${y(value).toFixed(1)}`).join("");
  const fall = hot ? [draw("path", { d: path(points.map(([, temperature]) => warm(temperature))), class: "level c0" })] : [];
  return whole("Best activation so far, by round of the search; the temperature, dashed, on its own scale", ...fall, draw("path", { d: path(heights), class: "line c4" }), ...ends);
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
found("explain").addEventListener("click", explain);
showSite();
if (DATA.opening.judged) showJudged(DATA.opening.judged);
if (DATA.opening.explained) showConcepts(DATA.opening.explained, DATA.opening.description, DATA.opening.said);
document.documentElement.classList.add("ready");
