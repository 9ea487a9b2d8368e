//! Holdall: an authoritative inventory server for online games.
//!
//! The rooms of this house, top to bottom; a room names only rooms below it. `ARCHITECTURE.md` is the map.

pub mod clock;
pub mod engine;
pub mod journal;
pub mod ledger;
pub mod schema;
pub mod store;
