//! HTML as a row of tags and texts, whatever the bytes: every character is looked at a bounded number of times.
//!
//! A tree is not built. Builders that follow the standard to the letter take time and memory by the square of the page where tags nest
//! without end (html5ever 0.40: for four times as many `<ul><li>` eighteen times as long; 83 KB of `<font color=1><p>` make eight million
//! nodes), and pages come from strangers. For plain text the order of the tags says enough. The standard's tokeniser is followed in what
//! real pages need: quoted attributes, comments, raw texts; CDATA and the states of broken attributes are not told apart.

use std::borrow::Cow;
use std::ops::Range;

/// What a tag means for plain text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tag {
    Html,
    Body,
    Main,
    Article,
    /// Left out with all that is in it.
    Dropped(Dropped),
    /// `<h1>`, and the lower ones.
    Title,
    Heading,
    Paragraph,
    /// Begins a line, ends a line.
    Part,
    Bullets,
    Numbers,
    Item,
    Table,
    Row,
    Cell,
    Code,
    Link,
    Image,
    Break,
    /// Changes the look of a text, or is unknown.
    Inline,
}

/// Elements that are left out whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dropped {
    Head,
    Nav,
    Header,
    Footer,
    Form,
    Svg,
    Template,
    Button,
    Select,
    Media,
}

impl Dropped {
    pub const COUNT: usize = Dropped::Media as usize + 1;

    /// Whether what is before it and what follows stand on lines of their own.
    pub fn is_block(self) -> bool {
        matches!(self, Dropped::Head | Dropped::Nav | Dropped::Header | Dropped::Footer | Dropped::Form)
    }
}

