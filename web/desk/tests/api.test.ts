import { afterEach, beforeEach, expect, test, vi } from "vitest";

// The client reads the page's address, the connection's state and the kept key: this much of a browser is enough. Vue comes
// first: it takes any document for a whole one.
await import("vue");
vi.stubGlobal("document", { baseURI: "https://shop.example/support/desk/#/articles?q=1" });
vi.stubGlobal("navigator", { onLine: true });
const { address, api, ApiError, faultOf, isAbort } = await import("../src/api");
const { asking, giveKey, rememberKey } = await import("../src/state/key");

const problem = (status: number, body: object) => new Response(JSON.stringify(body), { status, headers: { "content-type": "application/problem+json" } });
const sent: Request[] = [];
let answers: (Response | Error)[] = [];

beforeEach(() => {
  sent.length = 0;
  answers = [];
  rememberKey(null);
  vi.stubGlobal("fetch", async (url: string | URL, init?: RequestInit) => {
    if (String(url).endsWith("/readyz")) return new Response("{}");
    sent.push(new Request(String(url), init));
    const next = answers.shift();
    if (!next) throw new TypeError("Failed to fetch");
    if (next instanceof Error) throw next;
    return next;
  });
});
afterEach(() => vi.useRealTimers());

test("addresses are relative to the page and leave empty values out", () => {
  expect(address("search", { q: "退款 &", lang: "", limit: 10, kind: undefined })).toBe("https://shop.example/support/v1/search?q=%E9%80%80%E6%AC%BE+%26&limit=10");
});

test("ids are escaped", async () => {
  answers = [new Response("{}")];
  await api.article("配送/海外?#");
  expect(sent[0]!.url).toBe("https://shop.example/support/v1/articles/%E9%85%8D%E9%80%81%2F%E6%B5%B7%E5%A4%96%3F%23");
});

test("a problem becomes one error with code, detail and hint", async () => {
  answers = [problem(409, { title: "The draft is stale", detail: "version 4 is newer", code: "stale_draft", hint: "Compare.", request_id: "R1", status: 409 })];
  const error = await api.publishDraft("kb-1", false).catch((e: unknown) => e);
  expect(error).toBeInstanceOf(ApiError);
  expect(error).toMatchObject({ kind: "problem", status: 409, code: "stale_draft", detail: "version 4 is newer", hint: "Compare.", requestId: "R1" });
});

test("a proxy's page is no problem+json", () => {
  expect(faultOf(502, "<html>Bad gateway</html>", "R2")).toMatchObject({ kind: "garbled", status: 502, detail: "<html>Bad gateway</html>", requestId: "R2" });
  expect(faultOf(500, "null", "")).toMatchObject({ kind: "garbled" });
});

test("an answer that is no JSON is an error too", async () => {
  answers = [new Response("hello")];
  await expect(api.article("a")).rejects.toMatchObject({ kind: "garbled", status: 200 });
});

test("no connection is a network error, an abort stays an abort", async () => {
  vi.useFakeTimers();
  await expect(api.article("a")).rejects.toMatchObject({ kind: "network" });
  const stop = new AbortController();
  stop.abort();
  expect(isAbort(await api.article("a", stop.signal).catch((e: unknown) => e))).toBe(true);
});

test("unsafe calls carry an idempotency key, reading ones do not", async () => {
  answers = [new Response("{}"), new Response(null, { status: 204 })];
  await api.article("a");
  await api.deleteDraft("a");
  expect(sent[0]!.headers.get("idempotency-key")).toBeNull();
  expect(sent[1]!.headers.get("idempotency-key")).toMatch(/^[0-9a-f-]{36}$/);
});

test("after a 401 the key is asked for once, and the same call is sent again with it", async () => {
  answers = [problem(401, { title: "An API key is needed", code: "unauthorized" }), problem(401, { title: "An API key is needed", code: "unauthorized" }), new Response('{"id":"a"}'), new Response('{"id":"b"}')];
  const both = Promise.all([api.restore("a", 1), api.restore("b", 1)]);
  await vi.waitFor(() => expect(asking.value).toEqual({ refused: false }));
  giveKey("secret");
  expect(await both).toEqual([{ id: "a" }, { id: "b" }]);
  expect(sent.map((r) => r.headers.get("authorization"))).toEqual([null, null, "Bearer secret", "Bearer secret"]);
  expect(sent[2]!.headers.get("idempotency-key")).toBe(sent[0]!.headers.get("idempotency-key"));
});

test("who gives no key gets the problem", async () => {
  answers = [problem(401, { title: "An API key is needed", code: "unauthorized", hint: "Send it." })];
  const call = api.article("a").catch((e: unknown) => e);
  await vi.waitFor(() => expect(asking.value).not.toBeNull());
  giveKey(null);
  expect(await call).toMatchObject({ status: 401, code: "unauthorized", hint: "Send it." });
});
