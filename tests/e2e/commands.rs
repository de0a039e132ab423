//! Every other command: help, configuration, corpora, indexes, and errors that help.

use std::fs;

use serde_json::Value;

use crate::program::{fenzhen, finish, folder, run};

const COMMANDS: &[&[&str]] = &[
    &[],
    &["serve"],
    &["triage"],
    &["train"],
    &["train", "classifier"],
    &["train", "ner"],
    &["train", "retrieval"],
    &["train", "gate"],
    &["train", "linking"],
    &["eval"],
    &["eval", "intents"],
    &["eval", "ner"],
    &["eval", "compare"],
    &["eval", "cross"],
    &["eval", "curve"],
    &["eval", "public"],
    &["eval", "resolve"],
    &["eval", "retrieval"],
    &["eval", "replies"],
    &["eval", "speed"],
    &["embed"],
    &["data"],
    &["data", "import"],
    &["data", "split"],
    &["data", "validate"],
    &["data", "export"],
    &["data", "stats"],
    &["data", "export"],
    &["data", "annotate"],
    &["data", "informative"],
    &["data", "suspects"],
    &["data", "drift"],
    &["index"],
    &["index", "build"],
    &["index", "verify"],
    &["index", "migrate"],
    &["index", "snapshot"],
    &["index", "health"],
    &["index", "bench"],
    &["articles"],
    &["articles", "import"],
    &["catalogue"],
    &["catalogue", "import"],
    &["catalogue", "validate"],
    &["models"],
    &["models", "pull"],
    &["models", "list"],
    &["models", "verify"],
    &["models", "show"],
    &["models", "import"],
    &["models", "promote"],
    &["models", "rollback"],
    &["models", "alias"],
    &["models", "diff"],
    &["models", "gc"],
    &["models", "shadow"],
    &["config"],
    &["config", "show"],
    &["config", "check"],
    &["health"],
    &["openapi"],
];

#[test]
fn every_command_has_a_help_and_none_is_without_a_test() {
    for command in COMMANDS {
        let done = run(&[command, &["--help"][..]].concat()).expect(0);
        assert!(done.out.contains("Usage:"), "{command:?}");
        let listed = done.out.split_once("Commands:").map(|(_, rest)| rest.split("\n\n").next().unwrap_or_default()).unwrap_or_default();
        for name in listed.lines().filter_map(|line| line.strip_prefix("  ")).filter(|line| !line.starts_with(' ')) {
            let name = name.split_whitespace().next().unwrap_or_default();
            let whole = [command, &[name][..]].concat();
            assert!(name == "help" || COMMANDS.contains(&whole.as_slice()), "{whole:?} is not in COMMANDS");
        }
    }
    let version = run(&["--version"]).expect(0);
    assert!(version.out.contains(env!("CARGO_PKG_VERSION")));
}

#[test]
fn wrong_usage_exits_with_2_and_says_what_is_right() {
    for (arguments, said) in [
        (&["trage"][..], "triage"),
        (&["serve", "--prot", "80"], "--prot"),
        (&["triage", "--mode", "turbo", "x"], "fast"),
        (&["triage", "--file", "a", "text"], "cannot be used with"),
        (&["data", "validate", "--set", "a=b"], "--set"),
        (&["models", "show"], "<MODEL>"),
        (&[], "Usage:"),
    ] {
        let done = run(arguments).expect(2);
        assert!(done.err.contains(said), "{said} in {}", done.err);
    }
    let done = run(&["config", "show", "--option", "server.listen"]);
    assert!(done.code != Some(0) && done.err.contains("KEY=VALUE"), "{done:?}");
    let done = run(&["triage", "--lang", "fr", "bonjour"]).expect(2);
    assert!(done.err.contains("zh and en"), "{}", done.err);
}

#[test]
fn all_faults_of_a_configuration_are_told_at_once() {
    let dir = folder();
    let path = dir.path().join("fenzhen.toml");
    fs::write(&path, "[server]\nmax_batch = 0\nlistne = \"127.0.0.1:1\"\n").expect("a file");
    let path = path.display().to_string();
    for action in ["check", "show"] {
        let done = run(&["config", action, "--config", &path, "--option", "encoder.queue=lots"]).expect(2);
        for said in ["server.max_batch", "did you mean server.listen", "encoder.queue", "hint:", &path] {
            assert!(done.err.contains(said), "{said} in {}", done.err);
        }
    }
    run(&["config", "check"]).expect(0);
}

#[test]
fn the_configuration_in_force_is_shown_with_its_sources() {
    let mut command = fenzhen(&["config", "show", "--option", "retrieve.similar=7"]);
    command.env("FENZHEN__SERVER__MAX_BATCH", "12").env("FENZHEN_API_KEY", "very-secret");
    let shown = finish(command.spawn().expect("it starts")).expect(0).out;
    assert!(shown.contains("similar = 7  # command line"), "{shown}");
    assert!(shown.contains("max_batch = 12  # FENZHEN__SERVER__MAX_BATCH"), "{shown}");
    assert!(shown.contains("listen = \"127.0.0.1:8080\"\n"), "{shown}");
    assert!(!shown.contains("very-secret"));
}

