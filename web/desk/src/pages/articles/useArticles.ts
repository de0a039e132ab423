// The list of published articles: filters in the address, pages by cursor.

import { computed, onScopeDispose, reactive, ref, shallowRef, watch } from "vue";
import { useRoute, useRouter } from "vue-router";
import { api, type ListQuery } from "../../api";
import { latest } from "../../lib/latest";
import { onBack } from "../../state/connection";
import type { Article, Page } from "../../types";

const LIMIT = 50;

/** Categories that were seen in this tab, and those above them, to choose from: the service has no list of them. */
const categories = ref<string[]>([]);

export function useArticles() {
  const route = useRoute();
  const router = useRouter();
  const param = (name: string) => (typeof route.query[name] === "string" ? route.query[name] : "");
  const filter = reactive({ q: param("q"), lang: param("lang"), category: param("category"), audience: param("audience") });

  const items = shallowRef<Article[] | null>(null);
  const cursor = ref<string | undefined>();
  const error = shallowRef<unknown>(null);
  const waiting = ref(false);
  const filtered = computed(() => Object.values(filter).some(Boolean));

  const asker = latest((query: ListQuery, signal) => api.articles(query, signal), 150, {
    started: () => (waiting.value = true),
    answered(page: Page<Article>, query) {
      items.value = query.cursor ? [...(items.value ?? []), ...page.items] : page.items;
      cursor.value = page.next_cursor ?? undefined;
      error.value = null;
      waiting.value = false;
      const seen = new Set([...categories.value, ...page.items.flatMap((a) => (a.category ? upwards(a.category) : []))]);
      if (seen.size > categories.value.length) categories.value = [...seen].sort();
    },
    failed(fault) {
      error.value = fault;
      waiting.value = false;
    },
  });

  const query = (): ListQuery => ({ q: filter.q.trim(), lang: filter.lang, category: filter.category.trim(), audience: filter.audience, limit: LIMIT });
  const load = (atOnce = false) => asker.ask(query(), atOnce);
  const more = () => asker.ask({ ...query(), cursor: cursor.value }, true);

  watch(filter, () => {
    void router.replace({ name: "articles", query: Object.fromEntries(Object.entries(filter).filter(([, value]) => value)) });
    load();
  });
  onBack(() => load(true));
  onScopeDispose(() => asker.cancel());
  load(true);

  function clear() {
    Object.assign(filter, { q: "", lang: "", category: "", audience: "" });
  }

  return { filter, filtered, items, cursor, error, waiting, load, more, clear };
}

/** `配送/海外` stands in `配送` too: the service finds it under both. */
function upwards(category: string): string[] {
  const parts = category.split("/");
  return parts.map((_, i) => parts.slice(0, i + 1).join("/"));
}

export { categories };
