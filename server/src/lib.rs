//! x

pub mod catalog;
pub mod engine;
