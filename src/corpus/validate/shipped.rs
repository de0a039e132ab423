//! The corpora that the project ships: schema, duplicates, near-duplicates across splits, label balance.

use std::collections::{BTreeMap, HashMap, HashSet};

use rustc_hash::FxHashMap;

use super::super::near::near_pairs;
use super::super::{
    AlikeRow, AnswersRow, ArticleQuery, AskedRow, CauseRow, CorpusTicket, Example, ReplyKind, ReplyRow, TaggedRow, Taxonomy,
};
use super::Report;
use crate::domain::{Article, CatalogueItem, EntityType, Lang};

/// Judges the splits of an intent corpus, given as (name, rows) with `train` first.
pub fn validate_intents(taxonomy: &Taxonomy, splits: &[(&str, &[Example])], minimum: impl Fn(&str, &str, Lang) -> usize) -> Report {
    let mut report = Report::default();
    let known: HashSet<&str> = taxonomy.intents().map(|(id, _)| id).collect();
    let mut texts: Vec<(&str, &str)> = Vec::new();
    for &(split, rows) in splits {
        report.sizes.insert(split.to_owned(), rows.len());
        let mut counts: HashMap<(&str, Lang), usize> = HashMap::new();
        for row in rows {
            if row.text.trim().is_empty() {
                report.error(format!("{split}: an empty text labelled {}", row.intent));
            }
            if !known.contains(row.intent.as_str()) {
                report.error(format!("{split}: intent {:?} of {:?} is not in the taxonomy", row.intent, row.text));
            }
            *counts.entry((&row.intent, row.lang)).or_default() += 1;
            texts.push((split, &row.text));
        }
        for (intent, _) in taxonomy.intents() {
            for lang in Lang::ALL {
                let (have, want) = (counts.get(&(intent, lang)).copied().unwrap_or(0), minimum(split, intent, lang));
                if have < want {
                    report.error(format!("{split}: {intent} has {have} {lang} rows, {want} are asked for"));
                }
            }
        }
    }
    let labels: HashMap<&str, &str> = splits.iter().flat_map(|s| s.1).map(|r| (r.text.as_str(), r.intent.as_str())).collect();
    for row in splits.iter().flat_map(|s| s.1) {
        if labels.get(row.text.as_str()).is_some_and(|&label| label != row.intent) {
            report.error(format!("{:?} has two labels, {} and {}", row.text, row.intent, labels[row.text.as_str()]));
        }
    }
    report_duplicates(&mut report, &texts);
    report
}

/// Judges articles and the queries that are measured on them.
pub fn validate_knowledge(taxonomy: &Taxonomy, articles: &[Article], splits: &[(&str, &[ArticleQuery])]) -> Report {
    let mut report = Report::default();
    report.sizes.insert("articles".into(), articles.len());
    let known: HashSet<&str> = taxonomy.intents().map(|(id, _)| id).collect();
    unique(&mut report, "article", articles.iter().map(|a| a.id.as_str()));
    for article in articles {
        if article.question.trim().is_empty() || article.answer.trim().is_empty() {
            report.error(format!("article {} has no question or no answer", article.id));
        }
        if article.intent.as_deref().is_some_and(|i| !known.contains(i)) {
            report.error(format!("article {} has the unknown intent {:?}", article.id, article.intent));
        }
    }
    let ids: HashSet<&str> = articles.iter().map(|a| a.id.as_str()).collect();
    let mut texts: Vec<(&str, &str)> = articles.iter().map(|a| ("articles", a.question.as_str())).collect();
    for &(split, rows) in splits {
        report.sizes.insert(format!("queries {split}"), rows.len());
        for row in rows {
            if let Some(id) = row.article.as_deref().filter(|id| !ids.contains(id)) {
                report.error(format!("queries {split}: {:?} names the unknown article {id}", row.text));
            }
            texts.push((split, &row.text));
        }
    }
    report_duplicates(&mut report, &texts);
    report
}

