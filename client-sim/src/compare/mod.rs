//! `compare`: the same load on a bare echo server and on Holdall, in turns on this machine, and what each of them costs.
//!
//! Called by `main` with what was typed. The servers are processes of their own (`children`); the load is made here, by
//! connections that check no more than that every request took effect (`drive`), because bots that prove everything would
//! cost more than what is measured.

mod aims;
mod bags;
mod children;
mod cost;
mod crowd;
mod drive;
mod measure;
mod pace;
mod plan;
mod player;
mod reply;
mod report;
mod settings;
mod table;
mod target;

pub use aims::Aim;
pub use bags::Bags;
pub use crowd::Crowd;
pub use report::{BagsRow, Comparison, CrowdRow, Figures, Row};
pub use target::{Load, Target};

use report::Found;
use std::{path::PathBuf, time::Duration};

/// What is compared, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// The `holdall` program.
    pub server: PathBuf,
    /// The `client-sim` program, which is the echo server as well.
    pub client_sim: PathBuf,
    /// Where the servers' directories are made.
    pub work_dir: PathBuf,
    /// The servers, each measured once a round, in this order.
    pub targets: Vec<Target>,
    /// What is asked of each.
    pub loads: Vec<Load>,
    /// How often everything is measured.
    pub rounds: u32,
    /// How long each load is measured.
    pub seconds: Duration,
    /// At most so many players in any load, to try it out; figures of different numbers cannot be compared.
    pub players_max: usize,
    /// Threads that make the load: those of the runtime that this runs in.
    pub load_threads: usize,
}

impl Options {
    /// The most players that any load of a comparison has.
    pub const PLAYERS: usize = 5_000;

    fn at_most(&self, players: usize) -> usize {
        players.min(self.players_max)
    }
}

/// Why a comparison came to nothing, in words.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Failure(String);

impl Failure {
    fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

/// Compares; tells what it is at. When it is dropped, whatever it has started is killed and removed.
///
/// # Errors
/// Whatever stands in the way of a figure: there is no comparison with gaps.
pub async fn compare(options: &Options, mut tell: impl FnMut(&str)) -> Result<Comparison, Failure> {
    if options.targets.iter().any(|target| target.on_redis()) {
        children::look_for_redis()?;
    }
    let mut found = Vec::new();
    for round in 1..=options.rounds {
        for target in &options.targets {
            tell(&format!("round {round} of {}: {target}", options.rounds));
            turn(options, *target, &mut |one| found.push((*target, one)))
                .await
                .map_err(|Failure(why)| Failure(format!("{target}: {why}")))?;
        }
    }
    Ok(Comparison::of(options.seconds, options.rounds, options.load_threads, &found))
}

/// Everything that is measured of one target in one round.
async fn turn(options: &Options, target: Target, found: &mut impl FnMut(Found)) -> Result<(), Failure> {
    let suits = |load: &&Load| load.suits(target);
    let loads: Vec<Load> = options.loads.iter().filter(suits).copied().collect();
    if loads.iter().any(|load| !matches!(load, Load::Players | Load::Bags)) {
        measure::loads(options, target, &loads, |load, figures| found(Found::Load(load, figures))).await?;
    }
    if loads.contains(&Load::Players) {
        found(Found::Crowd(crowd::crowd(options, target).await?));
    }
    if loads.contains(&Load::Bags) {
        found(Found::Bags(bags::bags(options, target).await?));
    }
    Ok(())
}
