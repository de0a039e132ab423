//! What loading promises.

use std::collections::BTreeSet;
use std::path::PathBuf;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

/// sha256 of `secret`.
const SECRET: &str = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";

fn file(text: &str) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("fenzhen.toml");
    std::fs::write(&path, text).expect("a file");
    (dir, path)
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn load(text: &str, env: &[(&str, &str)], flags: &[(&str, &str)]) -> Result<Loaded, ConfigError> {
    let (_dir, path) = file(text);
    Config::load(Some(&path), pairs(env).into_iter(), &pairs(flags))
}

/// Each fault as `key message`, without the sources.
fn faults(text: &str, env: &[(&str, &str)], flags: &[(&str, &str)]) -> Vec<String> {
    let error = load(text, env, flags).expect_err("faults");
    error.faults.into_iter().map(|fault| format!("{} {}", fault.key, fault.message)).collect()
}

#[test]
fn the_defaults_are_a_configuration() {
    let loaded = Config::load(None, std::iter::empty(), &[]).expect("the defaults");
    let config = &loaded.config;
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:8080");
    assert_eq!((config.server.concurrency, config.encoder.queue, config.retrieve.similar), (64, 256, 5));
    assert_eq!(config.encoder.arithmetic, Arithmetic::Auto);
    assert_eq!((&config.gate.policy, &config.classifier.artefact), (&None, &None));
    assert_eq!(config.models.cache, PathBuf::from("fenzhen-data/cache"));
    assert!(loaded.sources.values().all(|source| *source == Source::Default));
}

#[test]
fn every_key_has_a_rule_and_a_comment() {
    let loaded = Config::load(None, std::iter::empty(), &[]).expect("the defaults");
    let keys: BTreeSet<&str> = loaded.sources.keys().map(String::as_str).collect();
    assert_eq!(rules::keys().collect::<BTreeSet<_>>(), keys);
    let mut before = "";
    for line in DEFAULT.lines() {
        assert!(line.starts_with(['#', '[']) || line.is_empty() || before.starts_with('#'), "no comment above: {line}");
        before = line;
    }
}

#[test]
fn file_then_environment_then_flags_win() {
    let text = "[server]\nmax_batch = 1\nconcurrency = 1\nlisten = \"[::1]:1\"";
    let env = [("FENZHEN__SERVER__CONCURRENCY", "2"), ("FENZHEN__SERVER__LISTEN", "0.0.0.0:2"), ("PATH", "/bin")];
    let loaded = load(text, &env, &[("server.listen", "127.0.0.1:3")]).expect("valid");
    let server = &loaded.config.server;
    assert_eq!((server.max_batch, server.concurrency, server.listen.to_string().as_str()), (1, 2, "127.0.0.1:3"));
    assert_eq!(server.max_body_mb, 64);
    assert!(matches!(loaded.sources["server.max_batch"], Source::File(_)));
    assert_eq!(loaded.sources["server.concurrency"], Source::Env("FENZHEN__SERVER__CONCURRENCY".into()));
    assert_eq!(loaded.sources["server.listen"], Source::Flag);
    assert_eq!(loaded.sources["server.max_body_mb"], Source::Default);
}

#[test]
fn all_faults_of_all_sources_are_reported_at_once() {
    let text = "listen = \"x\"\nlog = 1\n[server]\nlistne = 1\nmax_batch = \"many\"\nconcurrency = 0\n[sever]\nlisten = 1";
    let found = faults(text, &[("FENZHEN__ENCODER__QUEUE", "lots"), ("FENZHEN__NO", "1")], &[("log.format", "xml")]);
    let mut expected = [
        "listen is not a known key; did you mean server.listen?",
        "log must be a section, not a whole number (1)",
        "server.listne is not a known key; did you mean server.listen?",
        "server.max_batch must be a whole number, not a string (\"many\")",
        "sever is not a known section; did you mean server?",
        "encoder.queue must be a whole number, not a string (\"lots\")",
        "no is not a known key",
        "server.concurrency must be from 1 to 65536, not 0",
        "log.format must be one of text, json, not \"xml\"",
    ];
    let mut sorted = found.clone();
    sorted.sort();
    expected.sort_unstable();
    assert_eq!(sorted, expected);
}

