//! Charts as SVG. They hold numbers and fixed words only, never text from the data, so they need no escaping; colours are the classes
//! of the page's style sheet, so that they follow light and dark.

use std::fmt::Write as _;

use super::metrics::{AtThreshold, BINS, Bar, Bin};
use super::training::CurvePoint;
use crate::classify::RiskPoint;
use crate::eval::format::{percent, thousands};

const WIDTH: f64 = 400.0;
const HEIGHT: f64 = 350.0;

/// The plotting area inside the picture, and the values that its edges stand for.
struct Frame {
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
    x: (f64, f64),
    y: (f64, f64),
    svg: String,
}

impl Frame {
    fn new(title: &str, x: (f64, f64), y: (f64, f64)) -> Self {
        let svg = format!("<svg class=\"chart\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}\">\n");
        Frame { left: 48.0, right: WIDTH - 14.0, top: 30.0, bottom: HEIGHT - 48.0, x, y, svg }
    }

    fn x(&self, value: f64) -> f64 {
        self.left + (value - self.x.0) / (self.x.1 - self.x.0) * (self.right - self.left)
    }

    fn y(&self, value: f64) -> f64 {
        self.bottom - (value - self.y.0) / (self.y.1 - self.y.0) * (self.bottom - self.top)
    }

    fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        let _ =
            writeln!(self.svg, "<line class=\"{class}\" x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\"/>", from.0, from.1, to.0, to.1);
    }

    /// A box with a note for who points at it.
    fn rect(&mut self, class: &str, (left, top): (f64, f64), (right, bottom): (f64, f64), note: &str) {
        let (width, height) = ((right - left).max(0.0), (bottom - top).max(0.0));
        let _ = writeln!(
            self.svg,
            "<rect class=\"{class}\" x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"><title>{note}</title></rect>"
        );
    }

    fn dot(&mut self, class: &str, (x, y): (f64, f64), radius: f64, note: &str) {
        let _ = writeln!(self.svg, "<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\"><title>{note}</title></circle>");
    }

    fn text(&mut self, class: &str, (x, y): (f64, f64), text: &str) {
        let _ = writeln!(self.svg, "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{text}</text>");
    }

    fn polyline(&mut self, class: &str, points: impl Iterator<Item = (f64, f64)>) {
        let points: Vec<String> = points.map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let _ = writeln!(self.svg, "<polyline class=\"{class}\" points=\"{}\"/>", points.join(" "));
    }

    fn polygon(&mut self, class: &str, points: impl Iterator<Item = (f64, f64)>) {
        let points: Vec<String> = points.map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let _ = writeln!(self.svg, "<polygon class=\"{class}\" points=\"{}\"/>", points.join(" "));
    }

    fn x_ticks(&mut self, ticks: &[f64], name: &str, say: impl Fn(f64) -> String) {
        for &tick in ticks {
            self.text("tick middle", (self.x(tick), self.bottom + 16.0), &say(tick));
        }
        self.text("name middle", ((self.left + self.right) / 2.0, self.bottom + 38.0), name);
    }

    fn y_ticks(&mut self, ticks: &[f64], name: &str, say: impl Fn(f64) -> String) {
        self.text("name", (4.0, 12.0), name);
        for &tick in ticks {
            let y = self.y(tick);
            self.line("grid", (self.left, y), (self.right, y));
            self.text("tick end", (self.left - 7.0, y + 4.0), &say(tick));
        }
    }

    fn done(mut self) -> String {
        self.svg += "</svg>";
        self.svg
    }
}

fn whole_percent(share: f64) -> String {
    format!("{:.0}", 100.0 * share)
}

const QUARTERS: [f64; 5] = [0.0, 0.25, 0.5, 0.75, 1.0];

/// Round ticks from 0 that cover `most`: steps of 1, 2 or 5 times a power of ten, three to six of them.
fn ticks_to(most: f64) -> Vec<f64> {
    let most = if most > 0.0 { most } else { 1.0 };
    let unit = 10f64.powf((most / 4.0).log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|m| m * unit).into_iter().find(|s| most / s <= 5.0).unwrap_or(10.0 * unit);
    (0..=(most / step).ceil() as usize).map(|i| i as f64 * step).collect()
}

