//! Past tickets of an external desk, for the search.

use axum::Json as Answer;
use axum::extract::State;
use serde::Deserialize;
use utoipa::ToSchema;

use super::Shared;
use super::articles::Counts;
use super::extract::{Json, PathId, check_id, check_length, check_text};
use super::problem::{Code, Problem, ProblemBody};
use crate::domain::TicketRecord;

/// One past ticket.
#[utoipa::path(get, path = "/v1/tickets/{id}", tag = "knowledge", params(("id" = String, Path)), responses(
    (status = 200, body = TicketRecord), (status = 404, body = ProblemBody),
))]
pub async fn get(State(service): Shared, PathId(id): PathId) -> Result<Answer<TicketRecord>, Problem> {
    let found = service.pipeline.store.tickets(std::slice::from_ref(&id)).await?.pop();
    found.map(Answer).ok_or_else(|| Problem::new(Code::NotFound, format!("there is no ticket {id:?}")))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct IndexRequest {
    pub items: Vec<TicketRecord>,
}

/// Adds or replaces past tickets by id; all or none, searchable when this answers.
#[utoipa::path(put, path = "/v1/tickets/index", tag = "knowledge", request_body = IndexRequest, responses(
    (status = 200, body = Counts), (status = 413, body = ProblemBody), (status = 422, body = ProblemBody),
))]
pub async fn index(State(service): Shared, Json(request): Json<IndexRequest>) -> Result<Answer<Counts>, Problem> {
    let items = request.items;
    if items.len() > service.limits.batch {
        return Err(Problem::new(Code::BatchTooLarge, format!("{} items, {} are allowed", items.len(), service.limits.batch)));
    }
    for item in &items {
        check_id(&item.id)?;
        let limit = service.limits.text_chars;
        check_text(&item.text, limit)
            .and_then(|()| check_length("resolution", item.resolution.as_deref().unwrap_or_default(), limit))
            .map_err(|p| Problem::new(p.code, format!("ticket {:?}: {}", item.id, p.detail)))?;
        let time = item.created_at.as_deref().map(|t| time::OffsetDateTime::parse(t, &time::format_description::well_known::Rfc3339));
        if matches!(time, Some(Err(_))) {
            return Err(Problem::new(Code::InvalidRequest, format!("ticket {:?}: `created_at` is no RFC 3339 time", item.id)));
        }
    }
    let counts = service.pipeline.store.upsert_tickets(&items).await?;
    service.tickets.sync(None).await?;
    Ok(Answer(Counts::of(items.len(), counts)))
}
