//! `training/retrieval.toml`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::embed::tuning::TuningParameters;
use crate::train::TrainError;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetrievalRecipe {
    pub name: String,
    /// The artefact's folder, relative to the recipe.
    pub out: PathBuf,
    pub seed: u64,
    pub data: RetrievalFiles,
    #[serde(default)]
    pub model: RetrievalParameters,
    #[serde(default)]
    pub tuning: TuningParameters,
}

/// Relative to the recipe.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetrievalFiles {
    /// Tickets by cause, with what agents noted: `{"cause", "near", "texts", "notes"}`.
    pub causes: Vec<PathBuf>,
    /// Articles with what is asked of them: `{"id", "near", "question", "answer", "asked"}`.
    pub articles: Vec<PathBuf>,
    /// Questions that mean the same, and others that only look like them: `{"id", "same", "unlike", "answer"}`.
    pub questions: Vec<PathBuf>,
    /// Labelled messages: `{"text", "intent"}`.
    pub labelled: Vec<PathBuf>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetrievalParameters {
    /// What cosines are divided by in the loss.
    pub temperature: f32,
    /// Texts that are told from one another at once: half of a step's.
    pub part: usize,
    /// Texts of a group among them.
    pub texts: usize,
    /// How often an epoch meets the groups of each kind of file.
    pub rounds: Rounds,
    /// One family of groups in so many is held out, to watch.
    pub held: usize,
    /// Share of the tuned weights in the result; the rest are the pretrained ones.
    pub blend: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rounds {
    pub causes: usize,
    pub articles: usize,
    pub questions: usize,
    /// A label has many more texts than a group.
    pub labelled: usize,
}

impl Default for Rounds {
    fn default() -> Self {
        Rounds { causes: 1, articles: 1, questions: 1, labelled: 10 }
    }
}

impl Default for RetrievalParameters {
    fn default() -> Self {
        RetrievalParameters { temperature: 0.05, part: 48, texts: 3, rounds: Rounds::default(), held: 10, blend: 1.0 }
    }
}

impl RetrievalRecipe {
    /// # Errors
    /// The first value that is out of range, with what it may be.
    pub fn check(&self) -> Result<(), TrainError> {
        let fault = |text: String| Err(TrainError::Data(text));
        let RetrievalParameters { temperature, part, texts, held, blend, .. } = self.model;
        if !(temperature > 0.0 && temperature.is_finite()) {
            return fault(format!("model.temperature is {temperature}: it must be above 0"));
        }
        if texts < 2 || part < 2 * texts {
            return fault(format!("model.texts is {texts} and model.part {part}: at least 2, and at least twice as many"));
        }
        if held < 2 {
            return fault(format!("model.held is {held}: at least 2"));
        }
        if !(blend > 0.0 && blend <= 1.0) {
            return fault(format!("model.blend is {blend}: it lies in (0, 1]"));
        }
        match self.tuning.fault() {
            Some(text) => fault(format!("tuning.{text}")),
            None => Ok(()),
        }
    }
}
