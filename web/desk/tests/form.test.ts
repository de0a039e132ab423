import { expect, test } from "vitest";
import { changes, faults, fromForm, toForm } from "../src/lib/form";
import { ago, fromField, toField, validity } from "../src/lib/time";
import { level, percent } from "../src/lib/confidence";
import type { Article } from "../src/types";

const article: Article = { id: "kb-1", lang: "zh", question: "怎么退款", answer: "在 App 里申请。", intent: "refund_request", valid_until: "2026-12-31T16:00:59.5Z" };

test("an article that nobody touched comes out of the form as it went in", () => {
  const { id: _, ...content } = article;
  expect(fromForm(toForm(article), article)).toEqual(content);
});

test("empty fields are left out, and so is the audience that goes without saying", () => {
  const form = toForm({ ...article, category: "退换货", audience: "agent" });
  Object.assign(form, { category: "  ", intent: "", audience: "customer", valid_until: "", attachments: [{ name: "", text: " " }] });
  expect(fromForm(form, article)).toEqual({ lang: "zh", question: "怎么退款", answer: "在 App 里申请。" });
});

test("times go into the reader's zone and back", () => {
  const iso = "2026-03-01T08:30:00Z";
  expect(fromField(toField(iso))).toBe(iso);
  expect(toField(undefined)).toBe("");
  expect(fromField("")).toBeUndefined();
});

test("faults name what the service would refuse", () => {
  expect(faults(toForm(article))).toEqual([]);
  expect(faults(toForm({ id: "a", translation_of: "a" }))).toEqual(["question", "answer", "itself"]);
  expect(faults({ ...toForm(article), valid_from: "2027-01-02T00:00", valid_until: "2027-01-01T00:00" })).toEqual(["dates"]);
  expect(faults({ ...toForm(article), attachments: [{ name: "", text: "字".repeat(20_001) }] })).toEqual(["too_long", "attachment_name"]);
  // Code points count, as in the service.
  expect(faults({ ...toForm(article), answer: "😀".repeat(20_000) })).toEqual([]);
});

test("changes list the fields that differ", () => {
  expect(changes(article, { ...article, audience: "customer" })).toEqual([]);
  expect(changes(article, { ...article, answer: "新", attachments: [{ name: "a.txt", text: "x" }] }).map((c) => c.field)).toEqual(["answer", "attachments"]);
});

test("validity", () => {
  const now = Date.parse("2026-06-01T00:00:00Z");
  expect(validity({}, now)).toBe("in_force");
  expect(validity({ valid_from: "2026-06-02T00:00:00Z" }, now)).toBe("later");
  expect(validity({ valid_until: "2026-06-05T00:00:00Z" }, now)).toBe("soon_over");
  expect(validity({ valid_until: "2026-06-01T00:00:00Z" }, now)).toBe("over");
  expect(validity({ valid_until: "2026-09-01T00:00:00Z" }, now)).toBe("in_force");
});

test("times are told in words, and what cannot be read is shown as it came", () => {
  const now = Date.parse("2026-06-01T12:00:00Z");
  expect(ago("2026-06-01T09:00:00Z", "en", now)).toBe("3 hours ago");
  expect(ago("2026-06-01T11:59:50Z", "en", now)).toBe("just now");
  expect(ago("not a time", "en", now)).toBe("not a time");
});

test("probabilities never look like certainty", () => {
  expect([percent(0), percent(0.814), percent(1)]).toEqual(["1%", "81%", "99%"]);
  expect([0.95, 0.7, 0.4, 0.1].map(level)).toEqual(["certain", "likely", "possible", "unlikely"]);
});
