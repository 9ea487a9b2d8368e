//! Kept answers on the shelf: each in the row of the player whose write brought it, so that it is lost with that write.

use super::{KeptAnswer, OrderKey, PlayerWrite, Row, State};
use holdall_protocol::ids::PlayerId;
use std::collections::BTreeMap;

/// What an order was answered.
pub(super) fn find<'r>(rows: &'r BTreeMap<PlayerId, Row>, key: &str) -> Option<&'r KeptAnswer> {
    let mut kept = rows.values().flat_map(|row| &row.answers);
    kept.find(|(_, answer)| answer.key.as_str() == key).map(|(_, answer)| answer)
}

impl State {
    /// What is kept under a key.
    pub(super) fn answer(&self, key: &OrderKey) -> Option<KeptAnswer> {
        find(&self.rows, key.as_str()).cloned().or_else(|| self.shop.answer(key))
    }

    /// Keeps what a write brings; the first one under a key stays.
    pub(super) fn keep_answers(&mut self, write: &PlayerWrite) {
        for answer in &write.answers {
            if self.answer(&answer.key).is_none() {
                let row = self.rows.entry(write.player.clone()).or_default();
                row.answers.retain(|(saved_at, _)| *saved_at >= KeptAnswer::oldest_kept(write.saved_at));
                row.answers.push((write.saved_at, answer.clone()));
            }
        }
    }
}
