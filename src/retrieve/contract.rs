//! What every engine of [`TicketIndex`] must do: each engine's tests run [`contract`] over an index of its own.

use std::sync::Arc;

use super::{Point, Query, RetrieveError, Scored, TicketIndex};
use crate::domain::{Lang, SearchFilter, TicketState};
use crate::text;

/// Dimension of the index that [`contract`] is given.
pub(super) const DIM: usize = 4;

/// Runs the whole suite over an empty index of [`DIM`] dimensions; it is empty again afterwards.
pub(super) fn contract(index: &dyn TicketIndex) {
    let parts: [fn(&dyn TicketIndex); 11] = [
        an_empty_index_answers_nothing,
        upsert_is_idempotent_and_replaces,
        delete_removes_and_ignores_what_is_not_there,
        filters_restrict_every_search,
        dense_search_orders_by_cosine,
        lexical_search_finds_chinese_and_english,
        rare_terms_weigh_more,
        hybrid_search_fuses_and_fills_both_scores,
        what_cannot_be_found_is_refused,
        vectors_and_digests_come_back,
        many_points_are_kept_listed_and_cleared,
    ];
    for part in parts {
        part(index);
        index.clear().unwrap();
        assert_eq!(index.count().unwrap(), 0);
    }
}

/// A point with the terms of `text`, and a vector of unit length in the direction of `dense`.
pub(super) fn point(id: &str, dense: [f32; DIM], text: &str) -> Point {
    let length = dense.iter().map(|x| x * x).sum::<f32>().sqrt();
    Point {
        id: id.to_owned(),
        dense: dense.map(|x| x / length).to_vec(),
        terms: terms(text),
        lang: if text.is_ascii() { Lang::En } else { Lang::Zh },
        intent: None,
        state: None,
        digest: text.len() as i64,
    }
}

pub(super) fn terms(text: &str) -> Vec<String> {
    text::search_terms(&text::normalize(text).text)
}

fn everything() -> SearchFilter {
    SearchFilter::default()
}

fn ids(found: &[Scored]) -> Vec<&str> {
    found.iter().map(|(id, _)| id.as_str()).collect()
}

fn ids_of(index: &dyn TicketIndex) -> Vec<String> {
    index.digests().unwrap().into_iter().map(|(id, _)| id).collect()
}

fn sorted_ids(index: &dyn TicketIndex) -> Vec<String> {
    let mut ids = ids_of(index);
    ids.sort();
    ids
}

const X: [f32; DIM] = [1.0, 0.0, 0.0, 0.0];
const Y: [f32; DIM] = [0.0, 1.0, 0.0, 0.0];

fn an_empty_index_answers_nothing(index: &dyn TicketIndex) {
    let words = terms("refund");
    assert!(index.query_dense(&X, 10, &everything()).unwrap().is_empty());
    assert!(index.query_lexical(&words, 10, &everything()).unwrap().is_empty());
    assert!(index.query(&Query { dense: Some(&X), terms: &words, limit: 10, filter: &everything() }).unwrap().hits.is_empty());
    assert!(ids_of(index).is_empty());
    index.upsert(&[]).unwrap();
    index.delete(&[]).unwrap();
    index.flush().unwrap();
    assert_eq!(index.count().unwrap(), 0);
}

fn upsert_is_idempotent_and_replaces(index: &dyn TicketIndex) {
    let first = point("T-1", X, "where is my refund");
    for _ in 0..2 {
        index.upsert(std::slice::from_ref(&first)).unwrap();
    }
    assert_eq!(index.count().unwrap(), 1);

    let mut second = point("T-1", Y, "parcel lost");
    second.state = Some(TicketState::Closed);
    index.upsert(&[point("T-1", X, "of two in a batch the last holds"), second]).unwrap();
    assert_eq!(index.count().unwrap(), 1);
    assert!(index.query_lexical(&terms("refund"), 10, &everything()).unwrap().is_empty(), "the old terms are gone");
    assert!(index.query_dense(&Y, 10, &everything()).unwrap()[0].1 > 0.999);
    let closed = SearchFilter { state: Some(TicketState::Closed), ..everything() };
    assert_eq!(ids(&index.query_lexical(&terms("parcel"), 10, &closed).unwrap()), ["T-1"]);

    // A ticket of marks only has a vector and no terms.
    index.upsert(&[point("T-1", Y, "?!")]).unwrap();
    assert!(index.query_lexical(&terms("parcel"), 10, &everything()).unwrap().is_empty());
    assert_eq!(ids(&index.query_dense(&Y, 10, &everything()).unwrap()), ["T-1"]);
}

