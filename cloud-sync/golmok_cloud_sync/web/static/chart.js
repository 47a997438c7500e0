// Draws one channel over time: a band from least to most, a line of means, gaps hatched with their reason.
//   data: { from, to, points: [[ts, least, mean, most], ...], gaps: [{ from, to, reason, open, count, isUnheard },
//     ...] }, ms since 1970; `open`: it still goes on; `isUnheard`: nothing was heard of it yet
//   look: { title, unit, zone, states: [word of false, word of true] | null, limits: [value, ...], digits }

import { el, lang, measured, number, say, svg, texts } from "./dom.js";
import { countOf, gapWords, Missing } from "./missing.js";
import { ownZone, zoneOffset } from "./zone.js";

const MINUTE = 60_000;
const DAY = 1440 * MINUTE;
const TIME_STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880].map((minutes) => minutes * MINUTE);
const TABLE_ROWS = 48;
let charts = 0;

const path = (dots) => dots.map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");

// Round values that enclose low and high, about three steps, each with its text.
function valueTicks(low, high) {
  const pad = Math.max((high - low) * 0.06, Math.abs(high) * 0.004, 0.05);
  const rough = (high - low + 2 * pad) / 3;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough);
  const floor = low >= 0 ? 0 : -Infinity; // what is never negative has no axis below nought
  const [first, last] = [Math.max(floor, Math.floor((low - pad) / step)), Math.ceil((high + pad) / step)];
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  return Array.from({ length: last - first + 1 }, (_, i) => [(first + i) * step, number((first + i) * step, digits)]);
}

function timeTicks(from, to, room, zone) {
  const step = TIME_STEPS.find((length) => (to - from) / length <= room) ?? TIME_STEPS.at(-1);
  const offset = zoneOffset(to, zone);
  const first = Math.ceil((from + offset) / step) * step - offset;
  const ticks = Array.from({ length: Math.max(0, Math.floor((to - first) / step) + 1) }, (_, i) => first + i * step);
  return ticks.map((ts) => ts + offset - zoneOffset(ts, zone)); // the clocks may have been changed in between
}

// The runs of points between gaps; `until` is where a state that holds would end. A gap parts two points when it
// covers most of the time between them: points stand for whole buckets of time, so the edges are not exact.
function runsOf({ points, gaps, to }) {
  const runs = [];
  let run = [];
  points.forEach((point, i) => {
    run.push(point);
    const [ts, next] = [point[0], points[i + 1]?.[0] ?? to];
    const gap = gaps.find((gap) => Math.min(next, gap.to) - Math.max(ts, gap.from) > (next - ts) / 2);
    if (!gap && i + 1 < points.length) return;
    runs.push({ points: run, until: gap ? Math.max(ts, gap.from) : next });
    run = [];
  });
  return runs;
}

// A state holds until it changes. States alternate, so where a bucket saw both the mean tells which was last; a door
// that opened and closed again within a bucket is a spike.
function stateCorners({ points, until }) {
  let state = points[0][1];
  const corners = points.flatMap(([ts, least, mean, most]) => {
    const before = state;
    if (mean !== 0.5) state = Math.round(mean);
    const spike = least !== most && state === before ? [[ts, 1 - before]] : [];
    return [[ts, before], ...spike, [ts, state]];
  });
  return [...corners, [until, state]];
}

export class Chart {
  constructor(figure, look) {
    Object.assign(this, { figure, look, id: `chart${charts++}`, data: null,
      plot: el("div", { class: `plot ${look.states ? "states" : ""}` }), legend: el("p", { class: "legend" }),
      missing: new Missing() });
    this.gapWords = (gap) => gapWords(gap, (ts) => this.clock(ts));
    this.rows = el("tbody");
    const heads = [texts.time, texts.least, texts.mean, texts.most].map((text) => el("th", { scope: "col" }, text));
    [this.timeHead] = heads;
    this.nameZone();
    this.table = el("details", { class: "values" }, el("summary", {}, texts.show_values),
      el("div", { class: "scroll", tabindex: 0 }, el("table", {}, el("caption", { class: "out-of-sight" }, look.title),
        el("thead", {}, el("tr", {}, ...heads)), this.rows)));
    this.table.addEventListener("toggle", () => this.fillTable());
    this.plot.addEventListener("pointermove", (event) => this.read(event.offsetX));
    this.plot.addEventListener("pointerleave", () => this.readout?.replaceChildren());
    figure.replaceChildren(this.plot, this.legend, this.missing.element, this.table);
    new ResizeObserver(() => this.draw()).observe(this.plot);
  }

  set(data) {
    this.data = data;
    this.draw();
    this.missing.fill(data.gaps, this.gapWords);
    this.fillTable();
  }

