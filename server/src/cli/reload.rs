//! `reload`: a running server reads its settings and its catalogue again.

use super::{Failure, at, print, sources};
use crate::{
    config::{Flag, Settings, Sources},
    operator::{client::ClientError, reload::Report},
};
use clap::Args;
use std::{path::PathBuf, process::ExitCode};

/// Which server.
#[derive(Debug, Args)]
pub struct ReloadArgs {
    /// Change nothing, and say what would be
    #[arg(long)]
    pub dry_run: bool,
    /// Config file [default: config/holdall.toml, if it is there]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The server's data directory [default: as configured]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Asks the server that runs on the data directory. It reads what it read at its start: not what this command would.
pub(super) async fn run(args: ReloadArgs) -> Result<ExitCode, Failure> {
    let data_dir = args.data_dir.as_deref().map(|text| Flag::new("--data-dir", "server.data_dir", text));
    let sources = Sources { flags: data_dir.into_iter().collect(), ..sources(args.config.as_deref()) };
    let settings = Settings::load(&sources)?.settings;
    let mut client = at::server_on(&settings.server.data_dir).await?;
    let report: Report = match client.post(&format!("/v1/reload?dry_run={}", args.dry_run), &()).await {
        Err(ClientError::Refused(refused)) => return Err(not_done(&refused.code, &refused.message)),
        answer => answer?,
    };
    Ok(print(&if args.json {
        format!("{}\n", serde_json::to_string_pretty(&report).expect("it serialises into memory"))
    } else {
        report.to_string()
    }))
}

fn not_done(code: &str, why: &str) -> Failure {
    let why = format!("nothing was reloaded:\n{why}");
    match code {
        "faults" => Failure::usage(why),
        "needs_restart" => Failure::failed(why),
        _ => Failure::refused(why),
    }
}
