//! JSON: our own articles, Zendesk Guide's and Chatwoot's, as one list, a list in an object, or a line each.
//!
//! Zendesk: <https://developer.zendesk.com/api-reference/help_center/help-center-api/articles/>; Chatwoot: the public API of a portal.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::document::Document;
use super::format::Format;
use super::gather::Gather;
use super::{fields, html, markdown};
use crate::domain::{Article, Audience, Lang};

type Row = Map<String, Value>;

pub(super) fn read(document: &Document, gather: &mut Gather) {
    match serde_json::from_str::<Value>(document.text) {
        Ok(value) => whole(value, document, gather),
        // A line each, some of them perhaps broken.
        Err(_) if document.text.trim().lines().count() > 1 && begins_with_row(document) => lines(document, gather),
        Err(fault) => gather.skip(document.at_line(fault.line()), not_json(&fault)),
    }
}

/// Whether the first line is a row by itself, or the name says that it should be.
fn begins_with_row(document: &Document) -> bool {
    let first = document.text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let named = matches!(document.ending.as_deref(), Some("jsonl" | "ndjson"));
    named || serde_json::from_str::<Row>(first).is_ok()
}

fn not_json(fault: &serde_json::Error) -> String {
    let why = fault.to_string();
    let why = why.split(" at line ").next().unwrap_or_default();
    format!("no JSON (column {}: {why}): export it again, or mend it there", fault.column())
}

fn lines(document: &Document, gather: &mut Gather) {
    for (at, line) in document.text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let article = serde_json::from_str::<Row>(line).map_err(|fault| not_json(&fault));
        let article = article.and_then(|row| article_of(row, &Sections::default(), gather));
        gather.take_or_skip(document.at_line(at + 1), document, article);
    }
}

fn whole(value: Value, document: &Document, gather: &mut Gather) {
    let mut sections = Sections::default();
    let rows = match value {
        Value::Array(rows) => rows,
        Value::Object(mut object) => {
            sections = Sections::of(&object);
            // Of a folder's files each is a page, and the next one is there; of a single one nobody knows.
            let next = object.get("next_page").and_then(Value::as_str).filter(|_| document.alone).map(str::to_owned);
            if let Some(next) = next {
                gather.skip(next, "a further page of this export: import it as well");
            }
            match object.remove("articles").or_else(|| object.remove("payload")) {
                Some(Value::Array(rows)) => rows,
                Some(_) => return gather.skip(document.place.clone(), "its articles are no list: export it again"),
                None => vec![Value::Object(object)],
            }
        }
        _ => return gather.skip(document.place.clone(), "the JSON is no list of articles: see the formats of `import`"),
    };
    for (at, row) in rows.into_iter().enumerate() {
        let article = match row {
            Value::Object(row) => article_of(row, &sections, gather),
            _ => Err("the row is no object: an article is {\"id\", \"lang\", \"question\", \"answer\"}".to_owned()),
        };
        gather.take_or_skip(document.at_row(at + 1), document, article);
    }
}

fn article_of(row: Row, sections: &Sections, gather: &Gather) -> Result<Article, String> {
    let has = |key: &str| row.contains_key(key);
    match gather.options.format {
        Some(Format::Zendesk) => zendesk(&row, sections, gather),
        Some(Format::Chatwoot) => chatwoot(&row, gather),
        Some(Format::Jsonl) => own(row),
        _ if has("title") && has("body") => zendesk(&row, sections, gather),
        _ if has("title") && has("content") => chatwoot(&row, gather),
        _ => own(row),
    }
}

fn own(row: Row) -> Result<Article, String> {
    let mend = "an article has id, lang, question and answer, and may have intent, category, audience, valid_from, valid_until";
    serde_json::from_value(Value::Object(row)).map_err(|fault| format!("no article ({fault}): {mend}"))
}

/// A text or a number.
fn text(row: &Row, key: &str) -> Option<String> {
    match row.get(key)? {
        Value::String(text) => Some(text.trim().to_owned()).filter(|t| !t.is_empty()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn needed(row: &Row, key: &str) -> Result<String, String> {
    text(row, key).ok_or_else(|| format!("`{key}` is missing or empty: complete the article and export it again"))
}

fn one_line(title: &str) -> String {
    title.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The names of Zendesk's sections and categories, where the export has them (`?include=sections,categories`).
#[derive(Default)]
struct Sections(HashMap<String, String>);

impl Sections {
    fn of(object: &Row) -> Self {
        let list = |key: &str| object.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object);
        let named = |row: &Row| Some((text(row, "id")?, text(row, "name")?));
        let categories: HashMap<String, String> = list("categories").filter_map(named).collect();
        let path = |row: &Row| {
            let (id, name) = named(row)?;
            let category = text(row, "category_id").and_then(|id| categories.get(&id).cloned());
            Some((id, category.map_or(name.clone(), |category| format!("{category}/{name}"))))
        };
        Sections(list("sections").filter_map(path).collect())
    }
}

fn zendesk(row: &Row, sections: &Sections, gather: &Gather) -> Result<Article, String> {
    if row.get("draft") == Some(&Value::Bool(true)) {
        return Err("a draft".to_owned());
    }
    let (number, title) = (needed(row, "id")?, one_line(&needed(row, "title")?));
    let page = text(row, "html_url");
    let answer = html::text(row.get("body").and_then(Value::as_str).unwrap_or_default(), page.as_deref());
    let locale = text(row, "locale");
    let lang = fields::lang_or_detect(locale.as_deref(), &format!("{title}\n{answer}"), gather.options.lang)?;
    let mut article = Article::new(&format!("zendesk-{number}"), lang, &title, &answer);
    // All translations have the number of their source: only that one keeps it.
    if let (Some(locale), Some(source)) = (locale, text(row, "source_locale"))
        && !locale.eq_ignore_ascii_case(&source)
    {
        let other: Option<Lang> = fields::lang(&source).filter(|&other| other != lang);
        article.translation_of = other.map(|_| article.id.clone());
        article.id = format!("{}-{}", article.id, locale.to_lowercase());
    }
    article.category = text(row, "section_id").and_then(|id| sections.0.get(&id).cloned());
    // Not for everybody, so for nobody by itself: it is shown to agents.
    let segments = row.get("user_segment_ids").and_then(Value::as_array).is_some_and(|ids| !ids.is_empty());
    if segments || row.get("user_segment_id").is_some_and(|id| !id.is_null()) {
        article.audience = Audience::Agent;
    }
    article.source = page;
    Ok(article)
}

fn chatwoot(row: &Row, gather: &Gather) -> Result<Article, String> {
    match text(row, "status").as_deref() {
        None | Some("published" | "1") => {}
        Some("draft" | "0") => return Err("a draft".to_owned()),
        Some("archived" | "2") => return Err("archived".to_owned()),
        Some(other) => return Err(format!("its status is {other:?}: published, draft and archived are known")),
    }
    let (number, title) = (needed(row, "id")?, one_line(&needed(row, "title")?));
    let answer = markdown::text(&needed(row, "content")?);
    let category = row.get("category").and_then(Value::as_object);
    let locale = text(row, "locale").or_else(|| category.and_then(|c| text(c, "locale")));
    let lang = fields::lang_or_detect(locale.as_deref(), &format!("{title}\n{answer}"), gather.options.lang)?;
    let mut article = Article::new(&format!("chatwoot-{number}"), lang, &title, &answer);
    article.category = category.and_then(|c| text(c, "name")).or_else(|| text(row, "category"));
    Ok(article)
}
