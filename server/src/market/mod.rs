//! Several players' things at once: gifts.
//!
//! Called by `session`. Locks both players through the roster's one helper and makes one record of both.

pub mod gift;
