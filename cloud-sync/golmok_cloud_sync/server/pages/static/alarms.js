// The alarms that stand, on the page of all gateways and on that of one; and the button by which this browser is told.

import { ageOf, get, send } from "./api.js";
import { byId, el, icon, lang, say, setAge, texts } from "./dom.js";

const EVERY_MS = 5_000;
const RANK = ["critical", "warning", "notice"];
const LEVEL = { notice: "warn", warning: "warn", critical: "bad" };

function row({ gateway, id, site, severity, state, is_acknowledged, by, seen_by, text, ts }, ask) {
  const level = is_acknowledged ? "warn" : LEVEL[severity];
  const age = el("span", { class: "soft" });
  if (ts) setAge(age, ageOf(ts));
  else age.textContent = texts.time_unknown;
  const seen = is_acknowledged ? `${texts.acknowledged} ${by}`
    : seen_by ? say("seen_soon", { by: seen_by }) : texts[state];
  const link = el("a", { href: `/gateways/${encodeURIComponent(gateway)}` }, site);
  const button = el("button", { type: "button", class: "do" }, texts.seen_button);
  button.hidden = is_acknowledged || Boolean(seen_by);
  button.addEventListener("click", async () => {
    button.disabled = true;
    const path = `/v1/gateways/${encodeURIComponent(gateway)}/alarms/${encodeURIComponent(id)}/acknowledge`;
    if (!await send("POST", path, { by: texts.seen_as })) button.title = texts.seen_refused;
    button.disabled = false;
    ask();
  });
  return el("li", { class: `notice ${level}` }, icon(level === "bad" ? "alarm" : "late"),
    el("p", {}, el("strong", {}, text[lang] ?? text.en), link, " · ", seen, " · ", age), button);
}

// Shows those at `path` and asks again now and then; the function that asks at once.
export function showAlarms(path) {
  let drawn = "";
  async function ask() {
    const found = await get(path);
    if (!found) return;
    const open = found.alarms.filter(({ state }) => state !== "cleared");
    open.sort((a, b) => a.is_acknowledged - b.is_acknowledged || RANK.indexOf(a.severity) - RANK.indexOf(b.severity));
    const mark = JSON.stringify(open);
    if (mark === drawn) return;
    drawn = mark;
    byId("alarms").hidden = !open.length;
    byId("alarms-list").replaceChildren(...open.map((alarm) => row(alarm, ask)));
    byId("alarms-said").textContent = open.filter(({ is_acknowledged, seen_by }) => !is_acknowledged && !seen_by)
      .map(({ site, text }) => `${site}: ${text[lang] ?? text.en}`).join(". ");
  }
  setInterval(ask, EVERY_MS);
  ask();
  return ask;
}

const bytes = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));

// Web Push: only where this cloud sends it and this browser takes it.
let isOffered = false;
export async function offerPush() { // may be called again: once it is offered, nothing more is done
  const button = byId("push");
  if (!("serviceWorker" in navigator && "PushManager" in window && "Notification" in window)) return;
  const offered = await get("/v1/push/key");
  if (!offered?.key || isOffered) return;
  isOffered = true;
  const worker = await navigator.serviceWorker.register("/static/sw.js", { scope: "/static/" });
  const draw = async () => {
    const is = await worker.pushManager.getSubscription();
    button.textContent = is ? texts.push_stop : texts.push;
    button.setAttribute("aria-pressed", Boolean(is));
    button.hidden = false;
    return is;
  };
  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      const is = await draw();
      if (is) {
        await send("DELETE", `/v1/push/subscriptions?${new URLSearchParams({ endpoint: is.endpoint })}`);
        await is.unsubscribe();
      } else if (await Notification.requestPermission() === "granted") {
        const made = await worker.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: bytes(offered.key) });
        if (!await send("POST", `/v1/push/subscriptions?language=${lang}`, made.toJSON())) await made.unsubscribe();
      } else button.title = texts.push_refused;
    } catch { button.title = texts.push_refused; }
    button.disabled = false;
    draw();
  });
  draw();
}
