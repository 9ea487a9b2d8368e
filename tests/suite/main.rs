//! The suite: its list of modules is the table of contents.

mod simulation;
mod tidy;
