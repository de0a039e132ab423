//! Figures and predictions as the page's template wants them: cut, sorted, marked.

use serde::Serialize;

use super::metrics::{Matrix, Metrics};
use crate::domain::{Lang, Path};
use crate::eval::format::{cut, short};
use crate::eval::prediction::Prediction;

/// Labels up to which the matrix is shown whole at once.
pub const SMALL: usize = 25;
/// Steps of colour in the matrix.
const SHADES: f64 = 5.0;
/// Characters shown of a message.
const TEXT: usize = 280;
const EXAMPLE: usize = 120;
/// Characters shown of a term.
const TERM: usize = 40;
pub const WORST: usize = 25;
pub const FREQUENT: usize = 15;

/// A confusion that happens, with one message that it happened to.
#[derive(Debug, Serialize)]
pub struct Confusion<'a> {
    pub label: &'a str,
    pub predicted: &'a str,
    pub n: usize,
    /// Rows of the label.
    pub of: usize,
    pub example: String,
    pub lang: Lang,
}

/// The most frequent confusions, an example each.
pub fn frequent<'a>(metrics: &'a Metrics, predictions: &[Prediction]) -> Vec<Confusion<'a>> {
    let rows = rows_of(&metrics.matrix);
    let found = metrics.matrix.confusions().into_iter().take(FREQUENT);
    let seen = found.filter_map(|(label, predicted, n, first)| {
        let example = predictions.get(first)?;
        let [name, other] = [label, predicted].map(|i| metrics.matrix.labels[i].as_str());
        Some(Confusion { label: name, predicted: other, n, of: rows[label], example: short(&example.text, EXAMPLE), lang: example.lang })
    });
    seen.collect()
}

/// Rows of each label.
fn rows_of(matrix: &Matrix) -> Vec<usize> {
    let mut rows = vec![0; matrix.labels.len()];
    matrix.cells.iter().for_each(|&(label, _, n, _)| rows[label] += n);
    rows
}

/// A wrong answer.
#[derive(Debug, Serialize)]
pub struct Wrong<'a> {
    /// Pieces of the message; true where a term stands that spoke for the wrong answer.
    pub text: Vec<(String, bool)>,
    /// Characters that are not shown.
    pub left: usize,
    pub lang: Lang,
    pub label: &'a str,
    pub predicted: &'a str,
    pub confidence: f64,
    pub probability_of_label: f64,
    pub path: Path,
    /// The terms that misled, with their weights.
    pub terms: Vec<(String, f32)>,
}

/// The most confident wrong answers.
pub fn worst(predictions: &[Prediction]) -> Vec<Wrong<'_>> {
    let mut wrong: Vec<&Prediction> = predictions.iter().filter(|p| !p.right()).collect();
    wrong.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
    let rows = wrong.into_iter().take(WORST).map(|p| {
        let (text, left) = cut(&p.text, TEXT);
        let text = marked(&text, p.evidence.iter().map(|e| e.term.as_str()));
        let terms = p.evidence.iter().map(|e| (short(&e.term, TERM), e.weight)).collect();
        let (confidence, probability_of_label) = (p.confidence, p.probability_of_label);
        Wrong { text, left, lang: p.lang, label: &p.label, predicted: &p.predicted, confidence, probability_of_label, path: p.path, terms }
    });
    rows.collect()
}

/// Cuts a text where terms stand in it. Terms come normalised: case is ignored, a pair of words that does not stand side by side is looked for
/// word by word, and `_` stands for the edge of a word.
fn marked<'a>(text: &str, terms: impl Iterator<Item = &'a str>) -> Vec<(String, bool)> {
    let plain = text.to_ascii_lowercase();
    let mut hit = vec![false; plain.len()];
    for term in terms.map(|t| t.trim_matches('_').to_ascii_lowercase()) {
        let whole = plain.contains(&term);
        for word in if whole { vec![term.as_str()] } else { term.split_whitespace().collect() } {
            for start in places(&plain, word) {
                hit[start..start + word.len()].fill(true);
            }
        }
    }
    let mut pieces: Vec<(String, bool)> = Vec::new();
    for (at, c) in text.char_indices() {
        match pieces.last_mut() {
            Some((piece, marked)) if *marked == hit[at] => piece.push(c),
            _ => pieces.push((c.to_string(), hit[at])),
        }
    }
    pieces
}

