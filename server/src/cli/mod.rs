//! The command line: what was typed, and the commands that do not serve.
//!
//! Owns the arguments and the exit codes. Called by `main` only. Never starts the server: `serve` hands its arguments back.

mod at;
mod config;
mod copy;
mod failure;
mod history;
mod inspect;
mod key;
mod ledger;
mod migrate;
mod progress;
mod reload;
mod restore;
mod serve;
mod verify;

pub use config::ConfigArgs;
pub use copy::CopyArgs;
pub use history::HistoryArgs;
pub use inspect::InspectArgs;
pub use key::KeyArgs;
pub use ledger::LedgerArgs;
pub use migrate::MigrateArgs;
pub use reload::ReloadArgs;
pub use restore::RestoreArgs;
pub use serve::ServeArgs;
pub use verify::VerifyArgs;

use crate::{
    catalog::Rules,
    config::{Faults, Loaded, Settings, Sources},
    telemetry::log::LogLevel,
};
use clap::{Parser, Subcommand};
use failure::Failure;
use std::{io::Write as _, path::Path, process::ExitCode};

/// The exit code of a command that found what should not be, or did not find what should.
const EXIT_FAILED: u8 = 1;
/// The exit code for a command line, a config or a catalogue that cannot be used.
pub const EXIT_USAGE: u8 = 2;
/// The exit code for a store or a data directory that refused.
pub const EXIT_STORE_REFUSED: u8 = 3;
/// The config file that is read when none is named, if it is there.
const CONFIG_FILE: &str = "config/holdall.toml";

/// Holdall: an authoritative inventory server for online games.
#[derive(Debug, Parser)]
#[command(name = "holdall", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: ServeArgs,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server (what is done when no command is named)
    Serve(ServeArgs),
    /// Look at the settings
    Config(ConfigArgs),
    /// Make, list and revoke the keys of the operator API
    Key(KeyArgs),
    /// Print a stored player readably
    Inspect(InspectArgs),
    /// Tell what happened to a player, entry by entry
    History(HistoryArgs),
    /// Keep elsewhere what the store does not keep for ever
    Ledger(LedgerArgs),
    /// Copy all players, with their ledgers, into another store
    Copy(CopyArgs),
    /// Bring every player forward: to the newest record format, and through the content steps
    Migrate(MigrateArgs),
    /// Prove every player's things by the ledger, and name what does not add up
    Verify(VerifyArgs),
    /// Set a player back to an earlier revision
    Restore(RestoreArgs),
    /// Let a running server read its settings and its catalogue again
    Reload(ReloadArgs),
}

/// Reads the command line. Help, version and usage errors end the process.
#[must_use]
pub fn parse() -> Command {
    let Cli { command, serve } = Cli::parse();
    command.unwrap_or(Command::Serve(serve))
}

/// Runs a command; `serve` is the caller's.
pub fn run(command: Command, serve: impl FnOnce(ServeArgs) -> ExitCode) -> ExitCode {
    match command {
        Command::Serve(args) => serve(args),
        Command::Config(args) => config::run(&args),
        Command::Key(args) => key::run(args),
        Command::Inspect(args) => to_end(inspect::run(args)),
        Command::History(args) => to_end(history::run(args)),
        Command::Ledger(args) => to_end(ledger::run(args)),
        Command::Copy(args) => to_end(copy::run(args)),
        Command::Migrate(args) => to_end(migrate::run(args)),
        Command::Verify(args) => to_end(verify::run(args)),
        Command::Restore(args) => to_end(restore::run(args)),
        Command::Reload(args) => to_end(reload::run(args)),
    }
}

/// The sources of the settings without flags.
fn sources(config: Option<&Path>) -> Sources {
    let shipped = Path::new(CONFIG_FILE);
    let file = config.or_else(|| shipped.exists().then_some(shipped)).map(Path::to_owned);
    let lossy = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
    let environment = std::env::vars_os().map(|(name, value)| (lossy(name), lossy(value))).collect();
    Sources { file, environment, flags: Vec::new() }
}

/// Reads and checks the settings and the catalogue that they name.
///
/// # Errors
/// Everything that is wrong with either.
pub fn load(sources: &Sources) -> Result<(Loaded, Rules), Faults> {
    let (loaded, mut faults) = Settings::survey(sources);
    // Against a setting that could not be read, a right catalogue would look wrong.
    let settled = ["catalog.", "equipment.", "inventory.", "new_player.", "limits.attribute"];
    if !faults.is_empty() && !settled.iter().all(|prefix| loaded.is_sound(prefix)) {
        return Err(faults);
    }
    match Rules::read(&loaded) {
        Ok(rules) => faults.unless_any((loaded, rules)),
        Err(more) => {
            faults.append(more);
            Err(faults)
        }
    }
}

/// Says on stderr what is wrong with config or catalogue.
#[must_use]
pub fn report(faults: &Faults) -> ExitCode {
    let count = faults.len();
    // Nobody is left to tell when stderr itself is gone.
    let _ = writeln!(std::io::stderr(), "{faults}\n{count} fault{} found.", if count == 1 { "" } else { "s" });
    ExitCode::from(EXIT_USAGE)
}

/// Writes to stdout. A reader that has gone (`holdall config manual | head`) is no failure.
fn print(text: &str) -> ExitCode {
    let _ = std::io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

/// Says on stderr why a command failed.
#[must_use]
pub fn fail(code: u8, why: &str) -> ExitCode {
    // Nobody is left to tell when stderr itself is gone.
    let _ = writeln!(std::io::stderr(), "holdall: {why}");
    ExitCode::from(code)
}

fn to_end(command: impl Future<Output = Result<ExitCode, Failure>>) -> ExitCode {
    // For what goes wrong on the way; the level stays.
    let _ = LogLevel::start("warn", false);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(EXIT_USAGE, &format!("no threads to work with: {error}")),
    };
    runtime.block_on(command).unwrap_or_else(|failure| failure.report())
}
