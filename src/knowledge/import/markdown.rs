//! Markdown (CommonMark with GitHub's tables, task lists and footnotes) as plain text, with its front matter.

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};
use serde_yaml_ng::{Mapping, Value};

use super::html;
use super::plain::Plain;

/// What a Markdown file says.
#[derive(Debug, Default)]
pub(super) struct Document {
    pub front: Front,
    /// The first heading; it is no part of the text where that begins with it.
    pub heading: Option<String>,
    pub text: String,
}

/// The front matter's keys that an article knows; the others are passed over.
#[derive(Debug, Default)]
pub(super) struct Front {
    pub title: Option<String>,
    pub id: Option<String>,
    pub lang: Option<String>,
    pub category: Option<String>,
    pub intent: Option<String>,
    pub audience: Option<String>,
    pub valid_from: Option<String>,
    pub valid_until: Option<String>,
    pub translation_of: Option<String>,
    pub draft: bool,
}

/// # Errors
/// Front matter that is no YAML, or holds a list where a text belongs; for people.
pub(super) fn read(source: &str) -> Result<Document, String> {
    let (front, body) = match front_matter(source) {
        Some((yaml, body)) => match parse(yaml)? {
            Some(front) => (front, body),
            None => (Front::default(), source),
        },
        None => (Front::default(), source),
    };
    let mut writer = Writer::new(front.title.as_deref());
    writer.write(body);
    let (heading, text) = (writer.heading, writer.plain.finish());
    Ok(Document { front, heading, text })
}

/// The plain text of Markdown without front matter, all headings kept.
pub(super) fn text(source: &str) -> String {
    let mut writer = Writer::new(None);
    writer.keep_headings = true;
    writer.write(source);
    writer.plain.finish()
}

/// The YAML between two lines of `---` at the beginning, and what follows.
fn front_matter(source: &str) -> Option<(&str, &str)> {
    let open = source.lines().next()?;
    if open.trim_end() != "---" {
        return None;
    }
    let begin = source.find('\n')? + 1;
    let mut at = begin;
    for line in source[begin..].split_inclusive('\n') {
        if matches!(line.trim_end(), "---" | "...") {
            return Some((&source[begin..at], &source[at + line.len()..]));
        }
        at += line.len();
    }
    None
}

/// `None` where it is no mapping: then the lines were rules, and what is between them is text.
fn parse(yaml: &str) -> Result<Option<Front>, String> {
    let value: Value = serde_yaml_ng::from_str(yaml).map_err(|e| {
        let why = e.to_string();
        let why = why.split(" at line ").next().unwrap_or_default();
        // The first line of the file is the one of dashes.
        let line = e.location().map_or_else(String::new, |l| format!("line {}: ", l.line() + 1));
        format!("{line}the front matter is no YAML ({why}): put values that hold a colon into quotes")
    })?;
    let map = match value {
        Value::Mapping(map) => map,
        Value::Null => return Ok(Some(Front::default())),
        _ => return Ok(None),
    };
    let get = |key: &str| scalar(&map, key);
    let yes = |key: &str| map.get(key).and_then(Value::as_bool);
    Ok(Some(Front {
        title: get("title")?,
        id: get("id")?,
        lang: get("lang")?,
        category: get("category")?,
        intent: get("intent")?,
        audience: get("audience")?,
        valid_from: get("valid_from")?,
        valid_until: get("valid_until")?,
        translation_of: get("translation_of")?,
        draft: yes("draft") == Some(true) || yes("published") == Some(false),
    }))
}

fn scalar(map: &Mapping, key: &str) -> Result<Option<String>, String> {
    Ok(match map.get(key) {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text.trim().to_owned()).filter(|t| !t.is_empty()),
        Some(Value::Number(number)) => Some(number.to_string()),
        Some(Value::Bool(yes)) => Some(yes.to_string()),
        Some(_) => return Err(format!("`{key}` in the front matter holds several values: write one")),
    })
}

/// The first heading waits in a text of its own until it is known whether it is the title.
struct Writer<'a> {
    plain: Plain<'static>,
    first: Option<Plain<'static>>,
    heading: Option<String>,
    front_title: Option<&'a str>,
    keep_headings: bool,
    /// An HTML block comes line by line.
    html: Option<String>,
}

