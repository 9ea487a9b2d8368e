//! The node's right to its players, as far as time goes: renewed while the store answers, and past its deadline nothing
//! may be read or promised from memory until every loaded player has been looked at again.
//!
//! Time only decides who may be served. Who may write is decided by the owner token inside the store.

use super::{
    Roster,
    cell::{Cell, Taken},
};
use crate::{
    replication::outbox::Frame,
    store::{Life, Renewal},
};
use holdall_protocol::{close::Close, ids::SessionId};
use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout, timeout_at},
};

/// How often a lease is renewed before it would run out.
const RENEWALS_PER_LEASE: u32 = 3;
/// How often a renewal that failed is tried again before the next one would be due.
const TRIES_PER_RENEWAL: u32 = 10;
/// The pause after a renewal that failed, at most.
const PAUSE_LONGEST: Duration = Duration::from_millis(500);

/// Until when this process may answer for its players.
#[derive(Debug)]
pub struct Lease {
    origin: Instant,
    /// In milliseconds after `origin`.
    until: AtomicU64,
    held: watch::Sender<bool>,
}

/// A later boot of this node has signed on: two processes run on copies of one data directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Superseded;

impl Lease {
    /// A lease of this length, which is not held before the store has given it; or one that needs no renewal.
    pub(super) fn new(length: Option<Duration>) -> Self {
        let until = if length.is_none() { u64::MAX } else { 0 };
        let (until, held) = (AtomicU64::new(until), watch::Sender::new(length.is_none()));
        Self { origin: Instant::now(), until, held }
    }

    /// Whether players may be served from memory now.
    #[must_use]
    pub fn is_held(&self) -> bool {
        let until = self.until.load(Ordering::Acquire);
        until == u64::MAX || millis(self.origin.elapsed()) < until
    }

    /// Waits until it is held.
    pub async fn held(&self) {
        // The sender lives as long as the lease.
        let _ = self.held.subscribe().wait_for(|held| *held).await;
    }

    /// Whether it is held, and every change of that as the renewal notices it.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<bool> {
        self.held.subscribe()
    }

    fn extend(&self, end: Instant) {
        self.until.store(millis(end.duration_since(self.origin)), Ordering::Release);
    }
}

/// How long nobody may be served although the store says who owns whom. Whoever took a player while this node was silent
/// was perhaps forgotten by a store that was restarted since, and has one lease to say so: before, the store knows us as
/// the owner and is wrong.
#[derive(Debug, Default)]
struct Quiet {
    /// The store's life in which the lease was held last.
    life: Option<Life>,
    until: Option<Instant>,
}

impl Quiet {
    /// The store has just said that this is its life now.
    fn come_back(&mut self, life: Life, lease: Duration) {
        if self.life.replace(life).is_some_and(|before| before != life) {
            self.until = Instant::now().checked_add(lease);
        }
    }

    fn was_over(&self, at: Instant) -> bool {
        self.until.is_none_or(|until| at >= until)
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl Roster {
    /// Keeps the lease, where the store gives one. Run it once, as a task of its own.
    ///
    /// # Errors
    /// [`Superseded`]: the process must end.
    pub async fn keep_lease(self: Arc<Self>) -> Result<Infallible, Superseded> {
        let Some(length) = self.store.lease() else { return std::future::pending().await };
        let step = length.checked_div(RENEWALS_PER_LEASE).unwrap_or(length);
        let mut quiet = Quiet::default();
        loop {
            // Counted from before the question: the store counts from when it hears it.
            let asked = Instant::now();
            let end = asked.checked_add(length).unwrap_or(asked);
            match timeout(length, self.store.renew(self.journal.life())).await {
                Ok(Ok(Renewal::Held(life))) if self.lease.is_held() => {
                    quiet.life = Some(life);
                    self.lease.extend(end);
                    if life == self.journal.life() {
                        sleep(step).await;
                    } else {
                        // Others wait for us to look, and to say so with the next renewal.
                        self.look_around(asked.checked_add(step).unwrap_or(asked)).await;
                    }
                }
                Ok(Ok(Renewal::Held(life) | Renewal::Lapsed(life))) => {
                    quiet.come_back(life, length);
                    self.lose_lease();
                    if self.look_around(end).await {
                        // In a life that began meanwhile, or before the others had said all, it proves nothing.
                        if life == self.journal.life() && quiet.was_over(asked) {
                            tracing::info!("the lease is held and every loaded player has been looked at");
                            self.lease.extend(end);
                            self.lease.held.send_replace(true);
                        }
                        sleep(step).await;
                    }
                }
                Ok(Ok(Renewal::Superseded)) => return Err(Superseded),
                Ok(Err(error)) => {
                    tracing::debug!(%error, "the lease could not be renewed");
                    sleep(step.checked_div(TRIES_PER_RENEWAL).unwrap_or(step).min(PAUSE_LONGEST)).await;
                }
                Err(_) => tracing::debug!("the lease could not be renewed: no answer"),
            }
            self.look();
        }
    }

    /// What a session may send now: without the lease nothing, whatever is durable. Somebody else may have gone on from it.
    pub fn take_ready(&self, cell: &Cell, session: SessionId, out: &mut Vec<Frame>) -> Taken {
        let mut inner = cell.lock();
        if !self.lease.is_held() {
            inner.silence(session, Close::StoreUnavailable);
        }
        inner.take_ready(session, out)
    }

    /// Others may have taken players, or the store may have lost some: each of them is looked at. Whether that was done by
    /// `until`.
    async fn look_around(&self, until: Instant) -> bool {
        self.journal.doubt();
        timeout_at(until, self.journal.sure()).await.is_ok()
    }

    /// Takes note of a lease that has run out.
    fn look(&self) {
        if !self.lease.is_held() {
            self.lose_lease();
        }
    }

    fn lose_lease(&self) {
        self.lease.until.store(0, Ordering::Release);
        if self.lease.held.send_replace(false) {
            self.metrics.leases_lost.inc();
            tracing::warn!("the lease has run out: nobody is served until the store answers again");
            self.close_all(Close::StoreUnavailable);
        }
    }
}
