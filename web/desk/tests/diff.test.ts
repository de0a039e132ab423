import { expect, test } from "vitest";
import { diffLines, steps, words } from "../src/lib/diff";

const SIGN = { same: " ", removed: "-", added: "+" };
const shown = (before: string, after: string) =>
  diffLines(before, after).map((l) => SIGN[l.kind] + l.pieces.map((p) => (p.marked ? `[${p.text}]` : p.text)).join(""));

test("equal texts have no changes", () => {
  expect(shown("a\nb", "a\nb")).toEqual([" a", " b"]);
  expect(shown("", "")).toEqual([]);
});

test("added and removed lines stand where they belong", () => {
  expect(shown("a\nb\nc", "a\nc\nd")).toEqual([" a", "-b", " c", "+d"]);
  expect(shown("", "new")).toEqual(["+new"]);
});

test("a reworded line shows which characters changed", () => {
  expect(shown("退回仓库后24小时内审核", "退回仓库后48小时内审核")).toEqual(["-退回仓库后[24]小时内审核", "+退回仓库后[48]小时内审核"]);
  expect(shown("ships within two days", "ships within three days")).toEqual(["-ships within [two] days", "+ships within [three] days"]);
});

test("lines with little in common are shown whole", () => {
  expect(shown("完全不同的一句话", "something else")).toEqual(["-完全不同的一句话", "+something else"]);
});

test("line ends of other systems are no change", () => {
  expect(shown("a\r\nb", "a\nb")).toEqual([" a", " b"]);
});

test("words: Latin runs, numbers, single Chinese characters, whole emoji", () => {
  expect(words("退款15元 don't 😀")).toEqual(["退", "款", "15", "元", " ", "don't", " ", "😀"]);
});

test("steps rebuild both lists, also past the size that is compared in detail", () => {
  const long = Array.from({ length: 3000 }, (_, i) => `a${i}`);
  const other = Array.from({ length: 3000 }, (_, i) => `b${i}`);
  for (const [before, after] of [[["x", "y", "z"], ["y", "q", "z"]], [long, other]] as const) {
    const found = steps<string>(before, after);
    expect(found.filter((s) => s.kind !== "added").map((s) => s.value)).toEqual(before);
    expect(found.filter((s) => s.kind !== "removed").map((s) => s.value)).toEqual(after);
  }
});
