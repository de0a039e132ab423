//! Numbers and foreign text as people read them, the same in every report.

/// `0.7131` as `71.3 %`.
pub fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

/// A difference of two shares in percentage points: `2.1`, `-0.4`.
pub fn points(difference: f64) -> String {
    let text = format!("{:.1}", 100.0 * difference);
    if text == "-0.0" { "0.0".to_owned() } else { text }
}

/// `1360` as `1,360`.
pub fn thousands(n: usize) -> String {
    let digits = n.to_string();
    let groups: Vec<&str> = digits.as_bytes().rchunks(3).rev().map(|g| std::str::from_utf8(g).unwrap_or_default()).collect();
    groups.join(",")
}

/// `p = 0.012`, `p < 0.001`.
pub fn p_value(p: f64) -> String {
    match p {
        p if p < 0.001 => "p < 0.001".to_owned(),
        p if p < 0.1 => format!("p = {p:.3}"),
        p => format!("p = {p:.2}"),
    }
}

/// Characters that are rather shown than counted.
const SPARED: usize = 20;

/// The first `most` characters of a text on one line, and how many were left off; a few more are shown where that spares the cut. Control
/// characters are gone, and with them any that turn the direction of what follows.
pub fn cut(text: &str, most: usize) -> (String, usize) {
    let steers =
        |c: char| matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
    let plain: String = text.chars().filter(|&c| c.is_whitespace() || !(c.is_control() || steers(c))).collect();
    let line = plain.split_whitespace().collect::<Vec<_>>().join(" ");
    let left = line.chars().count().saturating_sub(most);
    if left <= SPARED {
        return (line, 0);
    }
    (line.chars().take(most).collect(), left)
}

/// As `cut`, in one text that says how much is missing.
pub fn short(text: &str, most: usize) -> String {
    match cut(text, most) {
        (shown, 0) => shown,
        (shown, left) => format!("{shown}… (+{} characters)", thousands(left)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_rounded() {
        assert_eq!([0, 12, 999, 1000, 1_234_567].map(thousands), ["0", "12", "999", "1,000", "1,234,567"]);
        assert_eq!((percent(0.71309), points(-0.0004), points(0.0213)), ("71.3 %".into(), "0.0".into(), "2.1".into()));
        assert_eq!([0.0, 0.0123, 0.523].map(p_value), ["p < 0.001", "p = 0.012", "p = 0.52"]);
    }

    #[test]
    fn foreign_text_is_one_line_of_bounded_length_without_controls() {
        assert_eq!(short(" 退款\r\n\t多久\u{202e}\u{0} ", 80), "退款 多久");
        assert_eq!(short(&"长".repeat(10_000), 3), "长长长… (+9,997 characters)");
        assert_eq!(cut(&"长".repeat(23), 3).1, 0);
        assert_eq!(cut(&"长".repeat(24), 3), ("长长长".to_owned(), 21));
        assert_eq!(cut("\u{1f469}\u{200d}\u{1f4bb}", 3), ("\u{1f469}\u{200d}\u{1f4bb}".to_owned(), 0), "joined emoji stay joined");
    }
}
