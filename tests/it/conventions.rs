//! What holds for every route: ids, limits told, keys, replays, documents.

use axum::body::Body;
use fenzhen::corpus::shipped;
use fenzhen::http::hash_key;
use serde_json::{Value, json};

use crate::support::{Answer, EXAMPLE, RUNTIME, Shop, demo, request};

fn post_with(shop: &Shop, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
    shop.send(request("POST", path, headers, Body::from(body.to_string())))
}

#[test]
fn every_answer_carries_a_request_id_and_a_sane_one_of_the_caller_is_kept() {
    let ask = |id: &str| demo().send(request("GET", "/healthz", &[("x-request-id", id)], Body::empty())).header("x-request-id").to_owned();
    assert_eq!(ask("order-7_a.b"), "order-7_a.b");
    let generated = demo().get("/healthz").header("x-request-id").to_owned();
    assert_eq!(generated.len(), 26);
    for odd in ["", "a b", "<script>", &"x".repeat(65)] {
        assert_eq!(ask(odd).len(), 26, "{odd:?} was kept");
    }
    let problem = post_with(demo(), "/v1/triage", &[("x-request-id", "mine")], &json!({ "text": "" })).expect_problem(422, "empty_text");
    assert_eq!(problem["request_id"], "mine");
}

#[test]
fn rate_limit_fields_tell_the_quota_and_what_is_left() {
    let answer = demo().post("/v1/classify", &json!({ "text": EXAMPLE }));
    assert_eq!(answer.header("ratelimit-policy"), "\"concurrency\";q=64");
    let left = answer.header("ratelimit").strip_prefix("\"concurrency\";r=").and_then(|r| r.parse::<u32>().ok());
    assert!(left.is_some_and(|left| left < 64), "{:?}", answer.headers);
}

#[test]
fn a_repeated_key_replays_the_answer_and_another_request_under_it_is_refused() {
    let shop = Shop::empty();
    let row = json!({ "lang": "zh", "question": "几点发货", "answer": "下午四点" });
    let key = [("idempotency-key", "k-1")];
    let first = post_with(&shop, "/v1/articles", &key, &row);
    let second = post_with(&shop, "/v1/articles", &key, &row);
    assert_eq!((first.expect(201), first.header("idempotent-replayed")), (second.expect(201), ""));
    assert_eq!(second.header("idempotent-replayed"), "true");
    assert_eq!(second.header("content-type"), first.header("content-type"));
    assert_ne!(second.header("x-request-id"), first.header("x-request-id"));
    assert_eq!(shop.get("/v1/articles").expect(200)["items"].as_array().map(Vec::len), Some(1), "it was done once");

    let other = json!({ "lang": "zh", "question": "几点发货", "answer": "下午五点" });
    post_with(&shop, "/v1/articles", &key, &other).expect_problem(422, "idempotency_conflict");
    post_with(&shop, "/v1/classify", &key, &row).expect_problem(422, "idempotency_conflict");
    post_with(&shop, "/v1/articles", &[("idempotency-key", "k-2")], &row).expect(201);
    for bad in ["", &"x".repeat(201)] {
        post_with(&shop, "/v1/articles", &[("idempotency-key", bad)], &row).expect_problem(422, "invalid_request");
    }
}

#[test]
fn a_created_resource_keeps_its_location_when_it_is_replayed() {
    let shop = Shop::empty();
    let row = json!({ "id": "kb-1", "lang": "zh", "question": "几点发货", "answer": "下午四点" });
    let key = [("idempotency-key", "location")];
    post_with(&shop, "/v1/articles", &key, &row).expect(201);
    let replayed = post_with(&shop, "/v1/articles", &key, &row);
    assert_eq!(replayed.header("idempotent-replayed"), "true");
    assert_eq!(replayed.header("location"), "/v1/articles/kb-1", "a replay is the same answer, its headers included");
}

#[test]
fn faults_of_the_request_are_replayed_and_overload_is_not() {
    let shop = Shop::empty();
    let key = [("idempotency-key", "k-9")];
    let bad = json!({ "text": "" });
    let first = post_with(&shop, "/v1/triage", &key, &bad).expect_problem(422, "empty_text");
    let again = post_with(&shop, "/v1/triage", &key, &bad);
    assert_eq!((again.status.as_u16(), again.header("idempotent-replayed")), (422, "true"));
    assert_eq!(again.json()["code"], first["code"]);

    let full = shop.behind(|service| service.permits = std::sync::Arc::new(tokio::sync::Semaphore::new(0)));
    let good = json!({ "text": EXAMPLE, "mode": "fast" });
    let fresh = [("idempotency-key", "k-10")];
    post_with(&full, "/v1/triage", &fresh, &good).expect_problem(429, "overloaded");
    let served = post_with(&shop, "/v1/triage", &fresh, &good);
    served.expect(200);
    assert_eq!(served.header("idempotent-replayed"), "");
}

#[test]
fn one_of_many_requests_with_one_key_is_done() {
    let shop = Shop::empty();
    let row = json!({ "lang": "zh", "question": "几点发货", "answer": "下午四点" }).to_string();
    let answers = RUNTIME.block_on(async {
        let ask = || shop.ask(request("POST", "/v1/articles", &[("idempotency-key", "same")], Body::from(row.clone())));
        futures_util::future::join_all((0..8).map(|_| ask())).await
    });
    let statuses: Vec<u16> = answers.iter().map(|a| a.status.as_u16()).collect();
    assert!(statuses.contains(&201) && statuses.iter().all(|s| [201, 409].contains(s)), "{statuses:?}");
    assert_eq!(shop.get("/v1/articles").expect(200)["items"].as_array().map(Vec::len), Some(1));
}

