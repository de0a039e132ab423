//! Messages in, decisions out: the shapes that clients rely on.

use fenzhen::domain::Reason;
use serde_json::{Value, json};

use crate::support::{EXAMPLE, RUNTIME, Shop, column, demo};

#[track_caller]
fn assert_probability(value: &Value) {
    assert!(value.as_f64().is_some_and(|p| (0.0..=1.0).contains(&p)), "{value} is no probability");
}

#[track_caller]
fn assert_intent(intent: &Value) {
    for field in ["id", "category"] {
        assert!(intent[field].as_str().is_some_and(|s| !s.is_empty()), "{field} of {intent:#}");
    }
    assert_probability(&intent["confidence"]);
    assert_probability(&intent["out_of_scope"]);
    assert!(["fast", "full"].contains(&intent["path"].as_str().unwrap_or_default()), "{intent:#}");
    for other in intent["alternatives"].as_array().expect("alternatives") {
        assert_probability(&other["confidence"]);
        assert_ne!(other["id"], intent["id"]);
    }
    for evidence in intent["evidence"].as_array().expect("evidence") {
        assert!(evidence["term"].is_string() && evidence["weight"].is_number(), "{evidence}");
    }
}

fn entity<'a>(entities: &'a Value, kind: &str) -> &'a Value {
    entities.as_array().expect("entities").iter().find(|e| e["type"] == kind).unwrap_or_else(|| panic!("no {kind} in {entities:#}"))
}

#[test]
fn the_example_message_is_answered_whole() {
    let triage = demo().post("/v1/triage", &json!({ "text": EXAMPLE })).expect(200);
    assert!(triage["id"].as_str().is_some_and(|id| id.len() == 26), "{triage:#}");
    assert_eq!((&triage["lang"], &triage["mode"]), (&json!("zh"), &json!("full")));
    assert_intent(&triage["intent"]);
    assert!(!triage["intent"]["evidence"].as_array().expect("evidence").is_empty());
    assert!(!triage["intent"]["alternatives"].as_array().expect("alternatives").is_empty());

    let color = entity(&triage["entities"], "COLOR");
    assert_eq!((&color["text"], &color["start"], &color["end"]), (&json!("粉色"), &json!(2), &json!(4)));
    let size = entity(&triage["entities"], "SIZE");
    assert_eq!((&size["text"], &size["start"], &size["end"]), (&json!("XL码"), &json!(4), &json!(7)));
    assert_eq!(entity(&triage["entities"], "PRODUCT")["text"], "羽绒服");

    assert_eq!(triage["similar"].as_array().expect("similar").len(), 5);
    for ticket in triage["similar"].as_array().expect("similar") {
        assert!(ticket["ticket_id"].is_string() && ticket["text"].is_string(), "{ticket:#}");
        assert_probability(&ticket["score"]);
        assert_probability(&ticket["confidence"]);
    }
    assert!(!triage["articles"].as_array().expect("articles").is_empty());
    for article in triage["articles"].as_array().expect("articles") {
        assert!(article["article_id"].is_string() && article["question"].is_string(), "{article:#}");
        assert_probability(&article["confidence"]);
    }
    for version in ["classifier", "ner", "gate"] {
        assert!(triage["models"][version].as_str().is_some_and(|v| v.contains('@')), "{:#}", triage["models"]);
    }
    assert_eq!(triage["models"]["encoder"], crate::support::encoder_version());
    for stage in ["classify", "entities", "encode", "retrieve", "decide", "total"] {
        assert!(triage["timing_ms"][stage].as_f64().is_some_and(|ms| ms >= 0.0), "{stage} of {:#}", triage["timing_ms"]);
    }
}

#[test]
fn a_decision_names_its_policy_and_a_handoff_its_reasons() {
    let reasons: Vec<&str> = Reason::TABLE.iter().map(|row| row.1).collect();
    for text in [EXAMPLE, "我要投诉你们", "人工客服", "what time is it on the moon", "货到了吗"] {
        let triage = demo().post("/v1/triage", &json!({ "text": text })).expect(200);
        let decision = &triage["decision"];
        assert_probability(&decision["confidence"]);
        assert!(decision["policy"].as_str().is_some_and(|p| p.contains('@')), "{decision:#}");
        let given = decision["reasons"].as_array().expect("reasons");
        assert!(given.iter().all(|r| reasons.contains(&r.as_str().unwrap_or_default())), "{decision:#}");
        match decision["action"].as_str() {
            Some("handoff") => {
                assert!(!given.is_empty(), "{text}: a hand-off without a reason");
                assert_eq!(triage["reply"], Value::Null, "{text}: what is handed over is not answered");
            }
            Some("auto_reply" | "suggest") => {
                let reply = &triage["reply"];
                assert_eq!(reply["generator"], "article");
                assert_eq!(reply["sources"][0], triage["articles"][0]["article_id"]);
            }
            other => panic!("{text}: {other:?}"),
        }
    }
}

