//! The knowledge base as a support team lives with it: drafts and versions, search at the desk, and what the traffic says.

use serde_json::{Value, json};

use crate::support::{Shop, column, demo};

fn article(question: &str, answer: &str) -> Value {
    json!({ "lang": "zh", "question": question, "answer": answer })
}

fn found(shop: &Shop, text: &str) -> Vec<String> {
    column(&shop.post("/v1/triage", &json!({ "text": text })).expect(200)["articles"], "article_id")
        .iter()
        .map(|s| (*s).to_owned())
        .collect()
}

#[test]
fn a_draft_is_reviewed_and_comes_into_force() {
    let shop = Shop::empty();
    let draft = json!({ "article": article("电热毯怎么清洗", "只能干洗。"), "note": "新品" });
    let kept = shop.put("/v1/drafts/kb-1", &draft).expect(200);
    assert_eq!((&kept["state"], &kept["base_version"], &kept["article"]["id"]), (&json!("draft"), &Value::Null, &json!("kb-1")));
    assert!(found(&shop, "电热毯要怎么洗").is_empty(), "a draft is not searched");
    shop.get("/v1/articles/kb-1").expect_problem(404, "not_found");

    assert_eq!(shop.post("/v1/drafts/kb-1/submit", &json!({})).expect(200)["state"], "review");
    assert_eq!(shop.get("/v1/drafts?state=draft").expect(200)["items"], json!([]));
    let returned = shop.post("/v1/drafts/kb-1/return", &json!({ "note": "写上水温" })).expect(200);
    assert_eq!((&returned["state"], &returned["note"]), (&json!("draft"), &json!("写上水温")));
    shop.put("/v1/drafts/kb-1", &json!({ "article": article("电热毯怎么清洗", "只能干洗，不能水洗。") })).expect(200);
    let published = shop.post("/v1/drafts/kb-1/publish", &json!({})).expect(200);
    assert_eq!(published["answer"], "只能干洗，不能水洗。");
    assert_eq!(found(&shop, "电热毯要怎么洗"), ["kb-1"]);
    shop.get("/v1/drafts/kb-1").expect_problem(404, "not_found");
    shop.post("/v1/drafts/kb-1/publish", &json!({})).expect_problem(404, "not_found");
    shop.put("/v1/drafts/kb-2", &json!({ "article": article(" ", "x") })).expect_problem(422, "empty_text");
}

#[test]
fn a_draft_of_an_article_that_was_changed_meanwhile_is_not_published_unseen() {
    let shop = Shop::empty();
    shop.put("/v1/articles/kb-1", &article("怎么开发票", "在订单页申请。")).expect(201);
    let draft = shop.put("/v1/drafts/kb-1", &json!({ "article": article("怎么开发票", "在发票页申请。") })).expect(200);
    assert_eq!(draft["base_version"], 1);
    shop.put("/v1/articles/kb-1", &article("怎么开发票", "找客服申请。")).expect(200);
    let problem = shop.post("/v1/drafts/kb-1/publish", &json!({}));
    problem.expect_problem(409, "stale_draft");
    shop.post("/v1/drafts/kb-1/publish", &json!({ "force": true })).expect(200);
    let versions = shop.get("/v1/articles/kb-1/versions").expect(200);
    let answers: Vec<&Value> = versions["items"].as_array().unwrap().iter().map(|v| &v["article"]["answer"]).collect();
    assert_eq!(answers, ["在发票页申请。", "找客服申请。", "在订单页申请。"]);
    assert_eq!(shop.delete("/v1/drafts/kb-1").status, 404);
}

#[test]
fn every_version_stays_and_can_come_back() {
    let shop = Shop::empty();
    shop.put("/v1/articles/kb-1", &article("运费多少", "满99包邮。")).expect(201);
    shop.put("/v1/articles/kb-1", &article("运费多少", "满99包邮。")).expect(200);
    shop.put("/v1/articles/kb-1", &article("运费多少", "满59包邮。")).expect(200);
    assert_eq!(shop.delete("/v1/articles/kb-1").status, 204);
    let versions = shop.get("/v1/articles/kb-1/versions").expect(200);
    let numbers: Vec<i64> = versions["items"].as_array().unwrap().iter().map(|v| v["version"].as_i64().unwrap()).collect();
    assert_eq!(numbers, [3, 2, 1], "what is the same word for word makes no version");
    assert_eq!(versions["items"][0]["deleted"], true);
    shop.post("/v1/articles/kb-1/restore", &json!({ "version": 9 })).expect_problem(404, "not_found");
    shop.post("/v1/articles/kb-1/restore", &json!({ "version": 3 })).expect_problem(422, "invalid_request");
    assert_eq!(shop.post("/v1/articles/kb-1/restore", &json!({ "version": 1 })).expect(200)["answer"], "满99包邮。");
    assert_eq!(found(&shop, "运费是多少"), ["kb-1"]);
    shop.get("/v1/articles/none/versions").expect_problem(404, "not_found");
}

