//! `train classifier` on somebody's own labels, as an ML engineer meets it: good data, bad data, and the way into a running service.

use std::fs;
use std::path::Path;

use crate::program::{Running, folder, run, until};

/// Three labels that words tell apart, and a recipe without an encoder.
fn recipe(dir: &Path) -> String {
    let stems = [
        ("refund", "please give me my money back for order"),
        ("parcel", "where is the parcel of order"),
        ("thanks", "thank you so much, number"),
    ];
    let rows: Vec<String> = (0..90)
        .map(|i| {
            let (label, stem) = stems[i % 3];
            format!(r#"{{"text": "{stem} {}", "intent": "{label}", "lang": "en"}}"#, ["one", "two", "three", "four", "five"][i / 3 % 5])
        })
        .collect();
    fs::write(dir.join("rows.jsonl"), rows.join("\n")).expect("a file");
    let text = "name = 'mine'\nout = 'mine'\nseed = 3\n[data]\ntrain = 'rows.jsonl'\nfolds = 3\n[encoder]\nkind = 'none'\n";
    let path = dir.join("mine.toml");
    fs::write(&path, text).expect("a file");
    path.display().to_string()
}

#[test]
fn labels_of_ones_own_are_trained_measured_and_searched_for() {
    let dir = folder();
    let (recipe, out) = (recipe(dir.path()), dir.path().join("mine"));
    let done = run(&["train", "classifier", &recipe, "--budget", "1s"]).expect(0);
    assert!(
        done.out.contains("--set sparse.alpha=") && done.out.contains("held.fast") && done.out.contains("accuracy 100.0 %"),
        "{}",
        done.out
    );
    assert!(done.err.contains("trial    1"), "{}", done.err);
    assert!(out.join("model.json").exists() && !out.with_extension("training").exists());
    let artefact = out.display().to_string();
    let data = dir.path().join("rows.jsonl").display().to_string();
    let report = run(&["eval", "intents", "--artefact", &artefact, "--data", &data]).expect(0).out;
    assert!(report.contains("| all | 90 | 100.0 %"), "{report}");
    let study = dir.path().join("study");
    let cross = run(&["eval", "cross", &recipe, "--folds", "3", "--out", &study.display().to_string()]).expect(0).out;
    assert!(cross.contains("100.0 %") && study.join("training.html").exists(), "{cross}");
    let curve = run(&["eval", "curve", &recipe, "--shares", "0.5,1"]).expect(0).out;
    assert!(curve.contains("| 72 |"), "{curve}");
}

#[test]
fn spans_of_ones_own_are_trained_and_measured() {
    let dir = folder();
    let row = |color: &str, thing: &str| {
        let (a, b) = (color.len(), color.len() + 1);
        let end = b + thing.len();
        format!(
            r#"{{"text": "{color} {thing} please", "lang": "en", "entities": [{{"start": 0, "end": {a}, "type": "COLOR", "text": "{color}"}}, {{"start": {b}, "end": {end}, "type": "PRODUCT", "text": "{thing}"}}]}}"#
        )
    };
    let rows: Vec<String> =
        ["teal", "mauve", "ochre", "rust"].iter().flat_map(|c| ["kettle", "rug", "anorak"].map(|t| row(c, t))).collect();
    let data = dir.path().join("rows.jsonl");
    fs::write(&data, rows.join("\n")).expect("a file");
    let text = "name = 'mine'\nout = 'mine'\nseed = 3\ntypes = ['PRODUCT', 'COLOR']\ndata = { train = 'rows.jsonl', valid = 'rows.jsonl' }\n\
                model = { width = 16, layers = 1 }\nencoder = { kind = 'none' }\ntuning = { epochs = 30, batch = 4, head_learning_rate = 0.01 }\n";
    let path = dir.path().join("mine.toml");
    fs::write(&path, text).expect("a file");
    let (recipe, out) = (path.display().to_string(), dir.path().join("mine"));
    let done = run(&["train", "ner", &recipe]).expect(0);
    assert!(done.out.contains("valid") && out.join("model.json").exists() && !out.with_extension("training").exists(), "{}", done.out);
    let measured = ["eval", "ner", "--artefact", &out.display().to_string(), "--data", &data.display().to_string()].map(str::to_owned);
    let measured: Vec<&str> = measured.iter().map(String::as_str).collect();
    let report = run(&measured).expect(0).out;
    assert!(report.contains("| all | 12 | 24 |"), "{report}");
    let json: serde_json::Value = serde_json::from_str(&run(&[&measured[..], &["--json"]].concat()).expect(0).out).expect("JSON");
    assert!(json["all"]["f1"].as_f64().is_some_and(|f1| f1 > 0.9), "{json}");

    let refused = |setting: &str| run(&["train", "ner", &recipe, "--set", setting]).expect(1).err;
    for (setting, expect) in [
        ("types=[]", "types is empty"),
        ("types=['BRAND']", "no training row"),
        ("model.width=1", "8 to 1024"),
        ("tuning.epochs=0", "epochs"),
    ] {
        assert!(refused(setting).contains(expect), "{setting}: {}", refused(setting));
    }
    fs::write(&data, r#"{"text": "red", "lang": "en", "entities": [{"start": 0, "end": 9, "type": "COLOR", "text": "red"}]}"#)
        .expect("a file");
    assert!(refused("seed=4").contains("3 characters"), "{}", refused("seed=4"));
}

#[test]
fn what_texts_are_compared_by_is_trained_measured_and_served() {
    let dir = folder();
    let put = |name: &str, rows: &[String]| {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, rows.join("\n")).expect("a file");
    };
    let things = ["kettle", "tent", "parcel", "coupon", "refund", "charger", "mattress", "sofa"];
    let told = |thing: &str| [format!("the {thing} is gone"), format!("no {thing} anywhere"), format!("where did my {thing} go")];
    let cause =
        |thing: &&str| serde_json::json!({ "cause": thing, "lang": "en", "intent": "order_status", "texts": told(thing) }).to_string();
    put("causes.jsonl", &things.iter().map(cause).collect::<Vec<_>>());
    let text = "name = 'mine'\nout = 'mine'\nseed = 3\ndata = { causes = ['causes.jsonl'] }\nmodel = { part = 6, texts = 3, held = 4 }\ntuning = { epochs = 1 }\n";
    let path = dir.path().join("mine.toml");
    fs::write(&path, text).expect("a file");
    let (recipe, out) = (path.display().to_string(), dir.path().join("mine"));
    let done = run(&["train", "retrieval", &recipe]).expect(0);
    assert!(done.out.contains("causes.pretrained") && out.join("branch.gguf").exists() && !out.with_extension("training").exists());

    let ticket = |(n, text): (usize, String)| {
        serde_json::json!({ "id": format!("T{n}"), "lang": "en", "cause": "c", "intent": "order_status", "state": "open",
            "created_at": "2026-01-01T00:00:00Z", "subject": "gone", "body": text, "resolution": "found" })
        .to_string()
    };
    put("corpora/tickets/tickets.jsonl", &told("lamp").into_iter().enumerate().map(ticket).collect::<Vec<_>>());
    let article = r#"{"id": "a", "lang": "en", "question": "Where is my lamp?", "answer": "In the hall."}"#;
    put("corpora/articles/articles.jsonl", &[article.to_owned()]);
    let query = r#"{"text": "no lamp", "lang": "en", "article": "a"}"#;
    for split in ["valid", "test"] {
        put(&format!("corpora/articles/queries.{split}.jsonl"), &[query.to_owned()]);
    }
    let (artefact, corpora) = (out.display().to_string(), dir.path().join("corpora").display().to_string());
    let blend = dir.path().join("blend");
    let arguments =
        ["eval", "retrieval", "--artefact", &artefact, "--datasets", &corpora, "--blend", "0.5", "--save", &blend.display().to_string()];
    let report = run(&arguments).expect(0).out;
    assert!(report.contains("tickets.en") && report.contains("articles.test") && report.contains("100.0 %"), "{report}");
    assert!(blend.join("model.json").exists());

    let refused = |setting: &str| run(&["train", "retrieval", &recipe, "--set", setting]).expect(1).err;
    for (setting, expect) in [
        ("model.temperature=0", "above 0"),
        ("model.part=600", "lower model.part"),
        ("data.causes=['no.jsonl']", "no.jsonl"),
        ("data.causes=[]", "names no file"),
    ] {
        assert!(refused(setting).contains(expect), "{setting}: {}", refused(setting));
    }
    let other = out.join("model.json");
    fs::write(&other, fs::read_to_string(&other).expect("a file").replace("multilingual-e5-small", "another")).expect("a file");
    let refused = run(&["triage", "no lamp", "--option", &format!("encoder.comparing={artefact}")]).expect(1).err;
    assert!(refused.contains("was trained on another"), "{refused}");
}

#[test]
fn embed_answers_with_the_pretrained_vectors_whose_roles_differ() {
    let dir = folder();
    let file = dir.path().join("texts");
    fs::write(&file, "where is my parcel\n").expect("a file");
    let vector = |role: &str| run(&["embed", file.to_str().expect("a path"), "--role", role]).expect(0).out;
    assert_ne!(vector("query"), vector("passage"));
}

#[test]
fn what_cannot_be_trained_on_is_refused_with_what_to_do() {
    let dir = folder();
    let recipe = recipe(dir.path());
    let rows = dir.path().join("rows.jsonl");
    let good = fs::read_to_string(&rows).expect("rows");
    let refused = |arguments: &[&str]| run(&[&["train", "classifier", &recipe], arguments].concat()).expect(1).err;
    for (setting, expect) in [
        ("sparse.alhpa=1", "alhpa"),
        ("sparse.c=0", "above 0"),
        ("calibration.precisions=[1.5]", "[0, 1)"),
        ("encoder.tuning.epochs=0", "epochs"),
        ("data.folds=1", "at least 2"),
        ("name=a/b", "letters, digits"),
        ("data.train=nowhere.jsonl", "nowhere.jsonl"),
    ] {
        let error = refused(&["--set", setting]);
        assert!(error.contains(expect), "{setting}: {error}");
    }
    for (row, expect) in [
        (r#"{"text": "alone", "intent": "single", "lang": "en"}"#, "single (1)"),
        (r#"{"text": "no label", "lang": "en"}"#, "line 91"),
        ("no JSON", "line 91"),
    ] {
        fs::write(&rows, format!("{good}\n{row}")).expect("rows");
        let error = refused(&[]);
        assert!(error.contains(expect), "{row}: {error}");
    }
    fs::write(&rows, good.lines().filter(|l| l.contains("refund")).collect::<Vec<_>>().join("\n")).expect("rows");
    assert!(refused(&[]).contains("two or more"));
    fs::write(&rows, "").expect("rows");
    assert!(refused(&[]).contains("empty"));
    assert!(run(&["train", "classifier", &recipe, "--budget", "soon"]).expect(2).err.contains("60s"));
    assert!(!dir.path().join("mine").exists(), "nothing is half-written");
}

#[test]
fn a_trained_model_is_promoted_in_a_running_service() {
    let dir = folder();
    let recipe = recipe(dir.path());
    // The service serves the model that is called intent.
    run(&["train", "classifier", &recipe, "--set", "name=intent"]).expect(0);
    let data = dir.path().join("data");
    let service = Running::start(&data, &[]);
    let shop = data.display().to_string();
    let artefact = dir.path().join("mine").display().to_string();
    run(&["models", "import", &artefact, "--data", &shop]).expect(0);
    let before = service.triage("thank you so much");
    assert_ne!(before["models"]["classifier"], "intent@1");
    run(&["models", "promote", "intent@1", "--data", &shop]).expect(0);
    let after = until(|| Some(service.triage("thank you so much")).filter(|t| t["models"]["classifier"] == "intent@1"));
    let after = after.expect("the service follows");
    assert_eq!((after["intent"]["id"].as_str(), after["intent"]["path"].as_str()), (Some("thanks"), Some("fast")));
    run(&["models", "rollback", "intent", "--data", &shop]).expect(0);
    assert!(
        until(|| (service.triage("thank you so much")["models"]["classifier"] == before["models"]["classifier"]).then_some(())).is_some()
    );
    service.stop();
}
