//! Where a text holds the terms of a search, for people to see.

use super::Normalized;

/// The places of terms in a text, in code points of the original, in order; places that touch are one.
///
/// A term of Latin letters or digits counts where it stands as a word or begins one, so that `refund` marks `refunds` and `art` not `part`.
pub fn marks(text: &Normalized, terms: &[String]) -> Vec<(usize, usize)> {
    let mut places: Vec<(usize, usize)> = Vec::new();
    for term in terms.iter().filter(|t| !t.is_empty()) {
        let found = text.text.match_indices(term.as_str()).filter(|(at, _)| {
            let before = text.text[..*at].chars().next_back();
            !term.starts_with(|c: char| c.is_ascii_alphanumeric()) || !before.is_some_and(|c| c.is_ascii_alphanumeric())
        });
        places.extend(found.filter_map(|(at, _)| text.to_original(at..at + term.len())));
    }
    places.sort_unstable();
    let mut joined: Vec<(usize, usize)> = Vec::with_capacity(places.len());
    for (start, end) in places {
        match joined.last_mut() {
            Some(last) if start <= last.1 => last.1 = last.1.max(end),
            _ => joined.push((start, end)),
        }
    }
    joined
}

/// A window of at most `length` code points of a text that begins a little before its first mark, and the marks in it. `…` says that
/// something is left out.
pub fn excerpt(text: &str, marks: &[(usize, usize)], length: usize) -> (String, Vec<(usize, usize)>) {
    let chars: Vec<char> = text.chars().collect();
    if chars.len() <= length {
        return (text.to_owned(), marks.to_vec());
    }
    let first = marks.first().map_or(0, |m| m.0);
    let start = first.saturating_sub(length / 4).min(chars.len() - length);
    let (before, after) = (if start > 0 { "…" } else { "" }, if start + length < chars.len() { "…" } else { "" });
    let shift = before.chars().count();
    let window: String = chars[start..start + length].iter().collect();
    let inside = marks.iter().filter(|m| m.0 >= start && m.1 <= start + length);
    (format!("{before}{window}{after}"), inside.map(|m| (m.0 - start + shift, m.1 - start + shift)).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::text::{normalize, search_terms};

    fn marked(text: &str, query: &str) -> Vec<String> {
        let terms = search_terms(&normalize(query).text);
        let chars: Vec<char> = text.chars().collect();
        marks(&normalize(text), &terms).into_iter().map(|(a, b)| chars[a..b].iter().collect()).collect()
    }

    #[test]
    fn words_are_marked_in_the_original() {
        assert_eq!(marked("我要退款，退款！", "退款多久到账"), ["退款", "退款"]);
        assert_eq!(marked("Refunds for REFUND parts", "refund art"), ["Refund", "REFUND"]);
        assert_eq!(marked("ＲＥＦＵＮＤ 🦄 refund", "refund"), ["ＲＥＦＵＮＤ", "refund"]);
        assert!(marked("hello", "").is_empty());
    }

    #[test]
    fn an_excerpt_shows_the_first_mark() {
        let text = format!("{}退款在这里{}", "前".repeat(300), "后".repeat(300));
        let found = marks(&normalize(&text), &["退款".to_owned()]);
        let (window, inside) = excerpt(&text, &found, 100);
        let chars: Vec<char> = window.chars().collect();
        assert_eq!(chars.len(), 102);
        assert_eq!(chars[inside[0].0..inside[0].1].iter().collect::<String>(), "退款");
        assert_eq!(excerpt("短", &[(0, 1)], 100), ("短".to_owned(), vec![(0, 1)]));
    }

    proptest! {
        #[test]
        fn marks_lie_in_the_text_and_do_not_touch(text in "\\PC{0,60}", query in "\\PC{0,10}") {
            let terms = search_terms(&normalize(&query).text);
            let found = marks(&normalize(&text), &terms);
            let n = text.chars().count();
            prop_assert!(found.iter().all(|m| m.0 < m.1 && m.1 <= n));
            prop_assert!(found.windows(2).all(|w| w[0].1 < w[1].0));
            let (window, inside) = excerpt(&text, &found, 20);
            let n = window.chars().count();
            prop_assert!(n <= 22 && inside.iter().all(|m| m.1 <= n));
        }
    }
}
