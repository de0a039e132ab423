//! Are the messages still those that the classifier was trained for?
//!
//! Each figure has two limits and a value that chance alone reaches in one case of twenty at these numbers of messages: below the
//! first limit, or below chance, it is stable; below the second, to be watched; above, drifted. Under [`ENOUGH`] messages nothing is
//! judged. The limits are conventions. Those of the population stability index are the usual ones of credit scoring (Siddiqi, 2006,
//! "Credit Risk Scorecards"); the others are round figures. By them the project's own 1,316 validation messages are stable against its
//! training messages in everything but the length of the Chinese ones, which is to be watched (0.102).

mod markdown;

use std::collections::BTreeMap;

use rayon::prelude::*;
use rustc_hash::FxHashMap;
use serde::Serialize;
use statrs::distribution::{ChiSquared, ContinuousCDF};

use crate::domain::Lang;
use crate::numeric::dot;
use crate::text::{FeatureConfig, Features, for_each_feature};

/// Messages from which on a figure is judged.
pub const ENOUGH: usize = 100;

/// Stable below the first, drifted from the second on.
pub const MIX_LIMITS: [f64; 2] = [0.1, 0.25];
pub const UNSEEN_LIMITS: [f64; 2] = [0.05, 0.1];
pub const KS_LIMITS: [f64; 2] = [0.1, 0.2];

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DriftVerdict {
    /// Not enough messages to tell.
    TooFew,
    Stable,
    Watch,
    Drifted,
}

impl DriftVerdict {
    /// `messages`: of the smaller side.
    fn of(value: f64, limits: [f64; 2], chance: f64, messages: usize) -> Self {
        match value {
            _ if messages < ENOUGH => DriftVerdict::TooFew,
            v if v < limits[0].max(chance) => DriftVerdict::Stable,
            v if v < limits[1].max(chance) => DriftVerdict::Watch,
            _ => DriftVerdict::Drifted,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            DriftVerdict::TooFew => "too few messages",
            DriftVerdict::Stable => "stable",
            DriftVerdict::Watch => "watch",
            DriftVerdict::Drifted => "drifted",
        }
    }
}

/// What a set of messages looks like. Messages are added one by one; of their texts only words are kept.
#[derive(Debug, Default)]
pub struct Profile {
    pub messages: usize,
    labels: BTreeMap<String, usize>,
    langs: BTreeMap<Lang, usize>,
    /// Characters of each message.
    lengths: BTreeMap<Lang, Vec<f64>>,
    confidences: Vec<f64>,
    words: FxHashMap<Box<str>, Word>,
    /// Words in all messages, with repetitions.
    tokens: usize,
    scratch: Features,
}

#[derive(Debug, Default, Clone, Copy)]
struct Word {
    tokens: usize,
    messages: usize,
    /// Number of the last message that held it.
    last: usize,
}

/// Words alone.
const WORDS: FeatureConfig =
    FeatureConfig { word_pairs: false, han_ngram_min: 1, han_ngram_max: 0, latin_ngram_min: 1, latin_ngram_max: 0 };

/// Calls `f` with each word of a normalised text, digits folded, without marks, numbers and identifiers.
pub fn for_each_word(scratch: &mut Features, normalized: &str, f: &mut impl FnMut(&str)) {
    for_each_feature(scratch, &WORDS, normalized, &mut |feature| {
        if let Some(word) = feature.strip_prefix("w:").filter(|w| w.chars().any(char::is_alphabetic)) {
            f(word);
        }
    });
}

impl Profile {
    /// Adds a message: its normalised text, its label, and the classifier's confidence where it is the classifier's label.
    pub fn add(&mut self, normalized: &str, lang: Lang, label: &str, confidence: Option<f64>) {
        self.messages += 1;
        match self.labels.get_mut(label) {
            Some(n) => *n += 1,
            None => _ = self.labels.insert(label.to_owned(), 1),
        }
        *self.langs.entry(lang).or_default() += 1;
        self.lengths.entry(lang).or_default().push(normalized.chars().count() as f64);
        self.confidences.extend(confidence);
        let Profile { messages, words, tokens, scratch, .. } = self;
        for_each_word(scratch, normalized, &mut |word| {
            *tokens += 1;
            if !words.contains_key(word) {
                words.insert(word.into(), Word::default());
            }
            if let Some(known) = words.get_mut(word) {
                known.tokens += 1;
                known.messages += usize::from(known.last != *messages);
                known.last = *messages;
            }
        });
    }

