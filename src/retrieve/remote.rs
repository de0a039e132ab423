//! What all engines behind a network share: waiting with an end, and leaving alone for a while what did not answer.

use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use super::RetrieveError;

/// How long searches leave an engine alone that did not answer: they would each wait for their deadline otherwise.
const PAUSE: Duration = Duration::from_secs(3);
/// Writes wait this many times as long as searches: a bulk is larger, and nobody is on the phone.
const WRITES_WAIT: u32 = 20;

/// An engine's place and how long to wait for it.
pub(super) struct Remote {
    engine: &'static str,
    /// Its address, as the configuration has it, without credentials.
    place: String,
    deadline: Duration,
    runtime: Handle,
    /// Until when searches are refused at once.
    silent_until: Mutex<Option<Instant>>,
}

impl Remote {
    pub fn new(engine: &'static str, place: &str, deadline: Duration, runtime: Handle) -> Self {
        Remote { engine, place: place.to_owned(), deadline, runtime, silent_until: Mutex::new(None) }
    }

    /// Asks while a message waits: within the deadline, and not at all shortly after an answer failed to come.
    pub fn ask<T>(&self, action: &'static str, call: impl Future<Output = Result<T, Fault>>) -> Result<T, RetrieveError> {
        let until = *self.silent_until.lock().unwrap_or_else(PoisonError::into_inner);
        if until.is_some_and(|until| Instant::now() < until) {
            return Err(self.error(action, Fault::silent("it did not answer a moment ago, and is asked again in some seconds")));
        }
        self.noted(self.within(self.deadline, call)).map_err(|fault| self.error(action, fault))
    }

    /// As [`Self::ask`] for writes and upkeep: it waits longer, and always tries.
    pub fn tell<T>(&self, action: &'static str, call: impl Future<Output = Result<T, Fault>>) -> Result<T, RetrieveError> {
        self.noted(self.within(self.deadline * WRITES_WAIT, call)).map_err(|fault| self.error(action, fault))
    }

    /// Whether the last call was not answered.
    pub fn is_silent(&self) -> bool {
        self.silent_until.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    fn noted<T>(&self, answered: Result<T, Fault>) -> Result<T, Fault> {
        let silent = matches!(&answered, Err(fault) if fault.silent);
        *self.silent_until.lock().unwrap_or_else(PoisonError::into_inner) = silent.then(|| Instant::now() + PAUSE);
        answered
    }

    fn within<T>(&self, deadline: Duration, call: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
        let late = || Fault::silent(format!("no answer within {} ms", deadline.as_millis()));
        self.runtime.block_on(async { tokio::time::timeout(deadline, call).await.unwrap_or_else(|_| Err(late())) })
    }

    fn error(&self, action: &'static str, fault: Fault) -> RetrieveError {
        RetrieveError::Remote { engine: self.engine, place: self.place.clone(), action, detail: fault.detail, hint: fault.hint }
    }

    pub fn place(&self) -> &str {
        &self.place
    }
}

/// Why an engine did not do what it was asked.
pub(super) struct Fault {
    detail: String,
    hint: &'static str,
    /// It did not answer at all, or said that it is overwhelmed.
    silent: bool,
}

impl Fault {
    pub fn new(detail: impl Into<String>, hint: &'static str) -> Self {
        Fault { detail: detail.into(), hint, silent: false }
    }

    /// No answer, or none that helps: the next search need not wait for it.
    pub fn silent(detail: impl Into<String>) -> Self {
        Fault { detail: detail.into(), hint: "check that it runs and can be reached; what was written is kept and follows", silent: true }
    }

    pub fn credentials(detail: impl Into<String>) -> Self {
        Fault::new(detail, "check the credentials in the configuration")
    }
}

/// Waits longer and longer between attempts at what an overwhelmed engine refused.
pub(super) async fn patiently<T, F: Future<Output = Result<T, Refusal>>>(mut attempt: impl FnMut() -> F) -> Result<T, Fault> {
    let mut pause = Duration::from_millis(100);
    loop {
        match attempt().await {
            Ok(done) => return Ok(done),
            Err(Refusal::Final(fault)) => return Err(fault),
            // The deadline of the whole call ends this.
            Err(Refusal::Later) => tokio::time::sleep(pause).await,
        }
        pause = (pause * 2).min(Duration::from_secs(5));
    }
}

/// Whether it is worth trying again.
pub(super) enum Refusal {
    Later,
    Final(Fault),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remote(deadline: u64) -> (tokio::runtime::Runtime, Remote) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let remote = Remote::new("test", "http://test", Duration::from_millis(deadline), runtime.handle().clone());
        (runtime, remote)
    }

    #[test]
    fn who_does_not_answer_is_left_alone_for_searches_only() {
        let (_runtime, remote) = remote(20);
        let late = remote.ask("search", std::future::pending::<Result<(), Fault>>()).unwrap_err();
        assert!(late.to_string().contains("no answer within 20 ms"), "{late}");
        let begin = Instant::now();
        assert!(remote.ask("search", async { Ok(()) }).is_err(), "refused at once");
        assert!(begin.elapsed() < Duration::from_millis(20));
        assert!(remote.tell("write", async { Ok(()) }).is_ok());
    }

    #[test]
    fn a_refusal_is_no_silence() {
        let (_runtime, remote) = remote(1000);
        assert!(remote.ask("search", async { Err::<(), _>(Fault::credentials("403")) }).is_err());
        assert!(remote.ask("search", async { Ok(()) }).is_ok());
    }

    #[test]
    fn patience_tries_again_until_it_is_done() {
        let (runtime, _) = remote(1000);
        let mut left = 2;
        let done = runtime.block_on(patiently(|| {
            left -= 1;
            let done = left == 0;
            async move { if done { Ok(7) } else { Err(Refusal::Later) } }
        }));
        assert!(matches!(done, Ok(7)));
    }
}