#[test]
fn sensitive_words_and_wishes_for_a_human_are_handed_over_in_both_languages() {
    for (text, reason) in [
        ("再不处理我就投诉到12315", "sensitive_topic"),
        ("I will sue you and call my lawyer", "sensitive_topic"),
        ("转人工客服", "customer_request"),
        ("let me talk to a human agent please", "customer_request"),
    ] {
        let decision = demo().post("/v1/triage", &json!({ "text": text })).expect(200)["decision"].clone();
        assert_eq!(decision["action"], "handoff", "{text}: {decision:#}");
        assert!(decision["reasons"].as_array().expect("reasons").contains(&json!(reason)), "{text}: {decision:#}");
    }
}

#[test]
fn fast_mode_asks_no_encoder_and_searches_nothing() {
    let triage = demo().post("/v1/triage", &json!({ "text": EXAMPLE, "mode": "fast" })).expect(200);
    assert_eq!(triage["mode"], "fast");
    assert_eq!(triage["models"]["encoder"], Value::Null);
    assert_eq!((&triage["similar"], &triage["articles"], &triage["reply"]), (&json!([]), &json!([]), &Value::Null));
    assert!(triage["timing_ms"].get("encode").is_none() && triage["timing_ms"].get("retrieve").is_none());
    assert_ne!(triage["decision"]["action"], "auto_reply");
    assert_intent(&triage["intent"]);
}

#[test]
fn top_k_and_language_are_what_was_asked_for() {
    let ask = |body: Value| demo().post("/v1/triage", &body).expect(200);
    assert_eq!(ask(json!({"text": EXAMPLE, "top_k": 0}))["similar"], json!([]));
    assert_eq!(ask(json!({"text": EXAMPLE, "top_k": 50}))["similar"].as_array().expect("similar").len(), 50);
    let other = ask(json!({"text": EXAMPLE, "lang": "en", "channel": "app", "customer": {"id": "c-1"}}));
    assert_eq!(other["lang"], "en");
    assert_eq!(ask(json!({"text": "where is my parcel", "lang": "auto"}))["lang"], "en");
}

#[test]
fn a_batch_answers_in_order_and_a_bad_item_spoils_no_other() {
    let texts = ["快递到哪了", " ", "How do I return this?", "怎么开发票"];
    let items: Vec<Value> = texts.iter().map(|text| json!({ "text": text })).collect();
    let answer = demo().post("/v1/triage/batch", &json!({ "items": items }));
    let batch = answer.expect(200);
    let rows = batch["items"].as_array().expect("items");
    assert_eq!(rows.len(), 4);
    assert_eq!((&rows[0]["lang"], &rows[2]["lang"], &rows[3]["lang"]), (&json!("zh"), &json!("en"), &json!("zh")));
    assert_eq!((&rows[1]["code"], &rows[1]["status"]), (&json!("empty_text"), &json!(422)));
    assert_eq!(rows[1]["request_id"], answer.header("x-request-id"));
    for (row, text) in [(&rows[0], texts[0]), (&rows[2], texts[2]), (&rows[3], texts[3])] {
        let alone = demo().post("/v1/triage", &json!({ "text": text })).expect(200);
        assert_eq!(row["intent"]["id"], alone["intent"]["id"], "{text}");
    }
    assert_eq!(demo().post("/v1/triage/batch", &json!({ "items": [] })).expect(200)["items"], json!([]));
}

#[test]
fn intents_alone_are_the_intents_of_a_triage() {
    let triage = demo().post("/v1/triage", &json!({ "text": EXAMPLE })).expect(200);
    let one = demo().post("/v1/classify", &json!({ "text": EXAMPLE })).expect(200);
    assert_eq!(one["items"].as_array().expect("items").len(), 1);
    assert_intent(&one["items"][0]);
    assert_eq!(one["items"][0]["lang"], "zh");
    assert_eq!(one["items"][0]["id"], triage["intent"]["id"]);
    let many = demo().post("/v1/classify", &json!({ "texts": ["在吗", "where is my order", EXAMPLE], "mode": "fast" })).expect(200);
    assert_eq!(column(&many["items"], "lang"), ["zh", "en", "zh"]);
    assert_eq!(many["items"][2], one["items"][0]);
}