pub fn validate_tickets(taxonomy: &Taxonomy, tickets: &[CorpusTicket]) -> Report {
    let mut report = Report::default();
    report.sizes.insert("tickets".into(), tickets.len());
    let known: HashSet<&str> = taxonomy.intents().map(|(id, _)| id).collect();
    unique(&mut report, "ticket", tickets.iter().map(|t| t.id.as_str()));
    let mut groups: BTreeMap<&str, usize> = BTreeMap::new();
    for ticket in tickets {
        *groups.entry(&ticket.cause).or_default() += 1;
        if !known.contains(ticket.intent.as_str()) {
            report.error(format!("ticket {} has the unknown intent {:?}", ticket.id, ticket.intent));
        }
        if ticket.body.trim().is_empty() || ticket.resolution.trim().is_empty() {
            report.error(format!("ticket {} has no body or no resolution", ticket.id));
        }
    }
    report.sizes.insert("causes".into(), groups.len());
    for (cause, _) in groups.into_iter().filter(|g| g.1 < 2) {
        report.warning(format!("cause {cause} has one ticket only: nothing to be found by it"));
    }
    let texts: Vec<(&str, &str)> = tickets.iter().map(|t| (t.id.as_str(), t.body.as_str())).collect();
    report_duplicates(&mut report, &texts);
    report
}

/// Judges what retrieval is trained on; no text of it may be near one of `measured`, on which it is measured.
pub fn validate_alike(
    taxonomy: &Taxonomy,
    causes: &[CauseRow],
    articles: &[AskedRow],
    questions: &[AlikeRow],
    measured: &[&str],
) -> Report {
    let mut report = Report::default();
    let known: HashSet<&str> = taxonomy.intents().map(|(id, _)| id).collect();
    let mut texts: Vec<(&str, &str)> = Vec::new();
    let group = |report: &mut Report, id: &str, intent: Option<&str>, near: Option<&str>, ids: &HashSet<&str>| {
        if intent.is_some_and(|i| !known.contains(i)) {
            report.error(format!("{id} has the unknown intent {:?}", intent.unwrap_or_default()));
        }
        if let Some(near) = near.filter(|near| !ids.contains(near)) {
            report.warning(format!("{id} is near {near}, which is not there"));
        }
    };
    unique(&mut report, "cause", causes.iter().map(|c| c.cause.as_str()));
    let ids: HashSet<&str> = causes.iter().map(|c| c.cause.as_str()).collect();
    for row in causes {
        group(&mut report, &row.cause, Some(&row.intent), row.near.as_deref(), &ids);
        texts.extend(row.texts.iter().chain(&row.notes).map(|t| ("training", t.as_str())));
        if row.texts.len() < 2 {
            report.error(format!("{} has fewer than two tickets", row.cause));
        }
    }
    unique(&mut report, "article", articles.iter().map(|a| a.id.as_str()));
    let ids: HashSet<&str> = articles.iter().map(|a| a.id.as_str()).collect();
    for row in articles {
        group(&mut report, &row.id, Some(&row.intent), row.near.as_deref(), &ids);
        texts.extend(row.asked.iter().chain([&row.question]).map(|t| ("training", t.as_str())));
    }
    unique(&mut report, "group of questions", questions.iter().map(|q| q.id.as_str()));
    for row in questions {
        texts.extend(row.same.iter().chain(&row.unlike).map(|t| ("training", t.as_str())));
        if row.same.len() < 2 {
            report.error(format!("{} has fewer than two questions that mean the same", row.id));
        }
    }
    for (name, n) in [("causes", causes.len()), ("articles", articles.len()), ("questions", questions.len()), ("texts", texts.len())] {
        report.sizes.insert(name.to_owned(), n);
    }
    if texts.iter().any(|t| t.1.trim().is_empty()) {
        report.error("an empty text".into());
    }
    let seen: HashSet<&str> = texts.iter().map(|t| t.1).collect();
    texts.extend(measured.iter().filter(|t| !seen.contains(*t)).map(|t| ("measured", *t)));
    for text in measured.iter().filter(|t| seen.contains(*t)) {
        report.error(format!("{text:?} is measured on and stands in training"));
    }
    report_duplicates(&mut report, &texts);
    report
}

