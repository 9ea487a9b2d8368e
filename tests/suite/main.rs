//! The suite: its list of modules is the table of contents.

mod applied;
mod catalog;
mod config;
mod conformance;
mod double_login;
mod engine;
mod exactly_once;
mod faulty_disk;
mod gateway;
mod golden;
mod hostile;
mod limits;
mod operator;
mod reference;
mod resume;
mod session;
mod sign_in;
mod simulation;
mod simulator;
mod slow_reader;
mod spool;
mod stop;
mod stored;
mod tidy;
mod wire;
