// A calibrated probability in words: of all rows that say "likely", that share is right.

export type Level = "certain" | "likely" | "possible" | "unlikely";

export function level(p: number): Level {
  return p >= 0.9 ? "certain" : p >= 0.65 ? "likely" : p >= 0.3 ? "possible" : "unlikely";
}

/** Never 0 % or 100 %: no probability is that sure. */
export function percent(p: number): string {
  return `${Math.min(99, Math.max(1, Math.round(p * 100)))}%`;
}
