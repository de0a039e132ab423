//! `fenzhen serve`: starting, refusing to start, changing rules while it runs.

use std::fs;
use std::net::TcpListener;

use serde_json::json;

use crate::program::{Running, agent, fenzhen, finish, folder, run, until};

const EXAMPLE: &str = "买的粉色XL码羽绒服还没发货,什么时候能到?";

#[test]
fn the_demo_shop_answers_over_http_and_stops_cleanly() {
    let dir = folder();
    let data = dir.path().join("shop");
    let service = Running::start(&data, &["--demo"]);
    let triage = service.triage(EXAMPLE);
    assert!(!triage["similar"].as_array().expect("similar").is_empty() && !triage["articles"].as_array().expect("articles").is_empty());
    assert!(service.log().contains("is ready"), "{}", service.log());
    run(&["health", &service.url]).expect(0);

    // The folder is in use: the command asks the service that runs on it.
    let asked = run(&["triage", EXAMPLE, "--json", "--data", &data.display().to_string()]).expect(0);
    let asked: serde_json::Value = serde_json::from_str(&asked.out).expect("JSON");
    assert_eq!(asked["intent"], triage["intent"]);
    let locked = run(&["index", "--data", &data.display().to_string(), "verify"]).expect(1);
    locked.expect_error("already open", "serve");

    let url = service.url.clone();
    assert_eq!(service.stop().code(), Some(0));
    assert!(!data.join("serve.url").exists(), "the address is taken away");
    run(&["health", &url]).expect(1);
}

#[test]
fn a_port_that_is_taken_is_told_with_what_to_do() {
    let holder = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = holder.local_addr().expect("an address").to_string();
    let dir = folder();
    let done = run(&["serve", "--listen", &address, "--data", &dir.path().display().to_string()]).expect(1);
    done.expect_error(&address, "--listen");
}

#[test]
fn a_public_address_without_a_key_is_refused() {
    let dir = folder();
    let data = dir.path().display().to_string();
    let done = run(&["serve", "--listen", "0.0.0.0:0", "--data", &data]).expect(1);
    done.expect_error("no API key", "FENZHEN_API_KEY");
    run(&["config", "check", "--option", "server.listen=0.0.0.0:80"]).expect(1).expect_error("no API key", "FENZHEN_API_KEY");
}

#[test]
fn with_a_key_only_those_who_have_it_are_served() {
    let dir = folder();
    let data = dir.path().join("shop");
    let log = fs::File::create(dir.path().join("log")).expect("a log");
    let mut command = fenzhen(&["serve", "--listen", "0.0.0.0:0", "--data", &data.display().to_string()]);
    let mut child = command.env("FENZHEN_API_KEY", "s3cret").stdout(std::process::Stdio::null()).stderr(log).spawn().expect("it starts");
    let url = until(|| fs::read_to_string(data.join("serve.url")).ok().filter(|u| !u.is_empty())).expect("serve.url");
    let url = url.replace("0.0.0.0", "127.0.0.1");
    until(|| agent().get(format!("{url}/readyz")).call().ok().filter(|r| r.status() == 200)).expect("ready");
    let ask = |key: Option<&str>| {
        let request = agent().post(format!("{url}/v1/triage"));
        let request = key.into_iter().fold(request, |r, key| r.header("authorization", format!("Bearer {key}")));
        request.send(json!({ "text": EXAMPLE }).to_string()).expect("an answer").status().as_u16()
    };
    let statuses = [ask(None), ask(Some("wrong")), ask(Some("s3cret"))];
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    assert_eq!(statuses, [401, 401, 200]);
}

#[test]
fn without_models_it_does_not_start_and_says_how_to_fetch_them() {
    let (dir, cache) = (folder(), folder());
    let data = dir.path().display().to_string();
    for arguments in [&["serve", "--listen", "127.0.0.1:0", "--data", &data][..], &["triage", "在吗", "--data", &data]] {
        let done = finish(fenzhen(arguments).env("FENZHEN_CACHE", cache.path()).spawn().expect("it starts")).expect(1);
        done.expect_error("not installed", "fenzhen models pull");
    }
    let listed = finish(fenzhen(&["models", "list"]).env("FENZHEN_CACHE", cache.path()).spawn().expect("it starts")).expect(0);
    assert!(listed.out.contains("missing"), "{}", listed.out);
    let verified = finish(fenzhen(&["models", "verify"]).env("FENZHEN_CACHE", cache.path()).spawn().expect("it starts")).expect(1);
    assert!(verified.out.contains("fenzhen models pull"), "{}", verified.out);
}

