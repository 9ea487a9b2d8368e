//! Kept answers on the shelf: each in the row of the player whose write brought it, so that it is lost with that write.

use super::{KeptAnswer, OrderKey, PlayerWrite, State};

impl State {
    /// What is kept under a key.
    pub(super) fn answer(&self, key: &OrderKey) -> Option<KeptAnswer> {
        let mut kept = self.rows.values().flat_map(|row| &row.answers);
        kept.find(|(_, answer)| answer.key == *key).map(|(_, answer)| answer.clone())
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
