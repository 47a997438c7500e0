// One gateway: what it is, what its channels say, and a chart for each.

import { get, listen, quantity, reason, shown, split, states, unit } from "./api.js";
import { Chart } from "./chart.js";
import { el, icon, number, say, setAge, texts, tickAges } from "./dom.js";

const HOURS = { "1h": 1, "24h": 24, "7d": 168 };
const POINTS = 300;

const byId = (id) => document.getElementById(id);
const name = document.body.dataset.gateway;
const path = `/v1/gateways/${encodeURIComponent(name)}`;
const channels = new Map();
const range = () => (location.hash.slice(1) in HOURS ? location.hash.slice(1) : "1h");

class Channel {
  constructor({ channel, value, unit: code }) {
    Object.assign(this, { channel, code, near: false, isState: typeof value === "boolean" });
    this.value = el("p", { class: "value" });
    this.note = el("p", { class: "note" });
    const figure = el("figure", { class: "chart" });
    const [device] = split(channel);
    this.element = el("section", { class: "card channel" },
      el("header", {}, el("h2", {}, quantity(channel), el("span", { class: "soft" }, device)), this.value), this.note, figure);
    this.chart = new Chart(figure, { title: `${device} ${quantity(channel)}`.trim(), unit: unit(code),
      states: this.isState ? states(channel) : null, limits: [] });
    figure.hidden = typeof value === "string";
    new IntersectionObserver(([seen]) => {
      this.near = seen.isIntersecting;
      if (this.near && !this.chart.data) this.load();
    }, { rootMargin: "400px" }).observe(this.element);
  }

  show({ value, unit: code, quality, reason: why, ts }) {
    const [text, sign] = [shown(this.channel, value, code), typeof value === "number" ? unit(code) : ""];
    const number = sign ? text.slice(0, -sign.length).trim() : text;
    if (this.value.textContent !== text)
      this.value.replaceChildren(number, ...(sign ? [" ", el("span", { class: "unit" }, sign)] : []));
    this.note.className = `note ${quality}`;
    this.note.textContent = quality === "good" ? (ts ? "" : texts.time_unknown) : say(quality, { reason: reason(why ?? "") });
    if (ts && quality !== "bad" && typeof value !== "string" && value != null) this.chart.add(Date.parse(ts), Number(value));
  }

  async load() {
    const to = Date.now();
    const from = to - HOURS[range()] * 3_600_000;
    const query = new URLSearchParams({ channel: this.channel, from: new Date(from).toISOString(),
      to: new Date(to).toISOString(), points: POINTS });
    const { document } = await get(`${path}/chart?${query}`);
    const gaps = document?.gaps.filter((gap) => gap.from != null || gap.to != null) ?? [];
    if (document) this.chart.set({ from, to, rolls: true, points: document.points,
      gaps: gaps.map((gap) => ({ from: gap.from ?? from, to: gap.to ?? to, reason: reason(gap.reason) })) });
  }
}

function facts({ state, last_contact, backlog, pace_s, version, settings_version }, age) {
  byId("state").className = `state ${state}`;
  byId("state").replaceChildren(icon(state), texts[state]);
  const contact = el("dd");
  if (last_contact) setAge(contact, age(last_contact));
  else contact.textContent = texts.no_contact;
  const fact = (label, text) => el("div", {}, el("dt", {}, label), el("dd", {}, text));
  byId("facts").replaceChildren(el("div", {}, el("dt", {}, texts.last_contact), contact),
    fact(texts.backlog_name, number(backlog)), fact(texts.pace, say("seconds", { count: number(pace_s, 0) })),
    fact(texts.version, version || "–"), fact(texts.settings, settings_version ?? "–"));
}

function show(value) {
  if (!channels.has(value.channel)) {
    channels.set(value.channel, new Channel(value));
    const order = [...channels.values()].sort((a, b) => (a.channel < b.channel ? -1 : 1));
    byId("channels").replaceChildren(...order.map((channel) => channel.element));
  }
  channels.get(value.channel).show(value);
  byId("nothing").hidden = true;
}

const loadSeen = () => channels.forEach((channel) => {
  if (channel.near) channel.load();
  else channel.chart.data = null; // drawn anew when it comes into view
});

async function fetchAll() {
  const { status, document, age } = await get(path);
  byId("unknown").hidden = status !== 404;
  if (!document) return;
  facts(document, age);
  byId("nothing").hidden = document.latest.length > 0;
  document.latest.forEach(show);
  loadSeen();
}

function choose() {
  for (const button of byId("ranges").children) button.setAttribute("aria-pressed", button.dataset.range === range());
  loadSeen();
}
byId("ranges").addEventListener("click", ({ target }) => target.dataset.range && (location.hash = target.dataset.range));
addEventListener("hashchange", choose);
choose();

setInterval(tickAges, 1000);
setInterval(fetchAll, 60_000); // buckets, gaps, and a gateway that grows late by saying nothing
listen(`/v1/live?gateway=${encodeURIComponent(name)}`, {
  value: (value) => value.gateway === name && show(value),
  gateway: (gateway) => gateway.gateway === name && facts(gateway, () => 0),
}, fetchAll);
