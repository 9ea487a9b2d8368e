//! The command line: what was typed, and the `config` commands.
//!
//! Owns the arguments and the exit codes of usage and config. Called by `main` only. Never starts the server: `serve`
//! hands its arguments back.

use crate::{
    catalog::Rules,
    config::{Faults, Flag, Loaded, Settings, Sources, manual},
};
use clap::{Args, Parser, Subcommand};
use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// The exit code for a command line, a config or a catalogue that cannot be used.
pub const EXIT_USAGE: u8 = 2;
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
}

/// How to serve. A flag that is also a setting wins over file and environment.
#[derive(Debug, Clone, Default, Args)]
pub struct ServeArgs {
    /// Config file [default: config/holdall.toml, if it is there]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Directory of this process's own files
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<String>,
    /// Address and port for game clients; port 0 takes a free one
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<String>,
    /// Address and port for operators; port 0 takes a free one
    #[arg(long, value_name = "ADDR")]
    pub operator_listen: Option<String>,
    /// Where players rest: a file in the data directory (""), or the address of a Redis
    #[arg(long, value_name = "URL")]
    pub store: Option<String>,
    /// Which world in that Redis
    #[arg(long, value_name = "NAME")]
    pub realm: Option<String>,
    /// Begin a new world where the store does not hold the one that this data directory has served
    #[arg(long)]
    pub new_world: bool,
    /// When a reply may leave: durable or applied
    #[arg(long, value_name = "WHEN")]
    pub ack: Option<String>,
    /// Actions a second of one player, and as many at once
    #[arg(long, value_name = "N")]
    pub actions_per_second: Option<String>,
    /// Write the addresses in use and the process id to this file, as JSON, once the server is ready
    #[arg(long, value_name = "FILE")]
    pub ready_file: Option<PathBuf>,
}

/// Which look at the settings.
#[derive(Debug, Args)]
pub struct ConfigArgs {
    /// What to show.
    #[command(subcommand)]
    pub verb: ConfigVerb,
    /// Config file [default: config/holdall.toml, if it is there]
    #[arg(long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
}

/// A look at the settings.
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum ConfigVerb {
    /// Check config and catalogue, and print everything that is wrong
    Check,
    /// Print every setting with its value and where it came from
    Show,
    /// Print the config file as it is shipped, every knob explained
    Manual,
}

/// Reads the command line. Help, version and usage errors end the process.
#[must_use]
pub fn parse() -> Command {
    let Cli { command, serve } = Cli::parse();
    command.unwrap_or(Command::Serve(serve))
}

impl ServeArgs {
    /// The sources of the settings: these flags, this process's environment, and the config file.
    #[must_use]
    pub fn sources(&self) -> Sources {
        let flags = [
            ("--data-dir", "server.data_dir", &self.data_dir),
            ("--listen", "server.listen", &self.listen),
            ("--operator-listen", "server.operator_listen", &self.operator_listen),
            ("--store", "store.url", &self.store),
            ("--realm", "store.realm", &self.realm),
            ("--ack", "store.ack", &self.ack),
            ("--actions-per-second", "limits.actions_per_second", &self.actions_per_second),
            ("--actions-per-second", "limits.actions_burst", &self.actions_per_second),
        ];
        let typed = flags.into_iter().filter_map(|(flag, path, text)| Some(Flag { flag, path, text: text.clone()? }));
        Sources { flags: typed.collect(), ..sources(self.config.as_deref()) }
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

/// Runs a `config` command.
#[must_use]
pub fn config(args: &ConfigArgs) -> ExitCode {
    let sources = sources(args.config.as_deref());
    match args.verb {
        ConfigVerb::Manual => print(&manual()),
        ConfigVerb::Show => match Settings::load(&sources) {
            Ok(loaded) => print(&loaded.show()),
            Err(faults) => report(&faults),
        },
        ConfigVerb::Check => match load(&sources) {
            Ok((loaded, rules)) => {
                let file = loaded.file.map_or_else(|| "defaults".to_owned(), |file| file.display().to_string());
                let items = loaded.settings.catalog.items_file.display().to_string();
                let (count, hash) = (rules.catalog.len(), rules.catalog.hash());
                let steps = rules.migrations.len();
                let migrations = loaded.settings.catalog.migrations_file.display();
                let migrations = match steps {
                    0 => format!("{migrations}: no content steps"),
                    steps => {
                        format!("{migrations}: in order, {steps} content step{}", if steps == 1 { "" } else { "s" })
                    }
                };
                print(&format!("{file}: in order\n{items}: in order, {count} items, hash {hash}\n{migrations}\n"))
            }
            Err(faults) => report(&faults),
        },
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
