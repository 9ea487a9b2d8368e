//! What the suite stands on: a deterministic simulation, real servers, and the catalogue that tests play with.

pub mod bots;
pub mod child;
pub mod client;
pub mod command;
pub mod disk;
pub mod http;
pub mod metrics;
pub mod proxy;
pub mod raw;
pub mod redis;
pub mod resp;
pub mod server;
pub mod shop;
pub mod simulation;
pub mod trade;

use holdall_server::{catalog::Rules, config::Loaded};

/// The rules of the shipped catalogue with every knob at its default: nobody has anything at birth.
#[must_use]
pub fn rules() -> Rules {
    Rules::load(include_str!("../../config/items.toml"), "items.toml", &Loaded::default())
        .expect("the shipped catalogue is fine")
}
