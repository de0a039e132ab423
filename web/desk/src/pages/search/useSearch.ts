// The state of the search: the question, its filters, the newest answer. The address follows, so a search can be shared.

import { computed, onScopeDispose, ref, shallowRef, watch } from "vue";
import { useRoute, useRouter } from "vue-router";
import { api } from "../../api";
import { latest } from "../../lib/latest";
import { session } from "../../lib/memory";
import { onBack } from "../../state/connection";
import type { HitKind, SearchAnswer } from "../../types";

export type Kind = "all" | HitKind;

interface Question {
  q: string;
  kind: Kind;
  lang: string;
}

export interface Opened {
  kind: HitKind;
  id: string;
}

const PAUSE_MS = 120;
const RECENT_KEY = "fenzhen.desk.recent";

export function useSearch() {
  const route = useRoute();
  const router = useRouter();
  const param = (name: string) => (typeof route.query[name] === "string" ? route.query[name] : "");

  const q = ref(param("q"));
  const kind = ref<Kind>(param("kind") === "article" || param("kind") === "ticket" ? (param("kind") as Kind) : "all");
  const lang = ref(param("lang") === "zh" || param("lang") === "en" ? param("lang") : "");
  const opened = ref<Opened | null>(parseOpened(param("open")));

  const answer = shallowRef<SearchAnswer | null>(null);
  /** What the answer on the screen is about. */
  const answered = ref("");
  const error = shallowRef<unknown>(null);
  const waiting = ref(false);
  const hits = computed(() => answer.value?.items ?? []);
  const recent = ref<string[]>(readRecent());

  const asker = latest(({ q, kind, lang }: Question, signal) => api.search({ q, kind, lang, limit: 20 }, signal), PAUSE_MS, {
    started: () => (waiting.value = true),
    answered(next, question) {
      answer.value = next;
      answered.value = question.q;
      error.value = null;
      waiting.value = false;
    },
    failed(fault) {
      error.value = fault;
      waiting.value = false;
    },
  });

  function search(atOnce = false) {
    const words = q.value.trim();
    if (words === "") {
      asker.cancel();
      answer.value = null;
      answered.value = "";
      error.value = null;
      waiting.value = false;
      return;
    }
    asker.ask({ q: words, kind: kind.value, lang: lang.value }, atOnce);
  }

  watch(q, () => search());
  watch([kind, lang], () => search(true));
  watch([answered, kind, lang, opened], () => {
    const query: Record<string, string> = {};
    if (q.value.trim()) query.q = q.value.trim();
    if (kind.value !== "all") query.kind = kind.value;
    if (lang.value) query.lang = lang.value;
    if (opened.value) query.open = `${opened.value.kind}:${opened.value.id}`;
    void router.replace({ name: "search", query });
  });
  onBack(() => search(true));
  onScopeDispose(() => asker.cancel());
  if (q.value) search(true);

  /** Kept for this tab: what an agent looked for and then used. */
  function remember() {
    const words = answered.value;
    if (!words) return;
    recent.value = [words, ...recent.value.filter((w) => w !== words)].slice(0, 6);
    session.set(RECENT_KEY, JSON.stringify(recent.value));
  }

  return { q, kind, lang, opened, answer, answered, error, waiting, hits, recent, search, remember };
}

function parseOpened(value: string): Opened | null {
  const [, kind, id] = /^(article|ticket):(.+)$/s.exec(value) ?? [];
  return kind && id ? { kind: kind as HitKind, id } : null;
}

function readRecent(): string[] {
  try {
    const kept: unknown = JSON.parse(session.get(RECENT_KEY) ?? "[]");
    return Array.isArray(kept) ? kept.filter((w): w is string => typeof w === "string") : [];
  } catch {
    return [];
  }
}
