//! The confidence of product linking: from messages whose SKUs are known to the probability that an answer is right.
//!
//! The rows of validation were looked at while the linking was built, so that few of them go wrong: alone they would make it too
//! sure of itself. Each is therefore asked three times: as it is, with a slip of the keyboard, and of a catalogue that no longer has
//! what is meant (where `none` is right).

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;

use ndarray::Array2;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;

use super::TrainError;
use super::gate::{logistic, short};
use crate::classify::expected_calibration_error;
use crate::corpus::ResolveRow;
use crate::domain::{CatalogueItem, ResolveMatch};
use crate::ner::{EntityTagger, Evidence, Lexicon, Linker, LinkingArtefact, LinkingModel, LinkingScores};
use crate::text::{TEXT_VERSION, is_han, normalize};

/// `training/linking.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkingRecipe {
    pub name: String,
    /// The artefact's folder, relative to the recipe.
    pub out: PathBuf,
    /// Of the slips.
    pub seed: u64,
    /// Strength of the L2 penalty on the weights.
    pub penalty: f64,
    pub data: LinkingData,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkingData {
    pub catalogue: PathBuf,
    pub valid: PathBuf,
    pub test: PathBuf,
}

/// One answer: how it came about, whether it is right.
type Answered = (Evidence, bool);

/// Fits on validation, scores on both.
///
/// # Errors
/// Too few right or wrong answers to fit anything; a catalogue beyond one automaton.
pub fn train_linking(
    recipe: &LinkingRecipe,
    items: &[CatalogueItem],
    tagger: &dyn EntityTagger,
    [valid, test]: [&[ResolveRow]; 2],
    data_hash: String,
) -> Result<LinkingArtefact, TrainError> {
    let lexicon = Lexicon::shipped().map_err(|e| TrainError::Data(e.to_string()))?;
    let linker = |items: &[CatalogueItem]| {
        Linker::with_model(items, &lexicon, LinkingModel::untrained()).map_err(|e| TrainError::Data(e.to_string()))
    };
    let whole = linker(items)?;
    let ask = |linker: &Linker, row: &ResolveRow| -> Answered {
        let clean = normalize(&row.text);
        let answer = linker.resolve(&row.text, &clean, &tagger.tag(&row.text, &clean));
        (answer.evidence, row.is_right(answer.resolution.matched, &answer.skus))
    };
    let mut rng = ChaCha8Rng::seed_from_u64(recipe.seed);
    // The three of a row stay together, so that a fold never judges a row that it was fitted on.
    let mut rows: Vec<Vec<Answered>> = Vec::with_capacity(valid.len());
    for row in valid {
        let mut answers = vec![ask(&whole, row), ask(&whole, &ResolveRow { text: slip(&row.text, &mut rng), ..row.clone() })];
        if row.expect != ResolveMatch::None {
            let gone: HashSet<&String> = row.skus.iter().collect();
            let rest: Vec<CatalogueItem> = items.iter().filter(|i| !gone.contains(&i.sku)).cloned().collect();
            answers.push(ask(&linker(&rest)?, &ResolveRow { expect: ResolveMatch::None, skus: Vec::new(), ..row.clone() }));
        }
        rows.push(answers);
    }
    let all: Vec<Answered> = rows.iter().flatten().copied().collect();
    let model = fit(&all, recipe.penalty)?;
    let held_out = out_of_fold(&rows, recipe.penalty)?;
    let of = |rows: &[ResolveRow]| -> Vec<(f64, bool)> {
        let answers = rows.iter().map(|row| ask(&whole, row));
        answers.map(|(e, right)| (f64::from(model.probability(&e)), right)).collect()
    };
    let scores = BTreeMap::from([
        ("valid and its variations, out of fold".to_owned(), score(&held_out)),
        ("valid".to_owned(), score(&of(valid))),
        ("test".to_owned(), score(&of(test))),
    ]);
    Ok(LinkingArtefact { name: recipe.name.clone(), text_version: TEXT_VERSION, model, scores, data_hash })
}

/// One slip of the keyboard: a character left out, doubled, or changed places with its neighbour.
fn slip(text: &str, rng: &mut ChaCha8Rng) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    let places: Vec<usize> =
        (0..chars.len().saturating_sub(1)).filter(|&at| chars[at].is_ascii_alphabetic() || is_han(chars[at])).collect();
    if places.is_empty() {
        return text.to_owned();
    }
    let at = places[rng.random_range(0..places.len())];
    match rng.random_range(0..3) {
        0 => drop(chars.remove(at)),
        1 => chars.insert(at, chars[at]),
        _ => chars.swap(at, at + 1),
    }
    chars.into_iter().collect()
}

