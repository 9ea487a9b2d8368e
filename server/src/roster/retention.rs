//! How long ledgers get. The oldest entries of one that is too long or too old make room for an opening balance: what the
//! player had when the last of them was made.
//!
//! Looked at after a load and now and then while somebody plays, in the background, one ledger at a time. Whole pages of the
//! store's go, each time as many as are over; what stands for them comes with the player's next write, so that only the
//! owner can put it there.

use super::{
    Roster,
    cell::{Cell, Seat, Stage},
};
use crate::{
    ledger::past::{Book, Now, Opening, Past},
    schema::Stamp,
    store::{self, Owner, ReadError},
};
use holdall_protocol::ids::{PlayerId, Revision};
use std::{sync::Arc, time::Duration};

/// Entries that always stay: what answers repeated requests.
pub const KEPT_MIN: u64 = 64;
/// While somebody plays, the ledger is looked at once in so many revisions at most.
const LOOK_EVERY: u64 = 1_024;

/// What is kept of a ledger.
#[derive(Debug, Clone, Copy)]
pub struct Retention {
    /// How many entries, at least [`KEPT_MIN`].
    pub entries_max: u64,
    /// For how long; `None` for ever.
    pub time_max: Option<Duration>,
}

/// Why a ledger is left as it is.
#[derive(Debug, thiserror::Error)]
enum Left {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("{0}")]
    Unreadable(String),
}

/// The last of the entries that go.
struct Cut {
    revision: Revision,
    at: u64,
    mark: String,
}

impl Seat {
    /// Entries of its ledger.
    const fn entries(&self) -> u64 {
        self.revision.get().saturating_sub(self.opened.get())
    }
}

impl Retention {
    /// Whether a look at a ledger may find something to let go. By number only where there is half as much again, so that it
    /// is worth the look.
    fn may_let_go(self, seat: &Seat) -> bool {
        let entries = seat.entries();
        entries > self.entries_max.saturating_add(self.entries_max / 2)
            || (self.time_max.is_some() && entries > KEPT_MIN)
    }

    /// Whether an entry goes, of a player who is at `newest`.
    fn lets_go(self, revision: Revision, at: u64, newest: Revision, now: u64) -> bool {
        let behind = newest.get().saturating_sub(revision.get());
        let waited = Duration::from_millis(now.saturating_sub(at));
        behind >= KEPT_MIN && (behind >= self.entries_max || self.time_max.is_some_and(|max| waited >= max))
    }
}

impl Roster {
    /// Looks at the ledger of a player who was just loaded, if it may be too long.
    pub(super) fn shorten_ledger(self: &Arc<Self>, cell: &Arc<Cell>, seat: &Seat) {
        if self.options.read().retention.may_let_go(seat) {
            tokio::spawn(self.clone().shorten(cell.clone()));
        }
    }

    /// The same while somebody plays, when a player gets from one revision to another. A look reads the whole ledger: the
    /// longer it is, the rarer they are, so that each change pays for a few entries and not for all.
    pub(super) fn shorten_ledger_between(
        self: &Arc<Self>,
        cell: &Arc<Cell>,
        (from, to): (Revision, Revision),
        seat: &Seat,
    ) {
        let quarter = seat.entries().checked_ilog2().map_or(0, |log| 1_u64 << log) / 4;
        let step = quarter.max(LOOK_EVERY);
        if from.get().checked_div(step) != to.get().checked_div(step) {
            self.shorten_ledger(cell, seat);
        }
    }

    async fn shorten(self: Arc<Self>, cell: Arc<Cell>) {
        let _one_at_a_time = self.shortening.lock().await;
        match self.opening_of(&cell.id).await {
            Ok(Some((owner, opening))) => self.open_with(&cell, &owner, opening),
            Ok(None) => {}
            Err(Left::Read(error)) => tracing::debug!(player = %cell.id, %error, "a ledger could not be looked at"),
            Err(Left::Unreadable(error)) => {
                tracing::warn!(player = %cell.id, %error, "the oldest entries of a ledger stay: it cannot be read whole");
            }
        }
    }

    /// Only for the load in which it was found out: what it says of is then still there.
    fn open_with(&self, cell: &Cell, owner: &Owner, opening: store::Opening) {
        let mut inner = cell.lock();
        let Stage::Ready(seat) = &mut inner.stage else { return };
        if seat.owner == *owner && opening.revision > seat.opened && self.journal.has_room() {
            seat.opened = opening.revision;
            let nothing = crate::engine::change::Changes::default();
            self.journal.open(&seat.side(&cell.id, &nothing, &[]), opening);
        }
    }

    /// What a stored ledger should begin with, and under which token its player is loaded; `None` where it is fine.
    async fn opening_of(&self, player: &PlayerId) -> Result<Option<(Owner, store::Opening)>, Left> {
        let Some(stored) = self.store.peek(player.clone()).await? else { return Ok(None) };
        let Some(owner) = stored.owner.clone() else { return Ok(None) };
        let (now, chain, retention) = (self.clock.now_ms(), self.chain(), self.options.read().retention);
        let (mut cut, mut rest, mut mark) = (None, Vec::new(), None);
        loop {
            let page = self.store.ledger(player.clone(), mark).await?;
            let book = Book::read(chain, &page.items);
            if let Some((revision, error)) = book.unreadable.first() {
                return Err(Left::Unreadable(format!("what was written with revision {revision}: {error}")));
            }
            match (book.pages.last(), &page.next) {
                (Some(last), Some(end))
                    if rest.is_empty() && retention.lets_go(last.revision, last.at, stored.revision, now) =>
                {
                    cut = Some(Cut { revision: last.revision, at: last.at, mark: end.clone() });
                }
                _ => rest.extend(book.pages),
            }
            mark = page.next;
            if mark.is_none() {
                break;
            }
        }
        let Some(Cut { revision, at, mark }) = cut else { return Ok(None) };
        let stamp = Stamp::stored(stored.schema, stored.readable_by);
        let present = Now { revision: stored.revision, stamp, places: &stored.places };
        let begin = Opening { revision, at, ..Opening::default() };
        let unreadable = |lost: crate::ledger::past::Lost| Left::Unreadable(lost.to_string());
        let past = Past::of(chain, present, begin.clone(), rest).map_err(unreadable)?;
        let Some(things) = past.at(revision).map_err(unreadable)? else { return Ok(None) };
        let content = Opening { things, ..begin }.write(chain.form().over(stamp));
        Ok(Some((owner, store::Opening { revision, mark, content })))
    }
}