/// Judges the suite of replies: `train` and `test` over `articles`, and `pairs` over `asked`. No text of the test is near one that is
/// learned from, `queries` (learned from, and measured on) included.
pub fn validate_replies(
    articles: &[Article],
    [train, test]: [&[ReplyRow]; 2],
    asked: &[AskedRow],
    pairs: &[AnswersRow],
    queries: [&[ArticleQuery]; 2],
) -> Report {
    let mut report = Report::default();
    let ids: HashSet<&str> = articles.iter().map(|a| a.id.as_str()).collect();
    unique(&mut report, "reply", train.iter().chain(test).map(|r| r.id.as_str()));
    for (split, rows) in [("train", train), ("test", test)] {
        for kind in ReplyKind::ALL {
            let n = rows.iter().filter(|r| r.kind == kind).count();
            report.sizes.insert(format!("{split} {}", kind.as_str()), n);
        }
        for row in rows {
            if let Some(id) = row.articles.iter().chain(&row.near).find(|id| !ids.contains(id.as_str())) {
                report.error(format!("{}: the article {id} is not there", row.id));
            }
            if (row.kind == ReplyKind::Answerable) == row.articles.is_empty() {
                report.error(format!("{}: an answerable message names its articles, and no other does", row.id));
            }
        }
    }
    report.sizes.insert("pairs".into(), pairs.len());
    let ids: HashSet<&str> = asked.iter().map(|a| a.id.as_str()).collect();
    for row in pairs.iter().filter(|row| !ids.contains(row.article.as_str())) {
        report.error(format!("{:?}: the article {} is not there", row.text, row.article));
    }
    let learned = train.iter().map(|r| &r.text).chain(pairs.iter().map(|p| &p.text)).chain(queries[0].iter().map(|q| &q.text));
    let measured = test.iter().map(|r| &r.text).chain(queries[1].iter().map(|q| &q.text));
    let texts: Vec<(&str, &str)> = learned.map(|t| ("training", t.as_str())).chain(measured.map(|t| ("measured", t.as_str()))).collect();
    if texts.iter().any(|t| t.1.trim().is_empty()) {
        report.error("an empty text".into());
    }
    report_duplicates(&mut report, &texts);
    report
}

/// Judges the splits of a corpus with marked spans, given as (name, rows).
pub fn validate_tagged(splits: &[(&str, &[TaggedRow])]) -> Report {
    let mut report = Report::default();
    let mut texts: Vec<(&str, &str)> = Vec::new();
    for &(split, rows) in splits {
        report.sizes.insert(split.to_owned(), rows.len());
        for row in rows {
            if row.text.trim().is_empty() {
                report.error(format!("{split}: a row without a text"));
            }
            if let Some(fault) = row.fault() {
                report.error(format!("{split}: in {:?} {fault}", row.text));
            }
            if let Some((a, b)) = row.overlap() {
                report.error(format!("{split}: in {:?} the spans {:?} and {:?} overlap", row.text, a.text, b.text));
            }
            for span in row.entities.iter().filter(|s| EntityType::named(&s.kind).is_none()) {
                report.error(format!("{split}: in {:?} {:?} is {:?}, which is no type", row.text, span.text, span.kind));
            }
            texts.push((split, &row.text));
        }
    }
    report_duplicates(&mut report, &texts);
    report
}

pub fn validate_catalogue(items: &[CatalogueItem]) -> Report {
    let mut report = Report::default();
    report.sizes.insert("skus".into(), items.len());
    unique(&mut report, "sku", items.iter().map(|i| i.sku.as_str()));
    unique(&mut report, "title", items.iter().map(|i| i.title.as_str()));
    for item in items {
        if item.title.trim().is_empty() || (item.product.is_empty() && item.category.is_empty()) {
            report.error(format!("sku {} has no title, or neither product nor category", item.sku));
        }
    }
    report
}

fn unique<'a>(report: &mut Report, what: &str, ids: impl Iterator<Item = &'a str>) {
    let mut seen = HashSet::new();
    for id in ids {
        if !seen.insert(id) {
            report.error(format!("{what} {id:?} stands twice"));
        }
    }
}

