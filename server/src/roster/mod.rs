//! The loaded players: one cell each, its player behind one lock.
//!
//! Owns loading and unloading, the owner token of each player, and the only way in which a record is made: applied to
//! memory, pushed into the journal and told to clients under one hold of the lock. Called by `session`, `market` and
//! `operator`. Learns of durability and loss from the journal. A lock is held for microseconds, never across an await;
//! the order is players by id, then the journal's pending set.

pub mod allowance;
pub mod cell;
pub mod holds;
pub mod inbox;
pub mod lease;
mod load;
mod mail;
pub mod orders;
pub mod pair;
pub mod record;
pub mod reload;
pub mod remembered;
pub mod retention;
pub mod trades;
mod unload;
pub mod upgrade;
pub mod view;

pub use load::LoadError;

use crate::{
    catalog::Rules,
    clock::{Clock, Dice},
    journal::{Ack, Committed, Held, Journal, Watcher},
    schema::Chain,
    store::Store,
    telemetry::metrics::Metrics,
};
use allowance::Quotas;
use arc_swap::{ArcSwap, Guard};
use cell::{Cell, Inner, Stage};
use dashmap::DashMap;
use hashbrown::DefaultHashBuilder;
use holdall_protocol::{
    close::Close,
    ids::{PlayerId, Revision},
};
use lease::Lease;
use parking_lot::RwLock;
use retention::Retention;
use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};
use trades::{Departure, Departures};

/// The roster's bounds.
#[derive(Debug, Clone)]
pub struct Options {
    /// How long a player stays loaded after the last connection ended.
    pub linger: Duration,
    /// Bytes of frames kept a player, for resumes and repeats.
    pub resume_bytes_max: usize,
    /// Bytes of frames that wait for one connection before they collapse.
    pub outbox_bytes_max: usize,
    /// What a player may ask for.
    pub quotas: Quotas,
    /// The record formats.
    pub chain: &'static Chain,
    /// Gifts that wait for one player, at most.
    pub inbox_max: usize,
    /// After how long a waiting gift that does not fit goes back.
    pub inbox_time: Duration,
    /// What is kept of ledgers.
    pub retention: Retention,
}

/// All players in this process.
pub struct Roster {
    cells: DashMap<PlayerId, Arc<Cell>, DefaultHashBuilder>,
    /// Where records go.
    pub journal: Arc<Journal>,
    store: Arc<dyn Store>,
    rules: ArcSwap<Rules>,
    /// Wall-clock time.
    pub clock: Clock,
    /// Chance.
    pub dice: Dice,
    options: RwLock<Arc<Options>>,
    departures: OnceLock<Arc<dyn Departures>>,
    lingering: unload::Lingering,
    /// Holds of loaded players that will expire.
    watched: holds::Watch,
    /// Orders on their way to other processes.
    given: orders::Given,
    /// Keys of orders, and of deeds of the shop, that this process has begun.
    pub order_keys: orders::Keys,
    looks: view::Looks,
    /// Held by whoever works on a long ledger.
    shortening: tokio::sync::Mutex<()>,
    /// Until when players may be served.
    pub lease: Lease,
    /// Where everything that has to do with players is counted.
    pub metrics: Arc<Metrics>,
}

impl Roster {
    /// An empty roster, which the journal reports to from now on.
    #[must_use]
    pub fn new(
        journal: Arc<Journal>,
        store: Arc<dyn Store>,
        rules: Arc<Rules>,
        (clock, dice): (Clock, Dice),
        options: Options,
    ) -> Arc<Self> {
        let cells = DashMap::default();
        let lease = Lease::new(store.lease());
        let (rules, options) = (ArcSwap::new(rules), RwLock::new(Arc::new(options)));
        let metrics = journal.metrics().clone();
        let roster = Arc::new(Self {
            cells,
            journal,
            store,
            rules,
            clock,
            dice,
            options,
            departures: OnceLock::new(),
            lingering: unload::Lingering::default(),
            watched: holds::Watch::default(),
            given: orders::Given::default(),
            order_keys: orders::Keys::default(),
            looks: view::Looks::default(),
            shortening: tokio::sync::Mutex::default(),
            lease,
            metrics,
        });
        roster.journal.set_watcher(Arc::new(Told(Arc::downgrade(&roster))));
        roster
    }

