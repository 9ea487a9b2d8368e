//! The `key` commands: who may use the operator API.

use super::{Failure, print, sources};
use crate::{
    clock::{Clock, iso},
    config::{Flag, Settings, Sources},
    operator::keys::{KeyError, KeyFile, Role},
};
use clap::{Args, Subcommand};
use std::{fmt::Write as _, path::PathBuf, process::ExitCode};

/// What to do with the keys, and whose.
#[derive(Debug, Args)]
pub struct KeyArgs {
    #[command(subcommand)]
    verb: Verb,
    /// Config file [default: config/holdall.toml, if it is there]
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// The server's data directory [default: as configured]
    #[arg(long, value_name = "DIR", global = true)]
    data_dir: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make a key, and print it: nothing can print it a second time
    Create {
        /// What its bearer may do
        #[arg(long)]
        role: Role,
        /// Who bears it; the ledger names them
        #[arg(long, value_name = "NAME")]
        name: String,
    },
    /// Print who has keys
    List,
    /// Take a key away; a running server refuses it at once
    Revoke {
        /// Whose
        #[arg(value_name = "NAME")]
        name: String,
    },
}

/// Runs a `key` command. A running server notices.
pub(super) fn run(args: KeyArgs) -> ExitCode {
    let KeyArgs { verb, config, data_dir } = args;
    let flag = data_dir.map(|text| Flag::new("--data-dir", "server.data_dir", &text));
    let sources = Sources { flags: flag.into_iter().collect(), ..sources(config.as_deref()) };
    done(verb, &sources).map_or_else(|failure| failure.report(), |text| print(&text))
}

fn done(verb: Verb, sources: &Sources) -> Result<String, Failure> {
    let server = Settings::load(sources)?.settings.server;
    let file = KeyFile::new(server.operator_keys_file.as_deref(), &server.data_dir);
    match verb {
        Verb::Create { role, name } => {
            let key = file.create(&name, role, Clock::System.now_ms()).map_err(not_done)?;
            Ok(format!("{key}\n"))
        }
        Verb::List => {
            let mut text = String::new();
            for kept in file.read().map_err(not_done)? {
                writeln!(text, "{:<32} {:<8} since {}", kept.name, kept.role, iso(kept.created_at))
                    .expect("memory takes it");
            }
            Ok(text)
        }
        Verb::Revoke { name } => file.revoke(&name).map_err(not_done).map(|()| String::new()),
    }
}

fn not_done(error: KeyError) -> Failure {
    match error {
        KeyError::BadName => Failure::usage(error.to_string()),
        KeyError::NameTaken(_) | KeyError::NoSuchKey(_) => Failure::failed(error.to_string()),
        KeyError::File { .. } | KeyError::Damaged { .. } => Failure::refused(error.to_string()),
    }
}