/// Accuracy of each bin of confidence with its 95 % interval; how many rows a bin holds stands below. On the diagonal, probabilities are
/// honest.
pub fn reliability_svg(bins: &[Bin]) -> String {
    let mut f = Frame::new("Accuracy against confidence", (0.0, 1.0), (0.0, 1.0));
    // The rows of each bin, as bars under the plot.
    let strip = 44.0;
    f.bottom -= strip + 8.0;
    f.y_ticks(&QUARTERS, "accuracy, %", whole_percent);
    let most = bins.iter().map(|b| b.n).max().unwrap_or(0).max(1) as f64;
    f.line("diagonal", (f.x(0.0), f.y(0.0)), (f.x(1.0), f.y(1.0)));
    for bin in bins {
        let (Some(confidence), Some(accuracy), Some(interval)) = (bin.confidence, bin.accuracy, bin.interval) else { continue };
        let (left, right) = (f.x(bin.from) + 1.0, f.x(bin.to) - 1.0);
        let base = f.bottom + 8.0 + strip;
        let note = format!(
            "confidence {}, accuracy {} ({} to {}), n = {}",
            percent(confidence),
            percent(accuracy),
            percent(interval.low),
            percent(interval.high),
            thousands(bin.n)
        );
        f.rect("rows", (left, base - (strip - 14.0) * bin.n as f64 / most), (right, base), &note);
        f.text("count middle", ((left + right) / 2.0, base - (strip - 14.0) * bin.n as f64 / most - 3.0), &compact(bin.n));
        let x = f.x(confidence);
        f.line("whisker", (x, f.y(interval.low)), (x, f.y(interval.high)));
        f.dot("dot", (x, f.y(accuracy)), 4.0, &note);
    }
    f.bottom += strip + 8.0;
    f.line("axis", (f.left, f.bottom), (f.right, f.bottom));
    f.x_ticks(&QUARTERS, "confidence, %", whole_percent);
    f.done()
}

/// `1234` as `1.2k`, to fit a narrow bar.
fn compact(n: usize) -> String {
    match n {
        0..1000 => n.to_string(),
        1000..10_000 => format!("{:.1}k", n as f64 / 1e3),
        10_000..1_000_000 => format!("{}k", n / 1000),
        _ => format!("{:.1}M", n as f64 / 1e6),
    }
}

/// Right answers above the line, wrong ones below it, by confidence.
pub fn histogram_svg(bars: &[Bar]) -> String {
    let most = |of: &dyn Fn(&Bar) -> usize| bars.iter().map(of).max().unwrap_or(0) as f64;
    // At least 4: rows come whole.
    let up = ticks_to(most(&|b| b.right).max(most(&|b| b.wrong)).max(4.0));
    let top = up.last().copied().unwrap_or(1.0);
    let step = up.get(1).copied().unwrap_or(1.0);
    let down: Vec<f64> = (1..=(most(&|b| b.wrong) / step).ceil() as usize).map(|i| -(i as f64) * step).collect();
    let mut f = Frame::new("Right and wrong answers by confidence", (0.0, 1.0), (down.last().copied().unwrap_or(0.0), top));
    f.y_ticks(&[down, up].concat(), "messages", |v| compact(v.abs() as usize));
    for bar in bars {
        let (left, right) = (f.x(bar.from) + 1.0, f.x(bar.to) - 1.0);
        let note = |n: usize, word: &str| {
            format!("confidence {} to {} %: {} {word}", whole_percent(bar.from), whole_percent(bar.to), thousands(n))
        };
        let zero = f.y(0.0);
        if bar.right > 0 {
            f.rect("right", (left, f.y(bar.right as f64)), (right, zero), &note(bar.right, "right"));
        }
        if bar.wrong > 0 {
            f.rect("wrong", (left, zero), (right, f.y(-(bar.wrong as f64))), &note(bar.wrong, "wrong"));
        }
    }
    f.line("axis", (f.left, f.y(0.0)), (f.right, f.y(0.0)));
    f.x_ticks(&QUARTERS, "confidence, %", whole_percent);
    f.done()
}

