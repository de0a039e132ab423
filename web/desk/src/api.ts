// The service's API, as far as the desk needs it.

import { uuid } from "./lib/ids";
import { heard } from "./state/connection";
import { apiKey, askForKey } from "./state/key";
import type {
  Article, ArticleUsage, ArticleVersion, Draft, DraftState, Gap, Incident, Items, NewArticle, Page, Problem, SearchAnswer, StaleArticle, Ticket,
} from "./types";

const TIMEOUT_MS = 30_000;

export type FaultKind = "problem" | "network" | "timeout" | "garbled";

/** Everything that can go wrong with a call, but for its being aborted. */
export class ApiError extends Error {
  override name = "ApiError";

  constructor(
    readonly kind: FaultKind,
    readonly status: number,
    readonly code: string,
    readonly title: string,
    readonly detail: string,
    readonly hint: string,
    readonly requestId: string,
  ) {
    super(detail || title || code);
  }
}

export const isAbort = (error: unknown): boolean => error instanceof DOMException && error.name === "AbortError";
export const isNotFound = (error: unknown): boolean => error instanceof ApiError && error.status === 404;

/** An answer that is no success, as an error; bodies that are no problem+json come from something in between. */
export function faultOf(status: number, body: string, requestId: string): ApiError {
  let problem: Partial<Record<keyof Problem, unknown>> | null = null;
  try {
    const parsed: unknown = JSON.parse(body);
    if (parsed !== null && typeof parsed === "object" && "title" in parsed) problem = parsed;
  } catch {
    // Answered below.
  }
  if (!problem) return new ApiError("garbled", status, "", "", body.trim().slice(0, 300), "", requestId);
  const words = (value: unknown) => (typeof value === "string" ? value.trim() : "");
  return new ApiError("problem", status, words(problem.code), words(problem.title), words(problem.detail), words(problem.hint), words(problem.request_id) || requestId);
}

type Query = Record<string, string | number | undefined>;

interface Call {
  method?: "GET" | "POST" | "PUT" | "DELETE";
  query?: Query;
  body?: unknown;
  signal?: AbortSignal | undefined;
}

/** Relative to the page, so that it also works behind a path prefix. Empty values of the query are left out. */
export function address(path: string, query: Query = {}, base = document.baseURI): string {
  const url = new URL(`../v1/${path}`, base);
  url.hash = "";
  url.search = "";
  for (const [name, value] of Object.entries(query)) if (value !== undefined && value !== "") url.searchParams.set(name, String(value));
  return url.href;
}

async function call<T>(path: string, { method = "GET", query, body, signal }: Call = {}): Promise<T> {
  const headers: Record<string, string> = { Accept: "application/json, application/problem+json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  // The same key for every try of this call: what was done once is not done again.
  if (method !== "GET") headers["Idempotency-Key"] = uuid();
  for (;;) {
    const sentKey = apiKey.value;
    if (sentKey) headers.Authorization = `Bearer ${sentKey}`;
    const { response, text } = await send(address(path, query), { method, headers, body: body === undefined ? null : JSON.stringify(body) }, signal);
    if (response.ok) return parsed<T>(response.status, text, response);
    if (response.status === 401 && (await askForKey(sentKey))) {
      signal?.throwIfAborted();
      continue;
    }
    throw faultOf(response.status, text, response.headers.get("x-request-id") ?? "");
  }
}

function parsed<T>(status: number, text: string, response: Response): T {
  if (status === 204 || text === "") return undefined as T;
  try {
    return JSON.parse(text) as T;
  } catch {
    throw new ApiError("garbled", status, "", "", text.trim().slice(0, 300), "", response.headers.get("x-request-id") ?? "");
  }
}

async function send(url: string, init: RequestInit, signal: AbortSignal | undefined): Promise<{ response: Response; text: string }> {
  const late = AbortSignal.timeout(TIMEOUT_MS);
  try {
    const response = await fetch(url, { ...init, signal: signal ? AbortSignal.any([signal, late]) : late });
    const text = await response.text();
    heard(true);
    return { response, text };
  } catch (error) {
    if (signal?.aborted) throw new DOMException("superseded", "AbortError");
    if (late.aborted) throw new ApiError("timeout", 0, "", "", url, "", "");
    heard(false);
    throw new ApiError("network", 0, "", "", error instanceof Error ? error.message : String(error), "", "");
  }
}

const id = encodeURIComponent;

export interface SearchQuery {
  q: string;
  kind: "all" | "article" | "ticket";
  lang: string;
  limit?: number;
}

export interface ListQuery {
  q?: string;
  lang?: string;
  category?: string;
  audience?: string;
  cursor?: string | undefined;
  limit?: number;
}

export const api = {
  search: (query: SearchQuery, signal?: AbortSignal) => call<SearchAnswer>("search", { query: { ...query }, signal }),
  ticket: (ticket: string, signal?: AbortSignal) => call<Ticket>(`tickets/${id(ticket)}`, { signal }),

  articles: (query: ListQuery, signal?: AbortSignal) => call<Page<Article>>("articles", { query: { ...query }, signal }),
  article: (article: string, signal?: AbortSignal) => call<Article>(`articles/${id(article)}`, { signal }),
  archive: (article: string) => call<void>(`articles/${id(article)}`, { method: "DELETE" }),
  versions: (article: string, signal?: AbortSignal) => call<Items<ArticleVersion>>(`articles/${id(article)}/versions`, { signal }),
  restore: (article: string, version: number) => call<Article>(`articles/${id(article)}/restore`, { method: "POST", body: { version } }),
  usage: (article: string, signal?: AbortSignal) => call<ArticleUsage>(`articles/${id(article)}/usage`, { signal }),

  drafts: (state: DraftState | "", signal?: AbortSignal) => call<Items<Draft>>("drafts", { query: { state }, signal }),
  draft: (article: string, signal?: AbortSignal) => call<Draft>(`drafts/${id(article)}`, { signal }),
  saveDraft: (article: string, content: NewArticle) => call<Draft>(`drafts/${id(article)}`, { method: "PUT", body: { article: content } }),
  submitDraft: (article: string, note: string) => call<Draft>(`drafts/${id(article)}/submit`, { method: "POST", body: note ? { note } : {} }),
  returnDraft: (article: string, note: string) => call<Draft>(`drafts/${id(article)}/return`, { method: "POST", body: { note } }),
  publishDraft: (article: string, force: boolean) => call<Article>(`drafts/${id(article)}/publish`, { method: "POST", body: force ? { force } : {} }),
  deleteDraft: (article: string) => call<void>(`drafts/${id(article)}`, { method: "DELETE" }),

  gaps: (days: number, signal?: AbortSignal) => call<Items<Gap>>("knowledge/gaps", { query: { days, limit: 50 }, signal }),
  stale: (days: number, signal?: AbortSignal) => call<Items<StaleArticle>>("knowledge/stale", { query: { days }, signal }),
  incidents: (hours: number, signal?: AbortSignal) => call<Items<Incident>>("incidents", { query: { hours }, signal }),
};

/** The article in a draft's PUT is the same shape without its id; this takes the id off. */
export function withoutId(article: Article): NewArticle {
  const { id: _, ...content } = article;
  return content;
}
