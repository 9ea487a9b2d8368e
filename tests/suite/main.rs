//! The suite: its list of modules is the table of contents.

mod catalog;
mod config;
mod engine;
mod gateway;
mod golden;
mod hostile;
mod operator;
mod reference;
mod sign_in;
mod simulation;
mod simulator;
mod stored;
mod tidy;
mod wire;
