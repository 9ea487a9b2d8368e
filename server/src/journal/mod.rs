//! The journal: what has changed in memory on its way into the store.
//!
//! Owns the pending set (dirty tracking), the writer (group commit) and the spool. Called by `roster` with each record,
//! under the player's lock; tells of durability and loss through [`Watcher`], never holding a lock of its own meanwhile.

#![warn(clippy::arithmetic_side_effects, clippy::wildcard_enum_match_arm)]

mod audit;
pub mod pending;
pub mod spool;
mod writer;

use crate::{
    clock::{Clock, Dice},
    store::{BatchId, Opening, Store},
    telemetry::metrics::{Metrics, labels::Lock},
};
use audit::Certainty;
pub use audit::Held;
use holdall_protocol::ids::{PlayerId, Revision};
use parking_lot::Mutex;
use pending::{Due, Flight, Pending, Side};
use std::{
    collections::VecDeque,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

/// When replies may leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ack {
    /// After the commit that holds their change.
    Durable,
    /// At once; the change is saved within the interval.
    Applied {
        /// The autosave interval.
        interval: Duration,
    },
}

/// The journal's bounds.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// When replies may leave.
    pub ack: Ack,
    /// Bytes of pending changes past which new ones are refused.
    pub pending_bytes_max: usize,
}

/// One player's newest durable state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// Who.
    pub player: PlayerId,
    /// The revision up to which everything is durable.
    pub revision: Revision,
    /// Whether the player was given up in the same step.
    pub released: bool,
}

/// Whoever holds the players in memory.
pub trait Watcher: Send + Sync {
    /// These are durable now.
    fn durable(&self, committed: &[Committed]);
    /// All players that may have records.
    fn held(&self) -> Vec<Held>;
    /// These must be dropped unsaved: after the call no record of theirs may be pushed any more.
    fn lost(&self, players: &[PlayerId]);
}

/// How the store answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// It does.
    Good,
    /// It does not, for now.
    Away,
    /// It never will again in this process.
    Broken(String),
}

/// A half-made pending set must never be written: a panic in it ends the process, which loses nothing acknowledged.
struct AbortOnPanic;

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            std::process::abort();
        }
    }
}

/// The journal. One a process.
pub struct Journal {
    pending: Mutex<Pending>,
    /// What waits there, for whoever does not hold the lock.
    pending_bytes: Arc<AtomicUsize>,
    /// Something became due, or the end was asked for.
    due: Notify,
    /// A batch was answered for good.
    progress: Notify,
    health: watch::Sender<Health>,
    /// Whether changes are taken in this health.
    open: AtomicBool,
    certainty: Mutex<Certainty>,
    watcher: OnceLock<Arc<dyn Watcher>>,
    kept: Mutex<Kept>,
    store: Arc<dyn Store>,
    metrics: Arc<Metrics>,
    options: Options,
    clock: Clock,
    dice: Dice,
}

/// Committed batches that a store which can lose them may have to be told again.
#[derive(Default)]
struct Kept {
    flights: VecDeque<(Instant, Flight, usize)>,
    bytes: usize,
}