#[derive(Debug, PartialEq)]
pub(super) enum Token<'a> {
    /// As it is written, with its entities.
    Text(&'a str),
    /// With its attributes as they are written.
    Open(Tag, &'a str),
    Close(Tag),
    /// What stands between `<title>` and `</title>`.
    DocumentTitle(&'a str),
}

/// The longest name that means something here.
const LONGEST: usize = 10;

fn tag(name: &str) -> Tag {
    let mut lower = [0u8; LONGEST];
    let Some(lower) = lower.get_mut(..name.len()) else { return Tag::Inline };
    lower.copy_from_slice(name.as_bytes());
    lower.make_ascii_lowercase();
    match &*lower {
        b"html" => Tag::Html,
        b"body" => Tag::Body,
        b"main" => Tag::Main,
        b"article" => Tag::Article,
        b"head" => Tag::Dropped(Dropped::Head),
        b"nav" => Tag::Dropped(Dropped::Nav),
        b"header" => Tag::Dropped(Dropped::Header),
        b"footer" => Tag::Dropped(Dropped::Footer),
        b"form" => Tag::Dropped(Dropped::Form),
        b"svg" => Tag::Dropped(Dropped::Svg),
        b"template" => Tag::Dropped(Dropped::Template),
        b"button" => Tag::Dropped(Dropped::Button),
        b"select" => Tag::Dropped(Dropped::Select),
        b"audio" | b"video" | b"canvas" | b"object" => Tag::Dropped(Dropped::Media),
        b"h1" => Tag::Title,
        b"h2" | b"h3" | b"h4" | b"h5" | b"h6" => Tag::Heading,
        b"p" | b"blockquote" | b"figure" | b"fieldset" | b"hr" | b"dl" | b"center" => Tag::Paragraph,
        b"div" | b"section" | b"aside" | b"dt" | b"dd" | b"details" | b"summary" | b"figcaption" | b"caption" | b"address" | b"legend" => {
            Tag::Part
        }
        b"ul" | b"menu" | b"dir" => Tag::Bullets,
        b"ol" => Tag::Numbers,
        b"li" => Tag::Item,
        b"table" => Tag::Table,
        b"tr" => Tag::Row,
        b"td" | b"th" => Tag::Cell,
        b"pre" | b"listing" => Tag::Code,
        b"a" => Tag::Link,
        b"img" => Tag::Image,
        b"br" => Tag::Break,
        _ => Tag::Inline,
    }
}

/// Elements whose content is no HTML: it goes on to the closing tag, whatever it holds.
const RAW: [&str; 9] = ["script", "style", "iframe", "noscript", "textarea", "xmp", "noembed", "noframes", "title"];

/// Reads from `at` to `end`, which lie between tags.
pub(super) struct Tokens<'a> {
    html: &'a str,
    pub at: usize,
    end: usize,
}

impl<'a> Tokens<'a> {
    pub fn new(html: &'a str, range: Range<usize>) -> Self {
        Tokens { html, at: range.start, end: range.end }
    }

    fn rest(&self) -> &'a str {
        &self.html[self.at..self.end]
    }

    /// Moves behind the first of a text, else to the end.
    fn pass(&mut self, text: &str) {
        self.at = self.rest().find(text).map_or(self.end, |found| self.at + found + text.len());
    }

    /// The attributes of the tag whose name has been read, and moves behind it.
    fn attributes(&mut self) -> &'a str {
        let rest = self.rest();
        let mut quote = None;
        // A quote counts where a value begins; elsewhere it is a letter like any other.
        let mut value = false;
        for (at, byte) in rest.bytes().enumerate() {
            match (quote, byte) {
                (Some(open), _) if open == byte => quote = None,
                (Some(_), _) => {}
                (None, b'>') => {
                    self.at += at + 1;
                    return &rest[..at];
                }
                (None, b'"' | b'\'') if value => (quote, value) = (Some(byte), false),
                (None, b'=') => value = true,
                (None, _) => value = value && byte.is_ascii_whitespace(),
            }
        }
        self.at = self.end;
        ""
    }

    /// What stands before the closing tag of this name, and moves behind that.
    fn raw(&mut self, name: &str) -> &'a str {
        let rest = self.rest();
        let mut from = 0;
        while let Some(found) = rest[from..].find("</") {
            let open = from + found;
            from = open + 2;
            let after = &rest.as_bytes()[from..];
            let ends = after.get(name.len()).is_none_or(|b| b.is_ascii_whitespace() || matches!(b, b'>' | b'/'));
            if ends && after.get(..name.len()).is_some_and(|n| n.eq_ignore_ascii_case(name.as_bytes())) {
                self.at += from + name.len();
                self.attributes();
                return &rest[..open];
            }
        }
        self.at = self.end;
        rest
    }

    /// The tag that begins here; `None` where it is a comment or the like, which is passed.
    fn markup(&mut self) -> Option<Token<'a>> {
        let rest = self.rest();
        if rest.starts_with("<!--") {
            // `<!-->` and `<!--->` are whole comments.
            self.at += 2;
            self.pass(if rest.starts_with("<!-->") || rest.starts_with("<!--->") { ">" } else { "-->" });
            return None;
        }
        let closing = rest.starts_with("</");
        let name = &rest[1 + usize::from(closing)..];
        if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
            self.pass(">");
            return None;
        }
        let name = &name[..name.find(|c: char| c.is_ascii_whitespace() || c == '/' || c == '>').unwrap_or(name.len())];
        self.at += 1 + usize::from(closing) + name.len();
        let attributes = self.attributes();
        if closing {
            return Some(Token::Close(tag(name)));
        }
        let raw = RAW.into_iter().find(|raw| raw.eq_ignore_ascii_case(name));
        match raw {
            Some("title") => Some(Token::DocumentTitle(self.raw("title"))),
            Some(raw) => {
                self.raw(raw);
                None
            }
            None => Some(Token::Open(tag(name), attributes)),
        }
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = (Range<usize>, Token<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        while self.at < self.end {
            let begin = self.at;
            let rest = self.rest();
            let text = text_length(rest);
            if text > 0 {
                self.at += text;
                return Some((begin..self.at, Token::Text(&rest[..text])));
            }
            if let Some(token) = self.markup() {
                return Some((begin..self.at, token));
            }
        }
        None
    }
}

