//! The model card that lies beside the weights.

use std::fmt::Write as _;

use super::recipe::{ClassifierRecipe, EncoderKind};
use crate::classify::{Cascade, PathMeta};

/// Markdown, for people.
pub fn card(classifier: &Cascade, encoder: Option<&str>) -> String {
    let meta = classifier.meta();
    let recipe: Option<ClassifierRecipe> = serde_json::from_value(meta.recipe.clone()).ok();
    let kind = recipe.map_or(EncoderKind::None, |r| r.encoder.kind);
    let second = match (kind, encoder) {
        (EncoderKind::Branch, Some(name)) => format!("a linear head on the top layers of {name}, tuned for these labels"),
        (EncoderKind::Frozen, Some(name)) => format!("a linear head on the sentence vectors of {name}"),
        _ => "none".to_owned(),
    };
    let mut out = format!(
        "# {}: intent classifier\n\nMade by `fenzhen train classifier`; do not edit. The recipe stands in `model.json`.\n\n\
         - fast path: naive Bayes and a linear support vector machine on {} TF-IDF features, one matrix\n- full path adds: {second}\n\
         - {} labels, text pipeline version {}, training data sha256 `{}`\n\n## Scores\n\n\
         `test` was looked at after everything was chosen. `held` are the held-out rows on which the models were joined and calibrated: their \
         accuracy is honest, their calibration is flattered.\n\n\
         | set | n | accuracy | macro-F1 | ECE (15 bins) | Brier | coverage / precision at the 95 % threshold | outside: n, AUROC, recall at 5 % false rejection |\n\
         |---|---|---|---|---|---|---|---|\n",
        meta.name,
        classifier.sparse().vectorizer.vocabulary.len(),
        meta.labels.len(),
        meta.text_version,
        meta.data_hash,
    );
    for (name, s) in &meta.scores {
        let outside = match s.outside {
            0 => "–".to_owned(),
            n => format!("{n}, {:.1} %, {:.1} %", 100.0 * s.scope_auroc, 100.0 * s.scope_recall_5),
        };
        let _ = writeln!(
            out,
            "| {name} | {} | {:.1} % | {:.1} % | {:.3} | {:.3} | {:.1} % / {:.1} % | {outside} |",
            s.n,
            100.0 * s.accuracy,
            100.0 * s.macro_f1,
            s.ece,
            s.brier,
            100.0 * s.coverage_at_95,
            100.0 * s.precision_at_95
        );
    }
    out += "\n## Thresholds\n\nChosen on held-out rows: the lower end of the one-sided Clopper-Pearson interval of the precision reaches the goal.\n\n\
            | path | precision | probability from | coverage |\n|---|---|---|---|\n";
    let paths: [(&str, Option<&PathMeta>); 2] = [("fast", Some(&meta.fast)), ("full", meta.full.as_ref())];
    for (path, fitted) in paths.into_iter().filter_map(|(name, p)| Some((name, p?))) {
        for t in &fitted.thresholds {
            let threshold = t.threshold.map_or("none holds it".to_owned(), |t| format!("{t:.3}"));
            let _ = writeln!(out, "| {path} | {:.0} % | {threshold} | {:.1} % |", 100.0 * t.precision, 100.0 * t.coverage);
        }
    }
    out += "\n## Use and limits\n\nTells which of its labels a short message means. The fast path knows words, not meanings: paraphrases without a shared \
            term are missed, and the probability says so. Trained on the messages whose hash stands above, not on your customers': measure it on yours \
            before you automate, and feed back what agents correct.\n";
    out
}
