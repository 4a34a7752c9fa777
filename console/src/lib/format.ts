// How figures are written. Pure, so that tests can hold them to it.

const UNITS = ["B", "kB", "MB", "GB", "TB", "PB"];

/** Bytes with three significant digits: `999 B`, `1.20 kB`, `34.1 MB`. */
export function bytes(n: number): string {
  if (!Number.isFinite(n) || n < 0) return "–";
  let unit = 0;
  let value = n;
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit++;
  }
  return unit === 0 ? `${Math.round(value)} B` : `${digits(value)} ${UNITS[unit]}`;
}

/** A duration in milliseconds: `0.8 ms`, `42 ms`, `1.20 s`, `3 min 5 s`, `2 h 4 min`. */
export function duration(ms: number | undefined): string {
  if (ms === undefined || !Number.isFinite(ms) || ms < 0) return "–";
  if (ms < 10) return `${trim(ms.toFixed(1))} ms`;
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  if (ms < 59_995) return `${(ms / 1000).toFixed(ms < 9_995 ? 2 : 1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 3600) return join(Math.floor(seconds / 60), "min", seconds % 60, "s");
  const minutes = Math.round(seconds / 60);
  if (minutes < 1440) return join(Math.floor(minutes / 60), "h", minutes % 60, "min");
  const hours = Math.round(minutes / 60);
  return join(Math.floor(hours / 24), "d", hours % 24, "h");
}

/** A count: `999`, `1.20k`, `34.1M`. */
export function count(n: number): string {
  if (!Number.isFinite(n)) return "–";
  if (n < 1000) return String(Math.round(n));
  if (n < 999_500) return `${digits(n / 1000)}k`;
  if (n < 999_500_000) return `${digits(n / 1e6)}M`;
  return `${digits(n / 1e9)}G`;
}

/** A whole number with thin groups, `100 000`. */
export function whole(n: number): string {
  return String(Math.round(n)).replace(/\B(?=(\d{3})+(?!\d))/g, "\u202f");
}

/** A rate per second, with a digit more when it is small. */
export function rate(n: number): string {
  return n > 0 && n < 10 ? trim(n.toFixed(1)) : count(n);
}

/** A share of a whole in percent. */
export function percent(part: number, of: number): string {
  if (of <= 0) return "0%";
  const share = (100 * part) / of;
  if (share > 0 && share < 0.1) return "<0.1%";
  return `${trim(share.toFixed(share < 10 ? 1 : 0))}%`;
}

/** The time of day with milliseconds, in the browser's zone: `12:36:29.676`. */
export function clock(time: string): string {
  const date = new Date(time);
  if (Number.isNaN(date.getTime())) return "–";
  return `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}.${pad(date.getMilliseconds(), 3)}`;
}

/** Date and time of day, in the browser's zone. */
export function dateTime(time: string): string {
  const date = new Date(time);
  if (Number.isNaN(date.getTime())) return "–";
  return `${day(date)} ${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`;
}

/** The date alone. */
export function dateOnly(time: string): string {
  const date = new Date(time);
  return Number.isNaN(date.getTime()) ? "–" : day(date);
}

/** How long ago, or how long until: `just now`, `5 min ago`, `in 3 d`. */
export function ago(time: string | undefined, now: number): string {
  if (time === undefined) return "never";
  const then = Date.parse(time);
  if (Number.isNaN(then)) return "–";
  const span = Math.abs(now - then);
  const [n, unit] =
    span < 90_000 ? [Math.round(span / 1000), "s"]
    : span < 5_400_000 ? [Math.round(span / 60_000), "min"]
    : span < 129_600_000 ? [Math.round(span / 3_600_000), "h"]
    : [Math.round(span / 86_400_000), "d"];
  if (unit === "s" && n < 2) return "just now";
  return then <= now ? `${n} ${unit} ago` : `in ${n} ${unit}`;
}

function digits(value: number): string {
  return value < 9.995 ? value.toFixed(2) : value < 99.95 ? value.toFixed(1) : String(Math.round(value));
}

function trim(text: string): string {
  return text.replace(/\.0+$/, "");
}

function join(a: number, unitA: string, b: number, unitB: string): string {
  return b === 0 ? `${a} ${unitA}` : `${a} ${unitA} ${b} ${unitB}`;
}

function day(date: Date): string {
  return `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`;
}

function pad(n: number, width = 2): string {
  return String(n).padStart(width, "0");
}
