//! Evaluation: a model held against labelled data, as figures with their n, JSON for programs and Markdown for people.

mod intents;

pub use intents::{Confusion, IntentReport, IntentRow, evaluate_intents};
