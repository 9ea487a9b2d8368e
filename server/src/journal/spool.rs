//! The spool: where batches go that the store would not take before the process had to stop.
//!
//! A file of batches in order, each checksummed, written whole and synced, replayed at the next start before anybody
//! is served. Called by `app`. The bytes are those of the batches: replaying one twice applies it once.

use super::pending::{Flight, Group};
use crate::store::{Batch, BatchId, Life, Outcome, PlayerWrite, Store};
use holdall_protocol::ids::PlayerId;
use std::{collections::HashSet, fs, io, io::Write as _, path::Path, sync::Arc};
use xxhash_rust::xxh3::xxh3_128;

const MAGIC: &[u8; 8] = b"HOLDSPL2";

/// Writes the batches that were meant for the store at `home` ([`Store::home`]); an existing file is replaced in one step.
///
/// # Errors
/// The disk's words. Then there is no new spool.
pub fn write(path: &Path, home: &str, flights: &[Flight]) -> io::Result<()> {
    let mut bytes = MAGIC.to_vec();
    // Without the count a file cut between two batches would pass for a shorter one.
    bytes.extend_from_slice(&u32::try_from(flights.len()).map_err(io::Error::other)?.to_le_bytes());
    append(&mut bytes, home.as_bytes())?;
    for flight in flights {
        append(&mut bytes, &rmp_serde::to_vec(&(&*flight.batch, &flight.groups)).map_err(io::Error::other)?)?;
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

/// A piece of the file: its length, its checksum, itself.
fn append(bytes: &mut Vec<u8>, piece: &[u8]) -> io::Result<()> {
    bytes.extend_from_slice(&u32::try_from(piece.len()).map_err(io::Error::other)?.to_le_bytes());
    bytes.extend_from_slice(&crc32fast::hash(piece).to_le_bytes());
    bytes.extend_from_slice(piece);
    Ok(())
}

/// Reads the batches back, none when there is no file.
///
/// # Errors
/// Also for a file that is damaged, or that was meant for a store other than the one at `home`: then nothing of it is
/// replayed and a person must look.
pub fn read(path: &Path, home: &str) -> io::Result<Vec<Flight>> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let rest = bytes.strip_prefix(MAGIC).ok_or_else(damaged)?;
    let (count, mut rest) = rest.split_first_chunk().ok_or_else(damaged)?;
    let meant_for = piece(&mut rest)?;
    let mut flights = Vec::new();
    for _ in 0..u32::from_le_bytes(*count) {
        let (batch, groups) = rmp_serde::from_slice(piece(&mut rest)?).map_err(|_| damaged())?;
        flights.push(Flight { batch: Arc::new(batch), groups });
    }
    if !rest.is_empty() {
        return Err(damaged());
    }
    if meant_for != home.as_bytes() {
        let meant_for = String::from_utf8_lossy(meant_for);
        let text = format!(
            "it holds what could not be saved to {meant_for}, and this is {home}: start once with the store that it is for"
        );
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    }
    Ok(flights)
}

fn damaged() -> io::Error {
    let text = "the file is damaged; nothing of it was saved: keep it aside for a person to look at, then start again";
    io::Error::new(io::ErrorKind::InvalidData, text)
}

fn piece<'b>(rest: &mut &'b [u8]) -> io::Result<&'b [u8]> {
    let (length, tail) = rest.split_first_chunk().ok_or_else(damaged)?;
    let (checksum, tail) = tail.split_first_chunk().ok_or_else(damaged)?;
    let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| damaged())?;
    let (piece, tail) = tail.split_at_checked(length).ok_or_else(damaged)?;
    if crc32fast::hash(piece) != u32::from_le_bytes(*checksum) {
        return Err(damaged());
    }
    *rest = tail;
    Ok(piece)
}

/// What became of a spool.
#[derive(Debug, Default)]
pub struct Replayed {
    /// Batches that are in the store now.
    pub applied: usize,
    /// Batches that the store refused, with its reason: other owners have these players, or they moved on.
    pub refused: Vec<(Batch, Outcome)>,
}

/// Sends every batch to the store, in order. Whoever it refuses takes along those tied to it in that batch; the rest goes
/// again. Nobody plays yet, so that every life of the store is good enough: this one was just asked for.
///
/// # Errors
/// The outcome that stopped it: the store is away or broken, and the spool must be kept.
pub async fn replay(store: &dyn Store, life: Life, flights: Vec<Flight>) -> Result<Replayed, Outcome> {
    let mut answered = Vec::with_capacity(flights.len());
    for Flight { batch, groups } in flights {
        let mut groups = Arc::unwrap_or_clone(groups);
        let mut rest = Some((*batch).clone());
        while let Some(batch) = rest.take() {
            match store.commit(Arc::new(batch.clone()), life).await {
                away @ (Outcome::Restarted
                | Outcome::Unknown
                | Outcome::Unavailable { .. }
                | Outcome::Broken { .. }) => return Err(away),
                outcome @ (Outcome::Applied | Outcome::Already) => answered.push((batch, outcome)),
                outcome @ (Outcome::Fenced { .. } | Outcome::Conflict { .. } | Outcome::Regressed { .. }) => {
                    let refused = outcome.refused();
                    let falls = |group: &Group| group.iter().any(|player| refused.contains(player));
                    let (fallen, left): (Vec<_>, Vec<_>) = groups.into_iter().partition(falls);
                    groups = left;
                    assert!(!fallen.is_empty(), "every player of a batch is in one of its groups");
                    answered.extend(fallen.iter().map(|group| (only(&batch, group), outcome.clone())));
                    rest = without(&batch, &groups);
                }
            }
        }
    }
    Ok(judge(answered))
}

/// One group's part of a batch.
fn only(batch: &Batch, group: &[PlayerId]) -> Batch {
    let players = batch.players.iter().filter(|write| group.contains(&write.player)).cloned().collect();
    Batch { id: batch.id, players }
}

/// What is left of a batch, under an id that follows from what it is: a replay that is repeated finds it again.
fn without(batch: &Batch, groups: &[Group]) -> Option<Batch> {
    let left: HashSet<&PlayerId> = groups.iter().flatten().collect();
    let players: Vec<PlayerWrite> =
        batch.players.iter().filter(|write| left.contains(&write.player)).cloned().collect();
    if players.is_empty() {
        return None;
    }
    let mut named = batch.id.as_bytes().to_vec();
    for write in &players {
        named.extend_from_slice(write.player.as_str().as_bytes());
        named.push(0);
    }
    Some(Batch { id: BatchId::new(uuid::Uuid::from_u128(xxh3_128(&named))), players })
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
