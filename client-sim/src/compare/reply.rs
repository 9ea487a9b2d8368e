//! A reply, as far as the load has to know it: to which request, and whether it took effect.
//!
//! Decoding all of it would cost the load more than the server pays for making it.

use holdall_protocol::code::Code;
use serde::{Deserialize, de::IgnoredAny};

/// What a frame of the server's says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// The request with this number took effect.
    Applied(u64),
    /// It did not.
    Refused(u64, Code),
    /// It is no reply.
    Other,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Head {
    Applied(Numbered),
    Refused(Refused),
    Answer(Numbered),
    Welcome(IgnoredAny),
    Snapshot(IgnoredAny),
    Delta(IgnoredAny),
    Trade(IgnoredAny),
    Hold(IgnoredAny),
    Reloaded(IgnoredAny),
}

#[derive(Deserialize)]
struct Numbered {
    seq: u64,
}

#[derive(Deserialize)]
struct Refused {
    seq: u64,
    code: Code,
}

impl Reply {
    /// Reads a MessagePack frame; `None` where it is no message.
    pub(super) fn read(frame: &[u8]) -> Option<Self> {
        Some(match rmp_serde::from_slice(frame).ok()? {
            Head::Applied(Numbered { seq }) | Head::Answer(Numbered { seq }) => Self::Applied(seq),
            Head::Refused(Refused { seq, code }) => Self::Refused(seq, code),
            Head::Welcome(_) | Head::Snapshot(_) | Head::Delta(_) => Self::Other,
            Head::Trade(_) | Head::Hold(_) | Head::Reloaded(_) => Self::Other,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdall_protocol::{
        frame::Subprotocol,
        ids::{Place, Revision, Seq},
        message::{Applied, Change, Refused, Removed, ServerMessage},
    };

    fn read(message: &ServerMessage) -> Option<Reply> {
        let mut frame = Vec::new();
        Subprotocol::Msgpack.encode(message, &mut frame);
        Reply::read(&frame)
    }

    #[test]
    fn number_and_outcome_are_read_and_the_rest_is_skipped() {
        let (seq, revision) = (Seq::new(70_000), Revision::new(3));
        let changes = vec![Change::Remove(Removed { place: Place::Bag(4) })];
        let applied = Applied { seq, revision, changes, checksum: 1, overflow: None, hold: None, collapsed: false };
        assert_eq!(read(&ServerMessage::Applied(applied)), Some(Reply::Applied(70_000)));
        let code = Code::RateLimited;
        let refused = Refused { seq, revision, code, message: "no".into(), retry_after_ms: None, duplicate: None };
        assert_eq!(read(&ServerMessage::Refused(refused)), Some(Reply::Refused(70_000, code)));
        assert_eq!(Reply::read(b"\xc1"), None);
    }
}
