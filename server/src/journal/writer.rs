//! The writer: one batch at a time, until the store has given an answer that is final.

use super::{
    Ack, Committed, Health, Journal, Kept,
    audit::Audited,
    pending::{BATCH_BYTES_MAX, Flight},
};
use crate::{
    store::{Batch, BatchId, Life, Outcome, PlayerWrite},
    telemetry::metrics::labels::CommitAnswer,
};
use holdall_protocol::ids::PlayerId;
use rand::Rng as _;
use smol_str::SmolStr;
use std::{
    collections::BTreeSet,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};
use tokio::{
    task::yield_now,
    time::{Instant, sleep, sleep_until},
};

/// How long committed batches are kept to be sent again.
const KEPT_TIME: Duration = Duration::from_secs(60);
/// How many bytes of them.
const KEPT_BYTES_MAX: usize = 256 * BATCH_BYTES_MAX;
/// The first and the longest pause before a batch is sent again.
pub(super) const PAUSE_FIRST: Duration = Duration::from_millis(5);
pub(super) const PAUSE_LONGEST: Duration = Duration::from_secs(1);
/// The longest pause before it is looked again whether another process has written what comes first.
const PATIENCE_PAUSE_LONGEST: Duration = Duration::from_millis(100);

/// How long a batch may go without an answer before the store counts as away: a single lost answer is no outage.
const AWAY_AFTER: Duration = Duration::from_secs(1);

/// The store cannot be written any more.
pub(super) struct Broken;

