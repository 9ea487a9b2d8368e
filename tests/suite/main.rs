//! The suite: its list of modules is the table of contents.

mod catalog;
mod config;
mod engine;
mod exactly_once;
mod resume;
mod session;
mod simulation;
mod slow_reader;
mod tidy;
