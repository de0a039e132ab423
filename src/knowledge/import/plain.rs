//! Plain text out of marked-up text: the one place that knows what a paragraph, a list, a table or a link becomes.
//!
//! White space folds as a browser folds it. Breaks are owed until the next character comes, so that marks without text leave nothing
//! behind. Nothing here recurses; every call takes time in proportion to its text.

use super::link;
use crate::knowledge::pieces::HEADING;
use crate::text::is_han;

/// What is owed before the next character; of two debts the larger one counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Gap {
    None,
    Space,
    /// A line break of the source: a space, but nothing between Chinese characters.
    Fold,
    Line,
    Block,
}

/// What the next line begins with.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Mark {
    None,
    Heading,
    Bullet,
    Number(u64),
}

#[derive(Debug)]
struct Link {
    url: String,
    /// Where its text begins, once there is any.
    start: Option<usize>,
}

/// Indentation of lists ends at this depth, else a page of nothing but lists would become as long as its square.
const DEEPEST: usize = 6;

/// A text as it is being written.
#[derive(Debug)]
pub(super) struct Plain<'a> {
    /// The address that relative links start from.
    base: Option<&'a str>,
    out: String,
    gap: Gap,
    mark: Mark,
    /// The open lists, the innermost last, each with the number of its next item.
    lists: Vec<Option<u64>>,
    link: Option<Link>,
    /// Cells that the row has so far.
    row: Option<usize>,
    row_is_empty: bool,
    /// Bars between cells that are owed.
    bars: usize,
    in_heading: bool,
    in_code: bool,
    /// Line breaks of code that are owed.
    code_lines: usize,
    /// A heading, a cell or an item has begun and holds nothing yet.
    fresh: bool,
    /// A heading, a list or code has just ended: what follows stands on a line of its own, even in a table.
    apart: bool,
}

