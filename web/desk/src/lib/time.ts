// Times come as RFC 3339 in UTC and are shown in the reader's zone.

const UNITS: [Intl.RelativeTimeFormatUnit, number][] = [
  ["year", 31_557_600],
  ["month", 2_629_800],
  ["day", 86_400],
  ["hour", 3600],
  ["minute", 60],
];

/** `3 hours ago`, `just now`; an absolute date past a month, where "2 months ago" says too little. */
export function ago(iso: string, locale: string, now = Date.now()): string {
  const time = Date.parse(iso);
  if (Number.isNaN(time)) return iso;
  const seconds = (time - now) / 1000;
  if (Math.abs(seconds) > 30 * 86_400) return day(iso, locale);
  const format = new Intl.RelativeTimeFormat(locale, { numeric: "auto" });
  const [unit, length] = UNITS.find(([, length]) => Math.abs(seconds) >= length) ?? ["second", 1];
  // Intl has "now" only, which sounds odd after "saved".
  return unit === "second" ? (locale.startsWith("zh") ? "刚刚" : "just now") : format.format(Math.round(seconds / length), unit);
}

export function day(iso: string, locale: string): string {
  const time = Date.parse(iso);
  return Number.isNaN(time) ? iso : new Intl.DateTimeFormat(locale, { dateStyle: "medium" }).format(time);
}

export function moment(iso: string, locale: string): string {
  const time = Date.parse(iso);
  return Number.isNaN(time) ? iso : new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "short" }).format(time);
}

/** RFC 3339 to the value of a datetime-local field in the reader's zone; empty where there is none. */
export function toField(iso: string | undefined): string {
  const time = iso ? new Date(iso) : null;
  if (!time || Number.isNaN(time.getTime())) return "";
  const two = (n: number) => String(n).padStart(2, "0");
  return `${String(time.getFullYear()).padStart(4, "0")}-${two(time.getMonth() + 1)}-${two(time.getDate())}T${two(time.getHours())}:${two(time.getMinutes())}`;
}

/** The value of a datetime-local field to RFC 3339 in UTC, without fractions of a second. */
export function fromField(value: string): string | undefined {
  const time = value ? new Date(value) : null;
  return time && !Number.isNaN(time.getTime()) ? time.toISOString().replace(/\.\d+Z$/, "Z") : undefined;
}

export type Validity = "in_force" | "later" | "soon_over" | "over";

/** Where a time stands against the two dates of an article. */
export function validity(article: { valid_from?: string; valid_until?: string }, now = Date.now()): Validity {
  if (article.valid_from && Date.parse(article.valid_from) > now) return "later";
  if (!article.valid_until) return "in_force";
  const left = Date.parse(article.valid_until) - now;
  return left <= 0 ? "over" : left < 14 * 86_400_000 ? "soon_over" : "in_force";
}
