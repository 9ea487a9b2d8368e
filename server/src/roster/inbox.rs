//! What waits for a player in the store's inbox, on its way into their hands.
//!
//! A gift is put by its giver's record ([`gift_for`]) and taken by a record of its receiver's own, which only whoever owns
//! the receiver can write: so it is taken once, whoever crashes when. The receiver's process looks into the inbox at a load,
//! when it is told to, and when something has left a bag in which a gift had found no room. To be told twice, late or never
//! is harmless: what waits goes on waiting.

pub use crate::store::{Door, Owner, ReadError};

use super::{
    Roster,
    cell::{Cell, Inner, Seat, Stage},
    record::{Effects, Half, Note},
};
use crate::{
    engine::{
        change::{Changes, Stack},
        moment::Moment,
        post::{self, Thing},
    },
    ledger::{
        entry::{Actor, Reason, Waits},
        line::{Account, Line},
    },
    schema::{
        Form, Stamp,
        waiting::{self, Gift, Slip},
    },
    store::{Answer, GiftId, INBOX_READ_MAX, InboxChange, Waiting},
    telemetry::metrics::labels,
};
use holdall_protocol::{
    code::Code,
    ids::{PlayerId, Revision},
    message::Cause,
};
use smallvec::smallvec;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

/// Gifts that have left the inbox and are remembered. More never leave it between a look and the next.
const TAKEN_REMEMBERED: usize = 2 * INBOX_READ_MAX;

/// What a cell knows of its player's inbox.
#[derive(Debug, Default)]
pub(super) struct InboxWatch {
    /// A look is under way.
    looking: bool,
    /// Somebody asked for a look that could not begin, or began before there was something to see.
    again: bool,
    /// Something was left there for want of room, or could not be looked at.
    waits: bool,
}

impl InboxWatch {
    /// Whether somebody asked while the player was being loaded.
    pub(super) const fn is_asked_for(&self) -> bool {
        self.again
    }
}

/// What became of one waiting gift.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It has left the inbox.
    Left,
    /// It stays: there is no room, or now is not the time.
    Waits,
    /// It stays until somebody mends it.
    Unreadable,
}

/// A gift that can be taken.
struct Ready {
    id: GiftId,
    gift: Gift,
    /// Its things, brought forward.
    things: Vec<Thing>,
}

/// Why nothing can be put into a player's inbox.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unwelcome {
    /// Nobody has that id.
    #[error("there is no such player")]
    NoSuchPlayer,
    /// The receiver has switched gifts off.
    #[error("the receiver does not accept gifts")]
    NotAccepting,
    /// What waits for the receiver cannot be read, so nothing is added to it.
    #[error("the receiver's inbox takes nothing until it is mended")]
    InboxDamaged,
    /// Too much waits for the receiver already.
    #[error("{max} gifts wait for the receiver already")]
    InboxFull {
        /// The bound.
        max: usize,
    },
    /// Whether the receiver can be given anything could not be learned in time.
    #[error("the store is away; nothing was applied")]
    StoreAway,
}

impl Unwelcome {
    /// The stable code on the wire.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::NoSuchPlayer => Code::NotFound,
            Self::NotAccepting | Self::InboxDamaged => Code::NotAccepting,
            Self::InboxFull { .. } => Code::LimitExceeded,
            Self::StoreAway => Code::StoreUnavailable,
        }
    }
}

/// Whether something can be put into the inbox behind this door, in which at most `max` gifts may wait.
///
/// # Errors
/// [`Unwelcome`].
pub fn welcomes(door: &Result<Door, ReadError>, max: usize) -> Result<(), Unwelcome> {
    match door {
        Ok(Door { exists: false, .. }) => Err(Unwelcome::NoSuchPlayer),
        Ok(door) if !door.preferences.takes_gifts() => Err(Unwelcome::NotAccepting),
        Ok(door) if door.waiting >= max => Err(Unwelcome::InboxFull { max }),
        Ok(_) => Ok(()),
        Err(ReadError::Unavailable(_)) => Err(Unwelcome::StoreAway),
        Err(ReadError::Unreadable(_) | ReadError::Exists) => Err(Unwelcome::InboxDamaged),
    }
}

/// What a record puts into a receiver's inbox: the effects on the giver's side.
#[must_use]
pub fn gift_for(receiver: PlayerId, id: GiftId, content: bytes::Bytes) -> Effects {
    Effects {
        waits: Some(Waits { gift: id.uuid(), again: None, inbox: receiver.clone(), passed_on: Vec::new() }),
        inbox: vec![InboxChange { owner: receiver.clone(), gift: id, content: Some(content) }],
        receiver: Some(receiver),
        ..Effects::default()
    }
}

impl Roster {
    /// Asks the store what a giver has to know of a player.
    pub fn door(&self, player: PlayerId) -> Answer<Result<Door, ReadError>> {
        self.store.door(player)
    }

