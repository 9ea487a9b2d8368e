//! Facts that became true: what a place held before an action, and what it holds after.
//!
//! One change carries all that anybody downstream needs: the delta and the checksum (before → after), the journal
//! (after), and the ledger (before).

pub use crate::catalog::nature::{Beyond, Nature};

use holdall_protocol::ids::{InstanceId, Place};
use std::{
    num::NonZeroU32,
    ops::{Deref, DerefMut},
    sync::Arc,
};

/// One stack of things: cheap to clone, and small, for bags are full of them. What it is can be read, and written, as if it
/// stood in here.
#[derive(Debug, Clone, PartialEq)]
pub struct Stack {
    /// Its identity, for ever.
    pub instance: InstanceId,
    /// What it is; shared with others that are the same, until it changes.
    pub nature: Arc<Nature>,
    /// How many.
    pub quantity: NonZeroU32,
    /// When it was acquired, in milliseconds since 1970; the oldest of what was merged.
    pub acquired_at: u64,
}

impl Deref for Stack {
    type Target = Nature;

    fn deref(&self) -> &Nature {
        &self.nature
    }
}

impl DerefMut for Stack {
    fn deref_mut(&mut self) -> &mut Nature {
        Arc::make_mut(&mut self.nature)
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
