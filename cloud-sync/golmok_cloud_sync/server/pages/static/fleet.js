// The list of gateways. Trouble comes first, and only as many rows are made as somebody wants to see: the fleet may
// be thousands.

import { ageOf, get, listen, quantity, shown, split, token } from "./api.js";
import { offerPush, showAlarms } from "./alarms.js";
import { byId, el, icon, number, say, setAge, texts } from "./dom.js";

const ROWS = 60;
const VALUES = 4;
const STATES = ["late", "never", "online"];

const gateways = new Map(); // name -> { status, latest: channel -> value, row once it was seen, isStale }
const wanted = { state: "all", words: "", most: ROWS };
let planned = null;

function makeRow(name) {
  const parts = { state: el("p"), latest: el("ul", { class: "latest", "aria-label": texts.last_values }),
    backlog: el("p", { class: "backlog" }), contact: el("p", { class: "contact", title: texts.last_contact }) };
  const link = el("a", { href: `/gateways/${encodeURIComponent(name)}` }, name);
  const element = el("li", { class: "card" }, el("h2", {}, link), ...Object.values(parts));
  return { ...parts, link, element };
}

function fillRow({ status: { gateway, title, state, backlog, last_contact }, latest, row }) {
  row.element.dataset.state = state;
  row.link.replaceChildren(...(title ? [title, " ", el("small", {}, gateway)] : [gateway]));
  row.state.className = `state ${state}`;
  row.state.replaceChildren(icon(state), texts[state]);
  row.backlog.textContent = backlog ? say("backlog", { count: number(backlog) }) : texts.backlog_none;
  if (last_contact) setAge(row.contact, ageOf(last_contact));
  else row.contact.textContent = texts.no_contact;
  const channels = [...latest.keys()].sort().slice(0, VALUES);
  row.latest.replaceChildren(...channels.map((channel) => latest.get(channel)).map((value) => el("li", {},
    el("span", {}, `${split(value.channel)[0]} · ${quantity(value.channel)}`), el("b", {}, shown(value).join(" ")))));
  if (latest.size > VALUES) row.latest.append(el("li", { class: "rest" }, `+${number(latest.size - VALUES)}`));
}

function draw() {
  planned = null;
  const all = [...gateways.values()];
  const fits = all.filter(({ status: { gateway, title, state } }) =>
    ["all", state].includes(wanted.state) && `${gateway} ${title ?? ""}`.toLowerCase().includes(wanted.words));
  const rank = ({ status }) => STATES.indexOf(status.state);
  fits.sort((a, b) => rank(a) - rank(b) || (a.status.gateway < b.status.gateway ? -1 : 1));
  const rows = fits.slice(0, wanted.most).map((gateway) => {
    gateway.row ??= makeRow(gateway.status.gateway);
    if (gateway.isStale) fillRow(gateway);
    gateway.isStale = false;
    return gateway.row.element;
  });
  const list = byId("list");
  if (rows.length !== list.children.length || rows.some((row, i) => row !== list.children[i])) {
    const focused = document.activeElement;
    list.replaceChildren(...rows);
    if (list.contains(focused)) focused.focus({ preventScroll: true });
  }
  for (const button of byId("states").children) {
    const { state } = button.dataset;
    button.setAttribute("aria-pressed", state === wanted.state);
    button.lastChild.textContent = number(all.filter(({ status }) => ["all", status.state].includes(state)).length);
  }
  byId("fleet").hidden = !all.length;
  byId("empty").hidden = all.length > 0;
  byId("empty-token").hidden = !token;
  byId("none").hidden = fits.length > 0;
  byId("more").hidden = fits.length <= wanted.most;
  byId("more").textContent = say("more", { count: number(Math.min(ROWS, fits.length - wanted.most)) });
}
const plan = () => (planned ??= setTimeout(draw, 250));
const want = (change) => {
  Object.assign(wanted, { most: ROWS }, change);
  draw();
};

const on = {
  gateway(status) {
    gateways.set(status.gateway, { latest: new Map(), ...gateways.get(status.gateway), status, isStale: true });
    plan();
  },
  value(value) { // follows an event that says whose it is
    gateways.get(value.gateway)?.latest.set(value.channel, value);
  },
};

async function fetchAll() {
  const list = await get("/v1/gateways");
  list?.forEach(on.gateway);
  if (list) draw();
}

byId("states").append(...["all", ...STATES].map((state) => {
  const sign = state === "all" ? [] : [icon(state)];
  const button = el("button", { type: "button", "data-state": state }, ...sign, texts[state], el("b"));
  button.addEventListener("click", () => want({ state }));
  return button;
}));
byId("search").addEventListener("input", ({ target }) => want({ words: target.value.trim().toLowerCase() }));
byId("more").addEventListener("click", () => want({ most: wanted.most + ROWS }));
setInterval(fetchAll, 60_000); // a gateway grows late by saying nothing
const askAlarms = showAlarms("/v1/alarms");
listen("/v1/live", on, { open: () => { fetchAll(); askAlarms(); offerPush(); } });
