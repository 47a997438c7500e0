// How the operator's pages ask the cloud: with a reader's token where one is needed, and live.

import { lang, number, say, texts } from "/static/dom.js";
import { live } from "/static/live.js";

const byId = (id) => document.getElementById(id);
const headers = () => {
  const token = sessionStorage.getItem("token");
  return token ? { Authorization: `Bearer ${token}` } : {};
};

function askForToken() {
  byId("token-wrong").hidden = !sessionStorage.getItem("token");
  byId("token").hidden = false;
  byId("token").onsubmit = (event) => {
    event.preventDefault();
    sessionStorage.setItem("token", byId("token-text").value.trim());
    location.reload();
  };
}

// The document at `path` and how old the time `ts` in it is by the server's clock; null when it did not come.
export async function get(path) {
  const answer = await fetch(path, { headers: headers(), cache: "no-store" }).catch(() => null);
  if (answer?.status === 401 || answer?.status === 403) askForToken();
  if (!answer?.ok) return { status: answer?.status ?? 0, document: null };
  const now = Date.parse(answer.headers.get("Date")) || Date.now();
  return { status: 200, document: await answer.json(), age: (ts) => Math.max(0, (now - Date.parse(ts)) / 1000) };
}

// Listens for good; `again` is called at every new connection, to fetch what was missed.
export function listen(path, on, again) {
  const state = (now) => {
    byId("offline").hidden = now !== "lost";
    if (now === "open") again();
    if (now === "refused") askForToken();
  };
  return live(path, { headers: headers(), on, state });
}

export const split = (channel) => {
  const dot = channel.indexOf(".");
  return dot < 0 ? ["", channel] : [channel.slice(0, dot), channel.slice(dot + 1)];
};
export const quantity = (channel) => texts.quantities[split(channel)[1]] ?? split(channel)[1];
export const unit = (code) => texts.units[code] ?? code;
export const reason = (name) => texts.reasons[name.replaceAll(/[-_]/g, " ")] ?? name;
export const states = (channel) =>
  [texts.when_false, texts.when_true].map((words) => words[split(channel)[1]] ?? words["*"]);

// A value in words: a number with its unit, 열림 or 닫힘, a text as it is.
export function shown(channel, value, code) {
  if (value == null) return texts.no_value;
  if (typeof value === "boolean") return states(channel)[+value];
  if (typeof value !== "number") return String(value).slice(0, 80);
  const size = Math.abs(value);
  return `${number(value, Number.isInteger(value) || size >= 1000 ? 0 : size >= 10 ? 1 : 2)} ${unit(code)}`.trim();
}
