//! Articles, past tickets and the catalogue: what was changed is in force when it is answered.

use axum::body::Body;
use fenzhen::corpus::shipped;
use serde_json::{Value, json};

use crate::support::{Shop, column, demo, request};

fn article(id: &str, question: &str) -> Value {
    json!({ "id": id, "lang": "zh", "question": question, "answer": format!("{question}——请看说明书第三页。"), "intent": "usage" })
}

fn ids(shop: &Shop) -> Vec<String> {
    column(&shop.get("/v1/articles").expect(200)["items"], "id").iter().map(|id| (*id).to_owned()).collect()
}

#[test]
fn an_article_lives_from_create_to_delete() {
    let shop = Shop::empty();
    let mut row = article("kb-1", "电热毯怎么清洗");
    let created = shop.post("/v1/articles", &row);
    assert_eq!(created.expect(201), row);
    assert_eq!(created.header("location"), "/v1/articles/kb-1");
    shop.post("/v1/articles", &row).expect_problem(409, "already_exists");
    assert_eq!(shop.get("/v1/articles/kb-1").expect(200), row);

    row["answer"] = json!("只能干洗。");
    assert_eq!(shop.put("/v1/articles/kb-1", &row).expect(200), row);
    assert_eq!(shop.get("/v1/articles/kb-1").expect(200)["answer"], "只能干洗。");
    shop.put("/v1/articles/kb-2", &row).expect_problem(422, "invalid_request");
    let other = json!({ "lang": "en", "question": "How do I wash it?", "answer": "Dry cleaning only." });
    assert_eq!(shop.put("/v1/articles/kb-2", &other).expect(201)["id"], "kb-2");

    assert_eq!(shop.delete("/v1/articles/kb-1").status, 204);
    shop.delete("/v1/articles/kb-1").expect_problem(404, "not_found");
    shop.get("/v1/articles/kb-1").expect_problem(404, "not_found");
    assert_eq!(ids(&shop), ["kb-2"]);
}

#[test]
fn an_article_without_an_id_is_given_one() {
    let shop = Shop::empty();
    let created = shop.post("/v1/articles", &json!({ "lang": "zh", "question": "几点上班", "answer": "九点" })).expect(201);
    let id = created["id"].as_str().expect("an id");
    assert_eq!(shop.get(&format!("/v1/articles/{id}")).expect(200), created);
}

#[test]
fn a_new_article_is_found_at_once_and_a_deleted_one_no_more() {
    let shop = Shop::empty();
    let found = || column(&shop.post("/v1/triage", &json!({ "text": "电热毯要怎么洗" })).expect(200)["articles"], "article_id").join(" ");
    assert_eq!(found(), "");
    shop.post("/v1/articles", &article("kb-wash", "电热毯怎么清洗")).expect(201);
    assert_eq!(found(), "kb-wash");
    assert_eq!(shop.delete("/v1/articles/kb-wash").status, 204);
    assert_eq!(found(), "");
}