/// Where a word stands on its own; where it never does, wherever it stands as a part of three letters or more.
fn places(text: &str, word: &str) -> Vec<usize> {
    if word.is_empty() {
        return Vec::new();
    }
    let latin = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    let edge = |at: usize| !latin(text[..at].chars().next_back()) || !latin(text[at..].chars().next());
    let (alone, inside): (Vec<usize>, Vec<usize>) =
        text.match_indices(word).map(|m| m.0).partition(|&at| edge(at) && edge(at + word.len()));
    match alone.is_empty() && word.chars().count() >= 3 {
        true => inside,
        false => alone,
    }
}

/// The confusion matrix as a table.
#[derive(Debug, Serialize)]
pub struct MatrixView<'a> {
    pub labels: Vec<&'a str>,
    pub rows: Vec<MatrixRow<'a>>,
    /// Whether some labels are left out: predictions as them are in each row's `others`.
    pub part: bool,
}

#[derive(Debug, Serialize)]
pub struct MatrixRow<'a> {
    pub label: &'a str,
    pub n: usize,
    /// (rows, shade) by column: `r1` to `r5` on the diagonal, `w1` to `w5` off it, by the share of the row.
    pub cells: Vec<Option<(usize, String)>>,
    pub others: usize,
}

impl<'a> MatrixView<'a> {
    pub fn whole(matrix: &'a Matrix) -> Self {
        Self::of(matrix, &(0..matrix.labels.len()).collect::<Vec<_>>())
    }

    /// The labels with the most confusions in row and column; as many as are readable at once.
    pub fn gist(matrix: &'a Matrix) -> Self {
        let mut confused = vec![0usize; matrix.labels.len()];
        for (label, predicted, n, _) in matrix.confusions() {
            confused[label] += n;
            confused[predicted] += n;
        }
        let mut chosen: Vec<usize> = (0..confused.len()).filter(|&i| confused[i] > 0).collect();
        chosen.sort_by_key(|&i| (std::cmp::Reverse(confused[i]), i));
        chosen.truncate(SMALL);
        chosen.sort_unstable();
        Self::of(matrix, &chosen)
    }

