//! The intent classifier's training: sparse models, the encoder's head or branch, and what joins them.

mod autotune;
mod card;
mod data;
mod encoder;
mod held;
mod recipe;
mod sparse;
mod study;

pub use autotune::{Trial, autotune, settings_of};
pub use card::card;
pub use data::{Corpus, Fold, Rows};
pub use held::{HeldRow, HeldVector};
pub use recipe::{CalibrationParameters, ClassifierRecipe, DataPaths, EncoderKind, EncoderParameters, Files, SparseParameters};
pub use sparse::{SparseFit, SparseSettings};
pub use study::{StudyPoint, cross_validate, learning_curve};

use std::collections::BTreeMap;

use self::encoder::{EncoderStage, FoldVectors};
use self::held::{FittedPath, HeldOut, fit_shares};
use super::{News, Tell, TrainError, TrainingEncoder, Workplace};
use crate::classify::{Cascade, Dense, Judgement, Meta, Scores, Threshold, auroc, recall_at_false_rejection};
use crate::domain::{Lang, Path};
use crate::text::TEXT_VERSION;

/// Fits, joins, calibrates and scores a classifier on a corpus read by [`Corpus::read`].
///
/// Everything that joins models or makes probabilities is learned on rows that the models have not seen: the validation set, or
/// each training row when its fold was held out.
///
/// # Errors
/// A recipe or data that cannot be trained on, a missing encoder, the disk's.
pub fn train_classifier(
    recipe: &ClassifierRecipe,
    corpus: &Corpus,
    encoder: Option<&TrainingEncoder>,
    workplace: &Workplace,
    tell: Tell<'_>,
) -> Result<Cascade, TrainError> {
    recipe.check()?;
    match corpus.contradictions() {
        0 => {}
        n => tell(News::Step(&format!("training texts with more than one label: {n}; `fenzhen data validate FILE` names them"))),
    }
    let stage = match (recipe.encoder.kind, encoder) {
        (EncoderKind::None, _) => None,
        (_, None) => return Err(TrainError::Data("encoder.kind needs the encoder's model: run `fenzhen models pull`".into())),
        (_, Some(encoder)) => Some(EncoderStage::start(encoder, corpus, recipe, workplace, tell)?),
    };
    let settings = SparseSettings::of(recipe);
    let mut folds = corpus.folds(recipe.data.folds, recipe.seed);
    folds.truncate(recipe.data.held_folds.max(1));
    let single = !corpus.valid.is_empty();
    let mut held = Vec::new();
    let mut last = None;
    for (number, fold) in folds.iter().enumerate() {
        let name = if single { "all".to_owned() } else { format!("fold-{number}") };
        if !single {
            tell(News::Step(&format!("fold {} of {}", number + 1, folds.len())));
        }
        tell(News::Step("fit the sparse models"));
        let sparse = SparseFit::fit(&settings, corpus, &fold.fit)?;
        let also = if single { corpus.test.as_slice() } else { &[] };
        let vectors = stage.as_ref().map(|s| s.fit(fold, also, &name, tell)).transpose()?;
        held.extend(held_rows(corpus, &sparse, vectors.as_ref(), &fold.held));
        last = Some((sparse, vectors));
    }
    let (sparse, vectors) = match last {
        Some(models) if single => models,
        _ => {
            // The folds have served: the model that is shipped sees every row.
            tell(News::Step("fit on all rows"));
            let fold = Fold { fit: corpus.train.clone(), held: vec![] };
            let vectors = stage.as_ref().map(|s| s.fit(&fold, &corpus.test, "all", tell)).transpose()?;
            (SparseFit::fit(&settings, corpus, &corpus.train)?, vectors)
        }
    };
    tell(News::Step("join and calibrate on held-out rows"));
    let outside = corpus.labels.iter().position(|l| *l == recipe.data.out_of_scope);
    let joined = Joined::fit(&held, &corpus.labels, outside, recipe)?;
    let mut meta = Meta {
        name: recipe.name.clone(),
        text_version: TEXT_VERSION,
        labels: corpus.labels.clone(),
        categories: corpus.categories.clone(),
        out_of_scope: recipe.data.out_of_scope.clone(),
        features: recipe.features.clone(),
        sublinear: recipe.sparse.sublinear,
        data_hash: corpus.hash.clone(),
        recipe: serde_json::to_value(recipe).map_err(|e| TrainError::Fit(e.to_string()))?,
        fast: joined.fast.meta.clone(),
        full: joined.full.as_ref().map(|f| f.meta.clone()),
        scores: BTreeMap::new(),
    };
    tell(News::Step("score"));
    joined.score(&held, outside, &mut meta.scores);
    let (dense, vectors): (Option<Dense>, BTreeMap<usize, Vec<f32>>) = match vectors {
        Some(FoldVectors { dense, vectors }) => (Some(dense), vectors),
        None => (None, BTreeMap::new()),
    };
    let mut classifier = Cascade::new(meta, sparse.merged(joined.shares), dense);
    let scores = test_scores(&classifier, corpus, &vectors, outside);
    let mut meta = classifier.meta().clone();
    meta.scores.extend(scores);
    classifier = Cascade::new(meta, classifier.sparse().clone(), classifier.dense().cloned());
    Ok(classifier)
}

