//! Which product a message means, and what a product has to do with the others.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::CatalogueItem;

/// How many entries fit everything that a message names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ResolveMatch {
    One,
    /// They differ only in what was not said.
    Several,
    /// The candidates are the nearest.
    None,
}

impl ResolveMatch {
    pub fn as_str(self) -> &'static str {
        match self {
            ResolveMatch::One => "one",
            ResolveMatch::Several => "several",
            ResolveMatch::None => "none",
        }
    }
}

/// The product that a message means.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Resolution {
    #[serde(rename = "match")]
    pub matched: ResolveMatch,
    /// `null` unless exactly one entry fits.
    pub sku: Option<String>,
    /// What fits, by SKU; with `none` the nearest, nearest first. At most 20, see `total`.
    pub candidates: Vec<Candidate>,
    /// What to ask the customer: the attribute that decides best between the candidates, or `product` where none is named.
    pub ask: Option<String>,
    /// What the message names, by attribute, in normalised values: `pink`, `250ml`, `xl`. Several values of one are separated by `|`.
    pub attributes: BTreeMap<String, String>,
    /// What it says that it shall not be, likewise.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rejected: BTreeMap<String, String>,
    /// Calibrated probability in [0, 1] that this answer (match and entries) is right.
    pub confidence: f32,
    /// Entries that fit; with `none`, 0.
    pub total: usize,
}

/// An entry that fits, or comes near.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Candidate {
    pub sku: String,
    pub title: String,
    /// Probability in [0, 1] that this entry is the one meant.
    pub confidence: f32,
    /// With `several`: attributes in which the candidates differ. With `none`: what of the message it contradicts.
    pub differs: Vec<String>,
}

/// A catalogue entry with its relations.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Item {
    #[serde(flatten)]
    pub item: CatalogueItem,
    pub relations: Relations,
}

/// What an entry has to do with others; both ways, whichever of the two says so.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Relations {
    /// The same product of the same brand in other colours, sizes, amounts. At most 100.
    pub variants: Vec<Variant>,
    /// Entries that fit it, or that it fits.
    pub compatible: Vec<Variant>,
    /// What it fits that is no entry.
    pub compatible_with: Vec<String>,
    pub replaces: Option<Variant>,
    pub replaced_by: Vec<Variant>,
}

/// An entry in short.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Variant {
    pub sku: String,
    pub title: String,
    /// Attributes in which it differs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differs: Vec<String>,
}
