//! Kept answers in the file, and the sweeping of old ones.

use super::KeptAnswer;
use bytes::Bytes;
use holdall_protocol::ids::OrderKey;
use redb::{ReadableTable, Table, TableDefinition};

/// Order key, or the key of a player's deed in the shop → the hash of what was asked for and the answer.
pub(super) const ANSWERS: TableDefinition<'_, &str, (u64, &[u8])> = TableDefinition::new("answers");
/// When it was written (milliseconds since 1970) and the key: the oldest come first.
pub(super) const ANSWER_TIMES: TableDefinition<'_, (u64, &str), ()> = TableDefinition::new("answer_times");

/// Old answers that one write sweeps away at most, so that it never takes long.
const SWEPT_PER_WRITE: usize = 64;

/// Both tables, open for writing.
pub(super) struct Answers<'t> {
    pub(super) kept: Table<'t, &'static str, (u64, &'static [u8])>,
    pub(super) times: Table<'t, (u64, &'static str), ()>,
}

impl Answers<'_> {
    /// Keeps answers, each with its key and the hash of what was asked for, as written at `now`, in milliseconds since 1970;
    /// the first one under a key stays. What has become too old makes room.
    pub(super) fn keep<'a>(
        &mut self,
        answers: impl IntoIterator<Item = (&'a str, u64, &'a [u8])>,
        now: u64,
    ) -> Result<(), redb::Error> {
        let mut any = false;
        for (key, hash, bytes) in answers {
            any = true;
            if self.kept.get(key)?.is_none() {
                self.kept.insert(key, (hash, bytes))?;
                self.times.insert((now, key), ())?;
            }
        }
        if any { self.sweep(KeptAnswer::oldest_kept(now)) } else { Ok(()) }
    }

    /// When the newest answer was written; 0 where there is none.
    pub(super) fn newest(&self) -> Result<u64, redb::Error> {
        Ok(self.times.last()?.map_or(0, |(at, _)| at.value().0))
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
