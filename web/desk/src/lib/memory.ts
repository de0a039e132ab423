// The browser's storage, where it may be used: in some private windows and frames every access throws.

function on(area: () => Storage) {
  return {
    get(key: string): string | null {
      try {
        return area().getItem(key);
      } catch {
        return null;
      }
    },
    /** `null` forgets the key. */
    set(key: string, value: string | null): void {
      try {
        if (value === null) area().removeItem(key);
        else area().setItem(key, value);
      } catch {
        // Not kept: the page works on without.
      }
    },
  };
}

export const local = on(() => localStorage);
export const session = on(() => sessionStorage);