#[test]
fn where_keys_are_configured_only_they_are_let_in() {
    let shop = demo().behind(|service| service.keys = vec![hash_key("first"), hash_key("second")]);
    let body = json!({ "text": EXAMPLE, "mode": "fast" });
    let refused = shop.post("/v1/triage", &body);
    refused.expect_problem(401, "unauthorized");
    assert_eq!(refused.header("www-authenticate"), "Bearer");
    for wrong in ["Bearer third", "Bearer ", "first", "Basic first"] {
        post_with(&shop, "/v1/triage", &[("authorization", wrong)], &body).expect_problem(401, "unauthorized");
    }
    for right in ["Bearer first", "Bearer second"] {
        post_with(&shop, "/v1/triage", &[("authorization", right)], &body).expect(200);
    }
    shop.get("/healthz").expect(200);
}

#[test]
fn health_and_readiness_tell_versions_and_counts() {
    let health = demo().get("/healthz").expect(200);
    assert_eq!(health, json!({ "status": "ok", "version": env!("CARGO_PKG_VERSION") }));
    let (articles, tickets) = (shipped::articles().len(), shipped::tickets().len());
    let ready = demo().get("/readyz").expect(200);
    assert_eq!((&ready["status"], &ready["articles"], &ready["tickets"]), (&json!("ready"), &json!(articles), &json!(tickets)));
    assert_eq!(ready["models"]["encoder"], crate::support::encoder_version());
}

#[test]
fn metrics_count_requests_decisions_and_entries() {
    demo().post("/v1/triage", &json!({ "text": EXAMPLE })).expect(200);
    demo().get("/no/such/route");
    let answer = demo().get("/metrics");
    assert!(answer.status.is_success() && answer.header("content-type").starts_with("text/plain"));
    let text = answer.text();
    for line in [
        "# HELP fenzhen_http_requests_total",
        "# TYPE fenzhen_triage_decisions_total counter",
        "route=\"/v1/triage\"",
        "route=\"unmatched\"",
        "fenzhen_triage_stage_duration_seconds_bucket{stage=\"encode\"",
        &format!("fenzhen_index_entries{{kind=\"article\"}} {}", shipped::articles().len()),
        &format!("fenzhen_index_entries{{kind=\"ticket\"}} {}", shipped::tickets().len()),
    ] {
        assert!(text.contains(line), "no {line}");
    }
    assert!(!text.contains("/no/such/route"), "anybody can invent paths: they are no label");
}

#[test]
fn the_api_document_names_every_route() {
    let document = demo().get("/openapi.json").expect(200);
    assert!(document["openapi"].as_str().is_some_and(|v| v.starts_with("3.1")), "{}", document["openapi"]);
    for path in [
        "/v1/triage",
        "/v1/triage/batch",
        "/v1/classify",
        "/v1/entities",
        "/v1/similar",
        "/v1/feedback",
        "/v1/articles",
        "/v1/articles/{id}",
        "/v1/articles/import",
        "/v1/tickets/index",
        "/v1/catalogue",
        "/v1/products/resolve",
        "/v1/products/{sku}",
        "/v1/models",
        "/v1/models/{name}/shadow",
        "/v1/models/{name}/promote",
        "/v1/models/{name}/rollback",
        "/v1/models/{name}/aliases/{alias}",
        "/healthz",
        "/readyz",
        "/metrics",
    ] {
        assert!(document["paths"].get(path).is_some(), "no {path}");
    }
    let page = demo().get("/docs/");
    assert!(page.status.is_success() && page.text().contains("swagger"), "{}", page.status);
    let short = demo().get("/docs");
    assert!(short.status.is_success() || short.status.is_redirection(), "{}", short.status);
}

#[test]
fn the_start_page_may_load_nothing_from_elsewhere() {
    for (path, kind) in [("/", "text/html"), ("/start.css", "text/css"), ("/start.js", "text/javascript")] {
        let page = demo().get(path);
        assert_eq!(page.status, 200, "{path}");
        assert!(page.header("content-type").starts_with(kind), "{path}");
        assert!(page.header("content-security-policy").starts_with("default-src 'none'"), "{path}");
        assert_eq!(page.header("x-content-type-options"), "nosniff");
    }
    let page = demo().get("/").text();
    assert!(page.contains("/start.js") || page.contains("start.js"), "the page has its script");
    assert!(!page.contains("<script>") && !page.contains("style=\""), "the policy forbids inline scripts and styles");
}

#[test]
fn unknown_routes_and_methods_are_problems() {
    demo().get("/v2/triage").expect_problem(404, "not_found");
    demo().get("/v1/articles/no-such").expect_problem(404, "not_found");
    demo().get("/v1/triage").expect_problem(405, "method_not_allowed");
    demo().delete("/v1/articles").expect_problem(405, "method_not_allowed");
    demo().post_raw("/healthz", "").expect_problem(405, "method_not_allowed");
}
