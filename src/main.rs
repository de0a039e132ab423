//! The `fenzhen` program; see the library's `cli` room.

fn main() -> std::process::ExitCode {
    fenzhen::cli::main()
}
