// The wire shapes that the desk stands on, as the service documents them in /openapi.json.

export type Lang = "zh" | "en";
export type Audience = "customer" | "agent";
export type TicketState = "open" | "pending" | "resolved" | "closed";
export type Outcome = "accepted" | "edited" | "rejected";
/** Start and end (exclusive) in code points. */
export type Mark = [start: number, end: number];

export interface Attachment {
  name: string;
  text: string;
}

export interface Article {
  id: string;
  lang: Lang;
  question: string;
  answer: string;
  intent?: string;
  category?: string;
  /** Customers, where it is absent. */
  audience?: Audience;
  valid_from?: string;
  valid_until?: string;
  translation_of?: string;
  attachments?: Attachment[];
  source?: string;
}

export type NewArticle = Omit<Article, "id">;

export interface Page<T> {
  items: T[];
  next_cursor?: string | null;
}

export interface Items<T> {
  items: T[];
}

export interface ArticleVersion {
  version: number;
  created_at: string;
  /** Taken out of force here; there is no article then. */
  deleted: boolean;
  note: string | null;
  article: Article | null;
}

export interface ArticleUsage {
  /** Recorded messages that it was shown with. */
  shown: number;
  /** Those to which its words were the reply. */
  replied: number;
  accepted: number;
  edited: number;
  rejected: number;
  success_rate: number | null;
  tickets: UsedOn[];
}

export interface UsedOn {
  triage_id: string;
  text: string;
  created_at: string;
  outcome: Outcome | null;
}

export type DraftState = "draft" | "review";

export interface Draft {
  article: Article;
  state: DraftState;
  base_version: number | null;
  note: string | null;
  updated_at: string;
}

export type HitKind = "article" | "ticket";

export interface Why {
  cosine: number | null;
  terms: string[];
  intent: number;
}

export interface Hit {
  kind: HitKind;
  id: string;
  title: string;
  excerpt: string;
  lang: Lang | null;
  intent?: string | null;
  state?: TicketState;
  /** How a ticket was solved. */
  resolution?: string;
  category?: string;
  audience?: Audience;
  created_at?: string;
  score: number;
  confidence: number;
  title_marks: Mark[];
  excerpt_marks: Mark[];
  why: Why;
}

export interface SearchAnswer {
  items: Hit[];
  degraded: string[];
  took_ms: number;
}

export interface Ticket {
  id: string;
  text: string;
  lang?: Lang | null;
  intent?: string | null;
  state?: TicketState | null;
  resolution?: string | null;
  created_at?: string | null;
}

export interface Question {
  triage_id: string;
  text: string;
  created_at: string;
}

export interface Gap {
  id: string;
  n: number;
  lang: Lang;
  intent: string | null;
  title: string;
  first_at: string;
  last_at: string;
  questions: Question[];
  nearest: { article_id: string; question: string; confidence: number } | null;
  proposal: { article: NewArticle & { id?: string }; tickets: string[] } | null;
}

export type StaleReason = "expired" | "expires_soon" | "unused" | "rejected" | "translation_behind";

export interface StaleArticle {
  article_id: string;
  question: string;
  lang: Lang;
  reasons: StaleReason[];
  valid_until?: string;
  shown: number;
  replied: number;
  success_rate: number | null;
}

export interface IncidentTicket {
  ticket_id: string;
  text: string;
  created_at: string;
  state: TicketState | null;
  confidence: number;
}

export interface Incident {
  id: string;
  n: number;
  lang: Lang | null;
  intent: string | null;
  title: string;
  first_at: string;
  last_at: string;
  burst: boolean;
  /** Tickets that a usual window of this length brings. */
  expected: number;
  tickets: IncidentTicket[];
}

/** application/problem+json */
export interface Problem {
  title: string;
  status: number;
  detail: string;
  code: string;
  hint: string;
  request_id: string;
}
