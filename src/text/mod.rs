//! Text: normalisation with a way back to the original, language, identifiers, segmentation, features, spelling, word lists.
//!
//! Pure: no I/O but the one-time loading of the segmenter's dictionary, no clock, no state. Every function is safe to call
//! from any thread on any string that Rust can hold.

mod features;
mod identifiers;
mod language;
mod marks;
mod normalize;
mod segment;
mod similarity;
mod wordlist;

pub use features::{FeatureConfig, Features, for_each_feature};
pub use identifiers::{Identifier, IdentifierKind, find_identifiers};
pub use language::detect;
pub use marks::{excerpt, marks};
pub use normalize::{Normalized, is_han, normalize};
pub use segment::{search_terms, warm_up, words};
pub use similarity::{NEAR_DUPLICATE, jaccard, trigrams};
pub use wordlist::WordList;

/// Version of everything in this room that decides which features and terms a text yields.
///
/// Artefacts (classifier, index) carry the version that made them and are refused when it differs: raise it with every
/// change of normalisation, identifiers, segmentation or features.
pub const TEXT_VERSION: u32 = 1;
