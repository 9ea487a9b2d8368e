//! The operators' side: HTTP on a port of its own, loopback by default, and on a socket in the data directory, by which
//! the command line talks to a running server.
//!
//! Called by `app`, and at the socket's other end by `cli`. Never on the players' port, and never in the way of a player.

mod answers;
mod asking;
pub mod auth;
pub mod client;
pub mod control;
mod docs;
mod extract;
mod http;
pub mod keys;
mod metrics;
mod openapi;
pub mod orders;
mod places;
pub mod players;
pub mod reload;
mod routes;
mod shop;
mod socket;

pub use http::{Bound, BoundSocket, bind, bind_socket};

use crate::{
    roster::Roster,
    telemetry::{log::LogLevel, readiness::Readiness},
};
use auth::Access;
use reload::Reload;
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
    /// The players.
    pub roster: Arc<Roster>,
    /// What reads settings and catalogue again.
    pub reload: Arc<dyn Reload>,
    /// Who may ask.
    pub access: Arc<Access>,
}
