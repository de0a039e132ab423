// Short messages: one at a time on the screen, and read out by screen readers.

import { ref } from "vue";

export interface Toast {
  text: string;
  bad: boolean;
}

export const toast = ref<Toast | null>(null);
/** What the page's live region says. */
export const spoken = ref("");

let timer: ReturnType<typeof setTimeout> | undefined;

export function say(text: string): void {
  // The same words twice are only read out again when the region changes: a space at the end makes it so.
  spoken.value = spoken.value === text ? `${text}\u00a0` : text;
}

export function notify(text: string, bad = false): void {
  toast.value = { text, bad };
  say(text);
  clearTimeout(timer);
  timer = setTimeout(() => (toast.value = null), bad ? 6000 : 2500);
}
