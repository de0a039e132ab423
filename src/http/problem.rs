//! One table of error codes; `application/problem+json` (RFC 9457) from it, and `docs/errors.md` too.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::embed::EncodeError;
use crate::models::RegistryError;
use crate::pipeline::{FollowError, PipelineError};
use crate::retrieve::RetrieveError;
use crate::store::StoreError;

macro_rules! codes {
    ($($variant:ident $name:literal $status:ident $title:literal $hint:literal;)*) => {
        /// What went wrong, as a stable word for programs.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Code { $($variant),* }

        impl Code {
            pub const ALL: &'static [Code] = &[$(Code::$variant),*];

            /// Name, HTTP status, title, hint.
            pub fn row(self) -> (&'static str, StatusCode, &'static str, &'static str) {
                match self { $(Code::$variant => ($name, StatusCode::$status, $title, $hint)),* }
            }
        }
    };
}

codes! {
    InvalidJson "invalid_json" BAD_REQUEST "The body is not valid JSON" "Send UTF-8 JSON; characters outside the basic plane are written as themselves or as a pair of \\u escapes, never as half a pair.";
    InvalidRequest "invalid_request" UNPROCESSABLE_ENTITY "The request does not have the right shape" "Compare the field that the detail names with /docs.";
    EmptyText "empty_text" UNPROCESSABLE_ENTITY "The text is empty" "Send the customer's message in `text`; white space alone is not a message.";
    TextTooLong "text_too_long" PAYLOAD_TOO_LARGE "The text is too long" "Send the message alone, without the quoted history, or raise server.max_text_chars.";
    UnknownLanguage "unknown_language" UNPROCESSABLE_ENTITY "The language is not known" "Use zh, en or auto.";
    UnknownIntent "unknown_intent" UNPROCESSABLE_ENTITY "The intent is not known" "Use a label of the classifier: /v1/classify answers with them, and the hint of this error names the nearest.";
    BatchTooLarge "batch_too_large" PAYLOAD_TOO_LARGE "Too many items" "Split the batch, or raise server.max_batch.";
    PayloadTooLarge "payload_too_large" PAYLOAD_TOO_LARGE "The body is too large" "Split the request, or raise server.max_body_mb.";
    InvalidId "invalid_id" UNPROCESSABLE_ENTITY "The id cannot be used" "Ids have 1 to 200 characters and no control characters.";
    NotFound "not_found" NOT_FOUND "There is nothing here" "See /docs for the routes that exist, and check the id.";
    TriageNotRecorded "triage_not_recorded" NOT_FOUND "There is no record of this triage" "Feedback needs the message: send \"record\": true with the triage, and then the `id` of its answer as `triage_id`.";
    MethodNotAllowed "method_not_allowed" METHOD_NOT_ALLOWED "The route does not know this method" "See /docs for the methods of each route.";
    AlreadyExists "already_exists" CONFLICT "There is one with this id" "Change it with PUT, or choose another id.";
    StaleDraft "stale_draft" CONFLICT "The article was changed since the draft was begun" "Compare with GET /v1/articles/{id}/versions, then save the draft anew or publish it with \"force\": true.";
    ModelRefused "model_refused" UNPROCESSABLE_ENTITY "The model cannot be served" "Nothing was changed: train it again with this program, or choose another version; GET /v1/models lists them.";
    NoEarlierModel "no_earlier_model" CONFLICT "There is no champion to go back to" "Promote a version by its number; GET /v1/models lists them.";
    Unauthorized "unauthorized" UNAUTHORIZED "An API key is needed" "Send `Authorization: Bearer <key>` with a key that the service was configured with.";
    IdempotencyConflict "idempotency_conflict" UNPROCESSABLE_ENTITY "The Idempotency-Key was used for another request" "Use a new key for a new request.";
    IdempotencyInProgress "idempotency_in_progress" CONFLICT "A request with this Idempotency-Key is being worked on" "Wait for its answer, then send the request again.";
    Overloaded "overloaded" TOO_MANY_REQUESTS "Too much to do" "Wait for Retry-After seconds; if it happens often, raise server.concurrency or encoder.queue, or add a replica.";
    Timeout "timeout" SERVICE_UNAVAILABLE "The request took too long" "Try again; for large batches send fewer items at a time.";
    IndexUnavailable "index_unavailable" SERVICE_UNAVAILABLE "A search server does not answer" "What was sent is stored, and can be found when the server is back; triages go on with what answers. See the detail, and retrieve.* of the configuration.";
    NotReady "not_ready" SERVICE_UNAVAILABLE "The service is still loading" "Wait until /readyz answers 200.";
    Internal "internal" INTERNAL_SERVER_ERROR "Something broke here" "The log has the detail under this request id.";
}

