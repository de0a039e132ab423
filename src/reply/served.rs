//! A server that speaks OpenAI's chat protocol (`/chat/completions`): vLLM, llama.cpp, Ollama, a hub's.
//!
//! A fault that may pass is tried once more within the deadline; after several in a row the server is left alone for a while, so that
//! each message does not wait for a server that is down.

use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::sampling::among;
use super::{Finish, GenerateError, GenerateFuture, Generation, Generator, Request};

/// Faults in a row after which the server is left alone.
const FAULTS: u32 = 3;
/// How long it is left alone.
const REST: Duration = Duration::from_secs(20);
/// Before a request is sent again.
const PAUSE: Duration = Duration::from_millis(200);
/// Bytes of an answer at most: a server that babbles is cut off.
const MOST_BYTES: u64 = 4 * 1024 * 1024;

/// Where the server is and what it is asked for.
#[derive(Debug, Clone)]
pub struct ServedGeneratorSettings {
    /// Without `/chat/completions`: `http://127.0.0.1:8000/v1`.
    pub url: String,
    pub api_key: Option<String>,
    pub model: String,
}

/// A client of such a server.
pub struct ServedGenerator {
    client: Arc<Client>,
}

struct Client {
    agent: ureq::Agent,
    settings: ServedGeneratorSettings,
    breaker: Mutex<Breaker>,
}

#[derive(Default)]
struct Breaker {
    faults: u32,
    rests_until: Option<Instant>,
}

/// Why a request brought nothing.
enum Fault {
    /// May be otherwise in a moment.
    Passing(GenerateError),
    Lasting(GenerateError),
}

#[derive(Deserialize)]
struct Chunk {
    #[serde(default)]
    choices: Vec<Choice>,
    #[serde(default)]
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    delta: Option<Said>,
    #[serde(default)]
    message: Option<Said>,
    #[serde(default)]
    finish_reason: Option<String>,
    #[serde(default)]
    logprobs: Option<Logprobs>,
}

#[derive(Deserialize)]
struct Said {
    #[serde(default)]
    content: Option<String>,
}

#[derive(Deserialize)]
struct Logprobs {
    #[serde(default)]
    content: Vec<Position>,
}

#[derive(Deserialize)]
struct Position {
    #[serde(default)]
    top_logprobs: Vec<Candidate>,
}

#[derive(Deserialize)]
struct Candidate {
    token: String,
    logprob: f32,
}

#[derive(Deserialize, Default, Clone, Copy)]
#[serde(default)]
struct Usage {
    prompt_tokens: usize,
    completion_tokens: usize,
}

impl ServedGenerator {
    pub fn new(settings: ServedGeneratorSettings) -> Self {
        let agent = ureq::Agent::config_builder().http_status_as_error(false).max_redirects(0).build().into();
        ServedGenerator { client: Arc::new(Client { agent, settings, breaker: Mutex::default() }) }
    }

    fn on_a_thread<T: Send + 'static>(
        &self,
        deadline: Instant,
        work: impl FnOnce(&Client) -> Result<T, GenerateError> + Send + 'static,
    ) -> GenerateFuture<'_, T> {
        let client = Arc::clone(&self.client);
        Box::pin(async move {
            let done = tokio::task::spawn_blocking(move || work(&client));
            // A server that drips can keep the thread until its own time-out; the caller does not wait for that.
            match tokio::time::timeout_at(deadline.into(), done).await {
                Ok(Ok(answered)) => answered,
                Ok(Err(_)) => Err(GenerateError::Stopped),
                Err(_) => Err(GenerateError::Timeout),
            }
        })
    }
}

impl Generator for ServedGenerator {
    fn name(&self) -> &str {
        &self.client.settings.model
    }