impl<'a> Plain<'a> {
    pub fn new(base: Option<&'a str>) -> Self {
        Plain {
            base,
            out: String::new(),
            gap: Gap::None,
            mark: Mark::None,
            lists: Vec::new(),
            link: None,
            row: None,
            row_is_empty: false,
            bars: 0,
            in_heading: false,
            in_code: false,
            code_lines: 0,
            fresh: false,
            apart: false,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    pub fn finish(mut self) -> String {
        self.link_end();
        self.out.truncate(self.out.trim_end().len());
        self.out
    }

    pub fn text(&mut self, text: &str) {
        for c in text.chars() {
            if self.in_code && (c == '\n' || c == '\t' || c == ' ') {
                match c {
                    // The break behind the opening tag is no part of the code.
                    '\n' => self.code_lines += usize::from(!self.fresh),
                    _ => self.push(c),
                }
            } else if c.is_whitespace() {
                self.gap = self.gap.max(if c == '\n' { Gap::Fold } else { Gap::Space });
            } else if !c.is_control() && !is_void(c) {
                self.push(c);
            }
        }
    }

    fn push(&mut self, c: char) {
        self.settle(c);
        self.out.push(c);
        (self.fresh, self.row_is_empty, self.apart) = (false, false, false);
    }

    fn settle(&mut self, next: char) {
        let old = self.out.chars().next_back();
        self.out.push_str(match self.gap {
            Gap::Line if old.is_some() => "\n",
            Gap::Block if old.is_some() => "\n\n",
            _ => "",
        });
        if old.is_none() || self.gap >= Gap::Line {
            self.begin_line();
            (0..self.bars).for_each(|_| self.out.push_str("| "));
        } else if self.bars > 0 {
            (0..self.bars).for_each(|_| self.out.push_str(" |"));
            self.out.push(' ');
        } else if self.code_lines > 0 {
            (0..self.code_lines).for_each(|_| self.out.push('\n'));
        } else if self.gap == Gap::Space || (self.gap == Gap::Fold && !(old.is_some_and(is_chinese) && is_chinese(next))) {
            self.out.push(' ');
        }
        (self.gap, self.bars, self.code_lines) = (Gap::None, 0, 0);
        if let Some(link) = &mut self.link {
            link.start.get_or_insert(self.out.len());
        }
    }

    fn begin_line(&mut self) {
        // A marked line is indented by the lists around its own, one that goes on by its own, too.
        let depth = self.lists.len() - usize::from(self.mark != Mark::None && !self.lists.is_empty());
        (0..depth.min(DEEPEST)).for_each(|_| self.out.push_str("  "));
        match std::mem::replace(&mut self.mark, Mark::None) {
            Mark::None => {}
            Mark::Heading => self.out.push_str(HEADING),
            Mark::Bullet => self.out.push_str("- "),
            Mark::Number(n) => self.out.push_str(&format!("{n}. ")),
        }
    }

    /// A paragraph begins or ends.
    pub fn block(&mut self) {
        self.part(Gap::Block);
    }

    /// What follows stands on a line of its own.
    pub fn line(&mut self) {
        self.part(Gap::Line);
    }

    fn part(&mut self, gap: Gap) {
        if self.fresh {
            return;
        }
        if self.in_heading {
            return self.heading_end();
        }
        self.owe(match self.row {
            // Paragraphs within a cell would tear its row apart; a first cell may be all that a page's layout has.
            Some(cells) if cells > 1 => Gap::Space,
            _ if !self.lists.is_empty() => gap.min(Gap::Line),
            _ => gap,
        });
    }

    fn owe(&mut self, gap: Gap) {
        self.gap = self.gap.max(gap);
    }

    /// A line break in a text.
    pub fn line_break(&mut self) {
        if self.in_code {
            return self.text("\n");
        }
        let flows = self.in_heading || self.row.is_some_and(|cells| cells > 1);
        self.owe(if flows || self.fresh { Gap::Space } else { Gap::Line });
    }

    pub fn heading(&mut self) {
        self.heading_end();
        // The heading of a list's item is the item's first line.
        if self.lists.is_empty() {
            self.owe(Gap::Block);
            (self.mark, self.in_heading, self.fresh) = (Mark::Heading, true, true);
        } else {
            self.line();
        }
    }

    pub fn heading_end(&mut self) {
        if self.in_heading {
            self.in_heading = false;
            self.end_apart(Gap::Block);
        } else {
            self.line();
        }
    }

    fn end_apart(&mut self, gap: Gap) {
        (self.mark, self.fresh, self.apart) = (Mark::None, false, true);
        self.owe(gap);
    }

    /// A list begins, with the number of its first item.
    pub fn list(&mut self, first: Option<u64>) {
        self.part(Gap::Block);
        self.lists.push(first);
    }

    pub fn list_end(&mut self) {
        if self.lists.pop().is_some() {
            self.end_apart(if self.lists.is_empty() { Gap::Block } else { Gap::Line });
        }
    }

    pub fn item(&mut self) {
        if self.in_heading {
            self.heading_end();
        }
        self.mark = match self.lists.last_mut() {
            Some(Some(next)) => {
                let number = *next;
                *next = next.saturating_add(1);
                Mark::Number(number)
            }
            _ => Mark::Bullet,
        };
        self.owe(Gap::Line);
        self.fresh = true;
    }

    pub fn item_end(&mut self) {
        if self.fresh {
            (self.mark, self.fresh) = (Mark::None, false);
        }
    }

    /// A footnote's text begins, on the line of its label.
    pub fn note(&mut self, label: &str) {
        self.block();
        self.text(&format!("[{label}] "));
        self.fresh = true;
    }

    pub fn table(&mut self) {
        self.part(Gap::Block);
    }

    pub fn table_end(&mut self) {
        (self.row, self.bars, self.fresh) = (None, 0, false);
        self.part(Gap::Block);
    }

    pub fn row(&mut self) {
        self.row_end();
        (self.row, self.row_is_empty) = (Some(0), true);
    }

    pub fn row_end(&mut self) {
        (self.row, self.bars, self.fresh) = (None, 0, false);
        self.part(Gap::Line);
    }

    pub fn cell(&mut self) {
        let before = self.row.unwrap_or(0);
        self.row = Some(before + 1);
        if before > 0 && !self.apart {
            self.bars += 1;
            // The paragraph that ended with the cell before ends no row.
            if !self.row_is_empty {
                self.gap = Gap::None;
            }
        }
        self.fresh = true;
    }

    pub fn code(&mut self) {
        self.part(Gap::Block);
        (self.in_code, self.fresh) = (true, true);
    }

    pub fn code_end(&mut self) {
        if self.in_code {
            (self.in_code, self.code_lines) = (false, 0);
            self.end_apart(Gap::Block);
        }
    }

    /// A link begins; the one before ends.
    pub fn link(&mut self, url: &str) {
        self.link_end();
        self.link = link::shown(url, self.base).map(|url| Link { url, start: None });
    }

    /// The address is written behind the text where it says more.
    pub fn link_end(&mut self) {
        if let Some(Link { url, start: Some(start) }) = self.link.take()
            && !link::says(self.out[start..].trim(), &url)
        {
            self.out.push_str(" (");
            self.out.push_str(&url);
            self.out.push(')');
        }
    }
}

/// Characters that nobody sees; the joiners of emoji and of other scripts stay.
fn is_void(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}' | '\u{2060}' | '\u{feff}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn is_chinese(c: char) -> bool {
    is_han(c) || matches!(c, '\u{3000}'..='\u{303f}' | '\u{ff00}'..='\u{ffef}' | '“' | '”' | '…' | '—')
}
