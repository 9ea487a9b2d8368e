//! How long ledgers get. The oldest entries of one that is too long or too old make room for an opening balance: what the
//! player had when the last of them was made.
//!
//! Looked at after a load and now and then while somebody plays, in the background, one ledger at a time. Whole pages of the
//! store's go, each time as many as are over; what stands for them comes with the player's next write, so that only the
//! owner can put it there. It is found by undoing what came after it. Of somebody who plays on and on, milestones are kept in
//! memory, so that it is not all that came after it: else each entry would be read and undone twice before it goes. Of a page
//! that goes, only the newest entry is understood.

use super::{
    Roster,
    cell::{Cell, Seat, Stage},
};
use crate::{
    ledger::past::{Book, Now, Opening, Past},
    schema::{Chain, Stamp},
    store::{self, LedgerItem, Owner, ReadError, Stored},
};
use bytes::Bytes;
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

/// What a player had at a revision of this load, which later ones can be told from.
#[derive(Debug, Clone)]
pub(super) struct Milestone {
    revision: Revision,
    /// As an opening, which is the smallest that it gets.
    things: Bytes,
}

impl Seat {
    /// Entries of its ledger.
    const fn entries(&self) -> u64 {
        self.revision.get().saturating_sub(self.opened.get())
    }

    /// Makes a milestone where a ledger may once begin, half as far from the last one as entries are kept. Of those that lie
    /// behind what is kept, the newest stays.
    fn pass(&mut self, retention: Retention) {
        if retention.entries_max < LOOK_EVERY {
            // So few are read in no time, and milestones would lie too far apart to be of use.
            return;
        }
        let (revision, apart) = (self.revision, retention.entries_max / 2);
        let last = self.rare.milestones.last().map_or(self.opened, |last| last.revision);
        if revision.get().saturating_sub(last.get()) < apart {
            return;
        }
        let opening = Opening { revision, at: 0, things: self.player.places().collect() };
        self.rare.milestones.push(Milestone { revision, things: opening.write(self.form) });
        let surplus = retention.surplus(revision);
        let passed = self.rare.milestones.iter().take_while(|milestone| milestone.revision <= surplus).count();
        self.rare.milestones.drain(..passed.saturating_sub(1));
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

    /// The newest entry that goes by number, of a player who is at `newest`.
    const fn surplus(self, newest: Revision) -> Revision {
        Revision::new(newest.get().saturating_sub(self.entries_max))
    }

    /// Whether an entry that was made then goes by its age.
    fn is_over(self, at: u64, now: u64) -> bool {
        self.time_max.is_some_and(|max| Duration::from_millis(now.saturating_sub(at)) >= max)
    }
}

impl Roster {
    /// Looks at the ledger of a player who was just loaded, if it may be too long.
    pub(super) fn shorten_ledger(self: &Arc<Self>, cell: &Arc<Cell>, seat: &Seat) {
        if self.options.read().retention.may_let_go(seat) {
            tokio::spawn(self.clone().shorten(cell.clone()));
        }
    }

    /// The same while somebody plays, when a player gets from one revision to another. A look may read the whole ledger: the
    /// longer it is, the rarer they are, so that each change pays for a few entries and not for all.
    pub(super) fn shorten_ledger_between(
        self: &Arc<Self>,
        cell: &Arc<Cell>,
        (from, to): (Revision, Revision),
        seat: &mut Seat,
    ) {
        let quarter = seat.entries().checked_ilog2().map_or(0, |log| 1_u64 << log) / 4;
        let step = quarter.max(LOOK_EVERY);
        if from.get().checked_div(step) != to.get().checked_div(step) {
            seat.pass(self.options.read().retention);
            self.shorten_ledger(cell, seat);
        }
    }

