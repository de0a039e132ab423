//! What a challenger would have said: asked off the request's path, counted, never answered with.
//!
//! One thread a challenger, behind a bounded queue. When it is full the message is counted as dropped and nobody waits. The thread
//! ends when the last request that could still bring a message has gone.

use std::collections::{HashMap, VecDeque};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use super::intents::IntentModel;
use crate::domain::{Disagreement, Intent, IntentScore, Lang, MeanConfidence, Path, ShadowPair, ShadowReport};
use crate::embed::{Role, SentenceEncoder};
use crate::models::timestamp;
use crate::telemetry::Metric;
use crate::text::normalize;

/// Messages that wait for the challenger.
const QUEUE: usize = 1024;

/// Disagreements that are kept with their messages.
const KEPT: usize = 200;

/// A challenger at work.
pub struct Shadow {
    queue: SyncSender<Job>,
    tally: Arc<Mutex<Tally>>,
}

/// The encoder, and the runtime on which it is awaited.
pub(super) struct Ask {
    pub encoder: Arc<dyn SentenceEncoder>,
    pub runtime: tokio::runtime::Handle,
}

enum Job {
    Judge {
        text: String,
        lang: Lang,
        /// The champion's: the challenger takes the same.
        path: Path,
        champion: IntentScore,
    },
    /// Tells when everything before it has been judged.
    Flush(SyncSender<()>),
}

/// What has been counted.
struct Tally {
    champion: String,
    challenger: String,
    since: String,
    agreed: u64,
    dropped: u64,
    /// Sums over the messages judged.
    confidence: [f64; 2],
    messages: u64,
    /// Champion's and challenger's intent.
    pairs: HashMap<(String, String), u64>,
    /// Oldest first.
    disagreements: VecDeque<Disagreement>,
}

impl Shadow {
    /// Starts the challenger's thread.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(super) fn start(
        champion: &str,
        challenger: Arc<IntentModel>,
        earlier: Option<ShadowReport>,
        ask: Arc<OnceLock<Ask>>,
    ) -> std::io::Result<Self> {
        let tally = Arc::new(Mutex::new(Tally::new(champion, challenger.version(), earlier)));
        let (queue, jobs) = sync_channel(QUEUE);
        let counted = Arc::clone(&tally);
        std::thread::Builder::new().name("shadow".into()).spawn(move || work(&challenger, &ask, &jobs, &counted))?;
        Ok(Shadow { queue, tally })
    }

    /// Takes a message with what the champion said to it, or drops it where too many wait.
    pub fn observe(&self, text: &str, lang: Lang, intent: &Intent) {
        let champion = IntentScore { id: intent.id.clone(), confidence: intent.confidence };
        match self.queue.try_send(Job::Judge { text: text.to_owned(), lang, path: intent.path, champion }) {
            Ok(()) => {}
            // Disconnected: the challenger has panicked. What it cannot judge is dropped as well.
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                locked(&self.tally).dropped += 1;
                Metric::ShadowMessages.count(&[("outcome", "dropped".into())]);
            }
        }
    }

    /// Waits until what was taken so far has been judged, at most this long.
    pub fn flush(&self, patience: Duration) {
        let (done, told) = sync_channel(1);
        let end = Instant::now() + patience;
        let mut job = Job::Flush(done);
        while let Err(TrySendError::Full(back)) = self.queue.try_send(job) {
            if Instant::now() > end {
                return;
            }
            job = back;
            std::thread::sleep(Duration::from_millis(1));
        }
        // Late, or no thread to tell it: what has been counted is true either way.
        let _ = told.recv_timeout(end.saturating_duration_since(Instant::now()));
    }

    pub fn report(&self) -> ShadowReport {
        locked(&self.tally).report()
    }
}

fn work(challenger: &IntentModel, ask: &OnceLock<Ask>, jobs: &Receiver<Job>, tally: &Mutex<Tally>) {
    while let Ok(job) = jobs.recv() {
        match job {
            Job::Judge { text, lang, path, champion } => {
                let outcome = match judge(challenger, ask.get().filter(|_| path == Path::Full), &text, lang) {
                    Some(said) => {
                        let agreed = said.id == champion.id;
                        locked(tally).count(text, lang, champion, said);
                        if agreed { "agreed" } else { "disagreed" }
                    }
                    None => {
                        locked(tally).dropped += 1;
                        "dropped"
                    }
                };
                Metric::ShadowMessages.count(&[("outcome", outcome.into())]);
            }
            // Whoever waited may have gone.
            Job::Flush(done) => drop(done.try_send(())),
        }
    }
}