  // All times are those of the place; where the reader is elsewhere, it says so.
  setZone(zone) {
    if (this.look.zone === zone) return;
    this.look.zone = zone;
    this.nameZone();
    this.draw();
    this.fillTable();
  }

  nameZone() {
    const { zone } = this.look;
    this.timeHead.textContent = zone && zone !== ownZone() ? `${texts.time} (${zone})` : texts.time;
  }

  // One new value at the right edge; a chart of "the last hour" moves along (data.rolls), one of today grows.
  add(ts, value) {
    if (!this.data || ts <= (this.data.points.at(-1)?.[0] ?? 0)) return;
    const ahead = Math.max(0, ts - this.data.to);
    this.data.points.push([ts, value, value, value]);
    this.data.to += ahead;
    if (this.data.rolls) this.data.from += ahead;
    for (const gap of this.data.gaps) if (gap.open && !gap.isUnheard) Object.assign(gap, { open: false, to: ts });
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => this.draw());
  }

  // The time of day, with the date where the chart shows more than a day; of midnights only the date.
  clock(ts, isMidnight = false) {
    const date = this.data.to - this.data.from > DAY && { month: "numeric", day: "numeric" };
    const time = !(date && isMidnight) && { hour: "2-digit", minute: "2-digit" };
    return new Intl.DateTimeFormat(lang, { timeZone: this.look.zone, hourCycle: "h23", ...date, ...time }).format(ts);
  }

  value(v) {
    const { states, unit, digits } = this.look;
    return states ? states[Math.round(v)] : `${digits == null ? measured(v, unit) : number(v, digits)} ${unit}`.trim();
  }

  fillTable() {
    if (!this.table.open || !this.data) return;
    const { points, gaps } = this.data;
    const every = Math.ceil(points.length / TABLE_ROWS);
    const row = (ts, ...cells) => [ts, el("tr", {}, ...cells)];
    const cell = (text, span) => el("td", { colspan: span }, text);
    const rows = [
      ...points.filter((_, i) => (points.length - 1 - i) % every === 0)
        .map(([ts, ...values]) => row(ts, cell(this.clock(ts)), ...values.map((v) => cell(this.value(v))))),
      ...gaps.map(({ from, to, reason }) =>
        row(from, cell(`${this.clock(from)} – ${this.clock(to)}`), cell(say("gap", { reason }), 3))),
    ];
    this.rows.replaceChildren(...rows.sort(([a], [b]) => b - a).map(([, made]) => made));
  }

  // Where things lie: { x(ts), y(value), ticks, left, right, top, bottom } in pixels.
  layout(width, height) {
    const { look: { states, limits }, data: { from, to, points } } = this;
    const all = [...points.flatMap(([, least, , most]) => [least, most]), ...limits];
    const [least, most] = [Math.min(...all), Math.max(...all)];
    const ticks = states ? states.map((word, i) => [i, word]) : all.length ? valueTicks(least, most) : [];
    const [low, high] = states ? [-0.15, 1.25] : [ticks.at(0)?.[0] ?? 0, ticks.at(-1)?.[0] ?? 1];
    const letter = states && lang === "ko" ? 12 : 7.5;
    const left = Math.min(90, 16 + Math.max(16, ...ticks.map(([, text]) => text.length * letter)));
    const [right, top, bottom] = [width - 12, 8, height - 24];
    const x = (ts) => left + ((Math.min(Math.max(ts, from), to) - from) / (to - from || 1)) * (right - left);
    const y = (v) => bottom - ((v - low) / (high - low)) * (bottom - top);
    return { x, y, ticks, left, right, top, bottom, width, height };
  }

  draw() {
    const [width, height] = [this.plot.clientWidth, this.plot.clientHeight];
    if (!this.data || !width) return;
    const { from, points, gaps } = this.data; // what has rolled out of sight goes
    Object.assign(this.data, { points: points.filter(([ts]) => ts >= from), gaps: gaps.filter((gap) => gap.to > from) });
    this.at = this.layout(width, height);
    this.legend.replaceChildren(...this.captions());
    this.readout = svg("g", { class: "readout" });
    const names = { role: "img", "aria-labelledby": `${this.id}t`, "aria-describedby": `${this.id}d` };
    this.plot.replaceChildren(svg("svg", { viewBox: `0 0 ${width} ${height}`, ...names },
      svg("title", { id: `${this.id}t` }, this.look.title), svg("desc", { id: `${this.id}d` },
        this.data.points.length ? say("chart_words", this.words()) : texts.no_values),
      svg("defs", {}, svg("pattern", { id: `${this.id}h`, width: 7, height: 7, patternUnits: "userSpaceOnUse",
        patternTransform: "rotate(45)" }, svg("line", { class: "hatch", y2: 7 }))),
      ...this.axes(), ...this.gaps(), ...runsOf(this.data).flatMap((run) => this.curve(run)), this.readout));
  }

  words() {
    const { points } = this.data;
    const [least, most] = [Math.min(...points.map((p) => p[1])), Math.max(...points.map((p) => p[3]))];
    const values = Object.entries({ now: points.at(-1)[2], least, most }).map(([name, v]) => [name, this.value(v)]);
    return { ...Object.fromEntries(values), gaps: countOf(this.data.gaps) };
  }

  captions() {
    const { look: { states }, data: { points, gaps } } = this;
    const range = points.length && !states ? [el("span", {}, say("range", this.words()))] : [];
    const kinds = new Map(gaps.map(({ reason, isUnheard }) =>
      isUnheard ? [reason, "gap unheard"] : [say("gap", { reason }), "gap"]));
    return [...range, ...[...kinds].map(([text, kind]) => el("span", { class: kind }, text))];
  }

  axes() {
    const { x, y, ticks, left, right, top, bottom, height } = this.at;
    const { data: { from, to, points, gaps }, look: { zone, limits } } = this;
    const across = (name, v) => svg("line", { class: name, x1: left, x2: right, y1: y(v), y2: y(v) });
    const text = (name, x, y, anchor, words) => svg("text", { class: name, x, y, "text-anchor": anchor }, words);
    const times = timeTicks(from, to, (right - left) / (to - from > DAY ? 90 : 64), zone);
    const clock = (ts) => this.clock(ts, times[1] - times[0] >= DAY);
    const isEmpty = !points.length && !gaps.length;
    return [
      ...ticks.map(([v]) => across("grid", v)),
      ...ticks.map(([v, words]) => text("tick", left - 8, y(v) + 4, "end", words)),
      ...times.filter((ts) => x(ts) < right - 12).map((ts) => text("tick", x(ts), height - 6, "middle", clock(ts))),
      ...limits.map((v) => across("limit", v)),
      ...(isEmpty ? [text("none", (left + right) / 2, (top + bottom) / 2, "middle", texts.no_values)] : []),
    ];
  }

  gaps() {
    const { x, top, bottom } = this.at;
    const [y, height] = [top, bottom - top];
    return this.data.gaps.map((gap) => svg("g", { class: gap.isUnheard ? "unheard" : "gap" },
      svg("title", {}, this.gapWords(gap)), svg("rect", { x: x(gap.from), y, height,
        width: Math.max(2, x(gap.to) - x(gap.from)), fill: gap.isUnheard ? null : `url(#${this.id}h)` })));
  }

  curve(run) {
    const { x, y } = this.at;
    const edge = (column) => run.points.map((point) => [x(point[0]), y(point[column])]);
    const corners = this.look.states && stateCorners(run).map(([ts, v]) => [x(ts), y(v)]);
    const middle = corners || edge(2);
    const floor = corners && [[corners.at(-1)[0], y(0)], [corners[0][0], y(0)]];
    const area = corners ? [...corners, ...floor] : [...edge(3), ...edge(1).reverse()];
    const isLast = run.points.at(-1) === this.data.points.at(-1);
    const [cx, cy] = middle.at(-1);
    return [
      svg("path", { class: "band", d: `${path(area)}Z` }), svg("path", { class: "mean", d: path(middle) }),
      isLast || middle.length === 1 ? svg("circle", { class: isLast ? "now" : "dot", cx, cy, r: isLast ? 4 : 2 }) : null,
    ].filter(Boolean);
  }

  // What the curve says under the pointer.
  read(px) {
    if (!this.data || !this.at) return;
    const { at: { x, y, top, bottom, left, right }, data: { gaps, points } } = this;
    const gap = gaps.find(({ from, to }) => x(from) <= px && px <= x(to));
    const [side, at] = px > (left + right) / 2 ? ["end", right] : ["start", left];
    if (gap) this.readout.replaceChildren(
      svg("text", { class: "said", x: at, y: top + 10, "text-anchor": side }, this.gapWords(gap)));
    if (gap || !points.length) return;
    const nearest = points.reduce((best, point) => (Math.abs(x(point[0]) - px) < Math.abs(x(best[0]) - px) ? point : best));
    const [cx, cy] = [x(nearest[0]), y(nearest[2])];
    const label = { class: "said", x: cx + (side === "end" ? -8 : 8), y: top + 10, "text-anchor": side };
    this.readout.replaceChildren(svg("line", { x1: cx, x2: cx, y1: top, y2: bottom }), svg("circle", { cx, cy, r: 4 }),
      svg("text", label, `${this.clock(nearest[0])}  ${this.value(nearest[2])}`));
  }
}
