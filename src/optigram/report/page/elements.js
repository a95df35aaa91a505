// Elements, numbers and scales. Texts reach the page only through textContent, so no token can become markup.
"use strict";
const SVG = "http://www.w3.org/2000/svg";
const DATA = JSON.parse(document.getElementById("data").textContent);
const found = (id) => document.getElementById(id);

/** An element with attributes and children; a string child is text. */
function make(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** The same for a drawing. */
function draw(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("--")) node.style.setProperty(name, value);
    else if (name === "onclick") node.addEventListener("click", value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/** A number in about four digits. */
function shown(value) {
  if (value === null || value === undefined) return "-";
  const size = Math.abs(value);
  return value.toFixed(size >= 1000 ? 0 : size >= 100 ? 1 : size >= 1 || size === 0 ? 2 : 3);
}

function signed(value) {
  return (value > 0 ? "+" : value < 0 ? "\u2212" : "") + shown(Math.abs(value));
}

function percent(share) {
  return `${Number((100 * share).toPrecision(2))}%`;
}

/** Places between 0 and 100 for values between low and high. */
function scale(low, high) {
  return (value) => (high > low ? Math.min(Math.max((100 * (value - low)) / (high - low), 0), 100) : 50);
}

/** Round values between low and high. */
function ticks(low, high, most = 5) {
  const rough = (high - low) / most;
  if (!(rough > 0)) return [low];
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((one) => one * power).find((one) => one >= rough);
  const made = [];
  for (let n = Math.ceil(low / step - 1e-9); n * step <= high + step * 1e-9; n++) made.push(Number((n * step).toPrecision(10)));
  return made;
}

/** Announce something to screen readers. */
function say(words) {
  found("said").textContent = words;
}

/** Copy a text to the clipboard; where the browser refuses, through a temporary field. */
async function copy(text, button) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const field = make("textarea");
    field.value = text;
    document.body.append(field);
    field.select();
    document.execCommand("copy");
    field.remove();
  }
  const before = button.textContent;
  button.textContent = "Copied";
  say("copied");
  setTimeout(() => (button.textContent = before), 1200);
}
