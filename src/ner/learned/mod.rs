//! The learned tagger: the encoder's states of a message, read together with the shop's catalogue.
//!
//! A message is cut into [`units`]. Each takes the mean of its tokens' states (a branch of the encoder, tuned for this) and the rows of
//! its [`features`], among them what the catalogue, the lexicon and the patterns see around it; a small [`network`] joins them and its
//! neighbours, a [`crf`] picks the best sequence of [`tags`] and tells each span's probability. What a shop puts into its catalogue today
//! is seen at once, without training: the features know a name's type and place, not its words.
//!
//! This room knows no encoder: states come in as numbers, the branch is a file in the artefact.

mod artefact;
pub mod crf;
pub mod features;
pub mod network;
mod scores;
pub mod tags;
pub mod units;

use std::ops::Range;
use std::sync::Arc;

pub use artefact::{Meta, SHIPPED_CARD, SHIPPED_META, SHIPPED_NAME, TAGGER};
pub use scores::{Counts, Place, SpanScores, SpanTally};

use self::crf::Crf;
use self::features::{Vocabulary, fixed_rows};
use self::network::Network;
use self::tags::{Span, spans_of};
use self::units::{Unit, tokens_of};
use super::{Candidate, GazetteerTagger, Lexicon};
use crate::domain::{Entity, EntityType};
use crate::text::Normalized;

/// What the encoder's branch made of a text.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tokens<'a> {
    /// Row after row.
    pub states: &'a [f32],
    /// Code points `start..end` of the original for each token.
    pub offsets: &'a [(u32, u32)],
}

/// A span that the model sees.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoredSpan {
    pub units: Range<usize>,
    /// Number of its type.
    pub kind: usize,
    /// Calibrated, in [0, 1].
    pub probability: f32,
}

/// A trained tagger. Immutable, shared by any number of threads; any number of catalogues are read with it.
#[derive(Debug, Clone)]
pub struct TaggerModel {
    meta: Meta,
    vocabulary: Vocabulary,
    network: Network,
    crf: Crf,
    /// [`Self::crf`] divided by the temperature.
    tempered: Crf,
    branch: Option<Arc<[u8]>>,
    /// The types as entities have them; `None` for one that this program does not know.
    kinds: Vec<Option<EntityType>>,
    version: String,
}

impl TaggerModel {
    /// Of its parts: how training makes one.
    pub fn new(meta: Meta, vocabulary: Vocabulary, network: Network, crf: Crf, branch: Option<Arc<[u8]>>) -> Self {
        let kinds = meta.types.iter().map(|name| EntityType::named(name)).collect();
        let version = format!("{}@shipped", meta.name);
        let tempered = tempered(&crf, meta.temperature);
        TaggerModel { meta, vocabulary, network, crf, tempered, branch, kinds, version }
    }

    /// Under another version.
    #[must_use]
    pub fn named(self, version: String) -> Self {
        TaggerModel { version, ..self }
    }

    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    /// With other scores on its card, or another temperature.
    #[must_use]
    pub fn with_meta(self, meta: Meta) -> Self {
        TaggerModel { tempered: tempered(&self.crf, meta.temperature), meta, ..self }
    }

    /// Name and version, as in `models.ner` of an answer.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The branch's file; `None` where the model does without the encoder.
    pub fn branch(&self) -> Option<&Arc<[u8]>> {
        self.branch.as_ref()
    }

    /// Types that no entity of this program can have; a model with one cannot serve.
    pub fn unknown_types(&self) -> Vec<&str> {
        self.kinds.iter().zip(&self.meta.types).filter(|(k, _)| k.is_none()).map(|(_, name)| name.as_str()).collect()
    }

    /// Scores a unit and tag, not yet divided by the temperature.
    pub fn scores(
        &self,
        original: &str,
        normalized: &Normalized,
        units: &[Unit],
        candidates: &[Candidate],
        tokens: Tokens<'_>,
    ) -> Vec<f32> {
        let ranges = tokens_of(units, tokens.offsets);
        let read = candidates.iter().filter(|c| self.meta.near || !c.voice.is_near());
        let mut rows = fixed_rows(original, units, read, &ranges);
        self.vocabulary.add_rows(&normalized.text, units, &mut rows);
        self.network.scores(tokens.states, &ranges, &rows)
    }

    /// The spans of a text, in order, none overlapping.
    pub fn spans(
        &self,
        original: &str,
        normalized: &Normalized,
        units: &[Unit],
        candidates: &[Candidate],
        tokens: Tokens<'_>,
    ) -> Vec<ScoredSpan> {
        if units.is_empty() {
            return Vec::new();
        }
        let scores = divided(&self.scores(original, normalized, units, candidates, tokens), self.meta.temperature);
        let spans = spans_of(&self.tempered.best(&scores));
        let probabilities = self.tempered.probabilities(&scores, &spans);
        spans.into_iter().zip(probabilities).map(|(Span { units, kind }, probability)| ScoredSpan { units, kind, probability }).collect()
    }

