//! Bringing every player of a store forward: to the record format of this build and through the content steps of the
//! migrations file, exactly as a load would, because it is one.

use super::all_players;
use crate::{
    engine::moment::Moment,
    journal::Health,
    roster::{
        LoadError, Roster,
        upgrade::{AtRest, Plan},
    },
    store::{ReadError, Stored},
};
use futures_util::{StreamExt as _, stream};
use holdall_protocol::ids::{PlayerId, Revision};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

/// Players on their way at once, so that they share commits.
const PLAYERS_AT_ONCE: usize = 64;

/// Whether anything is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Nothing at all.
    DryRun,
    /// Whoever is behind is brought forward.
    ForReal,
}

/// What was done, or would be.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Migrated {
    /// Whether nothing was written.
    pub dry_run: bool,
    /// The newest content step there is.
    pub newest_step: u32,
    /// Players looked at.
    pub players: u64,
    /// Players who were up to date.
    pub current: u64,
    /// Players who were brought forward, or would be.
    pub forward: u64,
    /// Those of them whose record was in an older format.
    pub rewritten: u64,
    /// What each content step did to them, or would do.
    pub steps: Vec<StepTaken>,
    /// Players whom a running server has: they are brought forward whenever they are loaded.
    pub in_play: u64,
    /// Those of them whom the store has as they were: their server has yet to save them, knows fewer steps, or was killed a
    /// moment ago.
    #[serde(default)]
    pub waiting: u64,
    /// Players who cannot be brought forward and were left as they are.
    pub refused: Vec<Refused>,
}

/// One content step.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StepTaken {
    /// Its number.
    pub number: u32,
    /// What it does.
    pub what: String,
    /// Players who took it.
    pub players: u64,
    /// Those of them who had something that it changed.
    pub changed: u64,
    /// Stacks that it changed.
    pub stacks: u64,
    /// Balances that it changed.
    pub balances: u64,
}

/// Why a player was left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// Who.
    pub player: PlayerId,
    /// Why.
    pub reason: String,
}

/// Why not all players were looked at. Who was brought forward by then stays so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MigrateError {
    /// The store does not answer.
    #[error("{0}; say the command again to go on")]
    Read(#[from] ReadError),
    /// The same, while a player was loaded.
    #[error("the store is away; say the command again to go on")]
    Away,
    /// The store cannot be written any more.
    #[error("the store failed: {0}")]
    Broken(String),
}

/// Looks at every player, and with [`Mode::ForReal`] brings forward who is behind. `progress` hears how many of how many
/// are done. For real, somebody has to run the roster's journal.
///
/// # Errors
/// [`MigrateError`].
pub async fn migrate(
    roster: &Arc<Roster>,
    mode: Mode,
    mut progress: impl FnMut(usize, usize),
) -> Result<Migrated, MigrateError> {
    let mut health = roster.journal.health();
    let broken = async {
        match health.wait_for(|health| matches!(health, Health::Broken(_))).await.as_deref() {
            Ok(Health::Broken(error)) => error.clone(),
            Ok(Health::Good | Health::Away) | Err(_) => "it has stopped".to_owned(),
        }
    };
    let walk = async {
        let players = all_players(roster.store()).await?;
        let alive: HashSet<String> = roster.store().alive().await?.into_iter().collect();
        let (mut tally, mut done, total) = (Tally::new(roster, mode), 0_usize, players.len());
        let mut under_way =
            stream::iter(players).map(|player| one(roster, mode, &alive, player)).buffer_unordered(PLAYERS_AT_ONCE);
        while let Some(found) = under_way.next().await {
            tally.add(found?);
            done = done.saturating_add(1);
            progress(done, total);
        }
        Ok(tally.finish(roster))
    };
    tokio::select! {
        migrated = walk => migrated,
        error = broken => Err(MigrateError::Broken(error)),
    }
}

/// What became of one player.
enum One {
    /// Listed, and gone or never born.
    Nobody,
    Current,
    Forward(Box<Plan>),
    InPlay {
        waits: bool,
    },
    Refused(Refused),
}

