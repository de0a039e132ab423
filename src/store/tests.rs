//! What the store promises, on real files.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::*;
use crate::domain::{Article, CatalogueItem, Lang, Outcome, TicketRecord, TicketState};

/// As hostile as an id can be: quotes, a comment, a wildcard, an emoji, a zero byte.
const NASTY: &str = "x'); DROP TABLE tickets;--\"%_ 🦄\u{0}末";

const NOW: &str = "2026-01-01T00:00:00Z";

fn article(id: &str, question: &str) -> Article {
    Article { intent: Some("shipping_time".into()), ..Article::new(id, Lang::Zh, question, "三天内发货") }
}

fn ticket(id: &str, text: &str) -> TicketRecord {
    TicketRecord { id: id.into(), text: text.into(), lang: None, intent: None, state: None, resolution: None, created_at: None }
}

fn item(sku: &str, price: f64) -> CatalogueItem {
    CatalogueItem {
        category: "服饰/羽绒服".into(),
        attributes: BTreeMap::from([("color".into(), "pink".into())]),
        price: Some(price),
        ..CatalogueItem::new(sku, "粉色羽绒服")
    }
}

fn counts(created: u64, updated: u64, unchanged: u64, deleted: u64) -> ImportCounts {
    ImportCounts { created, updated, unchanged, deleted }
}

async fn on_disk() -> (TempDir, Store) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let store = Store::open(&dir.path().join("deep/down/fenzhen.db")).await.expect("a store");
    (dir, store)
}

async fn reopened(dir: &TempDir, store: Store) -> Store {
    store.close().await;
    Store::open(&dir.path().join("deep/down/fenzhen.db")).await.expect("the same store")
}

async fn jobs(store: &Store, kind: IndexKind) -> Vec<(String, IndexOp)> {
    store.index_backlog(kind, 100).await.expect("backlog").into_iter().map(|job| (job.id, job.op)).collect()
}

#[tokio::test]
async fn everything_is_there_after_reopening() -> Result<(), StoreError> {
    let (dir, store) = on_disk().await;
    let full = TicketRecord {
        lang: Some(Lang::En),
        intent: Some("refund".into()),
        state: Some(TicketState::Resolved),
        resolution: Some("refunded".into()),
        created_at: Some("2025-01-01T00:00:00Z".into()),
        ..ticket("T-1", "where is my refund")
    };
    store.put_article(&article("kb-1", "何时发货"), NOW, None).await?;
    store.upsert_tickets(std::slice::from_ref(&full)).await?;
    store.put_catalogue(&[item("D-1", 39.9)], false).await?;
    store.record_triage("01J", "2025-01-01T00:00:00Z", "何时发货", "{\"id\":\"01J\"}").await?;
    store.idempotent("key", "hash", 7).await?;
    let kept = Answer { status: 201, content_type: "application/json".into(), location: Some("/v1/x".into()), body: b"{}".to_vec() };
    store.finish_idempotent("key", &kept).await?;

    let store = reopened(&dir, store).await;
    assert_eq!(store.article("kb-1").await?, Some(article("kb-1", "何时发货")));
    assert_eq!(store.tickets(&["T-1".into()]).await?, [full]);
    assert_eq!(store.catalogue().await?, [item("D-1", 39.9)]);
    assert_eq!(store.triage("01J").await?.as_deref(), Some("{\"id\":\"01J\"}"));
    let replay = Idempotency::Replay(kept);
    assert_eq!(store.idempotent("key", "hash", 9).await?, replay);
    assert_eq!(jobs(&store, IndexKind::Ticket).await, [("T-1".to_owned(), IndexOp::Upsert)]);
    store.health().await
}

