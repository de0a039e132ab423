//! From a message to the SKU that is meant.
//!
//! [`Linker::resolve`] reads a message against the catalogue's own vocabulary (`reading`: names, values, measures, and whether the
//! customer wants, rejects or just got them), finds the entries of the named product, brand or model, or those whose titles are
//! nearest (`candidates`), and keeps those that contradict nothing (`verdict`, `trial`, `resolve`). The answer is one SKU, several that differ only in what
//! was not said, with the attribute that decides best, or none, with the nearest and what differs. How sure it is comes from a model
//! that was fitted on held-out messages (`confidence`).
//!
//! A linker is built once for a catalogue, immutable, and shared by any number of threads. No message and no catalogue makes it fail.

mod aliases;
mod candidates;
mod catalogue;
mod compare;
mod confidence;
mod graph;
mod polarity;
mod reading;
mod resolve;
mod terms;
#[cfg(test)]
mod tests;
mod trial;
mod values;
mod verdict;
mod wants;
mod words;

pub use confidence::{Evidence, LinkingArtefact, LinkingError, LinkingModel, LinkingScores};
pub use resolve::Resolved;

use crate::domain::{CatalogueItem, Entity, EntityType, Product, ResolveMatch};
use crate::ner::{Lexicon, NerError};
use crate::text::Normalized;

/// What a value is said of; in the order in which a customer is asked, where two decide equally well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Kind {
    Product,
    Brand,
    Model,
    Color,
    Size,
    Flavor,
    Material,
    Spec,
}

impl Kind {
    /// The name on the wire, and the key of the catalogue's attribute.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Kind::Product => "product",
            Kind::Brand => "brand",
            Kind::Model => "model",
            Kind::Color => "color",
            Kind::Size => "size",
            Kind::Flavor => "flavor",
            Kind::Material => "material",
            Kind::Spec => "spec",
        }
    }

    pub(crate) fn of_attribute(key: &str) -> Option<Kind> {
        [Kind::Model, Kind::Color, Kind::Size, Kind::Flavor, Kind::Material, Kind::Spec].into_iter().find(|k| k.as_str() == key)
    }

    pub(crate) fn of_entity(kind: EntityType) -> Option<Kind> {
        Some(match kind {
            EntityType::Product => Kind::Product,
            EntityType::Brand => Kind::Brand,
            EntityType::Model => Kind::Model,
            EntityType::Color => Kind::Color,
            EntityType::Size => Kind::Size,
            EntityType::Flavor => Kind::Flavor,
            EntityType::Material => Kind::Material,
            EntityType::Spec => Kind::Spec,
            _ => return None,
        })
    }

    /// The type whose words the lexicon has families for.
    pub(crate) fn entity(self) -> Option<EntityType> {
        match self {
            Kind::Color => Some(EntityType::Color),
            Kind::Flavor => Some(EntityType::Flavor),
            Kind::Material => Some(EntityType::Material),
            _ => None,
        }
    }
}

/// A catalogue that messages are linked to.
pub struct Linker {
    index: catalogue::Index,
    graph: graph::Graph,
    model: LinkingModel,
}

impl Linker {
    /// For a catalogue, which may be empty, with the shipped confidence model.
    ///
    /// # Errors
    /// Names beyond one automaton; a shipped artefact of another version.
    pub fn build(items: &[CatalogueItem], lexicon: &Lexicon) -> Result<Self, NerError> {
        Self::with_model(items, lexicon, LinkingArtefact::shipped()?.model)
    }

    /// As [`Self::build`], with another model.
    ///
    /// # Errors
    /// Names beyond one automaton.
    pub fn with_model(items: &[CatalogueItem], lexicon: &Lexicon, model: LinkingModel) -> Result<Self, NerError> {
        let index = catalogue::Index::build(items, lexicon, words::Words::shipped())?;
        let graph = graph::Graph::build(items, &index);
        Ok(Linker { index, graph, model })
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.index.items.len()
    }

    pub fn is_empty(&self) -> bool {
        self.index.items.is_empty()
    }

    /// What a message means. `entities` are a tagger's, of `original`; what it missed is read here.
    pub fn resolve(&self, original: &str, normalized: &Normalized, entities: &[Entity]) -> Resolved {
        let reading = reading::Reading::of(original, normalized, entities, &self.index);
        let mut resolved = resolve::resolve(&reading, &self.index);
        resolved.judge(&self.model);
        resolved
    }

    /// The entries that fit a message, for a triage: the one, or the first of several; empty where none does.
    pub fn products(&self, original: &str, normalized: &Normalized, entities: &[Entity]) -> Vec<Product> {
        /// A triage shows no more.
        const TOP: usize = 3;
        let answer = self.resolve(original, normalized, entities).resolution;
        let fits = if answer.matched == ResolveMatch::None { Vec::new() } else { answer.candidates };
        fits.into_iter().take(TOP).map(|c| Product { sku: c.sku, title: c.title, confidence: c.confidence }).collect()
    }
}
