//! Which store a command works on.

use super::{Failure, sources};
use crate::{
    app::stores::{Purpose, Reached, reach},
    config::{Flag, Settings, Sources},
    operator::client::Client,
};
use clap::Args;
use holdall_protocol::ids::PlayerId;
use std::path::{Path, PathBuf};

/// Which store: without a word, the one that `serve` would run on.
#[derive(Debug, Clone, Default, Args)]
pub struct AtArgs {
    /// Config file [default: config/holdall.toml, if it is there]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The server's data directory [default: as configured]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<String>,
    /// A data directory, or the address of a Redis [default: as configured]
    #[arg(long, value_name = "STORE", conflicts_with = "data_dir")]
    pub store: Option<String>,
    /// Which world in that Redis
    #[arg(long, value_name = "NAME")]
    pub realm: Option<String>,
}

impl AtArgs {
    pub(super) fn sources(&self) -> Sources {
        let data_dir = self.data_dir.as_deref().map(|text| Flag::new("--data-dir", "server.data_dir", text));
        let (store, realm) = (("--store", self.store.as_deref()), ("--realm", self.realm.as_deref()));
        let flags = data_dir.into_iter().chain(flags(store, realm)).collect();
        Sources { flags, ..sources(self.config.as_deref()) }
    }
}

/// What was typed for a store and a realm, as settings.
pub(super) fn flags(
    (store_flag, store): (&'static str, Option<&str>),
    (realm_flag, realm): (&'static str, Option<&str>),
) -> Vec<Flag> {
    let mut flags = Vec::new();
    match store.map(Place::of) {
        None => {}
        Some(Place::Redis(url)) => {
            flags.push(Flag::new(store_flag, "store.url", url));
            // The configured password is for the configured Redis.
            if url.contains('@') {
                flags.push(Flag::new(store_flag, "store.password_file", ""));
            }
        }
        Some(Place::Directory(directory)) => {
            flags.push(Flag::new(store_flag, "store.url", ""));
            flags.push(Flag::new(store_flag, "server.data_dir", directory));
        }
    }
    flags.extend(realm.map(|realm| Flag::new(realm_flag, "store.realm", realm)));
    flags
}

/// A store as it is written on the command line.
enum Place<'t> {
    Directory(&'t str),
    Redis(&'t str),
}

impl<'t> Place<'t> {
    fn of(text: &'t str) -> Self {
        if text.contains("://") { Self::Redis(text) } else { Self::Directory(text) }
    }
}

/// A store, or the server that runs on it.
pub(super) enum At {
    /// A store that this command has opened.
    Store(crate::app::stores::Opened),
    /// A server.
    Server(Client),
}

impl At {
    /// Opens the store or connects to its server.
    pub(super) async fn reach(settings: &Settings, purpose: Purpose) -> Result<Self, Failure> {
        match reach(settings, purpose).await? {
            Reached::Opened(opened) => Ok(Self::Store(opened)),
            Reached::Running(directory) => Ok(Self::Server(connect(&directory).await?)),
        }
    }
}

/// What to say where the store that was asked has no such player.
pub(super) fn no_player(player: &PlayerId) -> Failure {
    Failure::failed(format!("there is no player {player} in this store"))
}

/// Connects to the server that runs on a data directory, for what only a server can do.
pub(super) async fn server_on(directory: &Path) -> Result<Client, Failure> {
    Client::connect(directory).await.map_err(|error| {
        let directory = directory.display();
        Failure::refused(format!("no server answers on the control socket of data directory {directory}: {error}"))
    })
}

async fn connect(directory: &Path) -> Result<Client, Failure> {
    Client::connect(directory).await.map_err(|error| {
        Failure::refused(format!(
            "data directory {} is in use, and nobody answers on its control socket ({error}): a server that starts or \
             stops, or another command; try again in a moment",
            directory.display()
        ))
    })
}
