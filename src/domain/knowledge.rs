//! What the shop knows: past tickets, articles, the catalogue.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Lang;

/// An article of the knowledge base.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Article {
    pub id: String,
    pub lang: Lang,
    pub question: String,
    pub answer: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<String>,
}

impl Article {
    /// Characters of a question or an answer; an article is no book.
    pub const MOST_CHARS: usize = 20_000;

    /// Whether the article can be kept and found.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn check(&self) -> Result<(), ArticleFault> {
        check_id(&self.id).map_err(ArticleFault::Id)?;
        for (field, text) in [("question", &self.question), ("answer", &self.answer)] {
            if text.trim().is_empty() {
                return Err(ArticleFault::Empty { id: self.id.clone(), field });
            }
            if text.chars().count() > Self::MOST_CHARS {
                return Err(ArticleFault::TooLong { id: self.id.clone(), field });
            }
        }
        Ok(())
    }
}

/// Why an article cannot be kept; the texts are for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArticleFault {
    #[error("{0}")]
    Id(String),
    #[error("article {id:?}: `{field}` holds nothing but white space")]
    Empty { id: String, field: &'static str },
    #[error("article {id:?}: `{field}` has more than {} characters", Article::MOST_CHARS)]
    TooLong { id: String, field: &'static str },
}

/// Whether an id can be stored, shown and put into a path.
///
/// # Errors
/// What is wrong with it, for people.
pub fn check_id(id: &str) -> Result<(), String> {
    if id.trim().is_empty() || id.chars().count() > 200 || id.chars().any(char::is_control) {
        let shown: String = id.chars().take(40).collect();
        return Err(format!("{shown:?} is no usable id: ids have 1 to 200 characters and no control characters"));
    }
    Ok(())
}

/// A past ticket as the index knows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TicketRecord {
    pub id: String,
    pub text: String,
    /// Detected from the text where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lang: Option<Lang>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<TicketState>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolution: Option<String>,
    /// RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TicketState {
    Open,
    Pending,
    Resolved,
    Closed,
}

impl TicketState {
    pub fn as_str(self) -> &'static str {
        match self {
            TicketState::Open => "open",
            TicketState::Pending => "pending",
            TicketState::Resolved => "resolved",
            TicketState::Closed => "closed",
        }
    }
}

/// Which tickets a search may answer with; an absent field does not restrict.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SearchFilter {
    #[serde(default)]
    pub lang: Option<Lang>,
    #[serde(default)]
    pub intent: Option<String>,
    #[serde(default)]
    pub state: Option<TicketState>,
}

/// One sellable thing of the shop's catalogue.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CatalogueItem {
    pub sku: String,
    pub title: String,
    #[serde(default)]
    pub title_en: String,
    #[serde(default)]
    pub brand: String,
    #[serde(default)]
    pub brand_en: String,
    /// Path from the department down, `服饰/羽绒服`.
    #[serde(default)]
    pub category: String,
    /// The head noun, `羽绒服`; the last part of the category stands in for it where it is empty.
    #[serde(default)]
    pub product: String,
    #[serde(default)]
    pub product_en: String,
    /// `color`, `size`, `flavor`, `material`, `spec`, `model`; other keys are kept, and not searched for in messages.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
    /// CNY.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<f64>,
    /// What it fits or goes with: SKUs of the catalogue, or words (`iPhone 15`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub compatible_with: Vec<String>,
    /// The SKU that it takes the place of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<String>,
}

impl CatalogueItem {
    /// Characters of a title.
    pub const MOST_TITLE: usize = 500;

    /// An entry of which nothing else is known.
    pub fn new(sku: &str, title: &str) -> Self {
        CatalogueItem {
            sku: sku.to_owned(),
            title: title.to_owned(),
            title_en: String::new(),
            brand: String::new(),
            brand_en: String::new(),
            category: String::new(),
            product: String::new(),
            product_en: String::new(),
            attributes: BTreeMap::new(),
            price: None,
            compatible_with: Vec::new(),
            replaces: None,
        }
    }

    /// Whether the entry can be kept and found.
    ///
    /// # Errors
    /// The first thing that is wrong with it and what to do, for people.
    pub fn check(&self) -> Result<(), String> {
        check_id(&self.sku)?;
        let fault = |what: &str| Err(format!("sku {:?}: {what}", self.sku));
        if self.title.trim().is_empty() {
            return fault("the title is empty: write what the shop's page says");
        }
        if self.title.chars().count() > Self::MOST_TITLE || self.title_en.chars().count() > Self::MOST_TITLE {
            return fault("the title has more than 500 characters: shorten it");
        }
        if self.price.is_some_and(|p| !(p.is_finite() && p >= 0.0)) {
            return fault("the price is negative: leave it out where it is not known");
        }
        if self.replaces.as_deref() == Some(self.sku.as_str()) {
            return fault("it replaces itself: name the SKU that it takes the place of");
        }
        Ok(())
    }
}
