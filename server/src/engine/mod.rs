//! The rules: what an action does to a player's things.
//!
//! Pure and synchronous. No clock, no randomness, no IO, no lock: all of it comes in as arguments. Called by `session`
//! (one player) and `market` (two at once). Calls nobody.

pub mod action;
pub mod change;
pub mod refusal;
