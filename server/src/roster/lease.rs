//! The node's right to its players, as far as time goes: renewed while the store answers, and past its deadline nothing
//! may be read or promised from memory until every loaded player has been looked at again.
//!
//! Time only decides who may be served. Who may write is decided by the owner token inside the store.

use super::Roster;
use crate::store::{Life, Renewal};
use holdall_protocol::close::Close;
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
    time::{Instant, sleep},
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
    /// A lease that has just been given, or that needs no renewal.
    pub(super) fn new(length: Option<Duration>) -> Self {
        let lease = Self { origin: Instant::now(), until: AtomicU64::new(u64::MAX), held: watch::Sender::new(true) };
        if let Some(length) = length {
            lease.extend(lease.origin, length);
        }
        lease
    }

    /// Whether players may be served from memory now.
    #[must_use]
    pub fn is_held(&self) -> bool {
        let until = self.until.load(Ordering::Acquire);
        until == u64::MAX || millis(self.origin.elapsed()) < until
    }

    /// Whether it is held, and every change of that as the renewal notices it.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<bool> {
        self.held.subscribe()
    }

    fn extend(&self, asked: Instant, length: Duration) {
        let until = asked.duration_since(self.origin).saturating_add(length);
        self.until.store(millis(until), Ordering::Release);
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
        loop {
            // Counted from before the question: the store counts from when it hears it.
            let asked = Instant::now();
            match self.store.renew().await {
                Ok(Renewal::Held(life)) if self.lease.is_held() => {
                    self.notice(life);
                    self.lease.extend(asked, length);
                    sleep(step).await;
                }
                Ok(Renewal::Held(_) | Renewal::Lapsed(_)) => self.come_back(asked, length).await,
                Ok(Renewal::Superseded) => return Err(Superseded),
                Err(error) => {
                    tracing::debug!(%error, "the lease could not be renewed");
                    sleep(step.checked_div(TRIES_PER_RENEWAL).unwrap_or(step).min(PAUSE_LONGEST)).await;
                }
            }
            self.look();
        }
    }

    fn notice(&self, life: Life) {
        if life != self.journal.life() {
            self.journal.doubt();
        }
    }

    /// The lease runs anew after a time in which others may have taken players: nobody is served before each of them has
    /// been looked at.
    async fn come_back(&self, asked: Instant, length: Duration) {
        self.lose_lease();
        self.journal.doubt();
        let sure = tokio::time::timeout_at(asked.checked_add(length).unwrap_or(asked), self.journal.sure());
        if sure.await.is_ok() {
            tracing::info!("the lease is held again and every loaded player has been looked at");
            self.lease.extend(asked, length);
            self.lease.held.send_replace(true);
        }
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
            tracing::warn!("the lease has run out: nobody is served until the store answers again");
            self.close_all(Close::StoreUnavailable);
        }
    }
}
