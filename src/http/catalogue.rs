//! What the shop sells.

use std::sync::Arc;

use axum::Json as Answer;
use axum::extract::State;

use super::Shared;
use super::articles::{Counts, ImportParams};
use super::extract::{Body, Params, check_id, parse_rows};
use super::problem::{Code, Problem, ProblemBody};
use crate::domain::CatalogueItem;
use crate::pipeline::Shelf;

/// SKUs of one import.
const MOST_SKUS: usize = 200_000;

/// Held while a changed catalogue is made ready. Messages are answered from the old one meanwhile.
static RESTOCKING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Adds or replaces SKUs, as a JSON array or JSON Lines; all or none, known to the tagger when this answers.
#[utoipa::path(put, path = "/v1/catalogue", tag = "knowledge", params(ImportParams), request_body = Vec<CatalogueItem>, responses(
    (status = 200, body = Counts), (status = 413, body = ProblemBody), (status = 422, body = ProblemBody),
))]
pub async fn put(State(service): Shared, Params(params): Params<ImportParams>, Body(body): Body) -> Result<Answer<Counts>, Problem> {
    let rows: Vec<CatalogueItem> = parse_rows(&body, MOST_SKUS)?;
    for item in &rows {
        check_id(&item.sku)?;
        item.check().map_err(|why| Problem::new(Code::InvalidRequest, why))?;
    }
    let store = &service.pipeline.store;
    let counts = store.put_catalogue(&rows, params.replace).await?;
    if counts.created + counts.updated + counts.deleted > 0 {
        // Read, built and put up by one at a time: else the shelf of an earlier change could take the place of a later one's.
        let _one_at_a_time = RESTOCKING.lock().await;
        let items = store.catalogue().await?;
        let shelf = tokio::task::spawn_blocking(move || Shelf::stock(&items)).await.map_err(|e| Problem::internal(&e))?;
        service.pipeline.shelf.store(Arc::new(shelf.map_err(|e| Problem::internal(&e))?));
    }
    Ok(Answer(Counts::of(rows.len(), counts)))
}
