//! One answer of a classifier beside the right one. Every figure of an evaluation is made from these and nothing else, so that any
//! classifier can be measured, and a measurement can be taken again from its file.

use std::io::Write;
use std::path::{Path as FilePath, PathBuf};

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::classify::{Cascade, Outcome, argmax};
use crate::corpus::{CorpusError, Example, read_jsonl};
use crate::domain::{Evidence, Lang, Path};
use crate::text::normalize;

/// The predictions' file in a report folder.
pub const PREDICTIONS: &str = "predictions.jsonl";

/// Runners-up that are kept.
const ALTERNATIVES: usize = 3;

/// One row: a message, its right label, and what the classifier said. All probabilities in [0, 1].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prediction {
    pub text: String,
    pub lang: Lang,
    /// The right one.
    pub label: String,
    pub predicted: String,
    /// Calibrated probability of `predicted`.
    pub confidence: f64,
    /// Of `label`; 0 where the classifier does not know it.
    pub probability_of_label: f64,
    /// The next three labels with their probabilities.
    pub alternatives: Vec<(String, f64)>,
    /// The detector's probability that no intent of the shop fits.
    pub out_of_scope: f64,
    pub path: Path,
    /// The terms that spoke for `predicted`, strongest first.
    pub evidence: Vec<Evidence>,
    /// Squared distance between the distribution over labels and the truth, in [0, 2] (Brier 1950).
    pub brier: f64,
}

/// What an answer says beside its distribution over labels.
#[derive(Debug, Clone)]
pub struct Said {
    pub out_of_scope: f64,
    pub path: Path,
    pub evidence: Vec<Evidence>,
}

#[derive(Debug, thiserror::Error)]
pub enum PredictionError {
    #[error(transparent)]
    Corpus(#[from] CorpusError),
    #[error("{}: no predictions in it", .0.display())]
    Empty(PathBuf),
    #[error("{}, prediction {row}: {field} is {value}, it must lie in [0, {most}]", .path.display())]
    OutOfRange { path: PathBuf, row: usize, field: &'static str, value: f64, most: f64 },
}

impl Prediction {
    /// From a distribution over `labels`, which need not hold the example's own.
    pub fn new(example: &Example, labels: &[String], probabilities: &[f64], said: Said) -> Self {
        let best = argmax(probabilities);
        let mut others: Vec<usize> = (0..labels.len()).filter(|&i| i != best).collect();
        others.sort_by(|&a, &b| probabilities[b].total_cmp(&probabilities[a]).then(a.cmp(&b)));
        let known = labels.iter().position(|l| *l == example.intent);
        let probability_of_label = known.map_or(0.0, |i| probabilities[i]);
        let squares: f64 = probabilities.iter().map(|p| p * p).sum();
        Prediction {
            text: example.text.clone(),
            lang: example.lang,
            label: example.intent.clone(),
            predicted: labels.get(best).cloned().unwrap_or_default(),
            confidence: probabilities.get(best).copied().map_or(0.0, tidy),
            probability_of_label: tidy(probability_of_label),
            alternatives: others.into_iter().take(ALTERNATIVES).map(|i| (labels[i].clone(), tidy(probabilities[i]))).collect(),
            out_of_scope: tidy(said.out_of_scope),
            path: said.path,
            evidence: said.evidence,
            brier: tidy(squares - 2.0 * probability_of_label + 1.0),
        }
    }

    pub fn right(&self) -> bool {
        self.label == self.predicted
    }

    pub fn outcome(&self) -> Outcome {
        (self.confidence, self.right())
    }
}

/// Nine digits: enough for every figure, and the same number again when it is read from a file.
fn tidy(probability: f64) -> f64 {
    (1e9 * probability).round() / 1e9
}

/// The answers of a classifier to labelled messages: by its fast path without `vectors`, by its full one with those that it wants, a
/// vector an example. The fast path answers alone where its probability reaches `settles`.
pub fn predict(classifier: &Cascade, examples: &[Example], vectors: Option<&[Vec<f32>]>, settles: Option<f64>) -> Vec<Prediction> {
    let labels = &classifier.meta().labels;
    let answer = |(at, example): (usize, &Example)| {
        let row = classifier.row(&normalize(&example.text).text);
        let fast = classifier.judge(&row, example.lang, None);
        let settled = settles.is_some_and(|precision| fast.probabilities[argmax(&fast.probabilities)] >= precision);
        let judgement = match vectors {
            Some(vectors) if !settled => classifier.judge(&row, example.lang, Some(&vectors[at])),
            _ => fast,
        };
        let evidence = classifier.sparse().evidence(&row, argmax(&judgement.probabilities));
        let said = Said { out_of_scope: judgement.out_of_scope, path: judgement.path, evidence };
        Prediction::new(example, labels, &judgement.probabilities, said)
    };
    examples.iter().enumerate().map(answer).collect()
}

/// One JSON object a line.
///
/// # Errors
/// The writer's.
pub fn write_predictions(predictions: &[Prediction], mut to: impl Write) -> std::io::Result<()> {
    for prediction in predictions {
        serde_json::to_writer(&mut to, prediction)?;
        to.write_all(b"\n")?;
    }
    Ok(())
}

/// Reads a report folder or a file of predictions.
///
/// # Errors
/// The first row that is no prediction or carries a probability outside [0, 1], with its place; a file without a row.
pub fn read_predictions(path: &FilePath) -> Result<Vec<Prediction>, PredictionError> {
    let path = if path.is_dir() { path.join(PREDICTIONS) } else { path.to_owned() };
    let predictions: Vec<Prediction> = read_jsonl(&path)?;
    for (at, p) in predictions.iter().enumerate() {
        let fields = [
            ("confidence", p.confidence, 1.0),
            ("probability_of_label", p.probability_of_label, 1.0),
            ("out_of_scope", p.out_of_scope, 1.0),
            ("brier", p.brier, 2.0),
        ];
        // A rounding of the sum of probabilities is no fault.
        if let Some(&(field, value, most)) = fields.iter().find(|f| !(-1e-6..=f.2 + 1e-6).contains(&f.1)) {
            return Err(PredictionError::OutOfRange { path, row: at + 1, field, value, most });
        }
    }
    if predictions.is_empty() {
        return Err(PredictionError::Empty(path));
    }
    Ok(predictions)
}

/// The labels of all predictions, sorted, and each row as indices of (label, predicted).
pub(super) fn indexed<'a>(predictions: impl Iterator<Item = &'a Prediction> + Clone) -> (Vec<&'a str>, Vec<(usize, usize)>) {
    let mut labels: Vec<&str> = predictions.clone().flat_map(|p| [p.label.as_str(), p.predicted.as_str()]).collect();
    labels.sort_unstable();
    labels.dedup();
    let index: FxHashMap<&str, usize> = labels.iter().enumerate().map(|(i, l)| (*l, i)).collect();
    let pairs = predictions.map(|p| (index[p.label.as_str()], index[p.predicted.as_str()])).collect();
    (labels, pairs)
}

#[cfg(test)]
pub(super) mod samples {
    use super::*;

