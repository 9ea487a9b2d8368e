//! The ring of kept frames: one memory for both a client that comes back and a request that is repeated.

use bytes::Bytes;
use holdall_protocol::{
    frame::Subprotocol,
    ids::{Revision, Seq},
};
use std::collections::VecDeque;

/// What is known of a frame that may be sent again.
#[derive(Debug, Clone, Copy)]
pub struct Kept {
    /// The revision it made, or the one it was judged against.
    pub revision: Revision,
    /// Whether it made that revision.
    pub makes: bool,
    /// The request it answers, with the hash of its action.
    pub answers: Option<(Seq, u64)>,
}

/// The newest frames of one player, bounded in bytes, all of one subprotocol.
#[derive(Debug)]
pub struct Feed {
    subprotocol: Subprotocol,
    /// Each frame with its length, the oldest first.
    ring: VecDeque<(Kept, usize)>,
    /// The frames, end to end: thousands of players write into theirs in turn, and find one warm line of memory each instead
    /// of a cold block a frame.
    frames: VecDeque<u8>,
    bytes_max: usize,
}

/// What one kept frame costs beside its bytes.
const OVERHEAD: usize = size_of::<(Kept, usize)>();

impl Feed {
    /// An empty ring.
    #[must_use]
    pub const fn new(subprotocol: Subprotocol, bytes_max: usize) -> Self {
        Self { subprotocol, ring: VecDeque::new(), frames: VecDeque::new(), bytes_max }
    }

    /// The subprotocol of all frames.
    #[must_use]
    pub const fn subprotocol(&self) -> Subprotocol {
        self.subprotocol
    }

    /// Starts anew in another subprotocol; the same one keeps what is there.
    pub fn speak(&mut self, subprotocol: Subprotocol) {
        if self.subprotocol != subprotocol {
            *self = Self::new(subprotocol, self.bytes_max);
        }
    }

    /// Keeps a frame, and forgets the oldest for it.
    pub fn keep(&mut self, kept: Kept, frame: &[u8]) {
        let room = self.bytes_max.checked_sub(frame.len().saturating_add(OVERHEAD));
        while room.is_none_or(|room| self.bytes() > room) {
            let Some((_, length)) = self.ring.pop_front() else { break };
            self.frames.drain(..length);
        }
        if room.is_some() {
            self.ring.push_back((kept, frame.len()));
            self.frames.extend(frame);
        }
    }

    fn bytes(&self) -> usize {
        self.frames.len().saturating_add(self.ring.len().saturating_mul(OVERHEAD))
    }

    /// Gives back what was reserved for frames that never came.
    pub fn shrink(&mut self) {
        self.ring.shrink_to_fit();
        self.frames.shrink_to_fit();
    }

    /// The answer that was given to a request.
    #[must_use]
    pub fn answer(&self, seq: Seq) -> Option<(Kept, Bytes)> {
        let answers = |kept: &Kept| kept.answers.is_some_and(|(answered, _)| answered == seq);
        let mut end = self.frames.len();
        for (kept, length) in self.ring.iter().rev() {
            let begin = end.saturating_sub(*length);
            if answers(kept) {
                return Some((*kept, self.frames.range(begin..end).copied().collect()));
            }
            end = begin;
        }
        None
    }

    /// The frames that lead from `from` to `to`, one a revision; `None` where they are no longer all held.
    #[must_use]
    pub fn since(&self, from: Revision, to: Revision) -> Option<Vec<(Revision, Bytes)>> {
        let (mut next, mut begin) = (from, 0_usize);
        let mut frames = Vec::new();
        for (kept, length) in &self.ring {
            let end = begin.saturating_add(*length);
            if kept.makes && kept.revision > from {
                if kept.revision != next.next() {
                    return None;
                }
                next = kept.revision;
                frames.push((kept.revision, self.frames.range(begin..end).copied().collect()));
            }
            begin = end;
        }
        (next == to).then_some(frames)
    }
}
