// Ids that this page makes up.

/** A UUID v4; `crypto.randomUUID` is missing where the desk is opened over plain http on a LAN. */
export function uuid(): string {
  if (typeof crypto.randomUUID === "function") return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6]! & 0x0f) | 0x40;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  const hex = Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

/** An id for a new article that a person can still read out: `kb-zh-7f3k2m9q`. */
export function articleId(lang: string): string {
  // No 0/o and 1/l: they get mixed up on the phone.
  const letters = "23456789abcdefghijkmnpqrstuvwxyz";
  const bytes = crypto.getRandomValues(new Uint8Array(8));
  return `kb-${lang}-${Array.from(bytes, (b) => letters[b % letters.length]).join("")}`;
}