/// Everything that is learned on held-out rows.
struct Joined {
    /// Of naive Bayes and the support vector machine in the sparse scores.
    shares: [f64; 2],
    fast: FittedPath,
    full: Option<FittedPath>,
}

impl Joined {
    fn fit(held: &[HeldRow], labels: &[String], outside: Option<usize>, recipe: &ClassifierRecipe) -> Result<Self, TrainError> {
        let labelled = || held.iter().filter_map(|h| Some((h, h.label?)));
        let shares = fit_shares(labelled().map(|(h, l)| (h.sparse[0].as_slice(), h.sparse[1].as_slice(), l)));
        let combine =
            |shares: [f64; 2], a: &[f64], b: &[f64]| -> Vec<f64> { a.iter().zip(b).map(|(x, y)| shares[0] * x + shares[1] * y).collect() };
        let sparse: Vec<Vec<f64>> = held.iter().map(|h| combine(shares, &h.sparse[0], &h.sparse[1])).collect();
        let held_out = HeldOut { rows: held, labels, outside, parameters: &recipe.calibration };
        let fast = held_out.fit_path(&sparse, [1.0, 0.0], false)?;
        let dense: Option<Vec<&[f64]>> = held.iter().map(|h| h.encoded.as_ref().map(|e| e.scores.as_slice())).collect();
        let full = match dense {
            Some(dense) if !held.is_empty() => {
                let rows = held.iter().zip(&sparse).zip(&dense).filter_map(|((h, s), d)| Some((s.as_slice(), *d, h.label?)));
                let shares = fit_shares(rows);
                let scores: Vec<Vec<f64>> = sparse.iter().zip(&dense).map(|(s, d)| combine(shares, s, d)).collect();
                Some(held_out.fit_path(&scores, shares, true)?)
            }
            _ => None,
        };
        Ok(Joined { shares, fast, full })
    }

    /// Of the held-out rows themselves: accuracy is honest, calibration was fitted on them.
    fn score(&self, held: &[HeldRow], outside: Option<usize>, into: &mut BTreeMap<String, Scores>) {
        for (path, fitted) in [(Path::Fast, Some(&self.fast)), (Path::Full, self.full.as_ref())] {
            let Some(fitted) = fitted else { continue };
            let rows = held.iter().zip(&fitted.probabilities).zip(&fitted.out_of_scope);
            let rows: Vec<Scored> =
                rows.map(|((h, p), o)| Scored { lang: h.lang, label: h.label, probabilities: p.clone(), out_of_scope: *o }).collect();
            insert_scores("held", path, &rows, &fitted.meta.thresholds, outside, into);
        }
    }
}

/// A judged row of a scored set.
struct Scored {
    lang: Lang,
    label: Option<usize>,
    probabilities: Vec<f64>,
    out_of_scope: f64,
}