    /// The entities of a message: the model's spans, and of all other types what the patterns see. Sorted by start, none overlapping.
    ///
    /// Never fails: tokens that are missing, cut off or of another text only make it know less.
    pub fn tag(
        &self,
        original: &str,
        normalized: &Normalized,
        gazetteer: &GazetteerTagger,
        lexicon: &Lexicon,
        tokens: Tokens<'_>,
    ) -> Vec<Entity> {
        let units = units::units(normalized);
        let (candidates, mut entities) = gazetteer.read(original, normalized, &units);
        // What has a form of its own (dates, amounts, numbers of orders) is the patterns' to say.
        entities.retain(|e| !self.kinds.contains(&Some(e.kind)));
        let borders: Vec<usize> = original.char_indices().map(|(at, _)| at).chain([original.len()]).collect();
        for span in self.spans(original, normalized, &units, &candidates, tokens) {
            let (Some(kind), Some(first), Some(last)) = (self.kinds[span.kind], units.get(span.units.start), units.get(span.units.end - 1))
            else {
                continue;
            };
            let (start, end) = (first.origin.0 as usize, last.origin.1 as usize);
            let (Some(&from), Some(&to)) = (borders.get(start), borders.get(end)) else { continue };
            if entities.iter().any(|e| e.start < end && start < e.end) {
                continue;
            }
            let text = original[from..to].to_owned();
            let named = candidates.iter().find(|c| c.kind == Some(kind) && c.range == (first.range.start..last.range.end));
            let value = named.and_then(|c| c.value.clone()).or_else(|| super::canonical_value(kind, &text, lexicon));
            entities.push(Entity { kind, text, start, end, confidence: span.probability, value });
        }
        entities.sort_by_key(|e| e.start);
        entities
    }

    /// The temperature under which held-out sequences are likeliest: scores and tags of each.
    pub fn fit_temperature(crf: &Crf, held: &[(Vec<f32>, Vec<usize>)]) -> f32 {
        let loss = |temperature: f32| -> f64 {
            let crf = tempered(crf, temperature);
            held.iter().map(|(scores, tags)| crf.loss(&divided(scores, temperature), tags)).sum()
        };
        if held.is_empty() {
            return 1.0;
        }
        // The loss has one valley in the logarithm of the temperature; a grid of 3 % steps is finer than what the rows can tell.
        let grid = (-30..=90).map(|step| (0.03 * step as f32).exp());
        grid.map(|t| (t, loss(t))).min_by(|a, b| a.1.total_cmp(&b.1)).map_or(1.0, |(t, _)| t)
    }
}

fn divided(scores: &[f32], temperature: f32) -> Vec<f32> {
    scores.iter().map(|s| s / temperature).collect()
}

/// The tags' own scores divided by the temperature, as those of the units are.
fn tempered(crf: &Crf, temperature: f32) -> Crf {
    Crf { tags: crf.tags, ends: divided(&crf.ends, temperature), between: divided(&crf.between, temperature) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::normalize;

    #[test]
    fn the_shipped_tagger_answers_whatever_it_is_given() {
        let model = TaggerModel::shipped().unwrap();
        assert!(model.unknown_types().is_empty());
        let gazetteer = GazetteerTagger::build(&[]).unwrap();
        let lexicon = Lexicon::shipped().unwrap();
        let offsets = [(0, 0), (0, 1), (1, 900), (7, 3)];
        let states = vec![f32::NAN; 500];
        for text in ["", " ", "😀", "①㎏", "粉色XL码羽绒服", "מעיל אדום", "a\u{301}b", "' OR 1=1; --", "<script>红</script>"]
        {
            for tokens in [Tokens::default(), Tokens { states: &states, offsets: &offsets }] {
                let entities = model.tag(text, &normalize(text), &gazetteer, &lexicon, tokens);
                let chars: Vec<char> = text.chars().collect();
                for e in &entities {
                    assert_eq!(chars[e.start..e.end].iter().collect::<String>(), e.text);
                }
                assert!(entities.windows(2).all(|w| w[0].end <= w[1].start), "{text}: {entities:?}");
            }
        }
    }

    #[test]
    fn a_temperature_undoes_what_made_the_model_too_sure() {
        let crf = Crf { tags: 5, ends: vec![0.0; 10], between: vec![0.0; 25] };
        // Right three times of four, and by the scores nearly always.
        let held: Vec<(Vec<f32>, Vec<usize>)> =
            (0..40).map(|i| (vec![8.0, 0.0, 0.0, 0.0, 0.0], vec![if i % 4 == 0 { 4 } else { 0 }])).collect();
        let temperature = TaggerModel::fit_temperature(&crf, &held);
        let p = 1.0 / (1.0 + (-8.0 / temperature).exp());
        assert!((p - 0.75).abs() < 0.02, "{temperature}: {p}");
    }
}
