//! Trained models on the command line: versions, aliases, comparison, and a service that follows.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::program::{Done, Running, fenzhen, finish, folder, run, until};

/// A shop's folder with artefacts beside it.
struct Bench {
    dir: TempDir,
    data: String,
}

impl Bench {
    fn new() -> Self {
        let dir = folder();
        let data = dir.path().join("shop").display().to_string();
        Bench { dir, data }
    }

    fn models(&self, arguments: &[&str]) -> Done {
        run(&[&["models", "--data", &self.data], arguments].concat())
    }

    /// A copy of the shipped artefact with changes to its model.json.
    fn artefact(&self, name: &str, change: impl FnOnce(&mut Value)) -> PathBuf {
        let folder = self.dir.path().join(name);
        fs::create_dir_all(&folder).expect("a folder");
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/intent");
        for entry in fs::read_dir(shipped).expect("the shipped artefact").map(|e| e.expect("an entry")) {
            fs::copy(entry.path(), folder.join(entry.file_name())).expect("a file");
        }
        let path = folder.join("model.json");
        let mut meta: Value = serde_json::from_slice(&fs::read(&path).expect("model.json")).expect("JSON");
        change(&mut meta);
        fs::write(path, meta.to_string()).expect("model.json");
        folder
    }

    fn import(&self, folder: &Path) -> Done {
        self.models(&["import", &folder.display().to_string()])
    }

    fn versions(&self) -> Vec<String> {
        let listed = fs::read_dir(self.dir.path().join("shop/models/intent/versions")).expect("versions");
        let mut names: Vec<String> = listed.map(|e| e.expect("an entry").file_name().into_string().expect("a name")).collect();
        names.sort();
        names
    }
}

#[test]
fn a_model_goes_from_import_to_champion_and_back() {
    let bench = Bench::new();
    let listed = bench.models(&["list"]).expect(0).out;
    assert!(listed.contains("multilingual-e5-small") && listed.contains("intent@shipped"), "{listed}");
    let bare = bench.models(&["rollback", "intent"]).expect(1);
    bare.expect_error("no earlier champion", "fenzhen models promote intent@VERSION");

    let done = bench.import(&bench.artefact("a", |meta| meta["recipe"]["sparse"]["alpha"] = json!(0.5))).expect(0);
    assert!(done.out.contains("intent@1") && done.out.contains("fenzhen models promote intent@1"), "{}", done.out);
    bench.import(&bench.artefact("b", |meta| meta["scores"]["test.full"]["accuracy"] = json!(0.75))).expect(0);
    assert!(bench.models(&["promote", "intent@1"]).expect(0).out.contains("champion is intent@1, was intent@shipped"));
    assert!(bench.models(&["promote", "intent@2"]).expect(0).out.contains("was intent@1"));
    bench.models(&["alias", "intent", "challenger", "1"]).expect(0);
    assert_eq!(bench.models(&["alias", "intent", "challenger"]).expect(0).out, "intent@1\n");

    let listed = bench.models(&["list"]).expect(0).out;
    let row = |name: &str| listed.lines().find(|l| l.trim_start().starts_with(name)).unwrap_or_else(|| panic!("no {name} in {listed}"));
    assert!(row("intent@2").contains("champion") && row("intent@2").contains("accuracy 75.0 %") && row("intent@2").contains("ECE"));
    assert!(row("intent@1").contains("challenger") && !row("intent@shipped").contains("champion"));
    let listed: Value = serde_json::from_str(&bench.models(&["list", "--json"]).expect(0).out).expect("JSON");
    assert_eq!(listed["trained"][0]["aliases"], json!({ "champion": 2, "challenger": 1 }));

    let shown = bench.models(&["show", "intent"]).expect(0).out;
    assert!(shown.contains("intent@2") && shown.contains("# intent: intent classifier"), "{shown}");
    let shown: Value = serde_json::from_str(&bench.models(&["show", "intent@challenger", "--json"]).expect(0).out).expect("JSON");
    assert_eq!(
        (&shown["version"], &shown["model"]["recipe"]["sparse"]["alpha"], &shown["aliases"]),
        (&json!(1), &json!(0.5), &json!(["challenger"]))
    );

    let diff = bench.models(&["diff", "intent@1", "intent@champion"]).expect(0).out;
    assert!(diff.contains("intent@1 → intent@2") && diff.contains("0.5 → 0.02") && diff.contains("0.7500"), "{diff}");
    let diff: Value = serde_json::from_str(&bench.models(&["diff", "intent@shipped", "intent@2", "--json"]).expect(0).out).expect("JSON");
    assert_eq!((&diff["changed"], &diff["a"]), (&json!([]), &json!("intent@shipped")));

    let rows = bench.dir.path().join("rows.jsonl");
    fs::write(&rows, "{\"text\": \"发票开错了\", \"intent\": \"invoice\", \"lang\": \"zh\"}\n").expect("a file");
    let (rows, registry) = (rows.display().to_string(), format!("data.dir={}", bench.data));
    let measure =
        |more: &[&str]| run(&[&["eval", "intents", "--mode", "fast", "--json", "--data", &rows, "--option", &registry], more].concat());
    for (of, name) in [(&["--artefact", "intent@1"][..], "intent@1"), (&[], "intent@2")] {
        let measured: Value = serde_json::from_str(&measure(of).expect(0).out).expect("JSON");
        assert_eq!((&measured["model"], &measured["n"]), (&json!(name), &json!(1)), "without a name it is the champion");
    }
    measure(&["--artefact", "intent@9"]).expect(1).expect_error("intent has no version 9", "fenzhen models list");

    assert!(bench.models(&["rollback", "intent"]).expect(0).out.contains("champion is intent@1, was intent@2"));
    assert!(bench.models(&["promote", "intent@shipped"]).expect(0).out.contains("champion is intent@shipped"));
    bench.models(&["alias", "intent", "challenger", "--remove"]).expect(0);
    bench.models(&["verify", "intent"]).expect(0);
    let told = bench.models(&["gc", "--keep", "0", "--dry-run"]).expect(0).out;
    assert!(told.contains("would remove intent@2") && !told.contains("intent@1 "), "the champion before stays: {told}");
    assert_eq!(bench.versions(), ["1", "2"]);
    bench.models(&["gc", "--keep", "0"]).expect(0);
    assert_eq!(bench.versions(), ["1"]);
}

