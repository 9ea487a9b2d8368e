//! The writer: one batch at a time, until the store has given an answer that is final.

use super::{
    Committed, Health, Journal,
    pending::{BATCH_BYTES_MAX, Flight},
};
use crate::store::{Batch, Outcome, PlayerWrite};
use holdall_protocol::ids::{PlayerId, Revision};
use rand::Rng as _;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use tokio::time::{Instant, sleep, sleep_until};

/// How long committed batches are kept to be sent again.
const KEPT_TIME: Duration = Duration::from_secs(60);
/// How many bytes of them.
const KEPT_BYTES_MAX: usize = 256 * BATCH_BYTES_MAX;
/// The first and the longest pause before a batch is sent again.
const PAUSE_FIRST: Duration = Duration::from_millis(5);
const PAUSE_LONGEST: Duration = Duration::from_secs(1);

/// The store cannot be written any more.
struct Broken;

impl Journal {
    /// Writes what becomes due, for ever; ends only when the store is broken. Run it once, as a task of its own.
    pub async fn run(&self) {
        loop {
            let due = self.due.notified();
            let (flight, next) = {
                let mut pending = self.pending.lock();
                let flight = self.take(&mut pending);
                (flight, pending.next_due(Instant::now()))
            };
            match flight {
                Some(flight) => {
                    if self.deliver(flight).await.is_err() {
                        self.progress.notify_waiters();
                        return;
                    }
                }
                None => match next {
                    Some(next) => tokio::select! { biased; () = due => {} () = sleep_until(next) => {} },
                    None => due.await,
                },
            }
        }
    }

    /// Sends a batch until it is durable or all of its players are lost.
    async fn deliver(&self, mut flight: Flight) -> Result<(), Broken> {
        loop {
            match self.answer(&flight.batch).await? {
                Answered::Durable => {
                    self.finish(&flight);
                    return Ok(());
                }
                Answered::Regressed => match self.heal().await? {
                    lost if lost.is_empty() => {}
                    lost => match self.lose(&lost) {
                        Some(rest) => flight = rest,
                        None => return Ok(()),
                    },
                },
                Answered::Lost(mut players) => {
                    // A takeover outranks a loss of the store's in its answer, and whoever falls with the player that was
                    // taken over will not come back to report it.
                    if self.store.may_regress() {
                        players.extend(self.heal().await?);
                    }
                    match self.lose(&players) {
                        Some(rest) => flight = rest,
                        None => return Ok(()),
                    }
                }
            }
        }
    }

    /// Sends the same bytes until the store says what became of them.
    async fn answer(&self, batch: &Arc<Batch>) -> Result<Answered, Broken> {
        let mut pause = PAUSE_FIRST;
        loop {
            let wait = match self.store.commit(batch.clone()).await {
                Outcome::Applied | Outcome::Already => {
                    self.set_health(Health::Good);
                    return Ok(Answered::Durable);
                }
                Outcome::Fenced { players } => {
                    // A refusal is an answer, too: the store is back, though nothing more may be due for a while.
                    self.set_health(Health::Good);
                    tracing::warn!(?players, "players were taken over by another owner; dropped unsaved");
                    return Ok(Answered::Lost(players));
                }
                Outcome::Conflict { players } => {
                    self.set_health(Health::Good);
                    tracing::error!(?players, "stored revisions disagree with ours; dropped unsaved: this is a bug");
                    return Ok(Answered::Lost(players));
                }
                Outcome::Regressed { players } => {
                    self.set_health(Health::Good);
                    tracing::error!(?players, "the store lost what it had acknowledged; sending it again");
                    return Ok(Answered::Regressed);
                }
                Outcome::Unknown => Duration::ZERO,
                Outcome::Unavailable { retry_after } => {
                    self.set_health(Health::Away);
                    retry_after
                }
                Outcome::Broken { error } => {
                    tracing::error!(%error, "the store cannot be written any more");
                    self.set_health(Health::Broken(error));
                    return Err(Broken);
                }
            };
            // Many servers come back to one store: each waits its own while.
            let jitter = self.dice.clone().random_range(0.5..1.0);
            sleep(wait.max(pause.mul_f64(jitter))).await;
            pause = pause.saturating_mul(2).min(PAUSE_LONGEST);
        }
    }

    fn finish(&self, flight: &Flight) {
        self.pending.lock().flight = None;
        self.keep(&flight.batch);
        let committed: Vec<Committed> = flight.batch.players.iter().map(Committed::of).collect();
        self.watcher().durable(&committed);
        self.progress.notify_waiters();
    }

