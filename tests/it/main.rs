//! Integration tests, one binary: the real router and engines in process. `tests/e2e` runs the program itself.

mod artefact;
mod bad_input;
mod conventions;
mod encoder;
mod feedback;
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
