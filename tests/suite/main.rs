//! The suite: its list of modules is the table of contents.

mod gateway;
mod hostile;
mod operator;
mod sign_in;
mod simulation;
mod tidy;
mod wire;
