//! The operators' side: HTTP on a port of its own, loopback by default.
//!
//! Called by `app`. Never on the players' port, and never in the way of a player.

mod answers;
mod http;
mod routes;

pub use http::{Bound, bind};

use crate::telemetry::{log::LogLevel, readiness::Readiness};
use std::sync::Arc;

/// What the routes answer from.
#[derive(Clone)]
pub struct Operator {
    /// Whether the server can take players.
    pub readiness: Arc<Readiness>,
    /// The level of the log.
    pub log: LogLevel,
}