#[test]
fn a_setting_that_a_recipe_does_not_know_is_refused() {
    let dir = folder();
    let out = dir.path().join("model").display().to_string();
    let train = |setting: &str| run(&["train", "classifier", "training/intent.toml", "--out", &out, "--set", setting]);
    train("sparse.alhpa=1").expect(1).expect_error("alhpa", "training/intent.toml");
    train("sparse.alpha").expect(1).expect_error("key=value", "training/intent.toml");
    let done = train("sparse.alpha=-1").expect(1);
    assert!(done.err.contains("sparse.alpha is -1"), "{}", done.err);
    assert!(!dir.path().join("model").exists(), "nothing is written by a training that failed");
    let missing = run(&["train", "classifier", "training/no-such.toml"]).expect(1);
    assert!(missing.err.contains("training/no-such.toml"), "{}", missing.err);
}

#[test]
fn the_shipped_corpora_are_valid_and_a_broken_one_names_its_line() {
    let done = run(&["data", "validate"]).expect(0);
    for corpus in ["intents", "articles", "tickets", "catalogue", "ner", "similar"] {
        assert!(done.out.contains(corpus), "{corpus} in {}", done.out);
    }
    assert!(run(&["data", "stats"]).expect(0).out.contains("out_of_scope"));
    let missing = run(&["data", "validate", "/nowhere/data"]).expect(1);
    assert!(missing.err.contains("/nowhere/data"), "{}", missing.err);

    let dir = folder();
    copy(concat!(env!("CARGO_MANIFEST_DIR"), "/datasets").as_ref(), dir.path());
    let path = dir.path().join("intents/valid.jsonl");
    let text = fs::read_to_string(&path).expect("the corpus");
    fs::write(&path, format!("{}\n{{\"text\": \"x\"}}\n", text.lines().next().expect("a row"))).expect("a file");
    let broken = run(&["data", "validate", &dir.path().display().to_string()]).expect(1);
    assert!(broken.err.contains("valid.jsonl, line 2"), "{}", broken.err);
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder").map(|e| e.expect("an entry")) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("a file");
        }
    }
}

#[test]
fn articles_are_imported_indexed_and_verified() {
    let dir = folder();
    let (data, file) = (dir.path().join("shop").display().to_string(), dir.path().join("articles.jsonl"));
    let row = |id: &str| format!("{{\"id\":\"{id}\",\"lang\":\"zh\",\"question\":\"电热毯怎么清洗\",\"answer\":\"只能干洗\"}}\n");
    fs::write(&file, row("kb-1") + &row("kb-2")).expect("a file");
    let file_text = file.display().to_string();
    let done = run(&["articles", "--data", &data, "import", &file_text]).expect(0);
    assert!(done.out.contains("2 created"), "{}", done.out);
    let verified = run(&["index", "--data", &data, "verify"]).expect(0);
    assert_eq!(verified.out.matches("the index holds what the records hold").count(), 2, "{}", verified.out);
    let built = run(&["index", "--data", &data, "build"]).expect(0);
    assert!(built.out.contains("2 articles indexed") && built.out.contains("0 tickets indexed"), "{}", built.out);
    let triage = run(&["triage", "--json", "电热毯要怎么洗", "--data", &data]).expect(0).out;
    let triage: Value = serde_json::from_str(&triage).expect("JSON");
    assert_eq!(triage["articles"].as_array().map(Vec::len), Some(2));

    fs::write(&file, row("kb-3") + "{\"id\":\n").expect("a file");
    let half = run(&["articles", "--data", &data, "import", "--replace", &file_text]).expect(1);
    assert!(half.out.contains("passed over") && half.out.contains("articles.jsonl:2") && half.err.contains("mend them first"), "{half:?}");
    let tried = run(&["articles", "--data", &data, "import", "--dry-run", &file_text]).expect(0);
    assert!(tried.out.contains("kb-3") && tried.out.contains("1 articles would be imported"), "{}", tried.out);
    let done = run(&["articles", "--data", &data, "import", &file_text]).expect(0);
    assert!(done.out.contains("passed over") && done.out.contains("1 created"), "{}", done.out);
    assert!(done.out.contains("kb-3 seems to say what kb-"), "{}", done.out);
    fs::write(&file, row("kb-3")).expect("a file");
    let done = run(&["articles", "--data", &data, "import", "--replace", &file_text]).expect(0);
    assert!(done.out.contains("1 unchanged") && done.out.contains("2 deleted"), "{}", done.out);
    run(&["index", "--data", &data, "verify"]).expect(0);
}

#[test]
fn an_imported_article_without_a_word_is_refused_as_over_http() {
    let dir = folder();
    let (data, file) = (dir.path().join("shop").display().to_string(), dir.path().join("articles.jsonl"));
    fs::write(&file, "{\"id\":\"\",\"lang\":\"zh\",\"question\":\" \",\"answer\":\"\"}\n").expect("a file");
    let done = run(&["articles", "--data", &data, "import", &file.display().to_string()]);
    assert_ne!(done.code, Some(0), "{}", done.out);
}

#[test]
fn the_printed_api_document_is_the_kept_one() {
    let printed = run(&["openapi"]).expect(0).out;
    let kept = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi.json")).expect("docs/openapi.json");
    assert_eq!(printed, kept, "UPDATE_SNAPSHOTS=1 cargo test --release --test it snapshots");
}
