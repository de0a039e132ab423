//! Which way the arrows point: every `crate::room` that the sources name lies below the room that names it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::support::root;

/// Rooms from the ground up. A room may name those of lower levels; neighbours of one level meet through traits only.
const LEVELS: &[&[&str]] = &[
    &["domain"],
    &["text", "numeric"],
    &["artefact"],
    &["decide"],
    &["classify", "ner", "embed", "retrieve", "models", "store", "corpus", "knowledge", "reply"],
    &["pipeline", "train", "eval"],
    &["http"],
    &["app"],
    &["cli"],
    &["main"],
];

/// Anyone may count and log.
const FOR_ALL: &str = "telemetry";

/// A module takes its own section's struct, never the whole configuration.
const CONFIG: (&str, &[&str]) = ("config", &["app", "cli"]);

/// Arrows that are there for a reason, which stands beside them.
const EXCEPTIONS: &[(&str, &str)] = &[];

fn level(room: &str) -> Option<usize> {
    LEVELS.iter().position(|rooms| rooms.contains(&room))
}

/// What is wrong with an arrow, if anything.
fn fault(from: &str, to: &str) -> Option<&'static str> {
    if from == to || to == FOR_ALL || EXCEPTIONS.contains(&(from, to)) || (to == CONFIG.0 && CONFIG.1.contains(&from)) {
        return None;
    }
    match (level(from), level(to)) {
        _ if to == CONFIG.0 => Some("only app and cli know the whole configuration"),
        _ if from == FOR_ALL || from == CONFIG.0 => Some("a leaf names no room"),
        (None, _) | (_, None) => Some("a room without a level: give it one in LEVELS"),
        (Some(from), Some(to)) if to > from => Some("points up"),
        (Some(from), Some(to)) if to == from => Some("points sideways"),
        _ => None,
    }
}