#[test]
fn entity_offsets_count_code_points_of_the_text_as_it_was_sent() {
    let text = "😀我要ＸＬ码的粉色羽绒服，订单LZ20931847，电话13812345678";
    let answer = demo().post("/v1/entities", &json!({ "text": text })).expect(200);
    let entities = &answer["items"][0]["entities"];
    let chars: Vec<char> = text.chars().collect();
    for entity in entities.as_array().expect("entities") {
        let at = |field: &str| entity[field].as_u64().expect("an offset") as usize;
        assert_eq!(chars[at("start")..at("end")].iter().collect::<String>(), entity["text"].as_str().expect("text"));
        assert_probability(&entity["confidence"]);
    }
    for kind in ["SIZE", "COLOR", "PRODUCT", "ORDER_ID", "PHONE"] {
        entity(entities, kind);
    }
    let many = demo().post("/v1/entities", &json!({ "texts": [text, "nothing here"] })).expect(200);
    assert_eq!(many["items"][0]["entities"], *entities);
    assert_eq!(many["items"][1]["lang"], "en");
}

#[test]
fn similar_tickets_keep_to_the_filter() {
    let ask = |body: Value| demo().post("/v1/similar", &body).expect(200)["items"].clone();
    let all = ask(json!({ "text": "快递三天没动了", "top_k": 10 }));
    assert_eq!(all.as_array().expect("items").len(), 10);
    let ids = column(&all, "ticket_id");
    assert!(ids.iter().all(|id| ids.iter().filter(|other| *other == id).count() == 1), "{ids:?}");
    let sure: Vec<f64> = all.as_array().expect("items").iter().map(|row| row["confidence"].as_f64().expect("a number")).collect();
    assert!(sure.is_sorted_by(|a, b| a >= b), "{sure:?}");

    let intent = column(&all, "intent")[0].to_owned();
    let of_intent = ask(json!({ "text": "快递三天没动了", "filter": { "intent": intent } }));
    assert!(!of_intent.as_array().expect("items").is_empty());
    assert!(column(&of_intent, "intent").iter().all(|i| *i == intent), "{of_intent:#}");
    let english = ask(json!({ "text": "快递三天没动了", "filter": { "lang": "en" }, "top_k": 3 }));
    assert_eq!(english.as_array().expect("items").len(), 3);
    let store = &demo().service.pipeline.store;
    let found = RUNTIME.block_on(store.tickets(&column(&english, "ticket_id").iter().map(|id| (*id).to_owned()).collect::<Vec<_>>()));
    assert!(found.expect("tickets").iter().all(|t| t.lang == Some(fenzhen::domain::Lang::En)));
    let none = ask(json!({ "text": "快递三天没动了", "filter": { "intent": "no_such_intent" } }));
    assert_eq!(none, json!([]));
    let both = ask(json!({ "text": "快递三天没动了", "filter": { "lang": "zh", "state": "resolved", "intent": null } }));
    assert!(!both.as_array().expect("items").is_empty());
}

#[test]
fn a_recorded_triage_is_kept_with_its_message_and_others_are_not() {
    let shop = Shop::empty();
    let kept = |id: &Value| {
        let id = id.as_str().expect("an id");
        RUNTIME.block_on(shop.service.pipeline.store.triage(id)).expect("the store answers")
    };
    let text = "NUL \u{0} and 'quotes'; 退货";
    let recorded = shop.post("/v1/triage", &json!({ "text": text, "record": true })).expect(200);
    let row: Value = serde_json::from_str(&kept(&recorded["id"]).expect("it was recorded")).expect("JSON");
    assert_eq!(row["request"]["text"], text);
    assert_eq!(row["answer"]["decision"], recorded["decision"]);
    let passing = shop.post("/v1/triage", &json!({ "text": text })).expect(200);
    assert_eq!(kept(&passing["id"]), None);
}

#[test]
fn an_empty_shop_hands_over_what_it_has_no_article_for() {
    let triage = Shop::empty().post("/v1/triage", &json!({ "text": EXAMPLE })).expect(200);
    assert_eq!(triage["decision"]["action"], "handoff");
    assert!(triage["decision"]["reasons"].as_array().expect("reasons").contains(&json!("missing_knowledge")));
    assert_eq!((&triage["similar"], &triage["articles"]), (&json!([]), &json!([])));
}
