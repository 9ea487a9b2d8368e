//! Content migrations: numbered steps that an operator writes to change what players already have.
//!
//! Owns the steps and which of them a player has yet to take; `parse` reads them from `migrations.toml`. What a step does
//! to a player is the engine's. Every player carries the number of the last step taken, so that none is taken twice.

mod parse;

use holdall_protocol::{
    attribute::Value,
    ids::{AttributeKey, ItemId},
};
use std::{fmt, num::NonZeroU64};

/// All steps that are left, in order, without a gap. The first ones may have been taken away.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Migrations(Vec<Step>);

/// One step.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Its number, one more than that of the step before.
    pub number: u32,
    /// What it does.
    pub kind: StepKind,
}

/// What a step does. Items and currencies are named as they are stored: former ids are not looked through.
#[derive(Debug, Clone, PartialEq)]
pub enum StepKind {
    /// Stacks and balances get another id and stay where they are; a balance adds to one that is there already.
    Rename {
        /// The ids that go: one, or several that are merged.
        from: Vec<ItemId>,
        /// The id that they get.
        to: ItemId,
    },
    /// Stacks that lack an attribute get it.
    DefaultAttribute {
        /// Which stacks.
        of: Of,
        /// The attribute.
        key: AttributeKey,
        /// What it is from now on.
        value: Value,
    },
    /// An attribute gets another key and keeps its value.
    RenameAttribute {
        /// Which stacks.
        of: Of,
        /// The key that goes.
        from: AttributeKey,
        /// The key that it gets.
        to: AttributeKey,
    },
    /// An attribute goes.
    DropAttribute {
        /// Which stacks.
        of: Of,
        /// The attribute.
        key: AttributeKey,
    },
    /// Units become a balance; those that are too few for the rate stay.
    ItemToCurrency {
        /// The item that goes.
        item: ItemId,
        /// The currency that it becomes.
        currency: ItemId,
        /// How many become how much.
        rate: Rate,
    },
    /// A balance becomes units in the bag; what is too little for the rate stays.
    CurrencyToItem {
        /// The currency that goes.
        currency: ItemId,
        /// The item that it becomes.
        item: ItemId,
        /// How much becomes how many.
        rate: Rate,
    },
    /// A balance becomes another; what is too little for the rate stays.
    ConvertCurrency {
        /// The currency that goes.
        from: ItemId,
        /// The currency that it becomes.
        to: ItemId,
        /// How much becomes how much.
        rate: Rate,
    },
}

/// Which stacks a step means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Of {
    /// Those of one item.
    Item(ItemId),
    /// All, also those that no catalogue knows.
    Every,
}

/// Every `take` of the one become `give` of the other. Whole numbers, so that nothing is rounded: what is left is less
/// than `take` and stays what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// What goes at a time.
    pub take: NonZeroU64,
    /// What comes for it.
    pub give: NonZeroU64,
}

/// Why there is no way from a player's content to this build's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoWay {
    /// The player took steps that the file does not have.
    #[error("content step {at} was taken, the newest in the migrations file is {newest}: use the newer file")]
    Newer {
        /// The last step taken.
        at: u32,
        /// The newest there is.
        newest: u32,
    },
    /// Steps that the player has yet to take are no longer there.
    #[error(
        "content step {missing} was never taken, and the migrations file begins with {first}: put the older steps back"
    )]
    Older {
        /// The first step that is missing.
        missing: u32,
        /// The first there is.
        first: u32,
    },
}

impl Migrations {
    /// The newest step's number, which a newborn starts with; 0 where there is no step.
    #[must_use]
    pub fn newest(&self) -> u32 {
        self.0.last().map_or(0, |step| step.number)
    }

    /// How many steps there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The steps that a player who took step `at` last has yet to take.
    ///
    /// # Errors
    /// [`NoWay`].
    pub fn after(&self, at: u32) -> Result<&[Step], NoWay> {
        let newest = self.newest();
        if at > newest {
            return Err(NoWay::Newer { at, newest });
        }
        let (missing, first) = (at.saturating_add(1), self.0.first().map_or(1, |step| step.number));
        if missing < first {
            return Err(NoWay::Older { missing, first });
        }
        let taken = self.0.partition_point(|step| step.number <= at);
        Ok(self.0.get(taken..).unwrap_or_default())
    }
}

impl Rate {
    /// How often the rate goes into an amount.
    #[must_use]
    pub fn times(self, amount: u64) -> u64 {
        amount / self.take
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "content step {} ({})", self.number, self.kind)
    }
}

impl fmt::Display for StepKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rename { from, to } => {
                let from: Vec<&str> = from.iter().map(ItemId::as_str).collect();
                write!(f, "{} to {to}", from.join(", "))
            }
            Self::DefaultAttribute { of, key, .. } => write!(f, "default for {key} of {of}"),
            Self::RenameAttribute { of, from, to } => write!(f, "attribute {from} to {to} of {of}"),
            Self::DropAttribute { of, key } => write!(f, "no {key} of {of}"),
            Self::ItemToCurrency { item, currency, rate } => write!(f, "{item} to {currency}, {rate}"),
            Self::CurrencyToItem { currency, item, rate } => write!(f, "{currency} to {item}, {rate}"),
            Self::ConvertCurrency { from, to, rate } => write!(f, "{from} to {to}, {rate}"),
        }
    }
}

impl fmt::Display for Of {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Item(item) => item.fmt(f),
            Self::Every => f.write_str("every item"),
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} for {}", self.give, self.take)
    }
}
