//! The engines behind a network keep the contract of the embedded one, and a service goes on where they do not.
//!
//! Qdrant's protocol is spoken by a server of our own ([`qdrant_server`]). Elasticsearch's is that of the server which the variable
//! `FENZHEN_TEST_ELASTICSEARCH` names (`make test` starts one where it can); without it these tests say that they were skipped.

#![allow(clippy::unwrap_used, reason = "the contract's helpers are tests, whatever stands above them")]

#[path = "../../../src/retrieve/contract.rs"]
mod contract;
mod qdrant_server;

use std::sync::Arc;
use std::time::{Duration, Instant};

use fenzhen::app::App;
use fenzhen::config::Engine;
use fenzhen::corpus::shipped;
use fenzhen::retrieve::{
    CombinedIndex, EdgeIndex, ElasticIndex, ElasticSettings, Found, IndexStamp, Point, QdrantIndex, QdrantSettings, Query, RetrieveError,
    Scored, TicketIndex,
};
use serde_json::{Value, json};

use self::contract::{DIM, contract, point, rebuild_contract, terms};
use self::qdrant_server::{Server, Trouble};
use crate::support::{RUNTIME, Shop, configured};

fn stamp() -> IndexStamp {
    IndexStamp { encoder: "test@1".to_owned(), dim: DIM, text_version: 1 }
}

fn qdrant(server: &Server) -> QdrantSettings {
    QdrantSettings {
        url: server.url(),
        api_key: None,
        prefix: "test".into(),
        shards: 2,
        replicas: 1,
        quantize: true,
        on_disk: true,
        deadline: Duration::from_secs(5),
    }
}

fn open_qdrant(settings: &QdrantSettings) -> Result<QdrantIndex, RetrieveError> {
    QdrantIndex::open(settings, "tickets", &stamp(), RUNTIME.handle().clone())
}

/// Settings of the Elasticsearch that tests may use, with a prefix of their own; `None`, and a word of it, where there is none.
fn elastic(prefix: &str) -> Option<ElasticSettings> {
    let Ok(url) = std::env::var("FENZHEN_TEST_ELASTICSEARCH") else {
        eprintln!("skipped: FENZHEN_TEST_ELASTICSEARCH names no server");
        return None;
    };
    let prefix = format!("{prefix}-{}", std::process::id());
    Some(ElasticSettings {
        url,
        api_key: None,
        user: None,
        prefix,
        shards: 1,
        replicas: 0,
        dense: true,
        repository: None,
        deadline: Duration::from_secs(5),
    })
}

fn open_elastic(settings: &ElasticSettings) -> Result<ElasticIndex, RetrieveError> {
    ElasticIndex::open(settings, "tickets", &stamp(), RUNTIME.handle().clone())
}

#[test]
fn qdrant_keeps_the_contract() {
    let server = Server::start(&RUNTIME, None);
    let index = Arc::new(open_qdrant(&qdrant(&server)).unwrap());
    contract(index.as_ref());
    rebuild_contract(index, true);
    let (collections, _) = server.collections();
    assert_eq!(collections.len(), 1, "a rebuild leaves no collection behind");
}

#[test]
fn elasticsearch_keeps_the_contract() {
    let Some(settings) = elastic("contract") else { return };
    let index = Arc::new(open_elastic(&settings).unwrap());
    contract(index.as_ref());
    rebuild_contract(index, true);
}

#[test]
fn two_engines_together_keep_the_contract() {
    let server = Server::start(&RUNTIME, None);
    let dir = tempfile::tempdir().unwrap();
    let words: Arc<dyn TicketIndex> = Arc::new(EdgeIndex::open(dir.path(), &stamp()).unwrap());
    let index = Arc::new(CombinedIndex::new(Arc::new(open_qdrant(&qdrant(&server)).unwrap()), words));
    contract(index.as_ref());
    rebuild_contract(index, false);
}

