// The owner's page: puts in what the shop sends, ready in the reader's language, and draws today's curves.

import { Chart } from "./chart.js";
import { byId, lang, setAge, tickAges } from "./dom.js";
import { live } from "./live.js";

const REDRAW_MS = 5 * 60_000;

const charts = new Map();

async function load(channel, chart) {
  const answer = await fetch(`/curve?${new URLSearchParams({ channel, lang })}`).catch(() => null);
  if (answer?.status === 200) chart.set(await answer.json());
  chart.figure.hidden = !chart.data; // no gateway, no curve
}
const loadAll = () => charts.forEach((chart, channel) => load(channel, chart));

function mount() {
  charts.clear();
  for (const figure of document.querySelectorAll("figure[data-look]")) {
    const look = { ...JSON.parse(figure.dataset.look), zone: document.body.dataset.zone };
    charts.set(figure.parentElement.dataset.channel, new Chart(figure, look));
  }
}

const on = {
  now({ html, announcement }) {
    byId("now").innerHTML = html; // rendered and escaped by the shop
    if (byId("announcement").textContent !== announcement) byId("announcement").textContent = announcement;
  },
  cards({ shape, html }) {
    if (byId("cards").dataset.shape === shape) return;
    byId("cards").dataset.shape = shape;
    byId("cards").innerHTML = html;
    mount();
    loadAll();
  },
  value({ channel, text, unit, age_s, level, note, number, ts }) {
    const section = document.querySelector(`[data-channel="${CSS.escape(channel)}"]`);
    if (!section) return;
    section.className = `channel ${level}`;
    section.querySelector(".value b").textContent = text;
    section.querySelector(".unit").textContent = unit;
    section.querySelector(".note").textContent = note;
    if (age_s != null) setAge(section.querySelector(".age"), age_s);
    if (ts != null && number != null) charts.get(channel)?.add(Date.parse(ts), number);
  },
};

// Whoever stands in front of it has seen an alarm: it is quiet from then on.
byId("now").addEventListener("click", async ({ target }) => {
  const alarm = target.dataset?.acknowledge;
  if (!alarm) return;
  target.disabled = true;
  const answer = await fetch("/alarms/acknowledge", { method: "POST", body: JSON.stringify({ alarm }),
    headers: { "Content-Type": "application/json" } }).catch(() => null);
  if (!answer?.ok) target.disabled = false; // the next news draws it anew
});

mount();
tickAges();
setInterval(loadAll, REDRAW_MS);
const state = (now) => {
  byId("lost").hidden = now !== "lost";
  if (now === "open") loadAll();
};
live(`/live?lang=${lang}`, { on, state });
