//! The sparse models of a fold, and their scores of other rows.

use super::data::{Corpus, Rows};
use super::recipe::ClassifierRecipe;
use crate::classify::{LinearSvm, NaiveBayes, SparseModel, SparseRow, Vectorizer};
use crate::text::{FeatureConfig, Features};
use crate::train::TrainError;

/// Naive Bayes and a support vector machine on the same rows.
pub struct SparseFit {
    pub vectorizer: Vectorizer,
    /// One model alone each, for their scores apart.
    models: [SparseModel; 2],
    bayes: NaiveBayes,
    svm: LinearSvm,
}

/// What decides a sparse model: the part of a recipe that the autotuner turns.
#[derive(Debug, Clone, PartialEq)]
pub struct SparseSettings {
    pub features: FeatureConfig,
    pub parameters: super::recipe::SparseParameters,
    pub seed: u64,
}

impl SparseSettings {
    pub fn of(recipe: &ClassifierRecipe) -> Self {
        SparseSettings { features: recipe.features.clone(), parameters: recipe.sparse.clone(), seed: recipe.seed }
    }
}

impl SparseFit {
    /// Fits on the rows `fit` that have a label.
    ///
    /// # Errors
    /// No feature at all, parameters out of range.
    pub fn fit(settings: &SparseSettings, corpus: &Corpus, fit: &[usize]) -> Result<Self, TrainError> {
        let SparseSettings { features, parameters, seed } = settings;
        let fit: Vec<usize> = fit.iter().copied().filter(|&r| corpus.rows.labels[r].is_some()).collect();
        let texts = fit.iter().map(|&r| corpus.rows.normalized[r].as_str());
        let vectorizer = Vectorizer::fit(features.clone(), texts, parameters.min_df, parameters.sublinear);
        if vectorizer.vocabulary.is_empty() {
            return Err(TrainError::Data(format!("no feature occurs in sparse.min_df = {} training texts: lower it", parameters.min_df)));
        }
        let rows = transform(&vectorizer, &corpus.rows, &fit);
        let rows: Vec<&SparseRow> = rows.iter().collect();
        let (labels, classes, columns) = (corpus.labels_of(&fit), corpus.labels.len(), vectorizer.vocabulary.len());
        let bayes = NaiveBayes::fit(&rows, &labels, classes, columns, parameters.alpha).map_err(TrainError::Fit)?;
        let svm = LinearSvm::fit(&rows, &labels, classes, columns, parameters.c, *seed).map_err(TrainError::Fit)?;
        let alone = |shares| SparseModel::merged(vectorizer.clone(), &bayes, &svm, shares);
        Ok(SparseFit { models: [alone([1.0, 0.0]), alone([0.0, 1.0])], vectorizer, bayes, svm })
    }

    /// Scores of both models for rows, with the number of features of each row.
    pub fn scores(&self, corpus: &Corpus, rows: &[usize]) -> Vec<(usize, [Vec<f64>; 2])> {
        let rows = transform(&self.vectorizer, &corpus.rows, rows);
        rows.iter().map(|row| (row.len(), self.models.each_ref().map(|m| m.scores(row)))).collect()
    }

    pub fn merged(&self, shares: [f64; 2]) -> SparseModel {
        SparseModel::merged(self.vectorizer.clone(), &self.bayes, &self.svm, shares)
    }
}

fn transform(vectorizer: &Vectorizer, of: &Rows, rows: &[usize]) -> Vec<SparseRow> {
    let mut scratch = Features::default();
    rows.iter().map(|&r| vectorizer.transform(&mut scratch, &of.normalized[r])).collect()
}