/// The source without comments, and with nothing in its strings and character literals.
fn code_of(source: &str) -> String {
    let chars: Vec<char> = source.chars().collect();
    let mut out = String::with_capacity(source.len());
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    let mut i = 0;
    while i < chars.len() {
        match at(i) {
            '/' if at(i + 1) == '/' => {
                while i < chars.len() && at(i) != '\n' {
                    i += 1;
                }
            }
            '/' if at(i + 1) == '*' => {
                let mut depth = 0;
                loop {
                    match (at(i), at(i + 1)) {
                        ('/', '*') => (depth, i) = (depth + 1, i + 2),
                        ('*', '/') => (depth, i) = (depth - 1, i + 2),
                        _ => i += 1,
                    }
                    if depth == 0 || i >= chars.len() {
                        break;
                    }
                }
            }
            'r' if ['"', '#'].contains(&at(i + 1)) && !out.ends_with(|c: char| c.is_alphanumeric() || c == '_') => {
                let hashes = chars[i + 1..].iter().take_while(|c| **c == '#').count();
                if at(i + 1 + hashes) != '"' {
                    out.push('r');
                    i += 1;
                    continue;
                }
                let end: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
                i += 2 + hashes;
                while i < chars.len() && !chars[i..].starts_with(&end) {
                    i += 1;
                }
                i += end.len();
            }
            '"' => {
                i += 1;
                while i < chars.len() && at(i) != '"' {
                    i += if at(i) == '\\' { 2 } else { 1 };
                }
                i += 1;
            }
            // 'x' and '\n' are characters, 'static is a lifetime.
            '\'' if at(i + 1) == '\\' => {
                i += 3;
                while i < chars.len() && at(i) != '\'' {
                    i += 1;
                }
                i += 1;
            }
            '\'' if at(i + 2) == '\'' => i += 3,
            other => {
                out.push(other);
                i += 1;
            }
        }
    }
    out
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn word(text: &str) -> &str {
    let text = text.trim_start();
    &text[..text.find(|c| !is_word(c)).unwrap_or(text.len())]
}

/// The first names of a group `{a::b, c::{d, e}}`, from its brace on.
fn group(text: &str) -> Vec<&str> {
    let (mut depth, mut names, mut start) = (0, Vec::new(), 0);
    for (i, c) in text.char_indices() {
        match c {
            '{' => {
                depth += 1;
                start = if depth == 1 { i + 1 } else { start };
            }
            '}' => depth -= 1,
            _ => {}
        }
        if (c == ',' && depth == 1) || depth == 0 {
            names.push(word(&text[start..i]));
            start = i + 1;
        }
        if depth == 0 {
            break;
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

/// The rooms that a file's code names. `depth` is how many modules deep the file itself lies: `super::` may climb out of its room.
fn rooms_named(code: &str, depth: usize) -> BTreeSet<String> {
    let mut rooms = BTreeSet::new();
    let mut name = |rest: &str| {
        let rest = rest.trim_start();
        let names = if rest.starts_with('{') { group(rest) } else { vec![word(rest)] };
        rooms.extend(names.into_iter().map(str::to_owned));
    };
    // Braces that are open, and whether each is a module's.
    let mut open: Vec<bool> = Vec::new();
    let mut i = 0;
    while i < code.len() {
        let rest = &code[i..];
        let Some(c) = rest.chars().next() else { break };
        let begins = !code[..i].ends_with(|c: char| is_word(c) || c == '$');
        match c {
            '{' => {
                let before = code[..i].trim_end();
                let head = before.trim_end_matches(is_word).trim_end();
                open.push(head.ends_with("mod") && !head[..head.len() - 3].ends_with(is_word));
            }
            '}' => {
                open.pop();
            }
            _ if begins && rest.starts_with("crate::") => name(&rest["crate::".len()..]),
            _ if begins && rest.starts_with("super::") => {
                let mut after = rest;
                let mut climbed = 0;
                while let Some(next) = after.strip_prefix("super::") {
                    (after, climbed) = (next, climbed + 1);
                }
                if climbed >= depth + open.iter().filter(|module| **module).count() {
                    name(after);
                }
                i = code.len() - after.len();
                continue;
            }
            _ => {}
        }
        i += c.len_utf8();
    }
    rooms.remove("self");
    rooms
}

fn sources(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).expect("src").map(|entry| entry.expect("an entry").path()) {
        if entry.is_dir() {
            files.extend(sources(&entry));
        } else if entry.extension().is_some_and(|e| e == "rs") {
            files.push(entry);
        }
    }
    files.sort();
    files
}

/// Room and depth of a file by its path inside `src`.
fn place(path: &Path) -> (String, usize) {
    let parts: Vec<&str> = path.iter().map(|part| part.to_str().expect("a name")).collect();
    let room = parts[0].trim_end_matches(".rs").to_owned();
    let is_module_root = parts.len() > 1 && parts[parts.len() - 1] == "mod.rs";
    (room, parts.len() - usize::from(is_module_root))
}

fn faults_of(file: &Path, source: &str) -> Vec<String> {
    let (from, depth) = place(file);
    let named = rooms_named(&code_of(source), depth);
    let wrong = named.iter().filter_map(|to| fault(&from, to).map(|why| format!("{}: {from} -> {to}: {why}", file.display())));
    wrong.collect()
}

#[test]
fn arrows_between_rooms_point_down() {
    let src = root().join("src");
    let mut arrows = 0;
    let mut faults = Vec::new();
    for path in sources(&src) {
        let file = path.strip_prefix(&src).expect("inside src");
        // lib.rs lists the rooms, and is none.
        if file == Path::new("lib.rs") {
            continue;
        }
        let source = fs::read_to_string(&path).expect("a source");
        arrows += rooms_named(&code_of(&source), place(file).1).len();
        faults.extend(faults_of(file, &source));
    }
    assert!(arrows > 50, "only {arrows} arrows were found: does the parser still read the sources?");
    assert!(faults.is_empty(), "arrows that do not point down:\n{}", faults.join("\n"));
}

#[test]
fn every_room_has_a_level() {
    let library = fs::read_to_string(root().join("src/lib.rs")).expect("lib.rs");
    for room in library.lines().filter_map(|line| line.strip_prefix("pub mod ")).map(|line| line.trim_end_matches(';')) {
        assert!(level(room).is_some() || [FOR_ALL, CONFIG.0].contains(&room), "{room} has no level");
    }
}

#[test]
fn exceptions_are_still_needed() {
    for (from, to) in EXCEPTIONS {
        let src = root().join("src");
        let used = sources(&src).iter().any(|path| {
            let file = path.strip_prefix(&src).expect("inside src");
            let (room, depth) = place(file);
            room == *from && rooms_named(&code_of(&fs::read_to_string(path).expect("a source")), depth).contains(*to)
        });
        assert!(used, "{from} -> {to} is no more: take it out of EXCEPTIONS");
    }
}

#[track_caller]
fn check(file: &str, source: &str, expected: &[&str]) {
    let found = faults_of(Path::new(file), source);
    let arrows: Vec<&str> = found.iter().map(|fault| fault.split(": ").nth(1).expect("an arrow")).collect();
    assert_eq!(arrows, expected, "{source}");
}

#[test]
fn a_made_up_violation_is_found() {
    check("store/mod.rs", "use crate::http::Service;", &["store -> http"]);
    check("classify/sparse.rs", "use crate::{domain::Lang, embed::{Encoder, Role}, text};", &["classify -> embed"]);
    check("text/mod.rs", "fn f() { crate::decide::decide() }", &["text -> decide"]);
    check("train/gate.rs", "use crate::eval::evaluate_intents;", &["train -> eval"]);
    check("ner/mod.rs", "#[cfg(test)]\nmod tests {\n use crate::pipeline::Shelf;\n}", &["ner -> pipeline"]);
    check("http/problem.rs", "use crate::config::Config;", &["http -> config"]);
    check("telemetry/mod.rs", "use crate::domain::Lang;", &["telemetry -> domain"]);
    check("app.rs", "pub use crate::cli::main;", &["app -> cli"]);
    check("attic/mod.rs", "use crate::domain::Lang;", &["attic -> domain"]);
}

#[test]
fn climbing_out_of_a_room_is_found() {
    check("store/articles.rs", "use super::super::http::Code;", &["store -> http"]);
    check("store/mod.rs", "use super::http::Code;", &["store -> http"]);
    check("store/mod.rs", "mod tests { use super::*; use super::super::http; }", &["store -> http"]);
    check("store/articles.rs", "use super::{Store, StoreError};\nmod tests { use super::super::Store; use super::*; }", &[]);
    check("retrieve/edge/shard.rs", "use super::super::RetrieveError;", &[]);
}

#[test]
fn what_is_allowed_or_no_code_is_no_violation() {
    check("http/mod.rs", "use crate::{pipeline::Pipeline, store::Store, telemetry::Metric, domain};", &[]);
    check("cli/serve.rs", "use crate::config::Config; use crate::http; use crate::app::App;", &[]);
    check("text/mod.rs", "//! see [`crate::http`]\n/* crate::http /* nested */ crate::cli */ use crate::domain::Lang;", &[]);
    check("text/mod.rs", "const A: &str = \"crate::http \\\" crate::cli\"; const B: &str = r#\"crate::http\"#; const C: char = '\"';", &[]);
    check("text/mod.rs", "fn f<'a>(x: &'a str) -> &'a str { let quote = '\\''; x } macro_rules! m { () => { $crate::http } }", &[]);
    check("store/mod.rs", "pub(crate) fn f() {} use crate::store::Store; use supercrate::http;", &[]);
}
