// Time zones: pages show a place's own, wherever they are read.

const WHOLE = { hourCycle: "h23", year: "numeric", month: "numeric", day: "numeric", hour: "numeric",
  minute: "numeric", second: "numeric" };

// How far a zone is ahead of UTC, in ms. Not by parsing a text: that would bring the browser's own zone in.
export function zoneOffset(ts, timeZone) {
  const parts = new Intl.DateTimeFormat("en-US", { timeZone, ...WHOLE }).formatToParts(ts);
  const { year, month, day, hour, minute, second } = Object.fromEntries(parts.map(({ type, value }) => [type, +value]));
  return Date.UTC(year, month - 1, day, hour, minute, second) - Math.floor(ts / 1000) * 1000;
}

export const ownZone = () => new Intl.DateTimeFormat().resolvedOptions().timeZone;

// `timezone`, or UTC where none was said or this browser does not know it: that must not take the page away.
export function known(timezone) {
  try {
    return new Intl.DateTimeFormat("en", { timeZone: timezone || "UTC" }) && (timezone || "UTC");
  } catch {
    return "UTC";
  }
}