#[test]
fn what_cannot_be_is_told_with_what_to_do() {
    let bench = Bench::new();
    let other = bench.artefact("other", |meta| meta["text_version"] = json!(99));
    bench.import(&other).expect(0);
    assert!(bench.models(&["list"]).expect(0).out.contains("made by text pipeline 99"));
    bench.models(&["promote", "intent@1"]).expect(1).expect_error("text pipeline", "nothing was changed");
    bench.models(&["promote", "intent@2"]).expect(1).expect_error("no version 2; it has 1", "fenzhen models list");
    bench.models(&["promote", "intnet@1"]).expect(1).expect_error("there are intent, ner", "fenzhen models list");
    bench.models(&["alias", "intent", "7", "1"]).expect(1).expect_error("no name for an alias", "challenger");
    bench.models(&["show", "no-such"]).expect(1).expect_error("no-such", "fenzhen models list");
    bench.models(&["import", "/nowhere/artefact"]).expect(1).expect_error("/nowhere/artefact", "folder");
    bench.models(&["import", bench.dir.path().to_str().expect("UTF-8")]).expect(1).expect_error("no model.json", "fenzhen train");
    bench.models(&["shadow"]).expect(1).expect_error("no service runs", "fenzhen models alias intent challenger");
    for (arguments, said) in [
        (&["promote", "intent"][..], "NAME@VERSION"),
        (&["diff", "intent@1"], "<NAME@B>"),
        (&["alias", "intent", "challenger", "1", "--remove"], "cannot be used with"),
        (&["gc", "--keep", "many"], "--keep"),
    ] {
        let done = bench.models(arguments).expect(2);
        assert!(done.err.contains(said), "{said} in {}", done.err);
    }
    let damaged = bench.dir.path().join("shop/models/intent/versions/1/vocabulary.txt");
    fs::remove_file(&damaged).expect("the file");
    let verified = bench.models(&["verify", "intent@1"]).expect(1);
    assert!(verified.out.contains("vocabulary.txt is not as it was registered"), "{}", verified.out);
    fs::write(bench.dir.path().join("shop/models/intent/aliases.json"), "{").expect("a file");
    bench.models(&["list"]).expect(1).expect_error("aliases.json is broken", "move");
}

