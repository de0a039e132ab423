// What the page says. Both languages ship with it: they are small, and switching is at once.

import { watch } from "vue";
import { createI18n } from "vue-i18n";
import en from "./locales/en.json";
import zh from "./locales/zh.json";
import { lang } from "./state/ui";

export const i18n = createI18n({
  legacy: false,
  locale: lang.value,
  fallbackLocale: "en",
  messages: { en, zh },
});

watch(lang, (next) => (i18n.global.locale.value = next), { flush: "sync" });

export const t = i18n.global.t;

/** Words for a code that the service chose; one that this page does not know yet is shown as it came. */
export function worded(table: string, code: string): string {
  const key = `${table}.${code}`;
  return i18n.global.te(key, "en") ? t(key) : code;
}
