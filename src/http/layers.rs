//! What happens around every request: its id, its metrics, its key, its place in the line.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::Service;
use super::problem::{Code, Problem};
use crate::telemetry::Metric;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

tokio::task_local! {
    static CURRENT: String;
}

/// The id of the request that this task works on; empty outside of one.
pub(super) fn request_id() -> String {
    CURRENT.try_with(Clone::clone).unwrap_or_default()
}

/// Gives the request an id (the caller's, if it is a sane one), logs and counts the answer.
pub(super) async fn observed(request: Request, next: Next) -> Response {
    let given = request.headers().get(REQUEST_ID).and_then(|v| v.to_str().ok());
    let sane = |id: &&str| (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    let id = given.filter(sane).map_or_else(|| ulid::Ulid::new().to_string(), str::to_owned);
    let method = request.method().to_string();
    // Unmatched paths are one label: anybody can invent paths.
    let route = request.extensions().get::<MatchedPath>().map_or("unmatched", |p| p.as_str()).to_owned();
    let begin = Instant::now();
    let mut response = CURRENT.scope(id.clone(), next.run(request)).await;
    let (status, seconds) = (response.status().as_u16(), begin.elapsed().as_secs_f64());
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    tracing::info!(request_id = %id, %method, %route, status, ms = (seconds * 1e5).round() / 100.0, "request");
    Metric::HttpDuration.observe(seconds, &[("method", method.clone()), ("route", route.clone())]);
    Metric::HttpRequests.count(&[("method", method), ("route", route), ("status", status.to_string())]);
    response
}

/// A panic in a handler is a 500 for its caller and nobody else.
pub(super) async fn caught(request: Request, next: Next) -> Response {
    match AssertUnwindSafe(next.run(request)).catch_unwind().await {
        Ok(response) => response,
        Err(_) => Problem::internal(&"a handler panicked").into_response(),
    }
}

/// The form in which API keys are kept.
pub fn hash_key(key: &str) -> String {
    Sha256::digest(key.as_bytes()).iter().map(|b| format!("{b:02x}")).collect()
}

/// Lets requests with a known key pass, and all where no key is configured.
pub(super) async fn authorised(State(service): State<Arc<Service>>, request: Request, next: Next) -> Result<Response, Problem> {
    if !service.keys.is_empty() {
        let given = request.headers().get(header::AUTHORIZATION).and_then(|v| v.to_str().ok()).and_then(|v| v.strip_prefix("Bearer "));
        let hash = hash_key(given.unwrap_or_default().trim());
        // Every key is compared, in constant time: an answer's delay tells nothing.
        let known = service.keys.iter().fold(subtle::Choice::from(0), |any, key| any | key.as_bytes().ct_eq(hash.as_bytes()));
        if !bool::from(known) {
            let why = if given.is_some() { "the key is not known" } else { "no key was sent" };
            return Err(Problem::new(Code::Unauthorized, why));
        }
    }
    Ok(next.run(request).await)
}

/// A request that is not done in time is given up.
pub(super) async fn deadline(State(service): State<Arc<Service>>, request: Request, next: Next) -> Result<Response, Problem> {
    let limit = service.limits.request_timeout;
    let late = |_| Problem::new(Code::Timeout, format!("not done after {} ms", limit.as_millis()));
    tokio::time::timeout(limit, next.run(request)).await.map_err(late)
}

/// Works on a bounded number of requests; one more is refused at once.
pub(super) async fn bounded(State(service): State<Arc<Service>>, request: Request, next: Next) -> Result<Response, Problem> {
    if !service.readiness.is_ready() {
        return Err(Problem::new(Code::NotReady, service.readiness.doing()));
    }
    let Ok(_permit) = service.permits.try_acquire() else {
        Metric::HttpRefused.count(&[]);
        return Err(Problem::new(Code::Overloaded, format!("{} requests are being worked on", service.limits.concurrency)));
    };
    let mut response = next.run(request).await;
    // IETF draft-ietf-httpapi-ratelimit-headers: the quota is of concurrent requests.
    let headers = response.headers_mut();
    for (name, text) in [
        ("ratelimit-policy", format!("\"concurrency\";q={}", service.limits.concurrency)),
        ("ratelimit", format!("\"concurrency\";r={}", service.permits.available_permits())),
    ] {
        if let Ok(value) = HeaderValue::from_str(&text) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    Ok(response)
}
