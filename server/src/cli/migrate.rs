//! `migrate`: every player brought forward now, and not at its next load.

use super::{
    EXIT_FAILED, Failure,
    at::{At, AtArgs},
    load, print,
    progress::Progress,
};
use crate::{
    app::{stores::Purpose, workshop::Workshop},
    operator::client::Client,
    upkeep::migrate::{Migrated, Mode, Refused, StepTaken, migrate},
};
use clap::Args;
use std::{fmt, process::ExitCode};

/// What to migrate.
#[derive(Debug, Args)]
pub struct MigrateArgs {
    /// Change nothing, and say what would be
    #[arg(long)]
    pub dry_run: bool,
    /// Which store.
    #[command(flatten)]
    pub at: AtArgs,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Migrates, and says what that did.
pub(super) async fn run(args: MigrateArgs) -> Result<ExitCode, Failure> {
    let (loaded, rules) = load(&args.at.sources())?;
    let newest = rules.migrations.newest();
    let mode = if args.dry_run { Mode::DryRun } else { Mode::ForReal };
    let mut progress = Progress::new(if args.dry_run { "looking" } else { "migrating" });
    let tell = |done, total| progress.tell(done, total);
    let migrated = match At::reach(&loaded.settings, Purpose::Work).await? {
        At::Store(opened) => {
            let workshop = Workshop::new(&loaded.settings, rules, opened.store.clone());
            here(workshop, mode, tell).await?
        }
        At::Server(server) => there(server, mode, newest, tell).await?,
    };
    drop(progress);
    let text = if args.json {
        format!("{}\n", serde_json::to_string_pretty(&migrated).expect("it serialises into memory"))
    } else {
        migrated.to_string()
    };
    let printed = print(&text);
    Ok(if migrated.refused.is_empty() { printed } else { ExitCode::from(EXIT_FAILED) })
}

/// In this process.
async fn here(mut workshop: Workshop, mode: Mode, tell: impl FnMut(usize, usize)) -> Result<Migrated, Failure> {
    if mode == Mode::ForReal
        && let Err(error) = workshop.start().await
    {
        workshop.close().await;
        return Err(error.into());
    }
    let migrated = tokio::select! {
        migrated = migrate(&workshop.roster, mode, tell) => migrated.map_err(|error| Failure::refused(error.to_string())),
        _ = tokio::signal::ctrl_c() => {
            Err(Failure::failed("interrupted: who was migrated stays so; the same command goes on"))
        }
    };
    workshop.close().await;
    migrated
}

/// In the server, which read the migrations file when it started.
async fn there(
    mut server: Client,
    mode: Mode,
    newest_step: u32,
    tell: impl FnMut(usize, usize),
) -> Result<Migrated, Failure> {
    let dry_run = mode == Mode::DryRun;
    Ok(server.work(&format!("/v1/migrate?dry_run={dry_run}&newest_step={newest_step}"), tell).await?)
}

impl fmt::Display for Migrated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { dry_run, newest_step: _, players, current, forward, rewritten, steps, in_play, waiting, refused } =
            self;
        let (would, have) = if *dry_run { ("to be ", "would be") } else { ("", "were") };
        writeln!(
            f,
            "{players} players: {forward} {would}migrated, {current} up to date, {in_play} in play, {} refused",
            refused.len()
        )?;
        writeln!(f, "record format: {rewritten} {have} written anew")?;
        for StepTaken { number, what, players, changed, stacks, balances } in steps {
            writeln!(
                f,
                "content step {number} ({what}): {players} players, {changed} of them with something to change: {stacks} \
                 stacks, {balances} balances"
            )?;
        }
        for Refused { player, reason } in refused {
            writeln!(f, "REFUSED: {player}: {reason}")?;
        }
        match (*in_play, *waiting) {
            (0, _) => {}
            (_, 0) => writeln!(f, "those in play were migrated when they were loaded")?,
            (_, waiting) => writeln!(
                f,
                "NOT YET migrated: {waiting} of those in play; their server has yet to save them, knows fewer steps, or was \
                 killed a moment ago: say this again, and if that does not help, restart it"
            )?,
        }
        if *dry_run {
            writeln!(f, "nothing was changed")?;
        }
        Ok(())
    }
}