#[test]
fn what_is_not_in_force_or_not_for_customers_is_not_sent() {
    let shop = Shop::empty();
    let row = |id: &str, extra: Value| {
        let mut row = article("春节期间几号恢复发货", "初七起恢复发货。");
        row["id"] = json!(id);
        row.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        row
    };
    shop.post("/v1/articles", &row("past", json!({ "valid_until": "2020-01-01T00:00:00Z" }))).expect(201);
    shop.post("/v1/articles", &row("future", json!({ "valid_from": "2999-01-01T00:00:00+08:00" }))).expect(201);
    shop.post("/v1/articles", &row("inside", json!({ "audience": "agent" }))).expect(201);
    let triage = shop.post("/v1/triage", &json!({ "text": "春节几号恢复发货" })).expect(200);
    assert_eq!(column(&triage["articles"], "article_id"), ["inside"]);
    assert_eq!(triage["reply"], Value::Null, "agents' words are not for customers: {triage}");
    assert_ne!(triage["decision"]["action"], "auto_reply");
    shop.post("/v1/articles", &row("now", json!({ "valid_from": "2020-01-01T00:00:00Z" }))).expect(201);
    let triage = shop.post("/v1/triage", &json!({ "text": "春节几号恢复发货" })).expect(200);
    assert!(triage["reply"].is_null() || triage["reply"]["sources"] == json!(["now"]), "{triage}");
    for (field, value) in [("valid_from", "yesterday"), ("valid_until", "2020-13-01T00:00:00Z"), ("audience", "dogs")] {
        assert_eq!(shop.post("/v1/articles", &row("bad", json!({ field: value }))).status, 422, "{field}");
    }
    let upside_down = json!({ "valid_from": "2026-02-01T00:00:00Z", "valid_until": "2026-01-01T00:00:00Z" });
    shop.post("/v1/articles", &row("bad", upside_down)).expect_problem(422, "invalid_request");
}

#[test]
fn a_long_article_is_found_by_any_of_its_parts_and_forgotten_whole() {
    let shop = Shop::empty();
    let filler = "本节说明一般情况，具体以页面显示为准，请耐心等待处理结果，如有变化我们会在首页公告。".repeat(12);
    let answer =
        format!("## 运费\n{filler}\n## 清洗\n电热毯只能干洗，不能用洗衣机。{filler}\n## 发票\n电子发票在订单完成后一天内开出。{filler}");
    shop.put("/v1/articles/kb-long", &article("购物须知大全", &answer)).expect(201);
    assert_eq!(found(&shop, "电热毯能用洗衣机洗吗"), ["kb-long"]);
    assert_eq!(found(&shop, "电子发票什么时候开出来"), ["kb-long"]);
    let count = || shop.service.articles.index().count().unwrap();
    assert!(count() > 2, "{}", count());
    shop.put("/v1/articles/kb-long", &article("购物须知大全", "现在很短。")).expect(200);
    assert_eq!(count(), 1);
    shop.put("/v1/articles/kb-long", &article("购物须知大全", &answer)).expect(200);
    assert_eq!(shop.delete("/v1/articles/kb-long").status, 204);
    assert_eq!(count(), 0);
}