/// Share of wrong answers when only the surest share of the messages is answered; the model's thresholds are marked.
pub fn risk_coverage_svg(curve: &[RiskPoint], thresholds: &[AtThreshold]) -> String {
    let ticks = ticks_to(curve.iter().map(|p| p.risk).fold(0.05, f64::max));
    let top = ticks.last().copied().unwrap_or(1.0);
    let mut f = Frame::new("Share of wrong answers against the share of messages answered", (0.0, 1.0), (0.0, top));
    f.y_ticks(&ticks, "wrong, %", |v| format!("{}", (1000.0 * v).round() / 10.0));
    let points: Vec<(f64, f64)> = curve.iter().map(|p| (f.x(p.coverage), f.y(p.risk))).collect();
    if let (Some(first), Some(last)) = (points.first(), points.last()) {
        let ends = [(last.0, f.bottom), (first.0, f.bottom)];
        f.polygon("area", points.iter().copied().chain(ends));
    }
    f.polyline("curve", points.into_iter());
    for t in thresholds {
        let (Some(precision), true) = (t.precision, t.answered > 0) else { continue };
        let at = (f.x(t.coverage), f.y(1.0 - precision));
        f.line("drop", (at.0, at.1), (at.0, f.bottom));
        let note = format!("threshold for {:.0} %: answers {}, {} wrong", 100.0 * t.goal, percent(t.coverage), percent(1.0 - precision));
        f.dot("mark", at, 4.5, &note);
        f.text("label middle", (at.0, at.1 - 10.0), &format!("{:.0} %", 100.0 * t.goal));
    }
    f.line("axis", (f.left, f.bottom), (f.right, f.bottom));
    f.x_ticks(&QUARTERS, "messages answered, %", whole_percent);
    f.done()
}

/// Accuracy with its interval against the number of training rows, which are told apart by ratio (a logarithmic axis).
pub fn learning_curve_svg(points: &[CurvePoint]) -> String {
    let rows = |p: &CurvePoint| (p.train_rows.max(1) as f64).log2();
    let ends = points.iter().map(rows).fold((f64::INFINITY, f64::NEG_INFINITY), |e, x| (e.0.min(x), e.1.max(x)));
    // One size alone stands in the middle.
    let ends = if ends.0 < ends.1 { ends } else { (ends.0.min(1e3) - 1.0, ends.0.min(1e3) + 1.0) };
    let low = points.iter().map(|p| p.interval.low.min(p.accuracy)).fold(1.0, f64::min);
    let high = points.iter().map(|p| p.interval.high.max(p.accuracy)).fold(0.0, f64::max);
    // Tenths that hold every interval.
    let (floor, ceiling) = ((10.0 * low).floor() as usize, ((10.0 * high).ceil() as usize).clamp(1, 10));
    let floor = floor.min(ceiling.saturating_sub(1));
    let margin = 0.06 * (ends.1 - ends.0);
    let mut f =
        Frame::new("Accuracy against training rows", (ends.0 - margin, ends.1 + margin), (floor as f64 / 10.0, ceiling as f64 / 10.0));
    f.y_ticks(&(floor..=ceiling).map(|t| t as f64 / 10.0).collect::<Vec<_>>(), "accuracy, %", whole_percent);
    let mut points = points.to_vec();
    points.sort_by_key(|p| p.train_rows);
    let low = points.iter().map(|p| (f.x(rows(p)), f.y(p.interval.low)));
    let high = points.iter().rev().map(|p| (f.x(rows(p)), f.y(p.interval.high)));
    let band: Vec<(f64, f64)> = low.chain(high).collect();
    f.polygon("area", band.into_iter());
    let line: Vec<(f64, f64)> = points.iter().map(|p| (f.x(rows(p)), f.y(p.accuracy))).collect();
    f.polyline("curve", line.into_iter());
    let mut said_until = f64::NEG_INFINITY;
    for p in &points {
        let x = f.x(rows(p));
        let note = format!(
            "{} training rows: accuracy {} ({} to {})",
            thousands(p.train_rows),
            percent(p.accuracy),
            percent(p.interval.low),
            percent(p.interval.high)
        );
        f.dot("dot", (x, f.y(p.accuracy)), 4.0, &note);
        // Numbers that would run into one another are left to the table.
        if x - said_until > 40.0 {
            f.text("tick middle", (x, f.bottom + 16.0), &thousands(p.train_rows));
            said_until = x;
        }
    }
    f.line("axis", (f.left, f.bottom), (f.right, f.bottom));
    f.x_ticks(&[], "training rows", |_| String::new());
    f.done()
}

