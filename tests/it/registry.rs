//! Trained models while the service runs: swapped under load, refused, compared in the shadow.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::body::Body;
use fenzhen::domain::Version;
use fenzhen::models::{Artefact, Registry};
use fenzhen::text::TEXT_VERSION;
use serde_json::{Value, json};

use crate::support::{Answer, EXAMPLE, RUNTIME, Shop, request, root};

/// Registers a copy of the shipped classifier whose `model.json` was changed.
fn register(registry: &Registry, change: impl FnOnce(&mut Value, &Path)) -> u32 {
    let dir = tempfile::tempdir().expect("a folder");
    for file in ["model.json", "vocabulary.txt", "weights.safetensors", "examples.jsonl", "branch.gguf", "README.md"] {
        fs::copy(root().join("models/intent").join(file), dir.path().join(file)).expect(file);
    }
    let path = dir.path().join("model.json");
    let mut meta: Value = serde_json::from_slice(&fs::read(&path).expect("model.json")).expect("JSON");
    change(&mut meta, dir.path());
    fs::write(&path, meta.to_string()).expect("model.json");
    registry.register("intent", dir.path()).expect("it is registered")
}

/// A classifier that answers with labels of its own, so that an answer tells who gave it.
fn prefixed(registry: &Registry, prefix: &str) -> u32 {
    register(registry, |meta, _| {
        for label in meta["labels"].as_array_mut().expect("labels") {
            *label = format!("{prefix}{}", label.as_str().expect("a label")).into();
        }
    })
}

/// As a program that knows no better would.
fn anything(_: &Artefact) -> Result<(), String> {
    Ok(())
}

fn promote(shop: &Shop, version: Value) -> Answer {
    shop.post("/v1/models/intent/promote", &json!({ "version": version }))
}

fn served(shop: &Shop) -> String {
    let triage = shop.post("/v1/triage", &json!({ "text": EXAMPLE, "mode": "fast" })).expect(200);
    triage["models"]["classifier"].as_str().expect("a version").to_owned()
}

#[test]
fn champions_change_under_load_without_a_failed_request() {
    let shop = Shop::empty();
    let registry = shop.service.models.registry().clone();
    let shipped = served(&shop);
    for n in 1..=2 {
        assert_eq!(prefixed(&registry, &format!("v{n}_")), n);
    }
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (shop, done, shipped) = (&shop, &done, &shipped);
        let clients: Vec<_> = (0..4)
            .map(|client| {
                scope.spawn(move || {
                    let mut seen = std::collections::BTreeMap::<String, u32>::new();
                    while !done.load(Ordering::Relaxed) {
                        let mode = if client == 0 { "full" } else { "fast" };
                        let triage = shop.post("/v1/triage", &json!({ "text": EXAMPLE, "mode": mode })).expect(200);
                        let who = triage["models"]["classifier"].as_str().expect("a version").to_owned();
                        let intent = triage["intent"]["id"].as_str().expect("an intent");
                        // The intent and the version are of one classifier, whatever happened in between.
                        let expected =
                            who.strip_prefix("intent@").filter(|_| who != *shipped).map(|n| format!("v{n}_")).unwrap_or_default();
                        assert!(intent.starts_with(&expected) && (!expected.is_empty() || !intent.starts_with('v')), "{who}: {intent}");
                        *seen.entry(who).or_default() += 1;
                        let texts = shop.post("/v1/classify", &json!({ "texts": [EXAMPLE, EXAMPLE, EXAMPLE] })).expect(200);
                        let ids: Vec<&Value> = texts["items"].as_array().expect("items").iter().map(|i| &i["id"]).collect();
                        assert!(ids.iter().all(|id| *id == ids[0]), "one request was judged by two classifiers: {ids:?}");
                    }
                    seen
                })
            })
            .collect();
        for round in 0..5 {
            for (version, expected) in [(json!(1), "intent@1"), (json!(2), "intent@2"), (json!("shipped"), shipped.as_str())] {
                promote(shop, version).expect(200);
                assert_eq!(served(shop), expected, "round {round}: it is in force when the promotion is answered");
            }
        }
        done.store(true, Ordering::Relaxed);
        let mut seen = std::collections::BTreeMap::<String, u32>::new();
        for client in clients {
            for (who, n) in client.join().expect("no request failed") {
                *seen.entry(who).or_default() += n;
            }
        }
        assert_eq!(seen.len(), 3, "{seen:?}");
    });
}

