//! The suite: its list of modules is the table of contents.

mod engine;
mod simulation;
mod tidy;
