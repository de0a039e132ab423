// The look of the desk: its language and theme. Both follow the browser until somebody chooses, and the choice is kept.

import { computed, ref, watchEffect } from "vue";
import { local } from "../lib/memory";
import type { Lang } from "../types";

export type Theme = "system" | "light" | "dark";

// The start page keeps its language under the same name: who chose there need not choose again.
const LANG_KEY = "fenzhen.ui";
const THEME_KEY = "fenzhen.theme";

function firstLang(): Lang {
  const kept = local.get(LANG_KEY);
  if (kept === "zh" || kept === "en") return kept;
  return navigator.languages.some((tag) => tag.toLowerCase().startsWith("zh")) ? "zh" : "en";
}

function firstTheme(): Theme {
  const kept = local.get(THEME_KEY);
  return kept === "light" || kept === "dark" ? kept : "system";
}

export const lang = ref<Lang>(firstLang());
export const theme = ref<Theme>(firstTheme());
/** For Intl and the `lang` attribute. */
export const locale = computed(() => (lang.value === "zh" ? "zh-CN" : "en"));

const systemDark = ref(false);
export const dark = computed(() => theme.value === "dark" || (theme.value === "system" && systemDark.value));

export function chooseLang(next: Lang): void {
  lang.value = next;
  local.set(LANG_KEY, next);
}

export function chooseTheme(next: Theme): void {
  theme.value = next;
  local.set(THEME_KEY, next === "system" ? null : next);
}

/** True while the window is too narrow for a list and a panel side by side. */
export const narrow = ref(false);

function follow(query: string, into: { value: boolean }) {
  const media = matchMedia(query);
  into.value = media.matches;
  media.addEventListener("change", () => (into.value = media.matches));
}

export function startUi(): void {
  follow("(prefers-color-scheme: dark)", systemDark);
  follow("(max-width: 63.99rem)", narrow);
  watchEffect(() => {
    document.documentElement.lang = locale.value;
    document.documentElement.classList.toggle("dark", dark.value);
    document.documentElement.classList.toggle("light", !dark.value);
  });
}
