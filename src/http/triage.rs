//! Messages in, decisions out.

use std::time::{Duration, Instant};

use axum::Json as Answer;
use axum::extract::State;
use futures_util::{StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::extract::{Json, check_text, parse_lang};
use super::layers::request_id;
use super::problem::{Code, Problem, ProblemBody};
use super::{Limits, Service, Shared, now};
use crate::domain::{Entity, Intent, Lang, Mode, ScoredTicket, SearchFilter, Triage};
use crate::pipeline::Message;
use crate::telemetry::Metric;

#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TriageRequest {
    /// The customer's message, as it was typed.
    #[schema(example = "买的粉色XL码羽绒服还没发货,什么时候能到?")]
    pub text: String,
    /// `zh`, `en` or `auto`.
    #[schema(example = "auto")]
    pub lang: Option<String>,
    /// `fast`: sparse terms only, no search. `full`: everything. `auto`: as `full`, but the encoder is asked for the intent only where the
    /// sparse terms do not settle it. The configured one where it is absent.
    pub mode: Option<Mode>,
    /// Where it came from, for your own records.
    pub channel: Option<String>,
    pub customer: Option<Customer>,
    /// Similar tickets wanted, 0 to 50.
    pub top_k: Option<usize>,
    /// Keep the message and the answer in the store, so that feedback can speak of them.
    #[serde(default)]
    pub record: bool,
}

#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Customer {
    pub id: String,
}

const MOST_SIMILAR: usize = 50;

/// Triage of one message.
#[utoipa::path(post, path = "/v1/triage", tag = "triage", request_body = TriageRequest, responses(
    (status = 200, body = Triage),
    (status = 400, body = ProblemBody), (status = 413, body = ProblemBody), (status = 422, body = ProblemBody),
    (status = 429, description = "Too much to do: come back after Retry-After seconds.", body = ProblemBody),
))]
pub async fn triage(State(service): Shared, Json(request): Json<TriageRequest>) -> Result<Answer<Triage>, Problem> {
    one(&service, &request).await.map(Answer)
}

async fn one(service: &Service, request: &TriageRequest) -> Result<Triage, Problem> {
    check_text(&request.text, service.limits.text_chars)?;
    let message = Message {
        text: &request.text,
        lang: parse_lang(request.lang.as_deref())?,
        mode: request.mode.unwrap_or(service.limits.mode),
        top_k: checked_top_k(request.top_k, &service.limits)?,
    };
    let triage = service.pipeline.triage(&message).await?;
    let stages =
        [("classify", Some(triage.timing_ms.classify)), ("encode", triage.timing_ms.encode), ("retrieve", triage.timing_ms.retrieve)];
    for (stage, ms) in stages {
        if let Some(ms) = ms {
            Metric::StageDuration.observe(ms / 1e3, &[("stage", stage.to_owned())]);
        }
    }
    Metric::TriageDecisions.count(&[("action", triage.decision.action.as_str().to_owned()), ("lang", triage.lang.to_string())]);
    if request.record {
        let json =
            serde_json::to_string(&serde_json::json!({ "request": request, "answer": triage })).map_err(|e| Problem::internal(&e))?;
        service.pipeline.store.record_triage(&triage.id, &now()?, &request.text, &json).await?;
    }
    Ok(triage)
}

fn checked_top_k(top_k: Option<usize>, limits: &Limits) -> Result<usize, Problem> {
    match top_k {
        Some(k) if k > MOST_SIMILAR => Err(Problem::new(Code::InvalidRequest, format!("`top_k` is {k}: {MOST_SIMILAR} is the most"))),
        other => Ok(other.unwrap_or(limits.similar)),
    }
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BatchRequest {
    pub items: Vec<TriageRequest>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct BatchAnswer {
    /// In the order of the request.
    pub items: Vec<BatchItem>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum BatchItem {
    Triage(Box<Triage>),
    Problem(ProblemBody),
}

/// Messages of a batch worked on at once: enough to fill the encoder's batches, few enough to leave its queue to others.
const BATCH_WIDTH: usize = 32;

/// Triage of many messages; a bad item is answered with its problem and spoils no other.
#[utoipa::path(post, path = "/v1/triage/batch", tag = "triage", request_body = BatchRequest, responses(
    (status = 200, body = BatchAnswer), (status = 413, description = "More items than server.max_batch.", body = ProblemBody),
))]
pub async fn triage_batch(State(service): Shared, Json(batch): Json<BatchRequest>) -> Result<Answer<BatchAnswer>, Problem> {
    check_batch(batch.items.len(), &service.limits)?;
    let id = request_id();
    let items = futures_util::stream::iter(batch.items).map(|item| {
        let service = &service;
        async move { patiently(service, || one(service, &item)).await }
    });
    let items = items.buffered(BATCH_WIDTH).map(|answer| match answer {
        Ok(triage) => BatchItem::Triage(Box::new(triage)),
        Err(problem) => BatchItem::Problem(problem.body(&id)),
    });
    Ok(Answer(BatchAnswer { items: items.collect().await }))
}

