//! The report as Markdown, for terminals and reviews.

use super::metrics::{Figures, Header, Metrics};
use super::training::{CurvePoint, Fold, spread};
use super::views::{frequent, worst};
use crate::eval::bootstrap::Interval;
use crate::eval::format::{percent, thousands};
use crate::eval::prediction::Prediction;

/// Foreign text in a cell: what Markdown would read as a mark is written so that it does not.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '&' => out += "&amp;",
            '\\' | '|' | '`' | '*' | '_' | '[' | ']' | '~' | '#' | '!' => out.extend(['\\', c]),
            '\n' | '\r' => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// A title and rows of cells as a table.
fn table(title: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut out = format!("| {} |\n|{}\n", title.join(" | "), "---|".repeat(title.len()));
    for row in rows {
        out += &format!("| {} |\n", row.join(" | "));
    }
    out
}

fn or_none(share: Option<f64>) -> String {
    share.map_or("–".to_owned(), percent)
}

fn between(interval: Interval) -> String {
    format!("{:.1}–{}", 100.0 * interval.low, percent(interval.high))
}

/// The report for people.
pub fn markdown(metrics: &Metrics, predictions: &[Prediction]) -> String {
    let mut out = format!(
        "# Intent classifier {}\n\n{}: {} messages, {}.\n\n",
        plain(&metrics.model),
        plain(&metrics.data),
        thousands(metrics.n),
        plain(&metrics.date)
    );
    if metrics.unknown_labels > 0 {
        out += &format!(
            "Messages with a label that the model cannot say: {}. They are counted, as wrong.\n\n",
            thousands(metrics.unknown_labels)
        );
    }
    out += &sets(metrics);
    if let Some(d) = metrics.out_of_scope {
        out += &format!(
            "\nOut of scope ({} of {} messages): AUROC {:.3}, {} found at 5 % false rejection.\n",
            thousands(d.out_of_scope),
            thousands(d.in_scope + d.out_of_scope),
            d.auroc,
            percent(d.recall_at_5_percent_false_rejection)
        );
    }
    out += "\n## Risk and coverage\n\nAnswering only the surest share of the messages, how many answers are wrong.\n\n";
    let last = metrics.risk_coverage.len();
    let tenths = metrics.risk_coverage.iter().enumerate().filter(|(at, _)| (at + 1) % 10 == 0 || at + 1 == last);
    out += &table(
        &["answered", "wrong", "probability from"],
        tenths.map(|(_, p)| vec![percent(p.coverage), percent(p.risk), format!("{:.3}", p.threshold)]),
    );
    out += &format!("\nArea under the curve: {:.3}.\n\n## Reliability\n\n", metrics.aurc);
    out += &table(
        &["confidence", "n", "mean", "accuracy", "95 % interval"],
        metrics.reliability.iter().filter_map(|b| {
            let (confidence, accuracy, interval) = (b.confidence?, b.accuracy?, b.interval?);
            Some(vec![format!("{:.2} to {:.2}", b.from, b.to), thousands(b.n), percent(confidence), percent(accuracy), between(interval)])
        }),
    );
    out += "\n## Confusions\n\n";
    out += &table(
        &["label", "taken for", "times", "of its rows", "for example"],
        frequent(metrics, predictions)
            .iter()
            .map(|c| vec![plain(c.label), plain(c.predicted), thousands(c.n), percent(c.n as f64 / c.of as f64), plain(&c.example)]),
    );
    out += "\n## Worst errors\n\n";
    out += &table(
        &["confidence", "predicted", "label", "message", "terms that misled"],
        worst(predictions).iter().map(|w| {
            let text: String = w.text.iter().map(|piece| piece.0.as_str()).collect();
            let left = if w.left > 0 { format!(" … +{} characters", thousands(w.left)) } else { String::new() };
            let terms: Vec<String> = w.terms.iter().map(|(term, weight)| format!("{} {weight:.2}", plain(term))).collect();
            vec![percent(w.confidence), plain(w.predicted), plain(w.label), plain(&text) + &left, terms.join(", ")]
        }),
    );
    out += "\n## Intents\n\nThe weakest first.\n\n";
    out += &table(
        &["intent", "n", "F1", "precision", "recall", "most often taken for"],
        metrics.intents.iter().map(|i| {
            let mistaken = i.mistaken_for.as_ref().map_or(String::new(), |(label, n)| format!("{} {n}×", plain(label)));
            vec![plain(&i.intent), thousands(i.n), percent(i.f1), or_none(i.precision), or_none(i.recall), mistaken]
        }),
    );
    out
}

