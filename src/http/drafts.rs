//! Articles that are being written: draft, review, published.

use axum::Json as Answer;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::articles::NewArticle;
use super::extract::{Json, Params, PathId};
use super::problem::{Code, Problem, ProblemBody};
use super::{Shared, now};
use crate::domain::{Article, Draft, DraftState};
use crate::store::Published;

/// Drafts listed at most: a team has dozens.
const MOST: u32 = 1000;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct ListParams {
    /// `draft` or `review`; both where it is absent.
    state: Option<DraftState>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Drafts {
    /// Last touched first.
    pub items: Vec<Draft>,
}

/// What is being written.
#[utoipa::path(get, path = "/v1/drafts", tag = "knowledge", params(ListParams), responses((status = 200, body = Drafts)))]
pub async fn list(State(service): Shared, Params(params): Params<ListParams>) -> Result<Answer<Drafts>, Problem> {
    Ok(Answer(Drafts { items: service.pipeline.store.drafts(params.state, MOST).await? }))
}

/// One draft.
#[utoipa::path(get, path = "/v1/drafts/{id}", tag = "knowledge", params(("id" = String, Path)), responses(
    (status = 200, body = Draft), (status = 404, body = ProblemBody),
))]
pub async fn get(State(service): Shared, PathId(id): PathId) -> Result<Answer<Draft>, Problem> {
    service.pipeline.store.draft(&id).await?.map(Answer).ok_or_else(|| no_draft(&id))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DraftRequest {
    pub article: NewArticle,
    /// For whoever looks at it next.
    pub note: Option<String>,
}

/// Keeps a draft of the article with this id, which need not exist. Nothing of it is in force.
#[utoipa::path(put, path = "/v1/drafts/{id}", tag = "knowledge", params(("id" = String, Path)), request_body = DraftRequest, responses(
    (status = 200, body = Draft), (status = 422, body = ProblemBody),
))]
pub async fn put(State(service): Shared, PathId(id): PathId, Json(request): Json<DraftRequest>) -> Result<Answer<Draft>, Problem> {
    let article = request.article.into_article(Some(id))?;
    service.pipeline.store.put_draft(&article, request.note.as_deref(), &now()?).await?;
    get(State(service), PathId(article.id)).await
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NoteRequest {
    pub note: Option<String>,
}

/// Hands a draft to review.
#[utoipa::path(post, path = "/v1/drafts/{id}/submit", tag = "knowledge", params(("id" = String, Path)), request_body = NoteRequest, responses(
    (status = 200, body = Draft), (status = 404, body = ProblemBody),
))]
pub async fn submit(service: Shared, id: PathId, Json(request): Json<NoteRequest>) -> Result<Answer<Draft>, Problem> {
    hand(service, id, DraftState::Review, request.note).await
}

/// Hands a draft back to its author.
#[utoipa::path(post, path = "/v1/drafts/{id}/return", tag = "knowledge", params(("id" = String, Path)), request_body = NoteRequest, responses(
    (status = 200, body = Draft), (status = 404, body = ProblemBody),
))]
pub async fn give_back(service: Shared, id: PathId, Json(request): Json<NoteRequest>) -> Result<Answer<Draft>, Problem> {
    hand(service, id, DraftState::Draft, request.note).await
}

async fn hand(State(service): Shared, PathId(id): PathId, to: DraftState, note: Option<String>) -> Result<Answer<Draft>, Problem> {
    if !service.pipeline.store.move_draft(&id, to, note.as_deref(), &now()?).await? {
        return Err(no_draft(&id));
    }
    get(State(service), PathId(id)).await
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PublishRequest {
    /// Also where the article was changed since the draft was begun; that change is then only in its versions.
    #[serde(default)]
    pub force: bool,
}

/// Puts a draft into force as the article's next version; it is in force when this answers.
#[utoipa::path(post, path = "/v1/drafts/{id}/publish", tag = "knowledge", params(("id" = String, Path)), request_body = PublishRequest, responses(
    (status = 200, body = Article), (status = 404, body = ProblemBody), (status = 409, body = ProblemBody),
))]
pub async fn publish(State(service): Shared, PathId(id): PathId, Json(request): Json<PublishRequest>) -> Result<Answer<Article>, Problem> {
    match service.pipeline.store.publish_draft(&id, request.force, &now()?).await? {
        Published::Done(article) => {
            service.articles.sync(None).await?;
            Ok(Answer(*article))
        }
        Published::Missing => Err(no_draft(&id)),
        Published::Stale(newest) => {
            let now = newest.map_or("is not published".to_owned(), |v| format!("is at version {v} now"));
            Err(Problem::new(Code::StaleDraft, format!("article {id:?} {now}, which is not what the draft began from")))
        }
    }
}

/// Throws a draft away; a published article stays as it is.
#[utoipa::path(delete, path = "/v1/drafts/{id}", tag = "knowledge", params(("id" = String, Path)), responses(
    (status = 204), (status = 404, body = ProblemBody),
))]
pub async fn delete(State(service): Shared, PathId(id): PathId) -> Result<StatusCode, Problem> {
    if service.pipeline.store.delete_draft(&id).await? { Ok(StatusCode::NO_CONTENT) } else { Err(no_draft(&id)) }
}

fn no_draft(id: &str) -> Problem {
    Problem::new(Code::NotFound, format!("there is no draft of {id:?}"))
}
