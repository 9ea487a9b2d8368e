//! Whether a bot reads: some do not, for a while, again and again.

use crate::socket::Room;
use tokio::time::Instant;

/// A bot's ears.
#[derive(Debug)]
pub(super) struct Ears {
    slow: bool,
    deaf: bool,
    turn_at: Option<Instant>,
}

impl Ears {
    /// They listen; those of a slow reader not for ever.
    pub(super) const fn new(slow: bool) -> Self {
        Self { slow, deaf: false, turn_at: None }
    }

    /// Whether it is a slow reader's.
    pub(super) const fn are_slow(&self) -> bool {
        self.slow
    }

    /// How much is to be kept for them.
    pub(super) const fn room(&self) -> Room {
        if self.slow { Room::Narrow } else { Room::Usual }
    }

    /// Whether nothing is read now.
    pub(super) const fn are_deaf(&self) -> bool {
        self.deaf
    }

    /// Listens from now on, until `turn_at`.
    pub(super) const fn open(&mut self, turn_at: Option<Instant>) {
        self.deaf = false;
        self.turn_at = turn_at;
    }

    /// Listens no more until `turn_at`.
    pub(super) const fn shut(&mut self, turn_at: Instant) {
        self.deaf = true;
        self.turn_at = Some(turn_at);
    }

    /// When that changes.
    pub(super) const fn turn_at(&self) -> Option<Instant> {
        self.turn_at
    }
}
