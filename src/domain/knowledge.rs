//! What the shop knows: past tickets, articles, the catalogue.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use utoipa::ToSchema;

use super::{Lang, Outcome};

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
    /// Where it stands in the help centre, from the outside in: `配送/海外`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// Who may read it; customers, where it is absent.
    #[serde(default, skip_serializing_if = "Audience::is_customer")]
    pub audience: Audience,
    /// In force from this time on; RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_from: Option<String>,
    /// In force before this time; RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<String>,
    /// The article that says the same in another language.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub translation_of: Option<String>,
    /// What attached files say; found with the article, never sent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Attachment>,
    /// Where it was imported from: a file, a page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

/// Who may read an article.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Audience {
    /// Everybody; it may be sent to customers.
    #[default]
    Customer,
    /// Agents only: it is shown to them and never sent.
    Agent,
}

impl Audience {
    pub fn as_str(self) -> &'static str {
        match self {
            Audience::Customer => "customer",
            Audience::Agent => "agent",
        }
    }

    fn is_customer(&self) -> bool {
        *self == Audience::Customer
    }
}

/// The text of a file that belongs to an article.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Attachment {
    pub name: String,
    pub text: String,
}

impl Article {
    /// Characters of a question or an answer, and of all attachments together; an article is no book.
    pub const MOST_CHARS: usize = 20_000;

    /// An article of which nothing else is known.
    pub fn new(id: &str, lang: Lang, question: &str, answer: &str) -> Self {
        Article {
            id: id.to_owned(),
            lang,
            question: question.to_owned(),
            answer: answer.to_owned(),
            intent: None,
            category: None,
            audience: Audience::Customer,
            valid_from: None,
            valid_until: None,
            translation_of: None,
            attachments: Vec::new(),
            source: None,
        }
    }

    /// Whether the article can be kept and found.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn check(&self) -> Result<(), ArticleFault> {
        check_id(&self.id).map_err(ArticleFault::Id)?;
        let fault = |field, what| Err(ArticleFault::Field { id: self.id.clone(), field, what });
        for (field, text) in [("question", &self.question), ("answer", &self.answer)] {
            if text.trim().is_empty() {
                return Err(ArticleFault::Empty { id: self.id.clone(), field });
            }
            if text.chars().count() > Self::MOST_CHARS {
                return Err(ArticleFault::TooLong { id: self.id.clone(), field });
            }
        }
        if self.attachments.iter().map(|a| a.text.chars().count()).sum::<usize>() > Self::MOST_CHARS {
            return Err(ArticleFault::TooLong { id: self.id.clone(), field: "attachments" });
        }
        for (field, time) in [("valid_from", self.valid_from()), ("valid_until", self.valid_until())] {
            if time.is_err() {
                return fault(field, "is no RFC 3339 time like 2026-01-31T00:00:00Z");
            }
        }
        if let (Ok(Some(from)), Ok(Some(until))) = (self.valid_from(), self.valid_until())
            && from >= until
        {
            return fault("valid_until", "is not after valid_from, so that it would never be in force");
        }
        if self.translation_of.as_deref() == Some(self.id.as_str()) {
            return fault("translation_of", "names the article itself");
        }
        Ok(())
    }

    /// Whether it is in force at a time. Times that cannot be read do not count; [`Self::check`] lets none in.
    pub fn in_force(&self, now: OffsetDateTime) -> bool {
        self.valid_from().ok().flatten().is_none_or(|from| from <= now) && self.valid_until().ok().flatten().is_none_or(|until| now < until)
    }

    fn valid_from(&self) -> Result<Option<OffsetDateTime>, time::error::Parse> {
        self.valid_from.as_deref().map(|t| OffsetDateTime::parse(t, &Rfc3339)).transpose()
    }

    fn valid_until(&self) -> Result<Option<OffsetDateTime>, time::error::Parse> {
        self.valid_until.as_deref().map(|t| OffsetDateTime::parse(t, &Rfc3339)).transpose()
    }
}

/// One form in which an article was published.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ArticleVersion {
    /// From 1.
    pub version: i64,
    /// RFC 3339, UTC.
    pub created_at: String,
    /// What the author said of the change.
    pub note: Option<String>,
    /// The article was taken out of force here.
    pub deleted: bool,
    /// `null` where it was taken out of force.
    pub article: Option<Article>,
}

/// An article that is being written: never searched, never sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Draft {
    pub article: Article,
    pub state: DraftState,
    /// The published version that it began from; `null` where the article is new.
    pub base_version: Option<i64>,
    /// The last word of author or reviewer.
    pub note: Option<String>,
    /// RFC 3339, UTC.
    pub updated_at: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DraftState {
    /// Its author is at it.
    Draft,
    /// It waits for somebody else to look at it.
    Review,
}

impl DraftState {
    pub fn as_str(self) -> &'static str {
        match self {
            DraftState::Draft => "draft",
            DraftState::Review => "review",
        }
    }
}

/// How an article served.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UseCounts {
    /// Recorded messages that it was shown with.
    pub shown: u64,
    /// Those to which its words were the reply that was drafted.
    pub replied: u64,
    /// What agents said of these replies.
    pub accepted: u64,
    pub edited: u64,
    pub rejected: u64,
}

impl UseCounts {
    /// Share of the replies that agents judged and let stand, as they were or edited; `None` where none was judged.
    pub fn success_rate(&self) -> Option<f64> {
        let judged = self.accepted + self.edited + self.rejected;
        (judged > 0).then(|| (self.accepted + self.edited) as f64 / judged as f64)
    }
}

/// A recorded message that an article's words were the reply to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ArticleUse {
    pub triage_id: String,
    pub text: String,
    pub created_at: String,
    /// The last word of an agent.
    pub outcome: Option<Outcome>,
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
    #[error("article {id:?}: `{field}` {what}")]
    Field { id: String, field: &'static str, what: &'static str },
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
