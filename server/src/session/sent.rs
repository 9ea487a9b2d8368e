//! What one flush wrote to a client, counted at its end.

use crate::{
    replication::outbox::Ready,
    telemetry::metrics::{Metrics, labels::Content},
};
use holdall_protocol::message::{Answer, Answered, ServerMessage};

/// Frames and their bytes.
#[derive(Debug, Clone, Copy, Default)]
struct Amount {
    frames: usize,
    bytes: usize,
}

/// What was written so far.
#[derive(Debug, Default)]
pub(super) struct Sent {
    all: Amount,
    snapshots: Amount,
}

impl Amount {
    fn add(&mut self, bytes: usize) {
        self.frames = self.frames.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes);
    }

    fn without(self, part: Self) -> Self {
        Self { frames: self.frames.saturating_sub(part.frames), bytes: self.bytes.saturating_sub(part.bytes) }
    }

    fn count(self, content: Content, metrics: &Metrics) {
        if self.frames > 0 {
            metrics.frames_sent.add(&content, self.frames.try_into().unwrap_or(u64::MAX));
            metrics.sent_bytes.add(&content, self.bytes.try_into().unwrap_or(u64::MAX));
        }
    }
}

impl Sent {
    /// Takes note of a frame of so many bytes.
    pub(super) fn frame(&mut self, bytes: usize) {
        self.all.add(bytes);
    }

    /// Takes note that the last one was this message.
    pub(super) fn message(&mut self, message: &ServerMessage, bytes: usize) {
        match message {
            ServerMessage::Snapshot(_) | ServerMessage::Answer(Answer { answer: Answered::Snapshot(_), .. }) => {
                self.snapshots.add(bytes);
            }
            ServerMessage::Welcome(_)
            | ServerMessage::Applied(_)
            | ServerMessage::Refused(_)
            | ServerMessage::Answer(_)
            | ServerMessage::Delta(_)
            | ServerMessage::Trade(_)
            | ServerMessage::Hold(_)
            | ServerMessage::Reloaded(_) => {}
        }
    }

    /// Counts all of it. `ready` says what of it were deltas.
    pub(super) fn count(self, ready: Ready, metrics: &Metrics) {
        let deltas = Amount { frames: ready.deltas, bytes: ready.delta_bytes };
        deltas.count(Content::Delta, metrics);
        self.snapshots.count(Content::Snapshot, metrics);
        self.all.without(deltas).without(self.snapshots).count(Content::Other, metrics);
    }
}