/// A batch was let in as one request: where the encoder is busy it waits, as long as a single request might, instead of failing
/// half of its items.
async fn patiently<T, F: Future<Output = Result<T, Problem>>>(service: &Service, ask: impl Fn() -> F) -> Result<T, Problem> {
    let end = Instant::now() + service.limits.request_timeout;
    loop {
        match ask().await {
            Err(p) if p.code == Code::Overloaded && Instant::now() < end => {
                // Uneven, so that the items of a batch do not all come back at once.
                tokio::time::sleep(Duration::from_millis(rand::random_range(5..50))).await;
            }
            answer => return answer,
        }
    }
}

fn check_batch(items: usize, limits: &Limits) -> Result<(), Problem> {
    if items > limits.batch {
        return Err(Problem::new(Code::BatchTooLarge, format!("{items} items, {} are allowed", limits.batch)));
    }
    Ok(())
}

/// One text or many.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TextsRequest {
    pub text: Option<String>,
    pub texts: Option<Vec<String>>,
    /// `zh`, `en` or `auto`.
    pub lang: Option<String>,
    /// `fast`: sparse terms only. `full`: with the encoder. `auto`: the encoder where the sparse terms do not settle it.
    mode: Option<Mode>,
}

impl TextsRequest {
    fn texts(self, limits: &Limits) -> Result<(Vec<String>, Option<Lang>), Problem> {
        let lang = parse_lang(self.lang.as_deref())?;
        let texts = match (self.text, self.texts) {
            (Some(text), None) => vec![text],
            (None, Some(texts)) => texts,
            _ => return Err(Problem::new(Code::InvalidRequest, "send either `text` or `texts`")),
        };
        check_batch(texts.len(), limits)?;
        for text in &texts {
            check_text(text, limits.text_chars)?;
        }
        Ok((texts, lang))
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ClassifyAnswer {
    pub items: Vec<ClassifyItem>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ClassifyItem {
    pub lang: Lang,
    #[serde(flatten)]
    pub intent: Intent,
}

/// The intents alone.
#[utoipa::path(post, path = "/v1/classify", tag = "triage", request_body = TextsRequest, responses(
    (status = 200, body = ClassifyAnswer), (status = 422, body = ProblemBody),
))]
pub async fn classify(State(service): Shared, Json(request): Json<TextsRequest>) -> Result<Answer<ClassifyAnswer>, Problem> {
    let mode = request.mode.unwrap_or(service.limits.mode);
    let (texts, lang) = request.texts(&service.limits)?;
    // All texts of a request are judged by the same model.
    let seats = service.pipeline.lineup.seats();
    let items = futures_util::stream::iter(texts).map(|text| {
        let (service, seats) = (&service, &seats);
        async move {
            let ask = || async { Ok(service.pipeline.classify(seats, &text, lang, mode).await?) };
            let (lang, intent) = patiently(service, ask).await?;
            Ok(ClassifyItem { lang, intent })
        }
    });
    Ok(Answer(ClassifyAnswer { items: items.buffered(BATCH_WIDTH).try_collect::<Vec<_>>().await.map_err(|p: Problem| p)? }))
}

#[derive(Debug, Serialize, ToSchema)]
pub struct EntitiesAnswer {
    pub items: Vec<EntitiesItem>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct EntitiesItem {
    pub lang: Lang,
    pub entities: Vec<Entity>,
}

/// The entities alone. In mode `fast` what patterns and the catalogue see; else what the tagger reads with the encoder.
#[utoipa::path(post, path = "/v1/entities", tag = "triage", request_body = TextsRequest, responses(
    (status = 200, body = EntitiesAnswer), (status = 422, body = ProblemBody),
))]
pub async fn entities(State(service): Shared, Json(request): Json<TextsRequest>) -> Result<Answer<EntitiesAnswer>, Problem> {
    let mode = request.mode.unwrap_or(service.limits.mode);
    let (texts, lang) = request.texts(&service.limits)?;
    let items = futures_util::stream::iter(texts).map(|text| {
        let service = &service;
        async move {
            let ask = || async { Ok(service.pipeline.entities(&text, lang, mode).await?) };
            let (lang, entities) = patiently(service, ask).await?;
            Ok(EntitiesItem { lang, entities })
        }
    });
    Ok(Answer(EntitiesAnswer { items: items.buffered(BATCH_WIDTH).try_collect::<Vec<_>>().await.map_err(|p: Problem| p)? }))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SimilarRequest {
    pub text: String,
    /// 1 to 50.
    pub top_k: Option<usize>,
    #[serde(default)]
    pub filter: SearchFilter,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct SimilarAnswer {
    pub items: Vec<ScoredTicket>,
}

/// Past tickets like a text.
#[utoipa::path(post, path = "/v1/similar", tag = "triage", request_body = SimilarRequest, responses(
    (status = 200, body = SimilarAnswer), (status = 422, body = ProblemBody), (status = 429, body = ProblemBody),
))]
pub async fn similar(State(service): Shared, Json(request): Json<SimilarRequest>) -> Result<Answer<SimilarAnswer>, Problem> {
    check_text(&request.text, service.limits.text_chars)?;
    let top_k = checked_top_k(request.top_k, &service.limits)?;
    let items = service.pipeline.similar(&request.text, top_k, request.filter).await?;
    Ok(Answer(SimilarAnswer { items }))
}
