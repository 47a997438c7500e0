// The scan page: what runs, the camera, the list of scans. What is said in words comes from the server's table.

import { byId, el, lang, number, say, texts } from "/static/dom.js";
import { isTold, kindOf, showCloud, toldOf } from "/static/send.js";

const token = document.body.dataset.token;
const STEADY_MS = 1000;
let quality = "normal";
let shown = null;
let shownName = null;
let seen = null; // the job's last state as text, so that what stands still is not written anew

const post = async (path, values = {}) => {
  const answer = await fetch(path, { method: "POST", headers: { "X-Golmok-Token": token }, body: new URLSearchParams(values) });
  if (answer.status === 401) location.assign("/login");
  const found = await answer.json();
  if (!answer.ok) tell([el("p", { class: "notice bad" }, found.error)]);
  await refresh();
};
const tell = (children) => byId("told").replaceChildren(...children);
const press = (buttons, chosen) => buttons.forEach((button) => button.setAttribute("aria-pressed", button === chosen));
const group = (name, then) => {
  const buttons = [...document.querySelectorAll(`[data-${name}]`)];
  buttons.forEach((button) => button.addEventListener("click", () => { press(buttons, button); then(button.dataset[name]); }));
};

// --- what runs

const left = (seconds) => {
  const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  return say(h ? "left_h" : m ? "left_m" : "left_s", { h, m, s });
};

const calibrate = () => post("/calibrate", { board_mm: document.getElementById("board-mm")?.value ?? "" });

// What was stopped, or broke off while pictures were taken, goes on with those that are missing.
const again = (job, scans) => {
  const broke = job.ended === "stopped" || (job.ended === "failed" && job.stages[job.stage] === "capture");
  if (!broke || (job.scan && !scans.some((scan) => scan.name === job.scan))) return [];
  const button = el("button", { type: "button", class: "main" }, texts.go_on);
  button.addEventListener("click", () => (job.scan ? post("/resume", { scan: job.scan }) : calibrate()));
  return [button];
};

const showJob = (job, scans) => {
  const runs = job !== null && !job.ended;
  byId("idle").hidden = runs;
  byId("job").hidden = !runs;
  byId("calibrate").hidden = runs;
  document.getElementById("board")?.toggleAttribute("hidden", runs);
  byId("look").disabled = runs;
  if (runs) stopLooking();
  const now = JSON.stringify(job);
  if (now === seen || job === null) return;
  seen = now;
  byId("asks").hidden = !job.asks[lang];
  byId("asks").firstElementChild.textContent = job.asks[lang] ?? "";
  byId("job-what").textContent = `${job.stage + 1}/${job.stages.length} ${texts[job.stages[job.stage]] ?? job.stages[job.stage]}`;
  if (job.total) byId("job-bar").value = job.done / job.total;
  else byId("job-bar").removeAttribute("value");
  byId("job-left").textContent = [job.total ? `${number(job.done)} / ${number(job.total)}` : "",
    job.left_s == null ? "" : left(job.left_s)].filter(Boolean).join(" · ");
  const troubles = job.troubles.map((each) =>
    el("p", { class: `notice ${each.weight === "bad" ? "bad" : "warn"}` }, lang === "ko" ? each.text_ko : each.text));
  if (!job.ended) return tell(troubles);
  const bad = job.troubles.some((each) => each.weight === "bad");
  const error = job.error && !bad ? [el("p", {}, job.error)] : [];
  const kind = { done: "good", failed: "bad", stopped: "warn" }[job.ended];
  tell([el("p", { class: `what ${kind}`, role: "status" }, texts[job.ended]), ...error, ...troubles, ...again(job, scans)]);
};

// --- scans and the model

const FILES = { "mesh.stl": "STL", "mesh.ply": "PLY", "mesh.glb": "GLB", "mesh.obj": "OBJ", "report.html": "report" };
const address = (scan, file) => `/scans/${encodeURIComponent(scan)}/${file}`;

const showFiles = (scan) => byId("files").replaceChildren(...scan.files.filter((file) => FILES[file]).map((file) =>
  el("a", { href: address(scan.name, file), download: "" }, `${texts.download} ${texts[FILES[file]] ?? FILES[file]}`)));

// What was invented is shown unless somebody does not want to see it.
const showUnseen = (unseen, mark) => {
  byId("unseen").hidden = !unseen;
  if (!unseen) return;
  const button = byId("mark");
  const set = (isOn) => {
    mark(isOn);
    button.setAttribute("aria-pressed", isOn);
    byId("marks").hidden = !isOn;
  };
  byId("invented-share").textContent = say("share", { n: number(100 * unseen.invented, 1) });
  byId("base-share").textContent = say("share", { n: number(100 * unseen.base, 1) });
  button.onclick = () => set(button.getAttribute("aria-pressed") !== "true");
  set(button.getAttribute("aria-pressed") === "true");
};

const showModel = async (scan) => {
  shown = scan.name + scan.files.join();
  shownName = scan.name;
  showFiles(scan);
  showCloud(scan, post);
  const said = byId("stage-said");
  if (!scan.files.includes("mesh.glb")) return void (said.textContent = texts.no_model);
  if (!document.body.dataset.viewer) return void (said.textContent = texts.no_viewer);
  try {
    said.textContent = "…";
    const { mark, show } = await import("/static/model.js");
    showUnseen(await show(byId("stage"), address(scan.name, "mesh.glb")), mark);
    said.textContent = "";
    byId("turn-it").hidden = false;
  } catch (error) {
    said.textContent = texts.no_webgl;
  }
};

