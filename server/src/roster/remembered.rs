//! What became of a player's newest requests that took effect, in eight bytes each: every player in the game has them.
//!
//! Owned by a seat, filled at its load and by its records, asked when a request comes again whose reply is not kept any more.

use crate::ledger::entry::Asked;
use holdall_protocol::ids::{Revision, Seq};
use std::collections::VecDeque;

/// How many there are at most.
const REQUESTS_MAX: usize = 64;

/// One request.
#[derive(Debug, Clone, Copy)]
struct Step {
    /// How far its number lies above that of the one before it.
    seq: u16,
    /// The same of the revision it made.
    revision: u16,
    /// Half of the hash: enough to notice that another action was sent under the same number.
    hash: u32,
}

/// The newest requests that took effect.
#[derive(Debug)]
pub(super) struct Remembered {
    /// The oldest first; of that one only the hash counts.
    steps: VecDeque<Step>,
    oldest: Seq,
    newest: (Seq, Revision),
    since: Seq,
}

/// What is known of a request that was sent before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It made this revision.
    Applied(Revision),
    /// Another one did under its number.
    Another,
    /// It had no effect.
    Refused,
    /// Nothing any more.
    Forgotten,
}

impl Remembered {
    /// Nothing yet, and nothing took effect from this number on.
    pub(super) const fn since(since: Seq) -> Self {
        Self { steps: VecDeque::new(), oldest: Seq::ZERO, newest: (Seq::ZERO, Revision::ZERO), since }
    }

    /// Adds one that took effect. What lies too far behind it is forgotten.
    pub(super) fn remember(&mut self, asked: Asked, revision: Revision) {
        let seq = step(asked.seq.get(), self.newest.0.get());
        let made = step(revision.get(), self.newest.1.get());
        match seq.zip(made).filter(|_| !self.steps.is_empty()) {
            Some((seq, revision)) => self.push(Step { seq, revision, hash: half(asked.hash) }),
            None => {
                if !self.steps.is_empty() {
                    self.steps.clear();
                    self.since = asked.seq;
                }
                self.oldest = asked.seq;
                self.push(Step { seq: 0, revision: 0, hash: half(asked.hash) });
            }
        }
        self.newest = (asked.seq, revision);
    }

    fn push(&mut self, step: Step) {
        if self.steps.len() >= REQUESTS_MAX {
            self.steps.pop_front();
            let above = self.steps.front().map_or(0, |oldest| oldest.seq);
            self.oldest = Seq::new(self.oldest.get().saturating_add(above.into()));
            self.since = self.oldest;
        }
        let count = self.steps.len();
        if count == self.steps.capacity() {
            // By itself it would make room for more than there ever are.
            self.steps.reserve_exact(count.max(4).min(REQUESTS_MAX.saturating_sub(count)));
        }
        self.steps.push_back(step);
    }

    /// Gives back what was reserved for requests that never came.
    pub(super) fn shrink(&mut self) {
        self.steps.shrink_to_fit();
    }

    /// What became of a request.
    pub(super) fn fate(&self, asked: Asked) -> Fate {
        let (mut seq, mut revision) = (self.newest.0.get(), self.newest.1.get());
        for step in self.steps.iter().rev() {
            if seq == asked.seq.get() {
                let same = step.hash == half(asked.hash);
                return if same { Fate::Applied(Revision::new(revision)) } else { Fate::Another };
            }
            seq = seq.saturating_sub(step.seq.into());
            revision = revision.saturating_sub(step.revision.into());
        }
        if asked.seq >= self.since { Fate::Refused } else { Fate::Forgotten }
    }
}

fn step(number: u64, before: u64) -> Option<u16> {
    u16::try_from(number.checked_sub(before)?).ok()
}

fn half(hash: u64) -> u32 {
    u32::try_from(hash >> 32).expect("half of 64 bits")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(seq: u64) -> Asked {
        Asked { seq: Seq::new(seq), hash: seq << 40 }
    }

    fn applied(revision: u64) -> Fate {
        Fate::Applied(Revision::new(revision))
    }

    /// Every third number took effect, and made every second revision.
    fn filled(requests: u64) -> Remembered {
        let mut remembered = Remembered::since(Seq::ZERO);
        for request in 1..=requests {
            remembered.remember(asked(3 * request), Revision::new(2 * request));
        }
        remembered
    }

    #[test]
    fn each_is_known_by_its_number_until_it_is_one_too_many() {
        let remembered = filled(64);
        for request in 1..=64 {
            assert_eq!(remembered.fate(asked(3 * request)), applied(2 * request));
            assert_eq!(remembered.fate(asked(3 * request + 1)), Fate::Refused);
        }
        let remembered = filled(100);
        assert_eq!(remembered.fate(asked(3 * 36)), Fate::Forgotten);
        assert_eq!(remembered.fate(asked(3 * 37)), applied(2 * 37));
        assert_eq!(remembered.fate(asked(3 * 37 + 1)), Fate::Refused);
        assert_eq!(remembered.steps.capacity(), 64, "no more room than is ever used");
    }

    #[test]
    fn another_action_under_the_same_number_is_noticed() {
        let another = Asked { hash: 1 << 60, ..asked(3) };
        assert_eq!(filled(1).fate(another), Fate::Another);
    }

    #[test]
    fn what_lies_too_far_behind_is_forgotten_and_never_mistaken() {
        for (seq, revision) in [(1 << 20, 3), (4, 1 << 20)] {
            let mut remembered = filled(1);
            remembered.remember(asked(seq), Revision::new(revision));
            assert_eq!(remembered.fate(asked(seq)), applied(revision));
            assert_eq!(remembered.fate(asked(3)), Fate::Forgotten);
        }
    }

    #[test]
    fn of_a_life_that_was_not_read_whole_older_ones_are_not_known() {
        let remembered = Remembered::since(Seq::new(7));
        assert_eq!(remembered.fate(asked(6)), Fate::Forgotten);
        assert_eq!(remembered.fate(asked(7)), Fate::Refused);
    }
}
