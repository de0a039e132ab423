//! Where a text may be cut: at headings, between paragraphs, between sentences, and only then anywhere.
//!
//! The pieces are slices of the text, in its order; what lies between them is white space.

use std::ops::Range;

/// What a line begins with that is a heading.
pub(super) const HEADING: &str = "## ";

/// The heading that a line is.
pub(super) fn heading(line: &str) -> Option<&str> {
    line.strip_prefix(HEADING).map(str::trim).filter(|h| !h.is_empty())
}

/// Units that a text is made of, from the largest down.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Unit {
    /// A heading with what is below it.
    Section,
    Paragraph,
    Sentence,
}

/// How much a piece may hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limit {
    pub most: usize,
    pub weigh: fn(char) -> usize,
}

impl Limit {
    pub fn weight(&self, text: &str) -> usize {
        text.chars().map(self.weigh).sum()
    }
}

/// The text in as few pieces as fit, cut between units of this kind; a unit that does not fit is cut between smaller ones.
pub(super) fn cut<'a>(text: &'a str, unit: Unit, limit: &Limit) -> Vec<&'a str> {
    let mut pieces = Vec::new();
    let mut open: Option<(Range<usize>, usize)> = None;
    for next in units(text, unit) {
        if let Some((range, weight)) = &mut open {
            let more = limit.weight(&text[range.end..next.end]);
            if *weight + more <= limit.most {
                (range.end, *weight) = (next.end, *weight + more);
                continue;
            }
            pieces.push(&text[range.clone()]);
            open = None;
        }
        let weight = limit.weight(&text[next.clone()]);
        match unit {
            _ if weight <= limit.most => open = Some((next, weight)),
            Unit::Section => pieces.extend(cut(&text[next], Unit::Paragraph, limit)),
            Unit::Paragraph => pieces.extend(cut(&text[next], Unit::Sentence, limit)),
            Unit::Sentence => chop(&text[next], limit, &mut pieces),
        }
    }
    pieces.extend(open.map(|(range, _)| &text[range]));
    pieces
}

fn units(text: &str, unit: Unit) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut begin = 0;
    let mut end_at = |end: usize| {
        let inside = &text[begin..end];
        let start = begin + inside.len() - inside.trim_start().len();
        let trimmed = inside.trim();
        if !trimmed.is_empty() {
            found.push(start..start + trimmed.len());
        }
        begin = end;
    };
    match unit {
        Unit::Sentence => sentence_ends(text).into_iter().for_each(&mut end_at),
        Unit::Section | Unit::Paragraph => {
            let mut at = 0;
            for line in text.split_inclusive('\n') {
                let border = if unit == Unit::Section { heading(line).is_some() } else { line.trim().is_empty() };
                if border {
                    end_at(at);
                }
                at += line.len();
            }
        }
    }
    end_at(text.len());
    found
}

/// The text in pieces that fit, without regard to what it says: behind a line, else a word or a comma in a piece's second half.
fn chop<'a>(text: &'a str, limit: &Limit, pieces: &mut Vec<&'a str>) {
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (mut weight, mut end, mut line, mut word) = (0, 0, None, None);
        for (at, c) in rest.char_indices() {
            weight += (limit.weigh)(c);
            if weight > limit.most && at > 0 {
                break;
            }
            end = at + c.len_utf8();
            match c {
                '\n' => line = Some(end),
                _ if c.is_whitespace() || matches!(c, '，' | '、' | '：') => word = Some(end),
                _ => {}
            }
        }
        if end < rest.len() {
            end = line.or(word).filter(|&place| place > end / 2).or(word.filter(|&place| place > end / 2)).unwrap_or(end);
        }
        let (piece, after) = rest.split_at(end);
        pieces.push(piece.trim_end());
        rest = after.trim_start();
    }
}

/// Where sentences end, list items and rows of tables among them.
fn sentence_ends(text: &str) -> Vec<usize> {
    let mut ends = Vec::new();
    let mut line_start = 0;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '\n' => {
                let next = text[at + 1..].lines().next().unwrap_or_default();
                if is_item(next) || (is_row(&text[line_start..at]) && is_row(next)) {
                    ends.push(at + 1);
                }
                line_start = at + 1;
            }
            _ if is_stop(c) => {
                let (mut wide, mut last) = (is_wide_stop(c), at);
                while let Some((place, more)) = chars.next_if(|&(_, c)| is_stop(c) || is_closer(c)) {
                    (wide, last) = (wide || is_wide_stop(more), place + more.len_utf8() - 1);
                }
                let before_space = chars.peek().is_none_or(|(_, c)| c.is_whitespace());
                // A dot alone also ends list numbers and abbreviations.
                let ends_here = wide || (before_space && !(c == '.' && last == at && is_mark(text, line_start, at)));
                if ends_here {
                    ends.push(chars.peek().map_or(text.len(), |&(place, _)| place));
                }
            }
            _ => {}
        }
    }
    ends
}

fn is_wide_stop(c: char) -> bool {
    matches!(c, '。' | '！' | '？' | '；' | '…')
}

fn is_stop(c: char) -> bool {
    is_wide_stop(c) || matches!(c, '.' | '!' | '?')
}

