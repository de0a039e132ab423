//! The knowledge base's articles.

use axum::Json as Answer;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::extract::{Body, Json, Params, PathId, parse_lang, parse_rows};
use super::problem::{Code, Problem, ProblemBody};
use super::{Service, Shared, now};
use crate::domain::{Article, ArticleFault, ArticleUse, ArticleVersion, Attachment, Audience, Lang, UseCounts};
use crate::pipeline::Duplicate;
use crate::store::ArticleFilter;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct ListParams {
    /// `zh` or `en`.
    lang: Option<String>,
    /// `customer` or `agent`: who may read it.
    audience: Option<Audience>,
    /// This category and all below it (`配送` holds `配送/海外`).
    category: Option<String>,
    /// Translations of this article.
    translation_of: Option<String>,
    /// Letters of the question or the id. To search by meaning, use /v1/search.
    q: Option<String>,
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
    let chosen = ArticleFilter {
        lang: parse_lang(params.lang.as_deref())?,
        audience: params.audience,
        category: params.category.as_deref(),
        translation_of: params.translation_of.as_deref(),
        text: params.q.as_deref(),
    };
    let mut items = service.pipeline.store.articles(chosen, params.cursor.as_deref(), limit + 1).await?;
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
    pub category: Option<String>,
    #[serde(default)]
    pub audience: Audience,
    /// RFC 3339.
    pub valid_from: Option<String>,
    /// RFC 3339.
    pub valid_until: Option<String>,
    pub translation_of: Option<String>,
    #[serde(default)]
    pub attachments: Vec<Attachment>,
    pub source: Option<String>,
}

impl NewArticle {
    /// The article of the path's id, which the body may repeat, or of the body's; else under an id of its own.
    pub(super) fn into_article(self, path: Option<String>) -> Result<Article, Problem> {
        if path.is_some() && self.id.is_some() && self.id != path {
            return Err(Problem::new(Code::InvalidRequest, "the id in the body is not the id in the path"));
        }
        let article = Article {
            id: path.or(self.id).unwrap_or_else(|| format!("kb-{}", ulid::Ulid::new().to_string().to_lowercase())),
            lang: self.lang,
            question: self.question,
            answer: self.answer,
            intent: self.intent,
            category: self.category,
            audience: self.audience,
            valid_from: self.valid_from,
            valid_until: self.valid_until,
            translation_of: self.translation_of,
            attachments: self.attachments,
            source: self.source,
        };
        check(&article)?;
        Ok(article)
    }
}

/// Adds an article; it is in force when this answers.
#[utoipa::path(post, path = "/v1/articles", tag = "knowledge", request_body = NewArticle, responses(
    (status = 201, body = Article), (status = 409, body = ProblemBody), (status = 422, body = ProblemBody),
))]
pub async fn create(State(service): Shared, Json(new): Json<NewArticle>) -> Result<Response, Problem> {
    let article = new.into_article(None)?;
    if service.pipeline.store.article(&article.id).await?.is_some() {
        return Err(Problem::new(Code::AlreadyExists, format!("article {:?} exists", article.id)));
    }
    store(&service, &article, None).await?;
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
    let article = new.into_article(Some(id))?;
    let created = store(&service, &article, None).await?;
    Ok((if created { StatusCode::CREATED } else { StatusCode::OK }, Answer(article)).into_response())
}

