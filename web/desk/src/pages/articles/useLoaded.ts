// What a part of the page is made of: asked for at once, again on demand, and no longer when the part is gone.
import { onScopeDispose, shallowRef } from "vue";
import { isAbort } from "../../api";

export function useLoaded<T>(fetch: (signal: AbortSignal) => Promise<T>, loaded: (value: T) => void = () => {}) {
  const value = shallowRef<T | null>(null);
  const error = shallowRef<unknown>(null);
  const life = new AbortController();
  onScopeDispose(() => life.abort());

  async function load() {
    error.value = null;
    try {
      value.value = await fetch(life.signal);
      loaded(value.value);
    } catch (fault) {
      if (!isAbort(fault)) error.value = fault;
    }
  }
  void load();

  return { value, error, load };
}
