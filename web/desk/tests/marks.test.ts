import { expect, test } from "vitest";
import { findTerms, pieces } from "../src/lib/marks";

const shown = (text: string, marks: [number, number][]) => pieces(text, marks).map((p) => (p.marked ? `[${p.text}]` : p.text)).join("");

test("marks count code points, not UTF-16 units", () => {
  expect(shown("😀😀退款多久", [[2, 4]])).toBe("😀😀[退款]多久");
});

test("marks may be unsorted, overlap, touch or lie outside", () => {
  expect(shown("abcdef", [[4, 99], [1, 3], [2, 4], [-5, 0], [3, 3]])).toBe("a[bcdef]");
  expect(shown("abc", [[7, 9]])).toBe("abc");
});

test("nothing is lost or added", () => {
  const text = "<b>退款</b> & 👨‍👩‍👧 مرحبا";
  expect(pieces(text, [[0, 2], [5, 9], [11, 12]]).map((p) => p.text).join("")).toBe(text);
  expect(pieces("", [[0, 1]])).toEqual([]);
});

test("terms are found in any letter case, and Latin ones only where a word begins", () => {
  expect(shown("Refunds: no fee, no coffee", findTerms("Refunds: no fee, no coffee", ["refund", "fee"]))).toBe("[Refund]s: no [fee], no coffee");
  expect(findTerms("😀退运费，运费", ["运费"])).toEqual([[2, 4], [5, 7]]);
  expect(findTerms("anything", [""])).toEqual([]);
});