#[tokio::test]
async fn an_import_counts_every_row_and_replace_deletes_the_rest() -> Result<(), StoreError> {
    let (_dir, store) = on_disk().await;
    let first = [article("a", "1"), article("b", "1"), article("c", "1")];
    assert_eq!(store.import_articles(&first, false, NOW).await?, counts(3, 0, 0, 0));
    store.index_done(IndexKind::Article, i64::MAX).await?;

    let second = [article("b", "2"), article("c", "1"), article("d", "1")];
    assert_eq!(store.import_articles(&second, true, NOW).await?, counts(1, 1, 1, 1));
    assert_eq!(store.all_articles().await?, second);
    let expected = [("b", IndexOp::Upsert), ("d", IndexOp::Upsert), ("a", IndexOp::Delete)];
    assert_eq!(jobs(&store, IndexKind::Article).await, expected.map(|(id, op)| (id.to_owned(), op)));
    assert_eq!(store.import_articles(&[], true, NOW).await?, counts(0, 0, 0, 3));
    Ok(())
}

#[tokio::test]
async fn the_last_form_of_an_id_that_comes_twice_stands() -> Result<(), StoreError> {
    let store = Store::in_memory().await?;
    let twice = [ticket("T", "one"), ticket("T", "two"), ticket("T", "two")];
    assert_eq!(store.upsert_tickets(&twice).await?, counts(1, 1, 1, 0));
    assert_eq!(store.tickets(&["T".into()]).await?, [ticket("T", "two")]);
    Ok(())
}

#[tokio::test]
async fn articles_are_put_paged_and_deleted() -> Result<(), StoreError> {
    let store = Store::in_memory().await?;
    assert!(store.put_article(&article("a", "1"), NOW, None).await?);
    assert!(!store.put_article(&article("a", "2"), NOW, None).await?);
    store.put_article(&Article { lang: Lang::En, intent: None, ..article("b", "1") }, NOW, None).await?;
    store.put_article(&article("c", "1"), NOW, None).await?;

    let ids = |page: Vec<Article>| page.into_iter().map(|article| article.id).collect::<Vec<_>>();
    assert_eq!(ids(store.articles(ArticleFilter::default(), None, 2).await?), ["a", "b"]);
    assert_eq!(ids(store.articles(ArticleFilter::default(), Some("b"), 2).await?), ["c"]);
    assert_eq!(ids(store.articles(ArticleFilter { lang: Some(Lang::Zh), ..ArticleFilter::default() }, Some("a"), 9).await?), ["c"]);
    assert_eq!(ids(store.articles(ArticleFilter { lang: Some(Lang::En), ..ArticleFilter::default() }, None, 9).await?), ["b"]);

    assert!(store.delete_article("a", NOW).await?);
    assert!(!store.delete_article("a", NOW).await?);
    assert_eq!(store.article("a").await?, None);
    Ok(())
}

#[tokio::test]
async fn tickets_come_in_the_order_asked_for_and_page_by_id() -> Result<(), StoreError> {
    let store = Store::in_memory().await?;
    store.upsert_tickets(&[ticket("a", "1"), ticket("b", "2"), ticket("c", "3")]).await?;
    let ids = |rows: Vec<TicketRecord>| rows.into_iter().map(|ticket| ticket.id).collect::<Vec<_>>();
    assert_eq!(ids(store.tickets(&["c".into(), "missing".into(), "a".into()]).await?), ["c", "a"]);
    assert_eq!(ids(store.tickets(&[]).await?), [] as [&str; 0]);
    assert_eq!(ids(store.tickets_after(None, 2).await?), ["a", "b"]);
    assert_eq!(ids(store.tickets_after(Some("b"), 2).await?), ["c"]);
    assert_eq!(store.ticket_count().await?, 3);
    Ok(())
}

