//! WebSocket frames to a client, written past the library: it would copy each into a buffer of its own that it keeps, as
//! large as the largest was, as long as the connection lives.
//!
//! Called by `turn`, which writes and flushes. A frame is one write, which what is below takes whole or not at all
//! (`gateway::buffered`): so neither the library's own frames nor a write that was given up cut one in two.

use bytes::{Buf, Bytes};
use holdall_protocol::frame::Subprotocol;
use std::io::Cursor;
use tokio_tungstenite::tungstenite::protocol::frame::{
    Frame,
    coding::{Data, OpCode},
};

/// A longer message goes out in several frames, so that a client that does not read it holds up only a part in buffers.
const FRAGMENT_BYTES_MAX: usize = 4_096;
/// The longest head of a frame to a client.
const HEAD_BYTES_MAX: usize = 10;

/// The part of a message that was not written yet.
#[derive(Debug, Default)]
pub(super) struct Rest {
    bytes: Bytes,
    begun: bool,
}

impl Rest {
    /// All of it.
    pub(super) fn of(message: Bytes) -> Self {
        Self { bytes: message, begun: false }
    }

    /// Takes the next frame off; `None` after the last.
    pub(super) fn next_frame(&mut self, subprotocol: Subprotocol) -> Option<impl Buf + use<>> {
        if self.bytes.is_empty() {
            return None;
        }
        let kind = match subprotocol {
            _ if std::mem::replace(&mut self.begun, true) => Data::Continue,
            Subprotocol::Msgpack => Data::Binary,
            Subprotocol::Json => Data::Text,
        };
        let part = self.bytes.split_to(FRAGMENT_BYTES_MAX.min(self.bytes.len()));
        Some(written(Frame::message(part, OpCode::Data(kind), self.bytes.is_empty())))
    }
}

/// Asks the client whether it is there.
pub(super) fn ping() -> impl Buf {
    written(Frame::ping(Bytes::new()))
}

fn written(frame: Frame) -> impl Buf {
    let mut head = Cursor::new([0; HEAD_BYTES_MAX]);
    let length = frame.payload().len().try_into().expect("a length fits in 64 bits");
    frame.header().format(length, &mut head).expect("no head of a frame to a client is longer");
    let bytes = head.position().try_into().expect("a few bytes");
    head.set_position(0);
    head.take(bytes).chain(frame.into_payload())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(message: &[u8], subprotocol: Subprotocol) -> Vec<Vec<u8>> {
        let mut rest = Rest::of(Bytes::copy_from_slice(message));
        let next = || rest.next_frame(subprotocol).map(|mut frame| frame.copy_to_bytes(frame.remaining()).to_vec());
        std::iter::from_fn(next).collect()
    }

    #[test]
    fn a_short_message_is_one_frame() {
        assert_eq!(frames(b"hi", Subprotocol::Json), [b"\x81\x02hi".to_vec()]);
        assert_eq!(frames(b"hi", Subprotocol::Msgpack), [b"\x82\x02hi".to_vec()]);
        assert_eq!(frames(&[7; 300], Subprotocol::Msgpack), [[&[0x82, 126, 1, 44][..], &[7; 300]].concat()]);
    }

    #[test]
    fn a_long_message_is_several_frames_of_which_the_last_says_so() {
        let message: Vec<u8> = (0..=255).cycle().take(2 * FRAGMENT_BYTES_MAX + 5).collect();
        let (first, rest) = message.split_at(FRAGMENT_BYTES_MAX);
        let (second, last) = rest.split_at(FRAGMENT_BYTES_MAX);
        let expected = [[b"\x01\x7e\x10\x00", first], [b"\x00\x7e\x10\x00", second]].map(|parts| parts.concat());
        assert_eq!(frames(&message, Subprotocol::Json), [&expected[..], &[[b"\x80\x05", last].concat()]].concat());
    }
}