impl Journal {
    /// A journal that writes to `store` once [`Journal::run`] runs.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, options: Options, clock: Clock, dice: Dice) -> Self {
        let pending = Pending::default();
        Self {
            pending_bytes: pending.bytes().clone(),
            pending: Mutex::new(pending),
            due: Notify::new(),
            progress: Notify::new(),
            health: watch::Sender::new(Health::Good),
            open: AtomicBool::new(true),
            certainty: Mutex::default(),
            watcher: OnceLock::new(),
            kept: Mutex::default(),
            store,
            metrics: Arc::default(),
            options,
            clock,
            dice,
        }
    }

    /// The metrics of the server that this is the journal of: every room above counts in them.
    #[must_use]
    pub const fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// Says who is to be told. Once, before the first record.
    pub fn set_watcher(&self, watcher: Arc<dyn Watcher>) {
        assert!(self.watcher.set(watcher).is_ok(), "a journal has one watcher");
    }

    /// When replies may leave.
    #[must_use]
    pub const fn ack(&self) -> Ack {
        self.options.ack
    }

    /// Whether another record may be pushed. Asked before an action is applied; past the bound it is refused, and so it is
    /// while the store is away and its reply could not leave anyway.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.open.load(Relaxed) && self.pending_bytes() < self.options.pending_bytes_max
    }

    /// Bytes that wait for the store.
    #[must_use]
    pub fn pending_bytes(&self) -> usize {
        self.pending_bytes.load(Relaxed)
    }

    /// Whether anything of this player is not yet known to be durable.
    #[must_use]
    pub fn holds(&self, player: &PlayerId) -> bool {
        self.pending.lock().holds(player)
    }

    /// For how long the oldest of what is not durable has not been; nothing where everything is. It looks at every dirty
    /// player: for people who ask, not for each action.
    #[must_use]
    pub fn oldest_dirty(&self) -> Duration {
        self.pending.lock().oldest().map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Adds a record of one player or two, whose locks the caller holds. `at_once`: do not wait for an autosave.
    pub fn push(&self, sides: &[Side<'_>], at_once: bool) {
        let due = match self.options.ack {
            Ack::Applied { interval } if !at_once && sides.len() == 1 => Due::Within(interval),
            Ack::Applied { .. } | Ack::Durable => Due::AtOnce,
        };
        let _fatal = AbortOnPanic;
        let urgent =
            self.metrics.lock_wait_seconds.lock(&Lock::Journal, &self.pending).push(sides, due, Instant::now());
        if urgent || matches!(due, Due::Within(_)) {
            self.due.notify_one();
        }
    }

    /// Gives a player up, after all that is pending for it: `last` is where the player stands, with nothing new. The caller
    /// holds the player's lock.
    pub fn release(&self, last: &Side<'_>) {
        self.pending.lock().release(last, Instant::now());
        self.due.notify_one();
    }

    /// Lets a player's ledger begin with this opening: `last` is as for [`Self::release`].
    pub fn open(&self, last: &Side<'_>, opening: Opening) {
        self.pending.lock().open(last, opening, Instant::now());
        self.due.notify_one();
    }

    /// Makes what is pending of a player due.
    pub fn hurry(&self, player: &PlayerId) {
        self.pending.lock().make_urgent(player, Instant::now());
        self.due.notify_one();
    }

    /// Waits until nothing of this player is pending or on its way.
    pub async fn settled(&self, player: &PlayerId) {
        loop {
            let progress = self.progress.notified();
            tokio::pin!(progress);
            progress.as_mut().enable();
            if !self.pending.lock().holds(player) {
                return;
            }
            progress.await;
        }
    }

    /// How the store answers, and every change of it.
    #[must_use]
    pub fn health(&self) -> watch::Receiver<Health> {
        self.health.subscribe()
    }

    /// Makes everything due and waits until it is durable, for as long as `patience`. Whether it all is.
    pub async fn flush(&self, patience: Duration) -> bool {
        let mut health = self.health.subscribe();
        let all = async {
            loop {
                let progress = self.progress.notified();
                tokio::pin!(progress);
                progress.as_mut().enable();
                {
                    let mut pending = self.pending.lock();
                    if pending.is_empty() {
                        return true;
                    }
                    pending.make_all_urgent(Instant::now());
                }
                self.due.notify_one();
                tokio::select! {
                    biased;
                    () = progress => {}
                    broken = health.wait_for(|health| matches!(health, Health::Broken(_))) => {
                        if broken.is_ok() {
                            return false;
                        }
                    }
                }
            }
        };
        tokio::time::timeout(patience, all).await.unwrap_or(false)
    }

    /// Takes all that is not known to be durable, as batches in the order in which they must be written. Only once the
    /// writer has ended.
    #[must_use]
    pub fn take_all(&self) -> Vec<Flight> {
        let mut pending = self.pending.lock();
        let mut flights: Vec<Flight> = pending.flight.take().into_iter().collect();
        pending.make_all_urgent(Instant::now());
        while let Some(flight) = self.take(&mut pending) {
            flights.push(flight);
            pending.flight = None;
        }
        flights
    }

    fn take(&self, pending: &mut Pending) -> Option<Flight> {
        let now_ms = self.clock.now_ms();
        pending.take(Instant::now(), self.new_batch_id(now_ms), now_ms)
    }

    fn new_batch_id(&self, now_ms: u64) -> BatchId {
        BatchId::new(self.dice.clone().uuid(now_ms))
    }

    fn watcher(&self) -> &dyn Watcher {
        &**self.watcher.get().expect("the watcher is set before the first record")
    }
}
