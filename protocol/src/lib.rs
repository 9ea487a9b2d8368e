//! Holdall's wire protocol: what a client and the server say to each other, byte for byte.
//!
//! Owns the identifiers, the messages and their two encodings, the refusal and close codes, and the checksum by
//! which a client proves its mirror right. Used by the server and by the client simulator. Never opens a socket,
//! reads a clock or knows a game rule. `protocol/README.md` is the reference for people who write clients.

#![warn(clippy::arithmetic_side_effects, clippy::wildcard_enum_match_arm)]

pub mod action;
pub mod attribute;
pub mod checksum;
pub mod close;
pub mod code;
pub mod frame;
pub mod ids;
pub mod message;
mod strict;

/// The largest number that every JSON reader keeps exact: 2^53 − 1.
pub const NUMBER_MAX: u64 = (1 << 53) - 1;
