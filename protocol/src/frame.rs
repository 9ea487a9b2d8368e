//! Frames: one message as bytes, in one of two encodings of the same types.

use crate::message::{ClientMessage, ServerMessage};
use serde::{Serialize, de::DeserializeOwned};

/// Levels of maps and lists in one frame from a client; a deeper one is malformed.
pub const DEPTH_MAX: usize = 16;

/// The encoding a connection agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subprotocol {
    /// `holdall.v1.msgpack`: binary frames, MessagePack with named fields.
    Msgpack,
    /// `holdall.v1.json`: text frames.
    Json,
}

/// A frame that is no message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("malformed frame: {reason}")]
pub struct Malformed {
    reason: String,
}

impl Malformed {
    fn new(reason: impl std::fmt::Display) -> Self {
        // Parsers quote what they choked on; it may be long and may be a secret.
        Self { reason: reason.to_string().chars().take(100).collect() }
    }
}

impl Subprotocol {
    /// Both, the preferred one first.
    pub const ALL: [Self; 2] = [Self::Msgpack, Self::Json];

    /// The name in `Sec-WebSocket-Protocol`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Msgpack => "holdall.v1.msgpack",
            Self::Json => "holdall.v1.json",
        }
    }

    /// Appends a message's bytes to `out`.
    ///
    /// # Panics
    /// Never for our messages: they hold nothing that either format cannot express.
    pub fn encode<M: Serialize>(self, message: &M, out: &mut Vec<u8>) {
        match self {
            Self::Msgpack => rmp_serde::encode::write_named(out, message).expect("a message serialises into memory"),
            Self::Json => serde_json::to_writer(out, message).expect("a message serialises into memory"),
        }
    }

    /// Reads a frame that a client sent: strictly, nothing behind it, at most [`DEPTH_MAX`] deep.
    ///
    /// # Errors
    /// [`Malformed`], with a reason that quotes little of the frame.
    pub fn decode_client(self, frame: &[u8]) -> Result<ClientMessage, Malformed> {
        match self {
            Self::Msgpack => msgpack(frame),
            Self::Json => {
                json_depth(frame)?;
                serde_json::from_slice(frame).map_err(Malformed::new)
            }
        }
    }

    /// Reads a frame that a server sent.
    ///
    /// # Errors
    /// [`Malformed`] when it is no message of this version.
    pub fn decode_server(self, frame: &[u8]) -> Result<ServerMessage, Malformed> {
        match self {
            Self::Msgpack => rmp_serde::from_slice(frame).map_err(Malformed::new),
            Self::Json => serde_json::from_slice(frame).map_err(Malformed::new),
        }
    }
}

fn msgpack<M: DeserializeOwned>(frame: &[u8]) -> Result<M, Malformed> {
    // Of the library's two readers only this one tells what it left unread.
    let mut reader = rmp_serde::Deserializer::new(frame);
    reader.set_max_depth(DEPTH_MAX);
    let message = M::deserialize(&mut reader).map_err(Malformed::new)?;
    if reader.get_ref().is_empty() { Ok(message) } else { Err(Malformed::new("bytes behind the message")) }
}

/// The JSON reader skips unknown fields without counting their depth.
fn json_depth(frame: &[u8]) -> Result<(), Malformed> {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in frame {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth = depth.saturating_add(1);
                if depth > DEPTH_MAX {
                    return Err(Malformed::new("too deep"));
                }
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(())
}
