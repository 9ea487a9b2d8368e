//! The suite: its list of modules is the table of contents.

mod catalog;
mod config;
mod engine;
mod golden;
mod reference;
mod simulation;
mod tidy;
