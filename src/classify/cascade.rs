//! The classifier: sparse terms first, the encoder where they do not settle it.

use std::cell::RefCell;
use std::sync::Arc;

use super::artefact::{Meta, PathMeta};
use super::dense::{Examples, Head};
use super::linear::SparseModel;
use super::metrics::argmax;
use super::scope::{ScopeDetector, ScopeSignals};
use super::vectorizer::SparseRow;
use super::{Classifier, Encoding};
use crate::domain::{Intent, IntentScore, Lang, Neighbour, Path};
use crate::text::{Features, Normalized};

thread_local! {
    static SCRATCH: RefCell<Features> = RefCell::default();
}

/// A classifier from an artefact: immutable, shared by all threads; classifying takes no lock and does no I/O.
#[derive(Debug, Clone, PartialEq)]
pub struct Cascade {
    pub(super) meta: Meta,
    pub(super) sparse: SparseModel,
    pub(super) dense: Option<Dense>,
    pub(super) version: String,
    outside: Option<usize>,
}

/// The encoder's share of a cascade.
#[derive(Debug, Clone, PartialEq)]
pub struct Dense {
    pub head: Head,
    pub examples: Examples,
    /// The branch's file, where the head stands on one; otherwise it stands on the plain sentence vector.
    pub branch: Option<Arc<[u8]>>,
}

/// Nearest examples that the full path shows.
const NEIGHBOURS: usize = 4;

/// A distribution over the labels and what stands behind it.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// In the order of [`Meta::labels`]; sums to 1.
    pub probabilities: Vec<f64>,
    /// Probability that the message is outside of the labels.
    pub out_of_scope: f64,
    pub path: Path,
}

impl Cascade {
    pub fn new(meta: Meta, sparse: SparseModel, dense: Option<Dense>) -> Self {
        let version = format!("{}@{}", meta.name, meta.data_hash.get(..8).unwrap_or_default());
        let outside = meta.labels.iter().position(|l| *l == meta.out_of_scope);
        Cascade { meta, sparse, dense, version, outside }
    }

    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    pub fn sparse(&self) -> &SparseModel {
        &self.sparse
    }

    pub fn dense(&self) -> Option<&Dense> {
        self.dense.as_ref()
    }

    /// The version by which answers name this classifier, as the registry gave it.
    #[must_use]
    pub fn named(self, version: String) -> Self {
        Cascade { version, ..self }
    }

    /// The row of a normalised text.
    pub fn row(&self, normalized: &str) -> SparseRow {
        SCRATCH.with_borrow_mut(|scratch| self.sparse.vectorizer.transform(scratch, normalized))
    }

    /// By the sparse terms alone, or with the encoder's vector.
    pub fn judge(&self, row: &SparseRow, lang: Lang, vector: Option<&[f32]>) -> Judgement {
        let sparse = self.sparse.scores(row);
        let full = match (&self.meta.full, &self.dense, vector) {
            (Some(path), Some(dense), Some(vector)) => Some((path, dense, vector)),
            _ => None,
        };
        let Some((path, dense, vector)) = full else {
            let probabilities = self.meta.fast.calibration.probabilities(&sparse, lang, row.len());
            let signals = ScopeSignals::of(&sparse, &probabilities, self.outside, row.len());
            let out_of_scope = self.out_of_scope(self.meta.fast.scope.as_ref(), &signals, &probabilities);
            return Judgement { probabilities, out_of_scope, path: Path::Fast };
        };
        let scores = path.combine(&sparse, &dense.head.scores(vector));
        let probabilities = path.calibration.probabilities(&scores, lang, row.len());
        let best = argmax(&probabilities);
        let signals = dense.signals(ScopeSignals::of(&scores, &probabilities, self.outside, row.len()), best, vector);
        let out_of_scope = self.out_of_scope(path.scope.as_ref(), &signals, &probabilities);
        Judgement { probabilities, out_of_scope, path: Path::Full }
    }

    fn out_of_scope(&self, detector: Option<&ScopeDetector>, signals: &ScopeSignals, probabilities: &[f64]) -> f64 {
        match (detector, self.outside) {
            (Some(detector), _) => detector.probability(signals),
            (None, Some(label)) => probabilities[label],
            (None, None) => 0.0,
        }
    }

    fn path(&self, path: Path) -> &PathMeta {
        match (path, &self.meta.full) {
            (Path::Full, Some(full)) => full,
            _ => &self.meta.fast,
        }
    }

    fn answer(&self, row: &SparseRow, judgement: &Judgement, vector: Option<&[f32]>, top: usize) -> Intent {
        let p = &judgement.probabilities;
        let mut order: Vec<usize> = (0..p.len()).collect();
        order.sort_by(|&a, &b| p[b].total_cmp(&p[a]).then(a.cmp(&b)));
        let best = order[0];
        let named = |&i: &usize| IntentScore { id: self.meta.labels[i].clone(), confidence: p[i] as f32 };
        let neighbours = match (&self.dense, vector) {
            (Some(dense), Some(vector)) => dense.examples.nearest(vector, NEIGHBOURS),
            _ => Vec::new(),
        };
        let neighbour = |(label, text, similarity): (usize, &str, f32)| Neighbour {
            text: text.to_owned(),
            intent: self.meta.labels[label].clone(),
            similarity,
        };
        Intent {
            id: self.meta.labels[best].clone(),
            category: self.meta.categories[best].clone(),
            confidence: p[best] as f32,
            alternatives: order.iter().skip(1).take(top).map(named).collect(),
            out_of_scope: judgement.out_of_scope as f32,
            path: judgement.path,
            evidence: self.sparse.evidence(row, best),
            neighbours: neighbours.into_iter().map(neighbour).collect(),
        }
    }
}

impl Dense {
    /// Fills in what the encoder tells of a message's being outside.
    pub fn signals(&self, signals: ScopeSignals, label: usize, vector: &[f32]) -> ScopeSignals {
        let near = self.examples.nearest(vector, 3);
        let nearest = near.iter().map(|n| f64::from(n.2)).sum::<f64>() / near.len().max(1) as f64;
        ScopeSignals { nearest, centroid: self.examples.centroid(label, vector), ..signals }
    }
}

impl Classifier for Cascade {
    fn classify(&self, text: &Normalized, lang: Lang, vector: Option<&[f32]>, top: usize) -> Intent {
        let row = self.row(&text.text);
        let judgement = self.judge(&row, lang, vector);
        let vector = vector.filter(|_| judgement.path == Path::Full);
        self.answer(&row, &judgement, vector, top)
    }

    fn encoding(&self) -> Encoding {
        match &self.dense {
            None => Encoding::None,
            Some(Dense { branch: None, .. }) => Encoding::Sentence,
            Some(Dense { branch: Some(file), .. }) => Encoding::Branch(Arc::clone(file)),
        }
    }

    fn labels(&self) -> &[String] {
        &self.meta.labels
    }

    fn version(&self) -> &str {
        &self.version
    }

    fn threshold(&self, intent: &Intent, precision: f64) -> Option<f32> {
        self.path(intent.path).threshold(&intent.id, precision).map(|t| t as f32)
    }
}