    fn generate(&self, request: Request, stream: Option<mpsc::Sender<String>>) -> GenerateFuture<'_, Generation> {
        self.on_a_thread(request.deadline, move |client| client.with_care(request.deadline, || client.generate(&request, stream.as_ref())))
    }

    fn choose(&self, request: Request, choices: Vec<String>) -> GenerateFuture<'_, Vec<f32>> {
        self.on_a_thread(request.deadline, move |client| client.with_care(request.deadline, || client.choose(&request, &choices)))
    }
}

impl Client {
    /// Tries once more what may pass, and counts faults.
    fn with_care<T>(&self, deadline: Instant, attempt: impl Fn() -> Result<T, Fault>) -> Result<T, GenerateError> {
        let breaker = || self.breaker.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(left) = breaker().rests_until.and_then(|until| until.checked_duration_since(Instant::now())) {
            return Err(GenerateError::Resting { seconds: left.as_secs() + 1 });
        }
        let mut answered = attempt();
        if let Err(Fault::Passing(_)) = &answered
            && Instant::now() + 2 * PAUSE < deadline
        {
            std::thread::sleep(PAUSE);
            answered = attempt();
        }
        let mut state = breaker();
        match answered {
            Ok(done) => {
                *state = Breaker::default();
                Ok(done)
            }
            Err(Fault::Passing(e) | Fault::Lasting(e)) => {
                state.faults += 1;
                if state.faults >= FAULTS {
                    tracing::warn!(error = %e, seconds = REST.as_secs(), "the generator's server is left alone");
                    *state = Breaker { faults: 0, rests_until: Some(Instant::now() + REST) };
                }
                Err(e)
            }
        }
    }

    fn said(&self, what: impl std::fmt::Display) -> GenerateError {
        GenerateError::Model(format!("{}: {what}", self.settings.url))
    }

    fn body(&self, request: &Request) -> Value {
        let messages: Vec<Value> = request.turns.iter().map(|t| json!({ "role": t.speaker, "content": t.text })).collect();
        let mut body = json!({
            "model": self.settings.model,
            "messages": messages,
            "max_tokens": request.max_tokens,
            "temperature": request.sampling.temperature,
            "top_p": request.sampling.top_p,
            "seed": request.sampling.seed,
        });
        if !request.stop.is_empty() {
            body["stop"] = json!(request.stop);
        }
        body
    }