/// Exact duplicates anywhere, and near-duplicates between different groups (splits), as errors.
fn report_duplicates(report: &mut Report, texts: &[(&str, &str)]) {
    let mut seen: FxHashMap<&str, usize> = FxHashMap::default();
    let mut once = Vec::with_capacity(texts.len());
    for (at, &(group, text)) in texts.iter().enumerate() {
        match seen.get(text) {
            Some(&other) => report.error(format!("{text:?} stands in {} and again in {group}", texts[other].0)),
            None => {
                seen.insert(text, at);
                once.push((group, text));
            }
        }
    }
    let all: Vec<&str> = once.iter().map(|(_, text)| *text).collect();
    let mut near = Vec::new();
    near_pairs(&all, &mut near, |_, a, b| once[a].0 != once[b].0, |near, a, b| near.push((b, a)));
    near.sort_unstable();
    for (at, other) in near {
        let ((group, text), (other_group, other_text)) = (once[at], once[other]);
        report.error(format!("{text:?} ({group}) is nearly {other_text:?} ({other_group})"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(text: &str, intent: &str) -> Example {
        Example { text: text.into(), intent: intent.into(), lang: Lang::En }
    }

    fn taxonomy() -> Taxonomy {
        toml::from_str("version = 1\n[[category]]\nid = 'c'\nintents = [{ id = 'a', zh = '', en = '' }, { id = 'b', zh = '', en = '' }]")
            .unwrap()
    }

    #[test]
    fn faults_are_all_found() {
        let train = [row("where is my parcel", "a"), row("I want my money", "b"), row("I want my money", "a"), row(" ", "zzz")];
        let test = [row("where is my parcel??", "a"), row("an unrelated sentence", "b")];
        let report = validate_intents(&taxonomy(), &[("train", &train), ("test", &test)], |_, _, lang| usize::from(lang == Lang::En));
        let all = report.findings.iter().map(|f| f.message.as_str()).collect::<Vec<_>>().join("\n");
        for expect in ["nearly \"where is my parcel\"", "two labels", "stands in train and again", "not in the taxonomy", "an empty text"] {
            assert!(all.contains(expect), "{expect} is missing in\n{all}");
        }
    }

    #[test]
    fn spans_that_overlap_or_are_of_no_type_are_told() {
        let rows: Vec<TaggedRow> = serde_json::from_str(
            r#"[{"text": "red mug", "lang": "en", "entities": [{"start": 0, "end": 3, "type": "COLOUR", "text": "red"}]},
                {"text": "blue wool hat", "lang": "en", "entities": [{"start": 0, "end": 9, "type": "COLOR", "text": "blue wool"},
                 {"start": 5, "end": 9, "type": "MATERIAL", "text": "wool"}]}]"#,
        )
        .unwrap();
        let report = validate_tagged(&[("train", &rows)]);
        let all = report.findings.iter().map(|f| f.message.as_str()).collect::<Vec<_>>().join("\n");
        assert!(report.errors() == 2 && all.contains("COLOUR") && all.contains("overlap"), "{all}");
    }

    #[test]
    fn a_clean_corpus_passes() {
        let train = [row("where is my parcel", "a"), row("I want my money", "b")];
        let test = [row("has it been sent", "a"), row("pay me back", "b")];
        let report = validate_intents(&taxonomy(), &[("train", &train), ("test", &test)], |_, _, _| 0);
        assert_eq!(report.findings, []);
        assert_eq!(report.sizes["train"], 2);
    }

    #[test]
    fn what_is_measured_on_may_not_stand_in_training() {
        let cause = |texts: &[&str]| CauseRow {
            notes: Vec::new(),
            cause: "c".into(),
            lang: Lang::En,
            intent: "a".into(),
            near: None,
            texts: texts.iter().map(|t| (*t).to_owned()).collect(),
        };
        let judge = |texts: &[&str], measured: &[&str]| validate_alike(&taxonomy(), &[cause(texts)], &[], &[], measured);
        assert_eq!(judge(&["the lid will not close", "steam everywhere"], &["my card was charged twice"]).errors(), 0);
        assert_eq!(judge(&["the lid will not close", "steam everywhere"], &["the lid will not close"]).errors(), 1);
        assert_eq!(judge(&["the lid will not close at all", "steam"], &["the lid will not close at all!"]).errors(), 1);
        assert_eq!(judge(&["steam everywhere", "steam everywhere"], &[]).errors(), 1);
        assert_eq!(judge(&["steam everywhere"], &[]).errors(), 1);
    }
}
