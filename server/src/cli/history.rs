//! `history`: what happened to a player.

use super::{
    Failure,
    at::{At, AtArgs, no_player},
    print,
};
use crate::{
    app::stores::Purpose,
    clock::from_iso,
    config::Settings,
    operator::client::ClientError,
    upkeep::{
        history::{History, Wanted, tell},
        inspect,
    },
};
use clap::Args;
use holdall_protocol::ids::{ItemId, PlayerId, Revision};
use std::process::ExitCode;

/// Whose history, and how much of it.
#[derive(Debug, Args)]
pub struct HistoryArgs {
    /// The player
    #[arg(value_name = "PLAYER")]
    pub player: String,
    /// From a revision (12) or a time (2026-11-21 or 2026-11-21T10:00:00Z) on
    #[arg(long, value_name = "REVISION|TIME")]
    pub since: Option<String>,
    /// Only what has to do with this item or currency
    #[arg(long, value_name = "ITEM")]
    pub item: Option<String>,
    /// Which store.
    #[command(flatten)]
    pub at: AtArgs,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

impl HistoryArgs {
    fn wanted(&self) -> Result<Wanted, Failure> {
        let item = self.item.as_deref().map(ItemId::new).transpose();
        let item = item.map_err(|error| Failure::usage(format!("--item: {error}")))?;
        let Some(since) = self.since.as_deref() else { return Ok(Wanted { item, ..Wanted::default() }) };
        let revision = since.parse().ok().map(Revision::new);
        let at = from_iso(since);
        if revision.is_none() && at.is_none() {
            return Err(Failure::usage(format!(
                "--since must be a revision such as 12, or a time such as 2026-11-21 or 2026-11-21T10:00:00Z, not {since:?}"
            )));
        }
        Ok(Wanted { revision, at, item, limit: None })
    }
}

/// Prints the history.
pub(super) async fn run(args: HistoryArgs) -> Result<ExitCode, Failure> {
    let player = PlayerId::new(&args.player).map_err(|error| Failure::usage(error.to_string()))?;
    let wanted = args.wanted()?;
    let settings = Settings::load(&args.at.sources())?.settings;
    let mut at = At::reach(&settings, Purpose::Look).await?;
    let history = told(&mut at, &player, &wanted).await?.ok_or_else(|| no_player(&player))?;
    if args.json {
        let json = serde_json::to_string_pretty(&history).expect("it serialises into memory");
        return Ok(print(&format!("{json}\n")));
    }
    Ok(print(&history.to_string()))
}

/// A player's history; `None` where there is no such player.
pub(super) async fn told(at: &mut At, player: &PlayerId, wanted: &Wanted) -> Result<Option<History>, Failure> {
    match at {
        At::Store(opened) => {
            let told = tell(&*opened.store, player, wanted).await;
            told.map_err(|error| Failure::refused(inspect::refusal(&error)))
        }
        At::Server(server) => match server.get(&path(player, wanted)).await {
            Err(ClientError::Refused(refused)) if refused.code == "not_found" => Ok(None),
            answer => Ok(Some(answer?)),
        },
    }
}

/// Nothing in a player's or an item's id has a meaning in a path.
fn path(player: &PlayerId, Wanted { revision, at, item, limit }: &Wanted) -> String {
    // Without a word of it a server tells the newest ones only.
    let limit = limit.unwrap_or(usize::MAX);
    let revision = revision.map(|revision| format!("revision={revision}"));
    let (at, item) = (at.map(|at| format!("at={at}")), item.as_ref().map(|item| format!("item={item}")));
    let query: Vec<String> = [format!("limit={limit}")].into_iter().chain(revision).chain(at).chain(item).collect();
    format!("/v1/players/{player}/history?{}", query.join("&"))
}
