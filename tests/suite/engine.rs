//! The rules, row by row and against a naive model.

mod equipment;
mod frozen;
mod gifts;
mod granting;

mod moving;
mod notation;
mod player;
mod taking;
mod wide;
mod world;