#[test]
fn a_fault_names_its_source_and_has_a_line_of_its_own() {
    let (_dir, path) = file("[server]\nmax_batch = 0");
    let env = pairs(&[("FENZHEN__LOG__LEVEL", "loud")]);
    let error = Config::load(Some(&path), env.into_iter(), &pairs(&[("retrieve.similar", "101")])).expect_err("faults");
    let expected = format!(
        "FENZHEN__LOG__LEVEL: log.level must be a level (off, error, warn, info, debug, trace) or module=level, not \"loud\"\n\
         command line: retrieve.similar must be from 0 to 100, not 101\n\
         {}: server.max_batch must be from 1 to 1000000, not 0",
        path.display()
    );
    assert_eq!(error.to_string(), expected);
}

#[test]
fn values_out_of_range_are_faults_and_the_limits_are_not() {
    for (key, bad) in [
        ("server.listen", "localhost"),
        ("server.listen", "127.0.0.1:99999"),
        ("server.request_timeout_ms", "0"),
        ("server.max_body_mb", "-1"),
        ("server.max_body_mb", "99999999999999999999"),
        ("data.dir", " "),
        ("encoder.arithmetic", "Int8"),
        ("encoder.batch_tokens", "511"),
        ("auth.api_key_sha256", "secret"),
        ("log.level", ""),
        ("log.level", "info,fenzhen"),
    ] {
        assert_eq!(load("", &[], &[(key, bad)]).expect_err(bad).faults.len(), 1, "{key} = {bad}");
    }
    for (key, good) in [
        ("server.drain_timeout_ms", "0"),
        ("encoder.batch_tokens", " 512 "),
        ("encoder.arithmetic", "int8"),
        ("log.level", "info, fenzhen::retrieve=debug"),
        ("gate.policy", "my policy.toml"),
        ("server.listen", "[::]:0"),
        ("auth.api_key_sha256", ""),
    ] {
        assert!(load("", &[], &[(key, good)]).is_ok(), "{key} = {good}");
    }
}

#[test]
fn a_key_is_suggested_only_when_it_is_near() {
    let suggested = |key: &str| faults("", &[], &[(key, "1")]).remove(0);
    assert_eq!(suggested("server.timeout_ms"), "server.timeout_ms is not a known key; did you mean encoder.timeout_ms?");
    assert_eq!(suggested("server.max_body"), "server.max_body is not a known key; did you mean server.max_body_mb?");
    assert_eq!(suggested("encoder.batch_token"), "encoder.batch_token is not a known key; did you mean encoder.batch_tokens?");
    assert_eq!(suggested("server.tls_certificate"), "server.tls_certificate is not a known key");
    assert_eq!(suggested("日志"), "日志 is not a known key");
}

#[test]
fn a_file_that_is_missing_or_no_toml_is_a_fault_beside_the_others() {
    let flags = pairs(&[("log.format", "xml")]);
    let error = Config::load(Some(Path::new("/nowhere/fenzhen.toml")), std::iter::empty(), &flags).expect_err("missing");
    assert_eq!(error.faults.len(), 2);
    assert!(error.to_string().starts_with("/nowhere/fenzhen.toml: cannot be read: No such file"), "{error}");

    let found = faults("[server]\nmax_batch = 1\nlisten = = 1\n", &[], &[]);
    assert!(found[0].contains("line 3, column 10: "), "{found:?}");
    assert!(faults("[server]\nmax_batch = 1\nmax_batch = 2\n", &[], &[])[0].contains("line 3"));
}

