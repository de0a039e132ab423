//! What a model says of itself in `model.json`, and how two of them differ.
//!
//! The registry keeps models of every kind, so that it reads only what all of them have; the rest is compared as plain JSON.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::{RegistryError, io_error};
use crate::domain::ModelScores;

/// The file of an artefact that says what it is.
pub(super) const CARD: &str = "model.json";

/// The kind of a model whose `model.json` names none.
pub const CLASSIFIER: &str = "classifier";

/// No `model.json` is as large; what is, is something else.
const LARGEST: u64 = 64 << 20;

/// The fields that every `model.json` has, and the whole of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Card {
    pub name: String,
    pub kind: String,
    pub text_version: u32,
    pub data_hash: String,
    pub scores: ModelScores,
    pub(super) whole: Value,
}

#[derive(Deserialize)]
struct Fields {
    name: String,
    #[serde(default)]
    kind: Option<String>,
    text_version: u32,
    data_hash: String,
    scores: Value,
}

impl Card {
    /// # Errors
    /// What is missing or of another type.
    pub fn parse(json: &[u8]) -> Result<Self, String> {
        let whole: Value = serde_json::from_slice(json).map_err(|e| e.to_string())?;
        let fields = Fields::deserialize(&whole).map_err(|e| e.to_string())?;
        let mut scores = ModelScores::new();
        for (path, value) in leaves(&fields.scores) {
            if let Some(number) = value.as_f64() {
                // `test` and `accuracy` of `test.zh.accuracy` are a set and a figure whatever lies between.
                let (set, figure) = path.rsplit_once('.').unwrap_or(("all", &path));
                scores.entry(set.to_owned()).or_default().insert(figure.to_owned(), number);
            }
        }
        let kind = fields.kind.unwrap_or_else(|| CLASSIFIER.to_owned());
        Ok(Card { name: fields.name, kind, text_version: fields.text_version, data_hash: fields.data_hash, scores, whole })
    }

    /// Reads an artefact's `model.json`.
    ///
    /// # Errors
    /// [`RegistryError::NotAnArtefact`], the disk's.
    pub fn read(folder: &Path) -> Result<Self, RegistryError> {
        let not = |why: String| RegistryError::NotAnArtefact { path: folder.to_owned(), why };
        let path = folder.join(CARD);
        match fs::metadata(&path) {
            Ok(m) if !m.is_file() => return Err(not(format!("its {CARD} is no file"))),
            Ok(m) if m.len() > LARGEST => return Err(not(format!("its {CARD} has {} bytes", m.len()))),
            Ok(_) => {}
            Err(_) if fs::metadata(folder).is_ok_and(|m| !m.is_dir()) => return Err(not("it is no folder".into())),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound && folder.is_dir() => return Err(not(format!("it holds no {CARD}"))),
            Err(e) => return Err(io_error(folder)(e)),
        }
        Card::parse(&fs::read(&path).map_err(io_error(&path))?).map_err(|why| not(format!("{CARD}: {why}")))
    }

    /// The set that stands for the model, and its figures: `test`, else `valid`, else the first.
    pub fn headline(scores: &ModelScores) -> Option<(&str, &BTreeMap<String, f64>)> {
        let named =
            ["test.full", "test.fast", "test", "held.full", "held.fast", "valid"].into_iter().find_map(|set| scores.get_key_value(set));
        named.or_else(|| scores.iter().next()).map(|(set, figures)| (set.as_str(), figures))
    }
}

