// One draft being edited: what the service has, what the form has, and what is kept in the tab until both agree.

import { computed, onScopeDispose, reactive, ref, shallowRef, watch } from "vue";
import { api, isAbort, isNotFound } from "../../api";
import { faults, fromForm, toForm, type ArticleForm } from "../../lib/form";
import { articleId } from "../../lib/ids";
import { session } from "../../lib/memory";
import { lang } from "../../state/ui";
import type { Article, Draft } from "../../types";

const keyOf = (id: string) => `fenzhen.desk.draft.${id || "new"}`;
const snapshot = (form: ArticleForm) => JSON.stringify(form);

export function keptForm(id: string): ArticleForm | null {
  try {
    const kept = JSON.parse(session.get(keyOf(id)) ?? "null") as Partial<ArticleForm> | null;
    // Over an empty form: a field that an older desk did not keep is there all the same.
    return kept && typeof kept.question === "string" ? { ...toForm({}), ...kept } : null;
  } catch {
    return null;
  }
}

export const forgetForm = (id: string): void => session.set(keyOf(id), null);

export function useDraft() {
  /** The id in the address; empty for a new article that was never saved. */
  const id = ref("");
  const form = reactive<ArticleForm>(toForm({}));
  const draft = shallowRef<Draft | null>(null);
  const published = shallowRef<Article | null>(null);
  const newest = ref<number | null>(null);
  const loaded = ref(false);
  const gone = ref(false);
  const restored = ref(false);
  const error = shallowRef<unknown>(null);
  const saved = ref("");
  const now = computed(() => snapshot(form));
  const dirty = computed(() => loaded.value && now.value !== saved.value);
  const wrong = computed(() => faults(form));
  /** Somebody published another version since the draft was made. */
  const behind = computed(() => draft.value !== null && newest.value !== null && newest.value !== draft.value.base_version);

  let life = new AbortController();
  let keeping: ReturnType<typeof setTimeout> | undefined;

  function keep() {
    clearTimeout(keeping);
    if (loaded.value) session.set(keyOf(id.value), dirty.value ? now.value : null);
  }
  watch(now, () => {
    clearTimeout(keeping);
    keeping = setTimeout(keep, 300);
  });
  onScopeDispose(() => {
    keep();
    life.abort();
  });

  function begin(next: string) {
    keep();
    life.abort();
    life = new AbortController();
    id.value = next;
    loaded.value = gone.value = restored.value = false;
    error.value = draft.value = published.value = newest.value = null;
  }

  /** A new article: from a seed, from what was kept, or empty. */
  function start(seed: Partial<Article> | null) {
    begin("");
    const kept = seed ? null : keptForm("");
    const first = toForm({ lang: lang.value, ...seed });
    first.id = articleId(first.lang);
    // A seed is work that is nowhere else yet: it counts as unsaved.
    saved.value = snapshot(seed ? toForm({}) : first);
    Object.assign(form, kept ?? first);
    restored.value = kept !== null;
    loaded.value = true;
    keep();
  }

  async function load(next: string) {
    begin(next);
    const kept = keptForm(next);
    const { signal } = life;
    try {
      draft.value = await api.draft(next, signal);
      const first = toForm(draft.value.article);
      saved.value = snapshot(first);
      Object.assign(form, kept ?? first);
      restored.value = kept !== null && snapshot(kept) !== saved.value;
      loaded.value = true;
      void compare(next, signal);
    } catch (fault) {
      if (isAbort(fault)) return;
      gone.value = isNotFound(fault);
      if (gone.value && kept) {
        Object.assign(form, kept);
        saved.value = "";
        restored.value = loaded.value = true;
      } else {
        error.value = fault;
      }
    }
  }

  /** What is published now, to show what the draft changes. Nothing depends on it, so its faults are silent. */
  async function compare(next: string, signal: AbortSignal) {
    const last = await api.versions(next, signal).then((answer) => answer.items[0], () => undefined);
    if (signal.aborted) return;
    published.value = last?.article ?? null;
    newest.value = last?.version ?? null;
  }

  function discard() {
    if (id.value === "") return start(null);
    Object.assign(form, toForm(draft.value?.article ?? {}));
    restored.value = false;
    keep();
  }

  /** Sends the form. What is typed meanwhile stays unsaved. */
  async function save(): Promise<void> {
    const sent = snapshot(form);
    const target = id.value || form.id.trim();
    const before = draft.value?.article;
    draft.value = await api.saveDraft(target, fromForm(form, before));
    if (id.value === "") forgetForm("");
    id.value = target;
    form.id = target;
    saved.value = snapshot({ ...(JSON.parse(sent) as ArticleForm), id: target });
    gone.value = restored.value = false;
    keep();
    void compare(target, life.signal);
  }

  /** After publishing or deleting there is nothing left to keep. */
  function finish() {
    saved.value = now.value;
    keep();
  }

  return { id, form, draft, published, newest, loaded, gone, restored, error, dirty, wrong, behind, start, load, discard, save, finish };
}
