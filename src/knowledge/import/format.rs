//! Which format a file is in: what its owner says, else its name, else what it begins with.

/// A format that articles come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Markdown, with YAML front matter or without.
    Markdown,
    /// A page of a site.
    Html,
    /// A table with a header, separated by commas, semicolons or tabs.
    Csv,
    /// Our own articles, a line each or as one list.
    Jsonl,
    /// Articles as Zendesk Guide's API lists them.
    Zendesk,
    /// Articles as Chatwoot's help centre lists them.
    Chatwoot,
}

impl Format {
    pub const ALL: [Format; 6] = [Format::Markdown, Format::Html, Format::Csv, Format::Jsonl, Format::Zendesk, Format::Chatwoot];

    pub fn as_str(self) -> &'static str {
        match self {
            Format::Markdown => "markdown",
            Format::Html => "html",
            Format::Csv => "csv",
            Format::Jsonl => "jsonl",
            Format::Zendesk => "zendesk",
            Format::Chatwoot => "chatwoot",
        }
    }
}

impl std::str::FromStr for Format {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        let known = || Format::ALL.map(Format::as_str).join(", ");
        Format::ALL.into_iter().find(|f| f.as_str() == s).ok_or_else(|| format!("unknown format {s:?}: use one of {}", known()))
    }
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a file is read. The three formats in JSON differ in their rows only, which tell themselves apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reader {
    Markdown,
    Html,
    Table,
    Json,
}

impl From<Format> for Reader {
    fn from(format: Format) -> Self {
        match format {
            Format::Markdown => Reader::Markdown,
            Format::Html => Reader::Html,
            Format::Csv => Reader::Table,
            Format::Jsonl | Format::Zendesk | Format::Chatwoot => Reader::Json,
        }
    }
}

/// The ending of a name, in small letters: `a/b.HTML` has `html`, `.hidden` none.
pub(super) fn ending(name: &str) -> Option<String> {
    let file = name.rsplit('/').next().unwrap_or_default();
    let (stem, ending) = file.rsplit_once('.')?;
    (!stem.is_empty() && !ending.is_empty()).then(|| ending.to_ascii_lowercase())
}

pub(super) fn by_ending(ending: &str) -> Option<Reader> {
    Some(match ending {
        "md" | "markdown" | "mdown" | "mkd" | "mdx" | "txt" | "text" => Reader::Markdown,
        "html" | "htm" | "xhtml" => Reader::Html,
        "csv" | "tsv" | "tab" => Reader::Table,
        "json" | "jsonl" | "ndjson" => Reader::Json,
        _ => return None,
    })
}

/// By the content type of an answer; `None` where it leaves the question open.
pub(super) fn by_type(content_type: &str) -> Option<Reader> {
    Some(match content_type {
        "text/html" | "application/xhtml+xml" => Reader::Html,
        "text/markdown" => Reader::Markdown,
        "text/csv" | "text/tab-separated-values" => Reader::Table,
        "application/json" | "application/x-ndjson" | "application/jsonl" => Reader::Json,
        _ => return None,
    })
}

/// By what a text begins with. Any text is Markdown.
pub(super) fn by_content(text: &str) -> Reader {
    let text = text.trim_start();
    let second = text.chars().skip(1).find(|c| !c.is_whitespace());
    match text.chars().next() {
        Some('{') if second == Some('"') => Reader::Json,
        Some('[') if matches!(second, Some('{')) => Reader::Json,
        Some('<') => Reader::Html,
        _ => Reader::Markdown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_both_ways() {
        for format in Format::ALL {
            assert_eq!(format.to_string().parse(), Ok(format));
        }
        assert!("docx".parse::<Format>().unwrap_err().contains("zendesk"));
    }

    #[test]
    fn a_file_is_known_by_its_ending_or_its_beginning() {
        assert_eq!(ending("a.b/C.HTML").as_deref(), Some("html"));
        assert_eq!((ending("a.b/c"), ending("x/.env"), ending("a.")), (None, None, None));
        assert_eq!((by_ending("tsv"), by_ending("docx")), (Some(Reader::Table), None));
        assert_eq!(by_type("application/json"), Some(Reader::Json));
        for (text, expect) in [
            (" <!doctype html>", Reader::Html),
            ("{\n\"articles\": []}", Reader::Json),
            ("[ {\"id\": 1}]", Reader::Json),
            ("[link](https://a.cn)", Reader::Markdown),
            ("{{ template }}", Reader::Markdown),
            ("", Reader::Markdown),
        ] {
            assert_eq!(by_content(text), expect, "{text}");
        }
    }
}