    /// Gives stacks, which have just left the giver under this lock, to a player who is not here.
    pub fn put_in_inbox(&self, half: Half<'_>, receiver: &PlayerId, stacks: &[Stack]) {
        let giver = half.player.clone();
        let seat = half.inner.seat().expect("only a player in the game has records");
        let effects = self.gift_of(&giver, seat, receiver, stacks);
        self.record_with(half, effects, Cause::Gift { from: giver });
        self.metrics.gifts.inc(&labels::Gift::Left);
    }

    /// What the giver's record does to the receiver's inbox.
    pub(super) fn gift_of(&self, giver: &PlayerId, seat: &Seat, receiver: &PlayerId, stacks: &[Stack]) -> Effects {
        let now = self.clock.now_ms();
        let slip = Slip { from: giver.clone(), sent_at: now, returned: false, content: seat.content };
        let content = waiting::write(&slip, stacks, seat.form);
        gift_for(receiver.clone(), GiftId::new(self.dice.clone().uuid(now)), content)
    }

    /// Something was put into a player's inbox and is durable: whoever has the player is told.
    pub(super) async fn announce(self: Arc<Self>, player: PlayerId) {
        if self.find(&player).is_some() {
            return self.look_in_inbox_of(&player);
        }
        match self.store.door(player.clone()).await {
            Ok(Door { owner: Some(owner), .. }) => self.tell_of_inbox(player, &owner).await,
            Ok(Door { owner: None, .. }) => {}
            Err(error) => tracing::debug!(%player, %error, "nobody was told of a waiting gift"),
        }
    }

    /// Looks into the inbox of a player, if they are here.
    pub(super) fn look_in_inbox_of(self: &Arc<Self>, player: &PlayerId) {
        if let Some(cell) = self.find(player) {
            self.look_in_inbox(&cell, &mut cell.lock());
        }
    }

    /// Looks again where a gift had found no room: called when something has left the bag, under its lock.
    pub fn look_again(self: &Arc<Self>, cell: &Arc<Cell>, inner: &mut Inner) {
        if inner.inbox.waits {
            self.look_in_inbox(cell, inner);
        }
    }

    /// Begins a look, one at a time; of a player who is just being loaded, at the end of that.
    pub(super) fn look_in_inbox(self: &Arc<Self>, cell: &Arc<Cell>, inner: &mut Inner) {
        if inner.inbox.looking || !matches!(inner.stage, Stage::Ready(_)) {
            inner.inbox.again = true;
            return;
        }
        inner.inbox = InboxWatch { looking: true, again: false, waits: false };
        tokio::spawn(self.clone().empty_inbox(cell.clone()));
    }

    async fn empty_inbox(self: Arc<Self>, cell: Arc<Cell>) {
        loop {
            let waits = match self.store.inbox(cell.id.clone()).await {
                Ok(waiting) => self.take_all(&cell, &waiting),
                Err(error) => {
                    match &error {
                        ReadError::Unreadable(_) => {
                            tracing::error!(player = %cell.id, %error, "an inbox is left alone")
                        }
                        _ => tracing::debug!(player = %cell.id, %error, "an inbox could not be read"),
                    }
                    true
                }
            };
            let mut inner = cell.lock();
            inner.inbox.waits = waits;
            if !std::mem::take(&mut inner.inbox.again) || !matches!(inner.stage, Stage::Ready(_)) {
                inner.inbox.looking = false;
                return;
            }
        }
    }

    /// Takes what fits, the oldest first. Whether anything waits on.
    fn take_all(self: &Arc<Self>, cell: &Arc<Cell>, waiting: &[Waiting]) -> bool {
        let mut waits = waiting.len() >= INBOX_READ_MAX;
        for (id, bytes) in waiting {
            let fate = match self.open(*id, bytes) {
                Ok(ready) => self.take(cell, &ready),
                Err(reason) => {
                    tracing::error!(player = %cell.id, gift = %id, reason, "a waiting gift is left alone");
                    Fate::Unreadable
                }
            };
            waits |= fate == Fate::Waits;
        }
        waits
    }

    /// Reads a gift and brings it forward, as a load does with a record.
    fn open(&self, id: GiftId, bytes: &[u8]) -> Result<Ready, String> {
        let gift = waiting::read(self.chain(), bytes).map_err(|error| error.to_string())?;
        let rules = self.rules();
        let steps = rules.migrations.after(gift.slip.content).map_err(|error| error.to_string())?;
        let mut dice = self.dice.clone();
        let mut moment = Moment::new(self.clock.now_ms(), &mut dice);
        let things = post::forward(&gift.stacks, steps, &rules, &mut moment)?;
        Ok(Ready { id, gift, things })
    }

