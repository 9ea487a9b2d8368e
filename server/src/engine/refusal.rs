//! Why the rules say no. A refusal leaves the player exactly as it was.

use holdall_protocol::{code::Code, ids::ItemId};

/// A rule that forbids the action.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The catalogue has no such item.
    #[error("no item {0} in the catalogue")]
    UnknownItem(ItemId),
    /// The item exists but is of a kind that this action does not take.
    #[error("{item} is {what}")]
    WrongKind {
        /// The item.
        item: ItemId,
        /// What it is, in words.
        what: &'static str,
    },
    /// A quantity of zero, below zero, fractional, or beyond what a stack can count.
    #[error(
        "a quantity must be a whole number from 1 to 4294967295, an amount of money one from 1 to 9007199254740991"
    )]
    InvalidQuantity,
    /// A gift or trade of nothing, or one that names a thing more than once.
    #[error("the {what} {why}")]
    Malformed {
        /// Gift, offer or trade.
        what: &'static str,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Put up in an open trade.
    #[error("{0} is offered in a trade")]
    ItemLocked(ItemId),
    /// No such stack, slot or balance.
    #[error("{0} is not there")]
    NotFound(&'static str),
    /// Less is there than wanted.
    #[error("{have} of {item} there, {want} wanted")]
    InsufficientQuantity {
        /// The item.
        item: ItemId,
        /// Units there.
        have: u64,
        /// Units wanted.
        want: u64,
    },
    /// No room in the bag.
    #[error("no room in the bag for {left} more of {item}")]
    InventoryFull {
        /// The item.
        item: ItemId,
        /// Units that found no room.
        left: u64,
    },
    /// Too heavy.
    #[error("{weight} thousandths would be carried, {max} may be")]
    WeightExceeded {
        /// The weight it would come to, in thousandths.
        weight: u64,
        /// The bound.
        max: u64,
    },
    /// The item goes into no slot.
    #[error("{0} cannot be equipped")]
    NotEquippable(ItemId),
    /// Not into this one.
    #[error("{item} does not go there")]
    SlotMismatch {
        /// The item.
        item: ItemId,
    },
    /// Only consumables can be used.
    #[error("{0} cannot be used")]
    NotUsable(ItemId),
    /// Quest items stay.
    #[error("{0} is a quest item and cannot be dropped")]
    NotDroppable(ItemId),
    /// Bound to its owner.
    #[error("{0} cannot change hands")]
    NotTradeable(ItemId),
    /// Two different players are needed.
    #[error("that needs another player than oneself")]
    SamePlayer,
    /// The balance is too small.
    #[error("{have} {currency} there, {want} wanted")]
    InsufficientFunds {
        /// The currency.
        currency: ItemId,
        /// The balance.
        have: u64,
        /// The amount wanted.
        want: u64,
    },
    /// The balance would pass 2^53 − 1.
    #[error("the balance of {0} would pass its bound")]
    BalanceFull(ItemId),
    /// Cannot be sold.
    #[error("{0} cannot be sold")]
    NotSellable(ItemId),
    /// Definition gone, or over a lowered cap.
    #[error("{0} no longer fits the catalogue and can only be moved")]
    ItemFrozen(ItemId),
    /// Attribute out of bounds.
    #[error("attributes: {0}")]
    InvalidAttribute(&'static str),
    /// More lines than one request may hold.
    #[error("at most {max} {what}")]
    LimitExceeded {
        /// Of what.
        what: &'static str,
        /// The bound.
        max: u64,
    },
}

impl Refusal {
    /// The stable code on the wire.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::UnknownItem(_) | Self::WrongKind { .. } => Code::InvalidItem,
            Self::InvalidQuantity | Self::Malformed { .. } => Code::InvalidQuantity,
            Self::ItemLocked(_) => Code::ItemLocked,
            Self::NotFound(_) => Code::NotFound,
            Self::InsufficientQuantity { .. } => Code::InsufficientQuantity,
            Self::InventoryFull { .. } => Code::InventoryFull,
            Self::WeightExceeded { .. } => Code::WeightExceeded,
            Self::NotEquippable(_) => Code::NotEquippable,
            Self::SlotMismatch { .. } => Code::SlotMismatch,
            Self::NotUsable(_) => Code::NotUsable,
            Self::NotDroppable(_) => Code::NotDroppable,
            Self::NotTradeable(_) => Code::NotTradeable,
            Self::SamePlayer => Code::SamePlayer,
            Self::InsufficientFunds { .. } | Self::BalanceFull(_) => Code::InsufficientFunds,
            Self::NotSellable(_) => Code::NotSellable,
            Self::ItemFrozen(_) => Code::ItemFrozen,
            Self::InvalidAttribute(_) => Code::InvalidAttribute,
            Self::LimitExceeded { .. } => Code::LimitExceeded,
        }
    }
}
