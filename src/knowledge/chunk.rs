//! Articles in pieces for the search index.
//!
//! An encoder takes a few hundred tokens; of a longer text it reads the beginning. So a long article is cut where its author would cut it,
//! and each piece says again what it is about: the question, and the heading it stands under. A short article stays one text.

use super::pieces::{self, Limit, Unit, heading};
use crate::domain::Article;
use crate::text::is_han;

/// A piece of an article, for the index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// What it stands under in the article, or the name of the attachment that it is from.
    pub heading: Option<String>,
    /// The question, the heading, the piece, a line each; what is indexed.
    pub text: String,
}

/// Weight of a chunk, in quarters of a token.
const MOST: usize = 4 * 320;

/// Of which the question may take so much, and the heading.
const MOST_QUESTION: usize = MOST / 3;
const MOST_HEADING: usize = MOST / 4;

/// A Chinese character is about a token, of other scripts four characters are.
fn weigh(c: char) -> usize {
    if is_han(c) { 4 } else { 1 }
}

const WHOLE: Limit = Limit { most: MOST, weigh };

/// The article in chunks of at most about 320 tokens, in its order, the attachments last.
///
/// An article that fits is one chunk, `question\nanswer`. Marks of headings (`## `) are dropped where it does not.
pub fn chunks(article: &Article) -> Vec<Chunk> {
    let whole = format!("{}\n{}", article.question, article.answer);
    let question = clip(&article.question, MOST_QUESTION);
    let mut chunks = Vec::new();
    if WHOLE.weight(&whole) <= MOST {
        chunks.push(Chunk { heading: None, text: whole });
    } else {
        let mut joined = Joined { question, chunks: &mut chunks, open: None };
        for section in sections(&article.answer) {
            joined.push(section);
        }
        joined.flush();
        if chunks.is_empty() {
            chunks.push(Chunk { heading: None, text: format!("{question}\n") });
        }
    }
    for attachment in &article.attachments {
        let name = clip(&attachment.name, MOST_HEADING);
        chunks.extend(under(question, Some(name), &attachment.text));
    }
    chunks
}

/// What an encoder reads of a past ticket: the customer's words, then what was found and done, which says in the desk's words what
/// customers each tell in their own. Long words of a customer are clipped, so that the note is read too.
pub fn ticket_text(text: &str, note: Option<&str>) -> String {
    match note.map(str::trim).filter(|note| !note.is_empty()) {
        Some(note) => {
            let note = clip(note, MOST / 2);
            format!("{}\n{note}", clip(text, MOST - WHOLE.weight(note)))
        }
        None => text.to_owned(),
    }
}

struct Section<'a> {
    heading: Option<&'a str>,
    body: &'a str,
}

fn sections(answer: &str) -> Vec<Section<'_>> {
    let mut sections = Vec::new();
    let (mut at, mut begin, mut title) = (0, 0, None);
    for line in answer.split_inclusive('\n') {
        // What is longer is a paragraph that only looks like a heading: said again in each chunk it would leave no room.
        if let Some(found) = heading(line).filter(|h| WHOLE.weight(h) <= MOST_HEADING) {
            sections.push(Section { heading: title, body: answer[begin..at].trim() });
            (title, begin) = (Some(found), at + line.len());
        }
        at += line.len();
    }
    sections.push(Section { heading: title, body: answer[begin..].trim() });
    sections.retain(|s| s.heading.is_some() || !s.body.is_empty());
    sections
}

/// Small neighbours become one chunk while they fit.
struct Joined<'a> {
    question: &'a str,
    chunks: &'a mut Vec<Chunk>,
    open: Option<(Chunk, usize)>,
}

impl<'a> Joined<'a> {
    fn push(&mut self, section: Section<'a>) {
        let mut own = section.heading.unwrap_or_default().to_owned();
        if !own.is_empty() && !section.body.is_empty() {
            own.push('\n');
        }
        own.push_str(section.body);
        let weight = WHOLE.weight(&own);
        if let Some((chunk, open)) = &mut self.open
            && *open + 2 + weight <= MOST
        {
            *open += 2 + weight;
            chunk.text.push_str("\n\n");
            chunk.text.push_str(&own);
            return;
        }
        self.flush();
        let whole = WHOLE.weight(self.question) + 1 + weight;
        if whole <= MOST {
            let heading = section.heading.map(str::to_owned);
            self.open = Some((Chunk { heading, text: format!("{}\n{own}", self.question) }, whole));
        } else {
            self.chunks.extend(under(self.question, section.heading, section.body));
        }
    }

    fn flush(&mut self) {
        self.chunks.extend(self.open.take().map(|(chunk, _)| chunk));
    }
}

/// A text in chunks that all name the same heading.
fn under(question: &str, heading: Option<&str>, body: &str) -> Vec<Chunk> {
    let context = heading.map_or_else(|| format!("{question}\n"), |h| format!("{question}\n{h}\n"));
    let limit = Limit { most: MOST - WHOLE.weight(&context), weigh };
    let chunk = |piece| Chunk { heading: heading.map(str::to_owned), text: format!("{context}{piece}") };
    pieces::cut(body, Unit::Paragraph, &limit).into_iter().map(chunk).collect()
}