fn delete_removes_and_ignores_what_is_not_there(index: &dyn TicketIndex) {
    index.upsert(&[point("T-1", X, "refund"), point("T-2", Y, "refund")]).unwrap();
    index.delete(&["T-1".to_owned(), "unknown".to_owned()]).unwrap();
    index.delete(&["T-1".to_owned()]).unwrap();
    assert_eq!(index.count().unwrap(), 1);
    assert_eq!(ids_of(index), ["T-2"]);
    assert_eq!(ids(&index.query_dense(&X, 10, &everything()).unwrap()), ["T-2"]);
    assert_eq!(ids(&index.query_lexical(&terms("refund"), 10, &everything()).unwrap()), ["T-2"]);
    assert!(index.cosines(&X, &["T-1".to_owned()]).unwrap().is_empty());
    index.upsert(&[point("T-1", X, "refund")]).unwrap();
    assert_eq!(sorted_ids(index), ["T-1", "T-2"]);
}

fn filters_restrict_every_search(index: &dyn TicketIndex) {
    let made = |id: &str, text: &str, intent: &str, state| Point { intent: Some(intent.to_owned()), state, ..point(id, X, text) };
    index
        .upsert(&[
            made("zh", "申请退款 refund", "refund.request", Some(TicketState::Open)),
            made("en", "refund please", "refund.request", Some(TicketState::Resolved)),
            made("other", "refund status", "refund.status", None),
        ])
        .unwrap();
    let cases: [(SearchFilter, &[&str]); 6] = [
        (everything(), &["en", "other", "zh"]),
        (SearchFilter { lang: Some(Lang::Zh), ..everything() }, &["zh"]),
        (SearchFilter { intent: Some("refund.request".to_owned()), ..everything() }, &["en", "zh"]),
        (SearchFilter { state: Some(TicketState::Resolved), ..everything() }, &["en"]),
        (SearchFilter { lang: Some(Lang::En), intent: Some("refund.status".to_owned()), state: None }, &["other"]),
        (SearchFilter { intent: Some("no such intent".to_owned()), ..everything() }, &[]),
    ];
    let words = terms("refund");
    for (filter, wanted) in cases {
        let sorted = |mut found: Vec<Scored>| {
            found.sort_by(|a, b| a.0.cmp(&b.0));
            found.into_iter().map(|(id, _)| id).collect::<Vec<_>>()
        };
        assert_eq!(sorted(index.query_dense(&X, 10, &filter).unwrap()), wanted, "dense, {filter:?}");
        assert_eq!(sorted(index.query_lexical(&words, 10, &filter).unwrap()), wanted, "lexical, {filter:?}");
        let hits = index.query(&Query { dense: Some(&X), terms: &words, limit: 10, filter: &filter }).unwrap().hits;
        assert_eq!(sorted(hits.into_iter().map(|hit| (hit.id, hit.score)).collect()), wanted, "hybrid, {filter:?}");
    }
}

fn dense_search_orders_by_cosine(index: &dyn TicketIndex) {
    index
        .upsert(&[
            point("opposite", [-1.0, 0.0, 0.0, 0.0], "a"),
            point("near", [3.0, 1.0, 0.0, 0.0], "b"),
            point("same", X, "c"),
            point("across", Y, "d"),
        ])
        .unwrap();
    let found = index.query_dense(&X, 10, &everything()).unwrap();
    assert_eq!(ids(&found), ["same", "near", "across", "opposite"]);
    for (score, wanted) in found.iter().map(|hit| hit.1).zip([1.0, 0.9487, 0.0, -1.0]) {
        assert!((score - wanted).abs() < 1e-3, "{score} for {wanted}");
    }
    assert_eq!(ids(&index.query_dense(&X, 2, &everything()).unwrap()), ["same", "near"]);
    assert!(index.query_dense(&X, 0, &everything()).unwrap().is_empty());
    assert_eq!(index.query_dense(&X, usize::MAX, &everything()).unwrap().len(), 4);
    let cosines = index.cosines(&X, &["across".to_owned(), "near".to_owned(), "unknown".to_owned()]).unwrap();
    assert_eq!(ids(&cosines), ["near", "across"]);
}

