//! The suite: its list of modules is the table of contents.

mod catalog;
mod config;
mod engine;
mod simulation;
mod tidy;