#[test]
fn pages_hold_every_article_once_in_order() {
    let (mut seen, mut cursor, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let page = demo().get(&format!("/v1/articles?limit=40{cursor}")).expect(200);
        seen.extend(column(&page["items"], "id").iter().map(|id| (*id).to_owned()));
        pages += 1;
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let all = shipped::articles().len();
    assert_eq!((seen.len(), pages), (all, all.div_ceil(40)));
    assert!(seen.is_sorted() && seen.windows(2).all(|w| w[0] != w[1]));
    let english = demo().get("/v1/articles?lang=en&limit=200").expect(200);
    assert!(english["items"].as_array().is_some_and(|items| !items.is_empty() && items.len() < all));
    assert!(english.get("next_cursor").is_none());
    assert!(column(&english["items"], "lang").iter().all(|lang| *lang == "en"));
    for wrong in ["limit=0", "limit=201", "limit=x", "page=2"] {
        demo().get(&format!("/v1/articles?{wrong}")).expect_problem(422, "invalid_request");
    }
    demo().get("/v1/articles?lang=fr").expect_problem(422, "unknown_language");
}

fn tally(counts: &Value) -> [u64; 5] {
    ["received", "created", "updated", "unchanged", "deleted"].map(|name| counts[name].as_u64().expect(name))
}

#[test]
fn an_import_takes_an_array_or_lines_and_counts() {
    let shop = Shop::empty();
    let rows = [article("kb-1", "怎么退货"), article("kb-2", "怎么换货"), article("kb-3", "怎么开票")];
    let counts = shop.post("/v1/articles/import", &json!(rows)).expect(200);
    assert_eq!(tally(&counts), [3, 3, 0, 0, 0]);

    let changed = article("kb-2", "怎么换尺码");
    let lines = format!("{}\n\n{changed}\r\n{}", rows[0], article("kb-4", "怎么改地址"));
    let counts = shop.post_raw("/v1/articles/import", lines).expect(200);
    assert_eq!(tally(&counts), [3, 1, 1, 1, 0]);

    let counts = shop.post("/v1/articles/import?replace=true", &json!([changed])).expect(200);
    assert_eq!((&counts["deleted"], &counts["unchanged"]), (&json!(3), &json!(1)));
    assert_eq!(ids(&shop), ["kb-2"]);
    let found = shop.post("/v1/triage", &json!({ "text": "怎么退货" })).expect(200);
    assert_eq!(column(&found["articles"], "article_id"), ["kb-2"], "what was replaced is out of the index too");
}

#[test]
fn an_import_with_a_bad_row_changes_nothing_and_names_the_row() {
    let shop = Shop::empty();
    let good = article("kb-1", "怎么退货");
    let problem = shop.post_raw("/v1/articles/import", format!("{good}\n{{\"id\":\"kb-2\"}}\n")).expect_problem(422, "invalid_request");
    assert!(problem["detail"].as_str().is_some_and(|d| d.contains("line 2")), "{problem:#}");
    let problem = shop.post_raw("/v1/articles/import", format!("{good}\nnot json\n")).expect_problem(400, "invalid_json");
    assert!(problem["detail"].as_str().is_some_and(|d| d.contains("line 2")), "{problem:#}");
    let mut empty = article("kb-3", "x");
    empty["answer"] = json!(" ");
    let problem = shop.post("/v1/articles/import", &json!([good, empty])).expect_problem(422, "empty_text");
    assert!(problem["detail"].as_str().is_some_and(|d| d.contains("kb-3") && d.contains("answer")), "{problem:#}");
    assert!(ids(&shop).is_empty());
}

#[test]
fn tickets_are_searchable_when_the_call_answers() {
    let shop = Shop::empty();
    let item = json!({ "id": "T-77", "text": "蓝牙音箱开不了机，指示灯不亮", "intent": "quality_issue", "state": "closed",
        "resolution": "换了电源", "created_at": "2026-03-01T08:00:00Z" });
    let counts = shop.put("/v1/tickets/index", &json!({ "items": [item] })).expect(200);
    assert_eq!((&counts["received"], &counts["created"]), (&json!(1), &json!(1)));
    let found = shop.post("/v1/similar", &json!({ "text": "音箱开不了机" })).expect(200)["items"].clone();
    assert_eq!(column(&found, "ticket_id"), ["T-77"]);
    assert_eq!((&found[0]["intent"], &found[0]["resolution"]), (&json!("quality_issue"), &json!("换了电源")));
    assert_eq!(shop.put("/v1/tickets/index", &json!({ "items": [item] })).expect(200)["unchanged"], 1);

    let mut reopened = item.clone();
    reopened["state"] = json!("open");
    assert_eq!(shop.put("/v1/tickets/index", &json!({ "items": [reopened] })).expect(200)["updated"], 1);
    let of_state =
        |state: &str| shop.post("/v1/similar", &json!({ "text": "音箱", "filter": { "state": state } })).expect(200)["items"].clone();
    assert_eq!(column(&of_state("open"), "ticket_id"), ["T-77"]);
    assert_eq!(of_state("closed"), json!([]));

    // What the agent noted is searched too: the customer did not say it.
    let noted = shop.get("/v1/search?q=%E7%94%B5%E6%BA%90").expect(200)["items"][0].clone();
    assert_eq!((&noted["id"], &noted["why"]["terms"]), (&json!("T-77"), &json!(["电源"])), "{noted:#}");

    let mut endless = item.clone();
    endless["resolution"] = json!("断".repeat(20_001));
    let problem = shop.put("/v1/tickets/index", &json!({ "items": [endless] })).expect_problem(413, "text_too_long");
    assert!(problem["detail"].as_str().is_some_and(|d| d.contains("T-77") && d.contains("resolution")), "{problem:#}");
    let mut wrong = item;
    wrong["created_at"] = json!("yesterday");
    let problem = shop.put("/v1/tickets/index", &json!({ "items": [wrong] })).expect_problem(422, "invalid_request");
    assert!(problem["detail"].as_str().is_some_and(|d| d.contains("T-77")), "{problem:#}");
}

#[test]
fn a_new_brand_and_product_are_tagged_at_once() {
    let shop = Shop::empty();
    let tagged = |mode: &str| {
        let answer = shop.post("/v1/entities", &json!({ "text": "你们家呱呱星的漂浮灯还有货吗", "mode": mode })).expect(200);
        let entities = answer["items"][0]["entities"].clone();
        column(&entities, "type").into_iter().zip(column(&entities, "text")).map(|(k, t)| format!("{k} {t}")).collect::<Vec<_>>()
    };
    // The tagger may well guess a name that it has never seen; patterns and catalogue cannot.
    assert!(!tagged("fast").contains(&"BRAND 呱呱星".to_owned()));
    let item = json!({ "sku": "G-1", "title": "呱呱星 漂浮灯 白色", "brand": "呱呱星", "category": "家居/漂浮灯", "product": "漂浮灯",
        "attributes": { "color": "白色" }, "price": 99.5 });
    let counts = shop.put("/v1/catalogue", &json!([item])).expect(200);
    assert_eq!((&counts["created"], &counts["deleted"]), (&json!(1), &json!(0)));
    for mode in ["fast", "full"] {
        let now = tagged(mode);
        assert!(now.contains(&"BRAND 呱呱星".to_owned()) && now.contains(&"PRODUCT 漂浮灯".to_owned()), "{mode}: {now:?}");
    }
    let triage = shop.post("/v1/triage", &json!({ "text": "呱呱星白色漂浮灯多少钱" })).expect(200);
    assert_eq!(triage["products"][0]["sku"], "G-1", "{triage:#}");

    let other = json!({ "sku": "G-2", "title": "别的", "brand": "别家" });
    let body = Body::from(format!("{other}\n"));
    assert_eq!(shop.send(request("PUT", "/v1/catalogue?replace=true", &[], body)).expect(200)["deleted"], 1);
    assert!(!tagged("fast").contains(&"BRAND 呱呱星".to_owned()));
    let negative = json!([{ "sku": "G-3", "title": "x", "price": -1 }]);
    shop.put("/v1/catalogue", &negative).expect_problem(422, "invalid_request");
}

#[test]
fn ids_that_cannot_be_used_are_refused() {
    let shop = Shop::empty();
    for id in ["", " ", "a\nb", &"x".repeat(201)] {
        let mut row = article("x", "怎么退货");
        row["id"] = json!(id);
        shop.post("/v1/articles", &row).expect_problem(422, "invalid_id");
        shop.put("/v1/tickets/index", &json!({ "items": [{ "id": id, "text": "x" }] })).expect_problem(422, "invalid_id");
        shop.put("/v1/catalogue", &json!([{ "sku": id, "title": "x" }])).expect_problem(422, "invalid_id");
    }
}

#[test]
fn injection_is_stored_and_returned_verbatim() {
    let shop = Shop::empty();
    let nasty = "'; DROP TABLE articles; -- <script>alert(1)</script> {{7*7}} \u{202e}rtl 😀 \\ \" %00";
    let row = json!({ "id": "kb' OR 1=1 --", "lang": "en", "question": nasty, "answer": nasty });
    shop.post("/v1/articles", &row).expect(201);
    shop.put("/v1/tickets/index", &json!({ "items": [{ "id": "T'\"; --", "text": nasty, "resolution": nasty }] })).expect(200);
    assert_eq!(shop.get("/v1/articles").expect(200)["items"], json!([row]));
    assert_eq!(shop.get("/v1/articles/kb'%20OR%201=1%20--").expect(200), row);
    let found = shop.post("/v1/similar", &json!({ "text": nasty, "filter": { "intent": null } })).expect(200);
    assert_eq!((&found["items"][0]["text"], &found["items"][0]["ticket_id"]), (&json!(nasty), &json!("T'\"; --")));
    let none = shop.post("/v1/similar", &json!({ "text": nasty, "filter": { "intent": "' OR '1'='1" } })).expect(200);
    assert_eq!(none["items"], json!([]));
}
