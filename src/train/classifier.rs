//! The intent classifier's training.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::TrainError;
use crate::classify::{
    Calibration, Fitted, Meta, NaiveBayes, Scores, SparseClassifier, SparseRow, Threshold, Vectorizer, outcomes, threshold_for_precision,
};
use crate::corpus::{Example, OUT_OF_SCOPE, Taxonomy, data_hash, read_jsonl, read_taxonomy};
use crate::domain::Lang;
use crate::text::{FeatureConfig, Features, TEXT_VERSION, normalize};

/// `training/intent.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassifierRecipe {
    pub name: String,
    /// Folder of the artefact, relative to the recipe.
    pub out: PathBuf,
    pub data: DataPaths,
    pub features: FeatureConfig,
    pub model: ModelParameters,
    pub calibration: CalibrationParameters,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataPaths {
    pub train: PathBuf,
    pub valid: PathBuf,
    pub test: PathBuf,
    pub taxonomy: PathBuf,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelParameters {
    pub algorithm: Algorithm,
    pub alpha: f64,
    pub min_df: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Algorithm {
    NaiveBayes,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CalibrationParameters {
    pub precisions: Vec<f64>,
}

/// Fits, calibrates and scores; `base` is the folder that the recipe's paths start from. `step` is told what is being done.
///
/// # Errors
/// Unreadable data, labels outside the taxonomy or without examples, parameters out of range.
pub fn train_classifier(recipe: &ClassifierRecipe, base: &Path, step: &mut dyn FnMut(&str)) -> Result<SparseClassifier, TrainError> {
    if !(recipe.model.alpha > 0.0 && recipe.model.alpha.is_finite()) {
        return Err(TrainError::Data(format!("model.alpha is {}: it must be above 0", recipe.model.alpha)));
    }
    if let Some(p) = recipe.calibration.precisions.iter().find(|p| !(0.0..1.0).contains(*p)) {
        return Err(TrainError::Data(format!("calibration.precisions holds {p}: precisions lie in [0, 1)")));
    }
    step("read corpora");
    let path = |p: &PathBuf| base.join(p);
    let [train, valid, test, taxonomy] = [&recipe.data.train, &recipe.data.valid, &recipe.data.test, &recipe.data.taxonomy].map(path);
    let hash = data_hash(&[&train, &valid, &taxonomy])?;
    let taxonomy = read_taxonomy(&taxonomy)?;
    let labels = Labels::of(&taxonomy);
    let [train, valid, test] = [read_jsonl::<Example>(&train)?, read_jsonl(&valid)?, read_jsonl(&test)?];
    let [train, valid, test] = [labels.set("train", &train)?, labels.set("valid", &valid)?, labels.set("test", &test)?];

    step("learn the vocabulary");
    let vectorizer = Vectorizer::fit(recipe.features.clone(), train.texts.iter().map(String::as_str), recipe.model.min_df);
    if vectorizer.vocabulary.is_empty() {
        return Err(TrainError::Data("no feature occurs in model.min_df training texts".into()));
    }
    let rows = train.rows(&vectorizer);

    step("fit naive Bayes");
    let model = NaiveBayes::fit(&rows, &train.labels, labels.names.len(), vectorizer.vocabulary.len(), recipe.model.alpha)
        .map_err(TrainError::Fit)?;
    let fitted = Fitted::new(vectorizer, &model);

    step("calibrate on validation");
    let valid_rows = valid.rows(&fitted.vectorizer);
    let calibration = Calibration::fit(|lang| {
        let of_lang = (0..valid_rows.len()).filter(|&i| valid.langs[i] == lang);
        of_lang.map(|i| (fitted.scores(&valid_rows[i]), valid_rows[i].len(), valid.labels[i])).collect()
    });
    let meta = Meta {
        name: recipe.name.clone(),
        algorithm: "multinomial naive Bayes on TF-IDF".into(),
        text_version: TEXT_VERSION,
        labels: labels.names.clone(),
        categories: labels.categories.clone(),
        out_of_scope: OUT_OF_SCOPE.into(),
        features: recipe.features.clone(),
        alpha: recipe.model.alpha,
        min_df: recipe.model.min_df,
        calibration,
        thresholds: Vec::new(),
        data_hash: hash,
        scores: BTreeMap::new(),
    };
    let mut classifier = SparseClassifier::new(fitted, meta);

    step("choose thresholds on validation");
    let distributions = valid.distributions(&classifier);
    let found = outcomes(&distributions, &valid.labels);
    let mut precisions = recipe.calibration.precisions.clone();
    precisions.sort_by(f64::total_cmp);
    let thresholds: Vec<Threshold> = precisions
        .into_iter()
        .map(|precision| {
            let threshold = threshold_for_precision(&found, precision);
            let above = found.iter().filter(|o| threshold.is_some_and(|t| o.0 >= t)).count();
            Threshold { precision, threshold, coverage: above as f64 / found.len().max(1) as f64 }
        })
        .collect();
    let at_95 = thresholds.iter().find(|t| t.precision >= 0.95).and_then(|t| t.threshold);

    step("score");
    let mut scores = BTreeMap::new();
    for (name, set) in [("valid", &valid), ("test", &test)] {
        scores.insert(name.to_owned(), Scores::of(&set.distributions(&classifier), &set.labels, at_95));
        for lang in Lang::ALL {
            let part = set.only(lang);
            scores.insert(format!("{name}.{lang}"), Scores::of(&part.distributions(&classifier), &part.labels, at_95));
        }
    }
    let meta = Meta { thresholds, scores, ..classifier.meta().clone() };
    classifier = SparseClassifier::new(classifier.fitted().clone(), meta);
    Ok(classifier)
}

struct Labels {
    names: Vec<String>,
    categories: Vec<String>,
    index: HashMap<String, usize>,
}

impl Labels {
    fn of(taxonomy: &Taxonomy) -> Self {
        let (names, categories): (Vec<String>, Vec<String>) = taxonomy.intents().map(|(i, c)| (i.to_owned(), c.to_owned())).unzip();
        let index = names.iter().enumerate().map(|(i, n)| (n.clone(), i)).collect();
        Labels { names, categories, index }
    }

    fn set(&self, name: &str, examples: &[Example]) -> Result<LabelledSet, TrainError> {
        if examples.is_empty() {
            return Err(TrainError::Data(format!("the {name} set is empty")));
        }
        let mut set = LabelledSet::default();
        for example in examples {
            let label = self.index.get(&example.intent);
            let label = label.ok_or_else(|| {
                TrainError::Data(format!("{name}: intent {:?} of {:?} is not in the taxonomy", example.intent, example.text))
            })?;
            set.texts.push(normalize(&example.text).text);
            set.langs.push(example.lang);
            set.labels.push(*label);
        }
        Ok(set)
    }
}

/// Normalised texts with their labels' numbers.
#[derive(Debug, Clone, Default)]
struct LabelledSet {
    texts: Vec<String>,
    langs: Vec<Lang>,
    labels: Vec<usize>,
}

impl LabelledSet {
    fn rows(&self, vectorizer: &Vectorizer) -> Vec<SparseRow> {
        let mut scratch = Features::default();
        self.texts.iter().map(|t| vectorizer.transform(&mut scratch, t)).collect()
    }

    fn distributions(&self, classifier: &SparseClassifier) -> Vec<Vec<f64>> {
        self.texts.iter().zip(&self.langs).map(|(t, &l)| classifier.distribution(t, l)).collect()
    }

    fn only(&self, lang: Lang) -> Self {
        let mut part = LabelledSet::default();
        for i in (0..self.texts.len()).filter(|&i| self.langs[i] == lang) {
            part.texts.push(self.texts[i].clone());
            part.langs.push(lang);
            part.labels.push(self.labels[i]);
        }
        part
    }
}

/// The model card that lies beside the weights.
pub fn card(classifier: &SparseClassifier) -> String {
    let meta = classifier.meta();
    let mut out = format!(
        "# {}: intent classifier\n\nMade by `fenzhen train classifier training/intent.toml`; do not edit. {} over {} features, {} labels, \
         alpha {}, features of at least {} messages.\nText pipeline version {}. Training data sha256 `{}`.\n\n## Scores\n\n\
         | set | n | accuracy | macro-F1 | ECE (15 bins) | Brier | coverage / precision at the 95 % threshold |\n|---|---|---|---|---|---|---|\n",
        meta.name,
        meta.algorithm,
        classifier.fitted().vectorizer.vocabulary.len(),
        meta.labels.len(),
        meta.alpha,
        meta.min_df,
        meta.text_version,
        meta.data_hash,
    );
    for (name, s) in &meta.scores {
        out += &format!(
            "| {name} | {} | {:.1} % | {:.1} % | {:.3} | {:.3} | {:.1} % / {:.1} % |\n",
            s.n,
            100.0 * s.accuracy,
            100.0 * s.macro_f1,
            s.ece,
            s.brier,
            100.0 * s.coverage_at_95,
            100.0 * s.precision_at_95
        );
    }
    out += "\n## Thresholds\n\nChosen on validation: the lower end of the one-sided 90 % Wilson interval of the precision reaches the goal.\n\n| precision | probability from | coverage |\n|---|---|---|\n";
    for t in &meta.thresholds {
        let threshold = t.threshold.map_or("none holds it".to_owned(), |t| format!("{t:.3}"));
        out += &format!("| {:.0} % | {threshold} | {:.1} % |\n", 100.0 * t.precision, 100.0 * t.coverage);
    }
    out += "\n## Use and limits\n\nTells what a customer of a retail shop wants, in Chinese or English, of the labels in `datasets/taxonomy.toml`. It knows words, \
            not meanings: paraphrases without a shared term are missed, and the probability says so. Trained on messages that were written for the \
            purpose (see `datasets/intents`), not on customers' data: measure it on yours before you automate.\n";
    out
}