fn is_closer(c: char) -> bool {
    matches!(c, '”' | '’' | '」' | '』' | '）' | '】' | '》' | ')' | ']' | '"' | '\'')
}

/// Whether the dot belongs to a list number (`12. `) or an abbreviation (`e.g. `, `J. `).
fn is_mark(text: &str, line_start: usize, dot: usize) -> bool {
    let before = &text[line_start..dot];
    // A few characters are enough; long words are not walked through again for each of their dots.
    let mut back = before.chars().rev();
    match back.next() {
        Some(c) if c.is_ascii_alphabetic() => back.next().is_none_or(|c| c == '.' || c.is_whitespace()),
        Some(c) if c.is_ascii_digit() => before.len() < 20 && before.trim_start().bytes().all(|b| b.is_ascii_digit()),
        _ => false,
    }
}

fn is_item(line: &str) -> bool {
    let line = line.trim_start();
    if ["- ", "* ", "• ", "· "].iter().any(|mark| line.starts_with(mark)) {
        return true;
    }
    let rest = line.trim_start_matches(|c: char| c.is_ascii_digit());
    let digits = line.len() - rest.len();
    (1..=3).contains(&digits) && [". ", ") ", "、", "）", "．"].iter().any(|mark| rest.starts_with(mark))
}

fn is_row(line: &str) -> bool {
    line.contains(" | ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn chars(most: usize) -> Limit {
        Limit { most, weigh: |_| 1 }
    }

    fn sentences(text: &str) -> Vec<&str> {
        units(text, Unit::Sentence).into_iter().map(|range| &text[range]).collect()
    }

    #[test]
    fn sentences_end_where_a_reader_would_end_them() {
        for (text, expect) in [
            ("七天内可退。吊牌要在！真的吗？", vec!["七天内可退。", "吊牌要在！", "真的吗？"]),
            ("他说：“可以退。”然后走了……好的", vec!["他说：“可以退。”", "然后走了……", "好的"]),
            ("屏幕3.5英寸，见https://a.cn/x.html?y=1。下一句", vec!["屏幕3.5英寸，见https://a.cn/x.html?y=1。", "下一句"]),
            ("It costs 3.50 EUR. See a.com/x. Really?! Yes.", vec!["It costs 3.50 EUR.", "See a.com/x.", "Really?!", "Yes."]),
            ("Use a card, e.g. Visa. J. Smith helps.", vec!["Use a card, e.g. Visa.", "J. Smith helps."]),
            ("1. Open the app.\n2. Tap Returns", vec!["1. Open the app.", "2. Tap Returns"]),
            ("步骤：\n- 打开\n- 点击", vec!["步骤：", "- 打开", "- 点击"]),
            ("国家 | 运费\n日本 | 80", vec!["国家 | 运费", "日本 | 80"]),
            ("the parcel\nIs on its way", vec!["the parcel\nIs on its way"]),
            ("", vec![]),
        ] {
            assert_eq!(sentences(text), expect, "{text}");
        }
    }

    #[test]
    fn larger_units_are_kept_whole_while_they_fit() {
        let text = "## A\none two\n\nthree.\n\n## B\nfour";
        assert_eq!(cut(text, Unit::Section, &chars(100)), [text]);
        assert_eq!(cut(text, Unit::Section, &chars(22)), ["## A\none two\n\nthree.", "## B\nfour"]);
        assert_eq!(cut(text, Unit::Section, &chars(12)), ["## A\none two", "three.", "## B\nfour"]);
    }

    #[test]
    fn an_endless_sentence_is_cut_between_words() {
        assert_eq!(cut("alpha beta gamma delta", Unit::Paragraph, &chars(11)), ["alpha beta", "gamma delta"]);
        assert_eq!(cut("甲乙丙丁，戊己庚辛", Unit::Paragraph, &chars(6)), ["甲乙丙丁，", "戊己庚辛"]);
        assert_eq!(cut("aaaaaaaa", Unit::Paragraph, &chars(3)), ["aaa", "aaa", "aa"]);
        assert_eq!(cut("line one\nline two\nline three", Unit::Sentence, &chars(20)), ["line one\nline two", "line three"]);
    }

    #[test]
    fn a_limit_of_nothing_still_ends() {
        assert_eq!(cut("ab", Unit::Section, &chars(0)), ["a", "b"]);
    }

    proptest! {
        #[test]
        fn pieces_fit_and_lose_nothing_but_white_space(text in "([a-c。！.?\\n 中文3|#-]|## |\\. |\n\n|https://x\\.cn/a\\?b ){0,200}", most in 1usize..40) {
            for unit in [Unit::Section, Unit::Paragraph, Unit::Sentence] {
                let pieces = cut(&text, unit, &chars(most));
                prop_assert!(pieces.iter().all(|p| p.chars().count() <= most && !p.trim().is_empty()));
                let solid = |t: &str| t.chars().filter(|c| !c.is_whitespace()).collect::<String>();
                prop_assert_eq!(solid(&pieces.concat()), solid(&text));
            }
        }

        #[test]
        fn any_text_is_cut(text in ".*", most in 1usize..40) {
            prop_assert!(cut(&text, Unit::Section, &chars(most)).iter().all(|p| p.chars().count() <= most));
        }
    }
}
