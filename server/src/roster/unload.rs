//! Leaving memory: the linger, the last save, the release.

use super::{
    Roster,
    cell::{Cell, Inner, Stage},
    trades::Departure,
};
use holdall_protocol::{close::Close, ids::SessionId};
use parking_lot::Mutex;
use std::{collections::VecDeque, sync::Arc};
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

/// Players who leave when their linger is over, unless somebody comes, in the order in which they began it.
#[derive(Default)]
pub(super) struct Lingering {
    queue: Mutex<VecDeque<Linger>>,
    /// It may be over sooner, or later, than it was.
    pub(super) changed: Notify,
}

#[derive(Clone)]
struct Linger {
    begun: Instant,
    cell: Arc<Cell>,
    /// Another number means that somebody came or left meanwhile.
    visits: u64,
}

impl Roster {
    /// A session's connection is over. Only its own: a newer one is never touched.
    pub fn part(self: &Arc<Self>, cell: &Arc<Cell>, session: SessionId) {
        let visits = {
            let mut inner = cell.lock();
            inner.part(session);
            inner.visits
        };
        self.linger(cell.clone(), visits);
    }

    /// Unloads the player after the linger, unless somebody came or left meanwhile.
    pub(super) fn linger(self: &Arc<Self>, cell: Arc<Cell>, visits: u64) {
        if cell.lock().has_links() {
            return;
        }
        let mut queue = self.lingering.queue.lock();
        queue.push_back(Linger { begun: Instant::now(), cell, visits });
        // One task for all of them: every player lingers for a moment, and a timer each would weigh more.
        if queue.len() == 1 {
            tokio::spawn(self.clone().see_off());
        }
    }

    /// Until nobody lingers any more.
    async fn see_off(self: Arc<Self>) {
        let mut first = self.lingering.queue.lock().front().cloned();
        while let Some(Linger { begun, cell, visits }) = first {
            self.linger_is_over(begun).await;
            let roster = self.clone();
            // A task of its own, so that a fault with one player keeps nobody else from leaving.
            tokio::spawn(async move {
                let mut inner = cell.lock();
                if inner.visits == visits {
                    roster.unload(&cell, &mut inner);
                }
            });
            let mut queue = self.lingering.queue.lock();
            queue.pop_front();
            first = queue.front().cloned();
            if first.is_none() {
                queue.shrink_to_fit();
            }
        }
    }

    async fn linger_is_over(&self, begun: Instant) {
        loop {
            let end = begun.checked_add(self.options.read().linger).unwrap_or(begun);
            tokio::select! {
                biased;
                () = sleep_until(end) => return,
                () = self.lingering.changed.notified() => {}
            }
        }
    }

    /// Saves and releases a player who has no connection left; the cell drains until that is durable.
    pub(super) fn unload(&self, cell: &Cell, inner: &mut Inner) {
        if !inner.has_links() {
            self.drain(cell, inner, Departure::Unloaded);
        }
    }

    /// Releases the player with its last record; what was recorded is still told to whoever is connected.
    pub(super) fn drain(&self, cell: &Cell, inner: &mut Inner, how: Departure) {
        self.departs(cell, inner, how);
        if let Stage::Ready(seat) = &inner.stage {
            self.journal.release(&seat.side(&cell.id, &crate::engine::change::Changes::default(), &[]));
            inner.stage = Stage::Draining;
        }
    }

    /// Ends every session, each with its reason and all that is queued for it.
    pub fn close_all(&self, why: Close) {
        for cell in self.everyone() {
            cell.lock().close(why);
        }
    }

    /// Drops every player unsaved: for the end of a process whose store is broken.
    pub fn drop_all(&self, why: Close) {
        for cell in self.everyone() {
            let mut inner = cell.lock();
            self.departs(&cell, &mut inner, Departure::Lost);
            inner.lose(why);
            drop(inner);
            self.forget(&cell);
        }
    }

    /// Unloads every player without a connection, without lingering.
    pub fn unload_all(&self) {
        for cell in self.everyone() {
            let mut inner = cell.lock();
            self.unload(&cell, &mut inner);
        }
    }

    /// All cells in a fixed order, so that no guard of the map is held while they are locked.
    pub(super) fn everyone(&self) -> Vec<Arc<Cell>> {
        let mut cells: Vec<_> = self.cells.iter().map(|cell| cell.value().clone()).collect();
        cells.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        cells
    }
}