/// How two versions differ.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Diff {
    /// `name@version`.
    pub a: String,
    pub b: String,
    /// Fields of `model.json` but for the scores, by their path; a field that one of them lacks is `null` there.
    pub changed: Vec<Changed>,
    pub scores: Vec<ScoreRow>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Changed {
    pub key: String,
    pub a: Value,
    pub b: Value,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ScoreRow {
    pub set: String,
    pub figure: String,
    pub a: Option<f64>,
    pub b: Option<f64>,
    /// `b - a`, where both have it.
    pub difference: Option<f64>,
}

impl Diff {
    pub(super) fn of(a: (String, &Card), b: (String, &Card)) -> Self {
        let fields = |card: &Card| -> BTreeMap<String, Value> {
            leaves(&card.whole).into_iter().filter(|(key, _)| key != "scores" && !key.starts_with("scores.")).collect()
        };
        let (left, right) = (fields(a.1), fields(b.1));
        let keys: BTreeSet<&String> = left.keys().chain(right.keys()).collect();
        let value = |side: &BTreeMap<String, Value>, key: &String| side.get(key).cloned().unwrap_or_default();
        let changed = keys.into_iter().filter(|key| left.get(*key) != right.get(*key));
        let changed = changed.map(|key| Changed { key: key.clone(), a: value(&left, key), b: value(&right, key) }).collect();

        let figures = |card: &Card| -> BTreeSet<(String, String)> {
            card.scores.iter().flat_map(|(set, f)| f.keys().map(|figure| (set.clone(), figure.clone()))).collect()
        };
        let score = |card: &Card, set: &str, figure: &str| card.scores.get(set)?.get(figure).copied();
        let (of_a, of_b) = (figures(a.1), figures(b.1));
        let scores = of_a.union(&of_b).map(|(set, figure)| {
            let (x, y) = (score(a.1, set, figure), score(b.1, set, figure));
            ScoreRow { set: set.clone(), figure: figure.clone(), a: x, b: y, difference: x.zip(y).map(|(x, y)| y - x) }
        });
        Diff { changed, scores: scores.collect(), a: a.0, b: b.0 }
    }
}

/// Every value that is no object, by its path; lists are taken whole, since their places mean nothing.
fn leaves(value: &Value) -> Vec<(String, Value)> {
    fn walk(path: &str, value: &Value, out: &mut Vec<(String, Value)>) {
        match value {
            Value::Object(fields) if !fields.is_empty() => {
                for (key, value) in fields {
                    walk(&if path.is_empty() { key.clone() } else { format!("{path}.{key}") }, value, out);
                }
            }
            leaf => out.push((path.to_owned(), leaf.clone())),
        }
    }
    let mut out = Vec::new();
    walk("", value, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn card(whole: Value) -> Card {
        Card::parse(whole.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn a_card_needs_the_four_fields_and_keeps_the_rest() {
        let whole = json!({"name": "intent", "text_version": 1, "data_hash": "ab", "scores": {"test.zh": {"accuracy": 0.5, "note": "x"}, "n": 3}, "alpha": 1});
        let card = card(whole.clone());
        assert_eq!((card.name.as_str(), card.kind.as_str(), card.text_version), ("intent", CLASSIFIER, 1));
        assert_eq!(card.scores["test.zh"]["accuracy"], 0.5);
        assert_eq!(card.scores["all"]["n"], 3.0);
        for field in ["name", "text_version", "data_hash", "scores"] {
            let mut without = whole.clone();
            without.as_object_mut().unwrap().remove(field);
            assert!(Card::parse(without.to_string().as_bytes()).is_err_and(|e| e.contains(field)), "{field}");
        }
        assert!(Card::parse(b"{\"name\"").is_err() && Card::parse(b"[]").is_err());
    }

    #[test]
    fn the_test_set_stands_for_the_model() {
        let scores = |sets: &[&str]| sets.iter().map(|s| ((*s).to_owned(), BTreeMap::new())).collect::<ModelScores>();
        let headline = |sets: &[&str]| Card::headline(&scores(sets)).map(|h| h.0.to_owned());
        assert_eq!(headline(&["a", "test", "valid"]), Some("test".into()));
        assert_eq!(headline(&["valid.zh", "valid"]), Some("valid".into()));
        assert_eq!((headline(&["public"]), headline(&[])), (Some("public".into()), None));
    }

    #[test]
    fn a_difference_names_what_changed_and_by_how_much() {
        let of = |alpha: f64, labels: &[&str], accuracy: f64| {
            card(json!({"name": "intent", "text_version": 1, "data_hash": "ab", "model": {"alpha": alpha, "min_df": 2}, "labels": labels,
                        "scores": {"test": {"accuracy": accuracy}}}))
        };
        let (mut a, b) = (of(0.5, &["x"], 0.75), of(0.25, &["x", "y"], 0.5));
        a.scores.insert("valid".into(), BTreeMap::from([("ece".to_owned(), 0.1)]));
        let diff = Diff::of(("intent@1".into(), &a), ("intent@2".into(), &b));
        assert_eq!(diff.changed.iter().map(|c| c.key.as_str()).collect::<Vec<_>>(), ["labels", "model.alpha"]);
        assert_eq!((&diff.changed[1].a, &diff.changed[1].b), (&json!(0.5), &json!(0.25)));
        let accuracy = &diff.scores[0];
        assert_eq!((accuracy.a, accuracy.b, accuracy.difference), (Some(0.75), Some(0.5), Some(-0.25)));
        assert_eq!((diff.scores[1].figure.as_str(), diff.scores[1].b, diff.scores[1].difference), ("ece", None, None));
        assert!(Diff::of(("a".into(), &b), ("b".into(), &b)).changed.is_empty());
    }
}