#[test]
fn a_collection_is_made_as_configured_and_served_by_its_alias() {
    let server = Server::start(&RUNTIME, None);
    open_qdrant(&qdrant(&server)).unwrap();
    let (collections, aliases) = server.collections();
    let (name, made) = collections.iter().next().unwrap();
    assert_eq!(aliases.get("test_tickets"), Some(name));
    assert_eq!((made.shard_number, made.replication_factor), (Some(2), Some(1)));
    assert!(made.quantization_config.is_some() && made.hnsw_config.as_ref().and_then(|h| h.m) == Some(32));
    let terms = made.sparse_vectors_config.as_ref().unwrap().map.get("terms").unwrap();
    assert_eq!(terms.modifier, Some(qdrant_client::qdrant::Modifier::Idf as i32));
    // Opened again, it is the same one.
    open_qdrant(&qdrant(&server)).unwrap();
    assert_eq!(server.collections().0.len(), 1);
}

#[test]
fn an_index_of_another_encoder_is_refused_with_the_command_that_rebuilds_it() {
    let other = IndexStamp { encoder: "another@2".to_owned(), ..stamp() };
    let server = Server::start(&RUNTIME, None);
    open_qdrant(&qdrant(&server)).unwrap();
    let refused = |error: RetrieveError| {
        assert!(matches!(error, RetrieveError::OtherStamp { .. }), "{error}");
        assert!(error.to_string().contains("fenzhen index build"), "{error}");
    };
    refused(QdrantIndex::open(&qdrant(&server), "tickets", &other, RUNTIME.handle().clone()).err().unwrap());
    // What rebuilds it takes it as it is, and puts it in its place.
    let index = Arc::new(QdrantIndex::beside(&qdrant(&server), "tickets", &other, RUNTIME.handle().clone()).unwrap());
    (index.begin_rebuild().unwrap().finish)().unwrap();
    refused(open_qdrant(&qdrant(&server)).err().unwrap());
    let Some(settings) = elastic("stamp") else { return };
    open_elastic(&settings).unwrap();
    refused(ElasticIndex::open(&settings, "tickets", &other, RUNTIME.handle().clone()).err().unwrap());
}

#[test]
fn wrong_credentials_are_named() {
    let server = Server::start(&RUNTIME, Some("right"));
    let settings = QdrantSettings { api_key: Some("wrong".into()), ..qdrant(&server) };
    let error = open_qdrant(&settings).err().unwrap().to_string();
    assert!(error.contains("Invalid API key") && error.contains("check the credentials"), "{error}");
    let index = open_qdrant(&QdrantSettings { api_key: Some("right".into()), ..settings }).unwrap();
    index.upsert(&[point("T-1", [1.0, 0.0, 0.0, 0.0], "refund")]).unwrap();
    assert_eq!(index.count().unwrap(), 1);
}

