//! What the engine can do to one player: wider than what a client can ask for.

use super::restore::Things;
use holdall_protocol::{
    action::Target,
    attribute::{Attributes, Value},
    ids::{AttributeKey, InstanceId, ItemId, SlotId},
};
use std::num::{NonZeroU32, NonZeroU64};

/// One action on one player. Quantities are checked where bytes become actions, so that none is zero here.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Makes items (or, for an item of kind currency, a balance) out of nothing.
    Grant {
        /// The item.
        item: ItemId,
        /// How many.
        quantity: NonZeroU64,
        /// Instead of the catalogue's attributes of a new one.
        attributes: Option<Attributes>,
        /// Whether to take what fits and report the rest.
        partial: bool,
    },
    /// Takes items away, whatever state they are in. Never partial.
    Remove {
        /// One instance, or the item's stacks from the highest bag slot down.
        target: Target,
        /// How many.
        quantity: NonZeroU32,
    },
    /// Moves, merges, swaps or splits within the bag.
    Move {
        /// From this bag slot.
        from: u16,
        /// To this one.
        to: u16,
        /// How many; all when absent.
        quantity: Option<NonZeroU32>,
    },
    /// Merges equal stacks and orders the bag.
    Sort,
    /// Uses one unit of a consumable.
    Use {
        /// One instance, or the item's stack in the highest bag slot.
        target: Target,
    },
    /// Throws away.
    Drop {
        /// One instance, or the item's stacks from the highest bag slot down.
        target: Target,
        /// How many.
        quantity: NonZeroU32,
    },
    /// One unit from a bag stack into an equipment slot; what was there goes back to the bag.
    Equip {
        /// The bag stack.
        instance: InstanceId,
        /// The slot; when absent the first allowed free one, else the first allowed.
        slot: Option<SlotId>,
    },
    /// An equipment slot's stack back into the bag.
    Unequip {
        /// The slot.
        slot: SlotId,
    },
    /// (Part of) a bag stack for currency.
    Sell {
        /// The bag stack.
        instance: InstanceId,
        /// How many.
        quantity: NonZeroU32,
    },
    /// Sets and removes attributes on one instance (bag or equipment), or on every stack of an item.
    SetAttributes {
        /// Which.
        target: Target,
        /// Pairs to set.
        set: Vec<(AttributeKey, Value)>,
        /// Keys to remove.
        remove: Vec<AttributeKey>,
    },
    /// Adds to a balance.
    Credit {
        /// The currency.
        currency: ItemId,
        /// How much.
        amount: NonZeroU64,
    },
    /// Takes from a balance.
    Debit {
        /// The currency.
        currency: ItemId,
        /// How much.
        amount: NonZeroU64,
    },
    /// Pays for things from the shop, which come out of the catalogue as new ones.
    Purchase {
        /// The item; of kind currency it is a balance.
        item: ItemId,
        /// How many.
        quantity: NonZeroU64,
        /// What they cost in all, each currency once.
        price: Vec<(ItemId, NonZeroU64)>,
    },
    /// Sets a player back to having exactly this, whatever weight and room say.
    Restore {
        /// Everything.
        things: Things,
    },
}