/// A row a language and a path.
fn sets(metrics: &Metrics) -> String {
    let mut title: Vec<String> = ["set", "n", "accuracy", "95 % interval", "macro-F1", "ECE (15 bins)", "Brier"].map(String::from).to_vec();
    let goals = metrics.scores.get("all").map(|f| f.thresholds.as_slice()).unwrap_or_default();
    title.extend(goals.iter().map(|t| format!("answered / right at the {:.0} % threshold", 100.0 * t.goal)));
    let row = |(name, f): (String, &Figures)| {
        let mut cells = vec![name, thousands(f.n), percent(f.accuracy), between(f.accuracy_interval), percent(f.macro_f1)];
        cells.extend([f.ece, f.brier].map(|x| format!("{x:.3}")));
        cells.extend(f.thresholds.iter().map(|t| format!("{} / {}", percent(t.coverage), or_none(t.precision))));
        cells
    };
    let languages = metrics.scores.iter().map(|(name, f)| (name.clone(), f));
    let paths = metrics.paths.iter().map(|(name, f)| (format!("{name} path"), f));
    table(&title.iter().map(String::as_str).collect::<Vec<_>>(), languages.chain(paths).map(row))
}

/// A learning curve as a table.
pub fn curve_markdown(curve: &[CurvePoint]) -> String {
    let rows = curve.iter().map(|p| vec![thousands(p.train_rows), percent(p.accuracy), between(p.interval)]);
    table(&["training rows", "accuracy", "95 % interval"], rows)
}

/// The folds of a cross-validation as a table, mean and deviation last.
pub fn folds_markdown(folds: &[Fold]) -> String {
    let row = |(at, f): (usize, &Fold)| {
        let (accuracy, macro_f1) = (percent(f.accuracy), percent(f.macro_f1));
        vec![(at + 1).to_string(), thousands(f.train_rows), thousands(f.n), accuracy, macro_f1, format!("{:.3}", f.ece)]
    };
    let [accuracy, macro_f1, ece] = spread(folds);
    let share = |(mean, deviation): (f64, f64)| format!("{} ± {:.1}", percent(mean), 100.0 * deviation);
    let mean = [
        "mean ± deviation".to_owned(),
        String::new(),
        String::new(),
        share(accuracy),
        share(macro_f1),
        format!("{:.3} ± {:.3}", ece.0, ece.1),
    ];
    let rows = folds.iter().enumerate().map(row).chain([mean.to_vec()]);
    table(&["fold", "training rows", "n", "accuracy", "macro-F1", "ECE (15 bins)"], rows)
}

/// A learning curve, the folds of a cross-validation, or both.
pub fn training_markdown(header: &Header, curve: &[CurvePoint], folds: &[Fold]) -> String {
    let mut out = format!("# Training {}\n\n{}, {}.\n", plain(&header.model), plain(&header.data), plain(&header.date));
    if !curve.is_empty() {
        out += "\n## Learning curve\n\n";
        out += &curve_markdown(curve);
    }
    if !folds.is_empty() {
        out += "\n## Cross-validation\n\n";
        out += &folds_markdown(folds);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::prediction::samples::prediction;

    #[test]
    fn foreign_text_breaks_no_table() {
        let rows = [prediction("a|b\n<script>`x` [y](z) \u{202e}", "refund", "fee|x", 0.9), prediction("运费", "fee", "fee", 0.8)];
        let header =
            Header { model: "m".into(), data: "d".into(), date: "2026-01-31".into(), thresholds: vec![], labels: vec!["fee".into()] };
        let text = markdown(&Metrics::of(&header, &rows), &rows);
        assert!(text.contains("| 90.0 % | fee\\|x | refund | a\\|b &lt;script&gt;\\`x\\` \\[y\\](z) |"), "{text}");
        assert!(text.contains("cannot say: 1.") && text.contains("| all | 2 | 50.0 % |"), "{text}");
        let cells = |line: &str| line.replace("\\|", "").matches('|').count();
        let rows = text.lines().filter(|l| l.starts_with('|'));
        assert!(rows.clone().all(|l| cells(l) >= 3), "{text}");
    }

    #[test]
    fn folds_end_with_their_mean() {
        let fold = |accuracy| Fold { train_rows: 80, n: 20, accuracy, macro_f1: 0.5, ece: 0.1 };
        let text = folds_markdown(&[fold(0.6), fold(0.8)]);
        assert!(text.contains("| 2 | 80 | 20 | 80.0 % | 50.0 % | 0.100 |"), "{text}");
        assert!(text.ends_with("| mean ± deviation |  |  | 70.0 % ± 14.1 | 50.0 % ± 0.0 | 0.100 ± 0.000 |\n"), "{text}");
        let point = CurvePoint { train_rows: 1270, accuracy: 0.5, interval: Interval { low: 0.45, high: 0.55 } };
        assert!(curve_markdown(&[point]).contains("| 1,270 | 50.0 % | 45.0–55.0 % |"));
    }
}
