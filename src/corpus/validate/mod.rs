//! Is a corpus fit to train and measure on?

mod encoding;
mod labelled;
mod shipped;

use std::collections::BTreeMap;

use super::Place;

pub use labelled::validate_labelled;
pub use shipped::{
    validate_alike, validate_catalogue, validate_intents, validate_knowledge, validate_replies, validate_tagged, validate_tickets,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Warning,
    Error,
}

impl Severity {
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Warning => "warning",
            Severity::Error => "error",
        }
    }
}

/// What can be wrong, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A rule of the shipped corpora.
    Corpus,
    /// A line that is no row.
    Schema,
    EmptyText,
    UnknownLabel,
    /// One text in two files: what is measured was learnt.
    Leak,
    TwoLabels,
    Repeated,
    NearLeak,
    NearTwoLabels,
    LookAlikeLabels,
    SingleExample,
    EmptyClass,
    OneFileOnly,
    Imbalance,
    Language,
    Encoding,
    LongText,
}

impl Kind {
    /// Its name for programs.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Corpus => "corpus",
            Kind::Schema => "schema",
            Kind::EmptyText => "empty_text",
            Kind::UnknownLabel => "unknown_label",
            Kind::Leak => "leak",
            Kind::TwoLabels => "two_labels",
            Kind::Repeated => "repeated",
            Kind::NearLeak => "near_leak",
            Kind::NearTwoLabels => "near_two_labels",
            Kind::LookAlikeLabels => "look_alike_labels",
            Kind::SingleExample => "single_example",
            Kind::EmptyClass => "empty_class",
            Kind::OneFileOnly => "one_file_only",
            Kind::Imbalance => "imbalance",
            Kind::Language => "language",
            Kind::Encoding => "encoding",
            Kind::LongText => "long_text",
        }
    }

    /// Errors make training or measuring wrong; warnings may have their reasons.
    pub fn severity(self) -> Severity {
        match self {
            Kind::Corpus | Kind::Schema | Kind::EmptyText | Kind::UnknownLabel | Kind::Leak => Severity::Error,
            _ => Severity::Warning,
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    pub severity: Severity,
    pub kind: Kind,
    /// Where, for what is wrong with a row.
    pub place: Option<Place>,
    pub message: String,
}

/// What validation found, and the counts behind it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    pub findings: Vec<Finding>,
    /// Findings that are counted only, by kind, since as many are listed as one can read.
    pub more: BTreeMap<Kind, usize>,
    /// Split or file to number of rows.
    pub sizes: BTreeMap<String, usize>,
    /// What was not looked at, and why.
    pub notes: Vec<String>,
}

impl Report {
    /// Findings of a severity, those that are counted only included.
    pub fn count(&self, severity: Severity) -> usize {
        let listed = self.findings.iter().filter(|f| f.severity == severity).count();
        listed + self.more.iter().filter(|(kind, _)| kind.severity() == severity).map(|(_, n)| n).sum::<usize>()
    }

    pub fn errors(&self) -> usize {
        self.count(Severity::Error)
    }

    pub fn warnings(&self) -> usize {
        self.count(Severity::Warning)
    }

    fn error(&mut self, message: String) {
        self.findings.push(Finding { severity: Severity::Error, kind: Kind::Corpus, place: None, message });
    }

    fn warning(&mut self, message: String) {
        self.findings.push(Finding { severity: Severity::Warning, kind: Kind::Corpus, place: None, message });
    }

    /// Lists a finding, or counts it where `cap` of its kind are listed.
    fn find(&mut self, cap: usize, kind: Kind, place: Option<Place>, message: impl FnOnce() -> String) {
        if self.findings.iter().filter(|f| f.kind == kind).count() < cap {
            self.findings.push(Finding { severity: kind.severity(), kind, place, message: message() });
        } else {
            *self.more.entry(kind).or_default() += 1;
        }
    }
}
