//! The HTTP API: routes, extractors, one file a resource, `problem+json`, OpenAPI.
//!
//! Handlers translate between the wire and [`Pipeline`] and [`Knowledge`]; they decide nothing. Every answer carries a request id, every fault is a row
//! of [`problem::Code`]'s table; what is unexpected becomes a bare 500 while its detail goes once to the log.

mod articles;
mod catalogue;
mod desk;
mod drafts;
mod extract;
mod feedback;
mod idempotency;
mod layers;
mod meta;
mod models;
mod problem;
mod products;
mod tickets;
mod triage;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::Semaphore;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use layers::hash_key;
pub use problem::{Code, Problem, documentation as error_documentation};

use crate::domain::Mode;
use crate::pipeline::{Follower, Knowledge, Pipeline, TaggerFollower};

/// What the handlers stand on.
pub struct Service {
    pub pipeline: Arc<Pipeline>,
    pub articles: Arc<Knowledge>,
    pub tickets: Arc<Knowledge>,
    pub models: Arc<Follower>,
    /// Who tells the entities.
    pub taggers: Arc<TaggerFollower>,
    pub limits: Limits,
    /// sha256 of the API keys in hexadecimal; none: no key is asked for.
    pub keys: Vec<String>,
    pub metrics: PrometheusHandle,
    pub readiness: Readiness,
    pub permits: Arc<Semaphore>,
}

#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub body_bytes: usize,
    pub text_chars: usize,
    pub batch: usize,
    /// Requests worked on at once.
    pub concurrency: usize,
    pub request_timeout: Duration,
    /// Similar tickets where the request names no number.
    pub similar: usize,
    /// Where the request names none.
    pub mode: Mode,
}

/// Whether models and index are loaded.
#[derive(Debug)]
pub struct Readiness {
    ready: AtomicBool,
    doing: std::sync::Mutex<String>,
}

impl Default for Readiness {
    fn default() -> Self {
        Readiness { ready: AtomicBool::new(false), doing: std::sync::Mutex::new("loading".into()) }
    }
}

impl Readiness {
    pub fn set_doing(&self, what: String) {
        if let Ok(mut doing) = self.doing.lock() {
            *doing = what;
        }
    }

    pub fn set_ready(&self) {
        self.ready.store(true, Ordering::Release);
    }

    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    pub fn doing(&self) -> String {
        self.doing.lock().map(|d| d.clone()).unwrap_or_default()
    }
}

type Shared = axum::extract::State<Arc<Service>>;

#[derive(OpenApi)]
#[openapi(
    info(title = "Fenzhen", description = "Triage for customer support, Chinese and English. Errors are `application/problem+json`; see `docs/errors.md` for the codes."),
    tags(
        (name = "triage", description = "Messages in, decisions out."),
        (name = "knowledge", description = "What the shop knows: articles, past tickets, the catalogue."),
        (name = "models", description = "Trained models: versions, which one is served, and what a challenger would have said."),
        (name = "learning", description = "What agents say of the answers, to learn from."),
        (name = "service", description = "Health, metrics, this document."),
    )
)]
struct ApiDoc;

/// The time for a record: RFC 3339, UTC.
fn now() -> Result<String, Problem> {
    let format = time::format_description::well_known::Rfc3339;
    time::OffsetDateTime::now_utc().format(&format).map_err(|e| Problem::internal(&e))
}

/// What is done in milliseconds, and is cut off when it is not.
fn single_routes() -> OpenApiRouter<Arc<Service>> {
    OpenApiRouter::with_openapi(ApiDoc::openapi())
        .routes(routes!(triage::triage))
        .routes(routes!(triage::similar))
        .routes(routes!(feedback::create))
        .routes(routes!(products::resolve))
        .routes(routes!(products::get))
        .routes(routes!(articles::list, articles::create))
        .routes(routes!(articles::get, articles::put, articles::delete))
        .routes(routes!(articles::versions))
        .routes(routes!(articles::restore))
        .routes(routes!(articles::usage))
        .routes(routes!(tickets::get))
        .routes(routes!(desk::search))
        .routes(routes!(desk::stale))
        .routes(routes!(drafts::list))
        .routes(routes!(drafts::get, drafts::put, drafts::delete))
        .routes(routes!(drafts::submit))
        .routes(routes!(drafts::give_back))
        .routes(routes!(drafts::publish))
        .routes(routes!(models::list))
        .routes(routes!(models::shadow))
}

/// What takes as long as its input is large; what was begun is ended.
fn bulk_routes() -> OpenApiRouter<Arc<Service>> {
    OpenApiRouter::new()
        .routes(routes!(triage::triage_batch))
        .routes(routes!(triage::classify))
        .routes(routes!(triage::entities))
        .routes(routes!(articles::import))
        .routes(routes!(desk::gaps))
        .routes(routes!(desk::incidents))
        .routes(routes!(tickets::index))
        .routes(routes!(catalogue::put))
        .routes(routes!(models::promote))
        .routes(routes!(models::rollback))
        .routes(routes!(models::put_alias))
}

fn meta_routes() -> OpenApiRouter<Arc<Service>> {
    OpenApiRouter::new().routes(routes!(meta::healthz)).routes(routes!(meta::readyz)).routes(routes!(meta::metrics))
}

/// The OpenAPI 3.1 document of all routes.
pub fn openapi() -> utoipa::openapi::OpenApi {
    let mut document = single_routes().split_for_parts().1;
    document.merge(bulk_routes().split_for_parts().1);
    document.merge(meta_routes().split_for_parts().1);
    document.info.version = env!("CARGO_PKG_VERSION").into();
    document
}

/// The whole application.
pub fn router(service: Arc<Service>) -> Router {
    let single = single_routes().split_for_parts().0.layer(from_fn_with_state(Arc::clone(&service), layers::deadline));
    let api = single
        .merge(bulk_routes().split_for_parts().0)
        .layer(from_fn_with_state(Arc::clone(&service), idempotency::replay))
        .layer(from_fn_with_state(Arc::clone(&service), layers::bounded))
        .layer(from_fn_with_state(Arc::clone(&service), layers::authorised));
    Router::new()
        .merge(api)
        .merge(meta_routes().split_for_parts().0)
        .merge(meta::pages())
        .fallback(meta::not_found)
        .method_not_allowed_fallback(meta::method_not_allowed)
        .layer(from_fn(layers::caught))
        .layer(from_fn(layers::observed))
        .with_state(service)
}
