//! Asking a service that runs.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use serde_json::Value;

use super::output::Hinted;
use super::serve::ADDRESS_FILE;

/// A service, by its address.
pub(super) struct Client {
    agent: ureq::Agent,
    url: String,
}

impl Client {
    pub fn new(url: &str) -> Self {
        Client { agent: ureq::agent(), url: url.trim().trim_end_matches('/').to_owned() }
    }

    /// The service that runs on a data folder, if one answers.
    pub fn running(data: &Path) -> Option<Self> {
        let url = std::fs::read_to_string(data.join(ADDRESS_FILE)).ok()?;
        let client = Client::new(&url);
        let agent: ureq::Agent = ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(2))).build().into();
        agent.get(format!("{}/healthz", client.url)).call().is_ok().then_some(client)
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// # Errors
    /// Nobody answers; the service's own error with its hint.
    pub fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.answer(self.with_key(self.agent.get(format!("{}{path}", self.url))).call())
    }

    /// # Errors
    /// As [`Self::get`].
    pub fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.answer(self.with_key(self.agent.post(format!("{}{path}", self.url))).send(serde_json::to_vec(body)?))
    }

    fn with_key<B>(&self, request: ureq::RequestBuilder<B>) -> ureq::RequestBuilder<B> {
        let request = request.config().http_status_as_error(false).build();
        match std::env::var("FENZHEN_API_KEY") {
            Ok(key) => request.header("authorization", format!("Bearer {key}")),
            Err(_) => request,
        }
    }

    fn answer(&self, response: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> anyhow::Result<Value> {
        let mut response = response.with_context(|| format!("the service at {}", self.url))?;
        let answer = response.body_mut().read_to_vec()?;
        let body: Value = serde_json::from_slice(&answer).with_context(|| format!("the answer of {}", self.url))?;
        if !response.status().is_success() {
            let field = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
            return Err(Hinted { message: format!("{}: {}: {}", self.url, field("title"), field("detail")), hint: field("hint") }.into());
        }
        Ok(body)
    }
}