const _: () = assert!(BINS <= 20, "the counts of more bins would not fit under the diagram");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::bootstrap::Interval;
    use crate::eval::report::metrics::wilson;

    /// Values of an attribute of the elements with a class.
    fn values(svg: &str, class: &str, attribute: &str) -> Vec<f64> {
        let elements = svg.lines().filter(|l| l.contains(&format!("class=\"{class}\"")));
        let value = |l: &str| l.split_once(&format!(" {attribute}=\"")).and_then(|(_, r)| r.split('"').next()?.parse().ok());
        elements.filter_map(value).collect()
    }

    #[test]
    fn ticks_are_round_and_cover_the_most() {
        assert_eq!(ticks_to(437.0), [0.0, 100.0, 200.0, 300.0, 400.0, 500.0]);
        assert_eq!(ticks_to(7.0), [0.0, 2.0, 4.0, 6.0, 8.0]);
        assert_eq!(ticks_to(0.0).len(), 6);
        for most in [0.011, 0.3, 1.0, 9.9, 10.0, 12.0, 99.0, 101.0, 4321.0] {
            let ticks = ticks_to(most);
            assert!((3..=7).contains(&ticks.len()) && *ticks.last().unwrap() >= most, "{most}: {ticks:?}");
        }
    }

    #[test]
    fn a_filled_bin_is_a_dot_at_its_means_with_its_count() {
        let empty = Bin { from: 0.0, to: 0.5, n: 0, confidence: None, accuracy: None, interval: None };
        let full = Bin { from: 0.5, to: 1.0, n: 1234, confidence: Some(0.75), accuracy: Some(0.5), interval: Some(wilson(617, 1234)) };
        let svg = reliability_svg(&[empty, full]);
        // From 48 to 386 across, from 30 to 250 down.
        assert_eq!((values(&svg, "dot", "cx"), values(&svg, "dot", "cy")), (vec![301.5], vec![140.0]));
        assert!(svg.contains(">1.2k<") && svg.contains("n = 1,234"), "{svg}");
        assert_eq!(values(&svg, "rows", "height"), [30.0]);
    }

    #[test]
    fn right_answers_stand_and_wrong_ones_hang() {
        let svg = histogram_svg(&[Bar { from: 0.0, to: 0.5, right: 0, wrong: 50 }, Bar { from: 0.5, to: 1.0, right: 100, wrong: 0 }]);
        let (right, wrong) = (values(&svg, "right", "height")[0], values(&svg, "wrong", "height")[0]);
        assert!((right - 2.0 * wrong).abs() < 0.2, "{right} {wrong}");
        assert!((values(&svg, "right", "y")[0] + right - values(&svg, "wrong", "y")[0]).abs() < 0.2, "they meet at the line");
    }

    #[test]
    fn empty_sets_draw_empty_charts() {
        for svg in [reliability_svg(&[]), histogram_svg(&[]), risk_coverage_svg(&[], &[]), learning_curve_svg(&[])] {
            assert!(svg.ends_with("</svg>") && !svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
    }

    #[test]
    fn the_learning_curve_rises_over_equal_steps_of_ratio() {
        let point =
            |train_rows, accuracy| CurvePoint { train_rows, accuracy, interval: Interval { low: accuracy - 0.05, high: accuracy + 0.05 } };
        let svg = learning_curve_svg(&[point(400, 0.7), point(100, 0.4), point(200, 0.6)]);
        let (x, y) = (values(&svg, "dot", "cx"), values(&svg, "dot", "cy"));
        assert!((x[1] - x[0] - (x[2] - x[1])).abs() < 0.2 && y[0] > y[1] && y[1] > y[2], "{x:?} {y:?}");
        assert!(!learning_curve_svg(&[point(100, 0.4)]).contains("NaN"));
    }
}