#[test]
fn the_desk_finds_articles_and_tickets_and_says_why() {
    let shop = demo();
    let answer = shop.get("/v1/search?q=%E5%8F%91%E7%A5%A8%E6%8A%AC%E5%A4%B4%E5%86%99%E9%94%99%E4%BA%86&limit=8").expect(200);
    let items = answer["items"].as_array().unwrap();
    assert_eq!(items.len(), 8);
    let kinds = column(&answer["items"], "kind");
    assert!(kinds.contains(&"article") && kinds.contains(&"ticket"), "{kinds:?}");
    for item in items {
        for (text, marks) in [("title", "title_marks"), ("excerpt", "excerpt_marks")] {
            let length = item[text].as_str().unwrap().chars().count() as u64;
            for mark in item[marks].as_array().unwrap() {
                assert!(mark[0].as_u64() < mark[1].as_u64() && mark[1].as_u64().unwrap() <= length, "{item}");
            }
        }
        assert!(item["why"]["cosine"].is_number(), "{item}");
    }
    assert!(items.iter().any(|i| !i["title_marks"].as_array().unwrap().is_empty() && !i["why"]["terms"].as_array().unwrap().is_empty()));
    let only = shop.get("/v1/search?q=refund&kind=ticket&lang=en&limit=3").expect(200);
    assert!(only["items"].as_array().unwrap().iter().all(|i| i["kind"] == "ticket" && i["lang"] == "en"), "{only}");
    assert_eq!(only["degraded"], json!([]));
    shop.get("/v1/search?q=%20").expect_problem(422, "empty_text");
    shop.get("/v1/search?q=a&limit=0").expect_problem(422, "invalid_request");
    shop.get("/v1/search?q=a&kind=cats").expect_problem(422, "invalid_request");
    shop.get("/v1/search").expect_problem(422, "invalid_request");
}

#[test]
fn a_question_that_nothing_answers_is_a_gap_with_a_proposal() {
    let shop = Shop::empty();
    let solved = |n: usize| {
        json!({ "id": format!("T-{n}"), "text": "电热毯插上电没有反应，指示灯不亮", "lang": "zh", "state": "resolved",
                "resolution": "请客户换一个插座并按住开关三秒，恢复正常。" })
    };
    shop.put("/v1/tickets/index", &json!({ "items": [solved(1), solved(2)] })).expect(200);
    for text in ["电热毯插电没反应", "电热毯插上电指示灯不亮", "电热毯插电以后没有反应啊", "你们公司附近有地铁吗"]
    {
        shop.post("/v1/triage", &json!({ "text": text, "record": true })).expect(200);
    }
    let gaps = shop.get("/v1/knowledge/gaps").expect(200);
    let first = &gaps["items"][0];
    assert_eq!(first["n"], 3, "{gaps}");
    assert_eq!(first["questions"].as_array().unwrap().len(), 3);
    assert!(first["proposal"]["article"]["answer"].as_str().unwrap().contains("按住开关三秒"), "{first}");
    // It can be kept as a draft as it is.
    let id = first["proposal"]["article"]["id"].as_str().unwrap();
    shop.put(&format!("/v1/drafts/{id}"), &json!({ "article": first["proposal"]["article"] })).expect(200);
    shop.get("/v1/knowledge/gaps?days=0").expect_problem(422, "invalid_request");
}

#[test]
fn what_an_article_answered_is_counted_with_what_agents_said() {
    let shop = Shop::empty();
    shop.put("/v1/articles/kb-1", &article("电热毯怎么清洗", "只能干洗。")).expect(201);
    let ask = || shop.post("/v1/triage", &json!({ "text": "电热毯怎么清洗", "record": true })).expect(200);
    let (first, second) = (ask(), ask());
    let replied = usize::from(!first["reply"].is_null()) + usize::from(!second["reply"].is_null());
    for (triage, outcome) in [(&first, "rejected"), (&second, "accepted")] {
        shop.post("/v1/feedback", &json!({ "triage_id": triage["id"], "outcome": outcome })).expect(201);
    }
    let usage = shop.get("/v1/articles/kb-1/usage").expect(200);
    assert_eq!((&usage["shown"], &usage["replied"]), (&json!(2), &json!(replied)), "{usage}");
    assert_eq!(usage["tickets"].as_array().unwrap().len(), replied);
    if replied == 2 {
        assert_eq!((&usage["success_rate"], &usage["rejected"]), (&json!(0.5), &json!(1)), "{usage}");
    }
    shop.get("/v1/articles/none/usage").expect_problem(404, "not_found");
}

#[test]
fn articles_that_no_longer_serve_are_listed_with_the_reason() {
    let shop = Shop::empty();
    let mut old = article("双十一怎么参加", "见活动页。");
    old["valid_until"] = json!("2020-01-01T00:00:00Z");
    shop.put("/v1/articles/kb-old", &old).expect(201);
    shop.put("/v1/articles/kb-zh", &article("怎么退货", "在订单页点退货。")).expect(201);
    let translation = json!({ "lang": "en", "question": "How do I return it?", "answer": "On the order page.", "translation_of": "kb-zh" });
    shop.put("/v1/articles/kb-en", &translation).expect(201);
    let reasons = || {
        let stale = shop.get("/v1/knowledge/stale").expect(200);
        let rows = stale["items"].as_array().unwrap().iter().map(|i| (i["article_id"].as_str().unwrap().to_owned(), i["reasons"].clone()));
        rows.collect::<Vec<_>>()
    };
    assert_eq!(reasons(), [("kb-old".to_owned(), json!(["expired"]))]);
    shop.put("/v1/articles/kb-zh", &article("怎么退货", "在订单页点申请售后。")).expect(200);
    assert!(reasons().contains(&("kb-en".to_owned(), json!(["translation_behind"]))), "{:?}", reasons());
}

