//! HTML pages and fragments as plain text.
//!
//! Twice over the tags: first to find what the page is about (`<main>`, `<article>`, the title) and what it is not (menus, scripts,
//! forms), then to write it. An element that is left out needs its closing tag: a menu that never closes does not take the page with it.

mod entities;
mod tokens;

use std::collections::HashMap;
use std::ops::Range;

use self::entities::decode;
use self::tokens::{Dropped, Tag, Token, Tokens, attribute};
use super::plain::Plain;

/// What a page says.
#[derive(Debug, PartialEq)]
pub(super) struct Page {
    pub title: Option<String>,
    pub text: String,
}

/// The title and the text of a page; `base` is its address.
pub(super) fn page(html: &str, base: Option<&str>) -> Page {
    let survey = Survey::of(html);
    let region = survey.region();
    let dropped = |place: usize| survey.dropped.iter().any(|(range, _)| range.start < place && place < range.end);
    let headings = || survey.headings.iter().filter(|h| !line(html, h).is_empty());
    // A heading of the shop's banner is none of the page, one of the article's own banner is. Pages have few: each is looked for among
    // all that is left out.
    let focused = survey.main.is_some() || !survey.articles.is_empty();
    let inside = headings().filter(|h| region.contains(&h.start)).take(20).find(|h| focused || !dropped(h.start));
    let heading = inside.or_else(|| headings().take(20).find(|h| !dropped(h.start)));
    let document = survey.title.map(|title| decode(title).split_whitespace().collect::<Vec<_>>().join(" ")).filter(|t| !t.is_empty());
    let title = heading.map(|h| line(html, h)).or(document).or_else(|| headings().next().map(|h| line(html, h)));

    let write = |drop: &dyn Fn(Dropped) -> bool| {
        let mut ranges: Vec<_> = survey.dropped.iter().filter(|(_, what)| drop(*what)).map(|(range, _)| range.clone()).collect();
        ranges.extend(inside.cloned());
        let mut plain = Plain::new(base);
        render(html, region.clone(), ranges, &mut plain);
        plain.finish()
    };
    let mut text = write(&|_| true);
    if text.is_empty() {
        // Some frameworks put the whole page into one form.
        text = write(&|what| what != Dropped::Form);
    }
    Page { title, text }
}

/// The text of a fragment, headings and all.
pub(super) fn text(html: &str, base: Option<&str>) -> String {
    let mut plain = Plain::new(base);
    write(html, &mut plain);
    plain.finish()
}

/// Writes a fragment into a text.
pub(super) fn write(html: &str, plain: &mut Plain) {
    let dropped = Survey::of(html).dropped.into_iter().map(|(range, _)| range).collect();
    render(html, 0..html.len(), dropped, plain);
}

/// A part of the page as one line without addresses.
fn line(html: &str, range: &Range<usize>) -> String {
    let html = &html[range.clone()];
    let dropped: HashMap<usize, usize> = Survey::of(html).dropped.into_iter().map(|(range, _)| (range.start, range.end)).collect();
    let mut out = Plain::new(None);
    let mut tokens = Tokens::new(html, 0..html.len());
    while let Some((place, token)) = tokens.next() {
        if let Some(&end) = dropped.get(&place.start) {
            tokens.at = end;
            continue;
        }
        match token {
            Token::Text(text) => out.text(&decode(text)),
            Token::Open(Tag::Image, attributes) => out.text(&attribute(attributes, "alt").unwrap_or_default()),
            Token::Open(Tag::Break, _) => out.text(" "),
            _ => {}
        }
    }
    out.finish()
}

/// Where things are in a page.
#[derive(Default)]
struct Survey<'a> {
    length: usize,
    title: Option<&'a str>,
    headings: Vec<Range<usize>>,
    body: Option<Range<usize>>,
    main: Option<Range<usize>>,
    articles: Vec<Range<usize>>,
    dropped: Vec<(Range<usize>, Dropped)>,
}