#[tokio::test]
async fn five_thousand_tickets_are_one_quick_upsert() -> Result<(), StoreError> {
    let (_dir, store) = on_disk().await;
    let tickets: Vec<_> = (0..5000).map(|n| ticket(&format!("T-{n}"), &format!("第 {n} 单还没发货"))).collect();
    let started = Instant::now();
    assert_eq!(store.upsert_tickets(&tickets).await?, counts(5000, 0, 0, 0));
    assert_eq!(store.upsert_tickets(&tickets).await?, counts(0, 0, 5000, 0));
    assert!(started.elapsed() < Duration::from_secs(10), "took {:?}", started.elapsed());
    assert_eq!(store.ticket_count().await?, 5000);
    // The second time nothing changed, so nothing is indexed again.
    assert_eq!(store.index_backlog(IndexKind::Ticket, 20_000).await?.len(), 5000);
    let ids: Vec<String> = tickets.iter().rev().map(|ticket| ticket.id.clone()).collect();
    assert_eq!(store.tickets(&ids).await?.len(), 5000);
    Ok(())
}

#[tokio::test]
async fn hostile_ids_and_emoji_survive() -> Result<(), StoreError> {
    let (dir, store) = on_disk().await;
    store.upsert_tickets(&[ticket(NASTY, NASTY)]).await?;
    store.put_article(&article(NASTY, NASTY), NOW, None).await?;
    store.put_catalogue(&[item(NASTY, 1.0)], false).await?;
    store.record_triage(NASTY, "2025-01-01T00:00:00Z", NASTY, NASTY).await?;
    let store = reopened(&dir, store).await;
    assert_eq!(store.tickets(&[NASTY.into()]).await?, [ticket(NASTY, NASTY)]);
    assert_eq!(store.article(NASTY).await?, Some(article(NASTY, NASTY)));
    assert_eq!(store.catalogue().await?, [item(NASTY, 1.0)]);
    assert_eq!(store.triage(NASTY).await?.as_deref(), Some(NASTY));
    assert_eq!(jobs(&store, IndexKind::Ticket).await, [(NASTY.to_owned(), IndexOp::Upsert)]);
    assert!(store.delete_article(NASTY, NOW).await?);
    Ok(())
}

#[tokio::test]
async fn the_catalogue_counts_and_replaces() -> Result<(), StoreError> {
    let store = Store::in_memory().await?;
    assert_eq!(store.put_catalogue(&[item("a", 1.0), item("b", 1.0)], false).await?, counts(2, 0, 0, 0));
    assert_eq!(store.put_catalogue(&[item("a", 1.0), item("c", 1.0)], true).await?, counts(1, 0, 1, 1));
    assert_eq!(store.put_catalogue(&[item("a", 2.0)], false).await?, counts(0, 1, 0, 0));
    assert_eq!(store.catalogue().await?, [item("a", 2.0), item("c", 1.0)]);
    Ok(())
}

#[tokio::test]
async fn done_jobs_are_forgotten_and_their_seq_is_not_given_again() -> Result<(), StoreError> {
    let store = Store::in_memory().await?;
    store.upsert_tickets(&[ticket("a", "1"), ticket("b", "1")]).await?;
    store.put_article(&article("a", "1"), NOW, None).await?;
    let backlog = store.index_backlog(IndexKind::Ticket, 1).await?;
    assert_eq!(backlog.len(), 1);
    store.index_done(IndexKind::Ticket, backlog[0].seq).await?;
    assert_eq!(jobs(&store, IndexKind::Ticket).await, [("b".to_owned(), IndexOp::Upsert)]);
    store.index_done(IndexKind::Ticket, i64::MAX).await?;
    store.index_done(IndexKind::Article, i64::MAX).await?;
    store.delete_article("a", NOW).await?;
    assert_eq!(store.index_backlog(IndexKind::Article, 9).await?, [IndexJob { seq: 4, id: "a".into(), op: IndexOp::Delete }]);
    Ok(())
}

#[tokio::test]
async fn a_recorded_triage_is_not_rewritten() -> Result<(), StoreError> {
    let store = Store::in_memory().await?;
    store.record_triage("1", "2025-01-01T00:00:00Z", "text", "first").await?;
    store.record_triage("1", "2025-01-02T00:00:00Z", "text", "second").await?;
    assert_eq!(store.triage("1").await?.as_deref(), Some("first"));
    assert_eq!(store.triage("2").await?, None);
    Ok(())
}

