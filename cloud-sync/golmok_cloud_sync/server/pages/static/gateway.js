// One gateway: what it is, what its channels say, and a chart for each.

import { showAlarms } from "./alarms.js";
import { ageOf, download, get, listen, quantity, reason, save, shown, split, states } from "./api.js";
import { Chart } from "./chart.js";
import { byId, el, icon, number, say, setAge, texts } from "./dom.js";
import { showFiles } from "./files.js";
import { known } from "./zone.js";

const HOURS = { "1h": 1, "24h": 24, "7d": 168 };
const POINTS = 300;
const UNHEARD_MS = 90_000; // a gateway calls once a minute, with nothing to say as well

const { gateway } = document.body.dataset;
const path = `/v1/gateways/${encodeURIComponent(gateway)}`;
const channels = new Map();
let zone = "UTC"; // the gateway's, once it has said which
const range = () => (location.hash.slice(1) in HOURS ? location.hash.slice(1) : "1h");

class Channel {
  constructor({ channel, value, unit }) {
    const [device] = split(channel);
    Object.assign(this, { channel, isNear: false });
    [this.value, this.note] = ["value", "note"].map((name) => el("p", { class: name }));
    const figure = el("figure", { class: "chart" });
    const name = el("h2", {}, quantity(channel), el("span", { class: "soft" }, device));
    this.element = el("section", { class: "card channel" }, el("header", {}, name, this.value), this.note, figure);
    this.chart = new Chart(figure, { title: `${device} ${quantity(channel)}`, unit: texts.units[unit] ?? unit,
      zone, states: typeof value === "boolean" ? states(channel) : null, limits: [] });
    figure.hidden = typeof value === "string";
    new IntersectionObserver(([seen]) => {
      this.isNear = seen.isIntersecting;
      if (this.isNear && !this.chart.data) this.load();
    }, { rootMargin: "400px" }).observe(this.element);
  }

  show(said) {
    const [text, unit] = shown(said);
    this.value.replaceChildren(text, " ", el("span", { class: "unit" }, unit));
    this.note.className = `note ${said.quality}`;
    this.note.textContent = said.quality !== "good" ? say(said.quality, { reason: reason(said.reason) })
      : said.ts ? "" : texts.time_unknown;
    if (said.ts && ["number", "boolean"].includes(typeof said.value)) this.chart.add(Date.parse(said.ts), +said.value);
  }

  async load() {
    const to = Date.now();
    const from = to - HOURS[range()] * 3_600_000;
    const [start, end] = [from, to].map((ms) => new Date(ms).toISOString());
    const asked = new URLSearchParams({ channel: this.channel, from: start, to: end, points: POINTS });
    const drawn = await get(`${path}/chart?${asked}`);
    if (!drawn) return;
    const until = drawn.heard_until ?? to; // what comes after this is not known yet
    const gaps = drawn.gaps.filter((gap) => gap.from != null || gap.to != null).map((gap) => ({ ...gap,
      from: Math.max(from, gap.from ?? from), to: Math.min(to, gap.to ?? Math.max(until, gap.from ?? from)),
      reason: reason(gap.reason) }));
    if (to - until > UNHEARD_MS) gaps.push({ from: Math.max(from, until), to, reason: reason("unheard"), open: true,
      isUnheard: true });
    this.chart.set({ from, to, rolls: true, points: drawn.points, gaps });
  }
}

function facts({ title, state, timezone, last_contact, backlog, pace_s, version, settings_version }) {
  zone = known(timezone);
  for (const { chart } of channels.values()) chart.setZone(zone);
  byId("name").replaceChildren(...(title ? [title, " ", el("small", {}, gateway)] : [gateway]));
  byId("state").className = `state ${state}`;
  byId("state").replaceChildren(icon(state), texts[state]);
  const fact = (label, text) => el("div", {}, el("dt", {}, label), el("dd", {}, text));
  const contact = fact(texts.last_contact, texts.no_contact);
  if (last_contact) setAge(contact.lastChild, ageOf(last_contact));
  byId("facts").replaceChildren(contact, fact(texts.backlog_name, number(backlog)),
    fact(texts.pace, say("seconds", { count: number(pace_s, 0) })), fact(texts.version, version || "–"),
    fact(texts.settings, settings_version ?? "–"), fact(texts.times_in, zone));
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

// What is in view is drawn anew, the rest when it comes into view: new buckets, new gaps, another range.
function redraw() {
  for (const button of byId("ranges").children) button.setAttribute("aria-pressed", button.dataset.range === range());
  for (const channel of channels.values()) {
    channel.chart.data = channel.isNear ? channel.chart.data : null;
    if (channel.isNear) channel.load();
  }
}
async function refresh() {
  const now = await get(path);
  if (now) facts(now);
  byId("nothing").hidden = !now || now.channels > 0;
  redraw();
}

// For the inspector: what is missing in the time that is shown, of all channels, as a file.
byId("gaps-file").addEventListener("click", async () => {
  const from = new Date(Date.now() - HOURS[range()] * 3_600_000).toISOString();
  const asked = new URLSearchParams({ from, limit: 100_000 });
  const file = await download(`${path}/gaps?${asked}`, "text/csv");
  if (file) save(file, `${gateway}-gaps.csv`);
});
byId("ranges").addEventListener("click", ({ target: { dataset } }) => dataset.range && (location.hash = dataset.range));
addEventListener("hashchange", redraw);
const askAlarms = showAlarms(`${path}/alarms`);
const askFiles = showFiles(`${path}/files`);
setInterval(refresh, 60_000); // also: a gateway grows late by saying nothing
listen(`/v1/live?gateway=${encodeURIComponent(gateway)}`, { gateway: facts, value: show }, {
  open: () => { refresh(); askAlarms(); askFiles(); }, missing: () => (byId("unknown").hidden = false) });
