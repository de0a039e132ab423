//! Vectors that texts are compared by, from a server with an OpenAI-compatible `/embeddings`: for those who have a larger encoder.
//!
//! Intents and entities stay with the encoder in process, whose branches they are trained on; only what texts are compared by comes from the
//! server. Its vectors are checked (length, numbers) and brought to length 1. An index is stamped with the server's model.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use super::{EncodeError, EncodeFuture, Encoded, EncoderWorker, Role, SentenceEncoder, Wanted};

/// Texts a request.
const BATCH: usize = 64;
/// Bytes of an answer at most: vectors of 4,096 numbers for a whole batch in JSON.
const MOST_BYTES: u64 = 16 * 1024 * 1024;

/// Where the server is and what it is asked for.
#[derive(Debug, Clone)]
pub struct ServedSettings {
    /// Without `/embeddings`: `http://127.0.0.1:8000/v1`.
    pub url: String,
    pub api_key: Option<String>,
    pub model: String,
    /// Put before a message and before a text of the index; some models want it.
    pub prefixes: [String; 2],
    pub timeout: Duration,
}

/// The encoder in process, with a server's vectors to compare texts by.
pub struct ServedEncoder {
    local: EncoderWorker,
    server: Arc<Server>,
    name: String,
    dim: usize,
}

struct Server {
    agent: ureq::Agent,
    settings: ServedSettings,
}

#[derive(Deserialize)]
struct Answer {
    data: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    index: usize,
    embedding: Vec<f32>,
}

impl ServedEncoder {
    /// Asks the server for one vector, to learn how long they are.
    ///
    /// # Errors
    /// A server that does not answer, or answers with something else.
    pub fn connect(local: EncoderWorker, settings: ServedSettings) -> Result<Self, EncodeError> {
        let config = ureq::Agent::config_builder().timeout_global(Some(settings.timeout)).http_status_as_error(false);
        let name = format!("{} at the server", settings.model);
        let server = Server { agent: config.build().into(), settings };
        let probe = server.vectors(&["预热 warm-up".to_owned()], Role::Query, None)?;
        let dim = probe.first().map_or(0, Vec::len);
        Ok(ServedEncoder { local, server: Arc::new(server), name, dim })
    }
}

impl SentenceEncoder for ServedEncoder {
    fn name(&self) -> &str {
        &self.name
    }

    fn dimension(&self) -> usize {
        self.dim
    }

    fn encode<'a>(&'a self, text: &'a str, role: Role, wanted: Wanted) -> EncodeFuture<'a> {
        Box::pin(async move {
            let compared = wanted.compared;
            let here = Wanted { compared: false, ..wanted };
            let (server, texts, dim) = (Arc::clone(&self.server), vec![text.to_owned()], self.dim);
            let there = async move {
                if !compared {
                    return Ok(None);
                }
                let asked = tokio::task::spawn_blocking(move || server.vectors(&texts, role, Some(dim)));
                asked.await.map_err(|_| EncodeError::Stopped)?.map(|mut vectors| vectors.pop())
            };
            let (encoded, compared) = tokio::try_join!(self.local.encode(text, role, here), there)?;
            Ok(Encoded { compared, ..encoded })
        })
    }

    fn encode_bulk(&self, texts: &[String], role: Role) -> Result<Vec<Vec<f32>>, EncodeError> {
        let mut vectors = Vec::with_capacity(texts.len());
        for batch in texts.chunks(BATCH) {
            vectors.append(&mut self.server.vectors(batch, role, Some(self.dim))?);
        }
        Ok(vectors)
    }
}

impl Server {
    /// A vector a text, in order, of length 1 and of the dimension, where that is known.
    fn vectors(&self, texts: &[String], role: Role, dim: Option<usize>) -> Result<Vec<Vec<f32>>, EncodeError> {
        let ServedSettings { url, api_key, model, prefixes, .. } = &self.settings;
        let prefix = match role {
            Role::Query => &prefixes[0],
            Role::Passage => &prefixes[1],
        };
        let input: Vec<String> = texts.iter().map(|text| format!("{prefix}{text}")).collect();
        let url = format!("{}/embeddings", url.trim_end_matches('/'));
        let failed = |what: String| EncodeError::Model(format!("{url}: {what}"));
        let mut request = self.agent.post(&url).header("content-type", "application/json");
        if let Some(key) = api_key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        let mut answer = request.send(json!({ "model": model, "input": input }).to_string()).map_err(|e| match e {
            ureq::Error::Timeout(_) => EncodeError::Timeout,
            other => failed(other.to_string()),
        })?;
        let mut body = Vec::new();
        answer.body_mut().as_reader().take(MOST_BYTES).read_to_end(&mut body).map_err(|e| failed(e.to_string()))?;
        match answer.status().as_u16() {
            200..300 => {}
            429 => return Err(EncodeError::Overloaded { capacity: 0 }),
            status => {
                let said: String = String::from_utf8_lossy(&body).chars().filter(|c| !c.is_control()).take(200).collect();
                return Err(failed(format!("HTTP {status}: {said}")));
            }
        }
        let answer: Answer = serde_json::from_slice(&body).map_err(|e| failed(format!("the answer is no list of embeddings: {e}")))?;
        let mut rows = answer.data;
        rows.sort_by_key(|row| row.index);
        if rows.len() != texts.len() || rows.iter().enumerate().any(|(i, row)| row.index != i) {
            return Err(failed(format!("{} vectors for {} texts", rows.len(), texts.len())));
        }
        let unit = |row: Row| {
            let length = row.embedding.iter().map(|x| x * x).sum::<f32>().sqrt();
            if !(length.is_finite() && length > 0.0) {
                return Err(failed("a vector of no length, or not of numbers".into()));
            }
            if let Some(dim) = dim.filter(|dim| *dim != row.embedding.len()) {
                return Err(failed(format!(
                    "a vector of {} numbers, and {dim} were wanted: restart after a change of model",
                    row.embedding.len()
                )));
            }
            Ok(row.embedding.into_iter().map(|x| x / length).collect())
        };
        rows.into_iter().map(unit).collect()
    }
}
