//! Bots.

pub mod fault;
pub mod model;
