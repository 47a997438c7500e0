// What is missing on a chart, in words: as a list for who would rather read, and under the pointer.

import { el, number, say } from "./dom.js";

// From when to when, why, how many readings; `clock` writes a time.
export function gapWords({ from, to, reason, open, count }, clock) {
  const words = say(open ? "gap_open" : "gap_line", { reason, from: clock(from), to: clock(to) });
  return count ? `${words} · ${say("lacks", { count: number(count) })}` : words;
}

// What was not heard yet is none.
export const countOf = (gaps) => gaps.filter((gap) => !gap.isUnheard).length;

export class Missing {
  constructor() {
    [this.title, this.list] = [el("summary"), el("ul")];
    this.element = el("details", { class: "values missing", hidden: "" }, this.title, this.list);
  }

  // What has not changed stays as it is, so that nobody loses his place.
  fill(gaps, inWords) {
    const words = [...gaps].sort((a, b) => b.from - a.from).map(inWords);
    this.element.hidden = !words.length;
    if (words.join("\n") === this.said) return;
    this.said = words.join("\n");
    const count = countOf(gaps);
    this.title.textContent = count ? say("show_gaps", { count }) : gaps[0]?.reason ?? "";
    this.list.replaceChildren(...words.map((text) => el("li", {}, text)));
  }
}