#[test]
fn a_burst_of_one_complaint_is_one_incident() {
    let shop = Shop::empty();
    let now = time::OffsetDateTime::now_utc();
    let at = |minutes: i64| (now - time::Duration::minutes(minutes)).format(&time::format_description::well_known::Rfc3339).unwrap();
    let burst = ["付款页面一直转圈，付不了款", "付款的时候一直转圈付不了", "点付款就一直转圈圈，付不了款怎么办", "一直转圈付款不了"];
    let others = ["羽绒服有粉色吗", "发票抬头怎么改", "帮我查一下快递到哪了"];
    let row = |n: usize, text: &str| json!({ "id": format!("T-{n}"), "text": text, "created_at": at(5 * n as i64 + 1) });
    let items: Vec<Value> = burst.iter().chain(&others).enumerate().map(|(n, text)| row(n, text)).collect();
    shop.put("/v1/tickets/index", &json!({ "items": items })).expect(200);
    let incidents = shop.get("/v1/incidents?hours=24").expect(200);
    let items = incidents["items"].as_array().unwrap();
    assert_eq!(items.len(), 1, "{incidents}");
    assert_eq!((&items[0]["n"], &items[0]["burst"]), (&json!(4), &json!(true)), "{incidents}");
    shop.get("/v1/incidents?hours=1000").expect_problem(422, "invalid_request");
}

#[test]
fn articles_that_say_the_same_are_named_at_the_import() {
    let shop = Shop::empty();
    let rows = json!([
        { "id": "a", "lang": "zh", "question": "电热毯怎么清洗", "answer": "电热毯只能干洗，不能水洗。" },
        { "id": "b", "lang": "zh", "question": "电热毯如何清洗", "answer": "电热毯只能干洗，不可以水洗。" },
        { "id": "c", "lang": "zh", "question": "怎么开发票", "answer": "在订单页申请电子发票。" },
    ]);
    let answer = shop.post("/v1/articles/import", &rows).expect(200);
    assert_eq!(answer["created"], 3);
    assert_eq!(answer["duplicates"].as_array().unwrap().len(), 1, "{answer}");
    assert_eq!((&answer["duplicates"][0]["id"], &answer["duplicates"][0]["of"]), (&json!("b"), &json!("a")));
}

#[test]
fn tickets_and_translations_are_told_by_id() {
    let shop = demo();
    assert_eq!(shop.get("/v1/tickets/T-0001").expect(200)["id"], "T-0001");
    shop.get("/v1/tickets/none").expect_problem(404, "not_found");
    let own = Shop::empty();
    own.put("/v1/articles/kb-zh", &article("怎么退货", "在订单页点退货。")).expect(201);
    let row = json!({ "lang": "en", "question": "How do I return it?", "answer": "On the order page.", "translation_of": "kb-zh" });
    own.put("/v1/articles/kb-en", &row).expect(201);
    assert_eq!(column(&own.get("/v1/articles?translation_of=kb-zh").expect(200)["items"], "id"), ["kb-en"]);
    assert_eq!(column(&own.get("/v1/articles?q=%E9%80%80%E8%B4%A7").expect(200)["items"], "id"), ["kb-zh"]);
    assert_eq!(column(&own.get("/v1/articles?audience=agent").expect(200)["items"], "id"), Vec::<&str>::new());
}

#[test]
fn the_desk_is_served_with_headers_that_keep_it_to_itself() {
    let shop = demo();
    let page = shop.get("/desk/");
    assert_eq!(page.status, 200);
    assert!(page.header("content-security-policy").contains("default-src 'none'") && page.header("content-type").starts_with("text/html"));
    assert_eq!(shop.get("/desk").status, 308);
    shop.get("/desk/none.js").expect_problem(404, "not_found");
    shop.get("/desk/../Cargo.toml").expect_problem(404, "not_found");
}
