//! `training/ner.toml`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::embed::tuning::TuningParameters;
use crate::train::{Files, TrainError};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaggerRecipe {
    pub name: String,
    /// The artefact's folder, relative to the recipe.
    pub out: PathBuf,
    pub seed: u64,
    /// Types that are learned, in the order of the tags; others in the data are left out.
    pub types: Vec<String>,
    pub data: TaggedFiles,
    #[serde(default)]
    pub model: TaggerParameters,
    #[serde(default)]
    pub encoder: TaggerEncoder,
    /// How the layers and the head are trained.
    #[serde(default)]
    pub tuning: TuningParameters,
}

/// Relative to the recipe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaggedFiles {
    pub train: Files,
    /// Watched while training, and what the temperature is fitted on. Without it, a tenth of the training rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid: Option<Files>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<Files>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TaggerParameters {
    /// Numbers a unit between the layers.
    pub width: usize,
    /// Layers that look at a unit's neighbours.
    pub layers: usize,
    /// Words of fewer training units get no row.
    pub min_count: usize,
    /// Share of a unit's words that is hidden while training, so that the encoder learns to do without them.
    pub term_dropout: f64,
    /// Invented catalogues that the training rows take turns with: which share of the names in the training rows each holds. One of 0
    /// teaches to do without, one of 1 to trust.
    pub catalogues: Vec<f64>,
    /// Whether stretches near a name of the catalogue are seen, not only its names.
    pub near: bool,
    /// Share of an invented catalogue's names that stand there with a slip, so that what is near is learned.
    pub slips: f64,
}

impl Default for TaggerParameters {
    fn default() -> Self {
        TaggerParameters {
            width: 192,
            layers: 2,
            min_count: 2,
            term_dropout: 0.3,
            catalogues: vec![0.0, 0.4, 0.7, 1.0],
            near: true,
            slips: 0.15,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaggerEncoderKind {
    /// Features only: microseconds, and far worse.
    None,
    /// The encoder's top layers tuned for the tags.
    Branch,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TaggerEncoder {
    pub kind: TaggerEncoderKind,
}

impl Default for TaggerEncoder {
    fn default() -> Self {
        TaggerEncoder { kind: TaggerEncoderKind::Branch }
    }
}

impl TaggerRecipe {
    /// # Errors
    /// The first value that is out of range, with what it may be.
    pub fn check(&self) -> Result<(), TrainError> {
        let fault = |text: String| Err(TrainError::Data(text));
        let TaggerParameters { width, layers, term_dropout, catalogues, slips, .. } = &self.model;
        if self.types.is_empty() {
            return fault("types is empty: name the types that shall be learned".into());
        }
        if let Some(twice) = self.types.iter().enumerate().find(|(i, t)| self.types[..*i].contains(t)) {
            return fault(format!("types holds {:?} twice", twice.1));
        }
        if !(8..=1024).contains(width) || *layers > 8 {
            return fault(format!("model.width is {width} and model.layers {layers}: 8 to 1024, and at most 8"));
        }
        if !(0.0..1.0).contains(term_dropout) {
            return fault(format!("model.term_dropout is {term_dropout}: it lies in [0, 1)"));
        }
        if catalogues.is_empty() || catalogues.iter().any(|share| !(0.0..=1.0).contains(share)) {
            return fault("model.catalogues holds shares in [0, 1], at least one".into());
        }
        if !(0.0..=1.0).contains(slips) {
            return fault(format!("model.slips is {slips}: it lies in [0, 1]"));
        }
        if self.name.is_empty() || !self.name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_') {
            return fault(format!("name is {:?}: use letters, digits, - and _", self.name));
        }
        match self.tuning.fault() {
            Some(text) => fault(format!("tuning.{text}")),
            None => Ok(()),
        }
    }
}
