//! The ring of kept frames: one memory for both a client that comes back and a request that is repeated.

use bytes::Bytes;
use holdall_protocol::{
    frame::Subprotocol,
    ids::{Revision, Seq},
};
use std::collections::VecDeque;

/// A frame that may be sent again.
#[derive(Debug, Clone)]
pub struct Kept {
    /// The revision it made, or the one it was judged against.
    pub revision: Revision,
    /// Whether it made that revision.
    pub makes: bool,
    /// The request it answers, with the hash of its action.
    pub answers: Option<(Seq, u64)>,
    /// The encoded frame.
    pub frame: Bytes,
}

/// The newest frames of one player, bounded in bytes, all of one subprotocol.
#[derive(Debug)]
pub struct Feed {
    subprotocol: Subprotocol,
    ring: VecDeque<Kept>,
    bytes: usize,
    bytes_max: usize,
}

/// What one kept frame costs beside its bytes.
const OVERHEAD: usize = size_of::<Kept>();

impl Feed {
    /// An empty ring.
    #[must_use]
    pub const fn new(subprotocol: Subprotocol, bytes_max: usize) -> Self {
        Self { subprotocol, ring: VecDeque::new(), bytes: 0, bytes_max }
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
    pub fn keep(&mut self, kept: Kept) {
        self.bytes = self.bytes.saturating_add(kept.frame.len()).saturating_add(OVERHEAD);
        self.ring.push_back(kept);
        while self.bytes > self.bytes_max {
            let Some(oldest) = self.ring.pop_front() else { break };
            self.bytes = self.bytes.saturating_sub(oldest.frame.len()).saturating_sub(OVERHEAD);
        }
    }

    /// The answer that was given to a request, with its action's hash.
    #[must_use]
    pub fn answer(&self, seq: Seq) -> Option<(&Kept, u64)> {
        let kept = self.ring.iter().rev().find(|kept| kept.answers.is_some_and(|(answered, _)| answered == seq))?;
        kept.answers.map(|(_, hash)| (kept, hash))
    }

    /// The frames that lead from `from` to `to`, one a revision; `None` where they are no longer all held.
    #[must_use]
    pub fn since(&self, from: Revision, to: Revision) -> Option<Vec<(Revision, Bytes)>> {
        let mut next = from;
        let mut frames = Vec::new();
        for kept in self.ring.iter().filter(|kept| kept.makes && kept.revision > from) {
            if kept.revision != next.next() {
                return None;
            }
            next = kept.revision;
            frames.push((kept.revision, kept.frame.clone()));
        }
        (next == to).then_some(frames)
    }
}
