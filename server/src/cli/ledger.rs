//! `ledger export`: every entry as a line of JSON, to keep elsewhere what the store does not keep for ever.

use super::{
    EXIT_FAILED, Failure,
    at::{At, AtArgs, no_player},
    fail, history,
};
use crate::{
    app::stores::Purpose,
    clock::from_iso,
    config::Settings,
    operator::players::Listed,
    upkeep::{
        self,
        history::{History, Wanted},
        inspect,
    },
};
use clap::{Args, Subcommand};
use holdall_protocol::ids::PlayerId;
use std::{
    collections::BTreeSet,
    io::{self, Write},
    process::ExitCode,
};

/// What to do with ledgers.
#[derive(Debug, Args)]
pub struct LedgerArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Print every entry as one line of JSON, each player's oldest first
    Export(ExportArgs),
}

/// Whose entries, and which store's.
#[derive(Debug, Args)]
struct ExportArgs {
    /// One player only
    #[arg(value_name = "PLAYER")]
    player: Option<String>,
    /// From this time (2026-11-21 or 2026-11-21T10:00:00Z) on: when the last export began, for what came since
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Which store.
    #[command(flatten)]
    at: AtArgs,
}

/// Prints the entries.
pub(super) async fn run(LedgerArgs { what: What::Export(args) }: LedgerArgs) -> Result<ExitCode, Failure> {
    let named = args.player.as_deref().map(PlayerId::new).transpose();
    let named = named.map_err(|error| Failure::usage(error.to_string()))?;
    let at = args.since.as_deref().map(|text| {
        let what = "--since must be a time such as 2026-11-21 or 2026-11-21T10:00:00Z";
        from_iso(text).ok_or_else(|| Failure::usage(format!("{what}, not {text:?}")))
    });
    let wanted = Wanted { at: at.transpose()?, ..Wanted::default() };
    let settings = Settings::load(&args.at.sources())?.settings;
    let mut at = At::reach(&settings, Purpose::Look).await?;
    let players = match &named {
        Some(player) => vec![player.clone()],
        None => everybody(&mut at).await?,
    };
    let (mut out, mut incomplete) = (io::BufWriter::new(io::stdout().lock()), 0_usize);
    for player in players {
        match history::told(&mut at, &player, &wanted).await? {
            Some(history) => {
                incomplete = incomplete.saturating_add(usize::from(complain(&history)));
                // A reader that has gone is no failure.
                if lines(&history, &mut out).is_err() {
                    return Ok(ExitCode::SUCCESS);
                }
            }
            None if named.is_some() => return Err(no_player(&player)),
            None => {}
        }
    }
    if out.flush().is_err() || incomplete == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    Ok(fail(EXIT_FAILED, &format!("of {incomplete} players not everything could be read: see `holdall verify`")))
}

async fn everybody(at: &mut At) -> Result<Vec<PlayerId>, Failure> {
    match at {
        At::Store(opened) => {
            let all = upkeep::all_players(&*opened.store).await;
            all.map_err(|error| Failure::refused(inspect::refusal(&error)))
        }
        At::Server(server) => {
            let (mut all, mut mark) = (BTreeSet::new(), String::new());
            loop {
                let Listed { players, next } = server.get(&format!("/v1/players{mark}")).await?;
                all.extend(players);
                match next {
                    Some(next) => mark = format!("?mark={next}"),
                    None => return Ok(all.into_iter().collect()),
                }
            }
        }
    }
}

fn lines(history: &History, out: &mut impl Write) -> io::Result<()> {
    for archived in history.archived() {
        serde_json::to_writer(&mut *out, &archived)?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

/// Says what of a player is missing, on stderr; whether something is.
fn complain(History { player, lost, unreadable, .. }: &History) -> bool {
    for why in lost.iter().chain(unreadable) {
        let _ = writeln!(io::stderr(), "holdall: {player}: {why}");
    }
    lost.is_some() || !unreadable.is_empty()
}
