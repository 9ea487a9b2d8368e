//! The ledger: one entry a revision a player, in the same commit as the revision itself.
//!
//! Owns what an entry says (who, why, what was in each place before, and double-entry lines) and its bytes. Written by
//! `roster` through the journal, read at a load for the newest requests. Never decides anything.

pub mod balance;
pub mod codec;
pub mod entry;
pub mod line;
pub mod opening;
pub mod past;
