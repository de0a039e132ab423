//! The tagger's training: the encoder's top layers, the network on them and the field over the tags, all by one likelihood.
//!
//! What it learns must hold for catalogues that it has never seen. So the training rows take turns with invented catalogues, each of
//! which knows another share of their names: the model learns to trust a name that is there and to do without one that is not.

mod card;
mod data;
mod head;
mod ops;
mod recipe;
#[cfg(test)]
mod tests;

pub use card::tagger_card;
pub use data::TaggerCorpus;
pub use recipe::{TaggerEncoderKind, TaggerParameters, TaggerRecipe};

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use self::data::{Features, Name, gazetteer, invented, names};
use self::head::{TaggerHead, network};
use super::workplace::tell_tuning;
use super::{News, Tell, TrainError, TrainingEncoder, Workplace};
use crate::domain::{CatalogueItem, EntityType, Lang};
use crate::embed::tuning::{Cached, Fit, fit};
use crate::embed::{Arithmetic, Branch, Role};
use crate::ner::TaggerModel;
use crate::ner::learned::crf::Crf;
use crate::ner::learned::units::tokens_of;
use crate::ner::learned::{Meta, Place, SpanScores, SpanTally, TAGGER, Tokens, tags};
use crate::text::TEXT_VERSION;

/// Offsets of each row's tokens.
type Offsets = Vec<Vec<(u32, u32)>>;

/// Trains a tagger on a corpus read by [`TaggerCorpus::read`].
///
/// # Errors
/// A recipe that cannot be trained, a missing encoder, the disk's.
pub fn train_tagger(
    recipe: &TaggerRecipe,
    corpus: &TaggerCorpus,
    encoder: Option<&TrainingEncoder>,
    workplace: &Workplace,
    tell: Tell<'_>,
) -> Result<TaggerModel, TrainError> {
    recipe.check()?;
    if corpus.lost > 0 {
        tell(News::Step(&format!("spans of training rows that begin or end inside a word, or overlap: {}; left out", corpus.lost)));
    }
    let encoder = match (recipe.encoder.kind, encoder) {
        (TaggerEncoderKind::None, _) => None,
        (TaggerEncoderKind::Branch, Some(encoder)) => Some(encoder),
        (TaggerEncoderKind::Branch, None) => {
            return Err(TrainError::Data("encoder.kind needs the encoder's model: run `fenzhen models pull`".into()));
        }
    };
    let (cached, offsets) = states(corpus, encoder, tell)?;
    let tokens: Vec<Vec<(u32, u32)>> = corpus.rows.iter().zip(&offsets).map(|(row, offsets)| tokens_of(&row.units, offsets)).collect();
    tell(News::Step("read the rows under invented catalogues"));
    let vocabulary = corpus.vocabulary(recipe.model.min_count);
    let known = names(corpus.rows[corpus.train.clone()].iter());
    let TaggerParameters { near, slips, .. } = recipe.model;
    let read = |share, slips, seed| corpus.features(&invented(&known, share, slips, seed), near, &vocabulary, &tokens);
    let shares = recipe.model.catalogues.iter().zip(recipe.seed..);
    let readings: Vec<Features> = shares.map(|(&share, seed)| read(share, slips, seed)).collect::<Result<_, _>>()?;
    let watched = read(1.0, 0.0, 0)?;
    let head = TaggerHead {
        corpus,
        parameters: &recipe.model,
        seed: recipe.seed,
        tokens: &tokens,
        readings: &readings,
        watched: &watched,
        features: vocabulary.rows(),
        tags: tags::count(recipe.types.len()),
    };
    let (train, valid): (Vec<usize>, Vec<usize>) = (corpus.train.clone().collect(), corpus.valid.clone().collect());
    let job = Fit {
        weights: encoder.map(|e| e.weights.as_path()),
        set: &cached,
        train: &train,
        valid: &valid,
        parameters: &recipe.tuning,
        seed: recipe.seed,
        checkpoint: Some(&workplace.checkpoint("tagger", "checkpoint")),
    };
    let fitted = fit(job, &head, &mut |news| tell_tuning(tell, recipe.tuning.epochs, news))?;
    let (network, crf) = network(&fitted.head, recipe.model.layers).map_err(crate::embed::EncodeError::from)?;
    let branch = encoder.is_some().then(|| Arc::from(fitted.branch));
    let meta = Meta {
        kind: TAGGER.to_owned(),
        name: recipe.name.clone(),
        text_version: TEXT_VERSION,
        types: recipe.types.clone(),
        layers: recipe.model.layers,
        encoder: encoder.is_some(),
        near,
        temperature: 1.0,
        data_hash: corpus.hash.clone(),
        recipe: serde_json::to_value(recipe).map_err(|e| TrainError::Fit(e.to_string()))?,
        scores: BTreeMap::new(),
    };
    let model = TaggerModel::new(meta, vocabulary, network, crf.clone(), branch);
    let seen = Seen { corpus, cached: &cached, offsets: &offsets, branch: parsed(&model)? };
    tell(News::Step("fit the temperature on the validation rows"));
    let temperature = seen.temperature(&model, &crf, &invented(&known, 1.0, 0.0, 0))?;
    let mut meta = model.meta().clone();
    meta.temperature = temperature;
    let model = model.with_meta(meta.clone());
    tell(News::Step("score"));
    meta.scores = seen.scores(&model, &known)?;
    Ok(model.with_meta(meta))
}

fn parsed(model: &TaggerModel) -> Result<Option<Branch>, TrainError> {
    Ok(model.branch().map(|file| Branch::parse(file, Arithmetic::Float)).transpose()?)
}