impl<'a> Writer<'a> {
    fn new(front_title: Option<&'a str>) -> Self {
        Writer { plain: Plain::new(None), first: None, heading: None, front_title, keep_headings: false, html: None }
    }

    fn write(&mut self, source: &str) {
        let github = Options::ENABLE_TABLES | Options::ENABLE_FOOTNOTES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
        // `> [!NOTE]` and `## Heading {#anchor}`: marks that are no text.
        let options = github | Options::ENABLE_GFM | Options::ENABLE_HEADING_ATTRIBUTES;
        for event in Parser::new_ext(source, options) {
            self.event(event);
        }
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Start(Tag::Heading { .. }) if self.heading.is_none() && self.first.is_none() && !self.keep_headings => {
                self.first = Some(Plain::new(None));
            }
            Event::End(TagEnd::Heading(_)) if self.first.is_some() => self.first_heading(),
            // A title is one line without addresses.
            Event::Start(Tag::Link { .. }) | Event::End(TagEnd::Link) if self.first.is_some() => {}
            Event::Start(Tag::HtmlBlock) => self.html = Some(String::new()),
            Event::End(TagEnd::HtmlBlock) => {
                let block = self.html.take().unwrap_or_default();
                html::write(&block, self.target());
            }
            Event::Html(part) => match &mut self.html {
                Some(block) => block.push_str(&part),
                None => html::write(&part, self.target()),
            },
            other => write(other, self.target()),
        }
    }

    fn target(&mut self) -> &mut Plain<'static> {
        self.first.as_mut().unwrap_or(&mut self.plain)
    }

    fn first_heading(&mut self) {
        let Some(text) = self.first.take().map(Plain::finish).filter(|t| !t.is_empty()) else { return };
        let is_title = self.front_title.is_none_or(|title| title == text);
        if !self.plain.is_empty() || !is_title {
            self.plain.heading();
            self.plain.text(&text);
            self.plain.heading_end();
        }
        self.heading = Some(text);
    }
}

