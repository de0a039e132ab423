// The articles that say the same in another language. The list has no filter for that, so the other language's articles are
// read through; knowledge bases of shops have some hundreds, and past the limit below the rest is left out.

import { api } from "../../api";
import type { Article } from "../../types";

const MOST_PAGES = 10;

export async function translationsOf(article: Article, signal: AbortSignal): Promise<Article[]> {
  const root = article.translation_of ?? article.id;
  const found: Article[] = [];
  let cursor: string | undefined;
  for (let page = 0; page < MOST_PAGES; page++) {
    const answer = await api.articles({ cursor, limit: 200 }, signal);
    // The original itself, and all that were translated from the same one.
    found.push(...answer.items.filter((a) => a.id !== article.id && (a.id === root || a.translation_of === root || a.translation_of === article.id)));
    cursor = answer.next_cursor ?? undefined;
    if (!cursor) break;
  }
  return found;
}