    /// A prediction with all its probability on two labels.
    pub fn prediction(text: &str, label: &str, predicted: &str, confidence: f64) -> Prediction {
        let of_label = if label == predicted { confidence } else { 1.0 - confidence };
        Prediction {
            text: text.into(),
            lang: if text.is_ascii() { Lang::En } else { Lang::Zh },
            label: label.into(),
            predicted: predicted.into(),
            confidence,
            probability_of_label: of_label,
            alternatives: vec![],
            out_of_scope: 0.0,
            path: Path::Fast,
            evidence: vec![],
            brier: 2.0 * (1.0 - of_label).powi(2),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said() -> Said {
        Said { out_of_scope: 0.25, path: Path::Full, evidence: vec![Evidence { term: "运费".into(), weight: 1.5 }] }
    }

    #[test]
    fn a_distribution_becomes_a_prediction() {
        let labels = ["a", "b", "c", "d", "e"].map(String::from);
        let example = Example { text: "运费多少".into(), intent: "c".into(), lang: Lang::Zh };
        let p = Prediction::new(&example, &labels, &[0.1, 0.4, 0.3, 0.0, 0.2], said());
        assert_eq!((p.predicted.as_str(), p.confidence, p.probability_of_label, p.right()), ("b", 0.4, 0.3, false));
        assert_eq!(p.alternatives, [("c".to_owned(), 0.3), ("e".to_owned(), 0.2), ("a".to_owned(), 0.1)]);
        // 0.1² + 0.4² + (0.3 - 1)² + 0 + 0.2²
        assert!((p.brier - 0.70).abs() < 1e-12);
        let stranger = Example { intent: "z".into(), ..example };
        let p = Prediction::new(&stranger, &labels, &[0.0, 1.0, 0.0, 0.0, 0.0], said());
        assert_eq!((p.probability_of_label, p.brier, p.right()), (0.0, 2.0, false));
    }

    #[test]
    fn predictions_survive_their_file_and_a_broken_one_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let hostile = samples::prediction("\u{202e}<script>\n\u{1f469}\u{200d}\u{1f4bb}", "a", "b", tidy(2.0 / 3.0));
        let rows = vec![hostile, Prediction { evidence: said().evidence, ..samples::prediction("x", "b", "b", 1.0) }];
        let file = dir.path().join(PREDICTIONS);
        write_predictions(&rows, std::fs::File::create(&file).unwrap()).unwrap();
        assert_eq!(read_predictions(dir.path()).unwrap(), rows);
        assert_eq!(read_predictions(&file).unwrap(), rows);

        let fault = |rows: &[Prediction]| {
            write_predictions(rows, std::fs::File::create(&file).unwrap()).unwrap();
            read_predictions(&file).unwrap_err().to_string()
        };
        let wild = Prediction { confidence: 1.5, ..rows[1].clone() };
        assert!(fault(&[rows[1].clone(), wild]).contains("prediction 2: confidence is 1.5"));
        assert!(fault(&[]).contains("no predictions"));
        std::fs::write(&file, "{\"text\": \"x\", \"intent\": \"a\", \"lang\": \"zh\"}\n").unwrap();
        assert!(read_predictions(&file).unwrap_err().to_string().contains("line 1: unknown field `intent`"));
    }
}
