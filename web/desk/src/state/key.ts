// The API key: asked for when the service answers 401, kept for this tab only.

import { ref } from "vue";
import { session } from "../lib/memory";

// The start page's name for it, so that one entry serves both.
const KEY = "fenzhen.key";

export const apiKey = ref(session.get(KEY));
/** Set while the dialog is open; `refused` when a key was sent and not accepted. */
export const asking = ref<{ refused: boolean } | null>(null);

let waiting: { answer: Promise<boolean>; settle: (given: boolean) => void } | null = null;

/** Asks once, however many requests wait for it. True when there is a key to try. */
export function askForKey(sentKey: string | null): Promise<boolean> {
  // Another request's dialog brought a new key while this one was on its way.
  if (sentKey !== apiKey.value && apiKey.value !== null) return Promise.resolve(true);
  if (!waiting) {
    let settle: (given: boolean) => void = () => {};
    const answer = new Promise<boolean>((resolve) => (settle = resolve));
    waiting = { answer, settle };
    asking.value = { refused: sentKey !== null };
  }
  return waiting.answer;
}

export function giveKey(key: string | null): void {
  if (key !== null) rememberKey(key);
  asking.value = null;
  waiting?.settle(key !== null);
  waiting = null;
}

export function rememberKey(key: string | null): void {
  apiKey.value = key;
  session.set(KEY, key);
}

/** A header value is Latin-1 without controls: anything else would only fail later, and less clearly. */
export const usableKey = (key: string): boolean => /^[\x21-\x7e]+$/.test(key);