    async fn shorten(self: Arc<Self>, cell: Arc<Cell>) {
        let _one_at_a_time = self.shortening.lock().await;
        let milestones = cell.lock().seat().map(|seat| seat.rare.milestones.clone()).unwrap_or_default();
        match self.opening_of(&cell.id, milestones).await {
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
    async fn opening_of(
        &self,
        player: &PlayerId,
        mut milestones: Vec<Milestone>,
    ) -> Result<Option<(Owner, store::Opening)>, Left> {
        let Some(stored) = self.store.peek(player.clone()).await? else { return Ok(None) };
        let Some(owner) = stored.owner.clone() else { return Ok(None) };
        let (now, chain, retention) = (self.clock.now_ms(), self.chain(), self.options.read().retention);
        let surplus = retention.surplus(stored.revision);
        let beyond = |milestone: &Milestone| surplus.get().checked_sub(milestone.revision.get());
        milestones.retain(|milestone| beyond(milestone).is_some_and(|beyond| beyond <= retention.entries_max));
        let milestone = milestones.pop();
        // No further than to where little has to be undone; the rest goes the next time.
        let surplus = milestone.as_ref().map_or(surplus, |milestone| milestone.revision);
        let kept = Revision::new(stored.revision.get().saturating_sub(KEPT_MIN));
        let (mut cut, mut rest, mut mark) = (None, Vec::new(), None);
        loop {
            let page = self.store.ledger(player.clone(), mark).await?;
            match (last_of(chain, &page.items)?, &page.next) {
                (Some((revision, at)), Some(end))
                    if rest.is_empty() && revision <= kept && (revision <= surplus || retention.is_over(at, now)) =>
                {
                    cut = Some(Cut { revision, at, mark: end.clone() });
                }
                _ => rest.extend(page.items),
            }
            mark = page.next;
            let reached = cut.as_ref().is_none_or(|cut| cut.revision <= surplus)
                && milestone.is_some()
                && rest.last().is_some_and(|(newest, _)| *newest >= surplus);
            if mark.is_none() || reached {
                break;
            }
        }
        let Some(cut) = cut else { return Ok(None) };
        let milestone = milestone.filter(|milestone| cut.revision <= milestone.revision);
        let Some(opening) = open_at(chain, &cut, (&stored, milestone), &rest)? else { return Ok(None) };
        Ok(Some((owner, opening)))
    }
}

/// The newest entry among a page of a ledger, and when it was made.
fn last_of(chain: &Chain, items: &[LedgerItem]) -> Result<Option<(Revision, u64)>, Left> {
    let book = read(chain, items.last())?;
    Ok(book.pages.last().map(|last| (last.revision, last.at)))
}

fn read<'i>(chain: &Chain, items: impl IntoIterator<Item = &'i LedgerItem>) -> Result<Book, Left> {
    let book = Book::read(chain, items);
    match book.unreadable.first() {
        Some((revision, error)) => Err(Left::Unreadable(format!("what was written with revision {revision}: {error}"))),
        None => Ok(book),
    }
}

/// The opening that stands for all up to a cut: what the player had at a milestone behind it, or has now, with what the rest
/// of the ledger changed since undone.
fn open_at(
    chain: &'static Chain,
    cut: &Cut,
    (stored, milestone): (&Stored, Option<Milestone>),
    rest: &[LedgerItem],
) -> Result<Option<store::Opening>, Left> {
    let Cut { revision, at, ref mark } = *cut;
    let unreadable = |lost: &dyn std::error::Error| Left::Unreadable(lost.to_string());
    let stamp = Stamp::stored(stored.schema, stored.readable_by);
    let begin = Opening { revision, at, ..Opening::default() };
    let pages = read(chain, rest)?.pages;
    let past = match milestone {
        Some(Milestone { revision, things }) => {
            let things = Opening::read(chain, &things).map_err(|error| unreadable(&error))?.things;
            Past::before(chain, (revision, stamp, things), begin.clone(), pages)
        }
        None => {
            let present = Now { revision: stored.revision, stamp, places: &stored.places };
            Past::of(chain, present, begin.clone(), pages).map_err(|error| unreadable(&error))?
        }
    };
    let Some(things) = past.at(revision).map_err(|error| unreadable(&error))? else { return Ok(None) };
    let content = Opening { things, ..begin }.write(chain.form().over(stamp));
    Ok(Some(store::Opening { revision, mark: mark.clone(), content }))
}