/// As much of a text as has this weight.
fn clip(text: &str, most: usize) -> &str {
    let mut weight = 0;
    let end = text.char_indices().find(|&(_, c)| {
        weight += weigh(c);
        weight > most
    });
    end.map_or(text, |(at, _)| &text[..at])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::{Attachment, Lang};

    #[test]
    fn the_note_of_a_ticket_is_read_however_long_the_customer_was() {
        assert_eq!(ticket_text("盖子合不上", Some(" 卡扣断裂 ")), "盖子合不上\n卡扣断裂");
        assert_eq!(ticket_text("盖子合不上", Some("  ")), "盖子合不上");
        let long = ticket_text(&"急".repeat(5000), Some("卡扣断裂"));
        assert!(long.ends_with("急\n卡扣断裂") && WHOLE.weight(&long) <= MOST + 1, "{}", long.len());
        assert!(WHOLE.weight(&ticket_text("x", Some(&"断".repeat(5000)))) <= MOST);
    }

    fn article(question: &str, answer: &str) -> Article {
        Article::new("a", Lang::Zh, question, answer)
    }

    fn solid(text: &str) -> String {
        text.chars().filter(|c| !c.is_whitespace()).collect()
    }

    #[test]
    fn a_short_article_is_one_chunk_as_it_is() {
        let a = article("怎么退货？", "## 条件\n吊牌完好。\n\n## 运费\n质量问题由我们承担。");
        let text = "怎么退货？\n## 条件\n吊牌完好。\n\n## 运费\n质量问题由我们承担。".to_owned();
        assert_eq!(chunks(&a), [Chunk { heading: None, text }]);
    }

    #[test]
    fn a_long_article_is_cut_at_its_headings() {
        let part = |what: &str| format!("{what}的包裹由海外仓发出，清关需要三到五天。").repeat(8);
        let answer = format!("先看目的地。\n\n## 日本\n{}\n\n## 德国\n{}\n\n## 其他\n请联系客服。", part("日本"), part("德国"));
        let chunks = chunks(&article("海外配送要多久？", &answer));
        let headings: Vec<_> = chunks.iter().map(|c| c.heading.as_deref()).collect();
        assert_eq!(headings, [None, Some("德国")]);
        assert!(chunks[0].text.starts_with("海外配送要多久？\n先看目的地。\n\n日本\n日本的包裹"), "{}", chunks[0].text);
        assert!(chunks[1].text.starts_with("海外配送要多久？\n德国\n德国的包裹") && chunks[1].text.ends_with("\n\n其他\n请联系客服。"));
    }

    #[test]
    fn a_long_section_is_cut_between_sentences_and_says_its_heading_again() {
        let body =
            "Items must be unworn, with tags, and cost more than 3.5 EUR (see https://shop.example/a.html?b=1. for more). ".repeat(40);
        let chunks = chunks(&article("How do I return an item?", &format!("## Conditions\n{body}")));
        assert!(chunks.len() > 3);
        for chunk in &chunks {
            assert_eq!(chunk.heading.as_deref(), Some("Conditions"));
            let piece = chunk.text.strip_prefix("How do I return an item?\nConditions\n").unwrap();
            assert!(piece.starts_with("Items must") && piece.ends_with("for more)."), "{piece}");
        }
    }

    #[test]
    fn attachments_are_chunks_of_their_own() {
        let mut a = article("尺码怎么选？", "看附件。");
        a.attachments = vec![
            Attachment { name: "尺码表.xlsx".into(), text: "S | 155-160\nM | 160-165".into() },
            Attachment { name: "空.txt".into(), text: " \n".into() },
        ];
        let text = "尺码怎么选？\n尺码表.xlsx\nS | 155-160\nM | 160-165".to_owned();
        assert_eq!(chunks(&a)[1..], [Chunk { heading: Some("尺码表.xlsx".into()), text }]);
    }

    #[test]
    fn a_question_as_long_as_a_book_leaves_room_for_the_answer() {
        let a = article(&"问".repeat(5000), &"答".repeat(1000));
        let chunks = chunks(&a);
        assert!(chunks.iter().all(|c| WHOLE.weight(&c.text) <= MOST));
        assert_eq!(chunks.iter().map(|c| c.text.matches('答').count()).sum::<usize>(), 1000);
    }

    #[test]
    fn nothing_at_all_is_one_empty_chunk() {
        assert_eq!(chunks(&article("", "")), [Chunk { heading: None, text: "\n".into() }]);
    }

    proptest! {
        #[test]
        fn chunks_fit_and_lose_nothing_of_the_answer(answer in "(配送要三天。|[a-z]{1,12}|[A-Z][a-z]+ 3\\.5\\. |\n\n|\n| |，|- |https://a\\.cn/b\\?c=1 ){0,900}") {
            let a = article("问题 question?", &answer);
            let chunks = chunks(&a);
            let mut found = String::new();
            for chunk in &chunks {
                prop_assert!(WHOLE.weight(&chunk.text) <= MOST);
                found.push_str(&solid(chunk.text.strip_prefix("问题 question?\n").unwrap()));
            }
            prop_assert_eq!(found, solid(&answer));
        }

        #[test]
        fn with_headings_too(answer in "(## (甲|乙){1,6}\n|(配送要三天。){1,60}|\n\n|\n|## \n|[a-z ]{1,40}){0,60}", attached in "(附件。|\n){0,400}") {
            let mut a = article("问题？", &answer);
            a.attachments = vec![Attachment { name: "表.txt".into(), text: attached.clone() }];
            let chunks = chunks(&a);
            prop_assert!(chunks.iter().all(|c| WHOLE.weight(&c.text) <= MOST));
            // A heading is said again in each chunk below it, so the answer is in there with more between.
            let marks = |c: &char| *c != '#';
            let all: String = chunks.iter().map(|c| solid(&c.text)).collect();
            let mut all = all.chars().filter(marks);
            let expect = solid(&(answer + &attached));
            for c in expect.chars().filter(marks) {
                prop_assert!(all.any(|found| found == c), "{:?} is lost", c);
            }
        }

        #[test]
        fn any_article_is_cut(question in ".{0,40}", answer in ".{0,3000}") {
            prop_assert!(chunks(&article(&question, &answer)).iter().all(|c| WHOLE.weight(&c.text) <= MOST));
        }
    }
}
