// An article as a form holds it: every field is there, none is null, times are those of the reader's zone.

import { fromField, toField } from "./time";
import type { Article, Attachment, Audience, Lang, NewArticle } from "../types";

export interface ArticleForm {
  id: string;
  lang: Lang;
  question: string;
  answer: string;
  intent: string;
  category: string;
  audience: Audience;
  valid_from: string;
  valid_until: string;
  translation_of: string;
  attachments: Attachment[];
  source: string;
}

export function toForm(article: Partial<Article>): ArticleForm {
  return {
    id: article.id ?? "",
    lang: article.lang ?? "zh",
    question: article.question ?? "",
    answer: article.answer ?? "",
    intent: article.intent ?? "",
    category: article.category ?? "",
    audience: article.audience ?? "customer",
    valid_from: toField(article.valid_from),
    valid_until: toField(article.valid_until),
    translation_of: article.translation_of ?? "",
    attachments: (article.attachments ?? []).map(({ name, text }) => ({ name, text })),
    source: article.source ?? "",
  };
}

/**
 * The article that a form describes. Empty fields are left out, since the service takes absence and not "".
 * A time that was not touched keeps its seconds, which a form cannot hold: `before` is where it came from.
 */
export function fromForm(form: ArticleForm, before?: Partial<Article>): NewArticle {
  const article: NewArticle = { lang: form.lang, question: form.question.trim(), answer: form.answer.trim() };
  for (const field of ["intent", "category", "translation_of", "source"] as const) {
    const value = form[field].trim();
    if (value) article[field] = value;
  }
  if (form.audience === "agent") article.audience = "agent";
  for (const field of ["valid_from", "valid_until"] as const) {
    const value = form[field] === toField(before?.[field]) ? before?.[field] : fromField(form[field]);
    if (value) article[field] = value;
  }
  const attachments = form.attachments.filter((a) => a.name.trim() || a.text.trim());
  if (attachments.length > 0) article.attachments = attachments.map(({ name, text }) => ({ name: name.trim(), text }));
  return article;
}

export type FormFault = "question" | "answer" | "too_long" | "dates" | "attachment_name" | "itself";

/** Characters of a question or an answer, and of all attachments together; the service refuses more. */
export const MOST_CHARS = 20_000;

/** What the service would refuse, found before it is asked. */
export function faults(form: ArticleForm): FormFault[] {
  const found: FormFault[] = [];
  const chars = (text: string) => (text.length <= MOST_CHARS ? text.length : Array.from(text).length);
  if (!form.question.trim()) found.push("question");
  if (!form.answer.trim()) found.push("answer");
  const attached = form.attachments.reduce((sum, a) => sum + chars(a.text), 0);
  if ([chars(form.question), chars(form.answer), attached].some((n) => n > MOST_CHARS)) found.push("too_long");
  if (form.valid_from && form.valid_until && form.valid_from >= form.valid_until) found.push("dates");
  if (form.attachments.some((a) => a.text.trim() && !a.name.trim())) found.push("attachment_name");
  if (form.translation_of && form.translation_of === form.id) found.push("itself");
  return found;
}

export interface FieldChange {
  field: keyof Article;
  before: string;
  after: string;
}

const FIELDS = ["question", "answer", "lang", "category", "intent", "audience", "valid_from", "valid_until", "translation_of", "attachments", "source"] as const;

/** The fields in which two articles differ, as texts that can be laid side by side. */
export function changes(before: Partial<Article>, after: Partial<Article>): FieldChange[] {
  return FIELDS.map((field) => ({ field, before: asText(before, field), after: asText(after, field) })).filter((c) => c.before !== c.after);
}

function asText(article: Partial<Article>, field: (typeof FIELDS)[number]): string {
  if (field === "attachments") return (article.attachments ?? []).map((a) => `${a.name}\n${a.text}`).join("\n\n");
  if (field === "audience") return article.audience ?? "customer";
  return article[field] ?? "";
}
