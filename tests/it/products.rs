//! Which product a message means, over the wire, and what products have to do with one another.

use serde_json::{Value, json};

use crate::support::{Shop, column, demo};

fn resolve(shop: &Shop, text: &str) -> Value {
    shop.post("/v1/products/resolve", &json!({ "text": text, "lang": "auto" })).expect(200)
}

#[test]
fn one_sku_several_or_none_are_told_apart() {
    let shop = demo();
    let one = resolve(shop, "买的粉色XL码长款羽绒服还没发货");
    assert_eq!((&one["match"], &one["sku"], &one["ask"]), (&json!("one"), &json!("ND-20107"), &json!(null)), "{one:#}");
    assert_eq!(one["attributes"]["color"], "pink");
    assert!(one["confidence"].as_f64().is_some_and(|c| (0.0..=1.0).contains(&c)));

    let several = resolve(shop, "黑色长款羽绒服多少钱");
    assert_eq!((&several["match"], &several["sku"], &several["ask"]), (&json!("several"), &json!(null), &json!("size")), "{several:#}");
    assert_eq!(column(&several["candidates"], "sku"), ["ND-20101", "ND-20102", "ND-20103", "ND-20104"]);
    assert_eq!(several["candidates"][0]["differs"], json!(["size"]));

    let none = resolve(shop, "rice cooker 5L black");
    assert_eq!((&none["match"], &none["total"]), (&json!("none"), &json!(0)), "{none:#}");
    assert_eq!((&none["candidates"][0]["sku"], &none["candidates"][0]["differs"]), (&json!("CZ-60203"), &json!(["color"])));
}

#[test]
fn what_is_rejected_or_arrived_by_mistake_is_not_meant() {
    let shop = demo();
    for (text, sku) in [
        ("灰的四件套，要天丝不要纯棉，1米8", "YD-40406"),
        ("it came in black but I ordered the pink long down coat in XXL", "ND-20108"),
        ("light blue linen shirt - not the L, the M", "SX-10404"),
    ] {
        assert_eq!(resolve(shop, text)["sku"], sku, "{text}");
    }
}

#[test]
fn nothing_that_is_typed_is_too_strange() {
    let shop = demo();
    let long = "粉色羽绒服😀XL ".repeat(600);
    for text in ["😀😀😀", "？？？", "ＸＸＸＬ码", "0x0x0x0米", "9999999999999999999ml", "不要不要不要", "1/0", long.as_str()]
    {
        let status = shop.post("/v1/products/resolve", &json!({ "text": text })).status.as_u16();
        assert!(status == 200 || status == 413 || status == 422, "{status} {text:.40}");
    }
    shop.post("/v1/products/resolve", &json!({ "text": " " })).expect_problem(422, "empty_text");
    let empty = resolve(&Shop::empty(), "粉色羽绒服");
    assert_eq!((&empty["match"], &empty["candidates"]), (&json!("none"), &json!([])));
}

#[test]
fn broken_rows_and_equal_titles_do_no_harm() {
    let shop = Shop::empty();
    let rows = json!([
        { "sku": "A", "title": "漂浮灯 白色", "product": "漂浮灯", "attributes": { "color": "白色", "size": "", "spec": "???", "": "x" } },
        { "sku": "B", "title": "漂浮灯 白色", "product": "漂浮灯", "attributes": { "color": "白色/黑色" } },
        { "sku": "C", "title": "漂浮灯" },
    ]);
    shop.put("/v1/catalogue", &rows).expect(200);
    let answer = resolve(&shop, "白色漂浮灯");
    assert_eq!(column(&answer["candidates"], "sku"), ["A", "B"], "{answer:#}");
}

#[test]
fn a_product_is_answered_with_its_relations_both_ways() {
    let shop = Shop::empty();
    let tee = |sku: &str, color: &str| json!({ "sku": sku, "title": format!("素行 T恤 {color}"), "brand": "素行", "product": "T恤", "attributes": { "color": color } });
    let mut new = tee("T2", "黑色");
    new["replaces"] = json!("T1");
    new["compatible_with"] = json!(["H1", "洗衣袋"]);
    shop.put("/v1/catalogue", &json!([tee("T1", "白色"), new, { "sku": "H1", "title": "衣架" }])).expect(200);
    let one = shop.get("/v1/products/T1").expect(200);
    assert_eq!((&one["title"], &one["relations"]["replaced_by"][0]["sku"]), (&json!("素行 T恤 白色"), &json!("T2")), "{one:#}");
    assert_eq!(one["relations"]["variants"], json!([{ "sku": "T2", "title": "素行 T恤 黑色", "differs": ["color"] }]));
    let two = shop.get("/v1/products/T2").expect(200);
    assert_eq!((&two["replaces"], &two["relations"]["replaces"]["sku"]), (&json!("T1"), &json!("T1")));
    assert_eq!(two["relations"]["compatible_with"], json!(["洗衣袋"]));
    assert_eq!(shop.get("/v1/products/H1").expect(200)["relations"]["compatible"][0]["sku"], "T2");
    shop.get("/v1/products/none").expect_problem(404, "not_found");
    let itself = json!([{ "sku": "X", "title": "x", "replaces": "X" }]);
    shop.put("/v1/catalogue", &itself).expect_problem(422, "invalid_request");
}
