//! Bodies and queries with errors that help.

use std::sync::Arc;

use axum::body::{Bytes, to_bytes};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::Service;
use super::problem::{Code, Problem};
use crate::domain::Lang;

/// A body's bytes within the limit. The content type is not looked at: `curl -d` sends a wrong one, and there is only JSON.
pub struct Body(pub Bytes);

impl FromRequest<Arc<Service>> for Body {
    type Rejection = Problem;

    async fn from_request(request: Request, service: &Arc<Service>) -> Result<Self, Problem> {
        read_body(request.into_body(), service.limits.body_bytes).await.map(Body)
    }
}

/// # Errors
/// [`Code::PayloadTooLarge`]; [`Code::InvalidRequest`] where the connection broke.
pub(super) async fn read_body(body: axum::body::Body, limit: usize) -> Result<Bytes, Problem> {
    to_bytes(body, limit).await.map_err(|e| {
        let too_large = std::error::Error::source(&e).is_some_and(|s| s.is::<http_body_util::LengthLimitError>());
        if too_large {
            Problem::new(Code::PayloadTooLarge, format!("the body has more than {} MB", limit / 1_000_000))
        } else {
            Problem::new(Code::InvalidRequest, format!("the body could not be read: {e}"))
        }
    })
}

/// A JSON object as body.
pub struct Json<T>(pub T);

impl<T: DeserializeOwned> FromRequest<Arc<Service>> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, service: &Arc<Service>) -> Result<Self, Problem> {
        let Body(bytes) = Body::from_request(request, service).await?;
        let body = parse(&bytes)?;
        // serde would also read the fields from a list, by their order.
        match bytes.trim_ascii_start().first() {
            Some(b'{') => Ok(Json(body)),
            _ => Err(Problem::new(Code::InvalidRequest, "the body is a list where an object is wanted")),
        }
    }
}

/// # Errors
/// [`Code::InvalidJson`] for what is no JSON, [`Code::InvalidRequest`] for JSON of another shape.
pub(super) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(bytes).map_err(|e| {
        let code = if e.is_data() { Code::InvalidRequest } else { Code::InvalidJson };
        Problem::new(code, e.to_string())
    })
}

/// Rows of a JSON array or of JSON Lines.
///
/// # Errors
/// As [`parse`], naming the line; [`Code::BatchTooLarge`] over `limit`.
pub(super) fn parse_rows<T: DeserializeOwned>(bytes: &[u8], limit: usize) -> Result<Vec<T>, Problem> {
    let first = bytes.iter().find(|b| !b.is_ascii_whitespace());
    let rows: Vec<T> = if first == Some(&b'[') {
        parse(bytes)?
    } else {
        let lines = bytes.split(|&b| b == b'\n').enumerate().filter(|(_, line)| !line.trim_ascii().is_empty());
        let row = |(at, line)| parse(line).map_err(|p| Problem::new(p.code, format!("line {}: {}", at + 1, p.detail)));
        lines.map(row).collect::<Result<_, _>>()?
    };
    if rows.len() > limit {
        return Err(Problem::new(Code::BatchTooLarge, format!("{} rows, {limit} are allowed", rows.len())));
    }
    Ok(rows)
}

/// A query string.
pub struct Params<T>(pub T);

impl<T: DeserializeOwned> FromRequestParts<Arc<Service>> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, service: &Arc<Service>) -> Result<Self, Problem> {
        match Query::<T>::from_request_parts(parts, service).await {
            Ok(Query(params)) => Ok(Params(params)),
            Err(e) => Err(Problem::new(Code::InvalidRequest, e.body_text())),
        }
    }
}

/// # Errors
/// [`Code::EmptyText`], [`Code::TextTooLong`].
pub(super) fn check_text(text: &str, limit: usize) -> Result<(), Problem> {
    if text.trim().is_empty() {
        return Err(Problem::new(Code::EmptyText, "`text` holds nothing but white space"));
    }
    check_length("text", text, limit)
}

/// # Errors
/// [`Code::TextTooLong`], naming the field.
pub(super) fn check_length(field: &str, text: &str, limit: usize) -> Result<(), Problem> {
    // Most texts are short: bytes bound characters.
    if text.len() > limit && text.chars().count() > limit {
        return Err(Problem::new(Code::TextTooLong, format!("`{field}` has {} characters, {limit} are allowed", text.chars().count())));
    }
    Ok(())
}

/// `zh`, `en`, or `None` for `auto` and absence.
///
/// # Errors
/// [`Code::UnknownLanguage`].
pub(super) fn parse_lang(lang: Option<&str>) -> Result<Option<Lang>, Problem> {
    match lang {
        None | Some("auto") => Ok(None),
        Some(other) => other.parse().map(Some).map_err(|e: String| Problem::new(Code::UnknownLanguage, e)),
    }
}

/// # Errors
/// [`Code::InvalidId`].
pub(super) fn check_id(id: &str) -> Result<(), Problem> {
    crate::domain::check_id(id).map_err(|e| Problem::new(Code::InvalidId, e))
}

/// The id in a path, or several.
pub struct PathId<T = String>(pub T);

impl<T: DeserializeOwned + Send> FromRequestParts<Arc<Service>> for PathId<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, service: &Arc<Service>) -> Result<Self, Problem> {
        match Path::<T>::from_request_parts(parts, service).await {
            Ok(Path(id)) => Ok(PathId(id)),
            Err(e) => Err(Problem::new(Code::InvalidId, e.body_text())),
        }
    }
}
