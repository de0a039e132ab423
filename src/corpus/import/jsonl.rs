//! JSON Lines: an object a line, its fields by name or by path.

use serde_json::{Map, Value};

use super::super::source::Source;
use super::super::{CorpusError, json_fault};
use super::{INTENT_NAMES, ImportOptions, LANG_NAMES, LangFrom, Row, Rows, TEXT_NAMES};

/// # Errors
/// In the rows: a line that is no JSON object, a missing field, a field that holds no plain value.
pub(super) fn rows<'a>(mut source: Source<'a>, options: &'a ImportOptions) -> Result<Rows<'a>, CorpusError> {
    // The first row shows which of the usual names are used.
    let mut fields: Option<Fields> = None;
    Ok(Box::new(std::iter::from_fn(move || {
        let (line, text) = match source.next_line() {
            Err(e) => return Some(Err(e)),
            Ok(None) => return None,
            Ok(Some((line, text))) => (line, text.to_owned()),
        };
        let fault = |(why, hint): Fault| source.fault(Some(line), why, hint);
        Some(
            parse(&text)
                .and_then(|object| {
                    if fields.is_none() {
                        fields = Some(Fields::choose(&object, options)?);
                    }
                    fields.as_ref().map_or_else(|| Ok(Row::default()), |fields| fields.row(&object, line))
                })
                .map_err(fault),
        )
    })))
}

/// What is wrong, and what to do.
type Fault = (String, String);

fn parse(text: &str) -> Result<Map<String, Value>, Fault> {
    match serde_json::from_str(text) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(("no JSON object".into(), "a row is an object, for example {\"text\": \"...\", \"intent\": \"...\"}".into())),
        Err(e) => Err((
            format!("no JSON: {}", json_fault(&e)),
            "a row is one JSON object on one line (jq -c . makes such lines); another kind of file wants --format".into(),
        )),
    }
}

#[derive(Debug)]
struct Fields {
    text: String,
    intent: String,
    lang: Option<String>,
}

impl Fields {
    fn choose(object: &Map<String, Value>, options: &ImportOptions) -> Result<Self, Fault> {
        let usual = |names: &[&str]| names.iter().find_map(|name| object.keys().find(|key| key.eq_ignore_ascii_case(name))).cloned();
        let choose = |said: &Option<String>, names: &[&str], flag: &str| match said {
            Some(field) => Ok(field.clone()),
            None => usual(names).ok_or_else(|| {
                (format!("no field has a usual name such as {:?}; there are {}", names[0], keys(object)), format!("name it: {flag} FIELD"))
            }),
        };
        Ok(Self {
            text: choose(&options.text, TEXT_NAMES, "--text")?,
            intent: choose(&options.intent, INTENT_NAMES, "--intent")?,
            lang: match options.lang_from() {
                LangFrom::Guess => usual(LANG_NAMES),
                LangFrom::Column(field) => Some(field.to_owned()),
                LangFrom::Nowhere => None,
            },
        })
    }

    fn row(&self, object: &Map<String, Value>, line: usize) -> Result<Row, Fault> {
        let lang = self.lang.as_deref().map(|field| plain(object, field, "--lang")).transpose()?;
        Ok(Row {
            text: plain(object, &self.text, "--text")?,
            intent: plain(object, &self.intent, "--intent")?,
            lang,
            line,
            ..Row::default()
        })
    }
}

fn keys(object: &Map<String, Value>) -> String {
    let shown: Vec<String> = object.keys().take(12).map(|key| format!("{key:?}")).collect();
    if shown.is_empty() { "none".into() } else { shown.join(", ") }
}

/// A field's plain value; `a.b` is the field `b` of the object `a` where no field is called so.
fn plain(object: &Map<String, Value>, field: &str, flag: &str) -> Result<String, Fault> {
    let walk = || {
        let mut steps = field.split('.');
        let first = object.get(steps.next()?)?;
        steps.try_fold(first, |value, step| value.get(step))
    };
    match object.get(field).or_else(walk) {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(Value::Number(number)) => Ok(number.to_string()),
        Some(Value::Bool(value)) => Ok(value.to_string()),
        Some(Value::Null) => Ok(String::new()),
        Some(Value::Object(inner)) => {
            let hint = format!("name a field in it: {flag} {field}.NAME, with one of {}", keys(inner));
            Err((format!("the field {field:?} is an object"), hint))
        }
        Some(Value::Array(items)) => {
            let hint = "make a row of each of its members, or choose one: jq -c '.FIELD |= .[0]' FILE > NEW.jsonl".replace("FIELD", field);
            Err((format!("the field {field:?} is a list of {}", items.len()), hint))
        }
        None => Err((format!("no field {field:?}; there are {}", keys(object)), format!("name another with {flag}, or mend the row"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_values_are_taken_and_others_are_explained() {
        let object =
            parse(r#"{"text": "a", "n": 7, "none": null, "message": {"body": {"zh": "b"}}, "labels": ["x", "y"], "a.b": "dot"}"#).unwrap();
        let get = |field: &str| plain(&object, field, "--text");
        assert_eq!(get("text"), Ok("a".into()));
        assert_eq!(get("n"), Ok("7".into()));
        assert_eq!(get("none"), Ok(String::new()));
        assert_eq!(get("message.body.zh"), Ok("b".into()));
        assert_eq!(get("a.b"), Ok("dot".into()));
        let (why, hint) = get("message").unwrap_err();
        assert!(why.contains("an object") && hint.contains("--text message.NAME") && hint.contains("body"), "{why} {hint}");
        assert!(get("labels").unwrap_err().0.contains("list of 2"));
        assert!(get("text.body").unwrap_err().0.contains("no field \"text.body\""));
        assert!(get("message.body.en").is_err());
        assert!(parse("[1]").unwrap_err().0.contains("no JSON object"));
        assert!(parse("{\"a\": }").unwrap_err().0.contains("column 7"), "{:?}", parse("{\"a\": }"));
    }
}
