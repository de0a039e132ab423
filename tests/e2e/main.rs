//! The program itself, as people and machines run it: processes, signals, files, exit codes.

mod commands;
mod data;
mod evaluation;
mod files;
mod learning;
mod models;
mod program;
mod recovery;
mod service;
mod training;
