//! The rules, row by row and against a naive model.

mod against_model;
mod buying;
mod equipment;
mod frozen;
mod gifts;
mod granting;
mod migration;

mod model;
mod moving;
mod notation;
mod player;
mod restoring;
mod taking;
mod trading;
mod wide;
mod world;
