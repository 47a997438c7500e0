// How the operator's pages ask the cloud: live, and with a reader's token where one is needed.

import { byId, el, measured, texts } from "./dom.js";
import { live } from "./live.js";

export let token = sessionStorage.getItem("token");
const headers = () => token ? { Authorization: `Bearer ${token}` } : {};
let ahead = 0; // how far the server's clock is ahead of ours

const note = (answer) => {
  const now = Date.parse(answer.headers.get("Date"));
  if (now) ahead = now - Date.now();
};
export const ageOf = (ts) => Math.max(0, (Date.now() + ahead - Date.parse(ts)) / 1000);

// `again` is called when there is one: the page stays as it is.
function askForToken(again) {
  byId("token-wrong").hidden = !token;
  byId("token").hidden = false;
  byId("token-text").value = "";
  if (token) byId("token-text").focus();
  byId("token").onsubmit = (event) => {
    event.preventDefault();
    token = byId("token-text").value.trim();
    sessionStorage.setItem("token", token);
    again();
  };
}

// The document at `path`, null when it did not come.
export async function get(path) {
  const answer = await fetch(path, { headers: headers(), cache: "no-store" }).catch(() => null);
  if (!answer?.ok) return null;
  note(answer);
  return answer.json();
}

// Whether the cloud did what it was asked to.
export async function send(method, path, document) {
  const body = document === undefined ? undefined : JSON.stringify(document);
  const kind = body === undefined ? {} : { "Content-Type": "application/json" };
  const answer = await fetch(path, { method, body, headers: { ...headers(), ...kind } }).catch(() => null);
  return Boolean(answer?.ok);
}

// What is at `path` as a file of that kind, null when it did not come.
export async function download(path, kind) {
  const answer = await fetch(path, { headers: { ...headers(), Accept: kind }, cache: "no-store" }).catch(() => null);
  return answer?.ok ? answer.blob() : null;
}

// Has the browser keep `blob` as a file of that name.
export function save(blob, name) {
  const link = el("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

async function askLoad() {
  byId("overloaded").hidden = !(await get("/v1/load"))?.overloaded;
}
askLoad();
setInterval(askLoad, 10_000);

// Listens for good; `open` is called at every new connection, `missing` when there is no such thing.
export function listen(path, on, { open, missing }) {
  live(path, { headers: headers(), on, state(now, answer) {
    byId("offline").hidden = now !== "lost";
    if (now === "open") { note(answer); byId("token").hidden = true; open(); }
    if (now !== "refused") return;
    if (answer.status === 404) missing();
    else askForToken(() => listen(path, on, { open, missing }));
  } });
}

export const split = (channel) => {
  const [device, ...quantity] = channel.split(".");
  return quantity.length ? [device, quantity.join(".")] : ["", channel];
};
export const quantity = (channel) => texts.quantities[split(channel)[1]] ?? split(channel)[1];
export const reason = (name) => texts.reasons[name.replaceAll(/[-_]/g, " ")] ?? name;
export const states = (channel) =>
  [texts.when_false, texts.when_true].map((words) => words[split(channel)[1]] ?? words["*"]);

// A value in words, and its unit: ["4.1", "°C"], ["열림", ""].
export function shown({ channel, value, unit }) {
  if (value == null) return [texts.no_value, ""];
  if (typeof value === "boolean") return [states(channel)[+value], ""];
  if (typeof value !== "number") return [String(value).slice(0, 80), ""];
  const sign = texts.units[unit] ?? unit;
  return [measured(value, sign), sign];
}
