//! The suite: its list of modules is the table of contents.

mod catalog;
mod config;
mod conformance;
mod engine;
mod faulty_disk;
mod gateway;
mod hostile;
mod operator;
mod sign_in;
mod simulation;
mod spool;
mod stored;
mod tidy;
mod wire;
