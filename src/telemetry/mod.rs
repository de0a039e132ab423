//! Metrics by name from one table, and the log.
//!
//! A leaf: every room may count, none is known here.

use std::io::IsTerminal;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

/// Every metric of the program; its name, kind and meaning stand in [`Metric::TABLE`] and nowhere else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    HttpRequests,
    HttpDuration,
    TriageDecisions,
    Feedback,
    StageDuration,
    EncoderRefused,
    HttpRefused,
    IndexEntries,
    ShadowMessages,
    ModelSwaps,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Metric {
    pub const TABLE: [(Metric, Kind, &'static str, &'static str); 10] = [
        (Metric::HttpRequests, Kind::Counter, "fenzhen_http_requests_total", "Requests by method, route and status."),
        (Metric::HttpDuration, Kind::Histogram, "fenzhen_http_request_duration_seconds", "Time to answer, by method and route."),
        (Metric::TriageDecisions, Kind::Counter, "fenzhen_triage_decisions_total", "Triages by action and language."),
        (Metric::Feedback, Kind::Counter, "fenzhen_feedback_total", "Feedback of agents by outcome."),
        (Metric::StageDuration, Kind::Histogram, "fenzhen_triage_stage_duration_seconds", "Time of a triage's stages."),
        (Metric::EncoderRefused, Kind::Counter, "fenzhen_encoder_refused_total", "Messages refused because the encoder's queue was full."),
        (Metric::HttpRefused, Kind::Counter, "fenzhen_http_refused_total", "Requests refused because too many were being worked on."),
        (Metric::IndexEntries, Kind::Gauge, "fenzhen_index_entries", "Entries that can be found, by kind."),
        (
            Metric::ShadowMessages,
            Kind::Counter,
            "fenzhen_shadow_messages_total",
            "Messages given to the challenger, by outcome: agreed, disagreed, dropped.",
        ),
        (
            Metric::ModelSwaps,
            Kind::Counter,
            "fenzhen_model_swaps_total",
            "Changes of the served models while serving, by outcome: taken, refused.",
        ),
    ];

    pub fn name(self) -> &'static str {
        Self::TABLE.iter().find(|row| row.0 == self).map_or("", |row| row.2)
    }

    pub fn count(self, labels: &[(&'static str, String)]) {
        metrics::counter!(self.name(), labels).increment(1);
    }

    pub fn observe(self, seconds: f64, labels: &[(&'static str, String)]) {
        metrics::histogram!(self.name(), labels).record(seconds);
    }

    pub fn set(self, value: f64, labels: &[(&'static str, String)]) {
        metrics::gauge!(self.name(), labels).set(value);
    }
}

/// Seconds: from a sparse classification to a slow generation.
const BUCKETS: [f64; 15] = [0.000_01, 0.000_05, 0.000_2, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// Installs the recorder for this process; answers what renders it. A second call in one process (tests) renders nothing new.
///
/// # Errors
/// When the buckets are refused, which a test excludes.
pub fn install_metrics() -> Result<PrometheusHandle, String> {
    let recorder = PrometheusBuilder::new().set_buckets(&BUCKETS).map_err(|e| e.to_string())?.build_recorder();
    let handle = recorder.handle();
    // In a process with a recorder (tests start several services) the first one goes on counting.
    if metrics::set_global_recorder(recorder).is_ok() {
        for (_, kind, name, about) in Metric::TABLE {
            match kind {
                Kind::Counter => metrics::describe_counter!(name, about),
                Kind::Gauge => metrics::describe_gauge!(name, about),
                Kind::Histogram => metrics::describe_histogram!(name, about),
            }
        }
    }
    Ok(handle)
}

/// Starts the log on standard error. `level` as in `RUST_LOG`, which wins.
pub fn install_log(level: &str, json: bool) {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(format!("{level},qdrant_edge=error,sqlx=warn")));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    // A second installation (tests) is not an error.
    let _ = if json { log.json().try_init() } else { log.compact().try_init() };
}
