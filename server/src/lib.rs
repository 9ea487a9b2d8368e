//! Holdall: an authoritative inventory server for online games.
//!
//! The rooms of this house, top to bottom; a room names only rooms below it. `ARCHITECTURE.md` is the map.

pub mod app;
pub mod catalog;
pub mod cli;
pub mod clock;
pub mod config;
pub mod engine;
pub mod gateway;
pub mod journal;
pub mod ledger;
pub mod market;
pub mod operator;
pub mod replication;
pub mod roster;
pub mod schema;
pub mod session;
pub mod store;
pub mod telemetry;
pub mod upkeep;
