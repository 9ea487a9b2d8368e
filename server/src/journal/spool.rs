//! The spool: where batches go that the store would not take before the process had to stop.
//!
//! A file of batches in order, each checksummed, written whole and synced, replayed at the next start before anybody
//! is served. Called by `app`. The bytes are those of the batches: replaying one twice applies it once.

use crate::store::{Batch, Life, Outcome, PlayerWrite, Store};
use std::{collections::HashSet, fs, io, io::Write as _, path::Path, sync::Arc};

const MAGIC: &[u8; 8] = b"HOLDSPL1";

/// Writes the batches; an existing file is replaced in one step.
///
/// # Errors
/// The disk's words. Then there is no new spool.
pub fn write(path: &Path, batches: &[Arc<Batch>]) -> io::Result<()> {
    let mut bytes = MAGIC.to_vec();
    // Without the count a file cut between two batches would pass for a shorter one.
    bytes.extend_from_slice(&u32::try_from(batches.len()).map_err(io::Error::other)?.to_le_bytes());
    for batch in batches {
        let body = rmp_serde::to_vec(&**batch).map_err(io::Error::other)?;
        let length = u32::try_from(body.len()).map_err(io::Error::other)?;
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(&crc32fast::hash(&body).to_le_bytes());
        bytes.extend_from_slice(&body);
    }
    let unfinished = path.with_extension("unfinished");
    let mut file = fs::File::create(&unfinished)?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    fs::rename(&unfinished, path)?;
    if let Some(folder) = path.parent() {
        fs::File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// Reads the batches back, none when there is no file.
///
/// # Errors
/// Also for a file that is damaged: then nothing of it is replayed and a person must look.
pub fn read(path: &Path) -> io::Result<Vec<Batch>> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let damaged = || io::Error::new(io::ErrorKind::InvalidData, "the spool file is damaged");
    let rest = bytes.strip_prefix(MAGIC).ok_or_else(damaged)?;
    let (count, mut rest) = rest.split_first_chunk().ok_or_else(damaged)?;
    let mut batches = Vec::new();
    for _ in 0..u32::from_le_bytes(*count) {
        let (head, tail) = rest.split_at_checked(8).ok_or_else(damaged)?;
        let (length, checksum) = head.split_at(4);
        let length = length.try_into().map(u32::from_le_bytes).map_err(|_| damaged())?;
        let checksum = checksum.try_into().map(u32::from_le_bytes).map_err(|_| damaged())?;
        let length = usize::try_from(length).map_err(|_| damaged())?;
        let (body, tail) = tail.split_at_checked(length).ok_or_else(damaged)?;
        if crc32fast::hash(body) != checksum {
            return Err(damaged());
        }
        batches.push(rmp_serde::from_slice(body).map_err(|_| damaged())?);
        rest = tail;
    }
    if rest.is_empty() { Ok(batches) } else { Err(damaged()) }
}

/// What became of a spool.
#[derive(Debug, Default)]
pub struct Replayed {
    /// Batches that are in the store now.
    pub applied: usize,
    /// Batches that the store refused, with its reason: other owners have these players, or they moved on.
    pub refused: Vec<(Batch, Outcome)>,
}

/// Sends every batch to the store, in order. Nobody plays yet, so that every life of the store is good enough: this one
/// was just asked for.
///
/// # Errors
/// The outcome that stopped it: the store is away or broken, and the spool must be kept.
pub async fn replay(store: &dyn Store, life: Life, batches: Vec<Batch>) -> Result<Replayed, Outcome> {
    let mut answered = Vec::with_capacity(batches.len());
    for batch in batches {
        match store.commit(Arc::new(batch.clone()), life).await {
            away @ (Outcome::Restarted | Outcome::Unknown | Outcome::Unavailable { .. } | Outcome::Broken { .. }) => {
                return Err(away);
            }
            outcome @ (Outcome::Applied
            | Outcome::Already
            | Outcome::Fenced { .. }
            | Outcome::Conflict { .. }
            | Outcome::Regressed { .. }) => answered.push((batch, outcome)),
        }
    }
    Ok(judge(answered))
}

/// A replay that was cut short went past some batches before, whose ids later ones have overwritten and whose owners
/// later ones have given up: they are refused now, and yet they are in the store. The proof is a later batch that is in
/// the store, stands on what this one wrote and was written under the same token, which nobody else ever had.
fn judge(answered: Vec<(Batch, Outcome)>) -> Replayed {
    let mut replayed = Replayed::default();
    let mut stood_on = HashSet::new();
    for (batch, outcome) in answered.into_iter().rev() {
        let stands =
            |write: &PlayerWrite| stood_on.contains(&(write.player.clone(), write.owner.clone(), write.revision));
        if matches!(outcome, Outcome::Applied | Outcome::Already) || batch.players.iter().any(stands) {
            replayed.applied = replayed.applied.saturating_add(1);
            stood_on.extend(batch.players.into_iter().map(|write| (write.player, write.owner, write.base)));
        } else {
            replayed.refused.push((batch, outcome));
        }
    }
    replayed.refused.reverse();
    replayed
}