#[test]
fn a_disk_that_is_full_leaves_nothing_half_written() {
    let bench = Bench::new();
    let artefact = bench.artefact("a", |_| ());
    bench.import(&artefact).expect(0);
    bench.models(&["promote", "intent@1"]).expect(0);
    // A limit on the size of files ends a write in its middle, as a full disk does.
    let limited = |kilobytes: u32, arguments: &str| {
        let script =
            format!("trap '' XFSZ; ulimit -f {kilobytes}; exec {} models --data {} {arguments}", env!("CARGO_BIN_EXE_fenzhen"), bench.data);
        let mut command = Command::new("bash");
        command.args(["-c", &script]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        finish(command.spawn().expect("bash"))
    };
    let done = limited(16, &format!("import {}", artefact.display())).expect(1);
    done.expect_error("/shop/models/intent/versions/", "models.registry");
    assert_eq!(bench.versions(), ["1"]);
    let aliases = bench.dir.path().join("shop/models/intent/aliases.json");
    let before = fs::read(&aliases).expect("the aliases");
    limited(0, "promote intent@shipped").expect(1).expect_error("aliases.json", "models.registry");
    assert_eq!(fs::read(&aliases).expect("the aliases"), before);
    assert!(!aliases.with_extension("json.new").exists());
    bench.models(&["promote", "intent@shipped"]).expect(0);
    bench.import(&artefact).expect(0);
    assert_eq!(bench.versions(), ["1", "2"]);
}

#[test]
fn imports_at_once_get_numbers_of_their_own() {
    let bench = Bench::new();
    let artefact = bench.artefact("a", |_| ()).display().to_string();
    let started: Vec<_> =
        (0..4).map(|_| fenzhen(&["models", "--data", &bench.data, "import", &artefact]).spawn().expect("it starts")).collect();
    started.into_iter().for_each(|child| drop(finish(child).expect(0)));
    assert_eq!(bench.versions(), ["1", "2", "3", "4"]);
    bench.models(&["verify", "intent"]).expect(0);
}

#[test]
fn a_service_follows_the_command_line_and_tells_what_a_challenger_would_have_said() {
    let bench = Bench::new();
    let renamed = |meta: &mut Value| {
        let labels = meta["labels"].as_array_mut().expect("labels");
        labels.iter_mut().for_each(|l| *l = format!("new_{}", l.as_str().expect("a label")).into());
    };
    bench.import(&bench.artefact("a", |_| ())).expect(0);
    bench.import(&bench.artefact("b", renamed)).expect(0);
    bench.models(&["promote", "intent@1"]).expect(0);
    bench.models(&["alias", "intent", "challenger", "2"]).expect(0);
    let data = PathBuf::from(&bench.data);
    let service = Running::start(&data, &[]);
    let served = |text: &str| service.triage(text)["models"]["classifier"].as_str().unwrap_or_default().to_owned();
    assert_eq!(served("我的快递到哪了"), "intent@1", "the champion is served from the start");

    let shadow = until(|| {
        let report: Value = serde_json::from_str(&bench.models(&["shadow", "--json"]).expect(0).out).expect("JSON");
        Some(report).filter(|r| r["messages"] == 1)
    });
    let shadow = shadow.expect("the challenger was asked");
    assert_eq!((&shadow["champion"], &shadow["challenger"], &shadow["disagreed"]), (&json!("intent@1"), &json!("intent@2"), &json!(1)));
    let told = bench.models(&["shadow"]).expect(0).out;
    assert!(told.contains("agreement 0.0 %") && told.contains("我的快递到哪了") && told.contains("new_"), "{told}");

    bench.models(&["promote", "intent@2"]).expect(0);
    until(|| (served("怎么退货") == "intent@2").then_some(())).expect("it follows");
    bench.models(&["shadow"]).expect(1).expect_error("no challenger", "/docs");
    bench.models(&["rollback", "intent"]).expect(0);
    until(|| (served("怎么退货") == "intent@1").then_some(())).expect("it follows back");
    assert_eq!(service.stop().code(), Some(0));

    // What it counted outlives it: before the promotion one message, after the rollback at least one more.
    let kept: Value = serde_json::from_str(&bench.models(&["shadow", "--json"]).expect(0).out).expect("JSON");
    assert!(kept["messages"].as_u64().is_some_and(|n| n >= 2), "{kept:#}");
    let before = kept["messages"].as_u64().unwrap_or_default();
    let file = bench.dir.path().join("messages.txt");
    fs::write(&file, "怎么退货\nwhere is my order\n").expect("a file");
    run(&["triage", "--mode", "fast", "--data", &bench.data, "--file", &file.display().to_string(), "--json"]).expect(0);
    let kept: Value = serde_json::from_str(&bench.models(&["shadow", "--json"]).expect(0).out).expect("JSON");
    assert_eq!(kept["messages"].as_u64(), Some(before + 2), "a file that is triaged without a service counts as well");
}

#[test]
fn a_champion_that_cannot_be_served_is_told_at_the_start_with_the_way_back() {
    let bench = Bench::new();
    bench.import(&bench.artefact("a", |_| ())).expect(0);
    bench.models(&["promote", "intent@1"]).expect(0);
    let file = bench.dir.path().join("shop/models/intent/versions/1/vocabulary.txt");
    fs::remove_file(&file).expect("the file");
    let serve = run(&["serve", "--listen", "127.0.0.1:0", "--data", &bench.data]).expect(1);
    serve.expect_error("intent@1, the champion, cannot be loaded", "fenzhen models rollback intent");
    bench.models(&["rollback", "intent"]).expect(0);
    assert_eq!(Running::start(Path::new(&bench.data), &[]).stop().code(), Some(0));
}
