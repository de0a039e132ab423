// The whole article or ticket behind a hit. Kept for a minute: moving up and down a list asks for nothing twice.

import { api, isNotFound } from "../api";
import type { Article, Hit, HitKind, Ticket } from "../types";

/** A ticket is `part` of itself where only the hit told about it. */
export type Content = { kind: "article"; article: Article } | { kind: "ticket"; ticket: Ticket; part: boolean };

export interface Wanted {
  kind: HitKind;
  id: string;
  hit?: Hit | undefined;
}

const FRESH_MS = 60_000;
const kept = new Map<string, { content: Content; at: number }>();

/** Null where it is gone. */
export async function load({ kind, id, hit }: Wanted, signal?: AbortSignal): Promise<Content | null> {
  const key = `${kind}:${id}`;
  const known = kept.get(key);
  if (known && Date.now() - known.at < FRESH_MS) return known.content;
  let content: Content | null;
  try {
    content = kind === "article" ? { kind, article: await api.article(id, signal) } : { kind, ticket: await api.ticket(id, signal), part: false };
  } catch (error) {
    if (!isNotFound(error)) throw error;
    // A service that gives no single tickets out still told with the hit how it was solved.
    content = hit?.kind === "ticket" ? { kind: "ticket", ticket: { ...hit, text: `${hit.title}\n${hit.excerpt}`.trim() }, part: true } : null;
  }
  if (content) {
    if (kept.size > 100) kept.clear();
    kept.set(key, { content, at: Date.now() });
  }
  return content;
}

/** After something was published or taken away, nobody may copy the words of before. */
export const forgetContent = (): void => kept.clear();

/** What an agent copies: the answer of an article, or how a ticket was solved. */
export const answerOf = (content: Content): string => (content.kind === "article" ? content.article.answer : (content.ticket.resolution ?? ""));
