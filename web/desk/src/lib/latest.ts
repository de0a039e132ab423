// Asks as somebody types: waits for a pause, drops what is out of date, and tells only about the newest question.

export interface Told<Q, A> {
  started(question: Q): void;
  answered(answer: A, question: Q): void;
  failed(error: unknown, question: Q): void;
}

export interface Latest<Q> {
  /** Asks after the pause, or at once. A question before this one is never told about again. */
  ask(question: Q, atOnce?: boolean): void;
  /** Forgets the question on its way. */
  cancel(): void;
}

export function latest<Q, A>(run: (question: Q, signal: AbortSignal) => Promise<A>, pauseMs: number, told: Told<Q, A>): Latest<Q> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let running: AbortController | undefined;

  async function start(question: Q) {
    const mine = (running = new AbortController());
    told.started(question);
    try {
      const answer = await run(question, mine.signal);
      // An answer may still arrive after it was aborted, when its body was read already.
      if (running === mine) told.answered(answer, question);
    } catch (error) {
      if (running === mine) told.failed(error, question);
    }
  }

  function cancel() {
    clearTimeout(timer);
    running?.abort();
    running = undefined;
  }

  return {
    cancel,
    ask(question, atOnce = false) {
      cancel();
      if (atOnce) void start(question);
      else timer = setTimeout(() => void start(question), pauseMs);
    },
  };
}
