//! What the suite stands on: a deterministic simulation, real servers, and the catalogue that tests play with.

pub mod simulation;
