//! `restore`: a player set back to an earlier revision.

use super::{
    Failure,
    at::{At, AtArgs},
    load, print,
};
use crate::{
    app::{
        stores::{Opened, Purpose},
        workshop::Workshop,
    },
    clock::{self, Clock, Dice},
    config::Settings,
    operator::{
        auth::COMMAND_LINE,
        client::{Client, ClientError},
        orders::Restore,
    },
    upkeep::restore::{Asked, Restored, Signed, To, Wish, restore},
};
use clap::{ArgGroup, Args};
use holdall_protocol::ids::{OrderKey, PlayerId, Revision};
use std::{fmt::Display, process::ExitCode};

/// Whom to set back, and to when.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("to").required(true).args(["revision", "at"])))]
pub struct RestoreArgs {
    /// The player
    #[arg(value_name = "PLAYER")]
    pub player: String,
    /// To this revision
    #[arg(long, value_name = "N")]
    pub revision: Option<u64>,
    /// To this time in UTC, such as 2026-02-03T04:05:06Z
    #[arg(long, value_name = "TIME")]
    pub at: Option<String>,
    /// Change nothing, and say what would be
    #[arg(long)]
    pub dry_run: bool,
    /// Undo also what others were part of: what they have comes back as a copy, what came from them goes
    #[arg(long)]
    pub allow_duplicates: bool,
    /// Why; it is kept in the ledger
    #[arg(long, value_name = "WORDS", required_unless_present = "dry_run")]
    pub reason: Option<String>,
    /// The order's key: said again with the same one, it is done once [default: a new one]
    #[arg(long, value_name = "KEY")]
    pub key: Option<String>,
    /// Which store.
    #[command(flatten)]
    pub store: AtArgs,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Shows what changes, then changes it.
pub(super) async fn run(args: RestoreArgs) -> Result<ExitCode, Failure> {
    let player = PlayerId::new(&args.player).map_err(|error| Failure::usage(error.to_string()))?;
    let wish = Wish { to: to(&args)?, allow_duplicates: args.allow_duplicates };
    let signed = signed(&args)?;
    let sources = args.store.sources();
    let settings = Settings::load(&sources)?.settings;
    let purpose = if signed.is_some() { Purpose::Work } else { Purpose::Look };
    let mut place = match At::reach(&settings, purpose).await? {
        At::Store(opened) => {
            let (loaded, rules) = load(&sources)?;
            let workshop = Workshop::new(&loaded.settings, rules, opened.store.clone());
            Place::Here(Box::new((workshop, opened)))
        }
        At::Server(client) => Place::There(Box::new(client)),
    };
    let done = match signed {
        None => place.restore(&player, Asked { wish, order: None }).await.map(|shown| text(&shown, args.json)),
        Some(signed) => look_and_do(&mut place, &player, wish, signed, args.json).await,
    };
    if let Place::Here(here) = place {
        here.0.close().await;
    }
    Ok(print(&done?))
}

/// Says at once what will change, and answers with what there is to say afterwards.
async fn look_and_do(
    place: &mut Place,
    player: &PlayerId,
    wish: Wish,
    signed: Signed,
    json: bool,
) -> Result<String, Failure> {
    let shown = place.restore(player, Asked { wish: wish.clone(), order: None }).await?;
    if !json {
        let _ = print(&text(&shown, false));
    }
    if let Place::Here(here) = place {
        here.0.start().await?;
    }
    let key = signed.key.clone();
    let done = tokio::select! {
        done = place.restore(player, Asked { wish, order: Some(signed) }) => done,
        // So that the player is let go of, and not kept from every server until the lease has run out.
        _ = tokio::signal::ctrl_c() => Err(Failure::failed("interrupted: it may have been done".to_owned())),
    };
    let done = done
        .map_err(|failure| failure.hinting(&format!("the order's key is {key}: with --key {key} it is done once")))?;
    if json {
        return Ok(text(&done, true));
    }
    let made = done.revision.map(|revision| revision.to_string()).unwrap_or_default();
    let moved_on = if done.places == shown.places {
        String::new()
    } else {
        format!("\nthe player had moved on, or the order had been carried out before; this is what was done:\n{done}")
    };
    Ok(format!("{moved_on}\nrestored: {player} is at revision {made}\n"))
}

fn text(restored: &Restored, json: bool) -> String {
    if json {
        format!("{}\n", serde_json::to_string_pretty(restored).expect("it serialises into memory"))
    } else {
        restored.to_string()
    }
}

fn to(args: &RestoreArgs) -> Result<To, Failure> {
    match (args.revision, &args.at) {
        (Some(revision), _) => Ok(To::Revision(Revision::new(revision))),
        (None, Some(at)) => clock::from_iso(at)
            .map(To::At)
            .ok_or_else(|| Failure::usage(format!("{at:?} is no time in UTC: write it as 2026-02-03T04:05:06Z"))),
        (None, None) => unreachable!("one of the two is required"),
    }
}

/// What makes it an order; nothing for a dry run.
fn signed(args: &RestoreArgs) -> Result<Option<Signed>, Failure> {
    let key = match &args.key {
        Some(key) => OrderKey::new(key),
        None => OrderKey::new(&Dice::from_os().uuid(Clock::System.now_ms()).to_string()),
    };
    let key = key.map_err(|error| Failure::usage(error.to_string()))?;
    let reason = args.reason.clone().filter(|_| !args.dry_run);
    Ok(reason.map(|reason| Signed { key, by: COMMAND_LINE.to_owned(), reason }))
}

/// Where the work is done.
enum Place {
    /// In this process, on a store that it has opened.
    Here(Box<(Workshop, Opened)>),
    /// In the server that runs on it.
    There(Box<Client>),
}

impl Place {
    async fn restore(&mut self, player: &PlayerId, asked: Asked) -> Result<Restored, Failure> {
        match self {
            Self::Here(here) => {
                restore(&here.0.roster, player, asked).await.map_err(|error| not_done(error.code(), &error))
            }
            Self::There(client) => match client.post(&format!("/v1/players/{player}/restore"), &body(asked)).await {
                Err(ClientError::Refused(refused)) => Err(not_done(&refused.code, &refused)),
                answer => Ok(answer?),
            },
        }
    }
}

/// As a server is asked, which knows by the socket who orders it.
fn body(Asked { wish: Wish { to, allow_duplicates }, order }: Asked) -> Restore {
    let dry_run = order.is_none();
    let (reason, key) = order.map(|signed| (signed.reason, signed.key)).unzip();
    Restore { to, allow_duplicates, dry_run, reason, key }
}

fn not_done(code: &str, why: &dyn Display) -> Failure {
    match code {
        "not_found" | "impossible" | "key_taken" | "bad_request" => Failure::usage(why.to_string()),
        "busy" | "store_unavailable" | "unreadable" | "internal_error" | "timeout" => Failure::refused(why.to_string()),
        _ => Failure::failed(why.to_string()),
    }
}
