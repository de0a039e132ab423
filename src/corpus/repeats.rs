//! Texts that come again, remembered in bounded memory.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;
use sha2::{Digest, Sha256};

use crate::text::normalize;

/// Texts that are remembered at most: a table of about 140 MB. Further ones are looked up, but not added.
const REMEMBERED: usize = 7 << 20;

/// Where a labelled text stands: numbers of file, line and label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Origin {
    pub file: u16,
    pub label: u16,
    pub line: u32,
}

impl Origin {
    pub fn new(file: usize, line: usize, label: u16) -> Self {
        Self { file: file.try_into().unwrap_or(u16::MAX), label, line: line.try_into().unwrap_or(u32::MAX) }
    }
}

/// The first origin of each text.
#[derive(Debug, Default)]
pub(super) struct Seen {
    origins: FxHashMap<u64, Origin>,
    /// More texts came than are remembered.
    pub full: bool,
}

impl Seen {
    /// Where a text that reads the same stood first; remembers it where it did not.
    pub fn meet(&mut self, text: &str, origin: Origin) -> Option<Origin> {
        let key = fingerprint(&normalize(text).text);
        if let Some(&first) = self.origins.get(&key) {
            return Some(first);
        }
        if self.origins.len() < REMEMBERED {
            self.origins.insert(key, origin);
        } else {
            self.full = true;
        }
        None
    }
}

/// 64 bits of the sha256: the same on every machine and with every compiler, and two of ten million texts meet with a chance of
/// three in a million.
pub(super) fn fingerprint(text: &str) -> u64 {
    Sha256::digest(text.as_bytes()).iter().take(8).fold(0, |key, &byte| (key << 8) | u64::from(byte))
}

/// Labels numbered in the order in which they come.
#[derive(Debug, Default)]
pub(super) struct Labels {
    numbers: FxHashMap<String, u16>,
    pub names: Vec<String>,
}

/// Labels that a corpus may have. A column of messages taken for labels has more soon.
pub(super) const MAX_LABELS: usize = 10_000;

impl Labels {
    /// The label's number, and whether it is new; `None` for one too many.
    pub fn number(&mut self, label: &str) -> Option<(u16, bool)> {
        if let Some(&number) = self.numbers.get(label) {
            return Some((number, false));
        }
        let number = u16::try_from(self.names.len()).ok().filter(|&n| usize::from(n) < MAX_LABELS)?;
        self.numbers.insert(label.to_owned(), number);
        self.names.push(label.to_owned());
        Some((number, true))
    }

    pub fn name(&self, number: u16) -> &str {
        self.names.get(usize::from(number)).map_or("", String::as_str)
    }

    /// Groups of labels that differ in case, width, spaces and marks only: `Refund` and `refund `.
    pub fn look_alikes(&self) -> Vec<Vec<&str>> {
        let mut groups: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for name in &self.names {
            let key: String = normalize(name).text.chars().filter(|c| c.is_alphanumeric()).collect();
            groups.entry(key).or_default().push(name);
        }
        groups.into_iter().filter(|(key, names)| !key.is_empty() && names.len() > 1).map(|(_, names)| names).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_reads_the_same_is_known_again() {
        let mut seen = Seen::default();
        let first = Origin::new(0, 3, 1);
        assert_eq!(seen.meet("Where is  my parcel", first), None);
        assert_eq!(seen.meet("where is my ｐａｒｃｅｌ ", Origin::new(1, 9, 2)), Some(first));
        assert_eq!(seen.meet("where is my parcel?", Origin::new(1, 9, 2)), None);
    }

    #[test]
    fn a_fingerprint_stays_what_it_is() {
        // Splits of earlier versions depend on it.
        assert_eq!(fingerprint(""), 0xe3b0_c442_98fc_1c14);
    }

    #[test]
    fn labels_are_numbered_bounded_and_compared() {
        let mut labels = Labels::default();
        for (label, expect) in
            [("Refund", (0, true)), ("退款", (1, true)), ("Refund", (0, false)), ("re-fund", (2, true)), ("?", (3, true))]
        {
            assert_eq!(labels.number(label), Some(expect));
        }
        assert_eq!(labels.look_alikes(), [["Refund", "re-fund"]]);
        for i in labels.names.len()..MAX_LABELS {
            assert!(labels.number(&i.to_string()).is_some());
        }
        assert_eq!((labels.number("one more"), labels.name(1)), (None, "退款"));
    }
}
