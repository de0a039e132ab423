//! What all trainings share: the encoder, the folder in which they work, and how they tell what they do.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::TrainError;
use crate::embed::tuning::{Cached, Checkpoint, TuningNews};
use crate::embed::{Encoder, Role};

/// What training tells while it runs.
#[derive(Debug, Clone, Copy)]
pub enum News<'a> {
    Step(&'a str),
    Progress { what: &'a str, done: usize, total: usize },
    Tuning { step: usize, steps: usize, loss: f32 },
    Epoch { epoch: usize, epochs: usize, score: Option<f64> },
    Resumed { epoch: usize },
}

pub type Tell<'a> = &'a (dyn Fn(News<'_>) + Sync);

/// Passes on what the tuning of a branch tells.
pub(super) fn tell_tuning(tell: Tell<'_>, epochs: usize, news: TuningNews) {
    match news {
        TuningNews::Step { step, steps, loss } => tell(News::Tuning { step, steps, loss }),
        TuningNews::Epoch { epoch, score } => tell(News::Epoch { epoch: epoch + 1, epochs, score }),
        TuningNews::Resumed { epoch } => tell(News::Resumed { epoch }),
    }
}

/// The pretrained encoder, in the arithmetic of the reference: training is the same on every CPU, and the quantised one that serves
/// differs by less than its own rounding.
pub struct TrainingEncoder {
    pub encoder: Encoder,
    /// Its weights' file (GGUF).
    pub weights: PathBuf,
    /// Name of the model, for the card.
    pub name: String,
}

impl TrainingEncoder {
    /// The trunk's states of texts, under a progress bar.
    ///
    /// # Errors
    /// The encoder's.
    pub(super) fn states(&self, texts: &[String], tell: Tell<'_>) -> Result<Cached, TrainError> {
        let done = AtomicUsize::new(0);
        let progress = |n: usize| {
            let done = done.fetch_add(n, Ordering::Relaxed) + n;
            tell(News::Progress { what: "encode", done, total: texts.len() });
        };
        Ok(Cached::of(&self.encoder, texts, Role::Query, &progress)?)
    }
}

/// Where unfinished work lies until the training is done: a folder beside the artefact, locked while somebody trains in it.
#[derive(Clone)]
pub struct Workplace {
    dir: PathBuf,
    /// Held as long as anybody works here.
    lock: Arc<File>,
    run: String,
    /// Put before the names of this part's files.
    part: String,
}

impl Workplace {
    /// `run` is the recipe and the data; what another run left behind is not taken up.
    ///
    /// # Errors
    /// When another training works in the folder, or the disk refuses.
    pub fn open(out: &Path, run: String) -> Result<Self, TrainError> {
        let dir = out.with_extension("training");
        let io = |e: std::io::Error| TrainError::Workplace(dir.clone(), e);
        std::fs::create_dir_all(&dir).map_err(io)?;
        let lock = File::create(dir.join("lock")).map_err(io)?;
        match lock.try_lock() {
            Ok(()) => Ok(Workplace { dir, lock: Arc::new(lock), run, part: String::new() }),
            Err(std::fs::TryLockError::WouldBlock) => Err(TrainError::Busy(dir)),
            Err(std::fs::TryLockError::Error(e)) => Err(io(e)),
        }
    }

    /// The same folder, for one of several trainings in it.
    #[must_use]
    pub fn part(&self, name: &str) -> Self {
        Workplace { part: format!("{}{name}-", self.part), ..self.clone() }
    }

    /// Where a training keeps its state of a kind.
    pub(super) fn checkpoint(&self, fold: &str, kind: &str) -> Checkpoint {
        let name = format!("{}{fold}", self.part);
        Checkpoint { file: self.dir.join(format!("{name}.{kind}")), run: format!("{} {name}", self.run) }
    }

    /// Takes the folder away; the artefact is safe.
    pub fn close(self) {
        drop(self.lock);
        // What stays behind is found and taken away by the next training.
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}
