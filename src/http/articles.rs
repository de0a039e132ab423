//! The knowledge base's articles.

use axum::Json as Answer;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::extract::{Body, Json, Params, PathId, parse_lang, parse_rows};
use super::problem::{Code, Problem, ProblemBody};
use super::{Service, Shared};
use crate::domain::{Article, ArticleFault, Lang};

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct ListParams {
    /// `zh` or `en`.
    lang: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// 1 to 200; 50 where it is absent.
    limit: Option<u32>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ArticlePage {
    pub items: Vec<Article>,
    /// Give it as `cursor` for the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// A page of articles in the order of their ids.
#[utoipa::path(get, path = "/v1/articles", tag = "knowledge", params(ListParams), responses((status = 200, body = ArticlePage)))]
pub async fn list(State(service): Shared, Params(params): Params<ListParams>) -> Result<Answer<ArticlePage>, Problem> {
    let limit = params.limit.unwrap_or(50);
    if !(1..=200).contains(&limit) {
        return Err(Problem::new(Code::InvalidRequest, format!("`limit` is {limit}: it lies between 1 and 200")));
    }
    let lang = parse_lang(params.lang.as_deref())?;
    let mut items = service.pipeline.store.articles(lang, params.cursor.as_deref(), limit + 1).await?;
    let more = items.len() > limit as usize;
    items.truncate(limit as usize);
    let next_cursor = items.last().filter(|_| more).map(|a| a.id.clone());
    Ok(Answer(ArticlePage { items, next_cursor }))
}

/// An article whose id may be left to the service.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewArticle {
    pub id: Option<String>,
    pub lang: Lang,
    pub question: String,
    pub answer: String,
    pub intent: Option<String>,
}

/// Adds an article; it is in force when this answers.
#[utoipa::path(post, path = "/v1/articles", tag = "knowledge", request_body = NewArticle, responses(
    (status = 201, body = Article), (status = 409, body = ProblemBody), (status = 422, body = ProblemBody),
))]
pub async fn create(State(service): Shared, Json(new): Json<NewArticle>) -> Result<Response, Problem> {
    let id = new.id.unwrap_or_else(|| format!("kb-{}", ulid::Ulid::new().to_string().to_lowercase()));
    let article = Article { id, lang: new.lang, question: new.question, answer: new.answer, intent: new.intent };
    check(&article)?;
    if service.pipeline.store.article(&article.id).await?.is_some() {
        return Err(Problem::new(Code::AlreadyExists, format!("article {:?} exists", article.id)));
    }
    store(&service, &article).await?;
    let location = format!("/v1/articles/{}", article.id);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Answer(article)).into_response())
}

/// One article.
#[utoipa::path(get, path = "/v1/articles/{id}", tag = "knowledge", params(("id" = String, Path)), responses(
    (status = 200, body = Article), (status = 404, body = ProblemBody),
))]
pub async fn get(State(service): Shared, PathId(id): PathId) -> Result<Answer<Article>, Problem> {
    service.pipeline.store.article(&id).await?.map(Answer).ok_or_else(|| missing(&id))
}

/// Puts an article in the place of the one with this id, or adds it.
#[utoipa::path(put, path = "/v1/articles/{id}", tag = "knowledge", params(("id" = String, Path)), request_body = NewArticle, responses(
    (status = 200, body = Article), (status = 201, body = Article), (status = 422, body = ProblemBody),
))]
pub async fn put(State(service): Shared, PathId(id): PathId, Json(new): Json<NewArticle>) -> Result<Response, Problem> {
    if new.id.as_ref().is_some_and(|other| *other != id) {
        return Err(Problem::new(Code::InvalidRequest, "the id in the body is not the id in the path"));
    }
    let article = Article { id, lang: new.lang, question: new.question, answer: new.answer, intent: new.intent };
    check(&article)?;
    let created = store(&service, &article).await?;
    Ok((if created { StatusCode::CREATED } else { StatusCode::OK }, Answer(article)).into_response())
}

/// Takes an article away.
#[utoipa::path(delete, path = "/v1/articles/{id}", tag = "knowledge", params(("id" = String, Path)), responses(
    (status = 204), (status = 404, body = ProblemBody),
))]
pub async fn delete(State(service): Shared, PathId(id): PathId) -> Result<StatusCode, Problem> {
    if !service.pipeline.store.delete_article(&id).await? {
        return Err(missing(&id));
    }
    service.articles.sync(None).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct ImportParams {
    /// Articles that are not in the import are deleted.
    #[serde(default)]
    pub replace: bool,
}

/// Rows by what became of them.
#[derive(Debug, Serialize, ToSchema)]
pub struct Counts {
    pub received: usize,
    pub created: u64,
    pub updated: u64,
    pub unchanged: u64,
    pub deleted: u64,
}

impl Counts {
    pub fn of(received: usize, counts: crate::store::ImportCounts) -> Self {
        Counts { received, created: counts.created, updated: counts.updated, unchanged: counts.unchanged, deleted: counts.deleted }
    }
}

/// Adds or replaces many articles, as a JSON array or JSON Lines; all or none, in force when this answers.
#[utoipa::path(post, path = "/v1/articles/import", tag = "knowledge", params(ImportParams), request_body = Vec<Article>, responses(
    (status = 200, body = Counts), (status = 413, body = ProblemBody), (status = 422, body = ProblemBody),
))]
pub async fn import(State(service): Shared, Params(params): Params<ImportParams>, Body(body): Body) -> Result<Answer<Counts>, Problem> {
    let rows: Vec<Article> = parse_rows(&body, service.limits.batch)?;
    for article in &rows {
        check(article)?;
    }
    let counts = service.pipeline.store.import_articles(&rows, params.replace).await?;
    service.articles.sync(None).await?;
    Ok(Answer(Counts::of(rows.len(), counts)))
}

async fn store(service: &Service, article: &Article) -> Result<bool, Problem> {
    let created = service.pipeline.store.put_article(article).await?;
    service.articles.sync(None).await?;
    Ok(created)
}

fn check(article: &Article) -> Result<(), Problem> {
    article.check().map_err(|fault| {
        let code = match fault {
            ArticleFault::Id(_) => Code::InvalidId,
            ArticleFault::Empty { .. } => Code::EmptyText,
            ArticleFault::TooLong { .. } => Code::TextTooLong,
        };
        Problem::new(code, fault.to_string())
    })
}

fn missing(id: &str) -> Problem {
    Problem::new(Code::NotFound, format!("there is no article {id:?}"))
}
