//! Feedback of agents over HTTP: what is kept, what is refused and with which words.

use axum::body::Body;
use fenzhen::domain::Outcome;
use fenzhen::store::Feedback;
use serde_json::{Value, json};

use crate::support::{RUNTIME, Shop, request};

/// A shop, and the id of a triage that it has kept.
fn shop_with_a_record() -> (Shop, String) {
    let shop = Shop::empty();
    let triage = shop.post("/v1/triage", &json!({ "text": "还没发货,退钱", "mode": "fast", "record": true })).expect(200);
    let id = triage["id"].as_str().expect("an id").to_owned();
    (shop, id)
}

fn kept(shop: &Shop, id: &str) -> Vec<Feedback> {
    RUNTIME.block_on(shop.service.pipeline.store.feedback(id)).expect("the store answers")
}

#[test]
fn every_word_of_an_agent_is_kept_in_order() {
    let (shop, id) = shop_with_a_record();
    let answer = shop.post("/v1/feedback", &json!({ "triage_id": id, "outcome": "rejected" })).expect(201);
    assert_eq!((&answer["triage_id"], &answer["outcome"], &answer["count"]), (&json!(id), &json!("rejected"), &json!(1)));
    assert_eq!(answer["intent"], Value::Null);
    assert!(answer["created_at"].as_str().is_some_and(|t| t.ends_with('Z')), "{answer:#}");
    let reply = "您好 🦄 \u{0} 明天发货";
    let second = json!({ "triage_id": id, "outcome": "edited", "intent": "refund_request", "text": reply });
    assert_eq!(shop.post("/v1/feedback", &second).expect(201)["count"], 2);
    shop.post("/v1/feedback", &json!({ "triage_id": id, "outcome": "accepted", "intent": null, "text": null })).expect(201);
    let said = |outcome, intent: Option<&str>, reply: Option<&str>| Feedback {
        outcome,
        intent: intent.map(str::to_owned),
        reply: reply.map(str::to_owned),
    };
    let expected = [
        said(Outcome::Rejected, None, None),
        said(Outcome::Edited, Some("refund_request"), Some(reply)),
        said(Outcome::Accepted, None, None),
    ];
    assert_eq!(kept(&shop, &id), expected);
    let metrics = shop.get("/metrics").text();
    assert!(metrics.contains("fenzhen_feedback_total{outcome=\"edited\"}"), "no count by outcome");
}

#[test]
fn a_triage_that_was_not_recorded_is_not_found_and_the_hint_says_how_to_record() {
    let (shop, _) = shop_with_a_record();
    let passing = shop.post("/v1/triage", &json!({ "text": "货呢", "mode": "fast" })).expect(200);
    for id in [passing["id"].as_str().expect("an id"), "01J0000000000000000000000", "'; DROP TABLE triages;--"] {
        let problem =
            shop.post("/v1/feedback", &json!({ "triage_id": id, "outcome": "accepted" })).expect_problem(404, "triage_not_recorded");
        assert!(problem["hint"].as_str().is_some_and(|h| h.contains("\"record\": true")), "{problem:#}");
        assert!(kept(&shop, id).is_empty());
    }
}

#[test]
fn an_unknown_intent_is_answered_with_its_neighbours() {
    let (shop, id) = shop_with_a_record();
    let ask = |intent: &str| {
        let problem = shop.post("/v1/feedback", &json!({ "triage_id": id, "outcome": "edited", "intent": intent }));
        problem.expect_problem(422, "unknown_intent")["hint"].as_str().expect("a hint").to_owned()
    };
    assert!(ask("refund_reqest").contains("refund_request"), "{}", ask("refund_reqest"));
    assert!(ask("Refund-Status").contains("refund_status"), "{}", ask("Refund-Status"));
    // Nothing is near: all are named.
    for far in ["", "退款进度"] {
        assert!(["refund_status", "shipping_time", "out_of_scope"].iter().all(|l| ask(far).contains(l)), "{}", ask(far));
    }
    assert!(kept(&shop, &id).is_empty());
}

#[test]
fn what_is_no_feedback_is_refused_and_nothing_is_kept() {
    let (shop, id) = shop_with_a_record();
    for bad in [
        json!({ "outcome": "accepted" }),
        json!({ "triage_id": id }),
        json!({ "triage_id": id, "outcome": "Accepted" }),
        json!({ "triage_id": id, "outcome": "ignored" }),
        json!({ "triage_id": 7, "outcome": "accepted" }),
        json!({ "triage_id": id, "outcome": "accepted", "inten": "refund_request" }),
        json!({ "triage_id": id, "outcome": "accepted", "intent": ["refund_request"] }),
        json!([id, null, "accepted", null]),
    ] {
        shop.post("/v1/feedback", &bad).expect_problem(422, "invalid_request");
    }
    for bad in ["", "{", "outcome=accepted", "{\"triage_id\":\"\\ud800\",\"outcome\":\"accepted\"}"] {
        shop.post_raw("/v1/feedback", bad).expect_problem(400, "invalid_json");
    }
    for bad in ["", "a\nb", &"x".repeat(201)] {
        shop.post("/v1/feedback", &json!({ "triage_id": bad, "outcome": "accepted" })).expect_problem(422, "invalid_id");
    }
    for blank in ["", " \n\u{3000}"] {
        let problem = shop.post("/v1/feedback", &json!({ "triage_id": id, "outcome": "edited", "text": blank }));
        let problem = problem.expect_problem(422, "empty_text");
        assert!(problem["hint"].as_str().is_some_and(|h| h.contains("reply")), "{problem:#}");
    }
    let long = json!({ "triage_id": id, "outcome": "edited", "text": "长".repeat(10_001) });
    shop.post("/v1/feedback", &long).expect_problem(413, "text_too_long");
    shop.get("/v1/feedback").expect_problem(405, "method_not_allowed");
    assert!(kept(&shop, &id).is_empty());
    let longest = json!({ "triage_id": id, "outcome": "edited", "text": "长".repeat(10_000) });
    shop.post("/v1/feedback", &longest).expect(201);
}

#[test]
fn feedback_sent_twice_under_one_key_is_kept_once() {
    let (shop, id) = shop_with_a_record();
    let send = |body: &Value| shop.send(request("POST", "/v1/feedback", &[("idempotency-key", "f-1")], Body::from(body.to_string())));
    let body = json!({ "triage_id": id, "outcome": "accepted" });
    let (first, second) = (send(&body), send(&body));
    assert_eq!(first.expect(201), second.expect(201));
    assert_eq!(second.header("idempotent-replayed"), "true");
    assert_eq!(kept(&shop, &id).len(), 1);
    send(&json!({ "triage_id": id, "outcome": "rejected" })).expect_problem(422, "idempotency_conflict");
    assert_eq!(kept(&shop, &id).len(), 1);
}
