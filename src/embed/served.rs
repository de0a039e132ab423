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
/// How long a request of a bulk, and the first one to a server that is still loading its model, may take: nobody waits for the answer.
const BULK_TIMEOUT: Duration = Duration::from_secs(120);
/// Before a request of a bulk is sent again.
const PAUSES: [Duration; 4] = [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4), Duration::from_secs(8)];
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
    pauses: &'static [Duration],
}

/// Why there are no vectors.
enum Fault {
    /// May be otherwise in a moment.
    Passing(EncodeError),
    Lasting(EncodeError),
}

impl From<Fault> for EncodeError {
    fn from(fault: Fault) -> Self {
        let (Fault::Passing(error) | Fault::Lasting(error)) = fault;
        error
    }
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
        let name = format!("{} at the server", settings.model);
        let server = Server::new(settings, &PAUSES);
        let probe = server.vectors(&["预热 warm-up".to_owned()], Role::Query, None, BULK_TIMEOUT)?;
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
                let asked = tokio::task::spawn_blocking(move || server.vectors(&texts, role, Some(dim), server.settings.timeout));
                Ok(asked.await.map_err(|_| EncodeError::Stopped)??.pop())
            };
            let (encoded, compared) = tokio::try_join!(self.local.encode(text, role, here), there)?;
            Ok(Encoded { compared, ..encoded })
        })
    }

    fn encode_bulk(&self, texts: &[String], role: Role) -> Result<Vec<Vec<f32>>, EncodeError> {
        let mut vectors = Vec::with_capacity(texts.len());
        for batch in texts.chunks(BATCH) {
            vectors.append(&mut self.server.patiently(batch, role, self.dim)?);
        }
        Ok(vectors)
    }

    fn aligned_dimension(&self) -> usize {
        self.local.aligned_dimension()
    }

    /// Servers give no states of tokens: these are of the encoder in process.
    fn aligned_bulk(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, EncodeError> {
        self.local.aligned_bulk(texts)
    }
}

impl Server {
    fn new(settings: ServedSettings, pauses: &'static [Duration]) -> Self {
        Server { agent: ureq::Agent::config_builder().http_status_as_error(false).build().into(), settings, pauses }
    }

    /// As [`Self::vectors`], asked for again while the fault may pass.
    fn patiently(&self, texts: &[String], role: Role, dim: usize) -> Result<Vec<Vec<f32>>, EncodeError> {
        for pause in self.pauses {
            match self.vectors(texts, role, Some(dim), BULK_TIMEOUT) {
                Err(Fault::Passing(error)) => {
                    tracing::warn!(%error, seconds = pause.as_secs_f64(), "the encoder's server is asked again");
                    std::thread::sleep(*pause);
                }
                answered => return Ok(answered?),
            }
        }
        Ok(self.vectors(texts, role, Some(dim), BULK_TIMEOUT)?)
    }