const showScans = (scans, runs) => {
  if (!scans.length) return;
  byId("scans").replaceChildren(...scans.map((scan) => {
    const line = el("li", {}, el("time", {}, scan.when),
      el("span", { class: "soft" }, scan.of ? say("pictures", { n: scan.frames, of: scan.of }) : ""));
    if (isTold(scan.cloud)) line.append(el("span", { class: kindOf(scan.cloud.code) }, toldOf(scan.cloud)));
    const button = el("button", { type: "button" }, texts.show);
    button.addEventListener("click", () => showModel(scan));
    line.append(button);
    if (!runs && !scan.files.includes("report.json") && !scan.files.includes("mesh.stl")) {
      const more = el("button", { type: "button" }, texts.go_on);
      more.addEventListener("click", () => post("/resume", { scan: scan.name }));
      line.append(more);
    }
    return line;
  }));
  const newest = scans.find((scan) => scan.files.includes("mesh.glb")) ?? scans[0];
  if (shown === null || (shown !== newest.name + newest.files.join() && newest === scans[0])) showModel(newest);
  else showCloud(scans.find((scan) => scan.name === shownName) ?? newest, post);
};

const refresh = async () => {
  try {
    const answer = await fetch("/state");
    if (answer.status === 401) return location.assign("/login");
    const state = await answer.json();
    byId("lost").hidden = true;
    showJob(state.job, state.scans);
    showScans(state.scans, state.job !== null && !state.job.ended);
    const how = state.rests_on_print ? "calibrated_print" : state.calibrated ? "calibrated" : "not_calibrated";
    byId("calibration").textContent = texts[how];
    byId("calibration").className = how === "calibrated" ? "state good" : "state warn";
    byId("calibrate").textContent = state.calibrated ? texts.calibrate_again : texts.calibrate_now;
  } catch (error) {
    byId("lost").hidden = false;
  }
};

// --- the camera: a picture at a time, drawn and forgotten

let looking = false;
let light = "color";
let best = {}; // by the light: a line's thinness and a picture's detail are no one scale

const isLaser = () => light === "l0" || light === "l1";
const stopLooking = () => {
  looking = false;
  byId("look").setAttribute("aria-pressed", "false");
  byId("look").textContent = texts.look;
  byId("beware").hidden = true;
  byId("view").hidden = true;
};

const showFigures = (view, by) => {
  byId("help").hidden = false;
  // A thin line is a sharp one; without a line the picture's own detail tells.
  const sharp = view.line && view.line.rows ? 1 / view.line.width_px : view.sharpness;
  best[by] = Math.max(best[by] ?? 0, sharp);
  const share = best[by] ? sharp / best[by] : 0;
  byId("focus-bar").value = share;
  byId("focus").textContent = say("focus_best", { share: number(100 * share) });
  byId("line-width").textContent = view.line && view.line.rows
    ? `${texts.line_width}: ${say("pixels", { n: number(view.line.width_px, 1) })} · ${texts.brightness}: ${view.line.peak}/255` : "";
  const [key, kind] = verdict(view);
  byId("exposure").textContent = texts[key];
  byId("exposure").className = kind;
};
const verdict = (view) => {
  if (view.burnt > 0.02 || (view.line && view.line.burnt > 0.25)) return ["exposure_high", "bad"];
  if (view.line && !view.line.rows) return ["exposure_none", "bad"];
  if (view.line && view.line.peak < 15) return ["exposure_low", "warn"];
  return ["exposure_good", "good"];
};

const look = async () => {
  while (looking) {
    try {
      const by = light;
      const answer = await fetch(`/live?light=${by}`);
      if (answer.status === 401) return location.assign("/login");
      if (!answer.ok) throw new Error((await answer.json()).error);
      const picture = await createImageBitmap(await answer.blob());
      const canvas = byId("picture");
      canvas.width = picture.width;
      canvas.height = picture.height;
      canvas.getContext("2d").drawImage(picture, 0, 0);
      if (!looking) break;
      byId("view").hidden = false;
      showFigures(JSON.parse(answer.headers.get("X-View")), by);
      byId("eye-said").textContent = "";
    } catch (error) {
      byId("eye-said").textContent = error.message;
      stopLooking();
    }
  }
};

byId("look").addEventListener("click", () => {
  if (looking) return stopLooking();
  looking = true;
  best = {};
  byId("look").setAttribute("aria-pressed", "true");
  byId("look").textContent = texts.hide;
  byId("beware").hidden = !isLaser();
  look();
});
group("light", (chosen) => { light = chosen; best = {}; byId("beware").hidden = !looking || !isLaser(); });
group("quality", (chosen) => { quality = chosen; });
document.addEventListener("visibilitychange", () => { if (document.hidden) stopLooking(); });
byId("start").addEventListener("click", () => post("/start", { quality }));
byId("stop").addEventListener("click", () => post("/stop"));
byId("next").addEventListener("click", () => post("/next"));
byId("calibrate").addEventListener("click", calibrate);

refresh();
setInterval(refresh, STEADY_MS);
