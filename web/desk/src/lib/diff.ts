// What changed between two texts: by lines, and within lines that were reworded by words (Chinese: by characters).

import type { Piece } from "./marks";

export interface DiffLine {
  kind: "same" | "removed" | "added";
  pieces: Piece[];
}

type Step<T> = { kind: "same" | "removed" | "added"; value: T };

// Cells of the table below; past this the texts are shown as wholly replaced rather than making the page wait.
const MOST_CELLS = 4_000_000;

/** The longest common subsequence, as steps from one list to the other. */
export function steps<T>(before: readonly T[], after: readonly T[]): Step<T>[] {
  let head = 0;
  while (head < before.length && head < after.length && before[head] === after[head]) head++;
  let tail = 0;
  while (tail < before.length - head && tail < after.length - head && before[before.length - 1 - tail] === after[after.length - 1 - tail]) tail++;
  const a = before.slice(head, before.length - tail);
  const b = after.slice(head, after.length - tail);
  const same = (value: T): Step<T> => ({ kind: "same", value });
  return [...before.slice(0, head).map(same), ...middle(a, b), ...before.slice(before.length - tail).map(same)];
}

function middle<T>(a: readonly T[], b: readonly T[]): Step<T>[] {
  const width = b.length + 1;
  const replaced = (): Step<T>[] => [...a.map((value): Step<T> => ({ kind: "removed", value })), ...b.map((value): Step<T> => ({ kind: "added", value }))];
  if (a.length === 0 || b.length === 0 || (a.length + 1) * width > MOST_CELLS) return replaced();
  const length = new Uint32Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      length[i * width + j] = a[i] === b[j] ? length[(i + 1) * width + j + 1]! + 1 : Math.max(length[(i + 1) * width + j]!, length[i * width + j + 1]!);
    }
  }
  const found: Step<T>[] = [];
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      found.push({ kind: "same", value: a[i]! });
      i++;
      j++;
    } else if (j >= b.length || (i < a.length && length[(i + 1) * width + j]! >= length[i * width + j + 1]!)) {
      found.push({ kind: "removed", value: a[i++]! });
    } else {
      found.push({ kind: "added", value: b[j++]! });
    }
  }
  return found;
}

/** Words, numbers and runs of white space of alphabetic scripts; single characters of everything else. */
export function words(text: string): string[] {
  return text.match(/[\p{Script=Latin}\p{Script=Cyrillic}\p{Script=Arabic}\p{N}_'’]+|\s+|./gsu) ?? [];
}

/** The lines of both texts in reading order; what changed inside a reworded line is marked, unless `within` is false. */
export function diffLines(before: string, after: string, within = true): DiffLine[] {
  const found = steps(lines(before), lines(after));
  const out: DiffLine[] = [];
  for (let i = 0; i < found.length; ) {
    if (found[i]!.kind === "same") {
      out.push({ kind: "same", pieces: [{ text: found[i]!.value, marked: false }] });
      i++;
      continue;
    }
    const removed: string[] = [];
    const added: string[] = [];
    for (; i < found.length && found[i]!.kind !== "same"; i++) (found[i]!.kind === "removed" ? removed : added).push(found[i]!.value);
    out.push(...reworded(removed, added, within));
  }
  return out;
}

const lines = (text: string): string[] => (text === "" ? [] : text.replace(/\r\n?/g, "\n").split("\n"));

function reworded(removed: string[], added: string[], inside: boolean): DiffLine[] {
  const before: DiffLine[] = [];
  const after: DiffLine[] = [];
  for (let i = 0; i < Math.max(removed.length, added.length); i++) {
    const [old, now] = [removed[i], added[i]];
    const within = inside && old !== undefined && now !== undefined ? steps(words(old), words(now)) : [];
    const kept = within.reduce((sum, step) => sum + (step.kind === "same" ? step.value.length : 0), 0);
    // Lines with little in common are two different lines: marks in them would only be confetti.
    const marks = within.length > 0 && kept * 3 >= Math.max(old?.length ?? 0, now?.length ?? 0);
    if (old !== undefined) before.push({ kind: "removed", pieces: marks ? gather(within, "removed") : [{ text: old, marked: false }] });
    if (now !== undefined) after.push({ kind: "added", pieces: marks ? gather(within, "added") : [{ text: now, marked: false }] });
  }
  return [...before, ...after];
}

function gather(within: Step<string>[], side: "removed" | "added"): Piece[] {
  const out: Piece[] = [];
  for (const step of within) {
    if (step.kind !== "same" && step.kind !== side) continue;
    const marked = step.kind === side;
    const last = out[out.length - 1];
    if (last && last.marked === marked) last.text += step.value;
    else out.push({ text: step.value, marked });
  }
  return out;
}
