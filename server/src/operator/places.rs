//! Places for connections: a bounded number of them, and whoever only keeps one makes way for whoever comes.
//!
//! A connection is busy while a request of its own is answered. Otherwise it is idle: its next request is waited for, or the
//! last answer is not yet read. So nobody keeps others out by opening connections and saying nothing, or by never reading.

use parking_lot::Mutex;
use std::{collections::BTreeMap, sync::Arc};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// All places of one door.
pub(super) struct Places {
    free: Arc<Semaphore>,
    most: u32,
    idle: Mutex<Idle>,
}

/// The connections that are idle, the one that has been so for the longest time first.
#[derive(Default)]
struct Idle {
    next: u64,
    connections: BTreeMap<u64, Arc<Notify>>,
}

/// One connection's place, until it is dropped.
pub(super) struct Place {
    places: Arc<Places>,
    needed: Arc<Notify>,
    /// Where it stands among the idle ones.
    turn: Mutex<Option<u64>>,
    _taken: OwnedSemaphorePermit,
}

/// The connection answers a request, until this is dropped.
pub(super) struct Busy(Arc<Place>);

impl Places {
    /// So many, all free.
    pub(super) fn new(most: u16) -> Arc<Self> {
        let most = u32::from(most);
        let free = Arc::new(Semaphore::new(usize::try_from(most).unwrap_or(usize::MAX)));
        Arc::new(Self { free, most, idle: Mutex::default() })
    }

    /// A place for a connection that is idle yet. Where none is free, the one that has been idle for the longest time has to
    /// go; where none is idle either, this waits.
    pub(super) async fn take(self: &Arc<Self>) -> Arc<Place> {
        if self.free.available_permits() == 0
            && let Some((_, longest)) = self.idle.lock().connections.pop_first()
        {
            longest.notify_one();
        }
        let taken = Arc::clone(&self.free).acquire_owned().await.expect("the semaphore is never closed");
        let place = Place { places: Arc::clone(self), needed: Arc::default(), turn: Mutex::default(), _taken: taken };
        place.idle();
        Arc::new(place)
    }

    /// Resolves when every place is free.
    pub(super) async fn all_free(&self) {
        let _ = self.free.acquire_many(self.most).await;
    }
}

impl Place {
    /// Resolves when somebody else needs it.
    pub(super) async fn needed(&self) {
        self.needed.notified().await;
    }

    /// Keeps it while a request is answered.
    pub(super) fn busy(self: &Arc<Self>) -> Busy {
        self.leave_the_idle();
        Busy(Arc::clone(self))
    }

    fn idle(&self) {
        let mut idle = self.places.idle.lock();
        let turn = idle.next;
        idle.next = turn.wrapping_add(1);
        idle.connections.insert(turn, Arc::clone(&self.needed));
        *self.turn.lock() = Some(turn);
    }

    fn leave_the_idle(&self) {
        if let Some(turn) = self.turn.lock().take() {
            self.places.idle.lock().connections.remove(&turn);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.leave_the_idle();
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.idle();
    }
}
