//! The gate's training: from search hits that are known to be right or wrong to probabilities and thresholds.

use std::collections::BTreeMap;
use std::path::PathBuf;

use linfa::prelude::*;
use linfa_logistic::LogisticRegression;
use ndarray::{Array1, Array2};
use serde::Deserialize;

use super::TrainError;
use crate::classify::{expected_calibration_error, threshold_for_precision};
use crate::decide::{GateArtefact, MatchFeatures, MatchModel, MatchScores};
use crate::text::TEXT_VERSION;

/// Of the lower bound of a reply's precision.
const CONFIDENCE: f64 = 0.9;

/// `training/gate.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GateRecipe {
    pub name: String,
    /// The artefact's folder, relative to the recipe.
    pub out: PathBuf,
    pub data: GateData,
    /// Precisions of a reply, in per cent, for which thresholds are chosen.
    pub precisions: Vec<u32>,
    /// Strength of the L2 penalty on the weights.
    pub penalty: f64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GateData {
    pub articles: PathBuf,
    pub valid: PathBuf,
    pub test: PathBuf,
    pub tickets: PathBuf,
}

/// One query: its candidates, best rank first, each with whether it is right; and whether any right one exists at all.
#[derive(Debug, Clone, Default)]
pub struct MatchExamples {
    pub queries: Vec<(Vec<(MatchFeatures, bool)>, bool)>,
}

/// Fits on validation, scores on both. The reply thresholds are chosen on out-of-fold probabilities, so that the model does not
/// judge itself.
///
/// # Errors
/// Too few right or wrong candidates to fit anything.
pub fn train_gate(
    recipe: &GateRecipe,
    articles: [&MatchExamples; 2],
    tickets: [&MatchExamples; 2],
    encoder: &str,
    data_hash: String,
) -> Result<GateArtefact, TrainError> {
    let (article, held_out) = fit_calibrated(articles[0], recipe.penalty)?;
    let (ticket, _) = fit_calibrated(tickets[0], recipe.penalty)?;
    let same = fit_same(tickets[0])?;
    let reply_thresholds: BTreeMap<u32, Option<f64>> =
        recipe.precisions.iter().map(|&p| (p, threshold_for_precision(&held_out, f64::from(p) / 100.0, CONFIDENCE))).collect();
    let auto = reply_thresholds.range(95..).next().and_then(|(_, t)| *t);
    let scores = BTreeMap::from([
        ("articles.valid".to_owned(), score(articles[0], &article, auto)),
        ("articles.test".to_owned(), score(articles[1], &article, auto)),
        ("tickets.valid".to_owned(), score(tickets[0], &ticket, None)),
        ("tickets.test".to_owned(), score(tickets[1], &ticket, None)),
    ]);
    let text_version = TEXT_VERSION;
    Ok(GateArtefact {
        name: recipe.name.clone(),
        text_version,
        encoder: encoder.to_owned(),
        article,
        ticket,
        same,
        reply_thresholds,
        scores,
        data_hash,
    })
}

/// Fits the probability of the same problem to the cosines alone.
fn fit_same(examples: &MatchExamples) -> Result<MatchModel, TrainError> {
    let candidates: Vec<&(MatchFeatures, bool)> = examples.queries.iter().flat_map(|q| &q.0).collect();
    let x = Array2::from_shape_fn((candidates.len(), 1), |(i, _)| candidates[i].0.cosine);
    let (weight, bias) = logistic(x, candidates.iter().map(|c| c.1), 1e-3)?;
    let mut weights = [0.0; MatchFeatures::COUNT];
    weights[0] = short(weight[0]);
    Ok(MatchModel { weights, bias: short(bias) })
}

/// Fits on all candidates, then corrects for what is shown: the best of ten is more often overrated than a candidate at random. A
/// slope and an offset on its log-odds (Platt 1999) are fitted on held-out best candidates and become part of the model.
///
/// Answers the model and the held-out best candidates with their corrected probabilities.
fn fit_calibrated(examples: &MatchExamples, penalty: f64) -> Result<(MatchModel, Vec<(f64, bool)>), TrainError> {
    let mut model = fit(examples.queries.iter(), penalty)?;
    let held_out = out_of_fold(examples, penalty)?;
    let log_odds = |p: f64| (p.clamp(1e-6, 1.0 - 1e-6) / (1.0 - p.clamp(1e-6, 1.0 - 1e-6))).ln();
    let x = Array2::from_shape_fn((held_out.len(), 1), |(i, _)| log_odds(held_out[i].0));
    let (slope, offset) = logistic(x, held_out.iter().map(|h| h.1), 1e-3)?;
    let slope = slope[0];
    model.weights = model.weights.map(|w| short(slope * w));
    model.bias = short(slope * model.bias + offset);
    let corrected = held_out.into_iter().map(|(p, right)| (1.0 / (1.0 + (-(slope * log_odds(p) + offset)).exp()), right)).collect();
    Ok((model, corrected))
}

