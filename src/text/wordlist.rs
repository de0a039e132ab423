//! A list of words to watch for, such as sensitive ones.

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

use super::normalize::normalize;

/// Finds any of many words in one pass, whatever their number.
#[derive(Debug, Clone)]
pub struct WordList {
    automaton: AhoCorasick,
    words: Vec<String>,
}

impl WordList {
    /// Words are normalised as messages are; empty ones are skipped.
    ///
    /// # Errors
    /// When the list is too large for one automaton (billions of characters).
    pub fn new<S: AsRef<str>>(words: impl IntoIterator<Item = S>) -> Result<Self, String> {
        let words: Vec<String> = words.into_iter().map(|w| normalize(w.as_ref()).text).filter(|w| !w.is_empty()).collect();
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .build(&words)
            .map_err(|e| e.to_string())?;
        Ok(WordList { automaton, words })
    }

    /// The first listed word that a normalised text holds. A word of Latin letters must stand alone: `sue` is not in `issue`.
    pub fn find(&self, normalized: &str) -> Option<&str> {
        self.automaton
            .find_iter(normalized)
            .find(|m| stands_alone(normalized, m.start(), m.end()))
            .map(|m| self.words[m.pattern()].as_str())
    }

    pub fn len(&self) -> usize {
        self.words.len()
    }

    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }
}

/// Whether neither end of a match cuts through a run of Latin letters.
fn stands_alone(text: &str, start: usize, end: usize) -> bool {
    let letter = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphabetic());
    let cuts = |left: Option<char>, right: Option<char>| letter(left) && letter(right);
    !cuts(text[..start].chars().next_back(), text[start..].chars().next())
        && !cuts(text[..end].chars().next_back(), text[end..].chars().next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_in_any_spelling_and_only_alone() {
        let list = WordList::new(["退款", "sue", "投訴", ""]).unwrap();
        assert_eq!(list.len(), 3);
        assert_eq!(list.find(&normalize("我要退 款还是投诉").text), Some("投诉"));
        assert_eq!(list.find(&normalize("I will SUE you").text), Some("sue"));
        assert_eq!(list.find(&normalize("an issue with pursue").text), None);
    }
}
