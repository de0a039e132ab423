//! `fenzhen triage`: one message, a file of them, standard input; stopped half-way and gone on with.

use std::fs;
use std::io::Write;
use std::process::Stdio;

use serde_json::Value;

use crate::program::{fenzhen, finish, folder, run, signal, until, wait};

const EXAMPLE: &str = "买的粉色XL码羽绒服还没发货,什么时候能到?";

fn rows(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
}

#[test]
fn one_message_is_explained_to_people_and_to_programs() {
    let dir = folder();
    let data = dir.path().display().to_string();
    let shown = run(&["triage", EXAMPLE, "--demo", "--data", &data]).expect(0).out;
    for part in ["decision", "intent", "粉色", "COLOR", "羽绒服", "similar", "articles", "time"] {
        assert!(shown.contains(part), "no {part} in\n{shown}");
    }
    assert!(!shown.contains('\u{1b}'), "no colours where nobody looks");
    let json = run(&["triage", EXAMPLE, "--json", "--data", &data]).expect(0).out;
    let triage: Value = serde_json::from_str(&json).expect("JSON");
    assert!(shown.contains(triage["intent"]["id"].as_str().expect("an id")));
    assert!(shown.contains(triage["decision"]["action"].as_str().expect("an action")));

    let english = run(&["triage", "where is my parcel", "--lang", "zh", "--mode", "fast", "--json", "--data", &data]).expect(0).out;
    let english: Value = serde_json::from_str(&english).expect("JSON");
    assert_eq!((&english["lang"], &english["mode"]), (&"zh".into(), &"fast".into()));
    run(&["triage", "  ", "--data", &data]).expect(1).expect_error("empty", "in quotes");
    run(&["triage", &"长".repeat(10_001), "--data", &data]).expect(1).expect_error("10001", "max_text_chars");
    run(&["index", "--data", &data, "verify"]).expect(0);
}

#[test]
fn without_a_shop_it_says_so_and_answers_all_the_same() {
    let dir = folder();
    let data = dir.path().join("nothing");
    let done = run(&["triage", EXAMPLE, "--json", "--data", &data.display().to_string()]).expect(0);
    assert!(done.err.contains("--demo"), "{}", done.err);
    let triage: Value = serde_json::from_str(&done.out).expect("JSON");
    assert_eq!(triage["decision"]["action"], "handoff");
    assert!(!data.exists(), "looking makes no folder");
}

#[test]
fn standard_input_is_answered_line_by_line() {
    let dir = folder();
    let mut command = fenzhen(&["triage", "--json", "--mode", "fast", "--data", &dir.path().display().to_string()]);
    let mut child = command.stdin(Stdio::piped()).spawn().expect("it starts");
    let mut input = child.stdin.take().expect("its input");
    input.write_all("货呢\n\n{\"text\":\"where is my order\"}\r\n{\"no\":1}\n最后一行没有换行".as_bytes()).expect("it reads");
    drop(input);
    let done = finish(child).expect(1);
    let rows = rows(&done.out);
    assert_eq!(rows.len(), 4, "{}", done.out);
    assert_eq!((&rows[0]["lang"], &rows[1]["lang"], &rows[3]["lang"]), (&"zh".into(), &"en".into(), &"zh".into()));
    assert!(rows[2]["error"].is_string() && rows[2]["line"] == 3, "{}", rows[2]);
}

#[test]
fn a_file_that_was_stopped_half_way_is_gone_on_with() {
    let dir = folder();
    let (input, out, data) = (dir.path().join("in.txt"), dir.path().join("out.jsonl"), dir.path().display().to_string());
    let messages: Vec<String> = (0..1_500).map(|i| format!("订单{i}的快递三天没动了，帮我催一下")).collect();
    fs::write(&input, messages.join("\n") + "\n").expect("a file");
    let arguments = ["triage", "--file", &input.display().to_string(), "--out", &out.display().to_string(), "--data", &data];
    let mut child = fenzhen(&arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
    let lines = || fs::read_to_string(&out).unwrap_or_default().lines().count();
    until(|| (lines() >= 32).then_some(())).expect("it writes");
    signal(&child, "KILL");
    wait(&mut child);
    let before = lines();
    assert!(before < messages.len(), "it was done before it could be stopped: make the file longer");
    // A kill can come in the middle of a line.
    fs::OpenOptions::new().append(true).open(&out).and_then(|mut f| f.write_all(b"{\"id\":\"01HALF")).expect("half a line");

    let done = run(&[&arguments[..], &["--mode", "fast"]].concat()).expect(0);
    assert!(done.err.contains("going on after them"), "{}", done.err);
    let rows = rows(&fs::read_to_string(&out).expect("the output"));
    assert_eq!(rows.len(), messages.len());
    assert!(rows.iter().all(|row| row["intent"]["id"].is_string()));
    let size = fs::metadata(&out).expect("the output").len();
    run(&arguments).expect(0);
    assert_eq!(fs::metadata(&out).expect("the output").len(), size, "there is nothing left to do");
}

#[test]
fn a_bad_line_of_a_file_is_answered_with_its_error() {
    let dir = folder();
    let (input, data) = (dir.path().join("in.txt"), dir.path().display().to_string());
    let long = "长".repeat(20_000);
    fs::write(&input, [b"good\n\xff\xfe\n", long.as_bytes(), b"\nlast\n"].concat()).expect("a file");
    let done = run(&["triage", "--mode", "fast", "--data", &data, "--file", &input.display().to_string()]).expect(1);
    let rows = rows(&done.out);
    assert_eq!(rows.len(), 4, "{}", done.out);
    assert!(rows[1]["error"].as_str().is_some_and(|e| e.contains("UTF-8")) && rows[1]["line"] == 2, "{}", rows[1]);
    assert!(rows[2]["error"].as_str().is_some_and(|e| e.contains("20000")) && rows[2]["line"] == 3, "{}", rows[2]);
    assert!(rows[3]["intent"].is_object());
    let missing = run(&["triage", "--data", &data, "--file", "/nowhere/at-all.txt"]).expect(1);
    assert!(missing.err.contains("/nowhere/at-all.txt"), "{}", missing.err);
}

#[test]
fn a_reader_that_leaves_ends_the_program_quietly() {
    let dir = folder();
    let input = dir.path().join("in.txt");
    fs::write(&input, "货呢\n".repeat(3_000)).expect("a file");
    let (input, data) = (input.display().to_string(), dir.path().display().to_string());
    let mut child = fenzhen(&["triage", "--mode", "fast", "--data", &data, "--file", &input]).spawn().expect("it starts");
    drop(child.stdout.take());
    let done = finish(child);
    assert!(!done.err.contains("panicked") && !done.err.contains("error:"), "{done:?}");
}
