// What is highlighted in a text. Offsets count code points, as everywhere in the API; the page shows each piece as a text
// node, marked ones inside <mark>, so nothing that a customer wrote is ever parsed as markup.

import type { Mark } from "../types";

export interface Piece {
  text: string;
  marked: boolean;
}

/** Cuts a text at its marks. Marks may come unsorted, overlap or lie outside: what cannot be shown is left out. */
export function pieces(text: string, marks: readonly Mark[]): Piece[] {
  if (marks.length === 0) return text === "" ? [] : [{ text, marked: false }];
  const points = Array.from(text);
  const sorted = marks
    .map(([start, end]): Mark => [Math.max(0, start), Math.min(points.length, end)])
    .filter(([start, end]) => start < end)
    .sort((a, b) => a[0] - b[0]);
  const cut: Piece[] = [];
  let at = 0;
  const push = (end: number, marked: boolean) => {
    if (end <= at) return;
    const piece = points.slice(at, end).join("");
    const last = cut[cut.length - 1];
    // Marks that touch or overlap become one.
    if (last && last.marked === marked) last.text += piece;
    else cut.push({ text: piece, marked });
    at = end;
  };
  for (const [start, end] of sorted) {
    push(start, false);
    push(end, true);
  }
  push(points.length, false);
  return cut;
}

/** Where terms stand in a text, in code points; letter case does not count. */
export function findTerms(text: string, terms: readonly string[]): Mark[] {
  const points = Array.from(text);
  // Folded point by point: a whole text may change its length when it is lowered.
  const folded = points.map((p) => p.toLowerCase());
  const marks: Mark[] = [];
  for (const term of terms) {
    const wanted = Array.from(term, (p) => p.toLowerCase());
    if (wanted.length === 0) continue;
    const latin = /^[\p{Script=Latin}\d]+$/u.test(term);
    for (let i = 0; i + wanted.length <= folded.length; i++) {
      if (!wanted.every((p, k) => folded[i + k] === p)) continue;
      // "fee" is not meant where "coffee" stands; "refund" may go on as "refunds".
      if (latin && i > 0 && /[\p{Script=Latin}\d]/u.test(points[i - 1]!)) continue;
      marks.push([i, i + wanted.length]);
      i += wanted.length - 1;
    }
  }
  return marks;
}