#[test]
fn a_damaged_model_is_told_from_a_missing_one() {
    let (dir, cache) = (folder(), folder());
    let model = cache.path().join("models/multilingual-e5-small");
    fs::create_dir_all(&model).expect("a folder");
    // Version 1 of the converter is the first there was; another is told as such.
    let installed = |converter: u32| {
        let json = json!({ "id": "multilingual-e5-small", "converter": converter, "sources": {}, "files": { "encoder.gguf": "00" } });
        fs::write(model.join("installed.json"), json.to_string()).expect("a file");
    };
    fs::write(model.join("encoder.gguf"), "not the weights").expect("a file");
    let serve = || {
        let data = dir.path().display().to_string();
        let mut command = fenzhen(&["serve", "--listen", "127.0.0.1:0", "--data", &data]);
        finish(command.env("FENZHEN_CACHE", cache.path()).spawn().expect("it starts")).expect(1)
    };
    installed(fenzhen::models::CONVERTER_VERSION);
    serve().expect_error("changed or damaged", "fenzhen models pull");
    installed(fenzhen::models::CONVERTER_VERSION + 1);
    serve().expect_error("version", "fenzhen models pull");
}

#[test]
fn a_data_folder_that_cannot_be_written_is_named() {
    let dir = folder();
    let file = dir.path().join("a-file");
    fs::write(&file, "no folder").expect("a file");
    let data = file.join("shop").display().to_string();
    run(&["serve", "--listen", "127.0.0.1:0", "--data", &data]).expect(1).expect_error("a-file", "--data");
    // A file where the index should be: the records open, the index does not.
    let shop = dir.path().join("shop");
    fs::create_dir_all(&shop).expect("a folder");
    fs::write(shop.join("index"), "no folder").expect("a file");
    let done = run(&["serve", "--listen", "127.0.0.1:0", "--data", &shop.display().to_string()]).expect(1);
    done.expect_error("index", "--data");
    // A database that is none is left alone.
    fs::write(shop.join("fenzhen.db"), "these are my tax papers, please keep them").expect("a file");
    let done = run(&["serve", "--listen", "127.0.0.1:0", "--data", &shop.display().to_string()]).expect(1);
    done.expect_error("not a SQLite database", "--data");
    assert!(fs::read_to_string(shop.join("fenzhen.db")).expect("the file").contains("tax papers"));
}

#[test]
fn a_changed_policy_is_in_force_without_a_restart_and_a_broken_one_is_not() {
    let dir = folder();
    let path = dir.path().join("policy.toml");
    let shipped = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/decide/policy.toml")).expect("the shipped policy");
    let named = |name: &str| shipped.replacen("name = \"default\"", &format!("name = \"{name}\""), 1);
    fs::write(&path, named("first")).expect("a policy");
    let option = format!("gate.policy={}", path.display());
    let service = Running::start(&dir.path().join("shop"), &["--option", &option]);
    let decision = || service.triage("你们的蓝鲸计划是什么")["decision"].clone();
    assert_eq!(decision()["policy"], "first@1");
    assert!(!decision()["reasons"].as_array().expect("reasons").contains(&json!("sensitive_topic")));

    // In place, as an editor or `sed -i` does: another file takes the name.
    let next = dir.path().join("policy.new");
    fs::write(&next, named("second").replacen("words = [", "words = [\"蓝鲸计划\", ", 1)).expect("a policy");
    fs::rename(&next, &path).expect("it is replaced");
    let changed = until(|| Some(decision()).filter(|d| d["policy"] == "second@1")).expect("the changed policy");
    assert!(changed["reasons"].as_array().expect("reasons").contains(&json!("sensitive_topic")), "{changed:#}");

    fs::write(&path, "name = \"third\"\nlanguages = [").expect("a policy");
    until(|| service.log().contains("was refused").then_some(())).expect("it is refused in the log");
    assert_eq!(decision()["policy"], "second@1");
    fs::write(&path, named("fourth")).expect("a policy");
    until(|| Some(decision()).filter(|d| d["policy"] == "fourth@1")).expect("a right one is taken again");
}

#[test]
fn a_broken_policy_stops_the_start_and_is_found_by_config_check() {
    let dir = folder();
    let path = dir.path().join("policy.toml");
    fs::write(&path, "name = 1").expect("a policy");
    let option = format!("gate.policy={}", path.display());
    let data = dir.path().join("shop").display().to_string();
    for arguments in
        [&["config", "check", "--option", &option][..], &["serve", "--listen", "127.0.0.1:0", "--data", &data, "--option", &option]]
    {
        let done = run(arguments);
        assert!(done.code.is_some_and(|code| code != 0) && done.err.contains("policy"), "{done:?}");
    }
}
