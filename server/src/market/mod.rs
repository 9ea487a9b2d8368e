//! Several players' things at once: gifts, trades, and what all of them want of the shop.
//!
//! Called by `session`. Locks both players through the roster's one helper and makes one record of both. What belongs to
//! a trade and not to one of its players is behind the desk's own lock, which is taken before theirs.

#![warn(clippy::arithmetic_side_effects, clippy::wildcard_enum_match_arm)]

pub mod gift;
pub mod shop_desk;
mod trade;
pub mod trade_desk;

use crate::roster::cell::{Cell, Inner};
use std::sync::Arc;

/// One of two players, with the lock held.
pub struct Party<'a> {
    /// Whose cell it is.
    pub cell: &'a Arc<Cell>,
    /// What is behind its lock.
    pub inner: &'a mut Inner,
}