/// The trunk's states of all rows, and where their tokens stand; blank without an encoder.
fn states(corpus: &TaggerCorpus, encoder: Option<&TrainingEncoder>, tell: Tell<'_>) -> Result<(Cached, Offsets), TrainError> {
    let total = corpus.rows.len();
    let Some(encoder) = encoder else {
        return Ok((Cached::blank(total), vec![Vec::new(); total]));
    };
    let texts: Vec<String> = corpus.rows.iter().map(|r| r.row.text.clone()).collect();
    let offsets = texts.iter().map(|t| encoder.encoder.offsets(t, Role::Query)).collect::<Result<_, _>>()?;
    Ok((encoder.states(&texts, tell)?, offsets))
}

/// Whether a span of a row is counted.
type Counted<'a> = &'a dyn Fn(usize, &Place) -> bool;

/// The rows as a trained model meets them: through its own branch, as it serves.
struct Seen<'a> {
    corpus: &'a TaggerCorpus,
    cached: &'a Cached,
    offsets: &'a Offsets,
    branch: Option<Branch>,
}

impl Seen<'_> {
    /// States of the tokens of some rows.
    fn states(&self, rows: &Range<usize>) -> Result<Vec<Vec<f32>>, TrainError> {
        match &self.branch {
            Some(branch) => {
                let rows: Vec<usize> = rows.clone().collect();
                Ok(self.cached.vectors(&rows, |states| branch.token_states(states))?)
            }
            None => Ok(vec![Vec::new(); rows.len()]),
        }
    }

    fn temperature(&self, model: &TaggerModel, crf: &Crf, catalogue: &[CatalogueItem]) -> Result<f32, TrainError> {
        let gazetteer = gazetteer(catalogue)?;
        let states = self.states(&self.corpus.valid)?;
        let held = self.corpus.valid.clone().zip(&states).map(|(at, states)| {
            let row = &self.corpus.rows[at];
            let candidates = gazetteer.candidates(&row.row.text, &row.normalized, &row.units);
            let tokens = Tokens { states, offsets: &self.offsets[at] };
            (model.scores(&row.row.text, &row.normalized, &row.units, &candidates, tokens), row.tags.clone())
        });
        Ok(TaggerModel::fit_temperature(crf, &held.collect::<Vec<_>>()))
    }

    fn scores(&self, model: &TaggerModel, known: &[Name]) -> Result<BTreeMap<String, SpanScores>, TrainError> {
        let mut out = BTreeMap::new();
        let full = invented(known, 1.0, 0.0, 0);
        for (split, range) in [("valid", &self.corpus.valid), ("test", &self.corpus.test)] {
            if range.is_empty() {
                continue;
            }
            let states = self.states(range)?;
            let tally = |catalogue: &[CatalogueItem], counts: Counted<'_>| self.tally(model, range, &states, catalogue, counts);
            for (name, catalogue) in [("", full.as_slice()), (".no_catalogue", &[])] {
                let (all, languages) = tally(catalogue, &|_, _| true)?;
                out.insert(format!("{split}{name}"), all);
                if languages.len() > 1 {
                    out.extend(languages.into_iter().map(|(lang, scores)| (format!("{split}.{lang}{name}"), scores)));
                }
            }
            // A shop whose catalogue is its own: brands that no training row names.
            let seen: BTreeSet<&Name> = known.iter().collect();
            let mut unseen = names(self.corpus.rows[range.clone()].iter());
            unseen.retain(|name| name.0 == EntityType::Brand && !seen.contains(name));
            if unseen.is_empty() {
                continue;
            }
            let counted = |row: usize, place: &Place| {
                let text = || self.corpus.rows[row].row.text.chars().skip(place.0).take(place.1 - place.0).collect();
                place.2 == EntityType::Brand.as_str() && unseen.contains(&(EntityType::Brand, text()))
            };
            let with = |slips| [full.clone(), invented(&unseen, 1.0, slips, 0)].concat();
            for (name, catalogue) in [("absent", &full), ("in_catalogue", &with(0.0)), ("misspelt", &with(1.0))] {
                out.insert(format!("{split}.unseen_brands.{name}"), tally(catalogue, &counted)?.0);
            }
        }
        Ok(out)
    }

    /// Scores of the spans that `counts` takes in, of all rows and by language.
    fn tally(
        &self,
        model: &TaggerModel,
        range: &Range<usize>,
        states: &[Vec<f32>],
        catalogue: &[CatalogueItem],
        counts: Counted<'_>,
    ) -> Result<(SpanScores, BTreeMap<Lang, SpanScores>), TrainError> {
        let gazetteer = gazetteer(catalogue)?;
        let mut all = SpanTally::default();
        let mut languages: BTreeMap<Lang, SpanTally> = BTreeMap::new();
        for (at, states) in range.clone().zip(states) {
            let row = &self.corpus.rows[at];
            let candidates = gazetteer.candidates(&row.row.text, &row.normalized, &row.units);
            let tokens = Tokens { states, offsets: &self.offsets[at] };
            let spans = model.spans(&row.row.text, &row.normalized, &row.units, &candidates, tokens);
            let place = |span: &crate::ner::learned::ScoredSpan| {
                let (first, last) = (&row.units[span.units.start], &row.units[span.units.end - 1]);
                (first.origin.0 as usize, last.origin.1 as usize, model.meta().types[span.kind].clone())
            };
            let found: Vec<(Place, f32)> = spans.iter().map(|s| (place(s), s.probability)).filter(|(p, _)| counts(at, p)).collect();
            let there: Vec<Place> = row.row.entities.iter().map(|e| (e.start, e.end, e.kind.clone())).filter(|p| counts(at, p)).collect();
            all.add(&there, &found);
            languages.entry(row.row.lang).or_default().add(&there, &found);
        }
        Ok((all.scores(), languages.into_iter().map(|(lang, tally)| (lang, tally.scores())).collect()))
    }
}