#[test]
fn a_silent_server_costs_one_deadline_and_is_asked_again_later() {
    let server = Server::start(&RUNTIME, None);
    let index = open_qdrant(&QdrantSettings { deadline: Duration::from_millis(300), ..qdrant(&server) }).unwrap();
    let search = || index.query_lexical(&terms("refund"), 3, &Default::default());
    search().unwrap();
    server.trouble(Trouble::Slow(Duration::from_secs(30)));
    let begin = Instant::now();
    assert!(search().unwrap_err().to_string().contains("no answer within 300 ms"));
    let waited = begin.elapsed();
    assert!(waited < Duration::from_secs(3), "{waited:?}");
    let (begin, calls) = (Instant::now(), server.calls());
    for _ in 0..100 {
        assert!(search().is_err());
    }
    assert!(begin.elapsed() < waited && server.calls() == calls, "left alone for a while");
    server.trouble(Trouble::None);
    while search().is_err() {
        assert!(begin.elapsed() < Duration::from_secs(20), "it is asked again");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn writes_that_are_too_many_are_repeated_and_broken_servers_named() {
    let server = Server::start(&RUNTIME, None);
    let index = open_qdrant(&qdrant(&server)).unwrap();
    server.trouble(Trouble::Overwhelmed(2));
    index.upsert(&[point("T-1", [1.0, 0.0, 0.0, 0.0], "refund")]).unwrap();
    assert_eq!(index.count().unwrap(), 1);
    server.trouble(Trouble::Broken);
    let error = index.upsert(&[point("T-2", [1.0, 0.0, 0.0, 0.0], "refund")]).unwrap_err().to_string();
    assert!(error.contains("the disk is on fire") && error.contains(&server.url()), "{error}");
    server.trouble(Trouble::None);
    assert_eq!(index.digests().unwrap().len(), 1);
}

#[test]
fn a_server_that_is_down_when_the_service_starts_is_found_when_it_is_up() {
    let settings = QdrantSettings { url: "http://127.0.0.1:9".into(), ..qdrant(&Server::start(&RUNTIME, None)) };
    let index = open_qdrant(&settings).expect("it opens without the server");
    assert!(index.query_lexical(&terms("refund"), 3, &Default::default()).is_err());
}

/// Tickets with vectors that no two of which are alike: hashes of their words.
fn corpus() -> Vec<Point> {
    let vector = |text: &str| {
        let mut vector = [0.0f32; DIM];
        text.chars()
            .enumerate()
            .for_each(|(i, c)| vector[i % DIM] += ((c as u32).wrapping_mul(2_654_435_761) >> 16) as f32 / 65_536.0 - 0.5);
        vector
    };
    shipped::tickets().into_iter().map(|t| point(&t.id, vector(&t.text), &t.text)).collect()
}

#[test]
fn the_same_queries_find_the_same_tickets_on_every_engine() {
    let dir = tempfile::tempdir().unwrap();
    let (edge, server) = (EdgeIndex::open(dir.path(), &stamp()).unwrap(), Server::start(&RUNTIME, None));
    let mut engines: Vec<(&str, Arc<dyn TicketIndex>)> =
        vec![("edge", Arc::new(edge)), ("qdrant", Arc::new(open_qdrant(&qdrant(&server)).unwrap()))];
    let elastic = elastic("same").map(|settings| open_elastic(&settings).unwrap());
    engines.extend(elastic.map(|index| ("elasticsearch", Arc::new(index) as Arc<dyn TicketIndex>)));
    let points = corpus();
    for (_, engine) in &engines {
        engine.upsert(&points).unwrap();
        engine.flush().unwrap();
    }
    let all = Default::default();
    for asked in points.iter().step_by(9) {
        // Of all tickets: of equals at the end of a shorter list, each engine keeps others.
        let everything = Query { dense: Some(&asked.dense), terms: &asked.terms, limit: points.len(), filter: &all };
        let found = |engine: &Arc<dyn TicketIndex>| {
            let dense = engine.query_dense(&asked.dense, 10, &all).unwrap();
            let words = engine.query_lexical(&asked.terms, 10, &all).unwrap();
            (dense, words, engine.query(&everything).unwrap())
        };
        let (dense, words, both) = found(&engines[0].1);
        for (name, engine) in &engines[1..] {
            let (other_dense, other_words, other_both) = found(engine);
            alike(name, &dense, &other_dense, 1e-3);
            // Servers that take no scripts count lengths by their own mean: their scores run otherwise, the best one is the same.
            if *name == "elasticsearch" {
                assert_eq!(words[0].0, other_words[0].0, "{name}");
            } else {
                alike(name, &words, &other_words, 1e-3);
                let ranks = |found: &Found| found.hits.iter().take(10).map(|hit| (hit.id.clone(), hit.score)).collect::<Vec<_>>();
                // Two places that are changed among the candidates change a fused score by this much at most.
                alike(name, &ranks(&both), &ranks(&other_both), 0.02);
            }
        }
    }
}

/// The same ids at the same places, but for ties: where scores differ by less than the tolerance, places may be changed.
fn alike(name: &str, a: &[Scored], b: &[Scored], tolerance: f32) {
    assert_eq!(a.len(), b.len(), "{name}");
    for (x, y) in a.iter().zip(b) {
        assert!(x.0 == y.0 || (x.1 - y.1).abs() <= tolerance * x.1.abs().max(1.0), "{name}: {a:?} and {b:?}");
    }
}

const MESSAGE: &str = "快递三天没动了,什么时候能到";

fn some_tickets() -> Value {
    let rows: Vec<_> = shipped::tickets().into_iter().take(40).collect();
    json!({ "items": rows })
}

#[test]
fn half_a_search_is_answered_and_never_automatic() {
    let server = Server::start(&RUNTIME, None);
    let url = server.url();
    let shop = Shop::configured(&[("retrieve.dense", "qdrant"), ("retrieve.qdrant_url", &url), ("retrieve.deadline_ms", "300")]);
    let articles: Vec<_> = shipped::articles();
    shop.post("/v1/articles/import", &json!(articles)).expect(200);
    shop.put("/v1/tickets/index", &some_tickets()).expect(200);
    let question = json!({ "text": articles[0].question });
    let whole = shop.post("/v1/triage", &question).expect(200);
    assert!(whole.get("degraded").is_none() && whole["articles"][0]["article_id"] == articles[0].id.as_str(), "{whole}");

    server.trouble(Trouble::Slow(Duration::from_secs(30)));
    let begin = Instant::now();
    let half = shop.post("/v1/triage", &question).expect(200);
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    assert_eq!(half["degraded"], json!(["dense"]), "{half}");
    assert!(half["decision"]["action"] != "auto_reply", "{half}");
    assert!(half["decision"]["reasons"].as_array().unwrap().contains(&json!("tool_failure")), "{half}");
    assert!(!half["articles"].as_array().unwrap().is_empty(), "words alone still find: {half}");
    assert_eq!(shop.get("/readyz").expect(200)["tickets"], Value::Null);

    // What is written meanwhile is kept, and follows.
    let new = json!({ "items": [{ "id": "T-new", "text": MESSAGE }] });
    shop.put("/v1/tickets/index", &new).expect_problem(503, "index_unavailable");
    server.trouble(Trouble::None);
    let synced = RUNTIME.block_on(shop.service.tickets.sync(None)).unwrap();
    assert_eq!(synced.upserted, 1);
    let begin = Instant::now();
    loop {
        let found = shop.post("/v1/triage", &json!({ "text": MESSAGE })).expect(200);
        if found.get("degraded").is_none() {
            assert_eq!(found["similar"][0]["ticket_id"], "T-new", "{found}");
            break;
        }
        assert!(begin.elapsed() < Duration::from_secs(20), "{found}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn an_engine_is_changed_without_encoding_again() {
    let server = Server::start(&RUNTIME, None);
    let folder = tempfile::tempdir().unwrap();
    let url = server.url();
    let settings = [("retrieve.qdrant_url", url.as_str())];
    let config = configured(folder.path(), &settings);
    RUNTIME.block_on(async {
        let app = App::open(&config).await.unwrap();
        app.load_demo().await.unwrap();
        app.catch_up(&|_, _| ()).await.unwrap();
    });
    let migrate = || {
        let mut told = |_| -> Box<dyn Fn(usize, usize) + Send + Sync> { Box::new(|_, _| ()) };
        RUNTIME.block_on(App::migrate(&config, Engine::Edge, Engine::Qdrant, &mut told))
    };
    let done = migrate().unwrap();
    assert!(done.iter().all(|(_, d)| d.encoded == 0 && d.copied > 0), "{done:?}");
    // Again: the index that is there is replaced by one that holds the same.
    assert_eq!(migrate().unwrap().len(), 2);
    let moved = configured(folder.path(), &[settings[0], ("retrieve.dense", "qdrant"), ("retrieve.lexical", "qdrant")]);
    RUNTIME.block_on(async {
        let app = App::open(&moved).await.unwrap();
        for knowledge in [&app.articles, &app.tickets] {
            assert!(knowledge.difference().await.unwrap().is_none());
        }
    });
}

#[test]
fn an_interrupted_migration_goes_on_where_it_ended() {
    let server = Server::start(&RUNTIME, None);
    let index = Arc::new(open_qdrant(&qdrant(&server)).unwrap());
    let begun = Arc::clone(&index).begin_rebuild().unwrap();
    begun.index.upsert(&[point("T-1", [1.0, 0.0, 0.0, 0.0], "refund")]).unwrap();
    drop(begun);
    let again = index.begin_rebuild().unwrap();
    assert_eq!(again.index.count().unwrap(), 1);
}
