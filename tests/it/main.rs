//! Integration tests, one binary: the real router and engines in process. `tests/e2e` runs the program itself.

// The engines' contract lies with the engines and speaks as they do.
use fenzhen::{domain, text};

mod artefact;
mod bad_input;
mod conventions;
mod desk;
mod encoder;
mod engines;
mod feedback;
mod generators;
mod knowledge;
mod layers;
mod models;
mod overload;
mod products;
mod registry;
mod snapshots;
mod support;
mod triage;
mod tuning;
