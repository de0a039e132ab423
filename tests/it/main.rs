//! Integration tests, one binary: the real router and engines in process. `tests/e2e` runs the program itself.

mod artefact;
mod bad_input;
mod conventions;
mod encoder;
mod knowledge;
mod layers;
mod models;
mod overload;
mod snapshots;
mod support;
mod triage;