#[tokio::test]
async fn a_key_is_reserved_answered_refused_and_expires() -> Result<(), StoreError> {
    let store = Store::in_memory().await?;
    assert_eq!(store.idempotent("k", "h", 100).await?, Idempotency::New);
    assert_eq!(store.idempotent("k", "h", 101).await?, Idempotency::InProgress);
    assert_eq!(store.idempotent("k", "other", 101).await?, Idempotency::Conflict);
    store.abandon_idempotent("k").await?;
    assert_eq!(store.idempotent("k", "h", 102).await?, Idempotency::New);
    let kept = Answer { status: 200, content_type: "text/plain".into(), location: None, body: vec![0, 255] };
    store.finish_idempotent("k", &kept).await?;
    store.abandon_idempotent("k").await?;
    let replay = Idempotency::Replay(kept);
    assert_eq!(store.idempotent("k", "h", 103).await?, replay);
    assert_eq!(store.expire_idempotent(102).await?, 0);
    assert_eq!(store.expire_idempotent(103).await?, 1);
    assert_eq!(store.idempotent("k", "other", 104).await?, Idempotency::New);
    assert_eq!(store.abandon_all_unfinished().await?, 1);
    assert_eq!(store.idempotent("k", "h", 105).await?, Idempotency::New);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_concurrent_requests_with_one_key_one_is_new() {
    let (dir, store) = on_disk().await;
    // A second handle on the file stands for another process.
    let other = Store::open(&dir.path().join("deep/down/fenzhen.db")).await.expect("a second handle");
    let calls: Vec<_> = (0..40)
        .map(|n| {
            let store = if n % 2 == 0 { store.clone() } else { other.clone() };
            tokio::spawn(async move { store.idempotent("k", "h", n).await })
        })
        .collect();
    let mut new = 0;
    for call in calls {
        match call.await.expect("no panic").expect("an answer") {
            Idempotency::New => new += 1,
            answer => assert_eq!(answer, Idempotency::InProgress),
        }
    }
    assert_eq!(new, 1);
}

#[tokio::test]
async fn a_path_that_cannot_be_written_is_named() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let file = dir.path().join("file");
    fs::write(&file, "").expect("a file");
    for path in [file.join("below/fenzhen.db"), dir.path().to_owned()] {
        let error = Store::open(&path).await.expect_err("not writable");
        assert!(matches!(&error, StoreError::Unwritable { .. }), "{error:?}");
        assert!(error.to_string().contains(&path.display().to_string()), "{error}");
    }
}

#[tokio::test]
async fn a_file_of_another_kind_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("fenzhen.db");
    for content in
        ["no", "SQLite format 3\0 but not really, and long enough to hold a header of one hundred bytes: .............................."]
    {
        fs::write(&path, content).expect("a file");
        let error = Store::open(&path).await.expect_err("not a database");
        assert!(matches!(&error, StoreError::NotADatabase { .. }), "{error:?}");
        assert_eq!(fs::read_to_string(&path).expect("still there"), content);
    }
}

#[tokio::test]
async fn a_newer_schema_is_refused() -> Result<(), StoreError> {
    let (dir, store) = on_disk().await;
    let newer =
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (9999, 'later', 1, x'00', 0)";
    sqlx::query(newer).execute(&store.write).await?;
    store.close().await;
    let error = Store::open(&dir.path().join("deep/down/fenzhen.db")).await.expect_err("newer");
    assert!(matches!(&error, StoreError::NewerSchema { version: 9999, .. }), "{error:?}");
    Ok(())
}

fn kept(intent: &str) -> String {
    let intent = serde_json::json!({ "id": intent, "category": "c", "confidence": 0.5, "alternatives": [] });
    serde_json::json!({ "request": { "text": "x" }, "answer": { "id": "x", "lang": "zh", "intent": intent } }).to_string()
}

fn said(outcome: Outcome, intent: Option<&str>) -> Feedback {
    Feedback { outcome, intent: intent.map(str::to_owned), reply: None }
}