fn lexical_search_finds_chinese_and_english(index: &dyn TicketIndex) {
    index
        .upsert(&[
            point("zh-refund", X, "我的退款还没到账"),
            point("zh-parcel", X, "快递显示已签收但是没收到"),
            point("en-parcel", X, "my parcels were never delivered"),
            point("mixed", X, "羽绒服 size XXL 有货吗"),
        ])
        .unwrap();
    let first = |text: &str| index.query_lexical(&terms(text), 10, &everything()).unwrap().first().map(|hit| hit.0.clone());
    assert_eq!(first("退款什么时候到账").as_deref(), Some("zh-refund"));
    assert_eq!(first("快递没收到").as_deref(), Some("zh-parcel"));
    assert_eq!(first("Where is my PARCEL?").as_deref(), Some("en-parcel"));
    assert_eq!(first("xxl").as_deref(), Some("mixed"));
    assert_eq!(first("发票抬头"), None);
    assert_eq!(first("?!"), None);
    assert!(index.query_lexical(&terms("退款"), 0, &everything()).unwrap().is_empty());
    assert!(index.lexical_scores(&terms("退款"), &["zh-parcel".to_owned()]).unwrap().is_empty());
}

fn rare_terms_weigh_more(index: &dyn TicketIndex) {
    let mut points: Vec<Point> = (0..20).map(|i| point(&format!("common-{i}"), X, "order late")).collect();
    points.push(point("rare", X, "order damaged"));
    index.upsert(&points).unwrap();
    let found = index.query_lexical(&terms("late damaged"), 30, &everything()).unwrap();
    assert_eq!(found.len(), 21);
    assert_eq!(found[0].0, "rare");
    assert!(found[0].1 > 3.0 * found[1].1, "{found:?}");
}

fn hybrid_search_fuses_and_fills_both_scores(index: &dyn TicketIndex) {
    index
        .upsert(&[
            point("meaning", X, "money back"),
            point("both", [5.0, 1.0, 0.0, 0.0], "refund my order"),
            point("words", Y, "refund refund refund"),
            point("neither", [0.0, 0.0, 1.0, 0.0], "hello"),
        ])
        .unwrap();
    let words = terms("refund order");
    let all = everything();
    let ask = |dense, terms, limit| index.query(&Query { dense, terms, limit, filter: &all }).unwrap().hits;

    let hits = ask(Some(X.as_slice()), &words[..], 3);
    assert_eq!(hits.iter().map(|hit| hit.id.as_str()).collect::<Vec<_>>(), ["both", "words", "meaning"]);
    assert!(hits.windows(2).all(|pair| pair[0].score >= pair[1].score) && hits.iter().all(|hit| hit.score > 0.0 && hit.score <= 1.0));
    for hit in &hits {
        let (cosine, lexical) = (hit.cosine.unwrap(), hit.lexical.unwrap());
        match hit.id.as_str() {
            "both" => assert!(cosine > 0.9 && lexical > 0.0),
            "words" => assert!(cosine.abs() < 1e-3 && lexical > 0.0),
            _ => assert!(cosine > 0.999 && lexical == 0.0),
        }
    }

    // Found by words only, past the candidates that meaning yields: the cosine is looked up.
    let crowd: Vec<Point> = (0..60).map(|i| point(&format!("crowd-{i:02}"), [9.0, 1.0, 0.0, 0.0], "thanks")).collect();
    index.upsert(&crowd).unwrap();
    let far = ask(Some(X.as_slice()), &words[..], 5).into_iter().find(|hit| hit.id == "words").unwrap();
    assert!(far.cosine.unwrap().abs() < 1e-3);

    let dense_only = ask(Some(X.as_slice()), &[], 2);
    assert!(dense_only[0].id == "meaning" && dense_only[0].score == 1.0 && dense_only[0].lexical.is_none());
    let lexical_only = ask(None, &words[..], 2);
    assert!(lexical_only.len() == 2 && lexical_only[0].score == 1.0 && lexical_only[0].cosine.is_none());
    assert!(ask(Some(X.as_slice()), &words[..], 0).is_empty());
    assert!(ask(None, &[], 10).is_empty());
}