impl Journal {
    /// Writes what becomes due, for ever; ends only when the store is broken. Run it once, as a task of its own.
    pub async fn run(&self) {
        loop {
            let due = self.due.notified();
            if self.is_doubtful() {
                let Ok(audited) = self.audit().await else {
                    self.progress.notify_waiters();
                    return;
                };
                // Between two batches nothing is on its way.
                let _ = self.lose(&audited);
                continue;
            }
            // Whoever is ready to record something now is in this batch, too.
            yield_now().await;
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
        let (mut audited, mut patience) = (None, self.patience());
        loop {
            let (mut lost, early) = match self.answer(&flight.batch, self.life()).await? {
                Answered::Durable => {
                    self.finish(flight);
                    if let Some(audited) = audited {
                        // Of the batch that is finished nothing is left to send.
                        let _ = self.lose(&audited);
                    }
                    return Ok(());
                }
                // It may have been written before the restart: what became of it comes before what the audit found.
                Answered::Restarted => {
                    audited = Some(self.audit().await?);
                    patience = self.patience();
                    continue;
                }
                Answered::Regressed(players) => (Vec::new(), players),
                Answered::Lost(players) => (players, Vec::new()),
            };
            // A takeover outranks a loss of the store's in one answer, and whoever falls with the player that was taken over
            // will not come back to report it: so every refusal is a reason to look.
            let mut found = self.audit().await?;
            lost.append(&mut found.lost);
            // Whoever is neither behind nor lost takes a gift that another process has to put there again.
            if !early.is_empty() && !patience.wait().await {
                lost.extend(early);
            }
            found.lost = lost;
            match self.lose(&found) {
                Some(rest) => flight = rest,
                None => return Ok(()),
            }
        }
    }

    /// Sends the same bytes until the store says what became of them.
    pub(super) async fn answer(&self, batch: &Arc<Batch>, life: Life) -> Result<Answered, Broken> {
        let (mut pause, begun) = (PAUSE_FIRST, Instant::now());
        loop {
            let outcome = self.store.commit(batch.clone(), life).await;
            self.metrics.commits.inc(&counted(&outcome));
            let wait = match outcome {
                Outcome::Applied | Outcome::Already => {
                    self.metrics.commit_seconds.took(begun.elapsed());
                    self.metrics.commit_players.observe(batch.players.len().try_into().unwrap_or(u64::MAX));
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
                    tracing::error!(?players, "the store holds another history of players than ours; dropped unsaved");
                    return Ok(Answered::Lost(players));
                }
                Outcome::Regressed { players } => {
                    self.set_health(Health::Good);
                    tracing::error!(?players, "the store lost what it had acknowledged; sending it again");
                    return Ok(Answered::Regressed(players));
                }
                Outcome::Restarted => {
                    tracing::warn!("the store was restarted; what it holds is compared with what it had acknowledged");
                    return Ok(Answered::Restarted);
                }
                Outcome::Unknown => {
                    if begun.elapsed() >= AWAY_AFTER {
                        self.set_health(Health::Away);
                    }
                    Duration::ZERO
                }
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

    fn finish(&self, flight: Flight) {
        self.pending.lock().flight = None;
        let committed: Vec<Committed> = flight.batch.players.iter().map(Committed::of).collect();
        self.keep(flight);
        self.watcher().durable(&committed);
        self.progress.notify_waiters();
    }

    /// Drops the players that an audit found wanting, and all that are tied to them. Marking them under their locks may
    /// take a moment, in which further records can tie further players; so it repeats until nobody is added. Returns what
    /// is left to send.
    fn lose(&self, audited: &Audited) -> Option<Flight> {
        let mut marked = BTreeSet::new();
        loop {
            let all = self.pending.lock().closure(&audited.lost);
            let added: Vec<PlayerId> = all.difference(&marked).cloned().collect();
            if added.is_empty() {
                break;
            }
            self.watcher().lost(&added);
            marked = all;
        }
        let id = self.new_batch_id(self.clock.now_ms());
        let rest = self.pending.lock().drop_players(&marked, id);
        self.settle(audited);
        self.progress.notify_waiters();
        rest
    }

    fn keep(&self, flight: Flight) {
        if self.store.may_regress() {
            self.kept.lock().add(flight, Instant::now());
        }
    }

    /// How long to wait for what another process has to write again first: a lease, in which each that is alive notices
    /// the loss.
    pub(super) fn patience(&self) -> Patience {
        let now = Instant::now();
        Patience { end: now.checked_add(self.store.lease().unwrap_or_default()).unwrap_or(now), pause: PAUSE_FIRST }
    }

    pub(super) fn set_health(&self, health: Health) {
        self.health.send_if_modified(|now| {
            let changed = *now != health;
            let open = match (&health, self.ack()) {
                (Health::Good, _) | (Health::Away, Ack::Applied { .. }) => true,
                (Health::Away, Ack::Durable) | (Health::Broken(_), _) => false,
            };
            self.open.store(open, Relaxed);
            *now = health;
            changed
        });
    }
}

/// As what an answer of the store is counted.
const fn counted(outcome: &Outcome) -> CommitAnswer {
    match outcome {
        Outcome::Applied => CommitAnswer::Applied,
        Outcome::Already => CommitAnswer::Already,
        Outcome::Fenced { .. } => CommitAnswer::Fenced,
        Outcome::Conflict { .. } => CommitAnswer::Conflict,
        Outcome::Regressed { .. } => CommitAnswer::Regressed,
        Outcome::Restarted => CommitAnswer::Restarted,
        Outcome::Unknown => CommitAnswer::Unknown,
        Outcome::Unavailable { .. } => CommitAnswer::Unavailable,
        Outcome::Broken { .. } => CommitAnswer::Broken,
    }
}

impl Kept {
    pub(super) fn flights(&self) -> Vec<Flight> {
        self.flights.iter().map(|(_, flight, _)| flight.clone()).collect()
    }

    fn add(&mut self, flight: Flight, now: Instant) {
        let bytes = flight.batch.players.iter().map(PlayerWrite::bytes).sum();
        self.flights.push_back((now, flight, bytes));
        self.bytes = self.bytes.saturating_add(bytes);
        while let Some((at, _, bytes)) = self.flights.front() {
            if self.bytes <= KEPT_BYTES_MAX && now.duration_since(*at) <= KEPT_TIME {
                break;
            }
            self.bytes = self.bytes.saturating_sub(*bytes);
            self.flights.pop_front();
        }
    }

    /// Forgets whole groups, each named by its batch and players.
    pub(super) fn forget(&mut self, groups: &BTreeSet<(BatchId, PlayerId)>) {
        for (_, flight, _) in &mut self.flights {
            let id = flight.batch.id;
            Arc::make_mut(&mut flight.groups)
                .retain(|group| !group.iter().any(|player| groups.contains(&(id, player.clone()))));
        }
    }
}

/// How long others are waited for.
pub(super) struct Patience {
    end: Instant,
    pause: Duration,
}

impl Patience {
    /// Waits a while, a little longer each time; false once there was enough of it.
    pub(super) async fn wait(&mut self) -> bool {
        if Instant::now() >= self.end {
            return false;
        }
        sleep(self.pause).await;
        self.pause = self.pause.saturating_mul(2).min(PATIENCE_PAUSE_LONGEST);
        true
    }
}

/// A final answer.
pub(super) enum Answered {
    Durable,
    Regressed(Vec<PlayerId>),
    Restarted,
    Lost(Vec<PlayerId>),
}

impl Committed {
    fn of(write: &PlayerWrite) -> Self {
        Self { player: write.player.clone(), revision: write.revision, released: write.release }
    }
}

impl PlayerWrite {
    fn bytes(&self) -> usize {
        let own = size_of::<Self>();
        let places = self.places.iter().map(|(_, value)| {
            value.as_ref().map_or(0, bytes::Bytes::len).saturating_add(size_of::<(SmolStr, Option<bytes::Bytes>)>())
        });
        let gifts =
            self.inbox.iter().map(|step| step.content.as_ref().map_or(0, bytes::Bytes::len).saturating_add(128));
        let answers = self.answers.iter().map(|answer| answer.bytes.len().saturating_add(128));
        let opening = self.opening.iter().map(|opening| opening.content.len());
        places
            .chain(gifts)
            .chain(answers)
            .chain(opening)
            .sum::<usize>()
            .saturating_add(self.entries.len())
            .saturating_add(own)
    }
}
