//! The suite: its list of modules is the table of contents.

mod broken_store;
mod catalog;
mod config;
mod conformance;
mod engine;
mod faulty_disk;
mod gateway;
mod hostile;
mod loads;
mod operator;
mod pending;
mod sign_in;
mod simulation;
mod spool;
mod stored;
mod tidy;
mod wire;
