//! Holdall's client simulator as a library: the one checker of a server's promises, and the bots that play against it.
//!
//! Knows the protocol only, never the server's code.

pub mod checker;
pub mod conservation;
pub mod expect;
pub mod fault;
pub mod model;