    /// Drops players and all that are tied to them. Marking them under their locks may take a moment, in which further
    /// records can tie further players; so it repeats until nobody is added. Returns what is left to send.
    fn lose(&self, seeds: &[PlayerId]) -> Option<Flight> {
        let mut marked = BTreeSet::new();
        loop {
            let all = self.pending.lock().closure(seeds);
            let added: Vec<PlayerId> = all.difference(&marked).cloned().collect();
            if added.is_empty() {
                break;
            }
            self.watcher().lost(&added);
            marked = all;
        }
        let id = self.new_batch_id(self.clock.now_ms());
        let rest = self.pending.lock().drop_players(&marked, id);
        self.progress.notify_waiters();
        rest
    }

    fn keep(&self, batch: &Arc<Batch>) {
        if !self.store.may_regress() {
            return;
        }
        let bytes = batch.players.iter().map(PlayerWrite::bytes).sum();
        let now = Instant::now();
        let mut kept = self.kept.lock();
        kept.batches.push_back((now, batch.clone(), bytes));
        kept.bytes = kept.bytes.saturating_add(bytes);
        while let Some((at, _, bytes)) = kept.batches.front() {
            if kept.bytes <= KEPT_BYTES_MAX && now.duration_since(*at) <= KEPT_TIME {
                break;
            }
            kept.bytes = kept.bytes.saturating_sub(*bytes);
            kept.batches.pop_front();
        }
    }

    /// The store is older than we knew it: sends it what it lost, byte for byte. Returns the players for whom that was
    /// not possible any more. Never a full image: it could bring back what a partner no longer gave.
    async fn heal(&self) -> Result<Vec<PlayerId>, Broken> {
        let kept: Vec<Arc<Batch>> = self.kept.lock().batches.iter().map(|(_, batch, _)| batch.clone()).collect();
        let flying = self.pending.lock().flight.clone();
        let known = kept.iter().chain(flying.iter().map(|flight| &flight.batch));
        let players: BTreeSet<PlayerId> =
            known.flat_map(|batch| batch.players.iter().map(|write| write.player.clone())).collect();
        let mut stored = self.stored_revisions(players).await;
        let mut lost = BTreeSet::new();
        for batch in &kept {
            let at = |write: &PlayerWrite| stored.get(&write.player).copied().unwrap_or_default();
            if batch.players.iter().all(|write| at(write) >= write.revision) {
                continue;
            }
            let whole = batch.players.iter().all(|write| at(write) == write.base && !lost.contains(&write.player));
            if whole && matches!(self.answer(batch).await?, Answered::Durable) {
                stored.extend(batch.players.iter().map(|write| (write.player.clone(), write.revision)));
            } else {
                lost.extend(batch.players.iter().map(|write| write.player.clone()));
            }
        }
        // Whoever is still behind the batch that brought this to light lost more than was kept.
        for write in flying.iter().flat_map(|flight| &flight.batch.players) {
            if stored.get(&write.player).copied().unwrap_or_default() < write.base {
                lost.insert(write.player.clone());
            }
        }
        Ok(lost.into_iter().collect())
    }

    async fn stored_revisions(&self, players: BTreeSet<PlayerId>) -> BTreeMap<PlayerId, Revision> {
        let players: Vec<PlayerId> = players.into_iter().collect();
        let mut pause = PAUSE_FIRST;
        loop {
            match self.store.revisions(players.clone()).await {
                Ok(revisions) => return players.into_iter().zip(revisions).collect(),
                Err(error) => {
                    tracing::warn!(%error, "the store's revisions cannot be read; trying again");
                    sleep(pause).await;
                    pause = pause.saturating_mul(2).min(PAUSE_LONGEST);
                }
            }
        }
    }

    fn set_health(&self, health: Health) {
        self.health.send_if_modified(|now| {
            let changed = *now != health;
            *now = health;
            changed
        });
    }
}

/// A final answer.
enum Answered {
    Durable,
    Regressed,
    Lost(Vec<PlayerId>),
}

impl Committed {
    fn of(write: &PlayerWrite) -> Self {
        Self { player: write.player.clone(), revision: write.revision, released: write.release }
    }
}

impl PlayerWrite {
    fn bytes(&self) -> usize {
        let places = self.places.iter().map(|(place, value)| {
            place.len().saturating_add(value.as_ref().map_or(0, bytes::Bytes::len)).saturating_add(64)
        });
        places.sum::<usize>().saturating_add(self.entries.len())
    }
}