#[test]
fn the_plain_key_adds_its_hash_and_is_not_shown() {
    let loaded = load("", &[("FENZHEN_API_KEY", "secret\n")], &[]).expect("valid");
    assert_eq!(loaded.config.auth.api_key_sha256, [SECRET]);
    assert_eq!(loaded.sources["auth.api_key_sha256"], Source::Env("FENZHEN_API_KEY".into()));

    let other = "AB".repeat(32);
    let text = format!("[auth]\napi_key_sha256 = [\"{other}\"]");
    let loaded = load(&text, &[("FENZHEN_API_KEY", "secret")], &[]).expect("valid");
    assert_eq!(loaded.config.auth.api_key_sha256, [other.to_lowercase().as_str(), SECRET]);
    let shown = loaded.show();
    assert!(
        shown.contains("api_key_sha256 = [\"abababab…\", \"2bb80d53…\"]  # ") && shown.contains("fenzhen.toml and FENZHEN_API_KEY"),
        "{shown}"
    );

    assert!(load("", &[("FENZHEN_API_KEY", "")], &[]).expect("unset").config.auth.api_key_sha256.is_empty());
    for mistake in
        ["api_key_sha256 = [\"my-plain-key\"]", "api_key_sha256 = \"my-plain-key\"", "api_key = \"my-plain-key\"", "x = my-plain-key"]
    {
        let error = load(&format!("[auth]\n{mistake}"), &[], &[]).expect_err("no hash");
        assert!(!error.to_string().contains("my-plain-key"), "{error}");
    }
}

#[test]
fn an_empty_cache_is_looked_for_in_the_environment() {
    let cache = |text: &str, env: &[(&str, &str)]| load(text, env, &[]).expect("valid").config.models.cache;
    let home = ("HOME", "/home/a");
    assert_eq!(cache("", &[home]), PathBuf::from("/home/a/.cache/fenzhen"));
    assert_eq!(cache("", &[home, ("XDG_CACHE_HOME", "/x")]), PathBuf::from("/x/fenzhen"));
    assert_eq!(cache("", &[home, ("XDG_CACHE_HOME", "relative")]), PathBuf::from("/home/a/.cache/fenzhen"));
    assert_eq!(cache("", &[home, ("XDG_CACHE_HOME", "/x"), ("FENZHEN_CACHE", "/f")]), PathBuf::from("/f"));
    assert_eq!(cache("[models]\ncache = \"mine\"", &[home, ("FENZHEN_CACHE", "/f")]), PathBuf::from("mine"));
}

#[test]
fn trained_models_lie_in_the_data_folder_unless_told_otherwise() {
    let registry = |flags: &[(&str, &str)]| {
        let loaded = load("", &[], flags).expect("valid");
        (loaded.config.models.registry, loaded.sources["models.registry"].clone())
    };
    assert_eq!(registry(&[]), (PathBuf::from("fenzhen-data/models"), Source::Default));
    assert_eq!(registry(&[("data.dir", "shop")]), (PathBuf::from("shop/models"), Source::Flag));
    assert_eq!(registry(&[("data.dir", "shop"), ("models.registry", "/m")]).0, PathBuf::from("/m"));
}

#[test]
fn what_is_shown_is_a_configuration_that_names_its_sources() {
    let flags = [("gate.policy", "a \"quoted\" \\ path.toml")];
    let loaded = load("", &[("FENZHEN__RETRIEVE__SIMILAR", "7")], &flags).expect("valid");
    let shown = loaded.show();
    assert!(shown.starts_with("[server]\nlisten = \"127.0.0.1:8080\"\nmax_body_mb = 64\n"), "{shown}");
    assert!(shown.contains("similar = 7  # FENZHEN__RETRIEVE__SIMILAR\narticles = 3\n"), "{shown}");
    assert_eq!(load(&shown, &[], &[]).expect("valid again").config, loaded.config);
}

proptest! {
    #[test]
    fn nothing_from_outside_panics(text in ".{0,60}", name in "[A-Z_]{0,20}", key in "[a-z._]{0,20}", value in ".{0,20}") {
        let _ = load(&text, &[(&format!("FENZHEN__{name}"), &value), ("FENZHEN_API_KEY", &value)], &[(&key, &value)]);
    }
}