/// A fault on its way to the caller.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    pub code: Code,
    pub detail: String,
    /// What to do here, where more can be said than the code's own hint.
    pub hint: Option<String>,
}

/// The wire form of a fault.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ProblemBody {
    /// `urn:fenzhen:error:<code>`.
    #[serde(rename = "type")]
    pub kind: String,
    pub title: String,
    pub status: u16,
    pub detail: String,
    pub code: String,
    pub hint: String,
    pub request_id: String,
}

impl Problem {
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Problem { code, detail: detail.into(), hint: None }
    }

    pub fn with_hint(self, hint: impl Into<String>) -> Self {
        Problem { hint: Some(hint.into()), ..self }
    }

    pub fn body(&self, request_id: &str) -> ProblemBody {
        let (name, status, title, hint) = self.code.row();
        ProblemBody {
            kind: format!("urn:fenzhen:error:{name}"),
            title: title.to_owned(),
            status: status.as_u16(),
            detail: self.detail.clone(),
            code: name.to_owned(),
            hint: self.hint.clone().unwrap_or_else(|| hint.to_owned()),
            request_id: request_id.to_owned(),
        }
    }

    /// An unexpected fault: its detail goes to the log, and only there.
    pub fn internal(error: &dyn std::fmt::Display) -> Self {
        tracing::error!(%error, "unexpected fault");
        Problem::new(Code::Internal, "an unexpected fault; it was logged")
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let request_id = super::layers::request_id();
        let mut response = (self.code.row().1, Json(self.body(&request_id))).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if matches!(self.code, Code::Overloaded | Code::IndexUnavailable | Code::NotReady | Code::Timeout | Code::IdempotencyInProgress) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if self.code == Code::Unauthorized {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<PipelineError> for Problem {
    fn from(e: PipelineError) -> Self {
        match e {
            PipelineError::Overloaded(e) => {
                crate::telemetry::Metric::EncoderRefused.count(&[]);
                Problem::new(Code::Overloaded, e.to_string())
            }
            PipelineError::Encode(EncodeError::Timeout) => Problem::new(Code::Timeout, "the encoder did not answer in time"),
            PipelineError::Retrieve(e @ RetrieveError::Remote { .. }) => {
                tracing::warn!("{e}");
                Problem::new(Code::IndexUnavailable, e.to_string())
            }
            other => Problem::internal(&other),
        }
    }
}

impl From<FollowError> for Problem {
    fn from(e: FollowError) -> Self {
        let code = match &e {
            FollowError::Registry(e) => match e {
                RegistryError::BadName(_)
                | RegistryError::UnknownModel { .. }
                | RegistryError::UnknownVersion { .. }
                | RegistryError::UnknownAlias { .. } => Code::NotFound,
                RegistryError::BadAlias(_) => Code::InvalidRequest,
                RegistryError::NotAnArtefact { .. }
                | RegistryError::OtherName { .. }
                | RegistryError::Damaged { .. }
                | RegistryError::Refused { .. } => Code::ModelRefused,
                RegistryError::NothingBefore(_) => Code::NoEarlierModel,
                RegistryError::Busy { .. } => Code::Overloaded,
                RegistryError::Broken { .. } | RegistryError::Io { .. } => return Problem::internal(&e),
            },
            FollowError::Load { .. } => Code::ModelRefused,
            FollowError::Thread(_) => return Problem::internal(&e),
        };
        Problem::new(code, e.to_string())
    }
}

impl From<StoreError> for Problem {
    fn from(e: StoreError) -> Self {
        Problem::internal(&e)
    }
}

/// The table as Markdown, for `docs/errors.md`.
pub fn documentation() -> String {
    let mut out = String::from(
        "# Error codes\n\nGenerated from `src/http/problem.rs`. Every error is `application/problem+json` with `type`, `title`, `status`, `detail`, `code`, `hint` and \
         `request_id`.\n\n| code | status | meaning | what to do |\n|---|---|---|---|\n",
    );
    for code in Code::ALL {
        let (name, status, title, hint) = code.row();
        out += &format!("| `{name}` | {} | {title} | {hint} |\n", status.as_u16());
    }
    out
}
