//! Holdall's server as a library: the rooms, and what stands between a socket and a stored record.

pub mod engine;
pub mod gateway;
pub mod operator;
pub mod session;
pub mod telemetry;
