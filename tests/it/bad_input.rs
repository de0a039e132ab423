//! What comes from outside is answered with what is wrong and what to do, never with a panic or a bare 500.

use serde_json::json;

use crate::support::{EXAMPLE, Shop, demo};

const TEXT_ROUTES: [&str; 4] = ["/v1/triage", "/v1/classify", "/v1/entities", "/v1/similar"];

#[test]
fn a_body_that_is_no_json_is_named_so() {
    for route in ["/v1/triage", "/v1/triage/batch", "/v1/classify", "/v1/entities", "/v1/similar", "/v1/articles"] {
        for body in ["", " ", "text=hello", "{'text':'a'}", "{", "{\"te"] {
            demo().post_raw(route, body).expect_problem(400, "invalid_json");
        }
    }
    for route in TEXT_ROUTES {
        for body in ["{\"text\":\"a\"", "{\"text\":\"a\"} trailing", "{\"text\":\"a\u{1}\"}"] {
            demo().post_raw(route, body).expect_problem(400, "invalid_json");
        }
    }
}

#[test]
fn half_a_surrogate_pair_and_broken_utf8_are_refused() {
    for route in TEXT_ROUTES {
        for escape in ["\\ud83d", "\\ude00", "a\\ud83d\\u0041", "\\ud83d\\ud83d"] {
            demo().post_raw(route, format!("{{\"text\":\"{escape}\"}}")).expect_problem(400, "invalid_json");
        }
        for bytes in [&b"\xff\xfe"[..], b"\xc3(", b"\xed\xa0\x80", b"\xe4\xb9"] {
            let body = [b"{\"text\":\"", bytes, b"\"}"].concat();
            demo().post_raw(route, body).expect_problem(400, "invalid_json");
        }
    }
    demo().post_raw("/v1/classify", "{\"text\":\"\\ud83d\\ude00 hello\"}").expect(200);
}

#[test]
fn empty_and_blank_texts_are_refused() {
    for route in TEXT_ROUTES {
        for text in ["", " ", "\n\t\r", "\u{3000}\u{a0}\u{2003}"] {
            demo().post(route, &json!({ "text": text })).expect_problem(422, "empty_text");
        }
    }
    demo().post("/v1/classify", &json!({ "texts": ["good", " "] })).expect_problem(422, "empty_text");
}

#[test]
fn a_megabyte_of_text_is_too_long_and_the_limit_itself_is_not() {
    for route in TEXT_ROUTES {
        let problem = demo().post(route, &json!({ "text": "长".repeat(350_000) })).expect_problem(413, "text_too_long");
        assert!(problem["detail"].as_str().is_some_and(|d| d.contains("350000") && d.contains("10000")), "{problem:#}");
        demo().post(route, &json!({ "text": "快递没到".repeat(2_500) })).expect(200);
    }
    demo().post("/v1/triage", &json!({ "text": "a".repeat(10_001) })).expect_problem(413, "text_too_long");
}

#[test]
fn unknown_fields_and_wrong_types_name_the_field() {
    for (route, body, named) in [
        ("/v1/triage", json!({ "text": "a", "txet": "b" }), "txet"),
        ("/v1/triage", json!({ "message": "a" }), "message"),
        ("/v1/triage", json!({ "text": 7 }), "string"),
        ("/v1/triage", json!({ "text": null }), "string"),
        ("/v1/triage", json!({ "text": ["a"] }), "string"),
        ("/v1/triage", json!({}), "text"),
        ("/v1/triage", json!({ "text": "a", "mode": "turbo" }), "turbo"),
        ("/v1/triage", json!({ "text": "a", "top_k": -1 }), "-1"),
        ("/v1/triage", json!({ "text": "a", "top_k": 2.5 }), "2.5"),
        ("/v1/triage", json!({ "text": "a", "top_k": 51 }), "top_k"),
        ("/v1/triage", json!({ "text": "a", "record": "yes" }), "yes"),
        ("/v1/triage", json!({ "text": "a", "customer": { "name": "x" } }), "name"),
        ("/v1/triage", json!("a"), "string"),
        ("/v1/triage/batch", json!({ "items": { "text": "a" } }), "sequence"),
        ("/v1/classify", json!({ "text": "a", "texts": ["b"] }), "either"),
        ("/v1/classify", json!({}), "either"),
        ("/v1/similar", json!({ "text": "a", "top_k": 51 }), "top_k"),
        ("/v1/similar", json!({ "text": "a", "filter": { "state": "lost" } }), "lost"),
        ("/v1/similar", json!({ "text": "a", "filter": { "lang": "fr" } }), "fr"),
        ("/v1/similar", json!({ "text": "a", "filter": { "colour": "red" } }), "colour"),
        ("/v1/articles", json!({ "lang": "fr", "question": "a", "answer": "b" }), "fr"),
    ] {
        let problem = demo().post(route, &body).expect_problem(422, "invalid_request");
        assert!(problem["detail"].as_str().is_some_and(|d| d.contains(named)), "{named} for {body}: {problem:#}");
    }
}

#[test]
fn unknown_languages_are_refused() {
    for route in ["/v1/triage", "/v1/classify", "/v1/entities"] {
        for lang in ["fr", "ZH", "zh-CN", "", "'; --"] {
            demo().post(route, &json!({ "text": "bonjour", "lang": lang })).expect_problem(422, "unknown_language");
        }
        demo().post(route, &json!({ "text": "bonjour", "lang": null })).expect(200);
    }
}