/// Written with seven digits: the optimiser's last bits are noise, and would differ between machines.
pub(super) fn short(v: f64) -> f64 {
    format!("{v:.7e}").parse().unwrap_or(v)
}

/// Weights and intercept of linfa's logistic regression for "right".
pub(super) fn logistic(x: Array2<f64>, right: impl Iterator<Item = bool>, penalty: f64) -> Result<(Vec<f64>, f64), TrainError> {
    let y = Array1::from_iter(right.map(u8::from));
    let model = LogisticRegression::default()
        .alpha(penalty)
        .max_iterations(500)
        .fit(&Dataset::new(x, y))
        .map_err(|e| TrainError::Fit(e.to_string()))?;
    // linfa chooses which of the two labels counts as positive.
    let sign = if model.labels().pos.class == 1 { 1.0 } else { -1.0 };
    Ok((model.params().iter().map(|w| sign * w).collect(), sign * model.intercept()))
}

type Queries<'a> = &'a (Vec<(MatchFeatures, bool)>, bool);

fn fit<'a>(queries: impl Iterator<Item = Queries<'a>>, penalty: f64) -> Result<MatchModel, TrainError> {
    let rows: Vec<(MatchFeatures, bool)> = queries.flat_map(|q| q.0.iter().copied()).collect();
    let right = rows.iter().filter(|r| r.1).count();
    if right < 10 || rows.len() - right < 10 {
        return Err(TrainError::Data(format!("{right} right and {} wrong candidates are too few to fit a gate on", rows.len() - right)));
    }
    let width = MatchFeatures::NAMES.len();
    // Features of very different scale would be penalised unevenly: they are standardised, and the model written back in their units.
    let columns: Vec<[f64; MatchFeatures::COUNT]> = rows.iter().map(|r| r.0.to_array()).collect();
    let n = columns.len() as f64;
    let mean: Vec<f64> = (0..width).map(|j| columns.iter().map(|c| c[j]).sum::<f64>() / n).collect();
    let deviation: Vec<f64> =
        (0..width).map(|j| (columns.iter().map(|c| (c[j] - mean[j]).powi(2)).sum::<f64>() / n).sqrt().max(1e-9)).collect();
    // Every feature speaks for a hit. One that the data turns against it (groups that share few words on purpose make shared words look
    // bad) would turn an exact copy into an unlikely one: it is left out, the worst first.
    let mut used: Vec<usize> = (0..width).collect();
    let (scaled, mut bias) = loop {
        let x = Array2::from_shape_fn((rows.len(), used.len()), |(i, j)| (columns[i][used[j]] - mean[used[j]]) / deviation[used[j]]);
        let (scaled, intercept) = logistic(x, rows.iter().map(|r| r.1), penalty)?;
        match (0..used.len()).filter(|&j| scaled[j] < 0.0).min_by(|&a, &b| scaled[a].total_cmp(&scaled[b])) {
            Some(worst) => used.remove(worst),
            None => break (scaled, intercept),
        };
    };
    let mut weights = [0.0; MatchFeatures::COUNT];
    for (j, weight) in used.into_iter().zip(scaled) {
        weights[j] = weight / deviation[j];
        bias -= weights[j] * mean[j];
    }
    Ok(MatchModel { weights: weights.map(short), bias: short(bias) })
}

/// The best candidate's probability and rightness for each query, by a model that has not seen the query (five folds).
fn out_of_fold(examples: &MatchExamples, penalty: f64) -> Result<Vec<(f64, bool)>, TrainError> {
    const FOLDS: usize = 5;
    let mut out = Vec::new();
    for fold in 0..FOLDS {
        let inside = |i: &usize| i % FOLDS == fold;
        let rest = examples.queries.iter().enumerate().filter(|(i, _)| !inside(i)).map(|(_, q)| q);
        let model = fit(rest, penalty)?;
        out.extend(examples.queries.iter().enumerate().filter(|(i, _)| inside(i)).map(|(_, q)| best(q, &model)));
    }
    Ok(out)
}

