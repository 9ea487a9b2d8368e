//! What can be ordered, what it comes to, and how it is done under the player's lock.

use super::{
    OrderError, Wish,
    report::{Carried, Restored},
};
use crate::{
    engine::{self, action::Action, change::Changes, moment::Moment, offer::Line, post, refusal::Refusal},
    ledger::entry::Reason,
    roster::{
        Roster,
        cell::{Cell, Inner, Seat},
        inbox::{self, Unwelcome},
        record::Effects,
    },
    store::Preferences,
};
use bytes::Bytes;
use holdall_protocol::{
    action::Target,
    attribute::{Attributes, Value},
    close::Close,
    code::Code,
    ids::{AttributeKey, ItemId, PlayerId, Revision},
};
use serde::{Deserialize, Serialize};
use std::num::{NonZeroU32, NonZeroU64};

/// What can be ordered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// To set the player back.
    Restore(Wish),
    /// To make items, or money, out of nothing.
    Grant {
        /// The item, or the currency.
        item: ItemId,
        /// How many.
        quantity: NonZeroU64,
        /// Instead of the catalogue's attributes of a new one.
        attributes: Option<Attributes>,
        /// Whether to give what fits and to tell the rest.
        partial: bool,
    },
    /// To take items away, whatever state they are in.
    Revoke {
        /// One stack, or an item's stacks from the highest bag slot down.
        target: Target,
        /// How many.
        quantity: NonZeroU32,
    },
    /// To set and remove attributes.
    Attributes {
        /// Of one stack, or of every stack of an item.
        target: Target,
        /// Pairs to set.
        set: Vec<(AttributeKey, Value)>,
        /// Keys to remove.
        remove: Vec<AttributeKey>,
    },
    /// To pay into the wallet.
    Credit {
        /// What.
        currency: ItemId,
        /// How much.
        amount: NonZeroU64,
    },
    /// To take out of the wallet.
    Debit {
        /// What.
        currency: ItemId,
        /// How much.
        amount: NonZeroU64,
    },
    /// To give from this player to another one, through their inbox.
    Gift {
        /// To whom.
        to: PlayerId,
        /// Units of bag stacks, each stack named once.
        items: Vec<Line>,
    },
    /// To send the player out of the game.
    Kick {
        /// Until when they may not come back, in milliseconds since 1970. A time that is over lets them in again; none leaves
        /// it as it is.
        until: Option<u64>,
    },
}

/// What an order comes to, judged without a lock.
pub(super) struct Judged {
    /// For which revision of the player; any where that does not matter.
    pub(super) at: Option<Revision>,
    deed: Deed,
    reason: Reason,
}

/// What is done under the lock.
enum Deed {
    /// An action of the engine's.
    Act(Action),
    /// The same, whose answer was worked out before.
    Restore(Action, Box<Restored>),
    Gift {
        to: PlayerId,
        items: Vec<Line>,
    },
    Kick {
        until: Option<u64>,
    },
}

/// What was done, and is to be recorded under this hold of the lock.
pub(super) struct Performed {
    pub(super) changes: Changes,
    pub(super) effects: Effects,
    pub(super) reason: Reason,
    /// What is answered.
    pub(super) answer: Bytes,
}

impl Judged {
    fn new(deed: Deed, reason: Reason) -> Self {
        Self { at: None, deed, reason }
    }
}

impl Roster {
    /// Decides what an order comes to, without a lock. `None` where the player has left the game.
    pub(super) async fn judge(&self, cell: &Cell, act: &Act) -> Result<Option<Judged>, OrderError> {
        let (action, reason) = match act.clone() {
            Act::Restore(wish) => {
                let Some(planned) = self.plan_restore(cell, &wish).await? else { return Ok(None) };
                let at = Some(planned.report.from);
                let deed = Deed::Restore(Action::Restore { things: planned.things }, Box::new(planned.report));
                return Ok(Some(Judged { at, deed, reason: Reason::Restore }));
            }
            Act::Gift { to, items } => {
                self.receives(&cell.id, &to).await?;
                return Ok(Some(Judged::new(Deed::Gift { to, items }, Reason::Gift)));
            }
            Act::Kick { until } => return Ok(Some(Judged::new(Deed::Kick { until }, Reason::Kick))),
            Act::Grant { item, quantity, attributes, partial } => {
                (Action::Grant { item, quantity, attributes, partial }, Reason::Grant)
            }
            Act::Revoke { target, quantity } => (Action::Remove { target, quantity }, Reason::Revoke),
            Act::Attributes { target, set, remove } => {
                (Action::SetAttributes { target, set, remove }, Reason::Attributes)
            }
            Act::Credit { currency, amount } => (Action::Credit { currency, amount }, Reason::Credit),
            Act::Debit { currency, amount } => (Action::Debit { currency, amount }, Reason::Debit),
        };
        Ok(Some(Judged::new(Deed::Act(action), reason)))
    }