    /// The rules in force. Ask under the lock of the player who is judged by them: then whoever is told of new ones has
    /// not been judged, or shown anything, by earlier ones since.
    #[must_use]
    pub fn rules(&self) -> Guard<Arc<Rules>> {
        self.rules.load()
    }

    /// The roster's bounds.
    #[must_use]
    pub fn options(&self) -> Arc<Options> {
        self.options.read().clone()
    }

    /// The record formats.
    #[must_use]
    pub fn chain(&self) -> &'static Chain {
        self.options.read().chain
    }

    /// A player that is in memory, in whatever stage.
    #[must_use]
    pub fn find(&self, player: &PlayerId) -> Option<Arc<Cell>> {
        self.cells.get(player).map(|cell| cell.value().clone())
    }

    /// Where players rest.
    #[must_use]
    pub fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// Players in memory.
    #[must_use]
    pub fn loaded(&self) -> usize {
        self.cells.len()
    }

    /// Whether replies wait for durability.
    #[must_use]
    pub fn waits(&self) -> bool {
        self.journal.ack() == Ack::Durable
    }

    /// Waits until a revision of a player is durable. False where the player left the game before that.
    pub async fn is_durable(&self, cell: &Cell, revision: Revision) -> bool {
        loop {
            let changed = cell.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            {
                let inner = cell.lock();
                if inner.durable() >= revision {
                    return true;
                }
                if matches!(inner.stage, Stage::Gone | Stage::Failed(_)) {
                    return false;
                }
            }
            changed.await;
        }
    }

    /// Drops a cell from the map, unless a newer one has taken its place.
    fn forget(&self, cell: &Arc<Cell>) {
        self.cells.remove_if(&cell.id, |_, known| Arc::ptr_eq(known, cell));
        cell.changed.notify_waiters();
    }

    /// Drops a player unsaved: what is pending for it still commits, what is not durable is never told. For a fault
    /// of ours in the middle of a change; the next load waits until the journal is done with the player.
    pub fn abandon(&self, cell: &Arc<Cell>, inner: &mut Inner) {
        self.departs(cell, inner, Departure::Lost);
        inner.lose(Close::Reload);
        self.metrics.players_dropped.inc();
        self.forget(cell);
    }
}

/// The journal's way to the roster, which owns the journal in turn.
struct Told(std::sync::Weak<Roster>);

impl Watcher for Told {
    fn durable(&self, committed: &[Committed]) {
        let Some(roster) = self.0.upgrade() else { return };
        for Committed { player, revision, released } in committed {
            let Some(cell) = roster.find(player) else { continue };
            let (gone, receivers) = {
                let mut seat = cell.lock();
                let before = seat.durable();
                seat.set_durable(*revision);
                if let Stage::Ready(ready) = &mut seat.stage {
                    roster.shorten_ledger_between(&cell, (before, *revision), ready);
                }
                let gone = *released && matches!(seat.stage, Stage::Draining);
                if gone {
                    seat.stage = Stage::Gone;
                }
                (gone, seat.take_receivers())
            };
            cell.changed.notify_waiters();
            for receiver in receivers {
                tokio::spawn(roster.clone().announce(receiver));
            }
            if gone {
                roster.forget(&cell);
            }
        }
    }

    fn held(&self) -> Vec<Held> {
        let Some(roster) = self.0.upgrade() else { return Vec::new() };
        let cells = roster.everyone();
        let held = cells.iter().filter_map(|cell| {
            let inner = cell.lock();
            let Stage::Ready(seat) = &inner.stage else { return None };
            Some(Held {
                player: cell.id.clone(),
                owner: seat.owner.clone(),
                origin: seat.origin.clone(),
                durable: inner.durable(),
            })
        });
        held.collect()
    }

    fn lost(&self, players: &[PlayerId]) {
        let Some(roster) = self.0.upgrade() else { return };
        for player in players {
            if let Some(cell) = roster.find(player) {
                roster.abandon(&cell, &mut cell.lock());
            }
        }
    }
}