/// Takes an article out of force; its versions stay and can be restored.
#[utoipa::path(delete, path = "/v1/articles/{id}", tag = "knowledge", params(("id" = String, Path)), responses(
    (status = 204), (status = 404, body = ProblemBody),
))]
pub async fn delete(State(service): Shared, PathId(id): PathId) -> Result<StatusCode, Problem> {
    if !service.pipeline.store.delete_article(&id, &now()?).await? {
        return Err(missing(&id));
    }
    service.articles.sync(None).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ArticleVersions {
    /// Newest first.
    pub items: Vec<ArticleVersion>,
}

/// Every form in which an article was published.
#[utoipa::path(get, path = "/v1/articles/{id}/versions", tag = "knowledge", params(("id" = String, Path)), responses(
    (status = 200, body = ArticleVersions), (status = 404, body = ProblemBody),
))]
pub async fn versions(State(service): Shared, PathId(id): PathId) -> Result<Answer<ArticleVersions>, Problem> {
    let items = service.pipeline.store.article_versions(&id).await?;
    if items.is_empty() { Err(missing(&id)) } else { Ok(Answer(ArticleVersions { items })) }
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RestoreRequest {
    pub version: i64,
}

/// Publishes an earlier version again, as the newest one; also of an article that was taken out of force.
#[utoipa::path(post, path = "/v1/articles/{id}/restore", tag = "knowledge", params(("id" = String, Path)), request_body = RestoreRequest, responses(
    (status = 200, body = Article), (status = 404, body = ProblemBody), (status = 422, body = ProblemBody),
))]
pub async fn restore(State(service): Shared, PathId(id): PathId, Json(wanted): Json<RestoreRequest>) -> Result<Answer<Article>, Problem> {
    let versions = service.pipeline.store.article_versions(&id).await?;
    if versions.is_empty() {
        return Err(missing(&id));
    }
    let number = wanted.version;
    let Some(version) = versions.into_iter().find(|v| v.version == number) else {
        return Err(Problem::new(Code::NotFound, format!("article {id:?} has no version {number}")));
    };
    let Some(article) = version.article else {
        return Err(Problem::new(Code::InvalidRequest, format!("version {number} says that article {id:?} was taken out of force")));
    };
    store(&service, &article, Some(&format!("version {number} again"))).await?;
    Ok(Answer(article))
}

/// How an article served.
#[derive(Debug, Serialize, ToSchema)]
pub struct Usage {
    #[serde(flatten)]
    pub counts: UseCounts,
    /// Share of the judged replies that were sent as they were or edited; `null` where none was judged.
    pub success_rate: Option<f64>,
    /// The newest messages that its words were the reply to.
    pub tickets: Vec<ArticleUse>,
}

/// Messages listed with an article's usage.
const USES: u32 = 50;

/// Which messages an article answered, and how that went; of the triages that were recorded.
#[utoipa::path(get, path = "/v1/articles/{id}/usage", tag = "knowledge", params(("id" = String, Path)), responses(
    (status = 200, body = Usage), (status = 404, body = ProblemBody),
))]
pub async fn usage(State(service): Shared, PathId(id): PathId) -> Result<Answer<Usage>, Problem> {
    let store = &service.pipeline.store;
    if store.article_version(&id).await?.is_none() {
        return Err(missing(&id));
    }
    let counts = store.article_uses(&id, "").await?;
    Ok(Answer(Usage { success_rate: counts.success_rate(), counts, tickets: store.article_replies(&id, USES).await? }))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
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

#[derive(Debug, Serialize, ToSchema)]
pub struct Imported {
    #[serde(flatten)]
    pub counts: Counts,
    /// Articles of the import that seem to say what another one says.
    pub duplicates: Vec<Duplicate>,
}

/// Adds or replaces many articles, as a JSON array or JSON Lines; all or none, in force when this answers.
#[utoipa::path(post, path = "/v1/articles/import", tag = "knowledge", params(ImportParams), request_body = Vec<Article>, responses(
    (status = 200, body = Imported), (status = 413, body = ProblemBody), (status = 422, body = ProblemBody),
))]
pub async fn import(State(service): Shared, Params(params): Params<ImportParams>, Body(body): Body) -> Result<Answer<Imported>, Problem> {
    let rows: Vec<Article> = parse_rows(&body, service.limits.batch)?;
    for article in &rows {
        check(article)?;
    }
    let counts = service.pipeline.store.import_articles(&rows, params.replace, &now()?).await?;
    service.articles.sync(None).await?;
    let ids: Vec<String> = rows.iter().map(|article| article.id.clone()).collect();
    let duplicates = service.pipeline.duplicates(&ids).await?;
    Ok(Answer(Imported { counts: Counts::of(rows.len(), counts), duplicates }))
}

async fn store(service: &Service, article: &Article, note: Option<&str>) -> Result<bool, Problem> {
    let created = service.pipeline.store.put_article(article, &now()?, note).await?;
    service.articles.sync(None).await?;
    Ok(created)
}

fn check(article: &Article) -> Result<(), Problem> {
    article.check().map_err(|fault| {
        let code = match fault {
            ArticleFault::Id(_) => Code::InvalidId,
            ArticleFault::Empty { .. } => Code::EmptyText,
            ArticleFault::TooLong { .. } => Code::TextTooLong,
            ArticleFault::Field { .. } => Code::InvalidRequest,
        };
        Problem::new(code, fault.to_string())
    })
}

fn missing(id: &str) -> Problem {
    Problem::new(Code::NotFound, format!("there is no article {id:?}"))
}