impl<'a> Survey<'a> {
    fn of(html: &'a str) -> Self {
        let mut survey = Survey { length: html.len(), ..Survey::default() };
        let mut drops: [Vec<usize>; Dropped::COUNT] = std::array::from_fn(|_| Vec::new());
        let (mut mains, mut articles) = (Depth::default(), Depth::default());
        let mut heading: Option<usize> = None;
        for (range, token) in Tokens::new(html, 0..html.len()) {
            if let Some(start) = heading {
                let ends = match token {
                    Token::Open(Tag::Title | Tag::Heading, _) | Token::Close(Tag::Title | Tag::Heading) => true,
                    // The heading was not closed, unless there is nothing in it yet.
                    Token::Open(Tag::Paragraph | Tag::Bullets | Tag::Numbers | Tag::Table, _) => {
                        !html[start..range.start].trim().is_empty()
                    }
                    _ => false,
                };
                if ends {
                    survey.headings.push(start..range.start);
                    heading = None;
                }
            }
            match token {
                Token::Open(Tag::Title, _) => heading = Some(range.end),
                Token::Open(Tag::Dropped(what), attributes) if !attributes.ends_with('/') => drops[what as usize].push(range.start),
                Token::Close(Tag::Dropped(what)) => {
                    survey.dropped.extend(drops[what as usize].pop().map(|start| (start..range.end, what)));
                }
                Token::Open(Tag::Body, _) if survey.body.is_none() => survey.body = Some(range.end..html.len()),
                Token::Close(Tag::Body) => {
                    if let Some(body) = &mut survey.body {
                        body.end = range.start;
                    }
                }
                Token::Open(Tag::Main, _) => mains.open(range.end),
                Token::Close(Tag::Main) => survey.main = survey.main.or(mains.close(range.start)),
                Token::Open(Tag::Article, _) => articles.open(range.end),
                Token::Close(Tag::Article) => survey.articles.extend(articles.close(range.start)),
                // A drawing has titles, too.
                Token::DocumentTitle(title) if drops[Dropped::Svg as usize].is_empty() => {
                    survey.title.get_or_insert(title);
                }
                _ => {}
            }
        }
        survey.headings.extend(heading.map(|start| start..html.len()));
        survey.main = survey.main.or(mains.rest(html.len()));
        survey.articles.extend(articles.rest(html.len()));
        survey
    }

    /// What the page is about. Of several articles the longest is: the others are cards that lead elsewhere.
    fn region(&self) -> Range<usize> {
        let article = || self.articles.iter().max_by_key(|range| range.len()).cloned();
        self.main.clone().or_else(article).or(self.body.clone()).unwrap_or(0..self.length)
    }
}

/// The outermost of nested elements of one name.
#[derive(Default)]
struct Depth {
    open: usize,
    start: usize,
}

impl Depth {
    fn open(&mut self, at: usize) {
        if self.open == 0 {
            self.start = at;
        }
        self.open += 1;
    }

    fn close(&mut self, at: usize) -> Option<Range<usize>> {
        let ends = self.open == 1;
        self.open = self.open.saturating_sub(1);
        ends.then_some(self.start..at)
    }

    fn rest(&self, end: usize) -> Option<Range<usize>> {
        (self.open > 0).then_some(self.start..end)
    }
}

fn render(html: &str, region: Range<usize>, mut dropped: Vec<Range<usize>>, plain: &mut Plain) {
    // A range that began before the region lies around it.
    dropped.retain(|range| range.start >= region.start);
    dropped.sort_by_key(|range| range.start);
    let mut dropped = dropped.into_iter().peekable();
    let mut tokens = Tokens::new(html, region.clone());
    while let Some((place, token)) = tokens.next() {
        while dropped.next_if(|range| range.end <= place.start).is_some() {}
        if let Some(range) = dropped.next_if(|range| range.start <= place.start) {
            tokens.at = range.end.clamp(place.end, region.end);
            if matches!(token, Token::Open(Tag::Dropped(what), _) if what.is_block()) {
                plain.line();
            }
            continue;
        }
        match token {
            Token::Text(text) => plain.text(&decode(text)),
            Token::Open(tag, attributes) => open(tag, attributes, plain),
            Token::Close(tag) => close(tag, plain),
            Token::DocumentTitle(_) => {}
        }
    }
}

fn open(tag: Tag, attributes: &str, plain: &mut Plain) {
    match tag {
        Tag::Title | Tag::Heading => plain.heading(),
        Tag::Paragraph => plain.block(),
        Tag::Html | Tag::Body | Tag::Main | Tag::Article | Tag::Part => plain.line(),
        Tag::Dropped(what) if what.is_block() => plain.line(),
        Tag::Bullets => plain.list(None),
        Tag::Numbers => {
            let first = attribute(attributes, "start").and_then(|n| n.trim().parse().ok());
            plain.list(Some(first.unwrap_or(1)));
        }
        Tag::Item => plain.item(),
        Tag::Table => plain.table(),
        Tag::Row => plain.row(),
        Tag::Cell => plain.cell(),
        Tag::Code => plain.code(),
        Tag::Link => plain.link(&attribute(attributes, "href").unwrap_or_default()),
        Tag::Image => plain.text(&attribute(attributes, "alt").unwrap_or_default()),
        Tag::Break => plain.line_break(),
        Tag::Dropped(_) | Tag::Inline => {}
    }
}

fn close(tag: Tag, plain: &mut Plain) {
    match tag {
        Tag::Title | Tag::Heading => plain.heading_end(),
        Tag::Paragraph => plain.block(),
        Tag::Html | Tag::Body | Tag::Main | Tag::Article | Tag::Part => plain.line(),
        Tag::Dropped(what) if what.is_block() => plain.line(),
        Tag::Bullets | Tag::Numbers => plain.list_end(),
        Tag::Item => plain.item_end(),
        Tag::Table => plain.table_end(),
        Tag::Row => plain.row_end(),
        Tag::Code => plain.code_end(),
        Tag::Link => plain.link_end(),
        Tag::Dropped(_) | Tag::Cell | Tag::Image | Tag::Break | Tag::Inline => {}
    }
}

#[cfg(test)]
mod tests;
