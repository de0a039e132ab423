//! The configuration in force, for people.

use std::collections::BTreeMap;

use toml::Value;

use super::{DEFAULT, Source};

/// Enough of a hash to tell keys apart.
const SHOWN: usize = 8;

pub(super) fn show(values: &BTreeMap<String, Value>, sources: &BTreeMap<String, Source>) -> String {
    let mut out = String::new();
    let mut section = "";
    // `default.toml` is walked for its order; a table would have lost it.
    for line in DEFAULT.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name;
            let gap = if out.is_empty() { "" } else { "\n" };
            out.push_str(&format!("{gap}[{name}]\n"));
        } else if let Some((key, _)) = line.split_once(" = ").filter(|_| !line.starts_with('#')) {
            let name = format!("{section}.{key}");
            let value = values.get(&name).map(|value| {
                let secret = key.ends_with("_api_key") || key.ends_with("_password");
                match section {
                    "auth" => shortened(value),
                    _ if secret && value.as_str() != Some("") => "\"…\"".to_owned(),
                    _ => value.to_string(),
                }
            });
            out.push_str(&format!("{key} = {}", value.unwrap_or_default()));
            match sources.get(&name) {
                None | Some(Source::Default) => out.push('\n'),
                Some(source) => out.push_str(&format!("  # {}\n", source.to_string().replace(char::is_control, " "))),
            }
        }
    }
    out
}

fn shortened(value: &Value) -> String {
    let short = |text: &str| format!("\"{}…\"", text.chars().take(SHOWN).collect::<String>());
    let items: Vec<String> = value.as_array().into_iter().flatten().filter_map(Value::as_str).map(short).collect();
    format!("[{}]", items.join(", "))
}
