//! What the suite stands on: a deterministic simulation, real servers, and the catalogue that tests play with.

pub mod child;
pub mod client;
pub mod simulation;
pub mod temp_dir;

use holdall_server::{
    catalog::Rules,
    config::{Settings, Sources},
};

/// The rules of the shipped catalogue with every knob at its default: nobody has anything at birth.
#[must_use]
pub fn rules() -> Rules {
    let loaded = Settings::load(Sources::default()).expect("the defaults are fine");
    Rules::load(include_str!("../../config/items.toml"), "items.toml", &loaded).expect("the shipped catalogue is fine")
}
