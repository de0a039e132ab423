//! Health, metrics, documents, the start page.

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_swagger_ui::SwaggerUi;

use super::problem::{Code, Problem, ProblemBody};
use super::{Service, Shared};
use crate::retrieve::{RetrieveError, TicketIndex};
use crate::telemetry::Metric;

#[derive(Debug, Serialize, ToSchema)]
pub struct Health {
    pub status: String,
    pub version: String,
}

/// The process runs.
#[utoipa::path(get, path = "/healthz", tag = "service", responses((status = 200, body = Health)))]
pub async fn healthz() -> axum::Json<Health> {
    axum::Json(Health { status: "ok".into(), version: env!("CARGO_PKG_VERSION").into() })
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Ready {
    pub status: String,
    pub models: crate::domain::Versions,
    /// Entries of the index; `null` while its server does not answer.
    pub articles: Option<usize>,
    pub tickets: Option<usize>,
}

/// Models and index are loaded.
#[utoipa::path(get, path = "/readyz", tag = "service", responses((status = 200, body = Ready), (status = 503, body = ProblemBody)))]
pub async fn readyz(State(service): Shared) -> Result<axum::Json<Ready>, Problem> {
    if !service.readiness.is_ready() {
        return Err(Problem::new(Code::NotReady, service.readiness.doing()));
    }
    service.pipeline.store.health().await?;
    let [articles, tickets] = counts(&service).await?;
    Ok(axum::Json(Ready {
        status: "ready".into(),
        models: service.pipeline.versions(&service.pipeline.lineup.seats(), true),
        articles,
        tickets,
    }))
}

async fn counts(service: &Arc<Service>) -> Result<[Option<usize>; 2], Problem> {
    let indexes = [service.articles.index(), service.tickets.index()].map(Arc::clone);
    let count = |index: &Arc<dyn TicketIndex>| match index.count() {
        Ok(count) => Ok(Some(count)),
        Err(e @ RetrieveError::Remote { .. }) => {
            tracing::warn!("{e}");
            Ok(None)
        }
        Err(e) => Err(Problem::internal(&e)),
    };
    let counted = tokio::task::spawn_blocking(move || Ok([count(&indexes[0])?, count(&indexes[1])?]));
    counted.await.map_err(|e| Problem::internal(&e))?
}

/// Prometheus text format.
#[utoipa::path(get, path = "/metrics", tag = "service", responses((status = 200, body = String, content_type = "text/plain")))]
pub async fn metrics(State(service): Shared) -> Result<Response, Problem> {
    for (kind, entries) in ["article", "ticket"].into_iter().zip(counts(&service).await?) {
        if let Some(entries) = entries {
            Metric::IndexEntries.set(entries as f64, &[("kind", kind.into())]);
        }
    }
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], service.metrics.render()).into_response())
}

/// The start page and the API's document.
pub fn pages() -> Router<Arc<Service>> {
    Router::new()
        .route("/", get(|| page("text/html; charset=utf-8", include_str!("../../web/start/index.html"))))
        .route("/start.css", get(|| page("text/css; charset=utf-8", include_str!("../../web/start/start.css"))))
        .route("/start.js", get(|| page("text/javascript; charset=utf-8", include_str!("../../web/start/start.js"))))
        .route("/desk", get(|| async { Redirect::permanent("/desk/") }))
        .route("/desk/", get(|| desk("index.html".to_owned())))
        .route("/desk/{*path}", get(|Path(path): Path<String>| desk(path)))
        .merge(SwaggerUi::new("/docs").url("/openapi.json", super::openapi()))
}

/// The desk as it was built, `web/desk/dist`.
#[derive(rust_embed::Embed)]
#[folder = "web/desk/dist"]
struct Desk;

async fn desk(path: String) -> Response {
    let Some(file) = Desk::get(&path) else {
        return Problem::new(Code::NotFound, format!("the desk has no file {path:?}")).into_response();
    };
    let media = mime_guess::from_path(&path).first_raw().unwrap_or("application/octet-stream");
    let media = if media.starts_with("text/") { format!("{media}; charset=utf-8") } else { media.to_owned() };
    // The names of assets hold a digest of what is in them.
    let kept = if path.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
    let headers = [(header::CONTENT_TYPE, media), (header::CACHE_CONTROL, kept.to_owned())];
    (StatusCode::OK, safe_headers(), headers, file.data).into_response()
}

async fn page(content_type: &'static str, text: &'static str) -> Response {
    let headers =
        [(header::CONTENT_TYPE, HeaderValue::from_static(content_type)), (header::CACHE_CONTROL, HeaderValue::from_static("no-cache"))];
    (StatusCode::OK, safe_headers(), headers, text).into_response()
}

/// What keeps a page to what it was made of.
fn safe_headers() -> [(header::HeaderName, HeaderValue); 3] {
    [
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static(
                "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            ),
        ),
    ]
}

pub async fn not_found(uri: Uri) -> Problem {
    Problem::new(Code::NotFound, format!("there is no route {}", uri.path()))
}

pub async fn method_not_allowed(uri: Uri) -> Problem {
    Problem::new(Code::MethodNotAllowed, format!("{} does not know this method", uri.path()))
}