#[test]
fn ten_thousand_and_one_items_are_too_many() {
    let item = json!({ "text": "a", "mode": "fast" });
    let problem = demo().post("/v1/triage/batch", &json!({ "items": vec![item; 10_001] })).expect_problem(413, "batch_too_large");
    assert!(problem["detail"].as_str().is_some_and(|d| d.contains("10001") && d.contains("10000")), "{problem:#}");
    for route in ["/v1/classify", "/v1/entities"] {
        demo().post(route, &json!({ "texts": vec!["a"; 10_001] })).expect_problem(413, "batch_too_large");
    }
    let ticket = json!({ "id": "T", "text": "a" });
    demo().put("/v1/tickets/index", &json!({ "items": vec![ticket; 10_001] })).expect_problem(413, "batch_too_large");
    let article = json!({ "id": "kb", "lang": "en", "question": "a", "answer": "b" });
    demo().post("/v1/articles/import", &json!(vec![article; 10_001])).expect_problem(413, "batch_too_large");
}

#[test]
fn a_body_beyond_the_limit_is_too_large() {
    let shop = demo().behind(|service| service.limits.body_bytes = 1_000_000);
    let body = format!("{{\"text\":\"{}\"}}", "a".repeat(1_000_000));
    for route in ["/v1/triage", "/v1/triage/batch", "/v1/articles/import"] {
        let problem = shop.post_raw(route, body.clone()).expect_problem(413, "payload_too_large");
        assert!(problem["detail"].as_str().is_some_and(|d| d.contains("1 MB")), "{problem:#}");
    }
    let keyed = crate::support::request("POST", "/v1/triage", &[("idempotency-key", "large")], body.into());
    shop.send(keyed).expect_problem(413, "payload_too_large");
}

#[test]
fn deep_nesting_is_refused_and_breaks_no_stack() {
    let deep = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
    for body in [
        deep(100_000),
        format!("{{\"text\":{}}}", deep(100_000)),
        format!("{{\"text\":\"a\",\"customer\":{}}}", "{\"id\":".repeat(100_000)),
    ] {
        for route in ["/v1/triage", "/v1/classify", "/v1/articles/import"] {
            let answer = demo().post_raw(route, body.clone());
            let code = answer.json()["code"].as_str().unwrap_or_default().to_owned();
            assert!(["invalid_json", "invalid_request"].contains(&code.as_str()), "{code}");
            answer.expect_problem(if code == "invalid_json" { 400 } else { 422 }, &code);
        }
    }
}

#[test]
fn an_object_is_not_read_from_a_list() {
    demo().post("/v1/triage", &json!(["货呢", null, "fast", null, null, null, false])).expect_problem(422, "invalid_request");
    demo().post("/v1/classify", &json!(["货呢", null, null, "fast"])).expect_problem(422, "invalid_request");
}

#[test]
fn odd_characters_are_text_like_any_other() {
    let texts = [
        "a\u{0}b 退货",
        "\u{202e}gnihton\u{202c} שלום عليكم",
        "😀👩‍👩‍👧‍👦🏳️‍🌈",
        "e\u{301}\u{300}\u{323}".repeat(300).as_str(),
        "\u{feff}\u{200b}x\u{ad}",
        "\u{10ffff}\u{e000}",
        "???",
        "1",
        "ﷺ".repeat(100).as_str(),
        "'; DROP TABLE tickets; -- <img src=x onerror=alert(1)>",
    ]
    .map(str::to_owned);
    for text in &texts {
        let triage = demo().post("/v1/triage", &json!({ "text": text })).expect(200);
        let chars: Vec<char> = text.chars().collect();
        for entity in triage["entities"].as_array().expect("entities") {
            let at = |field: &str| entity[field].as_u64().expect("an offset") as usize;
            let cut: String = chars[at("start")..at("end")].iter().collect();
            assert_eq!(entity["text"], cut, "{text:?}");
        }
        demo().post("/v1/similar", &json!({ "text": text })).expect(200);
    }
    demo().post("/v1/classify", &json!({ "texts": texts })).expect(200);
}

#[test]
fn a_wrong_content_type_is_no_fault_since_there_is_only_json() {
    let body = json!({ "text": EXAMPLE, "mode": "fast" }).to_string();
    let form = [("content-type", "application/x-www-form-urlencoded")];
    demo().send(crate::support::request("POST", "/v1/triage", &form, body.into())).expect(200);
}

#[test]
fn bad_paths_and_queries_are_problems() {
    let shop = Shop::empty();
    for path in ["/v1/articles/%00", "/v1/articles/a%2Fb", "/v1/articles/%F0%9F%98%80"] {
        shop.get(path).expect_problem(404, "not_found");
    }
    let answer = shop.get("/v1/articles/%ff");
    assert_eq!(answer.header("content-type"), "application/problem+json", "{} {}", answer.status, answer.text());
    answer.expect_problem(422, "invalid_id");
    shop.post_raw("/v1/articles/import?replace=maybe", "[]").expect_problem(422, "invalid_request");
    shop.get("/v1/articles?limit=99999999999999999999").expect_problem(422, "invalid_request");
}
