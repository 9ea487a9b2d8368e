//! `inspect`: a stored player, readably.

use super::{
    Failure,
    at::{At, AtArgs, no_player},
    print,
};
use crate::{
    app::stores::Purpose,
    config::Settings,
    operator::client::ClientError,
    upkeep::inspect::{self, Inspection},
};
use clap::Args;
use holdall_protocol::ids::PlayerId;
use std::process::ExitCode;

/// Whom to look at, and where.
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// The player
    #[arg(value_name = "PLAYER")]
    pub player: String,
    /// Which store.
    #[command(flatten)]
    pub at: AtArgs,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Prints the player.
pub(super) async fn run(args: InspectArgs) -> Result<ExitCode, Failure> {
    let player = PlayerId::new(&args.player).map_err(|error| Failure::usage(error.to_string()))?;
    let settings = Settings::load(&args.at.sources())?.settings;
    let found = look(&settings, &player).await?;
    if args.json {
        let json = serde_json::to_string_pretty(&found).expect("it serialises into memory");
        return Ok(print(&format!("{json}\n")));
    }
    Ok(print(&found.to_string()))
}

async fn look(settings: &Settings, player: &PlayerId) -> Result<Inspection, Failure> {
    match At::reach(settings, Purpose::Look).await? {
        At::Store(opened) => {
            let looked = inspect::look(&*opened.store, player).await;
            looked.map_err(|error| Failure::refused(inspect::refusal(&error)))?.ok_or_else(|| no_player(player))
        }
        At::Server(mut server) => match server.get(&format!("/v1/players/{player}/stored")).await {
            Err(ClientError::Refused(refused)) if refused.code == "not_found" => Err(no_player(player)),
            answer => Ok(answer?),
        },
    }
}