    fn send(&self, request: &Request, body: &Value) -> Result<impl Read + use<>, Fault> {
        let ServedGeneratorSettings { url, api_key, .. } = &self.settings;
        let left = request.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Fault::Lasting(GenerateError::Timeout));
        }
        let address = format!("{}/chat/completions", url.trim_end_matches('/'));
        let mut call = self.agent.post(&address).config().timeout_global(Some(left)).build().header("content-type", "application/json");
        if let Some(key) = api_key {
            call = call.header("authorization", format!("Bearer {key}"));
        }
        let answer = call.send(body.to_string()).map_err(|e| match e {
            ureq::Error::Timeout(_) => Fault::Lasting(GenerateError::Timeout),
            other => Fault::Passing(self.said(format!("{other}; is the server running, and reply.served_url its address with /v1?"))),
        })?;
        let status = answer.status().as_u16();
        let mut body = answer.into_body().into_reader().take(MOST_BYTES);
        if (200..300).contains(&status) {
            return Ok(body);
        }
        let mut words = Vec::new();
        let _ = (&mut body).take(2000).read_to_end(&mut words);
        let words: String = String::from_utf8_lossy(&words).chars().filter(|c| !c.is_control()).take(200).collect();
        let hint = match status {
            401 | 403 => "; check reply.served_api_key",
            404 => "; check reply.served_url, which often ends in /v1, and reply.served_model",
            _ => "",
        };
        let error = self.said(format!("HTTP {status}: {words}{hint}"));
        Err(match status {
            408 | 429 | 500.. => Fault::Passing(error),
            _ => Fault::Lasting(error),
        })
    }

    fn generate(&self, request: &Request, stream: Option<&mpsc::Sender<String>>) -> Result<Generation, Fault> {
        let start = Instant::now();
        let mut body = self.body(request);
        body["stream"] = json!(true);
        body["stream_options"] = json!({ "include_usage": true });
        let mut text = String::new();
        let mut finish = None;
        let mut usage = Usage::default();
        let mut first_token = None;
        let (mut pieces, mut ended) = (0, false);
        for line in BufReader::new(self.send(request, &body)?).lines() {
            let line = line.map_err(|e| self.broken_off(&e))?;
            let data = line.strip_prefix("data:").map_or(line.as_str(), str::trim);
            if data == "[DONE]" {
                ended = true;
                break;
            }
            // Between events are empty lines, and comments that keep the line alive.
            if data.is_empty() || line.starts_with(':') || line.starts_with("event:") || line.starts_with("id:") {
                continue;
            }
            let chunk: Chunk =
                serde_json::from_str(data).map_err(|e| Fault::Lasting(self.said(format!("the answer is no chat completion: {e}"))))?;
            usage = chunk.usage.unwrap_or(usage);
            for choice in chunk.choices {
                finish = choice.finish_reason.or(finish);
                // A server that does not stream sends one message.
                let Some(piece) = choice.delta.or(choice.message).and_then(|said| said.content).filter(|piece| !piece.is_empty()) else {
                    continue;
                };
                first_token.get_or_insert_with(|| start.elapsed());
                pieces += 1;
                text.push_str(&piece);
                if let Some(stream) = stream
                    && matches!(stream.try_send(piece), Err(mpsc::error::TrySendError::Closed(_)))
                {
                    return Err(Fault::Lasting(GenerateError::Stopped));
                }
            }
        }
        if !ended && finish.is_none() {
            return Err(Fault::Passing(self.said("the answer broke off before its end")));
        }
        Ok(Generation {
            text,
            finish: if finish.as_deref() == Some("length") { Finish::Length } else { Finish::Stop },
            prompt_tokens: usage.prompt_tokens,
            cached_tokens: 0,
            generated_tokens: usage.completion_tokens.max(pieces),
            first_token: first_token.unwrap_or_else(|| start.elapsed()),
            total: start.elapsed(),
        })
    }

    fn broken_off(&self, e: &std::io::Error) -> Fault {
        if e.kind() == std::io::ErrorKind::TimedOut { Fault::Lasting(GenerateError::Timeout) } else { Fault::Passing(self.said(e)) }
    }

    fn choose(&self, request: &Request, choices: &[String]) -> Result<Vec<f32>, Fault> {
        let mut body = self.body(request);
        body["max_tokens"] = json!(1);
        body["logprobs"] = json!(true);
        body["top_logprobs"] = json!(20);
        let mut answer = Vec::new();
        self.send(request, &body)?.read_to_end(&mut answer).map_err(|e| self.broken_off(&e))?;
        let failed = |what: String| Fault::Lasting(self.said(what));
        let chunk: Chunk = serde_json::from_slice(&answer).map_err(|e| failed(format!("the answer is no chat completion: {e}")))?;
        let first = chunk.choices.into_iter().next().and_then(|c| c.logprobs).and_then(|l| l.content.into_iter().next());
        let candidates = first.map(|position| position.top_logprobs).unwrap_or_default();
        // A token that begins the choice counts for it: "Y" for "Yes".
        let of = |choice: &String| {
            let fits = |c: &&Candidate| !c.token.trim().is_empty() && choice.starts_with(c.token.trim());
            candidates.iter().filter(fits).map(|c| c.logprob).fold(f32::NEG_INFINITY, f32::max)
        };
        let logits: Vec<f32> = choices.iter().map(of).collect();
        if logits.iter().all(|l| !l.is_finite()) {
            return Err(failed("it tells no probabilities of the choices (logprobs)".into()));
        }
        Ok(among(&logits, &(0..choices.len() as u32).collect::<Vec<_>>()))
    }
}
