//! Facts that became true: what a place held before an action, and what it holds after.
//!
//! One change carries all that anybody downstream needs: the delta and the checksum (before → after), the journal
//! (after), and the ledger (before).

use holdall_protocol::{
    attribute::Attributes,
    ids::{InstanceId, ItemId, Place},
};
use std::{num::NonZeroU32, sync::Arc};

/// One stack of things. Cheap to clone: the texts and attributes inside are shared and immutable.
#[derive(Debug, Clone, PartialEq)]
pub struct Stack {
    /// Its identity, for ever.
    pub instance: InstanceId,
    /// What it is.
    pub item: ItemId,
    /// How many.
    pub quantity: NonZeroU32,
    /// When it was acquired, in milliseconds since 1970; the oldest of what was merged.
    pub acquired_at: u64,
    /// Its attributes.
    pub attributes: Attributes,
    /// What a newer build wrote of it.
    pub beyond: Beyond,
}

/// What a newer build wrote of a stack and this one cannot read: bytes that go where the stack goes, parts of it too, and
/// that nobody looks into. Mostly there are none, and then it costs one null pointer.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Beyond(Option<Arc<Vec<u8>>>);

impl Beyond {
    /// Nothing.
    pub const NONE: Self = Self(None);

    /// These bytes.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(if bytes.is_empty() { None } else { Some(Arc::new(bytes)) })
    }

    /// The bytes; empty where there are none.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.0.as_ref().map_or(&[], |bytes| bytes)
    }
}

/// What a place can hold.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// In a bag or equipment slot.
    Stack(Stack),
    /// In a balance; never 0, an empty balance is an empty place.
    Amount(u64),
}

/// One place's step. `before` and `after` differ.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Where.
    pub place: Place,
    /// What was there; `None` is empty.
    pub before: Option<Content>,
    /// What is there now.
    pub after: Option<Content>,
}

/// All that one action does to one player: each place at most once.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Changes {
    /// The steps, in no particular order.
    pub list: Vec<Change>,
    /// Units that a partial grant could not place.
    pub overflow: u64,
}

impl Changes {
    /// Whether the action found nothing to change.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}
