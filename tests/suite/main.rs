//! The suite: its list of modules is the table of contents.

mod catalog;
mod config;
mod engine;
mod exactly_once;
mod gateway;
mod hostile;
mod operator;
mod resume;
mod session;
mod sign_in;
mod simulation;
mod slow_reader;
mod stored;
mod tidy;
mod wire;