    async fn receives(&self, giver: &PlayerId, to: &PlayerId) -> Result<(), OrderError> {
        if giver == to {
            return Err(Refusal::SamePlayer.into());
        }
        let door = self.door(to.clone()).await;
        inbox::welcomes(&door, self.options().inbox_max).map_err(OrderError::from)
    }

    /// Does it to a player in the game. The caller records it.
    pub(super) fn perform(&self, cell: &Cell, inner: &mut Inner, judged: Judged) -> Result<Performed, OrderError> {
        let Judged { deed, reason, at: _ } = judged;
        let seat = inner.seat().expect("found in the game under this lock");
        let (mut changes, mut effects) = (Changes::default(), Effects::default());
        let revision = seat.revision.next();
        let answer = match deed {
            Deed::Act(action) => {
                self.apply(seat, &action, &mut changes)?;
                Carried::new(&cell.id, revision, &changes).to_bytes()
            }
            Deed::Restore(action, report) => {
                self.apply(seat, &action, &mut changes)?;
                report.made(revision)
            }
            Deed::Gift { to, items } => {
                effects = self.send(cell, seat, (&to, &items), &mut changes)?;
                Carried::new(&cell.id, revision, &changes).to_bytes()
            }
            Deed::Kick { until } => {
                effects.preferences = until.map(|until| self.barring(seat, until));
                let bar = effects.preferences.unwrap_or(seat.preferences);
                let carried = Carried::new(&cell.id, revision, &changes);
                let closed = Some(inner.has_links());
                inner.close(Close::Kicked);
                Carried { closed, barred_until: bar.barred_until(), ..carried }.to_bytes()
            }
        };
        Ok(Performed { changes, effects, reason, answer })
    }

    fn apply(&self, seat: &mut Seat, action: &Action, changes: &mut Changes) -> Result<(), Refusal> {
        let mut dice = self.dice.clone();
        let mut moment = Moment::new(self.clock.now_ms(), &mut dice);
        engine::apply(&mut seat.player, action, &self.rules(), &mut moment, changes)
    }

    fn send(
        &self,
        cell: &Cell,
        seat: &mut Seat,
        (to, items): (&PlayerId, &[Line]),
        changes: &mut Changes,
    ) -> Result<Effects, Refusal> {
        let mut dice = self.dice.clone();
        let mut moment = Moment::new(self.clock.now_ms(), &mut dice);
        let stacks = post::send(&mut seat.player, items, &self.rules(), &mut moment, changes)?;
        Ok(self.gift_of(&cell.id, seat, to, &stacks))
    }

    /// A time that is over is none.
    fn barring(&self, seat: &Seat, until: u64) -> Preferences {
        seat.preferences.barred(if until > self.clock.now_ms() { until } else { 0 })
    }
}

impl From<Refusal> for OrderError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused { code: refusal.code(), message: refusal.to_string() }
    }
}

impl From<Unwelcome> for OrderError {
    fn from(unwelcome: Unwelcome) -> Self {
        match unwelcome {
            Unwelcome::StoreAway => Self::StoreAway,
            Unwelcome::NoSuchPlayer => {
                Self::Refused { code: Code::NotFound, message: "there is no such receiver".to_owned() }
            }
            Unwelcome::NotAccepting | Unwelcome::InboxDamaged | Unwelcome::InboxFull { .. } => {
                Self::Refused { code: unwelcome.code(), message: unwelcome.to_string() }
            }
        }
    }
}
