// Which part is seen (by the address after #), keys, and light or dark.
"use strict";
const PAGES = ["overview", "neurons", "neuron"];
const title = document.title;

/** Show what the address names: #overview, #neurons or #neuron/ADDRESS. */
function show() {
  const name = location.hash.slice(1).split("/")[0];
  if (name === "main") return;
  const neuron = name === "neuron" ? named(location.hash) : undefined;
  const page = neuron ? "neuron" : PAGES.includes(name) && name !== "neuron" ? name : name === "neuron" ? "neurons" : "overview";
  for (const other of PAGES) found(other).hidden = other !== page;
  for (const link of document.querySelectorAll("[data-page]")) {
    if (link.dataset.page === page || (page === "neuron" && link.dataset.page === "neurons")) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (neuron) showNeuron(neuron);
  document.title = neuron ? `${neuron.target} · ${title}` : title;
  window.scrollTo(0, 0);
  if (neuron) found("neuron").querySelector("h2").focus({ preventScroll: true });
}

function current() {
  return found("neuron").hidden ? undefined : named(location.hash);
}

function step(side) {
  const neuron = current();
  const to = neuron ? beside(neuron)[side] : undefined;
  if (to) location.hash = address(to);
}

const KEYS = {
  "/": () => ((location.hash = "#neurons"), show(), found("search").focus()),
  ArrowLeft: () => step("before"),
  ArrowRight: () => step("after"),
  k: () => step("before"),
  j: () => step("after"),
  o: () => (location.hash = "#overview"),
  n: () => (location.hash = "#neurons"),
  v: () => current() && found("values") && found("values").click(),
  Escape: () => current() && (location.hash = "#neurons"),
  "?": () => found("keys").showModal(),
};

function pressed(event) {
  const typing = event.target.closest("input, select, textarea");
  if (typing && event.key === "Escape") event.target.blur();
  if (typing || found("keys").open || event.ctrlKey || event.metaKey || event.altKey || !found("shortcuts").checked) return;
  if (event.target.closest(".wide, .settings") && event.key.startsWith("Arrow")) return; // these scroll by arrows
  if (!(event.key in KEYS)) return;
  event.preventDefault();
  KEYS[event.key]();
}

/** Light, dark, or as the system has it; kept for the next time where the browser keeps anything. */
function startTheme() {
  const system = matchMedia("(prefers-color-scheme: dark)");
  let chosen = null;
  try {
    chosen = localStorage.getItem("optigram-theme");
  } catch {}
  const dark = () => (chosen ? chosen === "dark" : system.matches);
  const apply = () => {
    if (chosen) document.documentElement.dataset.theme = chosen;
    found("theme").textContent = dark() ? "Light" : "Dark";
  };
  found("theme").addEventListener("click", () => {
    chosen = dark() ? "light" : "dark";
    try {
      localStorage.setItem("optigram-theme", chosen);
    } catch {}
    apply();
  });
  system.addEventListener("change", apply);
  apply();
}

startTheme();
startBrowser();
startCards();
found("legend").append(...[colourLegend(neurons, SCANNED)].filter(Boolean));
found("help").addEventListener("click", () => found("keys").showModal());
document.addEventListener("keydown", pressed);
window.addEventListener("hashchange", show);
show();
document.documentElement.classList.add("ready");
