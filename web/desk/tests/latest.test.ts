import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { latest } from "../src/lib/latest";

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

function harness() {
  const asked: { question: string; signal: AbortSignal; answer: (a: string) => void; fail: (e: unknown) => void }[] = [];
  const told: string[] = [];
  const asker = latest<string, string>(
    (question, signal) => new Promise((answer, fail) => asked.push({ question, signal, answer, fail })),
    120,
    { started: (q) => told.push(`started ${q}`), answered: (a, q) => told.push(`${q}: ${a}`), failed: (e, q) => told.push(`${q} failed: ${String(e)}`) },
  );
  const settle = () => vi.advanceTimersByTimeAsync(0);
  return { asker, asked, told, settle };
}

test("asks once, after the pause", () => {
  const { asker, asked } = harness();
  asker.ask("退");
  vi.advanceTimersByTime(100);
  asker.ask("退款");
  vi.advanceTimersByTime(119);
  expect(asked).toHaveLength(0);
  vi.advanceTimersByTime(1);
  expect(asked.map((a) => a.question)).toEqual(["退款"]);
});

test("an answer that is out of date is dropped, and its request aborted", async () => {
  const { asker, asked, told, settle } = harness();
  asker.ask("a", true);
  asker.ask("b", true);
  expect(asked[0]!.signal.aborted).toBe(true);
  asked[1]!.answer("for b");
  asked[0]!.answer("for a, late");
  await settle();
  expect(told).toEqual(["started a", "started b", "b: for b"]);
});

test("a failure is told only for the newest question", async () => {
  const { asker, asked, told, settle } = harness();
  asker.ask("a", true);
  asker.ask("b", true);
  asked[0]!.fail("aborted");
  asked[1]!.fail("offline");
  await settle();
  expect(told).toEqual(["started a", "started b", "b failed: offline"]);
});

test("after cancel nothing is told", async () => {
  const { asker, asked, told, settle } = harness();
  asker.ask("a", true);
  asker.cancel();
  asked[0]!.answer("late");
  asker.ask("b");
  asker.cancel();
  vi.advanceTimersByTime(500);
  await settle();
  expect(told).toEqual(["started a"]);
  expect(asked).toHaveLength(1);
});
