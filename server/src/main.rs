//! The `holdall` program: reads the command line and hands over.

use holdall_server::cli::{self, Command};
use std::process::ExitCode;

fn main() -> ExitCode {
    match cli::parse() {
        Command::Config(args) => cli::config(&args),
        Command::Serve(args) => match cli::load(&args.sources()) {
            Ok(_) => ExitCode::SUCCESS,
            Err(faults) => cli::report(&faults),
        },
    }
}
