//! Too much to do, not ready, too late, a broken part: told at once, and never by answering more boldly.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use fenzhen::embed::{Arithmetic, EncodeError, EncodeFuture, EncoderWorker, Role, SentenceEncoder, Wanted, WorkerConfig};
use fenzhen::http::Readiness;
use serde_json::json;
use tokio::sync::Semaphore;

use crate::support::{EXAMPLE, RUNTIME, Shop, demo, load_encoder, request};

/// An encoder that always gives the same error, or never answers.
struct Broken(Option<EncodeError>);

impl SentenceEncoder for Broken {
    fn name(&self) -> &str {
        "broken"
    }

    fn dimension(&self) -> usize {
        384
    }

    fn encode<'a>(&'a self, _: &'a str, _: Role, _: Wanted) -> EncodeFuture<'a> {
        Box::pin(async move {
            match &self.0 {
                Some(error) => Err(error.clone()),
                None => std::future::pending().await,
            }
        })
    }

    fn encode_bulk(&self, texts: &[String], _: Role) -> Result<Vec<Vec<f32>>, EncodeError> {
        match (&self.0, texts.is_empty()) {
            (Some(error), false) => Err(error.clone()),
            _ => Ok(vec![vec![0.0; 384]; texts.len()]),
        }
    }

    fn aligned_bulk(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, EncodeError> {
        self.encode_bulk(texts, Role::Passage)
    }
}

#[test]
fn without_a_free_place_a_request_is_refused_at_once() {
    let shop = demo().behind(|service| {
        service.permits = Arc::new(Semaphore::new(0));
        service.limits.concurrency = 0;
    });
    for path in ["/v1/triage", "/v1/triage/batch", "/v1/articles/import"] {
        let answer = shop.post_raw(path, "{}");
        answer.expect_problem(429, "overloaded");
        assert_eq!(answer.header("retry-after"), "1");
    }
    shop.get("/healthz").expect(200);
    shop.get("/readyz").expect(200);
}

#[test]
fn a_flooded_encoder_refuses_some_and_serves_the_others() {
    let config = WorkerConfig { queue: 1, batch_tokens: 2048, timeout: Duration::from_secs(30) };
    let shop = Shop::with_worker(EncoderWorker::start("small", load_encoder(Arithmetic::Auto), None, config).expect("a worker"));
    let body = json!({ "text": "快递三天没动了".repeat(20) }).to_string();
    let answers = RUNTIME.block_on(async {
        let asked = (0..48).map(|_| {
            let (router, request) = (&shop, request("POST", "/v1/triage", &[], Body::from(body.clone())));
            async move { router.ask(request).await }
        });
        futures_util::future::join_all(asked).await
    });
    let (served, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|a| a.status == 200);
    assert!(!served.is_empty() && !refused.is_empty(), "{} served, {} refused", served.len(), refused.len());
    for answer in refused {
        answer.expect_problem(429, "overloaded");
        assert_eq!(answer.header("retry-after"), "1");
    }
    shop.post("/v1/triage", &json!({ "text": EXAMPLE })).expect(200);
}

#[test]
fn a_batch_waits_for_a_busy_encoder_instead_of_failing_its_items() {
    let config = WorkerConfig { queue: 1, batch_tokens: 2048, timeout: Duration::from_secs(30) };
    let worker = EncoderWorker::start("small", load_encoder(Arithmetic::Auto), None, config).expect("a worker");
    let shop = Shop::with_worker(worker).behind(|service| service.limits.request_timeout = Duration::from_secs(20));
    let items: Vec<_> = (0..40).map(|i| json!({ "text": format!("第{i}单还没发货") })).collect();
    let answer = shop.post("/v1/triage/batch", &json!({ "items": items })).expect(200);
    let failed: Vec<_> = answer["items"].as_array().expect("items").iter().filter_map(|row| row.get("code")).collect();
    assert!(failed.is_empty(), "{} of 40: {failed:?}", failed.len());
}

#[test]
fn a_service_that_loads_says_what_it_does() {
    let shop = demo().behind(|service| {
        service.readiness = Readiness::default();
        service.readiness.set_doing("indexing: 3 of 400".into());
    });
    for answer in [shop.post("/v1/triage", &json!({ "text": EXAMPLE })), shop.get("/readyz"), shop.get("/v1/articles")] {
        let problem = answer.expect_problem(503, "not_ready");
        assert!(problem["detail"].as_str().is_some_and(|d| d.contains("3 of 400")), "{problem:#}");
        assert_eq!(answer.header("retry-after"), "1");
    }
    shop.get("/healthz").expect(200);
    shop.service.readiness.set_ready();
    shop.get("/readyz").expect(200);
}

#[test]
fn a_service_that_has_just_begun_says_something_too() {
    let shop = demo().behind(|service| service.readiness = Readiness::default());
    shop.get("/readyz").expect_problem(503, "not_ready");
}

#[test]
fn a_request_that_is_not_done_in_time_is_given_up() {
    let shop = Shop::with_encoder(Arc::new(Broken(None))).behind(|service| service.limits.request_timeout = Duration::from_millis(100));
    let answer = shop.post("/v1/triage", &json!({ "text": EXAMPLE }));
    answer.expect_problem(503, "timeout");
    assert_eq!(answer.header("retry-after"), "1");
    assert_eq!(shop.service.permits.available_permits(), 64, "its place is free again");
    shop.post("/v1/triage", &json!({ "text": EXAMPLE, "mode": "fast" })).expect(200);
}

#[test]
fn a_key_is_free_again_when_its_request_was_given_up() {
    let shop = Shop::with_encoder(Arc::new(Broken(None))).behind(|service| service.limits.request_timeout = Duration::from_millis(100));
    let body = json!({ "text": EXAMPLE }).to_string();
    let ask = || shop.send(request("POST", "/v1/triage", &[("idempotency-key", "late")], Body::from(body.clone())));
    ask().expect_problem(503, "timeout");
    // The key is given back after the answer is out, by a task of its own.
    let begin = std::time::Instant::now();
    let mut again = ask();
    while again.status == 409 && begin.elapsed() < Duration::from_secs(30) {
        std::thread::sleep(Duration::from_millis(10));
        again = ask();
    }
    again.expect_problem(503, "timeout");
}

#[test]
fn a_broken_part_is_answered_with_a_handoff() {
    for error in [EncodeError::Model("matrix".into()), EncodeError::Stopped, EncodeError::Timeout] {
        let shop = Shop::with_encoder(Arc::new(Broken(Some(error))));
        let triage = shop.post("/v1/triage", &json!({ "text": EXAMPLE })).expect(200);
        assert_eq!(triage["decision"]["action"], "handoff");
        assert!(triage["decision"]["reasons"].as_array().expect("reasons").contains(&json!("tool_failure")), "{triage:#}");
        assert_eq!((&triage["reply"], &triage["articles"]), (&json!(null), &json!([])));
        assert!(triage["intent"]["confidence"].is_number());
    }
}

#[test]
fn the_detail_of_an_unexpected_fault_stays_in_the_log() {
    let shop = Shop::with_encoder(Arc::new(Broken(Some(EncodeError::Model("/secret/path".into())))));
    let answer = shop.post("/v1/similar", &json!({ "text": EXAMPLE }));
    answer.expect_problem(500, "internal");
    assert!(!answer.text().contains("secret"));
    let article = json!({ "lang": "zh", "question": "几点发货", "answer": "下午四点" });
    let answer = shop.post("/v1/articles", &article);
    answer.expect_problem(500, "internal");
    assert!(!answer.text().contains("secret"));
}
