//! Exactly once: where a request number stands towards what was asked before.

use crate::{
    ledger::entry::Asked,
    roster::{cell::Seat, remembered::Fate},
};
use bytes::Bytes;
use holdall_protocol::{
    code::Code,
    ids::{Revision, Seq},
    message::Duplicate,
};

/// How far ahead of the last request a number may be.
pub(super) const SEQ_AHEAD_MAX: u64 = 1_024;

/// Where a request stands.
pub(super) enum Standing {
    /// Never seen.
    New,
    /// Answered before, and the answer is still kept.
    Kept {
        /// When the answer may leave.
        revision: Revision,
        /// The answer's bytes.
        frame: Bytes,
    },
    /// Answered before; the answer is gone, its fate may be known.
    Duplicate(Duplicate),
    /// Not acceptable, and not spent.
    Refused(Code, &'static str),
}

/// Looks a request up.
pub(super) fn standing(seat: &Seat, asked: Asked) -> Standing {
    let Asked { seq, hash } = asked;
    if seq == Seq::ZERO || seq.get() > seat.seq.get().saturating_add(SEQ_AHEAD_MAX) {
        return Standing::Refused(Code::SeqGap, "number requests from welcome's seq + 1 on");
    }
    if seq > seat.seq {
        return Standing::New;
    }
    let reused = Standing::Refused(Code::SeqReused, "this seq was another request; number on from welcome's seq");
    if let Some((kept, frame)) = seat.feed.answer(seq) {
        let same = kept.answers == Some((seq, hash));
        return if same { Standing::Kept { revision: kept.revision, frame } } else { reused };
    }
    let duplicate = |applied, revision| Standing::Duplicate(Duplicate { applied, revision });
    match seat.fate(asked) {
        Fate::Another => reused,
        Fate::Applied(revision) => duplicate(Some(true), Some(revision)),
        Fate::Refused => duplicate(Some(false), None),
        Fate::Forgotten => duplicate(None, None),
    }
}