fn best((candidates, _): Queries<'_>, model: &MatchModel) -> (f64, bool) {
    let scored = candidates.iter().map(|(f, right)| (f64::from(model.probability(f)), *right));
    scored.max_by(|a, b| a.0.total_cmp(&b.0)).unwrap_or((0.0, false))
}

fn score(examples: &MatchExamples, model: &MatchModel, auto: Option<f64>) -> MatchScores {
    let answerable: Vec<_> = examples.queries.iter().filter(|q| q.1).collect();
    let among = |q: Queries<'_>, k: usize| {
        let mut ranked: Vec<(f32, bool)> = q.0.iter().map(|(f, right)| (model.probability(f), *right)).collect();
        ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
        ranked.iter().take(k).any(|r| r.1)
    };
    let share = |k: usize| answerable.iter().filter(|q| among(q, k)).count() as f64 / answerable.len().max(1) as f64;
    let outcomes: Vec<(f64, bool)> = examples.queries.iter().map(|q| best(q, model)).collect();
    let sent: Vec<_> = outcomes.iter().filter(|o| auto.is_some_and(|t| o.0 >= t)).collect();
    MatchScores {
        n: outcomes.len(),
        answerable: answerable.len(),
        first: share(1),
        first_three: share(3),
        ece: expected_calibration_error(&outcomes, 15),
        auto_coverage: sent.len() as f64 / outcomes.len().max(1) as f64,
        auto_precision: sent.iter().filter(|o| o.1).count() as f64 / sent.len().max(1) as f64,
    }
}

/// The card that lies beside the artefact.
pub fn gate_card(artefact: &GateArtefact) -> String {
    let mut out = format!(
        "# {}: from search hits to probabilities\n\nMade by `fenzhen train gate training/gate.toml`; do not edit. Logistic models over {} for articles \
         and tickets, fitted on validation queries with the encoder {}. Data sha256 `{}`.\n\n## Scores\n\n\
         | set | queries | answerable | right one first | among three | ECE | sent at the 95 % threshold | right of those |\n|---|---|---|---|---|---|---|---|\n",
        artefact.name,
        MatchFeatures::NAMES.join(", "),
        artefact.encoder,
        artefact.data_hash,
    );
    for (name, s) in &artefact.scores {
        let percent = |x: f64| format!("{:.1} %", 100.0 * x);
        let (sent, right) =
            if name.starts_with("articles") { (percent(s.auto_coverage), percent(s.auto_precision)) } else { ("-".into(), "-".into()) };
        out += &format!(
            "| {name} | {} | {} | {} | {} | {:.3} | {sent} | {right} |\n",
            s.n,
            s.answerable,
            percent(s.first),
            percent(s.first_three),
            s.ece
        );
    }
    out += "\n## Reply thresholds\n\n| precision | probability from |\n|---|---|\n";
    for (precision, threshold) in &artefact.reply_thresholds {
        out += &format!("| {precision} % | {} |\n", threshold.map_or("none holds it".to_owned(), |t| format!("{t:.3}")));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_right_candidate_is_told_from_a_wrong_one() {
        let candidate = |cosine: f64, right| (MatchFeatures { cosine, ..Default::default() }, right);
        let queries = (0..60).map(|i| {
            let noise = f64::from(i % 7) * 0.01;
            (vec![candidate(0.90 + noise - 0.03, true), candidate(0.80 + noise, false)], true)
        });
        let model = fit(queries.collect::<Vec<_>>().iter(), 1.0).unwrap();
        assert!(model.probability(&candidate(0.93, true).0) > 0.8);
        assert!(model.probability(&candidate(0.80, true).0) < 0.2);
        assert!(fit([].iter(), 1.0).is_err());
    }

    #[test]
    fn no_feature_speaks_against_a_candidate() {
        let candidate = |cosine: f64, lexical: f64, right| (MatchFeatures { cosine, lexical, ..Default::default() }, right);
        // The right ones share fewer words than the wrong ones.
        let queries = (0..60).map(|i| {
            let noise = f64::from(i % 7) * 0.02;
            (vec![candidate(0.85 + noise, 0.5 + noise, true), candidate(0.80 + noise, 1.5 - noise, false)], true)
        });
        let model = fit(queries.collect::<Vec<_>>().iter(), 1.0).unwrap();
        assert!(model.weights.iter().all(|w| *w >= 0.0) && model.weights[0] > 0.0, "{:?}", model.weights);
    }
}