    fn of(matrix: &'a Matrix, chosen: &[usize]) -> Self {
        let rows_of = rows_of(matrix);
        let place = |label: usize| chosen.binary_search(&label).ok();
        let mut rows: Vec<MatrixRow<'a>> = chosen
            .iter()
            .map(|&i| MatrixRow { label: &matrix.labels[i], n: rows_of[i], cells: vec![None; chosen.len()], others: 0 })
            .collect();
        for &(label, predicted, n, _) in &matrix.cells {
            let Some(row) = place(label) else { continue };
            let Some(column) = place(predicted) else {
                rows[row].others += n;
                continue;
            };
            // A wrong fifth is much: errors reach the full shade at half a row.
            let (hue, strength) = if label == predicted { ('r', 1.0) } else { ('w', 2.0) };
            let shade = (strength * SHADES * n as f64 / rows[row].n as f64).ceil().min(SHADES);
            rows[row].cells[column] = Some((n, format!("{hue}{shade}")));
        }
        let labels = chosen.iter().map(|&i| matrix.labels[i].as_str()).collect();
        MatrixView { labels, rows, part: chosen.len() < matrix.labels.len() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Evidence;
    use crate::eval::prediction::samples::prediction;

    fn pieces(text: &str, terms: &[&str]) -> String {
        let pieces = marked(text, terms.iter().copied());
        pieces.into_iter().map(|(piece, hit)| if hit { format!("[{piece}]") } else { piece }).collect()
    }

    #[test]
    fn terms_are_marked_where_they_stand() {
        assert_eq!(pieces("What is the Shipping fee? I wait", &["shipping fee", "i"]), "What is the [Shipping fee]? [I] wait");
        assert_eq!(pieces("退款要多久,退款呢", &["退款", "多久"]), "[退款]要[多久],[退款]呢");
        assert_eq!(pieces("fee for shipping", &["shipping fee"]), "[fee] for [shipping]");
        assert_eq!(pieces("refunded again", &["_refu", "it", "ai"]), "[refu]nded again");
        assert_eq!(pieces("ab 退款", &["", "_", "退款款"]), "ab 退款");
        assert_eq!(pieces("", &["a"]), "");
    }

    #[test]
    fn the_worst_errors_are_the_most_confident() {
        let mislead = |p: Prediction| Prediction { evidence: vec![Evidence { term: "fee".into(), weight: 2.0 }], ..p };
        let rows = [
            prediction("small", "a", "b", 0.3),
            mislead(prediction(&format!("fee {}", "x".repeat(10_000)), "a", "b", 0.9)),
            prediction("right", "a", "a", 1.0),
        ];
        let found = worst(&rows);
        assert_eq!(found.iter().map(|w| w.confidence).collect::<Vec<_>>(), [0.9, 0.3]);
        assert_eq!((found[0].text[0].0.as_str(), found[0].text[0].1, found[0].left), ("fee", true, 10_004 - TEXT));
        assert_eq!(found[0].terms, [("fee".to_owned(), 2.0)]);
    }

    #[test]
    fn a_large_matrix_shows_its_confusions_and_loses_no_row() {
        let labels: Vec<String> = (0..60).map(|i| format!("label_{i:02}")).collect();
        let mut cells: Vec<_> = (0..60).map(|i| (i, i, 10, i)).collect();
        cells.extend((0..40).map(|i| (i, 59 - i, 1 + i / 2, 0)));
        cells.sort_unstable();
        let matrix = Matrix { labels, cells };
        let gist = MatrixView::gist(&matrix);
        assert!(gist.part && gist.rows.len() == SMALL && gist.labels.len() == SMALL);
        for row in &gist.rows {
            let shown: usize = row.cells.iter().flatten().map(|c| c.0).sum();
            assert_eq!(shown + row.others, row.n, "{}", row.label);
        }
        let whole = MatrixView::whole(&matrix);
        assert!(!whole.part && whole.rows.len() == 60 && whole.rows.iter().all(|r| r.others == 0));
        // 10 of 11 rows are right, 1 of 11 wrong.
        assert_eq!(whole.rows[0].cells[0], Some((10, "r5".into())));
        assert_eq!(whole.rows[0].cells[59], Some((1, "w1".into())));
        // 20 of 30 would be four shades, were it right.
        assert_eq!(whole.rows[39].cells[20], Some((20, "w5".into())));
    }

    #[test]
    fn frequent_confusions_come_with_an_example() {
        let rows = [prediction("one", "a", "b", 0.5), prediction("two", "a", "b", 0.5), prediction("three", "b", "a", 0.5)];
        let header = super::super::Header {
            model: String::new(),
            data: String::new(),
            date: String::new(),
            thresholds: vec![],
            labels: vec!["a".into(), "b".into()],
        };
        let metrics = Metrics::of(&header, &rows);
        let found = frequent(&metrics, &rows);
        let seen: Vec<_> = found.iter().map(|c| (c.label, c.predicted, c.n, c.of, c.example.as_str())).collect();
        assert_eq!(seen, [("a", "b", 2, 2, "one"), ("b", "a", 1, 1, "three")]);
    }
}
