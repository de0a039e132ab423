//! The program itself, as people and machines run it: processes, signals, files, exit codes.

mod commands;
mod files;
mod program;
mod recovery;
mod service;
