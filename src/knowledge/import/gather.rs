//! What an import has found so far: articles that can be kept, and what was left out.

use std::collections::HashMap;

use super::document::Document;
use super::{ImportOptions, Imported, Skipped, fields};
use crate::domain::Article;
use crate::knowledge::pieces::{self, Limit, Unit};

/// Characters of a place or a reason.
const MOST_SHOWN: usize = 600;

pub(super) struct Gather<'a> {
    pub options: &'a ImportOptions,
    found: Imported,
    /// Where each id was found.
    taken: HashMap<String, String>,
}

impl<'a> Gather<'a> {
    pub fn new(options: &'a ImportOptions) -> Self {
        Gather { options, found: Imported::default(), taken: HashMap::new() }
    }

    pub fn finish(self) -> Imported {
        self.found
    }

    /// Reasons quote what strangers wrote: they are shown on terminals, so neither their length nor their escapes are taken over.
    pub fn skip(&mut self, place: String, why: impl Into<String>) {
        let shown = |text: String| text.chars().take(MOST_SHOWN).map(|c| if c.is_control() { ' ' } else { c }).collect();
        self.found.skipped.push(Skipped { place: shown(place), why: shown(why.into()) });
    }

    /// Takes what was found at a place of a document.
    pub fn take_or_skip(&mut self, place: String, document: &Document, article: Result<Article, String>) {
        match article.and_then(|article| self.take(&place, document, article)) {
            Ok(()) => {}
            Err(why) => self.skip(place, why),
        }
    }

    /// All parts of an article, or none.
    fn take(&mut self, place: &str, document: &Document, mut article: Article) -> Result<(), String> {
        article.source.get_or_insert_with(|| document.place.clone());
        if article.category.is_none() {
            article.category.clone_from(&self.options.category);
        }
        let parts = parts(article);
        for part in &parts {
            part.check().map_err(|fault| fault.to_string())?;
            if let Some(first) = self.taken.get(&part.id) {
                return Err(format!("the id {:?} is taken by {first}: give one of them another id", part.id));
            }
        }
        self.taken.extend(parts.iter().map(|part| (part.id.clone(), place.to_owned())));
        self.found.articles.extend(parts);
        Ok(())
    }
}

/// The article, or where it is too long its parts, numbered from the second on.
fn parts(article: Article) -> Vec<Article> {
    let limit = Limit { most: Article::MOST_CHARS, weigh: |_| 1 };
    if limit.weight(&article.answer) <= limit.most {
        return vec![article];
    }
    let part = |(at, answer): (usize, &str)| match at {
        0 => Article { answer: answer.to_owned(), ..article.clone() },
        _ => Article {
            id: fields::id_of_part(&article.id, at + 1),
            question: format!("{} ({})", article.question, at + 1),
            answer: answer.to_owned(),
            // These belong to the whole, and are said once.
            translation_of: None,
            attachments: Vec::new(),
            ..article.clone()
        },
    };
    pieces::cut(&article.answer, Unit::Section, &limit).into_iter().enumerate().map(part).collect()
}
