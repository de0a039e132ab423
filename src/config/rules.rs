//! Which values each key may have: one table, a row a key.

use std::net::SocketAddr;

use toml::Value;

/// What a value must be, beyond its type.
enum Rule {
    /// From, to, both included.
    Between(i64, i64),
    OneOf(&'static [&'static str]),
    Address,
    NotEmpty,
    /// Lower-case letters, digits and hyphens, as every server takes them.
    Name,
    Url,
    UrlOrNone,
    Anything,
    Hashes,
    LogFilter,
}

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// An hour: whoever waits longer has mistaken the unit.
const LONGEST_WAIT_MS: i64 = 3_600_000;

const RULES: &[(&str, Rule)] = &[
    ("server.listen", Rule::Address),
    ("server.max_body_mb", Rule::Between(1, 4096)),
    ("server.max_text_chars", Rule::Between(1, 1_000_000)),
    ("server.max_batch", Rule::Between(1, 1_000_000)),
    ("server.concurrency", Rule::Between(1, 65_536)),
    ("server.request_timeout_ms", Rule::Between(1, LONGEST_WAIT_MS)),
    // 0: stop at once.
    ("server.drain_timeout_ms", Rule::Between(0, LONGEST_WAIT_MS)),
    ("auth.api_key_sha256", Rule::Hashes),
    ("data.dir", Rule::NotEmpty),
    ("models.cache", Rule::Anything),
    ("models.registry", Rule::Anything),
    ("encoder.model", Rule::NotEmpty),
    ("encoder.comparing", Rule::Anything),
    ("encoder.served_url", Rule::UrlOrNone),
    ("encoder.served_model", Rule::Anything),
    ("encoder.served_api_key", Rule::Anything),
    ("encoder.served_query_prefix", Rule::Anything),
    ("encoder.served_passage_prefix", Rule::Anything),
    ("encoder.arithmetic", Rule::OneOf(&["auto", "int8", "blocks", "float"])),
    ("encoder.queue", Rule::Between(1, 1_000_000)),
    // The shortest is one text at the model's longest, 512 tokens.
    ("encoder.batch_tokens", Rule::Between(512, 1_000_000)),
    ("encoder.timeout_ms", Rule::Between(1, LONGEST_WAIT_MS)),
    ("classifier.artefact", Rule::Anything),
    ("classifier.mode", Rule::OneOf(&["fast", "full", "auto"])),
    ("gate.policy", Rule::Anything),
    ("gate.artefact", Rule::Anything),
    ("retrieve.similar", Rule::Between(0, 100)),
    ("retrieve.articles", Rule::Between(0, 100)),
    ("retrieve.dense", Rule::OneOf(&["edge", "qdrant", "elasticsearch"])),
    ("retrieve.lexical", Rule::OneOf(&["edge", "qdrant", "elasticsearch"])),
    ("retrieve.deadline_ms", Rule::Between(1, LONGEST_WAIT_MS)),
    ("retrieve.prefix", Rule::Name),
    ("retrieve.qdrant_url", Rule::Url),
    ("retrieve.qdrant_api_key", Rule::Anything),
    ("retrieve.qdrant_shards", Rule::Between(1, 1000)),
    ("retrieve.qdrant_replicas", Rule::Between(1, 100)),
    ("retrieve.qdrant_quantize", Rule::Anything),
    ("retrieve.qdrant_on_disk", Rule::Anything),
    ("retrieve.elastic_url", Rule::Url),
    ("retrieve.elastic_api_key", Rule::Anything),
    ("retrieve.elastic_user", Rule::Anything),
    ("retrieve.elastic_password", Rule::Anything),
    ("retrieve.elastic_shards", Rule::Between(1, 1000)),
    ("retrieve.elastic_replicas", Rule::Between(0, 100)),
    ("retrieve.elastic_repository", Rule::Anything),
    ("log.level", Rule::LogFilter),
    ("log.format", Rule::OneOf(&["text", "json"])),
];

/// What is wrong with a value of the right type, in words that follow the key's name.
pub(super) fn broken(key: &str, value: &Value) -> Option<String> {
    let Some((_, rule)) = RULES.iter().find(|row| row.0 == key) else {
        return Some("has no rule in this program".to_owned());
    };
    let text = value.as_str().unwrap_or_default();
    match rule {
        Rule::Between(low, high) => {
            let number = value.as_integer().unwrap_or_default();
            (!(*low..=*high).contains(&number)).then(|| format!("must be from {low} to {high}, not {number}"))
        }
        Rule::OneOf(words) => (!words.contains(&text)).then(|| format!("must be one of {}, not {text:?}", words.join(", "))),
        Rule::Address => {
            let parsed = text.parse::<SocketAddr>();
            parsed.is_err().then(|| format!("must be an IP address and a port like 127.0.0.1:8080, not {text:?}"))
        }
        Rule::NotEmpty => text.trim().is_empty().then(|| "must not be empty".to_owned()),
        Rule::Name => {
            let good = text.starts_with(|c: char| c.is_ascii_lowercase())
                && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
                && text.len() <= 50;
            (!good).then(|| format!("must be a letter and up to 49 lower-case letters, digits and hyphens, not {text:?}"))
        }
        Rule::UrlOrNone if text.is_empty() => None,
        Rule::Url | Rule::UrlOrNone => {
            let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
            // Credentials have keys of their own: an address is shown in messages.
            let good = rest.is_some_and(|rest| !rest.is_empty() && !rest.contains('@') && !rest.contains(char::is_whitespace));
            (!good).then(|| "must be an address like http://127.0.0.1:6334, without credentials in it".to_owned())
        }
        Rule::Anything => None,
        Rule::Hashes => value.as_array().into_iter().flatten().find_map(not_a_hash),
        Rule::LogFilter => {
            let wrong = text.split(',').find(|part| !LEVELS.contains(&part.rsplit('=').next().unwrap_or_default().trim()));
            wrong.map(|part| format!("must be a level ({}) or module=level, not {part:?}", LEVELS.join(", ")))
        }
    }
}

/// Shows nothing of the value: it may well be the plain key.
fn not_a_hash(item: &Value) -> Option<String> {
    let good = item.as_str().is_some_and(|text| text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()));
    (!good).then(|| "must hold SHA-256 hashes of 64 hex digits: printf %s \"$KEY\" | sha256sum".to_owned())
}

#[cfg(test)]
pub(super) fn keys() -> impl Iterator<Item = &'static str> {
    RULES.iter().map(|row| row.0)
}
