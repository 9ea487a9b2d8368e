//! The end: not ready → nobody joins → clients are told → what is in flight is finished → everything is saved and
//! released → gone. What cannot be saved goes to the spool.

use super::Stopped;
use crate::{
    journal::{Health, Journal, spool},
    market::trade_desk::TradeDesk,
    roster::{Roster, lease::Superseded},
    store::Store,
    telemetry::readiness::Readiness,
};
use holdall_protocol::close::Close;
use std::{convert::Infallible, path::Path, sync::Arc, time::Duration};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, timeout_at},
};

/// A server that runs.
pub(super) struct Running {
    pub(super) journal: Arc<Journal>,
    pub(super) roster: Arc<Roster>,
    pub(super) store: Arc<dyn Store>,
    pub(super) readiness: Arc<Readiness>,
    pub(super) stopping: watch::Sender<bool>,
    pub(super) writer: JoinHandle<()>,
    pub(super) lease: JoinHandle<Result<Infallible, Superseded>>,
    pub(super) letters: JoinHandle<Infallible>,
    pub(super) desk: Arc<TradeDesk>,
    pub(super) trades: JoinHandle<Infallible>,
    pub(super) shop: JoinHandle<()>,
    pub(super) hangups: JoinHandle<Infallible>,
    pub(super) gateway_task: JoinHandle<()>,
    pub(super) operator_task: JoinHandle<()>,
}

impl Running {
    /// Runs until `stop` or until the store breaks, then ends everything within what `patience` is by then, as far as that is possible.
    pub(super) async fn until(
        mut self,
        stop: impl Future<Output = ()> + Send,
        patience: impl Fn() -> Duration + Send,
        spool: &Path,
    ) -> Stopped {
        let (mut health, mut held) = (self.journal.health(), self.roster.lease.watch());
        let mut superseded = false;
        self.tell_lease(*held.borrow_and_update());
        tokio::pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => {
                    tracing::info!("stopping");
                    break;
                }
                written = &mut self.writer => {
                    // It ends only when the store is broken; a panic in it would leave acknowledged work unwritten.
                    if written.is_err() {
                        tracing::error!("the journal's writer panicked; the process ends at once");
                        std::process::abort();
                    }
                    break;
                }
                _ = &mut self.lease => {
                    tracing::error!("another server has signed on with this data directory's node id: give each server a data directory of its own");
                    superseded = true;
                    break;
                }
                _ = health.changed() => self.tell_health(&health.borrow_and_update()),
                _ = held.changed() => self.tell_lease(*held.borrow_and_update()),
            }
        }
        match self.end(patience(), spool).await {
            Stopped::Clean if superseded => Stopped::StoreFailed,
            stopped => stopped,
        }
    }

    fn tell_lease(&self, held: bool) {
        if held {
            self.readiness.unblock("lease");
        } else {
            self.readiness
                .block("lease", "the store was away for longer than a lease: nobody is served until it is back");
        }
    }

    fn tell_health(&self, health: &Health) {
        match health {
            Health::Good => self.readiness.unblock("store"),
            Health::Away => self.readiness.block("store", "the store does not answer"),
            Health::Broken(error) => self.readiness.block("store", error),
        }
    }

    async fn end(self, patience: Duration, spool: &Path) -> Stopped {
        let deadline = Instant::now().checked_add(patience).unwrap_or_else(Instant::now);
        let broken = matches!(*self.journal.health().borrow(), Health::Broken(_));
        self.readiness.block("stopping", "the server stops");
        self.stopping.send_replace(true);
        if broken {
            // Nothing will become durable any more, so nothing that waits for it may be told.
            self.roster.drop_all(Close::StoreUnavailable);
        } else {
            self.desk.close_all();
            self.roster.close_all(Close::Restart);
        }
        if timeout_at(deadline, self.gateway_task).await.is_err() {
            tracing::warn!("some connections did not end in time and are cut");
        }
        self.roster.unload_all();
        let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_secs(1));
        let flushed = !broken && self.journal.flush(left).await;
        // A writer that ended by itself was waited for already.
        if !self.writer.is_finished() {
            // A writer that is aborted in the middle of a commit does not know its outcome; the spool will.
            self.writer.abort();
            let _ = self.writer.await;
        }
        self.letters.abort();
        self.trades.abort();
        self.shop.abort();
        self.hangups.abort();
        // A renewal under way must not overtake the resignation.
        self.lease.abort();
        if flushed {
            self.store.resign().await;
        }
        let stopped = if flushed { Stopped::Clean } else { self.journal.spool_rest(spool, &self.store.home(), broken) };
        let _ = timeout_at(deadline, self.operator_task).await;
        stopped
    }
}

impl Journal {
    fn spool_rest(&self, file: &Path, home: &str, broken: bool) -> Stopped {
        let rest = self.take_all();
        if !rest.is_empty() {
            match spool::write(file, home, &rest) {
                Ok(()) => {
                    tracing::error!(batches = rest.len(), file = %file.display(), "what could not be saved is in the spool; the next start saves it")
                }
                Err(error) => {
                    tracing::error!(batches = rest.len(), %error, "what could not be saved could not be spooled either and is lost; with ack = \"durable\" nothing of it was acknowledged")
                }
            }
        }
        match (broken, rest.is_empty()) {
            (true, _) => Stopped::StoreFailed,
            (false, true) => Stopped::Clean,
            (false, false) => Stopped::Spooled,
        }
    }
}
