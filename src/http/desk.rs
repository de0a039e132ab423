//! The desk's own questions: search as one types, and what the traffic says of the knowledge base.

use axum::Json as Answer;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};

use super::Shared;
use super::extract::{Params, check_text, parse_lang};
use super::problem::{Code, Problem, ProblemBody};
use crate::pipeline::{DeskAnswer, DeskQuery, Gap, Incident, Stale};

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Searched {
    #[default]
    All,
    Article,
    Ticket,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct SearchParams {
    /// What is looked for: a customer's message, or some words.
    q: String,
    /// `all`, `article` or `ticket`.
    #[serde(default)]
    kind: Searched,
    /// Of what is found: `zh` or `en`.
    lang: Option<String>,
    /// 1 to 50; 10 where it is absent.
    limit: Option<u32>,
}

/// Articles in force (also those for agents only) and past tickets, surest first, with the places that match and why.
#[utoipa::path(get, path = "/v1/search", tag = "knowledge", params(SearchParams), responses(
    (status = 200, body = DeskAnswer), (status = 422, body = ProblemBody), (status = 429, body = ProblemBody),
))]
pub async fn search(State(service): Shared, Params(params): Params<SearchParams>) -> Result<Answer<DeskAnswer>, Problem> {
    check_text(&params.q, service.limits.text_chars)?;
    let query = DeskQuery {
        text: &params.q,
        articles: params.kind != Searched::Ticket,
        tickets: params.kind != Searched::Article,
        lang: parse_lang(params.lang.as_deref())?,
        limit: between("limit", params.limit, 10, 50)? as usize,
    };
    Ok(Answer(service.pipeline.search_desk(&query).await?))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct GapParams {
    /// 1 to 365; 30 where it is absent.
    days: Option<u32>,
    /// 1 to 100; 20 where it is absent.
    limit: Option<u32>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Gaps {
    /// The most asked first.
    pub items: Vec<Gap>,
}

/// Recorded questions that no article answered, by problem, each with a proposal from how agents solved it.
#[utoipa::path(get, path = "/v1/knowledge/gaps", tag = "knowledge", params(GapParams), responses(
    (status = 200, body = Gaps), (status = 422, body = ProblemBody),
))]
pub async fn gaps(State(service): Shared, Params(params): Params<GapParams>) -> Result<Answer<Gaps>, Problem> {
    let days = between("days", params.days, 30, 365)?;
    let limit = between("limit", params.limit, 20, 100)? as usize;
    Ok(Answer(Gaps { items: service.pipeline.gaps(days, limit, OffsetDateTime::now_utc()).await? }))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct StaleParams {
    /// Time whose recorded messages count, 1 to 365; 90 where it is absent.
    days: Option<u32>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct StaleArticles {
    pub items: Vec<Stale>,
}

/// Articles that have expired, that nobody is shown, that agents reject, or that lag behind what they translate.
#[utoipa::path(get, path = "/v1/knowledge/stale", tag = "knowledge", params(StaleParams), responses(
    (status = 200, body = StaleArticles), (status = 422, body = ProblemBody),
))]
pub async fn stale(State(service): Shared, Params(params): Params<StaleParams>) -> Result<Answer<StaleArticles>, Problem> {
    let days = between("days", params.days, 90, 365)?;
    Ok(Answer(StaleArticles { items: service.pipeline.stale(days, OffsetDateTime::now_utc()).await? }))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct IncidentParams {
    /// 1 to 168; 24 where it is absent.
    hours: Option<u32>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Incidents {
    /// The largest first.
    pub items: Vec<Incident>,
}

/// Tickets of the last hours that tell one problem, and whether they are a burst.
#[utoipa::path(get, path = "/v1/incidents", tag = "knowledge", params(IncidentParams), responses(
    (status = 200, body = Incidents), (status = 422, body = ProblemBody),
))]
pub async fn incidents(State(service): Shared, Params(params): Params<IncidentParams>) -> Result<Answer<Incidents>, Problem> {
    let hours = between("hours", params.hours, 24, 168)?;
    Ok(Answer(Incidents { items: service.pipeline.incidents(&service.tickets, hours, OffsetDateTime::now_utc()).await? }))
}

/// A number of the query, or what stands for it.
fn between(name: &str, given: Option<u32>, absent: u32, most: u32) -> Result<u32, Problem> {
    match given {
        None => Ok(absent),
        Some(n) if (1..=most).contains(&n) => Ok(n),
        Some(n) => Err(Problem::new(Code::InvalidRequest, format!("`{name}` is {n}: it lies between 1 and {most}"))),
    }
}
