//! A text that was read, and where from.

use super::fields;
use super::format::{self, Format, Reader};
use super::gather::Gather;
use super::{html, json, markdown, table};
use crate::domain::{Article, Audience};

/// A file or a page in memory.
#[derive(Debug)]
pub(super) struct Document<'a> {
    /// As people are shown it: `docs/shipping/overseas.md`.
    pub place: String,
    /// Without ending, inside what is imported: `shipping/overseas`, `help.shop.cn/returns`.
    pub path: String,
    pub ending: Option<String>,
    /// The address of a page; relative links start from it.
    pub url: Option<&'a str>,
    /// What the answer of a server says it is.
    pub content_type: Option<&'a str>,
    /// It is all that is imported.
    pub alone: bool,
    pub text: &'a str,
}

impl Document<'_> {
    pub fn at_line(&self, line: usize) -> String {
        format!("{}:{line}", self.place)
    }

    pub fn at_row(&self, row: usize) -> String {
        format!("{}#{row}", self.place)
    }

    /// The name of the file, or the last part of the address.
    pub fn stem(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    fn reader(&self, format: Option<Format>) -> Option<Reader> {
        // A page about a file has the file's name (`…/README.md`): what the server says counts more.
        let page = self.content_type.and_then(format::by_type);
        let page = page.filter(|r| *r == Reader::Html).or_else(|| self.ending.as_deref().and_then(format::by_ending)).or(page);
        let guess = || page.or_else(|| (self.alone).then(|| format::by_content(self.text)));
        format.map(Reader::from).or_else(guess)
    }

    pub fn read(&self, gather: &mut Gather) {
        match self.reader(gather.options.format) {
            Some(Reader::Markdown) => {
                let article = self.markdown(gather);
                gather.take_or_skip(self.place.clone(), self, article);
            }
            Some(Reader::Html) => {
                let article = self.html(gather);
                gather.take_or_skip(self.place.clone(), self, article);
            }
            Some(Reader::Table) => table::read(self, gather),
            Some(Reader::Json) => json::read(self, gather),
            None => gather.skip(self.place.clone(), UNKNOWN),
        }
    }

    fn markdown(&self, gather: &Gather) -> Result<Article, String> {
        let document = markdown::read(self.text)?;
        let front = document.front;
        if front.draft {
            return Err("a draft".to_owned());
        }
        let question = front.title.or(document.heading).unwrap_or_else(|| self.title());
        let mut article = self.article(front.id, front.lang, &question, &document.text, gather)?;
        article.category = front.category.or(article.category);
        article.intent = front.intent;
        article.audience = front.audience.as_deref().map_or(Ok(Audience::Customer), fields::audience)?;
        article.valid_from = front.valid_from.as_deref().map(fields::time);
        article.valid_until = front.valid_until.as_deref().map(fields::time);
        article.translation_of = front.translation_of;
        Ok(article)
    }

    fn html(&self, gather: &Gather) -> Result<Article, String> {
        let page = html::page(self.text, self.url);
        let question = page.title.unwrap_or_else(|| self.title());
        self.article(None, None, &question, &page.text, gather)
    }

    /// An article that is a document, with what its path tells.
    fn article(&self, id: Option<String>, lang: Option<String>, question: &str, answer: &str, gather: &Gather) -> Result<Article, String> {
        if answer.trim().is_empty() {
            return Err("it holds no text beside its title: write one, or leave it out".to_owned());
        }
        let by_path = fields::lang_of_path(&self.path);
        let stated = lang.or_else(|| by_path.map(|l| l.as_str().to_owned()));
        let lang = fields::lang_or_detect(stated.as_deref(), &format!("{question}\n{answer}"), gather.options.lang)?;
        let mut article = Article::new(&id.unwrap_or_else(|| fields::id_of(&self.path)), lang, question, answer);
        article.category = gather.options.category.clone().or_else(|| self.folders());
        Ok(article)
    }

    /// The folders of a file as a category, those of languages left out.
    fn folders(&self) -> Option<String> {
        let (folders, _) = self.path.rsplit_once('/').filter(|_| self.url.is_none())?;
        let kept: Vec<&str> = folders.split('/').filter(|f| fields::locale(f).is_none()).collect();
        (!kept.is_empty()).then(|| kept.join("/"))
    }

    fn title(&self) -> String {
        self.stem().replace(['-', '_'], " ").trim().to_owned()
    }
}

pub(super) const UNKNOWN: &str = "its name tells no format: .md, .html, .csv, .tsv, .json, .jsonl and .txt do";
