//! What `serve` takes.

use super::sources;
use crate::config::{Flag, Sources};
use clap::Args;
use std::path::PathBuf;

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