/// Where markup begins; a `<` before a space or a number is text.
fn text_length(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let markup = |at: usize| bytes.get(at + 1).is_some_and(|next| next.is_ascii_alphabetic() || matches!(next, b'/' | b'!' | b'?'));
    rest.match_indices('<').map(|(at, _)| at).find(|&at| markup(at)).unwrap_or(rest.len())
}

/// The value of an attribute, its entities decoded.
pub(super) fn attribute<'a>(attributes: &'a str, name: &str) -> Option<Cow<'a, str>> {
    let mut rest = attributes;
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '/');
        let end = rest.find(|c: char| c.is_ascii_whitespace() || c == '=' || c == '/').unwrap_or(rest.len());
        if rest.is_empty() {
            return None;
        }
        // A name may begin with the equals sign of a broken tag: it moves on all the same.
        let (found, after) = rest.split_at(end.max(rest.chars().next().map_or(0, char::len_utf8)));
        let Some(value) = after.trim_start().strip_prefix('=') else {
            rest = after;
            continue;
        };
        let value = value.trim_start();
        let quote = value.chars().next().filter(|&c| c == '"' || c == '\'');
        let (value, after) = match quote {
            Some(quote) => value[1..].split_once(quote).unwrap_or((&value[1..], "")),
            None => value.split_at(value.find(|c: char| c.is_ascii_whitespace()).unwrap_or(value.len())),
        };
        if found.eq_ignore_ascii_case(name) {
            return Some(super::entities::decode(value));
        }
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(html: &str) -> Vec<Token<'_>> {
        Tokens::new(html, 0..html.len()).map(|(_, token)| token).collect()
    }

    #[test]
    fn tags_texts_and_what_is_passed_over() {
        let html =
            "<!DOCTYPE html><!-- <p> --><!--><P Class='a>b'>1 < 2 &amp; <b>3</b><script>if (a</b>) '</scripty>'</SCRIPT ></p><?php x?></>";
        let expect = [
            Token::Open(Tag::Paragraph, " Class='a>b'"),
            Token::Text("1 < 2 &amp; "),
            Token::Open(Tag::Inline, ""),
            Token::Text("3"),
            Token::Close(Tag::Inline),
            Token::Close(Tag::Paragraph),
        ];
        assert_eq!(all(html), expect);
    }

    #[test]
    fn what_never_closes_ends_with_the_text() {
        for html in ["a<", "a<!-- b", "a<p class=\"", "a<script>b", "a</", "a<a href='", "a<!", "a<p"] {
            let tokens = all(html);
            assert!(tokens.len() <= 2 && matches!(tokens[0], Token::Text("a" | "a<")), "{html}: {tokens:?}");
        }
        assert_eq!(all("<title>甲&amp;乙"), [Token::DocumentTitle("甲&amp;乙")]);
    }

    #[test]
    fn attributes_are_found_in_any_spelling() {
        for (attributes, expect) in [
            (" href=\"/a?b=1&amp;c=2\"", Some("/a?b=1&c=2")),
            (" class=x HREF = '甲 乙' /", Some("甲 乙")),
            (" data-href=no href=yes", Some("yes")),
            (" title='href=no' disabled", None),
            (" = href=a", Some("a")),
            (" href", None),
            (" href=\"open", Some("open")),
        ] {
            assert_eq!(attribute(attributes, "href").as_deref(), expect, "{attributes}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_to_its_end(html in "(<|>|/|!|-|\"|'|=|&|;|#|[a-c甲]| |<p|</p>|<script>|<!--|-->|</title>|<title>|<a href=){0,60}") {
            let mut last = 0;
            for (range, _) in Tokens::new(&html, 0..html.len()) {
                prop_assert!(range.start >= last && range.start < range.end && range.end <= html.len());
                last = range.end;
            }
            attribute(&html, "href");
        }
    }
}
