//! `copy`: all players of one store into another one.

use super::{EXIT_FAILED, Failure, at::flags, print, progress::Progress, sources};
use crate::{
    app::stores::{Opened, Purpose, Reached, reach},
    config::{Faults, Settings, Sources},
    upkeep::copy::{Compared, Copied, Target, compare, copy},
};
use clap::Args;
use serde::Serialize;
use std::{fmt, path::PathBuf, process::ExitCode, time::Instant};

/// Differences that are shown to people.
const DIFFERENCES_SHOWN: usize = 20;

/// Whence and whither.
#[derive(Debug, Args)]
pub struct CopyArgs {
    /// The store that is read: a data directory, or the address of a Redis
    #[arg(long, value_name = "STORE")]
    pub from: String,
    /// The store that is filled; a data directory or a realm that is not there is made
    #[arg(long, value_name = "STORE")]
    pub to: String,
    /// Which world of a Redis, at both ends [default: as configured]
    #[arg(long, value_name = "NAME")]
    pub realm: Option<String>,
    /// Which world of a Redis, where it is another one at the target
    #[arg(long, value_name = "NAME")]
    pub to_realm: Option<String>,
    /// Go on with a copy of the same source that was interrupted
    #[arg(long)]
    pub resume: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Config file [default: config/holdall.toml, if it is there]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// What was done.
#[derive(Serialize)]
struct Report {
    copied: Copied,
    copied_seconds: f64,
    compared: Compared,
    compared_seconds: f64,
    /// Whether every player and every SKU of the source is in the target, and all of it is the same.
    complete: bool,
}

impl CopyArgs {
    /// As servers on the two stores would have them.
    fn settings(&self) -> Result<(Settings, Settings), Faults> {
        let load = |flags| {
            let loaded = Settings::load(&Sources { flags, ..sources(self.config.as_deref()) });
            loaded.map(|loaded| loaded.settings)
        };
        let realm = ("--realm", self.realm.as_deref());
        let to_realm = self.to_realm.as_deref().map_or(realm, |to_realm| ("--to-realm", Some(to_realm)));
        let from = load(flags(("--from", Some(&self.from)), realm))?;
        Ok((from, load(flags(("--to", Some(&self.to)), to_realm))?))
    }
}

/// Copies, compares, and says how that went.
pub(super) async fn run(args: CopyArgs) -> Result<ExitCode, Failure> {
    let (from, to) = args.settings()?;
    if are_one(&from, &to) {
        return Err(Failure::usage("--from and --to are the same store"));
    }
    let from = open(&from, Purpose::Work).await?;
    let to = open(&to, Purpose::Fill).await?;
    let report = tokio::select! {
        report = work(&from, &to, if args.resume { Target::Resumed } else { Target::Empty }) => report?,
        _ = tokio::signal::ctrl_c() => return Err(Failure::failed(
            "interrupted: the target holds whole players, but not all; the same command with --resume goes on",
        )),
    };
    let text = if args.json {
        format!("{}\n", serde_json::to_string_pretty(&report).expect("it serialises into memory"))
    } else {
        report.to_string()
    };
    let printed = print(&text);
    Ok(if report.complete { printed } else { ExitCode::from(EXIT_FAILED) })
}

fn are_one(from: &Settings, to: &Settings) -> bool {
    let real = |settings: &Settings| settings.server.data_dir.canonicalize().ok();
    match (from.store.url.redis(), to.store.url.redis()) {
        (None, None) => real(from).is_some_and(|from| Some(from) == real(to)),
        (Some(_), Some(_)) => from.store.url == to.store.url && from.store.realm == to.store.realm,
        (None, Some(_)) | (Some(_), None) => false,
    }
}

async fn open(settings: &Settings, purpose: Purpose) -> Result<Opened, Failure> {
    match reach(settings, purpose).await? {
        Reached::Opened(opened) => Ok(opened),
        Reached::Running(directory) => {
            Err(Failure::refused(format!("data directory {} is in use: stop its server first", directory.display())))
        }
    }
}

async fn work(from: &Opened, to: &Opened, target: Target) -> Result<Report, Failure> {
    let begun = Instant::now();
    let mut progress = Progress::new("copying");
    let copied = copy(&*from.store, &*to.store, target, |done, total| progress.tell(done, total)).await?;
    drop(progress);
    let copied_seconds = begun.elapsed().as_secs_f64();
    let begun = Instant::now();
    let mut progress = Progress::new("comparing");
    let compared = compare(&*from.store, &*to.store, |done, total| progress.tell(done, total)).await?;
    let all = copied.unreadable.is_empty() && copied.unreadable_skus.is_empty();
    let complete = all && compared.differences.is_empty();
    Ok(Report { copied, copied_seconds, compared, compared_seconds: begun.elapsed().as_secs_f64(), complete })
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Copied { players, there, places, gifts, ledger_items, bytes, unreadable, .. } = &self.copied;
        let Copied { skus, skus_there, holds, audit_entries, unreadable_skus, .. } = &self.copied;
        writeln!(
            f,
            "copied {players} players ({places} places, {gifts} waiting gifts, {ledger_items} ledger items, {bytes} bytes) in {:.1} s",
            self.copied_seconds
        )?;
        if *there > 0 {
            writeln!(f, "{there} players were there already")?;
        }
        if *skus > 0 {
            writeln!(f, "copied {skus} SKUs ({holds} holds, {audit_entries} audit entries)")?;
        }
        if *skus_there > 0 {
            writeln!(f, "{skus_there} SKUs were there already")?;
        }
        for (player, reason) in unreadable {
            writeln!(f, "left out: {player}: {reason}")?;
        }
        for (sku, reason) in unreadable_skus {
            writeln!(f, "left out: SKU {sku}: {reason}")?;
        }
        let Compared { equal, equal_skus, differences } = &self.compared;
        writeln!(f, "compared in {:.1} s: {equal} players are the same in both, byte for byte", self.compared_seconds)?;
        if *equal_skus > 0 {
            writeln!(f, "{equal_skus} SKUs are the same in both")?;
        }
        for difference in differences.iter().take(DIFFERENCES_SHOWN) {
            writeln!(f, "DIFFERENT: {difference}")?;
        }
        match differences.len().saturating_sub(DIFFERENCES_SHOWN) {
            0 => Ok(()),
            more => writeln!(f, "and {more} more differences"),
        }
    }
}