fn write(event: Event, plain: &mut Plain) {
    match event {
        Event::Start(tag) => match tag {
            Tag::Heading { .. } => plain.heading(),
            Tag::CodeBlock(_) => plain.code(),
            Tag::List(first) => plain.list(first),
            Tag::Item => plain.item(),
            Tag::Table(_) => plain.table(),
            Tag::TableHead | Tag::TableRow => plain.row(),
            Tag::TableCell => plain.cell(),
            Tag::Link { dest_url, .. } => plain.link(&dest_url),
            Tag::FootnoteDefinition(label) => plain.note(&label),
            Tag::Paragraph | Tag::BlockQuote(_) => plain.block(),
            // An image's text is what stands between its brackets, and comes as text.
            _ => {}
        },
        Event::End(tag) => match tag {
            TagEnd::Heading(_) => plain.heading_end(),
            TagEnd::CodeBlock => plain.code_end(),
            TagEnd::List(_) => plain.list_end(),
            TagEnd::Item => plain.item_end(),
            TagEnd::Table => plain.table_end(),
            TagEnd::TableHead | TagEnd::TableRow => plain.row_end(),
            TagEnd::Link => plain.link_end(),
            TagEnd::Paragraph | TagEnd::BlockQuote(_) | TagEnd::FootnoteDefinition => plain.block(),
            _ => {}
        },
        Event::Text(text) | Event::Code(text) | Event::InlineMath(text) | Event::DisplayMath(text) => plain.text(&text),
        Event::Html(part) | Event::InlineHtml(part) => html::write(&part, plain),
        Event::FootnoteReference(label) => plain.text(&format!("[{label}]")),
        Event::SoftBreak => plain.text("\n"),
        Event::HardBreak => plain.line_break(),
        Event::Rule => plain.block(),
        Event::TaskListMarker(done) => plain.text(if done { "[x] " } else { "[ ] " }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(source: &str) -> String {
        text(source)
    }

    #[test]
    fn marks_become_plain_text() {
        let source = "# 退货\n\n七天内**可退**，\n吊牌要在。\n\n- 衣服\n- 鞋\n  1. 盒子\n  2. 鞋垫\n\n```sh\ncurl a\n\n  -x\n```\n\n> 例外见\n> [这里](https://shop.cn/x)。";
        let expect =
            "## 退货\n\n七天内可退，吊牌要在。\n\n- 衣服\n- 鞋\n  1. 盒子\n  2. 鞋垫\n\ncurl a\n\n  -x\n\n例外见这里 (https://shop.cn/x)。";
        assert_eq!(plain(source), expect);
    }

    #[test]
    fn tables_links_images_and_html() {
        let source = "| Country | Cost |\n|---|---:|\n| Japan | **80** |\n| | 90 |\n\nSee <https://a.cn/b> or [mail](mailto:x@a.cn)[.](javascript:x)\n![size chart](s.png)<br>Done &copy; [rel](b.md)";
        let expect = "Country | Cost\nJapan | 80\n| 90\n\nSee https://a.cn/b or mail (x@a.cn). size chart\nDone © rel";
        assert_eq!(plain(source), expect);
    }

    #[test]
    fn marks_of_other_dialects_are_no_text() {
        assert_eq!(
            plain("## 运费 {#cost}\n\n> [!NOTE]\n> 偏远地区另计[^1]。\n\n[^1]: 西藏。"),
            "## 运费\n\n偏远地区另计[1]。\n\n[1] 西藏。"
        );
    }

    #[test]
    fn loose_lists_are_written_close() {
        assert_eq!(plain("3. one\n\n   more\n\n4. two\n\n- [x] done\n- [ ] open"), "3. one\n  more\n4. two\n\n- [x] done\n- [ ] open");
    }

    #[test]
    fn html_blocks_are_read_as_html() {
        let source = "<details>\n<summary>能退吗？</summary>\n\n**能**。\n\n</details>\n\n<script>alert(1)</script>\n\n<!-- 内部 -->";
        assert_eq!(plain(source), "能退吗？\n\n能。");
    }

    #[test]
    fn the_first_heading_is_the_title_and_said_once() {
        let doc = read("# How to [return](https://a.cn)\n\nText.\n\n## Second\n\nMore.").unwrap();
        assert_eq!(doc.heading.as_deref(), Some("How to return"));
        assert_eq!(doc.text, "Text.\n\n## Second\n\nMore.");
        let doc = read("Before.\n\n# Late\n\nText.").unwrap();
        assert_eq!((doc.heading.as_deref(), doc.text.as_str()), (Some("Late"), "Before.\n\n## Late\n\nText."));
        assert_eq!(read("---\ntitle: A\n---\n# A\n\nx").unwrap().text, "x");
        assert_eq!(read("---\ntitle: A\n---\n# B\n\nx").unwrap().text, "## B\n\nx");
    }

    #[test]
    fn front_matter_is_read_and_broken_front_matter_is_named() {
        let doc = read("---\ntitle: \"退货: 怎么退\"\nid: 12\nlang: zh-CN\ntags: [a, b]\nvalid_from: 2026-01-31\ndraft: true\n---\n正文")
            .unwrap();
        assert_eq!(doc.front.title.as_deref(), Some("退货: 怎么退"));
        assert_eq!((doc.front.id.as_deref(), doc.front.valid_from.as_deref()), (Some("12"), Some("2026-01-31")));
        assert!(doc.front.draft && doc.text == "正文");
        let fault = read("---\ntitle: a: b\n---\nx").unwrap_err();
        assert!(fault.contains("no YAML") && fault.contains("quotes") && fault.starts_with("line 2"), "{fault}");
        assert!(read("---\ntitle: [a]\n---\nx").unwrap_err().contains("`title`"));
    }

    #[test]
    fn rules_are_no_front_matter() {
        let doc = read("---\nonly text\n---\nmore").unwrap();
        assert_eq!((doc.heading.as_deref(), doc.text.as_str()), (Some("only text"), "more"));
        assert_eq!(read("---\ntitle: a").unwrap().text, "title: a");
        assert_eq!(read("---\n---\nx").unwrap().text, "x");
    }
}
