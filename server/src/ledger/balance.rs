//! Whether a record's books balance: what it did to a player, against what its lines say and what its reason may do.
//!
//! A check for faults of ours, cheap enough for every record. It proves that the lines of an entry add up to its changes,
//! that nothing came into being or vanished where the reason only moves things, and that what two players exchanged is the
//! same in all. It counts units and not items: after a rename a stack may grow under another id than what it grew by.

use super::entry::Reason;
use crate::engine::change::{Change, Content};

/// What a player has more of, or less of where it is negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Balance {
    /// Units of things.
    things: i128,
    /// Amounts of all currencies.
    money: i128,
}

/// What a reason may do to what a player has in all.
enum Flow {
    /// Nothing.
    None,
    /// Give, and take nothing.
    In,
    /// Take, and give nothing.
    Out,
    /// Take things for money.
    ForMoney,
    /// Give things, or money in their place, for money.
    ForThings,
    /// Anything: where it comes from or goes to is judged elsewhere.
    Any,
}

impl Balance {
    /// Of these changes.
    #[must_use]
    pub fn of(changes: &[Change]) -> Self {
        let mut balance = Self::default();
        for Change { before, after, .. } in changes {
            balance.add(after.as_ref(), 1);
            balance.add(before.as_ref(), -1);
        }
        balance
    }

    fn add(&mut self, content: Option<&Content>, sign: i128) {
        match content {
            Some(Content::Stack(stack)) => {
                self.things = self.things.saturating_add(sign.saturating_mul(stack.quantity.get().into()));
            }
            Some(Content::Amount(amount)) => {
                self.money = self.money.saturating_add(sign.saturating_mul((*amount).into()));
            }
            None => {}
        }
    }

    /// Whether lines by which the player has so many more of everything say what was done.
    #[must_use]
    pub const fn is_told_by(self, gain: i128) -> bool {
        self.things.saturating_add(self.money) == gain
    }

    /// Whether a reason may do this.
    #[must_use]
    pub const fn fits(self, reason: Reason) -> bool {
        let Self { things, money } = self;
        match flow(reason) {
            Flow::None => things == 0 && money == 0,
            Flow::In => things >= 0 && money >= 0,
            Flow::Out => things <= 0 && money <= 0,
            Flow::ForMoney => things <= 0 && money >= 0,
            Flow::ForThings => things >= 0,
            Flow::Any => true,
        }
    }

    /// Whether this is what the other player of the same record lost.
    #[must_use]
    pub const fn mirrors(self, other: Self) -> bool {
        self.things.saturating_add(other.things) == 0 && self.money.saturating_add(other.money) == 0
    }
}

const fn flow(reason: Reason) -> Flow {
    match reason {
        Reason::Repair
        | Reason::Upgrade
        | Reason::Move
        | Reason::Sort
        | Reason::Equip
        | Reason::Unequip
        | Reason::Settings
        | Reason::Hold
        | Reason::Release
        | Reason::Attributes
        | Reason::Kick
        | Reason::InboxReturned => Flow::None,
        Reason::Born
        | Reason::GiftReceived
        | Reason::InboxTaken
        | Reason::DevGrant
        | Reason::Grant
        | Reason::Credit => Flow::In,
        Reason::Use | Reason::Drop | Reason::GiftSent | Reason::Gift | Reason::Revoke | Reason::Debit => Flow::Out,
        Reason::Sell => Flow::ForMoney,
        Reason::Buy => Flow::ForThings,
        Reason::Trade | Reason::Migration | Reason::Restore => Flow::Any,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::change::{Nature, Stack};
    use holdall_protocol::ids::{InstanceId, ItemId, Place};
    use std::num::NonZeroU32;

    fn stack(id: u128, quantity: u32) -> Content {
        Content::Stack(Stack {
            instance: InstanceId::new(uuid::Uuid::from_u128(id)),
            nature: Nature::plain(ItemId::new("ore").expect("an id")),
            quantity: NonZeroU32::new(quantity).expect("not 0"),
            acquired_at: 0,
        })
    }

    fn change(slot: u16, before: Option<Content>, after: Option<Content>) -> Change {
        Change { place: Place::Bag(slot), before, after }
    }

    #[test]
    fn a_move_that_doubles_is_out_of_balance_and_one_that_splits_is_not() {
        let split = Balance::of(&[change(0, Some(stack(1, 9)), Some(stack(1, 4))), change(1, None, Some(stack(2, 5)))]);
        assert!(split.fits(Reason::Move) && split.is_told_by(0));
        let doubled = Balance::of(&[change(1, None, Some(stack(1, 9)))]);
        assert!(!doubled.fits(Reason::Move) && !doubled.fits(Reason::Drop) && doubled.fits(Reason::DevGrant));
        assert!(!doubled.is_told_by(0) && doubled.is_told_by(9));
    }

    #[test]
    fn a_sale_takes_things_and_pays() {
        let gold = Place::Balance(ItemId::new("gold").expect("an id"));
        let paid = Change { place: gold, before: Some(Content::Amount(1)), after: Some(Content::Amount(11)) };
        let sold = change(0, Some(stack(1, 2)), None);
        assert!(Balance::of(&[paid.clone(), sold.clone()]).fits(Reason::Sell));
        let Change { place, before, after } = paid;
        assert!(!Balance::of(&[Change { place, before: after, after: before }, sold]).fits(Reason::Sell));
    }

    #[test]
    fn what_one_gives_the_other_gets() {
        let given = Balance::of(&[change(0, Some(stack(1, 9)), None)]);
        assert!(given.mirrors(Balance::of(&[change(7, None, Some(stack(1, 9)))])));
        assert!(!given.mirrors(Balance::of(&[change(7, None, Some(stack(1, 8)))])));
        assert!(!given.mirrors(given));
    }
}