fn fit(rows: &[Answered], penalty: f64) -> Result<LinkingModel, TrainError> {
    let right = rows.iter().filter(|r| r.1).count();
    if right < 10 || rows.len() - right < 10 {
        return Err(TrainError::Data(format!("{right} right and {} wrong answers are too few to fit on", rows.len() - right)));
    }
    let columns: Vec<[f64; 9]> = rows.iter().map(|r| r.0.to_array()).collect();
    let n = columns.len() as f64;
    let mean: Vec<f64> = (0..9).map(|j| columns.iter().map(|c| c[j]).sum::<f64>() / n).collect();
    // A column that hardly varies says nothing, and would blow up.
    let deviation: Vec<f64> =
        (0..9).map(|j| (columns.iter().map(|c| (c[j] - mean[j]).powi(2)).sum::<f64>() / n).sqrt().max(0.05)).collect();
    let x = Array2::from_shape_fn((rows.len(), 9), |(i, j)| (columns[i][j] - mean[j]) / deviation[j]);
    let (scaled, intercept) = logistic(x, rows.iter().map(|r| r.1), penalty)?;
    let mut model = LinkingModel { weights: [0.0; 9], bias: intercept };
    for j in 0..9 {
        model.weights[j] = short(scaled[j] / deviation[j]);
        model.bias -= scaled[j] / deviation[j] * mean[j];
    }
    model.bias = short(model.bias);
    Ok(model)
}

/// Probabilities by models that have not seen the row (five folds).
fn out_of_fold(rows: &[Vec<Answered>], penalty: f64) -> Result<Vec<(f64, bool)>, TrainError> {
    const FOLDS: usize = 5;
    let mut out = Vec::new();
    for fold in 0..FOLDS {
        let (inside, rest): (Vec<_>, Vec<_>) = rows.iter().enumerate().partition(|(i, _)| i % FOLDS == fold);
        let model = fit(&rest.into_iter().flat_map(|(_, r)| r.iter().copied()).collect::<Vec<_>>(), penalty)?;
        out.extend(inside.into_iter().flat_map(|(_, r)| r).map(|(e, right)| (f64::from(model.probability(e)), *right)));
    }
    Ok(out)
}

fn score(outcomes: &[(f64, bool)]) -> LinkingScores {
    LinkingScores {
        n: outcomes.len(),
        right: outcomes.iter().filter(|o| o.1).count() as f64 / outcomes.len().max(1) as f64,
        ece: expected_calibration_error(outcomes, 10),
    }
}

/// The card that lies beside the artefact.
pub fn linking_card(artefact: &LinkingArtefact) -> String {
    let mut out = format!(
        "# {}: how sure a product link is\n\nMade by `fenzhen train linking training/linking.toml`; do not edit. A logistic model over {}, fitted on validation \
         messages, each as it is, with a slip of the keyboard, and of a catalogue without what is meant. Data sha256 `{}`.\n\n## Scores\n\n\
         | set | answers | right | ECE |\n|---|---|---|---|\n",
        artefact.name,
        Evidence::NAMES.join(", "),
        artefact.data_hash,
    );
    for (name, s) in &artefact.scores {
        out += &format!("| {name} | {} | {:.1} % | {:.3} |\n", s.n, 100.0 * s.right, s.ece);
    }
    out += "\n## Weights\n\n| feature | weight |\n|---|---|\n";
    for (name, weight) in Evidence::NAMES.iter().zip(artefact.model.weights) {
        out += &format!("| {name} | {weight:.3} |\n");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_changes_little_and_the_same_seed_the_same() {
        let slip_of = |seed| slip("粉色羽绒服 XL", &mut ChaCha8Rng::seed_from_u64(seed));
        assert_eq!(slip_of(3), slip_of(3));
        assert!((0..20).any(|s| slip_of(s) != "粉色羽绒服 XL"));
        assert_eq!(slip("1", &mut ChaCha8Rng::seed_from_u64(1)), "1");
    }

    #[test]
    fn what_goes_wrong_is_less_probable() {
        let row = |unread: f64, right| (Evidence { unread, ..Default::default() }, right);
        let rows: Vec<Answered> = (0..100).map(|i| row(f64::from(i) / 100.0, i < 60 || i % 3 == 0)).collect();
        let model = fit(&rows, 0.1).unwrap();
        assert!(model.probability(&row(0.1, true).0) > model.probability(&row(0.9, true).0));
        assert!(fit(&rows[..20], 0.1).is_err());
    }
}
