//! The report as one page: no network, no script. Everything foreign goes through the template's escaping; what is inserted as it is are
//! the charts and the style sheet, which hold none of it.

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value};
use serde::Serialize;

use super::ReportError;
use super::charts::{histogram_svg, learning_curve_svg, reliability_svg, risk_coverage_svg};
use super::metrics::{Header, Metrics};
use super::training::{CurvePoint, Fold, spread};
use super::views::{Confusion, MatrixView, SMALL, Wrong, frequent, worst};
use crate::eval::format::{percent, thousands};
use crate::eval::prediction::Prediction;

const STYLE: &str = include_str!("report.css");
const TEMPLATES: [(&str, &str); 3] = [
    ("page.html", include_str!("page.html.j2")),
    ("report.html", include_str!("report.html.j2")),
    ("training.html", include_str!("training.html.j2")),
];

/// What stands where there is no figure.
const NONE: &str = "–";

fn templates() -> Result<Environment<'static>, minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    // The sign stays on the number's line.
    environment.add_filter("percent", |share: Option<f64>| share.map_or(NONE.to_owned(), |s| percent(s).replace(' ', "\u{a0}")));
    environment.add_filter("decimal", |value: Option<f64>, digits: usize| value.map_or(NONE.to_owned(), |v| format!("{v:.digits$}")));
    environment.add_filter("thousands", thousands);
    environment.add_global("style", Value::from_safe_string(STYLE.to_owned()));
    for (name, source) in TEMPLATES {
        environment.add_template(name, source)?;
    }
    Ok(environment)
}

#[derive(Serialize)]
struct ReportView<'a> {
    m: &'a Metrics,
    /// SVG.
    reliability: String,
    histogram: String,
    risk_coverage: String,
    matrix: MatrixView<'a>,
    /// The whole matrix, where `matrix` is a part of it.
    whole: Option<MatrixView<'a>>,
    frequent: Vec<Confusion<'a>>,
    worst: Vec<Wrong<'a>>,
    wrong: usize,
}

/// The report of an evaluation.
///
/// # Errors
/// Where the template is broken, which a test excludes.
pub fn page(metrics: &Metrics, predictions: &[Prediction]) -> Result<String, ReportError> {
    let thresholds = metrics.scores.get("all").map(|f| f.thresholds.as_slice()).unwrap_or_default();
    let large = metrics.matrix.labels.len() > SMALL;
    let view = ReportView {
        m: metrics,
        reliability: reliability_svg(&metrics.reliability),
        histogram: histogram_svg(&metrics.histogram),
        risk_coverage: risk_coverage_svg(&metrics.risk_coverage, thresholds),
        matrix: if large { MatrixView::gist(&metrics.matrix) } else { MatrixView::whole(&metrics.matrix) },
        whole: large.then(|| MatrixView::whole(&metrics.matrix)),
        frequent: frequent(metrics, predictions),
        worst: worst(predictions),
        wrong: predictions.iter().filter(|p| !p.right()).count(),
    };
    render("report.html", view)
}

#[derive(Serialize)]
struct TrainingView<'a> {
    header: &'a Header,
    curve: &'a [CurvePoint],
    /// SVG.
    chart: String,
    folds: &'a [Fold],
    spread: [(f64, f64); 3],
}

/// A learning curve, the folds of a cross-validation, or both, in the same style.
///
/// # Errors
/// As [`page`].
pub fn training_page(header: &Header, curve: &[CurvePoint], folds: &[Fold]) -> Result<String, ReportError> {
    render("training.html", TrainingView { header, curve, chart: learning_curve_svg(curve), folds, spread: spread(folds) })
}

