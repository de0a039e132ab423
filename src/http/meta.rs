//! Health, metrics, documents, the start page.

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_swagger_ui::SwaggerUi;

use super::problem::{Code, Problem, ProblemBody};
use super::{Service, Shared};
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
    pub articles: usize,
    pub tickets: usize,
}

/// Models and index are loaded.
#[utoipa::path(get, path = "/readyz", tag = "service", responses((status = 200, body = Ready), (status = 503, body = ProblemBody)))]
pub async fn readyz(State(service): Shared) -> Result<axum::Json<Ready>, Problem> {
    if !service.readiness.is_ready() {
        return Err(Problem::new(Code::NotReady, service.readiness.doing()));
    }
    service.pipeline.store.health().await?;
    let (articles, tickets) = counts(&service).await?;
    Ok(axum::Json(Ready {
        status: "ready".into(),
        models: service.pipeline.versions(&service.pipeline.lineup.seats(), true),
        articles,
        tickets,
    }))
}

async fn counts(service: &Arc<Service>) -> Result<(usize, usize), Problem> {
    let (articles, tickets) = (Arc::clone(service.articles.index()), Arc::clone(service.tickets.index()));
    let counted = tokio::task::spawn_blocking(move || Ok::<_, crate::retrieve::RetrieveError>((articles.count()?, tickets.count()?)));
    counted.await.map_err(|e| Problem::internal(&e))?.map_err(|e| Problem::internal(&e))
}

/// Prometheus text format.
#[utoipa::path(get, path = "/metrics", tag = "service", responses((status = 200, body = String, content_type = "text/plain")))]
pub async fn metrics(State(service): Shared) -> Result<Response, Problem> {
    let (articles, tickets) = counts(&service).await?;
    Metric::IndexEntries.set(articles as f64, &[("kind", "article".into())]);
    Metric::IndexEntries.set(tickets as f64, &[("kind", "ticket".into())]);
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], service.metrics.render()).into_response())
}

/// The start page and the API's document.
pub fn pages() -> Router<Arc<Service>> {
    Router::new()
        .route("/", get(|| page("text/html; charset=utf-8", include_str!("../../web/start/index.html"))))
        .route("/start.css", get(|| page("text/css; charset=utf-8", include_str!("../../web/start/start.css"))))
        .route("/start.js", get(|| page("text/javascript; charset=utf-8", include_str!("../../web/start/start.js"))))
        .merge(SwaggerUi::new("/docs").url("/openapi.json", super::openapi()))
}

async fn page(content_type: &'static str, text: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(content_type)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static(
                "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            ),
        ),
    ];
    (StatusCode::OK, headers, text).into_response()
}

pub async fn not_found(uri: Uri) -> Problem {
    Problem::new(Code::NotFound, format!("there is no route {}", uri.path()))
}

pub async fn method_not_allowed(uri: Uri) -> Problem {
    Problem::new(Code::MethodNotAllowed, format!("{} does not know this method", uri.path()))
}
