//! Fenzhen (分诊): triage for customer support, Chinese and English. ARCHITECTURE.md is the map of these rooms.

pub mod app;
pub mod artefact;
pub mod classify;
pub mod cli;
pub mod config;
pub mod corpus;
pub mod decide;
pub mod domain;
pub mod embed;
pub mod eval;
pub mod http;
pub mod knowledge;
pub mod models;
pub mod ner;
pub mod numeric;
pub mod pipeline;
pub mod reply;
pub mod retrieve;
pub mod store;
pub mod telemetry;
pub mod text;
pub mod train;
