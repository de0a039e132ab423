// Whether the service can be reached, for the head and the notice below it.

import { onScopeDispose, ref } from "vue";

export type Service = "unknown" | "ready" | "loading" | "unreachable";

export const online = ref(navigator.onLine);
export const service = ref<Service>("unknown");

const back = new Set<() => void>();
let timer: ReturnType<typeof setTimeout> | undefined;

/** Runs when the connection has come back, as long as the component lives. */
export function onBack(run: () => void): void {
  back.add(run);
  onScopeDispose(() => back.delete(run));
}

/** What a request learned: a network error turns the light red, and an answer turns it green again. */
export function heard(reached: boolean): void {
  if (!reached) {
    service.value = "unreachable";
    void again(2000);
  } else if (service.value === "unreachable") {
    void probe();
  }
}

function again(ms: number) {
  clearTimeout(timer);
  timer = setTimeout(() => void probe(), ms);
}

async function probe(): Promise<void> {
  const before = service.value;
  try {
    const response = await fetch(new URL("../readyz", document.baseURI), { cache: "no-store", signal: AbortSignal.timeout(8000) });
    service.value = response.ok ? "ready" : "loading";
  } catch {
    service.value = "unreachable";
  }
  if (service.value === "ready" && before === "unreachable") for (const run of back) run();
  if (service.value !== "ready") again(service.value === "loading" ? 1500 : 5000);
}

export function startConnection(): void {
  addEventListener("online", () => {
    online.value = true;
    void probe();
  });
  addEventListener("offline", () => (online.value = false));
  void probe();
}
