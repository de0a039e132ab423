// Both languages say everything that the pages ask for.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import en from "../src/locales/en.json";
import zh from "../src/locales/zh.json";

const keysOf = (table: object, prefix = ""): string[] =>
  Object.entries(table).flatMap(([key, value]) => (typeof value === "string" ? [prefix + key] : keysOf(value as object, `${prefix}${key}.`)));
const source = join(import.meta.dirname, "../src");
const files = readdirSync(source, { recursive: true, encoding: "utf8" }).filter((f) => /\.(vue|ts)$/.test(f)).map((f) => [f, readFileSync(join(source, f), "utf8")] as const);

test("both languages have the same words", () => {
  // Problems in English are the service's own words already.
  const own = (key: string) => !key.startsWith("fault.code.");
  expect(keysOf(zh).filter(own)).toEqual(keysOf(en).filter(own));
});

test("placeholders are the same in both", () => {
  const slots = (text: string) => [...new Set(text.match(/\{\w+\}/g))].sort();
  const at = (table: object, key: string) => key.split(".").reduce<unknown>((o, k) => (o as Record<string, unknown>)[k], table) as string;
  for (const key of keysOf(en)) expect(slots(at(zh, key)), key).toEqual(slots(at(en, key)));
});

test("every key that a page names exists", () => {
  const known = new Set(keysOf(en));
  for (const [file, text] of files) {
    for (const [, key] of text.matchAll(/\bt\(\s*"([a-z_.0-9]+)"/g)) expect(known.has(key!), `${file}: ${key}`).toBe(true);
    for (const [, key] of text.matchAll(/\bt\('([a-z_.0-9]+)'/g)) expect(known.has(key!), `${file}: ${key}`).toBe(true);
  }
});

test("no page parses markup or sets inline styles in its source", () => {
  for (const [file, text] of files) {
    expect(/v-html|innerHTML|insertAdjacentHTML|document\.write/.test(text), file).toBe(false);
    // `:style` goes through the CSSOM; an attribute would be refused by the policy.
    expect(/\sstyle="/.test(text), file).toBe(false);
  }
});
