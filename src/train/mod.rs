//! Training: a recipe in, an artefact out. Deterministic: the same recipe, data and program give the same bytes.
//!
//! Reads recipes and corpora; the artefacts' formats belong to the rooms that serve them.

mod classifier;
mod gate;
mod recipe;

pub use classifier::{ClassifierRecipe, card, train_classifier};
pub use gate::{GateRecipe, MatchExamples, gate_card, train_gate};
pub use recipe::{RecipeError, read_recipe};

use crate::corpus::CorpusError;

#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    #[error(transparent)]
    Corpus(#[from] CorpusError),
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    #[error("{0}")]
    Data(String),
    #[error("fitting failed: {0}")]
    Fit(String),
}
