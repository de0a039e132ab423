//! Which product a message means, and what a product has to do with the others.

use axum::Json as Answer;
use axum::extract::{Path, State};
use serde::Deserialize;
use utoipa::ToSchema;

use super::Shared;
use super::extract::{Json, check_text, parse_lang};
use super::problem::{Code, Problem, ProblemBody};
use crate::domain::{Item, Resolution};

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResolveRequest {
    /// The customer's words.
    #[schema(example = "买的粉色XL码羽绒服还没发货")]
    pub text: String,
    /// `zh`, `en` or `auto`. Both languages are read whatever it says.
    #[schema(example = "auto")]
    pub lang: Option<String>,
}

/// The SKU that a message means; or several that differ in what was not said, with the attribute to ask for; or none, with the nearest
/// and what differs.
#[utoipa::path(post, path = "/v1/products/resolve", tag = "triage", request_body = ResolveRequest, responses(
    (status = 200, body = Resolution),
    (status = 400, body = ProblemBody), (status = 413, body = ProblemBody), (status = 422, body = ProblemBody),
))]
pub async fn resolve(State(service): Shared, Json(request): Json<ResolveRequest>) -> Result<Answer<Resolution>, Problem> {
    check_text(&request.text, service.limits.text_chars)?;
    parse_lang(request.lang.as_deref())?;
    Ok(Answer(service.pipeline.resolve(&request.text)))
}

/// A catalogue entry with its relations: variants, what fits it, what it replaces and what replaces it.
#[utoipa::path(get, path = "/v1/products/{sku}", tag = "knowledge", params(("sku" = String, Path)), responses(
    (status = 200, body = Item), (status = 404, body = ProblemBody),
))]
pub async fn get(State(service): Shared, Path(sku): Path<String>) -> Result<Answer<Item>, Problem> {
    let missing = || Problem::new(Code::NotFound, format!("the catalogue has no SKU {sku:?}"));
    let item = service.pipeline.store.catalogue_item(&sku).await?.ok_or_else(missing)?;
    let relations = service.pipeline.shelf.load().products.relations(&sku).unwrap_or_default();
    Ok(Answer(Item { item, relations }))
}
