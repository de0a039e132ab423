//! Training: a recipe in, an artefact out. Deterministic: the same recipe, data and program give the same bytes.
//!
//! Reads recipes and corpora; the artefacts' formats belong to the rooms that serve them.

mod classifier;
mod feedback;
mod folds;
mod gate;
mod linking;
mod ner;
mod recipe;
mod retrieval;
mod suspects;
mod workplace;

pub use classifier::{
    CalibrationParameters, ClassifierRecipe, Corpus, DataPaths, EncoderKind, EncoderParameters, Files, Fold, Rows, SparseFit,
    SparseParameters, SparseSettings, StudyPoint, Trial, autotune, card, cross_validate, learning_curve, settings_of, train_classifier,
};
pub use feedback::{Conflict, Harvest, HarvestReport};
pub use folds::{FoldParameters, FoldRow, out_of_fold};
pub use gate::{GateRecipe, MatchExamples, gate_card, train_gate};
pub use linking::{LinkingData, LinkingRecipe, linking_card, train_linking};
pub use ner::{TaggerCorpus, TaggerEncoderKind, TaggerRecipe, tagger_card, train_tagger};
pub use recipe::{RecipeError, read_recipe, recipe_of};
pub use retrieval::{RetrievalCorpus, RetrievalRecipe, train_retrieval};
pub use suspects::{Suspect, SuspectReport, suspects};
pub use workplace::{News, Tell, TrainingEncoder, Workplace};

use std::path::PathBuf;

use crate::corpus::CorpusError;
use crate::embed::EncodeError;

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
    #[error(transparent)]
    Encoder(#[from] EncodeError),
    #[error("{}: {}", .0.display(), .1)]
    Workplace(PathBuf, #[source] std::io::Error),
    #[error("another training works in {}: wait for it, or give this one another --out", .0.display())]
    Busy(PathBuf),
}
