//! Kept answers in the file, and the sweeping of old ones.

use super::{KeptAnswer, PlayerWrite};
use bytes::Bytes;
use holdall_protocol::ids::OrderKey;
use redb::{ReadableTable, Table, TableDefinition};

/// Order key → the order's hash and the answer.
pub(super) const ANSWERS: TableDefinition<'_, &str, (u64, &[u8])> = TableDefinition::new("answers");
/// When it was written (milliseconds since 1970) and the order key: the oldest come first.
pub(super) const ANSWER_TIMES: TableDefinition<'_, (u64, &str), ()> = TableDefinition::new("answer_times");

/// Old answers that one write sweeps away at most, so that it never takes long.
const SWEPT_PER_WRITE: usize = 64;

/// Both tables, open for writing.
pub(super) struct Answers<'t> {
    pub(super) kept: Table<'t, &'static str, (u64, &'static [u8])>,
    pub(super) times: Table<'t, (u64, &'static str), ()>,
}

impl Answers<'_> {
    /// Keeps what a write brings; the first one under a key stays. What has become too old makes room.
    pub(super) fn keep(&mut self, write: &PlayerWrite) -> Result<(), redb::Error> {
        for KeptAnswer { key, order, bytes } in &write.answers {
            if self.kept.get(key.as_str())?.is_none() {
                self.kept.insert(key.as_str(), (*order, bytes.as_ref()))?;
                self.times.insert((write.saved_at, key.as_str()), ())?;
            }
        }
        if write.answers.is_empty() { Ok(()) } else { self.sweep(KeptAnswer::oldest_kept(write.saved_at)) }
    }

    fn sweep(&mut self, oldest_kept: u64) -> Result<(), redb::Error> {
        let mut old = Vec::new();
        for row in self.times.range(..(oldest_kept, ""))?.take(SWEPT_PER_WRITE) {
            let (at, ()) = row.map(|(at, done)| (at, done.value()))?;
            let (saved_at, key) = at.value();
            old.push((saved_at, key.to_owned()));
        }
        for (saved_at, key) in old {
            self.kept.remove(key.as_str())?;
            self.times.remove((saved_at, key.as_str()))?;
        }
        Ok(())
    }
}

/// What is kept under a key.
pub(super) fn answer(
    kept: &impl ReadableTable<&'static str, (u64, &'static [u8])>,
    key: &OrderKey,
) -> Result<Option<KeptAnswer>, redb::Error> {
    let found = kept.get(key.as_str())?;
    Ok(found.map(|found| {
        let (order, bytes) = found.value();
        KeptAnswer { key: key.clone(), order, bytes: Bytes::copy_from_slice(bytes) }
    }))
}