/// Scores of a set, whole and by language: `test.full`, `test.full.zh`.
fn insert_scores(
    set: &str,
    path: Path,
    rows: &[Scored],
    thresholds: &[Threshold],
    outside: Option<usize>,
    into: &mut BTreeMap<String, Scores>,
) {
    let at_95 = Threshold::at_least(thresholds, 0.95);
    let path = path.as_str();
    for lang in [None, Some(Lang::Zh), Some(Lang::En)] {
        let part: Vec<&Scored> = rows.iter().filter(|r| lang.is_none_or(|l| r.lang == l)).collect();
        let labelled: Vec<&&Scored> = part.iter().filter(|r| r.label.is_some()).collect();
        if labelled.is_empty() || (lang.is_some() && part.len() == rows.len()) {
            continue;
        }
        let distributions: Vec<Vec<f64>> = labelled.iter().map(|r| r.probabilities.clone()).collect();
        let labels: Vec<usize> = labelled.iter().filter_map(|r| r.label).collect();
        let split = |which: bool| -> Vec<f64> {
            let of = part.iter().filter(|r| (r.label.is_none() || r.label == outside) == which);
            of.map(|r| r.out_of_scope).collect()
        };
        let (inside, of_outside) = (split(false), split(true));
        let mut scores = Scores::of(&distributions, &labels, at_95);
        // Where the set holds rows outside, also of the others alone: what the literature reports as in-scope accuracy.
        if lang.is_none() && !of_outside.is_empty() {
            let (distributions, labels): (Vec<Vec<f64>>, Vec<usize>) =
                distributions.iter().cloned().zip(labels.iter().copied()).filter(|(_, l)| Some(*l) != outside).unzip();
            into.insert(format!("{set}.{path}.inside"), Scores::of(&distributions, &labels, at_95));
        }
        if !of_outside.is_empty() {
            scores.outside = of_outside.len();
            scores.scope_auroc = auroc(&inside, &of_outside);
            scores.scope_recall_5 = recall_at_false_rejection(&inside, &of_outside, 0.05).0;
        }
        let name = lang.map_or(format!("{set}.{path}"), |l| format!("{set}.{path}.{l}"));
        into.insert(name, scores);
    }
}

fn test_scores(
    classifier: &Cascade,
    corpus: &Corpus,
    vectors: &BTreeMap<usize, Vec<f32>>,
    outside: Option<usize>,
) -> BTreeMap<String, Scores> {
    let mut out = BTreeMap::new();
    let meta = classifier.meta();
    for (path, thresholds) in [(Path::Fast, Some(&meta.fast.thresholds)), (Path::Full, meta.full.as_ref().map(|f| &f.thresholds))] {
        let Some(thresholds) = thresholds else { continue };
        let judge = |&row: &usize| {
            let vector = vectors.get(&row).map(Vec::as_slice).filter(|_| path == Path::Full);
            let lang = corpus.rows.langs[row];
            let Judgement { probabilities, out_of_scope, .. } =
                classifier.judge(&classifier.row(&corpus.rows.normalized[row]), lang, vector);
            Scored { lang, label: corpus.rows.labels[row], probabilities, out_of_scope }
        };
        let rows: Vec<Scored> = corpus.test.iter().map(judge).collect();
        insert_scores("test", path, &rows, thresholds, outside, &mut out);
    }
    out
}

fn held_rows(corpus: &Corpus, sparse: &SparseFit, vectors: Option<&FoldVectors>, held: &[usize]) -> Vec<HeldRow> {
    let scores = sparse.scores(corpus, held);
    let row = |(&row, (features, sparse)): (&usize, (usize, [Vec<f64>; 2]))| HeldRow {
        row,
        lang: corpus.rows.langs[row],
        label: corpus.rows.labels[row],
        features,
        sparse,
        encoded: vectors.and_then(|v| Some(HeldVector::of(&v.dense, v.vectors.get(&row)?, corpus.labels.len()))),
    };
    held.iter().zip(scores).map(row).collect()
}
