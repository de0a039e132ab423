//! What agents did with a triage: the right label, and what became of the reply.

use axum::Json as Answer;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::extract::{Json, check_id};
use super::problem::{Code, Problem, ProblemBody};
use super::{Limits, Shared, now};
use crate::domain::Outcome;
use crate::store::Feedback;
use crate::telemetry::Metric;
use crate::text::{jaccard, trigrams};

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FeedbackRequest {
    /// The `id` of a triage that was asked for with `"record": true`.
    pub triage_id: String,
    /// The right intent, where the agent knows it; where it is absent, `accepted` and `edited` confirm the triage's own.
    #[schema(example = "shipping_time")]
    pub intent: Option<String>,
    /// What became of the proposed reply.
    pub outcome: Outcome,
    /// The reply as the agent sent it.
    pub text: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct FeedbackAnswer {
    pub triage_id: String,
    pub outcome: Outcome,
    /// The right intent as it was sent.
    pub intent: Option<String>,
    pub created_at: String,
    /// Words on this triage, this one included; the last one counts.
    pub count: u64,
}

/// Keeps what an agent did with a recorded triage. Several words on one triage are kept; the last one counts.
#[utoipa::path(post, path = "/v1/feedback", tag = "learning", request_body = FeedbackRequest, responses(
    (status = 201, body = FeedbackAnswer),
    (status = 404, description = "The triage was not recorded.", body = ProblemBody),
    (status = 422, description = "An unknown intent or outcome, an empty text.", body = ProblemBody),
))]
pub async fn create(State(service): Shared, Json(request): Json<FeedbackRequest>) -> Result<(StatusCode, Answer<FeedbackAnswer>), Problem> {
    let FeedbackRequest { triage_id, intent, outcome, text } = request;
    check_id(&triage_id)?;
    if let Some(intent) = &intent {
        check_intent(intent, service.pipeline.lineup.champion().classifier.labels())?;
    }
    if let Some(text) = &text {
        check_reply(text, &service.limits)?;
    }
    let created_at = now()?;
    let feedback = Feedback { outcome, intent, reply: text };
    let count = service.pipeline.store.add_feedback(&triage_id, &created_at, &feedback).await?;
    let missing = || Problem::new(Code::TriageNotRecorded, format!("there is no record of a triage {triage_id:?}"));
    let count = count.ok_or_else(missing)?;
    Metric::Feedback.count(&[("outcome", outcome.to_string())]);
    Ok((StatusCode::CREATED, Answer(FeedbackAnswer { triage_id, outcome, intent: feedback.intent, created_at, count })))
}

fn check_reply(text: &str, limits: &Limits) -> Result<(), Problem> {
    if text.trim().is_empty() {
        let hint = "Send the reply as the agent sent it, or leave `text` out.";
        return Err(Problem::new(Code::EmptyText, "`text` holds nothing but white space").with_hint(hint));
    }
    super::extract::check_text(text, limits.text_chars)
}

/// Labels that a hint names.
const NEAREST: usize = 3;

/// # Errors
/// [`Code::UnknownIntent`], with the labels that are spelt most alike, or all where none is.
fn check_intent(intent: &str, labels: &[String]) -> Result<(), Problem> {
    if labels.iter().any(|label| label == intent) {
        return Ok(());
    }
    let grams = trigrams(intent);
    let mut near: Vec<(f64, &str)> = labels.iter().map(|l| (jaccard(&grams, &trigrams(l)), l.as_str())).filter(|n| n.0 > 0.0).collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    near.truncate(NEAREST);
    let hint = if near.is_empty() {
        format!("Known are {}.", labels.join(", "))
    } else {
        format!("Did you mean {}?", near.iter().map(|n| n.1).collect::<Vec<_>>().join(", "))
    };
    // Whatever was sent comes back in the detail, so not all of it.
    let shown: String = intent.chars().take(60).collect();
    Err(Problem::new(Code::UnknownIntent, format!("the classifier knows no intent {shown:?}")).with_hint(hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_label_is_answered_with_its_neighbours_or_with_all() {
        let labels = ["shipping_time", "shipping_fee", "refund_status", "out_of_scope"].map(str::to_owned);
        assert_eq!(check_intent("refund_status", &labels), Ok(()));
        let hint = |intent: &str| check_intent(intent, &labels).expect_err("unknown").hint.expect("a hint");
        assert!(hint("shiping_tiem").starts_with("Did you mean shipping_time"), "{}", hint("shiping_tiem"));
        assert!(hint("Refund Status").starts_with("Did you mean refund_status"), "{}", hint("Refund Status"));
        for other in ["", "退货", "\u{0}"] {
            assert!(labels.iter().all(|l| hint(other).contains(l)), "{other:?}: {}", hint(other));
        }
        let long = check_intent(&"x".repeat(1_000_000), &labels).expect_err("unknown").detail;
        assert!(long.len() < 200);
    }
}
