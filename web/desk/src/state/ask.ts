// Questions before something is done: one dialog for the whole desk.

import { shallowRef } from "vue";

export interface Choice {
  id: string;
  label: string;
  kind?: "primary" | "danger";
}

export interface Question {
  title: string;
  text: string;
  choices: Choice[];
  /** Asks for a line of words too; `required` where nothing can be chosen without. */
  note?: { label: string; required: boolean };
}

export interface Answer {
  choice: string;
  note: string;
}

export const question = shallowRef<(Question & { settle: (answer: Answer | null) => void }) | null>(null);

/** `null` when the dialog was closed without a choice. */
export function ask(asked: Question): Promise<Answer | null> {
  question.value?.settle(null);
  return new Promise((resolve) => {
    question.value = {
      ...asked,
      settle(answer) {
        question.value = null;
        resolve(answer);
      },
    };
  });
}