/// What the challenger says to a message, on its full path where there is somebody to ask. `None` where the encoder has no time for
/// it: its fast path beside the champion's full one would be no fair comparison.
fn judge(challenger: &IntentModel, ask: Option<&Ask>, text: &str, lang: Lang) -> Option<IntentScore> {
    let clean = normalize(text);
    let encoded = match (ask, challenger.wanted()) {
        (Some(ask), Some(wanted)) => Some(ask.runtime.block_on(ask.encoder.encode(text, Role::Query, wanted.clone())).ok()?),
        _ => None,
    };
    let intent = match encoded {
        Some(encoded) => challenger.full(&clean, lang, &encoded),
        None => challenger.fast(&clean, lang),
    };
    Some(IntentScore { id: intent.id, confidence: intent.confidence })
}

/// Counts are whole at every moment: a panic elsewhere spoils none.
fn locked(tally: &Mutex<Tally>) -> MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Tally {
    fn new(champion: &str, challenger: &str, earlier: Option<ShadowReport>) -> Self {
        let earlier = earlier.filter(|e| e.champion == champion && e.challenger == challenger);
        let e = earlier.unwrap_or_else(|| ShadowReport { since: timestamp(), ..ShadowReport::default() });
        let sum = |mean: f64| mean * e.messages as f64;
        Tally {
            champion: champion.to_owned(),
            challenger: challenger.to_owned(),
            agreed: e.agreed,
            dropped: e.dropped,
            confidence: [sum(e.mean_confidence.champion), sum(e.mean_confidence.challenger)],
            messages: e.messages,
            pairs: e.pairs.into_iter().map(|p| ((p.champion, p.challenger), p.n)).collect(),
            disagreements: e.disagreements.into_iter().rev().collect(),
            since: e.since,
        }
    }

    fn count(&mut self, text: String, lang: Lang, champion: IntentScore, challenger: IntentScore) {
        self.messages += 1;
        for (sum, said) in self.confidence.iter_mut().zip([&champion, &challenger]) {
            *sum += f64::from(said.confidence);
        }
        if champion.id == challenger.id {
            self.agreed += 1;
            return;
        }
        *self.pairs.entry((champion.id.clone(), challenger.id.clone())).or_default() += 1;
        if self.disagreements.len() == KEPT {
            self.disagreements.pop_front();
        }
        self.disagreements.push_back(Disagreement { text, lang, champion, challenger, at: timestamp() });
    }

    fn report(&self) -> ShadowReport {
        let mean = |sum: f64| if self.messages == 0 { 0.0 } else { sum / self.messages as f64 };
        let pair = |(k, n): (&(String, String), &u64)| ShadowPair { champion: k.0.clone(), challenger: k.1.clone(), n: *n };
        let mut pairs: Vec<ShadowPair> = self.pairs.iter().map(pair).collect();
        pairs.sort_by(|a, b| b.n.cmp(&a.n).then_with(|| (&a.champion, &a.challenger).cmp(&(&b.champion, &b.challenger))));
        ShadowReport {
            champion: self.champion.clone(),
            challenger: self.challenger.clone(),
            since: self.since.clone(),
            messages: self.messages,
            agreed: self.agreed,
            disagreed: self.messages - self.agreed,
            dropped: self.dropped,
            agreement: (self.messages > 0).then(|| self.agreed as f64 / self.messages as f64),
            mean_confidence: MeanConfidence { champion: mean(self.confidence[0]), challenger: mean(self.confidence[1]) },
            pairs,
            disagreements: self.disagreements.iter().rev().cloned().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::{Classifier, Encoding};
    use crate::embed::Arithmetic;
    use crate::text::Normalized;

    /// Says what the text says, or waits for its turn first.
    struct Echo(Option<Mutex<Receiver<()>>>);

    impl Classifier for Echo {
        fn labels(&self) -> &[String] {
            &[]
        }

        fn encoding(&self) -> Encoding {
            Encoding::None
        }

        fn classify(&self, text: &Normalized, _: Lang, _: Option<&[f32]>, _: usize) -> Intent {
            if let Some(turn) = &self.0 {
                turn.lock().unwrap().recv().unwrap();
            }
            intent(text.text.split(' ').next().unwrap(), 0.5)
        }

        fn version(&self) -> &str {
            "intent@2"
        }

        fn threshold(&self, _: &Intent, _: f64) -> Option<f32> {
            None
        }
    }

    fn intent(id: &str, confidence: f32) -> Intent {
        Intent {
            id: id.into(),
            category: String::new(),
            confidence,
            alternatives: vec![],
            out_of_scope: 0.0,
            path: Path::Fast,
            evidence: vec![],
            neighbours: vec![],
        }
    }

    fn start(champion: &str, challenger: Echo, earlier: Option<ShadowReport>) -> Shadow {
        let model = IntentModel::new(Arc::new(challenger), Arithmetic::Float).unwrap();
        Shadow::start(champion, Arc::new(model), earlier, Arc::default()).unwrap()
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn agreement_and_disagreement_are_counted_and_listed() {
        let shadow = start("intent@1", Echo(None), None);
        assert_eq!((shadow.report().agreement, shadow.report().messages), (None, 0));
        for (text, champion) in [("stock a", "stock"), ("price b", "stock"), ("price c", "stock"), ("stock d", "price")] {
            shadow.observe(text, Lang::En, &intent(champion, 0.75));
        }
        shadow.flush(LONG);
        let report = shadow.report();
        assert_eq!((report.champion.as_str(), report.challenger.as_str()), ("intent@1", "intent@2"));
        assert_eq!((report.messages, report.agreed, report.disagreed, report.dropped), (4, 1, 3, 0));
        assert_eq!(report.agreement, Some(0.25));
        assert_eq!((report.mean_confidence.champion, report.mean_confidence.challenger), (0.75, 0.5));
        let pairs: Vec<(&str, &str, u64)> = report.pairs.iter().map(|p| (p.champion.as_str(), p.challenger.as_str(), p.n)).collect();
        assert_eq!(pairs, [("stock", "price", 2), ("price", "stock", 1)]);
        let texts: Vec<&str> = report.disagreements.iter().map(|d| d.text.as_str()).collect();
        assert_eq!(texts, ["stock d", "price c", "price b"], "newest first");
        assert_eq!((report.disagreements[0].champion.id.as_str(), report.disagreements[0].challenger.id.as_str()), ("price", "stock"));
        assert!(report.disagreements[0].at.ends_with('Z'));
    }

    #[test]
    fn counting_goes_on_after_a_restart_with_the_same_pair_and_no_other() {
        let shadow = start("intent@1", Echo(None), None);
        shadow.observe("price b", Lang::En, &intent("stock", 0.5));
        shadow.flush(LONG);
        let before = shadow.report();
        let again = start("intent@1", Echo(None), Some(before.clone()));
        assert_eq!(again.report(), before);
        again.observe("stock", Lang::En, &intent("stock", 1.0));
        again.flush(LONG);
        let report = again.report();
        assert_eq!((report.messages, report.agreed, report.mean_confidence.champion), (2, 1, 0.75));
        let other = start("intent@3", Echo(None), Some(before));
        assert_eq!(other.report().messages, 0);
    }

    #[test]
    fn a_busy_challenger_holds_nobody_up_and_what_it_misses_is_counted() {
        let (turns, wait) = sync_channel(QUEUE * 2);
        let shadow = start("intent@1", Echo(Some(Mutex::new(wait))), None);
        let sent = QUEUE as u64 + 50;
        for _ in 0..sent {
            shadow.observe("stock", Lang::En, &intent("stock", 0.5));
        }
        let dropped = shadow.report().dropped;
        // One may have left the queue for the thread.
        assert!((49..=50).contains(&dropped), "{dropped}");
        for _ in 0..sent {
            turns.send(()).unwrap();
        }
        shadow.flush(LONG);
        assert_eq!(shadow.report().messages + dropped, sent);
    }

    #[test]
    fn only_the_last_disagreements_are_kept() {
        let shadow = start("intent@1", Echo(None), None);
        for i in 0..KEPT + 10 {
            shadow.observe(&format!("price {i}"), Lang::En, &intent("stock", 0.5));
        }
        shadow.flush(LONG);
        let report = shadow.report();
        assert_eq!((report.disagreements.len(), report.disagreed), (KEPT, KEPT as u64 + 10));
        assert_eq!(report.disagreements[0].text, format!("price {}", KEPT + 9));
    }

    #[test]
    fn a_challenger_that_panics_is_noticed_and_harms_nobody() {
        let (turns, wait) = sync_channel(1);
        drop(turns);
        let shadow = start("intent@1", Echo(Some(Mutex::new(wait))), None);
        shadow.observe("stock", Lang::En, &intent("stock", 0.5));
        shadow.flush(LONG);
        shadow.observe("stock", Lang::En, &intent("stock", 0.5));
        assert_eq!((shadow.report().messages, shadow.report().dropped), (0, 1));
    }
}