fn render(template: &str, view: impl Serialize) -> Result<String, ReportError> {
    Ok(templates()?.get_template(template)?.render(Serde(view))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::Threshold;
    use crate::domain::Evidence;
    use crate::eval::bootstrap::Interval;
    use crate::eval::prediction::samples::prediction;

    const HOSTILE: &str = "<script>alert('1')</script></style><img src=x onerror=\"alert(2)\">{{ 7 * 7 }}";

    fn header(name: &str) -> Header {
        let thresholds = [Some(0.6), None].map(|threshold| Threshold { precision: 0.9, threshold, coverage: 0.5 }).to_vec();
        Header { model: name.into(), data: name.into(), date: name.into(), thresholds, labels: vec!["a".into()] }
    }

    /// What the page would load, run or let out of its place.
    fn dangers(html: &str) -> Vec<&'static str> {
        let dangers = [
            "<script",
            "<img",
            "<link",
            "<iframe",
            "onerror=\"",
            "http://",
            "https://",
            "url(",
            "@import",
            "\u{202e}",
            "{{",
            "none<",
            "undefined",
        ];
        dangers.into_iter().filter(|d| html.contains(d)).collect()
    }

    fn report(name: &str, predictions: &[Prediction]) -> String {
        page(&Metrics::of(&header(name), predictions), predictions).unwrap()
    }

    #[test]
    fn hostile_text_stays_text() {
        let evidence = vec![Evidence { term: HOSTILE.into(), weight: 1.0 }, Evidence { term: "alert".into(), weight: 0.5 }];
        let wrong = prediction(&format!("\u{202e}{HOSTILE}"), HOSTILE, "a\" onmouseover=\"x", 0.9);
        let rows = [Prediction { evidence, ..wrong }, prediction(&"长".repeat(10_000), "a", "b", 0.8)];
        let html = report(HOSTILE, &rows);
        // The braces of the message are shown, not read; they are the only ones.
        assert_eq!(dangers(&html.replace("{{ 7 * 7 }}", "")), Vec::<&str>::new());
        assert!(html.contains("&lt;script&gt;") && !html.contains("\" onmouseover=\""));
        assert!(html.contains("+9,720 characters") && html.len() < 100_000, "{}", html.len());
        assert_eq!(html.matches("</style>").count(), 1);
    }

    #[test]
    fn the_page_has_every_part_and_stands_alone() {
        let wrong = Prediction {
            evidence: vec![Evidence { term: "运费".into(), weight: 1.25 }],
            ..prediction("退运费吗", "refund", "shipping_fee", 0.95)
        };
        let rows =
            [wrong, prediction("hello", "out_of_scope", "out_of_scope", 0.5), prediction("运费", "shipping_fee", "shipping_fee", 0.99)];
        let html = report("intent@1", &rows);
        assert_eq!(dangers(&html), Vec::<&str>::new());
        for part in [
            "66.7\u{a0}%",
            "退<mark>运费</mark>吗",
            "运费</bdi> <span class=\"quiet\">1.25",
            "title=\"refund → shipping_fee: 1 of 1\"",
            "AUROC",
            "prefers-color-scheme: dark",
        ] {
            assert!(html.contains(part), "{part}");
        }
        assert_eq!(html.matches("<svg class=\"chart\"").count(), 3);
        assert!(!html.contains("All 3 labels"), "a small matrix is whole");
    }

    #[test]
    fn a_matrix_of_many_labels_is_folded() {
        let rows: Vec<Prediction> = (0..60).map(|i| prediction("x", &format!("label_{i}"), &format!("label_{}", i / 2 * 2), 0.5)).collect();
        assert!(report("intent@1", &rows).contains("<summary>All 60 labels</summary>"));
    }

    #[test]
    fn a_report_without_an_error_is_one_too() {
        let html = report("intent@1", &[prediction("x", "a", "a", 1.0)]);
        assert!(html.contains("Nothing: every answer is right.") && dangers(&html).is_empty());
    }

    #[test]
    fn training_has_its_page_in_the_same_style() {
        let curve = [CurvePoint { train_rows: 1270, accuracy: 0.5, interval: Interval { low: 0.45, high: 0.55 } }];
        let fold = |accuracy| Fold { train_rows: 4064, n: 1016, accuracy, macro_f1: 0.5, ece: 0.04 };
        let html = training_page(&header(HOSTILE), &curve, &[fold(0.6), fold(0.8)]).unwrap();
        assert_eq!(dangers(&html.replace("{{ 7 * 7 }}", "")), Vec::<&str>::new());
        for part in ["1,270", "45.0–55.0\u{a0}%", "70.0\u{a0}% ± 14.1", "<svg"] {
            assert!(html.contains(part), "{part}");
        }
        assert!(!training_page(&header("m"), &[], &[fold(0.6)]).unwrap().contains("Learning curve"));
    }
}
