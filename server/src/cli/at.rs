//! Which store a command works on.

use super::{Failure, sources};
use crate::{
    app::stores::{Purpose, Reached, reach},
    config::{Flag, Settings, Sources},
    operator::client::Client,
};
use clap::Args;
use std::path::{Path, PathBuf};

/// Which store: without a word, the one that `serve` would run on.
#[derive(Debug, Clone, Default, Args)]
pub struct AtArgs {
    /// Config file [default: config/holdall.toml, if it is there]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The data directory [default: as configured]
    #[arg(long, value_name = "DIR", conflicts_with = "store")]
    pub data_dir: Option<String>,
    /// A data directory
    #[arg(long, value_name = "STORE")]
    pub store: Option<String>,
}

impl AtArgs {
    pub(super) fn sources(&self) -> Sources {
        let directory = self.data_dir.as_ref().map(|text| ("--data-dir", text));
        let directory = directory.or_else(|| self.store.as_ref().map(|text| ("--store", text)));
        let flags = directory.map(|(flag, text)| Flag { flag, path: "server.data_dir", text: text.clone() });
        Sources { flags: flags.into_iter().collect(), ..sources(self.config.as_deref()) }
    }
}

/// The same settings with another store.
pub(super) fn elsewhere(settings: &Settings, store: &str) -> Settings {
    let mut settings = settings.clone();
    settings.server.data_dir = store.into();
    settings
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
        match reach(settings, purpose)? {
            Reached::Opened(opened) => Ok(Self::Store(opened)),
            Reached::Running(directory) => Ok(Self::Server(connect(&directory).await?)),
        }
    }
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
