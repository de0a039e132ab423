// An article that waits to be opened in the editor: a gap's proposal, a translation, a question that found nothing.

import type { Article } from "../types";

let seed: Partial<Article> | null = null;

export function plantSeed(article: Partial<Article>): void {
  seed = article;
}

/** Given out once. */
export function takeSeed(): Partial<Article> | null {
  const taken = seed;
  seed = null;
  return taken;
}
