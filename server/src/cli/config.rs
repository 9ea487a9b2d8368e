//! The `config` commands: a look at the settings.

use super::{load, print, report, sources};
use crate::config::{Settings, manual};
use clap::{Args, Subcommand};
use std::{path::PathBuf, process::ExitCode};

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

/// Runs a `config` command.
pub(super) fn run(args: &ConfigArgs) -> ExitCode {
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
                let migrations = loaded.settings.catalog.migrations_file.display();
                let migrations = match rules.migrations.len() {
                    0 => format!("{migrations}: no content steps"),
                    1 => format!("{migrations}: in order, 1 content step"),
                    steps => format!("{migrations}: in order, {steps} content steps"),
                };
                print(&format!("{file}: in order\n{items}: in order, {count} items, hash {hash}\n{migrations}\n"))
            }
            Err(faults) => report(&faults),
        },
    }
}
