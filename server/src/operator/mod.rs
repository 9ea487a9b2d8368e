//! The operators' side: HTTP on a port of its own, loopback by default, and on a socket in the data directory, by which
//! the command line talks to a running server.
//!
//! Called by `app`, and at the socket's other end by `cli`. Never on the players' port, and never in the way of a player.

mod answers;
pub mod client;
pub mod control;
mod http;
mod metrics;
pub mod reload;
mod routes;
mod socket;

pub use http::{Bound, BoundSocket, bind, bind_socket};

use crate::telemetry::{log::LogLevel, readiness::Readiness};
use std::sync::Arc;

/// Writes down every metric as it is now.
pub type Scrape = Arc<dyn Fn() -> String + Send + Sync>;

/// What the routes answer from.
#[derive(Clone)]
pub struct Operator {
    /// Whether the server can take players.
    pub readiness: Arc<Readiness>,
    /// The level of the log.
    pub log: LogLevel,
    /// The metrics.
    pub scrape: Scrape,
}