fn what_cannot_be_found_is_refused(index: &dyn TicketIndex) {
    let short = Point { dense: vec![1.0; DIM - 1], ..point("T-short", X, "refund") };
    let error = index.upsert(&[point("T-fine", X, "refund"), short]).unwrap_err();
    assert!(matches!(error, RetrieveError::Dimension { expected: DIM, found: 3, .. }), "{error}");
    assert!(error.to_string().contains("T-short"), "{error}");
    for bad in [f32::NAN, f32::INFINITY] {
        let broken = Point { dense: vec![0.0, bad, 0.0, 0.0], ..point("T-nan", X, "refund") };
        assert!(matches!(index.upsert(&[broken]), Err(RetrieveError::NotFinite { .. })));
        assert!(matches!(index.query_dense(&[0.0, bad, 0.0, 0.0], 1, &everything()), Err(RetrieveError::NotFinite { .. })));
    }
    assert!(matches!(index.query_dense(&[1.0], 1, &everything()), Err(RetrieveError::Dimension { .. })));
    assert!(matches!(index.cosines(&[], &["T-1".to_owned()]), Err(RetrieveError::Dimension { .. })));
    assert_eq!(index.count().unwrap(), 0, "nothing of a refused batch is kept");
}

fn vectors_and_digests_come_back(index: &dyn TicketIndex) {
    let first = Point { digest: -7, ..point("T-1", [3.0, 4.0, 0.0, 0.0], "refund") };
    index.upsert(&[first, Point { digest: i64::MAX, ..point("T-2", Y, "parcel") }]).unwrap();
    let mut digests = index.digests().unwrap();
    digests.sort();
    assert_eq!(digests, [("T-1".to_owned(), -7), ("T-2".to_owned(), i64::MAX)]);
    let vectors = index.vectors(&["T-1".to_owned(), "unknown".to_owned()]).unwrap();
    assert!(vectors.len() == 1 && vectors[0].0 == "T-1", "{vectors:?}");
    for (found, wanted) in vectors[0].1.iter().zip([0.6, 0.8, 0.0, 0.0]) {
        assert!((found - wanted).abs() < 1e-6, "{vectors:?}");
    }
    assert!(index.vectors(&[]).unwrap().is_empty());
    assert_eq!(index.health().unwrap().iter().map(|h| h.points).max(), Some(2));
}

/// Runs a rebuild over an empty index; `answers_meanwhile` where the old one serves until the new one is whole.
pub(super) fn rebuild_contract(index: Arc<dyn TicketIndex>, answers_meanwhile: bool) {
    index.upsert(&[point("old", X, "refund"), point("both", Y, "refund")]).unwrap();
    for round in 0..2 {
        let rebuild = Arc::clone(&index).begin_rebuild().unwrap();
        assert_eq!(rebuild.index.count().unwrap(), 0, "round {round}");
        rebuild.index.upsert(&[point("new", X, "refund")]).unwrap();
        if answers_meanwhile {
            // What was begun and not ended is gone on with.
            drop(rebuild);
            assert!(!ids_of(index.as_ref()).is_empty());
            assert!(!index.query_lexical(&terms("refund"), 9, &everything()).unwrap().is_empty());
            let rebuild = Arc::clone(&index).begin_rebuild().unwrap();
            assert_eq!(ids_of(rebuild.index.as_ref()), ["new"]);
            rebuild.index.upsert(&[point("both", Y, "parcel")]).unwrap();
            (rebuild.finish)().unwrap();
        } else {
            rebuild.index.upsert(&[point("both", Y, "parcel")]).unwrap();
            (rebuild.finish)().unwrap();
        }
        assert_eq!(sorted_ids(index.as_ref()), ["both", "new"]);
        assert_eq!(ids(&index.query_lexical(&terms("parcel"), 9, &everything()).unwrap()), ["both"]);
    }
    index.clear().unwrap();
}

fn many_points_are_kept_listed_and_cleared(index: &dyn TicketIndex) {
    let points: Vec<Point> = (0..5_000).map(|i| point(&format!("T-{i:04}"), [1.0, i as f32 / 5_000.0, 0.0, 0.0], "refund")).collect();
    index.upsert(&points).unwrap();
    index.flush().unwrap();
    assert_eq!(index.count().unwrap(), points.len());
    assert_eq!(sorted_ids(index), points.iter().map(|point| point.id.clone()).collect::<Vec<_>>());
    assert_eq!(index.query_dense(&X, 3, &everything()).unwrap()[0].0, "T-0000");
    index.clear().unwrap();
    index.clear().unwrap();
    assert!(ids_of(index).is_empty());
    index.upsert(&points[..1]).unwrap();
    assert_eq!(index.count().unwrap(), 1);
}