#[tokio::test]
async fn all_feedback_stays_and_the_last_word_counts() -> Result<(), StoreError> {
    let (dir, store) = on_disk().await;
    for (n, id) in ["a", "b", NASTY].into_iter().enumerate() {
        store.record_triage(id, &format!("2026-01-0{}T00:00:00.5Z", n + 1), "还没发货", &kept("shipping_time")).await?;
    }
    let edited = Feedback { reply: Some(NASTY.into()), ..said(Outcome::Edited, None) };
    assert_eq!(store.add_feedback("a", "2026-01-05T00:00:00Z", &said(Outcome::Rejected, None)).await?, Some(1));
    assert_eq!(store.add_feedback(NASTY, "2026-01-06T00:00:00.25Z", &edited).await?, Some(1));
    assert_eq!(store.add_feedback("a", "2026-01-07T00:00:00Z", &said(Outcome::Rejected, Some("refund"))).await?, Some(2));
    assert_eq!(store.add_feedback("nobody", "2026-01-07T00:00:00Z", &edited).await?, None, "there is nothing to speak of");

    let store = reopened(&dir, store).await;
    assert_eq!(store.feedback("a").await?, [said(Outcome::Rejected, None), said(Outcome::Rejected, Some("refund"))]);
    let last = |rows: Vec<Judged>| rows.into_iter().map(|row| (row.triage.id, row.feedback)).collect::<Vec<_>>();
    let all = store.judged(0, None, 10).await?;
    assert_eq!((all[0].triage.text.as_str(), all[0].triage.intent.id.as_str()), ("还没发货", "shipping_time"));
    let (first, rest) = (all[0].seq, last(all));
    assert_eq!(rest, [(NASTY.to_owned(), edited.clone()), ("a".to_owned(), said(Outcome::Rejected, Some("refund")))]);
    assert_eq!(last(store.judged(first, None, 10).await?), rest[1..]);
    assert_eq!(last(store.judged(0, None, 1).await?), rest[..1]);
    // A time of a second's beginning is before every fraction of that second.
    assert_eq!(last(store.judged(0, Some("2026-01-06T00:00:00"), 10).await?), rest);
    assert_eq!(last(store.judged(0, Some("2026-01-06T00:00:01"), 10).await?), rest[1..]);
    assert_eq!((store.judged_count(None).await?, store.judged_count(Some("2026-01-07T00:00:01")).await?), (2, 0));
    Ok(())
}

#[tokio::test]
async fn recorded_triages_are_read_by_time_and_without_those_that_were_judged() -> Result<(), StoreError> {
    let store = Store::in_memory().await?;
    for (id, day) in [("a", 2), ("b", 1), ("c", 2), ("d", 3)] {
        store.record_triage(id, &format!("2026-01-0{day}T00:00:00.5Z"), id, &kept("refund")).await?;
    }
    store.add_feedback("c", "2026-01-04T00:00:00Z", &said(Outcome::Accepted, None)).await?;
    let ids = |rows: Vec<RecordedTriage>| rows.into_iter().map(|row| row.id).collect::<String>();
    let all = Recorded::default();
    assert_eq!(ids(store.recorded_triages(all, None, 10).await?), "bacd");
    assert_eq!(ids(store.recorded_triages(all, Some(("2026-01-02T00:00:00.5Z", "a")), 1).await?), "c");
    let unjudged = Recorded { unjudged: true, since: Some("2026-01-02T00:00:00") };
    assert_eq!(ids(store.recorded_triages(unjudged, None, 10).await?), "ad");
    assert_eq!((store.recorded_count(all).await?, store.recorded_count(unjudged).await?), (4, 2));
    store.record_triage("e", "2026-01-09T00:00:00Z", "e", "no JSON").await?;
    let error = store.recorded_triages(all, None, 10).await.expect_err("it cannot be read");
    assert!(error.to_string().contains("\"e\""), "{error}");
    Ok(())
}
