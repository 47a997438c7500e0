// Making elements and writing times and numbers. Text only ever enters as text, never as markup.

const fill = (element, attributes, children) => {
  for (const [name, value] of Object.entries(attributes)) if (value != null) element.setAttribute(name, value);
  element.append(...children);
  return element;
};
export const el = (name, attributes = {}, ...children) => fill(document.createElement(name), attributes, children);
export const svg = (name, attributes = {}, ...children) =>
  fill(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
export const icon = (name) =>
  svg("svg", { class: `icon ${name}`, "aria-hidden": "true" }, svg("use", { href: `/static/icons.svg#${name}` }));
export const byId = (id) => document.getElementById(id);

export const lang = document.documentElement.lang;
export const texts = JSON.parse(document.body.dataset.texts);
export const say = (key, values) => texts[key].replace(/\{(\w+)\}/g, (_, name) => values[name]);
export const number = (value, digits = 0) => new Intl.NumberFormat(lang, { minimumFractionDigits: digits,
  maximumFractionDigits: digits }).format(value);
// As many digits as its size deserves, and always as many, so that a column does not tremble. Whole numbers that count
// things, and larger ones, have none.
export const measured = (value, unit) => {
  const size = Math.abs(value);
  if (Number.isInteger(value) && (!unit || size >= 10)) return number(value);
  return number(value, size >= 1000 ? 0 : size >= 10 ? 1 : 2);
};

const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];
const relative = new Intl.RelativeTimeFormat(lang);
const ago = (seconds) => {
  const [unit, length] = UNITS.find(([, length]) => seconds >= 2 * length) ?? [];
  return unit ? relative.format(-Math.floor(seconds / length), unit) : texts.just_now;
};

// An element with data-age (seconds, when it was written) counts on by the browser's monotonic clock, so that a wrong
// time of day at either end does not matter.
const written = new WeakMap();
export const tickAges = () => {
  for (const element of document.querySelectorAll("[data-age]")) {
    if (!written.has(element)) written.set(element, performance.now());
    const text = ago(Number(element.dataset.age) + (performance.now() - written.get(element)) / 1000);
    if (element.textContent !== text) element.textContent = text;
  }
};
export const setAge = (element, age) => {
  element.dataset.age = age;
  written.set(element, performance.now());
  element.textContent = ago(age);
};
setInterval(tickAges, 1000);
