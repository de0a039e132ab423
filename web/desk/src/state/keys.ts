// Keys that work anywhere on a page: one listener, and the page that came last is asked first.

import { onScopeDispose } from "vue";

/** By `KeyboardEvent.key`. A handler that returns false lets the key go on. */
export type Keys = Record<string, (event: KeyboardEvent) => void | false>;

/** The key that goes with letters on this machine. */
export const MOD = /Mac|iPhone|iPad/.test(navigator.platform) ? "⌘" : "Ctrl";

const stack: Keys[] = [];

const editable = (target: EventTarget | null) =>
  target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName) || target.getAttribute("role") === "combobox");

/** An open dialog has the keyboard to itself. */
const inDialog = () => Array.from(document.querySelectorAll("[aria-modal='true']")).some((node) => node.checkVisibility());

function pressed(event: KeyboardEvent): void {
  if (event.defaultPrevented || event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
  if (editable(event.target) || inDialog()) return;
  for (let i = stack.length - 1; i >= 0; i--) {
    const handler = stack[i]![event.key];
    if (handler && handler(event) !== false) {
      event.preventDefault();
      return;
    }
  }
}

export function useKeys(keys: Keys): void {
  if (stack.length === 0) addEventListener("keydown", pressed);
  stack.push(keys);
  onScopeDispose(() => stack.splice(stack.indexOf(keys), 1));
}