    /// Share of the words of a message that no other message of this set holds, over all messages: what is unseen by chance.
    fn unseen_by_others(&self) -> f64 {
        let once: usize = self.words.values().filter(|w| w.messages == 1).map(|w| w.tokens).sum();
        once as f64 / self.tokens.max(1) as f64
    }
}

/// Whether the shares of kinds changed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MixDrift {
    pub verdict: DriftVerdict,
    /// Population stability index; half a message is added to every kind.
    pub psi: f64,
    /// What the index reaches by chance in one case of twenty.
    pub psi_by_chance: f64,
    /// Jensen-Shannon distance with logarithms to base 2, in [0, 1].
    pub jensen_shannon: f64,
    /// By what they add to the index, largest first.
    pub kinds: Vec<KindShare>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KindShare {
    pub kind: String,
    pub before: f64,
    pub now: f64,
    pub psi: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VocabularyDrift {
    pub verdict: DriftVerdict,
    /// Share of the words that no training message holds.
    pub unseen: f64,
    /// The same of a training message against the others.
    pub unseen_by_chance: f64,
    /// Unseen words and how many messages hold them, most frequent first.
    pub new_terms: Vec<(String, usize)>,
}

/// Whether a number's distribution changed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NumberDrift {
    pub verdict: DriftVerdict,
    pub mean_before: f64,
    pub mean_now: f64,
    /// Largest distance between the two distribution functions (Kolmogorov-Smirnov), in [0, 1].
    pub ks: f64,
    pub ks_by_chance: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ConfidenceDrift {
    #[serde(flatten)]
    pub number: NumberDrift,
    /// The probability that the policy asks of an intent, and the shares of messages below it.
    pub threshold: Option<f64>,
    pub below_before: Option<f64>,
    pub below_now: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EmbeddingDrift {
    /// Of the similarity to the nearest training message; before: of a training message to the nearest other one.
    #[serde(flatten)]
    pub nearest: NumberDrift,
    /// Cosine distance between the mean vectors, and what it is on the average by chance.
    pub mean_distance: f64,
    pub mean_distance_by_chance: f64,
    /// Messages that were encoded, of those recorded and of those trained on.
    pub encoded: [usize; 2],
}

/// Everything, held against the training data.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DriftReport {
    /// The worst of all.
    pub verdict: DriftVerdict,
    pub messages: usize,
    pub training_messages: usize,
    pub labels: MixDrift,
    pub languages: MixDrift,
    pub vocabulary: VocabularyDrift,
    pub lengths: BTreeMap<Lang, NumberDrift>,
    /// Absent without validation messages.
    pub confidence: Option<ConfidenceDrift>,
    /// Absent without the encoder.
    pub embedding: Option<EmbeddingDrift>,
    /// What could not be measured, and why.
    pub skipped: Vec<String>,
}

/// What only a model can tell, where there is one.
#[derive(Debug, Default)]
pub struct Measured {
    /// The classifier's confidences on validation messages.
    pub validation: Option<Vec<f64>>,
    pub threshold: Option<f64>,
    pub embedding: Option<EmbeddingDrift>,
    pub skipped: Vec<String>,
}

/// Holds recorded messages against the training data.
pub fn drift(training: &Profile, now: &Profile, measured: Measured) -> DriftReport {
    let labels = mix(&training.labels, &now.labels);
    let named = |langs: &BTreeMap<Lang, usize>| langs.iter().map(|(lang, n)| (lang.to_string(), *n)).collect::<BTreeMap<_, _>>();
    let languages = mix(&named(&training.langs), &named(&now.langs));
    let vocabulary = vocabulary(training, now);
    let lengths = Lang::ALL.into_iter().filter_map(|lang| Some((lang, number(training.lengths.get(&lang)?, now.lengths.get(&lang)?))));
    let lengths: BTreeMap<Lang, NumberDrift> = lengths.collect();
    let confidence = measured.validation.map(|before| ConfidenceDrift {
        threshold: measured.threshold,
        below_before: measured.threshold.map(|t| below(&before, t)),
        below_now: measured.threshold.map(|t| below(&now.confidences, t)),
        number: number(&before, &now.confidences),
    });
    let verdicts = [labels.verdict, languages.verdict, vocabulary.verdict].into_iter().chain(lengths.values().map(|l| l.verdict));
    let verdicts =
        verdicts.chain(confidence.as_ref().map(|c| c.number.verdict)).chain(measured.embedding.as_ref().map(|e| e.nearest.verdict));
    DriftReport {
        verdict: verdicts.max().unwrap_or(DriftVerdict::TooFew),
        messages: now.messages,
        training_messages: training.messages,
        labels,
        languages,
        vocabulary,
        lengths,
        confidence,
        embedding: measured.embedding,
        skipped: measured.skipped,
    }
}

fn mix(before: &BTreeMap<String, usize>, now: &BTreeMap<String, usize>) -> MixDrift {
    let kinds: std::collections::BTreeSet<&String> = before.keys().chain(now.keys()).collect();
    let [n_before, n_now] = [before, now].map(|counts| counts.values().sum::<usize>());
    // Half a message more of each kind, so that one that was never seen has a logarithm.
    let share = |count: usize, all: usize| (count as f64 + 0.5) / (all as f64 + 0.5 * kinds.len() as f64);
    let raw = |count: usize, all: usize| count as f64 / all.max(1) as f64;
    let mut divergence = 0.0;
    let mut rows: Vec<KindShare> = Vec::with_capacity(kinds.len());
    for &kind in &kinds {
        let [b, n] = [before, now].map(|counts| counts.get(kind).copied().unwrap_or(0));
        let (p, q) = (share(b, n_before), share(n, n_now));
        rows.push(KindShare { kind: kind.clone(), before: raw(b, n_before), now: raw(n, n_now), psi: (q - p) * (q / p).ln() });
        let (p, q) = (raw(b, n_before), raw(n, n_now));
        let middle = (p + q) / 2.0;
        divergence += [p, q].into_iter().filter(|&x| x > 0.0).map(|x| x * (x / middle).log2() / 2.0).sum::<f64>();
    }
    rows.sort_by(|a, b| b.psi.total_cmp(&a.psi).then_with(|| a.kind.cmp(&b.kind)));
    let psi = rows.iter().map(|r| r.psi).sum();
    // Of two samples of one mix the index is (1/n + 1/m) times chi-squared (Yurdakul, 2018, "Statistical Properties of PSI").
    let chance = ChiSquared::new((kinds.len() as f64 - 1.0).max(1.0)).map_or(0.0, |chi| chi.inverse_cdf(0.95));
    let psi_by_chance = chance * (1.0 / n_before.max(1) as f64 + 1.0 / n_now.max(1) as f64);
    let verdict = DriftVerdict::of(psi, MIX_LIMITS, psi_by_chance, n_before.min(n_now));
    MixDrift { verdict, psi, psi_by_chance, jensen_shannon: divergence.clamp(0.0, 1.0).sqrt(), kinds: rows }
}

/// New terms that are listed, and the messages that one must stand in.
const NEW_TERMS: usize = 20;
const FREQUENT: usize = 3;

fn vocabulary(training: &Profile, now: &Profile) -> VocabularyDrift {
    let unseen: Vec<(&str, Word)> =
        now.words.iter().filter(|(word, _)| !training.words.contains_key(*word)).map(|(word, n)| (&**word, *n)).collect();
    let share = unseen.iter().map(|u| u.1.tokens).sum::<usize>() as f64 / now.tokens.max(1) as f64;
    let mut new_terms: Vec<(String, usize)> =
        unseen.into_iter().filter(|u| u.1.messages >= FREQUENT).map(|(word, n)| (word.to_owned(), n.messages)).collect();
    new_terms.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    new_terms.truncate(NEW_TERMS);
    let by_chance = training.unseen_by_others();
    let verdict = DriftVerdict::of(share - by_chance, UNSEEN_LIMITS, 0.0, training.messages.min(now.messages));
    VocabularyDrift { verdict, unseen: share, unseen_by_chance: by_chance, new_terms }
}

fn number(before: &[f64], now: &[f64]) -> NumberDrift {
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len().max(1) as f64;
    let (n, m) = (before.len().max(1) as f64, now.len().max(1) as f64);
    // The 5 % point of the distribution that Kolmogorov found, at these sizes.
    let ks_by_chance = 1.358 * ((n + m) / (n * m)).sqrt();
    let ks = kolmogorov_smirnov(before, now);
    let verdict = DriftVerdict::of(ks, KS_LIMITS, ks_by_chance, before.len().min(now.len()));
    NumberDrift { verdict, mean_before: mean(before), mean_now: mean(now), ks, ks_by_chance }
}

fn below(values: &[f64], threshold: f64) -> f64 {
    values.iter().filter(|v| **v < threshold).count() as f64 / values.len().max(1) as f64
}

/// The largest distance between the distribution functions of two samples.
fn kolmogorov_smirnov(a: &[f64], b: &[f64]) -> f64 {
    if a.is_empty() || b.is_empty() {
        return 0.0;
    }
    let sorted = |values: &[f64]| {
        let mut values = values.to_vec();
        values.sort_by(f64::total_cmp);
        values
    };
    let (a, b) = (sorted(a), sorted(b));
    let (mut i, mut j, mut largest) = (0, 0, 0.0f64);
    while i < a.len() && j < b.len() {
        // Ties are passed on both sides before the distance is taken.
        let at = a[i].min(b[j]);
        while i < a.len() && a[i] <= at {
            i += 1;
        }
        while j < b.len() && b[j] <= at {
            j += 1;
        }
        largest = largest.max((i as f64 / a.len() as f64 - j as f64 / b.len() as f64).abs());
    }
    largest
}

/// Holds the vectors of recorded messages against those of training messages; all of length 1. `None` where a side has none.
pub fn embedding_drift(training: &[Vec<f32>], now: &[Vec<f32>]) -> Option<EmbeddingDrift> {
    let dimension = training.first().and(now.first())?.len();
    let nearest = |vector: &[f32], but: Option<usize>| {
        let others = training.iter().enumerate().filter(|(i, _)| Some(*i) != but);
        others.map(|(_, t)| dot(vector, t)).fold(-1.0f32, f32::max)
    };
    let before: Vec<f64> = training.par_iter().enumerate().map(|(i, v)| f64::from(nearest(v, Some(i)))).collect();
    let after: Vec<f64> = now.par_iter().map(|v| f64::from(nearest(v, None))).collect();
    let mean = |vectors: &[Vec<f32>]| {
        let mut mean = vec![0.0f32; dimension];
        for vector in vectors {
            mean.iter_mut().zip(vector).for_each(|(m, v)| *m += v / vectors.len() as f32);
        }
        mean
    };
    let (mean_before, mean_now) = (mean(training), mean(now));
    let length = |v: &[f32]| dot(v, v).sqrt().max(f32::MIN_POSITIVE);
    let cosine = dot(&mean_before, &mean_now) / (length(&mean_before) * length(&mean_now));
    // Half the variance of the difference of two means, over the square of their length: the angle between two samples' means.
    let square = f64::from(dot(&mean_before, &mean_before)).max(f64::MIN_POSITIVE);
    let chance = 0.5 * (1.0 / training.len() as f64 + 1.0 / now.len() as f64) * (1.0 - square).max(0.0) / square;
    Some(EmbeddingDrift {
        nearest: number(&before, &after),
        mean_distance: f64::from(1.0 - cosine).max(0.0),
        mean_distance_by_chance: chance,
        encoded: [now.len(), training.len()],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(pairs: &[(&str, usize)]) -> BTreeMap<String, usize> {
        pairs.iter().map(|(k, n)| ((*k).to_owned(), *n)).collect()
    }

    #[test]
    fn one_mix_is_stable_and_another_is_not() {
        let same = mix(&counts(&[("a", 500), ("b", 500)]), &counts(&[("a", 260), ("b", 240)]));
        assert_eq!(same.verdict, DriftVerdict::Stable);
        assert!(same.psi < 0.01 && same.jensen_shannon < 0.05, "{same:?}");
        let turned = mix(&counts(&[("a", 800), ("b", 200)]), &counts(&[("a", 200), ("b", 800)]));
        // (0.8 - 0.2) ln 4 twice, but for the half messages.
        assert!((turned.psi - 1.2 * 4f64.ln()).abs() < 0.01, "{turned:?}");
        assert_eq!(turned.verdict, DriftVerdict::Drifted);
        let new = mix(&counts(&[("a", 1000)]), &counts(&[("b", 1000)]));
        assert!((new.jensen_shannon - 1.0).abs() < 1e-9 && new.psi.is_finite());
        assert_eq!(new.kinds.len(), 2);
        assert_eq!(mix(&counts(&[("a", 1000)]), &counts(&[("b", 99)])).verdict, DriftVerdict::TooFew);
        assert_eq!(mix(&counts(&[]), &counts(&[])).verdict, DriftVerdict::TooFew);
    }

    #[test]
    fn many_kinds_and_few_messages_differ_by_chance() {
        // Forty kinds, 120 messages of one even mix: the index is large and means nothing.
        let before = (0..40).map(|i| (format!("k{i}"), 100)).collect();
        let now = (0..40).map(|i| (format!("k{i}"), [1, 1, 3, 5, 5][i % 5])).collect();
        let found = mix(&before, &now);
        assert!(found.psi > 0.25 && found.verdict == DriftVerdict::Stable, "{found:?}");
    }

    #[test]
    fn distances_of_distributions() {
        assert_eq!(kolmogorov_smirnov(&[1.0, 2.0, 3.0], &[1.0, 2.0, 3.0]), 0.0);
        assert_eq!(kolmogorov_smirnov(&[1.0, 2.0], &[3.0, 4.0]), 1.0);
        assert!((kolmogorov_smirnov(&[1.0, 2.0, 3.0, 4.0], &[3.0, 4.0, 5.0, 6.0]) - 0.5).abs() < 1e-12);
        assert_eq!(kolmogorov_smirnov(&[], &[1.0]), 0.0);
        let before: Vec<f64> = (0..400).map(|i| f64::from(i % 100)).collect();
        let shifted: Vec<f64> = before.iter().map(|v| v + 30.0).collect();
        assert_eq!(number(&before, &shifted).verdict, DriftVerdict::Drifted);
        assert_eq!(number(&before, &before[..200]).verdict, DriftVerdict::Stable);
        assert_eq!(number(&before, &shifted[..50]).verdict, DriftVerdict::TooFew);
    }

    fn profile(texts: &[&str], times: usize, label: &str, confidence: f64) -> Profile {
        let mut profile = Profile::default();
        for text in texts.iter().cycle().take(texts.len() * times) {
            profile.add(text, Lang::En, label, Some(confidence));
        }
        profile
    }

    #[test]
    fn new_words_are_counted_and_listed() {
        let training = profile(&["where is my parcel", "my refund is late", "order 1234567890123 is late"], 50, "a", 0.9);
        assert_eq!(training.unseen_by_others(), 0.0);
        let now = profile(&["where is my xylophone", "my order 9999999999999 is late"], 60, "a", 0.9);
        let found = vocabulary(&training, &now);
        assert_eq!(found.new_terms, [("xylophone".to_owned(), 60)]);
        assert!((found.unseen - 1.0 / 8.0).abs() < 1e-9, "an order number is no word: {found:?}");
        assert_eq!(found.verdict, DriftVerdict::Drifted);
        let once = profile(&["only one of each"], 1, "a", 0.9);
        assert_eq!(once.unseen_by_others(), 1.0);
    }

    #[test]
    fn a_report_says_the_worst_and_what_was_not_measured() {
        let training = profile(&["where is my parcel", "my refund is late"], 100, "a", 0.9);
        let now = profile(&["where is my parcel", "my refund is late"], 60, "a", 0.4);
        let measured =
            |validation| Measured { validation, threshold: Some(0.7), embedding: None, skipped: vec!["vectors: no encoder".into()] };
        let quiet = drift(&training, &now, measured(None));
        assert_eq!((quiet.verdict, quiet.messages, quiet.confidence.as_ref()), (DriftVerdict::Stable, 120, None));
        assert!(quiet.markdown().contains("Not measured: vectors: no encoder."), "{}", quiet.markdown());
        let unsure = drift(&training, &now, measured(Some(vec![0.9; 200])));
        assert_eq!(unsure.verdict, DriftVerdict::Drifted);
        let confidence = unsure.confidence.as_ref().unwrap();
        assert_eq!((confidence.below_before, confidence.below_now), (Some(0.0), Some(1.0)));
        assert!(unsure.markdown().starts_with("# Drift: drifted"), "{}", unsure.markdown());
        let few = drift(&training, &profile(&["x"], 3, "a", 0.9), Measured::default());
        assert_eq!(few.verdict, DriftVerdict::TooFew);
        let none = drift(&Profile::default(), &Profile::default(), Measured::default());
        assert_eq!(none.verdict, DriftVerdict::TooFew);
        assert!(!none.markdown().contains("NaN"), "{}", none.markdown());
    }

    #[test]
    fn vectors_elsewhere_are_far_from_their_nearest() {
        // Points on two arcs.
        let arc =
            |from: f32, n: usize| (0..n).map(|i| (from + i as f32 * 1e-3).sin_cos()).map(|(y, x)| vec![x, y, 0.0]).collect::<Vec<_>>();
        let (training, same, elsewhere) = (arc(0.0, 300), arc(0.05, 150), arc(1.0, 150));
        let still = embedding_drift(&training, &same).unwrap();
        assert!(still.mean_distance < 1e-2 && still.nearest.mean_now > 0.999, "{still:?}");
        let gone = embedding_drift(&training, &elsewhere).unwrap();
        assert_eq!(gone.nearest.verdict, DriftVerdict::Drifted);
        assert!(gone.mean_distance > 0.3 && gone.mean_distance > 10.0 * gone.mean_distance_by_chance, "{gone:?}");
        assert_eq!(embedding_drift(&[], &same), None);
        assert_eq!(embedding_drift(&training, &[]), None);
    }
}