async fn one(roster: &Arc<Roster>, mode: Mode, alive: &HashSet<String>, player: PlayerId) -> Result<One, MigrateError> {
    let refused = |reason: String| Ok(One::Refused(Refused { player: player.clone(), reason }));
    let stored = match roster.store().peek(player.clone()).await {
        Ok(Some(stored)) if stored.revision > Revision::ZERO => stored,
        Ok(_) => return Ok(One::Nobody),
        Err(ReadError::Unreadable(reason)) => return refused(reason),
        Err(error) => return Err(error.into()),
    };
    if roster.find(&player).is_some() || stored.owner.as_ref().is_some_and(|owner| alive.contains(owner.node())) {
        return Ok(One::InPlay { waits: waits(roster, &player, &stored) });
    }
    let plan = match planned(roster, &stored) {
        Ok(plan) => plan,
        Err(reason) => return refused(reason),
    };
    if !is_behind(&plan, &stored) {
        return Ok(One::Current);
    }
    if let Err(stuck) = &plan.course.outcome {
        return refused(stuck.to_string());
    }
    if mode == Mode::DryRun {
        return Ok(One::Forward(Box::new(plan)));
    }
    match roster.bring_forward(&player).await {
        Ok(()) if is_forward(roster, &player).await? => Ok(One::Forward(Box::new(plan))),
        // Somebody logged in meanwhile, here or elsewhere, and has it.
        Ok(()) | Err(LoadError::Elsewhere) => {
            let stored = roster.store().peek(player.clone()).await?;
            Ok(One::InPlay { waits: stored.is_some_and(|stored| waits(roster, &player, &stored)) })
        }
        Err(LoadError::StoreAway) => Err(MigrateError::Away),
        Err(LoadError::Unreadable(reason)) => refused(reason),
    }
}

/// Whether the store has what a load made of the player.
async fn is_forward(roster: &Roster, player: &PlayerId) -> Result<bool, MigrateError> {
    let stored = roster.store().peek(player.clone()).await?;
    Ok(stored.is_some_and(|stored| planned(roster, &stored).is_ok_and(|plan| !is_behind(&plan, &stored))))
}

/// What a load would make of the player now.
fn planned(roster: &Roster, stored: &Stored) -> Result<Plan, String> {
    let mut dice = roster.dice.clone();
    let mut moment = Moment::new(roster.clock.now_ms(), &mut dice);
    Plan::of(&AtRest::from(stored), roster.chain(), &roster.rules(), &mut moment)
}

const fn is_behind(plan: &Plan, stored: &Stored) -> bool {
    plan.rewrite || stored.content < plan.content
}

/// Whether there is something that a load would have done to a player who is in play, and has not. Here it has, whether it is
/// saved or not.
fn waits(roster: &Roster, player: &PlayerId, stored: &Stored) -> bool {
    let is_done = |plan: Plan| !plan.rewrite && plan.course.outcome.is_ok_and(|changes| changes.is_empty());
    roster.find(player).is_none() && !planned(roster, stored).is_ok_and(is_done)
}

/// The sums so far.
struct Tally {
    migrated: Migrated,
    steps: BTreeMap<u32, StepTaken>,
}

impl Tally {
    fn new(roster: &Roster, mode: Mode) -> Self {
        let newest_step = roster.rules().migrations.newest();
        let migrated = Migrated { dry_run: mode == Mode::DryRun, newest_step, ..Migrated::default() };
        Self { migrated, steps: BTreeMap::new() }
    }

    fn add(&mut self, one: One) {
        let migrated = &mut self.migrated;
        let count = match one {
            One::Nobody => return,
            One::Current => &mut migrated.current,
            One::InPlay { waits } => {
                add(&mut migrated.waiting, waits.into());
                &mut migrated.in_play
            }
            One::Forward(plan) => {
                add(&mut migrated.rewritten, usize::from(plan.rewrite));
                for taken in &plan.course.taken {
                    let step = self.steps.entry(taken.number).or_default();
                    add(&mut step.players, 1);
                    add(&mut step.changed, usize::from(taken.stacks > 0 || taken.balances > 0));
                    add(&mut step.stacks, taken.stacks);
                    add(&mut step.balances, taken.balances);
                }
                &mut migrated.forward
            }
            One::Refused(refused) => {
                migrated.refused.push(refused);
                return add(&mut migrated.players, 1);
            }
        };
        add(count, 1);
        add(&mut migrated.players, 1);
    }

    fn finish(self, roster: &Roster) -> Migrated {
        let Self { mut migrated, steps } = self;
        let rules = roster.rules();
        let what = |number: u32| {
            let steps = rules.migrations.after(number.saturating_sub(1)).unwrap_or_default();
            steps.first().map(|step| step.kind.to_string()).unwrap_or_default()
        };
        let steps = steps.into_iter();
        migrated.steps = steps.map(|(number, taken)| StepTaken { number, what: what(number), ..taken }).collect();
        migrated.refused.sort_by(|one, other| one.player.cmp(&other.player));
        migrated
    }
}

fn add(sum: &mut u64, more: usize) {
    *sum = sum.saturating_add(u64::try_from(more).unwrap_or(u64::MAX));
}
