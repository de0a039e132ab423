//! What was acknowledged outlives a stop and a crash.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::program::{Running, agent, folder, run, signal, until, wait};

#[test]
fn a_stop_under_load_answers_what_it_took_and_loses_no_article() {
    let dir = folder();
    let data = dir.path().join("shop");
    let mut service = Running::start(&data, &["--option", "server.drain_timeout_ms=120000"]);
    let stored = Mutex::new(Vec::new());
    let (answered, stopping) = (AtomicUsize::new(0), AtomicBool::new(false));
    let url = service.url.clone();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (stored, answered, stopping, url) = (&stored, &answered, &stopping, &url);
            scope.spawn(move || {
                for i in 0..10_000 {
                    // A new connection each: one that was accepted has its request on the way.
                    let (id, agent) = (format!("kb-{thread}-{i}"), agent());
                    let body = json!({ "lang": "zh", "question": format!("第{i}个问题怎么办"), "answer": "这样办" }).to_string();
                    match agent.put(format!("{url}/v1/articles/{id}")).send(body) {
                        Ok(response) if response.status() == 201 => stored.lock().expect("a lock").push(id),
                        Ok(response) => assert!([429, 503].contains(&response.status().as_u16()), "{}", response.status()),
                        // Nobody listens any more, or the connection still waited in the kernel's queue when the socket was closed.
                        Err(e) => {
                            assert!(stopping.load(Ordering::Relaxed), "{id}: {e}");
                            break;
                        }
                    }
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        until(|| (answered.load(Ordering::Relaxed) >= 24).then_some(())).expect("the load runs");
        stopping.store(true, Ordering::Relaxed);
        signal(&service.child, "TERM");
        assert_eq!(wait(&mut service.child).code(), Some(0), "{}", service.log());
    });
    let stored = stored.into_inner().expect("a lock");
    assert!(stored.len() >= 8, "only {} were stored", stored.len());
    let again = Running::start(&data, &[]);
    for id in &stored {
        let (status, _) = again.try_get(&format!("/v1/articles/{id}")).expect("an answer");
        assert_eq!(status, 200, "{id} was acknowledged and is lost");
    }
    assert_eq!(again.stop().code(), Some(0));
    run(&["index", "--data", &data.display().to_string(), "verify"]).expect(0);
}

#[test]
fn a_request_under_way_is_answered_after_the_signal() {
    let dir = folder();
    // As long as a busy machine may need: this is about what is answered, not how fast.
    let mut service = Running::start(&dir.path().join("shop"), &["--demo", "--option", "server.drain_timeout_ms=120000"]);
    let items: Vec<Value> = (0..400).map(|i| json!({ "text": format!("第{i}单的快递三天没动了，能不能帮我催一下") })).collect();
    let (url, body) = (service.url.clone(), json!({ "items": items }).to_string());
    let (status, answered) = std::thread::scope(|scope| {
        let asked = scope.spawn(move || {
            let mut response = agent().post(format!("{url}/v1/triage/batch")).send(body).expect("the batch is answered");
            let answer: Value = serde_json::from_str(&response.body_mut().read_to_string().expect("a body")).expect("JSON");
            answer["items"].as_array().expect("items").len()
        });
        // The batch shows in what the service counts, or is done already.
        until(|| {
            let text = agent().get(format!("{}/metrics", service.url)).call().ok()?.body_mut().read_to_string().ok()?;
            text.lines().find(|l| l.starts_with("fenzhen_triage_decisions_total")).map(|_| ())
        })
        .expect("the batch is being worked on");
        signal(&service.child, "TERM");
        let status = wait(&mut service.child);
        (status, asked.join().expect("the asking thread"))
    });
    assert_eq!((status.code(), answered), (Some(0), 400));
}

#[test]
fn a_crash_in_an_import_leaves_a_shop_that_opens_and_an_index_that_agrees() {
    let dir = folder();
    let data = dir.path().join("shop");
    let folder_text = data.display().to_string();
    let service = Running::start(&data, &[]);
    let (status, _) = service.try_send("PUT", "/v1/articles/kb-before", &article("kb-before", 0).to_string()).expect("an answer");
    assert_eq!(status, 201);
    let rows: Vec<Value> = (0..600).map(|i| article(&format!("kb-{i}"), i)).collect();
    let (url, body) = (service.url.clone(), json!(rows).to_string());
    let importing = std::thread::spawn(move || agent().post(format!("{url}/v1/articles/import")).send(body).is_ok());
    // The rows are stored; the index follows.
    until(|| service.try_get("/v1/articles/kb-599").filter(|answer| answer.0 == 200)).expect("the import is under way");
    service.kill();
    assert!(!importing.join().expect("the importing thread"), "the import was answered before the crash: make it larger");

    let torn = run(&["index", "--data", &folder_text, "verify"]).expect(1);
    assert!(torn.out.contains("not indexed"), "{}", torn.out);
    let again = Running::start(&data, &[]);
    let (_, ready) = again.try_get("/readyz").expect("an answer");
    assert_eq!(ready["articles"], 601, "{ready:#}");
    let (_, page) = again.try_get("/v1/articles/kb-before").expect("an answer");
    assert_eq!(page["id"], "kb-before");
    assert_eq!(again.stop().code(), Some(0));
    run(&["index", "--data", &folder_text, "verify"]).expect(0);
}

#[test]
fn an_idempotency_key_of_a_crashed_request_is_free_after_the_restart() {
    let dir = folder();
    let data = dir.path().join("shop");
    let service = Running::start(&data, &[]);
    let rows: Vec<Value> = (0..400).map(|i| article(&format!("kb-{i}"), i)).collect();
    let body = json!(rows).to_string();
    let (url, sent) = (service.url.clone(), body.clone());
    let importing = std::thread::spawn(move || {
        let request = agent().post(format!("{url}/v1/articles/import")).header("idempotency-key", "import-1");
        request.config().timeout_global(Some(Duration::from_secs(60))).build().send(sent).is_ok()
    });
    until(|| service.try_get("/v1/articles/kb-399").filter(|answer| answer.0 == 200)).expect("the import is under way");
    service.kill();
    assert!(!importing.join().expect("the importing thread"), "the import was answered before the crash: make it larger");
    let again = Running::start(&data, &[]);
    let request = agent().post(format!("{}/v1/articles/import", again.url)).header("idempotency-key", "import-1");
    assert_eq!(request.send(body).expect("an answer").status(), 200);
}

fn article(id: &str, number: usize) -> Value {
    let answer = format!("第{number}号问题的答案：先登录，再打开设置，然后按页面上的提示一步一步做，大约需要三分钟。").repeat(4);
    json!({ "id": id, "lang": "zh", "question": format!("第{number}号问题怎么解决"), "answer": answer })
}
