// The list of gateways. Trouble comes first, and only as many rows are made as somebody wants to see: the fleet may
// be thousands.

import { get, listen, quantity, shown, split } from "./api.js";
import { el, icon, number, say, setAge, texts, tickAges } from "./dom.js";

const ROWS = 60;
const VALUES = 4;
const STATES = ["late", "never", "online"];

const byId = (id) => document.getElementById(id);
const gateways = new Map(); // name -> what the cloud says of it, and when that was
const rows = new Map(); // name -> its row, once somebody has seen it
let [wanted, words, most, planned] = ["all", "", ROWS, 0];

class Row {
  constructor(name) {
    this.state = el("p", { class: "state" });
    this.values = el("ul", { class: "latest", "aria-label": texts.last_values });
    this.backlog = el("p", { class: "backlog", title: texts.backlog_name });
    this.contact = el("p", { class: "contact", title: texts.last_contact });
    this.latest = new Map();
    const link = el("a", { href: `/gateways/${encodeURIComponent(name)}` }, name);
    this.element = el("li", { class: "card" }, el("h2", {}, link), this.state, this.values, this.backlog, this.contact);
    get(`/v1/gateways/${encodeURIComponent(name)}`).then(({ document }) => document?.latest.forEach((value) =>
      this.latest.has(value.channel) || this.show(value)));
  }

  update({ state, backlog, age }) {
    this.element.dataset.state = state;
    this.state.className = `state ${state}`;
    this.state.replaceChildren(icon(state), texts[state]);
    this.backlog.textContent = backlog ? say("backlog", { count: number(backlog) }) : texts.backlog_none;
    this.backlog.classList.toggle("warn", backlog > 0 && state !== "online");
    if (age == null) this.contact.textContent = texts.no_contact;
    else setAge(this.contact, age);
  }

  show({ channel, value, unit }) {
    const cell = this.latest.get(channel) ?? this.cell(channel);
    if (cell && cell.textContent !== shown(channel, value, unit)) cell.textContent = shown(channel, value, unit);
  }

  cell(channel) {
    if (this.latest.size >= VALUES) return null;
    const cell = el("b");
    this.values.append(el("li", {}, el("span", {}, `${split(channel)[0]} ${quantity(channel)}`.trim()), cell));
    this.latest.set(channel, cell);
    return cell;
  }
}

function draw() {
  planned = 0;
  const all = [...gateways.values()];
  const fits = all.filter(({ gateway, state }) => (wanted === "all" || wanted === state) && gateway.includes(words));
  fits.sort((a, b) => STATES.indexOf(a.state) - STATES.indexOf(b.state) || (a.gateway < b.gateway ? -1 : 1));
  const seen = fits.slice(0, most).map((gateway) => {
    if (!rows.has(gateway.gateway)) rows.set(gateway.gateway, new Row(gateway.gateway));
    const row = rows.get(gateway.gateway);
    row.update({ ...gateway, age: gateway.age && gateway.age() });
    return row.element;
  });
  const list = byId("list");
  if (seen.length !== list.children.length || seen.some((row, i) => row !== list.children[i])) {
    const focused = document.activeElement;
    list.replaceChildren(...seen);
    if (list.contains(focused)) focused.focus({ preventScroll: true });
  }
  for (const button of byId("states").children) {
    const state = button.dataset.state;
    const count = state === "all" ? all.length : all.filter((gateway) => gateway.state === state).length;
    button.setAttribute("aria-pressed", state === wanted);
    button.lastChild.textContent = number(count);
  }
  byId("fleet").hidden = !all.length;
  byId("empty").hidden = all.length > 0;
  byId("none").hidden = fits.length > 0;
  byId("more").hidden = fits.length <= most;
  byId("more").textContent = say("more", { count: number(Math.min(ROWS, fits.length - most)) });
}
const plan = () => (planned ||= setTimeout(draw, 300));

function take(gateway, ageOf) {
  const age = gateway.last_contact && ageOf(gateway.last_contact);
  const at = performance.now();
  gateways.set(gateway.gateway, { ...gateway, age: age == null ? null : () => age + (performance.now() - at) / 1000 });
}

async function fetchAll() {
  const { document, age } = await get("/v1/gateways");
  if (!document) return;
  gateways.clear();
  document.forEach((gateway) => take(gateway, age));
  draw();
}

byId("states").append(...["all", ...STATES].map((state) => {
  const button = el("button", { type: "button", "data-state": state }, state === "all" ? "" : icon(state), `${texts[state]} `, el("b"));
  button.addEventListener("click", () => { [wanted, most] = [state, ROWS]; draw(); });
  return button;
}));
byId("search").addEventListener("input", ({ target }) => { [words, most] = [target.value.trim().toLowerCase(), ROWS]; draw(); });
byId("more").addEventListener("click", () => { most += ROWS; draw(); });

setInterval(tickAges, 1000);
setInterval(fetchAll, 60_000); // a gateway grows late by saying nothing
listen("/v1/live", {
  value: (value) => rows.get(value.gateway)?.show(value),
  gateway: (gateway) => { take(gateway, () => 0); plan(); },
}, fetchAll);