#[test]
fn an_alias_moved_by_another_program_is_followed() {
    let shop = Shop::empty();
    let service = Arc::clone(&shop.service);
    let other = Registry::open(service.models.registry().root());
    prefixed(&other, "a_");
    let broken = register(&other, |_, dir| fs::write(dir.join("weights.safetensors"), "noise").expect("a file"));
    let following = RUNTIME.spawn(Arc::clone(&service.models).run());
    let until = |version: &str| {
        let begin = std::time::Instant::now();
        while served(&shop) != version {
            assert!(begin.elapsed().as_secs() < 60, "{} is served, not {version}", served(&shop));
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    };
    other.promote("intent", "1", &anything).expect("it moves");
    until("intent@1");
    // What it cannot load it does not take, however the alias came to be there.
    other.promote("intent", &broken.to_string(), &anything).expect("it moves");
    let refused = || shop.get("/v1/models").expect(200);
    let begin = std::time::Instant::now();
    while !shop.get("/metrics").text().contains("fenzhen_model_swaps_total{outcome=\"refused\"}") {
        assert!(begin.elapsed().as_secs() < 60, "the refusal is not counted");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert_eq!(served(&shop), "intent@1");
    assert_eq!((&refused()["serving"]["champion"], &refused()["items"][0]["aliases"]["champion"]), (&json!("intent@1"), &json!(broken)));
    other.promote("intent", "1", &anything).expect("it moves");
    shop.post_raw("/v1/models/intent/rollback", "").expect_problem(422, "model_refused");
    following.abort();
}

#[test]
fn models_are_listed_with_aliases_and_scores() {
    let shop = Shop::empty();
    let list = shop.get("/v1/models").expect(200);
    assert_eq!(list["serving"]["champion"], json!(served(&shop)));
    assert_eq!((&list["serving"]["name"], &list["serving"]["challenger"]), (&json!("intent"), &Value::Null));
    let intent = &list["items"][0];
    assert_eq!((&intent["name"], &intent["aliases"]), (&json!("intent"), &json!({ "champion": "shipped" })));
    assert!(intent["versions"][0]["scores"]["test.full"]["accuracy"].as_f64().is_some_and(|a| a > 0.5), "{intent:#}");

    prefixed(shop.service.models.registry(), "");
    let moved = promote(&shop, json!(1)).expect(200);
    assert_eq!(moved, json!({ "name": "intent", "alias": "champion", "before": "shipped", "now": 1 }));
    let intent = shop.get("/v1/models").expect(200)["items"][0].clone();
    assert_eq!((&intent["versions"][0]["version"], &intent["versions"][1]["version"]), (&json!(1), &json!("shipped")));
    assert!(intent["versions"][0]["registered_at"].as_str().is_some_and(|at| at.ends_with('Z')));
    assert_eq!(shop.get("/readyz").expect(200)["models"]["classifier"], "intent@1");
    let back = shop.post_raw("/v1/models/intent/rollback", "").expect(200);
    assert_eq!((&back["before"], &back["now"]), (&json!(1), &json!("shipped")));
    shop.post_raw("/v1/models/intent/rollback", "").expect_problem(409, "no_earlier_model");
}

#[test]
fn what_cannot_be_served_is_refused_and_the_service_goes_on() {
    let shop = Shop::empty();
    let registry = shop.service.models.registry().clone();
    let other_text = register(&registry, |meta, _| meta["text_version"] = (TEXT_VERSION + 1).into());
    let broken = register(&registry, |_, dir| fs::write(dir.join("weights.safetensors"), "noise").expect("a file"));
    let other_kind = register(&registry, |meta, _| meta["kind"] = "oracle".into());
    let aliases = || registry.aliases("intent").expect("the aliases");
    let (before, shipped) = (aliases(), served(&shop));
    for (version, said) in [(other_text, "text pipeline"), (broken, "weights.safetensors"), (other_kind, "oracle")] {
        for answer in [promote(&shop, json!(version)), shop.put("/v1/models/intent/aliases/challenger", &json!({ "version": version }))] {
            let problem = answer.expect_problem(422, "model_refused");
            assert!(
                problem["detail"].as_str().is_some_and(|d| d.contains(said) && d.contains(&format!("intent@{version}"))),
                "{problem:#}"
            );
        }
    }
    promote(&shop, json!(99)).expect_problem(404, "not_found");
    promote(&shop, json!("newest")).expect_problem(422, "invalid_request");
    promote(&shop, json!(0)).expect_problem(422, "invalid_request");
    shop.post("/v1/models/ner/promote", &json!({ "version": 1 })).expect_problem(404, "not_found");
    shop.post_raw("/v1/models/..%2Fx/rollback", "").expect_problem(404, "not_found");
    shop.put("/v1/models/intent/aliases/7", &json!({ "version": 1 })).expect_problem(422, "invalid_request");
    shop.put("/v1/models/intent/aliases/mine", &json!({ "version": null })).expect_problem(404, "not_found");
    shop.put("/v1/models/intent/aliases/champion", &json!({})).expect_problem(422, "invalid_request");
    shop.get("/v1/models/intent/shadow").expect_problem(404, "not_found");
    assert_eq!((aliases(), served(&shop)), (before, shipped), "nothing moved");
}

#[test]
fn a_challenger_is_asked_silently_and_compared() {
    let shop = Shop::empty();
    let registry = shop.service.models.registry().clone();
    let alike = register(&registry, |_, _| ());
    let other = prefixed(&registry, "other_");
    let challenge = |version: Value| shop.put("/v1/models/intent/aliases/challenger", &json!({ "version": version })).expect(200);
    let report = |messages: u64| {
        // The challenger answers after the customer has been answered.
        let begin = std::time::Instant::now();
        loop {
            let report = shop.get("/v1/models/intent/shadow").expect(200);
            if report["messages"].as_u64() == Some(messages) || begin.elapsed().as_secs() > 60 {
                return report;
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    };
    let without = shop.post("/v1/triage", &json!({ "text": EXAMPLE, "mode": "fast" })).expect(200);

    challenge(json!(alike));
    let with = shop.post("/v1/triage", &json!({ "text": EXAMPLE, "mode": "fast" })).expect(200);
    assert_eq!((&with["intent"], &with["decision"], &with["models"]), (&without["intent"], &without["decision"], &without["models"]));
    shop.post("/v1/classify", &json!({ "texts": [EXAMPLE, "where is my order"] })).expect(200);
    let items: Vec<Value> = ["怎么退货", " ", "我要发票"].iter().map(|t| json!({ "text": t, "mode": "fast" })).collect();
    shop.post("/v1/triage/batch", &json!({ "items": items })).expect(200);
    shop.post("/v1/similar", &json!({ "text": EXAMPLE })).expect(200);
    let agreed = report(5);
    assert_eq!((&agreed["messages"], &agreed["agreed"], &agreed["agreement"]), (&json!(5), &json!(5), &json!(1.0)), "{agreed:#}");
    assert_eq!(agreed["mean_confidence"]["champion"], agreed["mean_confidence"]["challenger"]);

    challenge(json!(other));
    for text in ["怎么退货", "怎么退货", "where is my order"] {
        shop.post("/v1/classify", &json!({ "text": text })).expect(200);
    }
    let differed = report(3);
    assert_eq!((&differed["disagreed"], &differed["challenger"]), (&json!(3), &json!(format!("intent@{other}"))), "{differed:#}");
    let pair = &differed["pairs"][0];
    assert_eq!(
        (pair["n"].as_u64(), pair["challenger"].as_str()),
        (Some(2), pair["champion"].as_str().map(|c| format!("other_{c}")).as_deref())
    );
    let newest = &differed["disagreements"][0];
    assert_eq!((&newest["text"], &newest["lang"]), (&json!("where is my order"), &json!("en")));
    assert!(newest["at"].is_string() && newest["champion"]["confidence"].is_number() && newest["challenger"]["id"].is_string());
    let metrics = shop.get("/metrics").text();
    for outcome in ["agreed", "disagreed"] {
        assert!(metrics.contains(&format!("fenzhen_shadow_messages_total{{outcome=\"{outcome}\"}}")), "{outcome}");
    }

    promote(&shop, json!(other)).expect(200);
    assert_eq!(shop.get("/v1/models").expect(200)["serving"]["challenger"], Value::Null, "the champion challenges nobody");
    shop.get("/v1/models/intent/shadow").expect_problem(404, "not_found");
    let removed = challenge(Value::Null);
    assert_eq!((&removed["before"], &removed["now"]), (&json!(other), &Value::Null));
    assert_eq!(registry.version_of("intent", "champion").expect("a champion"), Version::Number(other));
}

#[test]
fn a_promotion_under_a_key_is_done_once() {
    let shop = Shop::empty();
    prefixed(shop.service.models.registry(), "");
    let body = json!({ "version": 1 }).to_string();
    for _ in 0..2 {
        shop.send(request("POST", "/v1/models/intent/promote", &[("idempotency-key", "p-1")], Body::from(body.clone()))).expect(200);
    }
    assert_eq!(shop.service.models.registry().aliases("intent").expect("the aliases").history.len(), 1);
}

#[test]
fn taggers_are_swapped_as_classifiers_are() {
    let shop = Shop::empty();
    let registry = shop.service.models.registry().clone();
    let register = |change: &dyn Fn(&mut Value, &Path)| {
        let dir = tempfile::tempdir().expect("a folder");
        for file in ["model.json", "vocabulary.txt", "weights.safetensors", "branch.gguf", "README.md"] {
            fs::copy(root().join("models/ner").join(file), dir.path().join(file)).expect(file);
        }
        let path = dir.path().join("model.json");
        let mut meta: Value = serde_json::from_slice(&fs::read(&path).expect("model.json")).expect("JSON");
        change(&mut meta, dir.path());
        fs::write(&path, meta.to_string()).expect("model.json");
        registry.register("ner", dir.path()).expect("it is registered")
    };
    assert_eq!(register(&|_, _| {}), 1);
    assert_eq!(register(&|meta, _| meta["types"][0] = json!("GADGET")), 2);
    assert_eq!(register(&|_, dir| fs::write(dir.join("branch.gguf"), "broken").expect("a file")), 3);
    let served = || shop.post("/v1/triage", &json!({ "text": EXAMPLE, "mode": "full" })).expect(200)["models"]["ner"].clone();
    let promote = |version: u32| shop.post("/v1/models/ner/promote", &json!({ "version": version }));
    assert_eq!(served(), "ner@shipped");
    promote(1).expect(200);
    assert_eq!(served(), "ner@1");
    for (version, why) in [(2, "GADGET"), (3, "branch")] {
        let problem = promote(version).expect_problem(422, "model_refused");
        assert!(problem["detail"].as_str().is_some_and(|d| d.contains(why)), "{problem:#}");
        assert_eq!(served(), "ner@1");
    }
    assert_eq!(shop.get("/v1/models").expect(200)["serving"]["tagger"], "ner@1");
    shop.post("/v1/models/ner/rollback", &json!({})).expect(200);
    assert_eq!(served(), "ner@shipped");
    // A classifier is none, and the other way round.
    registry.promote("ner", "1", &anything).expect("a tagger");
    shop.service.taggers.follow().expect("it is followed");
    assert_eq!(served(), "ner@1");
    shop.get("/v1/models/ner/shadow").expect_problem(404, "not_found");
}