    /// A vector a text, in order, of length 1 and of the dimension, where that is known.
    fn vectors(&self, texts: &[String], role: Role, dim: Option<usize>, timeout: Duration) -> Result<Vec<Vec<f32>>, Fault> {
        let ServedSettings { url, api_key, model, prefixes, .. } = &self.settings;
        let prefix = match role {
            Role::Query => &prefixes[0],
            Role::Passage => &prefixes[1],
        };
        let input: Vec<String> = texts.iter().map(|text| format!("{prefix}{text}")).collect();
        let url = format!("{}/embeddings", url.trim_end_matches('/'));
        let said = |what: String| EncodeError::Model(format!("{url}: {what}"));
        let failed = |what: String| Fault::Lasting(said(what));
        let mut request = self.agent.post(&url).config().timeout_global(Some(timeout)).build().header("content-type", "application/json");
        if let Some(key) = api_key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        let mut answer = request.send(json!({ "model": model, "input": input }).to_string()).map_err(|e| match e {
            ureq::Error::Timeout(_) => Fault::Passing(EncodeError::Timeout),
            other => Fault::Passing(said(format!("{other}; is the server running, and encoder.served_url its address with /v1?"))),
        })?;
        let mut body = Vec::new();
        answer.body_mut().as_reader().take(MOST_BYTES).read_to_end(&mut body).map_err(|e| Fault::Passing(said(e.to_string())))?;
        let status = answer.status().as_u16();
        if !(200..300).contains(&status) {
            let words: String = String::from_utf8_lossy(&body).chars().filter(|c| !c.is_control()).take(200).collect();
            let answered = |hint: &str| said(format!("HTTP {status}: {words}{hint}"));
            return Err(match status {
                401 | 403 => Fault::Lasting(answered("; check encoder.served_api_key")),
                404 => Fault::Lasting(answered("; check encoder.served_url, which often ends in /v1, and encoder.served_model")),
                408 | 500.. => Fault::Passing(answered("")),
                429 => Fault::Passing(EncodeError::Overloaded { capacity: 0 }),
                _ => Fault::Lasting(answered("")),
            });
        }
        let answer: Answer = serde_json::from_slice(&body).map_err(|e| failed(format!("the answer is no list of embeddings: {e}")))?;
        let mut rows = answer.data;
        rows.sort_by_key(|row| row.index);
        if rows.len() != texts.len() || rows.iter().enumerate().any(|(i, row)| row.index != i) {
            return Err(failed(format!("{} vectors for {} texts, or not numbered from 0", rows.len(), texts.len())));
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

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;

    use super::*;

    /// A server that gives these answers one after the other.
    fn server(answers: Vec<(u16, String)>) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v1/", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for (status, body) in answers {
                let (stream, _) = listener.accept().unwrap();
                let mut reader = BufReader::new(stream);
                let mut length = 0;
                loop {
                    let mut head = String::new();
                    reader.read_line(&mut head).unwrap();
                    if let Some(value) = head.to_ascii_lowercase().strip_prefix("content-length:") {
                        length = value.trim().parse().unwrap();
                    }
                    if head.trim().is_empty() {
                        break;
                    }
                }
                reader.read_exact(&mut vec![0; length]).unwrap();
                let head = format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
                reader.into_inner().write_all((head + &body).as_bytes()).unwrap();
            }
        });
        let settings = ServedSettings {
            url,
            api_key: Some("key".into()),
            model: "m".into(),
            prefixes: [String::new(), String::new()],
            timeout: Duration::from_secs(5),
        };
        Server::new(settings, &[Duration::ZERO, Duration::ZERO])
    }

    fn ask(answers: Vec<(u16, &str)>) -> Result<Vec<Vec<f32>>, String> {
        let server = server(answers.into_iter().map(|(status, body)| (status, body.to_owned())).collect());
        server.patiently(&["a".into(), "b".into()], Role::Passage, 2).map_err(|e| e.to_string())
    }

    const GOOD: &str = r#"{"data": [{"index": 1, "embedding": [0, 2]}, {"index": 0, "embedding": [3, 4]}]}"#;

    #[test]
    fn vectors_come_in_order_and_of_length_one_after_faults_that_pass() {
        let expected = vec![vec![0.6, 0.8], vec![0.0, 1.0]];
        assert_eq!(ask(vec![(200, GOOD)]).unwrap(), expected);
        assert_eq!(ask(vec![(500, "boom"), (429, ""), (200, GOOD)]).unwrap(), expected);
        let gone = ask(vec![(503, "loading"); 3]).unwrap_err();
        assert!(gone.contains("HTTP 503: loading"), "{gone}");
    }

    #[test]
    fn faults_that_stay_are_told_at_once_and_say_what_to_do() {
        for (status, body, expected) in [
            (401, "no", "check encoder.served_api_key"),
            (404, "no", "check encoder.served_url"),
            (400, "too long", "HTTP 400: too long"),
            (200, "<html>", "no list of embeddings"),
            (200, r#"{"data": []}"#, "0 vectors for 2 texts"),
            (200, r#"{"data": [{"index": 0, "embedding": [1, 0]}, {"index": 0, "embedding": [1, 0]}]}"#, "not numbered from 0"),
            (200, r#"{"data": [{"index": 0, "embedding": [0, 0]}, {"index": 1, "embedding": [1, 0]}]}"#, "no length"),
            (200, r#"{"data": [{"index": 0, "embedding": [1]}, {"index": 1, "embedding": [1]}]}"#, "a vector of 1 numbers"),
        ] {
            let fault = ask(vec![(status, body)]).unwrap_err();
            assert!(fault.contains(expected), "{status} {body}: {fault}");
        }
        let nobody = Server::new(ServedSettings { url: "http://127.0.0.1:9".into(), ..server(Vec::new()).settings }, &[]);
        let fault = nobody.patiently(&["a".into()], Role::Query, 2).unwrap_err().to_string();
        assert!(fault.contains("is the server running"), "{fault}");
    }
}
