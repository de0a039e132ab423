//! `Idempotency-Key`: an unsafe request that is sent twice is done once.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use super::Service;
use super::extract::read_body;
use super::problem::{Code, Problem};
use crate::store::{Answer, Idempotency};

/// The same key with the same request replays the stored answer; with another request it is refused.
pub(super) async fn replay(State(service): State<Arc<Service>>, request: Request, next: Next) -> Result<Response, Problem> {
    let key = request.headers().get("idempotency-key").cloned();
    let (Some(key), false) = (key, matches!(*request.method(), Method::GET | Method::HEAD)) else {
        return Ok(next.run(request).await);
    };
    let key = key.to_str().ok().filter(|k| (1..=200).contains(&k.len()));
    let key = key.ok_or_else(|| Problem::new(Code::InvalidRequest, "the Idempotency-Key has 1 to 200 ASCII characters"))?.to_owned();
    let (parts, body) = request.into_parts();
    let body = read_body(body, service.limits.body_bytes).await?;
    let mut hasher = Sha256::new();
    for part in [parts.method.as_str(), parts.uri.path(), parts.uri.query().unwrap_or_default()] {
        hasher.update(part.as_bytes());
        hasher.update([0]);
    }
    hasher.update(&body);
    let hash: String = hasher.finalize().iter().map(|b| format!("{b:02x}")).collect();

    let store = &service.pipeline.store;
    match store.idempotent(&key, &hash, time::OffsetDateTime::now_utc().unix_timestamp()).await? {
        Idempotency::Conflict => Err(Problem::new(Code::IdempotencyConflict, "the key came with another method, path or body before")),
        Idempotency::InProgress => {
            Err(Problem::new(Code::IdempotencyInProgress, "the first request with this key has not been answered yet"))
        }
        Idempotency::Replay(kept) => {
            let status = StatusCode::from_u16(kept.status).unwrap_or(StatusCode::OK);
            let mut response = (status, kept.body).into_response();
            for (name, value) in [(header::CONTENT_TYPE, Some(kept.content_type)), (header::LOCATION, kept.location)] {
                if let Some(Ok(value)) = value.map(|v| HeaderValue::from_str(&v)) {
                    response.headers_mut().insert(name, value);
                }
            }
            response.headers_mut().insert("idempotent-replayed", HeaderValue::from_static("true"));
            Ok(response)
        }
        Idempotency::New => {
            let mut reserved = Reserved { service: Arc::clone(&service), key: Some(key) };
            let response = next.run(Request::from_parts(parts, Body::from(body))).await;
            keep(&service, &mut reserved, response).await
        }
    }
}

/// Gives the key back when the request is dropped (client gone, deadline) before it was answered.
struct Reserved {
    service: Arc<Service>,
    key: Option<String>,
}

impl Drop for Reserved {
    fn drop(&mut self) {
        if let (Some(key), Ok(runtime)) = (self.key.take(), tokio::runtime::Handle::try_current()) {
            let store = self.service.pipeline.store.clone();
            runtime.spawn(async move {
                if let Err(error) = store.abandon_idempotent(&key).await {
                    tracing::error!(%error, "an idempotency key could not be given back");
                }
            });
        }
    }
}

/// Answers that a repeated request could change (overload, faults of ours) are not kept.
async fn keep(service: &Service, reserved: &mut Reserved, response: Response) -> Result<Response, Problem> {
    let status = response.status();
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.map_err(|e| Problem::internal(&e))?;
    let text = |name| parts.headers.get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
    let kept = Answer {
        status: status.as_u16(),
        content_type: text(header::CONTENT_TYPE).unwrap_or_default(),
        location: text(header::LOCATION),
        body: body.to_vec(),
    };
    if let Some(key) = &reserved.key {
        service.pipeline.store.finish_idempotent(key, &kept).await?;
        reserved.key = None;
    }
    Ok(Response::from_parts(parts, Body::from(body)))
}