    fn take(self: &Arc<Self>, cell: &Arc<Cell>, ready: &Ready) -> Fate {
        let mut inner = cell.lock();
        if !self.lease.is_held() || !self.journal.has_room() {
            return Fate::Waits;
        }
        let Some(seat) = inner.seat().filter(|seat| seat.revision > Revision::ZERO) else { return Fate::Waits };
        if seat.rare.taken.contains(&ready.id) {
            return Fate::Left;
        }
        if seat.player.holds_any_of(&ready.gift.stacks) {
            tracing::error!(player = %cell.id, gift = %ready.id, "a waiting stack is in its receiver's hands already");
            return Fate::Unreadable;
        }
        let rules = self.rules();
        let mut dice = self.dice.clone();
        let mut moment = Moment::new(self.clock.now_ms(), &mut dice);
        let mut changes = Changes::default();
        let fits = catch_unwind(AssertUnwindSafe(|| {
            post::receive(&mut seat.player, &ready.things, &rules, &mut moment, &mut changes)
        }));
        match fits {
            Ok(Ok(())) => {
                self.record_taken(cell, &mut inner, ready, &changes);
                self.metrics.gifts.inc(&labels::Gift::Taken);
                Fate::Left
            }
            Ok(Err(_)) if self.is_overdue(&ready.gift.slip) => {
                self.send_back(cell, &mut inner, ready);
                self.metrics.gifts.inc(&labels::Gift::Returned);
                Fate::Left
            }
            Ok(Err(refusal)) => {
                tracing::debug!(player = %cell.id, gift = %ready.id, %refusal, "a gift goes on waiting");
                Fate::Waits
            }
            Err(_) => {
                tracing::error!(player = %cell.id, gift = %ready.id, "a rule panicked; the player is dropped");
                self.abandon(cell, &mut inner);
                Fate::Waits
            }
        }
    }

    fn is_overdue(&self, slip: &Slip) -> bool {
        let waited = Duration::from_millis(self.clock.now_ms().saturating_sub(slip.sent_at));
        !slip.returned && waited >= self.options.read().inbox_time
    }

    fn record_taken(&self, cell: &Cell, inner: &mut Inner, ready: &Ready, changes: &Changes) {
        let Slip { from, returned, .. } = ready.gift.slip.clone();
        let note = Note { actor: Actor::Player(from.clone()), reason: Reason::InboxTaken, asked: None };
        let effects = ready.leaves(&cell.id);
        self.record_leaving(cell, (inner, changes), ready, (note, effects, Cause::Inbox { from, returned }));
    }

    /// Back into the giver's inbox, as it was written, whatever waits there already.
    fn send_back(&self, cell: &Cell, inner: &mut Inner, ready: &Ready) {
        let (giver, now) = (ready.gift.slip.from.clone(), self.clock.now_ms());
        let slip = Slip { from: cell.id.clone(), sent_at: now, returned: true, content: ready.gift.slip.content };
        let content = waiting::write(&slip, &ready.gift.stacks, self.form_of(ready.gift.stamp));
        let gift = GiftId::new(self.dice.clone().uuid(now));
        let mut effects = ready.leaves(&cell.id);
        effects.inbox.push(InboxChange { owner: giver.clone(), gift, content: Some(content) });
        effects.receiver = Some(giver.clone());
        if let Some(waits) = &mut effects.waits {
            waits.again = Some(gift.uuid());
            waits.passed_on = passed_on(&ready.gift.stacks, &cell.id, &giver);
        }
        let note = Note { actor: Actor::Server, reason: Reason::InboxReturned, asked: None };
        let cause = Cause::InboxReturned { to: giver };
        let changes = Changes::default();
        self.record_leaving(cell, (inner, &changes), ready, (note, effects, cause));
    }

    fn record_leaving(
        &self,
        cell: &Cell,
        (inner, changes): (&mut Inner, &Changes),
        ready: &Ready,
        (note, effects, cause): (Note, Effects, Cause),
    ) {
        let seat = inner.seat().expect("found in the game under this lock");
        // What a newer build wrote of a stack goes where the stack goes, and its stamp with it.
        seat.form = seat.form.over(ready.gift.stamp);
        self.record_with(Half { player: &cell.id, inner, changes, note }, effects, cause);
        let seat = inner.seat().expect("still in the game under this lock");
        if seat.rare.taken.len() >= TAKEN_REMEMBERED {
            seat.rare.taken.pop_front();
        }
        seat.rare.taken.push_back(ready.id);
    }

    fn form_of(&self, stamp: Stamp) -> Form {
        self.chain().form().over(stamp)
    }
}

impl Ready {
    /// What every record does that takes the gift out of its inbox.
    fn leaves(&self, owner: &PlayerId) -> Effects {
        Effects {
            waits: Some(Waits { gift: self.id.uuid(), again: None, inbox: owner.clone(), passed_on: Vec::new() }),
            inbox: vec![InboxChange { owner: owner.clone(), gift: self.id, content: None }],
            ..Effects::default()
        }
    }
}

/// A line for each stack that goes from one inbox to another.
fn passed_on(stacks: &[Stack], from: &PlayerId, to: &PlayerId) -> Vec<Line> {
    let line = |stack: &Stack| Line {
        from: Account::Inbox(from.clone()),
        to: Account::Inbox(to.clone()),
        item: stack.item.clone(),
        quantity: stack.quantity.get().into(),
        instances: smallvec![stack.instance],
    };
    stacks.iter().map(line).collect()
}
