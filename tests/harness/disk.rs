//! A disk for the embedded store that fails on demand and forgets what was never synced.

use parking_lot::Mutex;
use rand::{Rng, SeedableRng, rngs::SmallRng};
use redb::StorageBackend;
use std::{io, sync::Arc};

/// How an operation fails. From then on every operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A write is not made.
    Write,
    /// Only the beginning of a write is made.
    Torn,
    /// A sync fails, and what it should have kept is kept or not.
    Sync,
    /// The file cannot grow.
    Full,
    /// Nothing fails: the power goes, sooner or later.
    Power,
}

impl Fault {
    /// Every one.
    pub const ALL: [Self; 5] = [Self::Write, Self::Torn, Self::Sync, Self::Full, Self::Power];
}

/// What a disk holds.
#[derive(Clone)]
pub struct Disk(Arc<Mutex<State>>);

struct State {
    /// What a read shows.
    shown: Vec<u8>,
    /// What the last sync kept.
    synced: Vec<u8>,
    /// Writes since then.
    unsynced: Vec<(usize, Vec<u8>)>,
    fault: Option<Fault>,
    /// Operations of the fault's kind that still succeed.
    left: u32,
    failed: bool,
}

impl Disk {
    /// An empty one that never fails.
    #[must_use]
    pub fn new() -> Self {
        Self::of(Vec::new())
    }

    fn of(bytes: Vec<u8>) -> Self {
        let (shown, synced) = (bytes.clone(), bytes);
        Self(Arc::new(Mutex::new(State { shown, synced, unsynced: Vec::new(), fault: None, left: 0, failed: false })))
    }

    /// Lets `left` more operations of the fault's kind succeed.
    pub fn fail_after(&self, left: u32, fault: Fault) {
        let mut state = self.0.lock();
        (state.fault, state.left) = (Some(fault), left);
    }

    /// Whether it has failed.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.0.lock().failed
    }

    /// The power goes: what was synced stays; of every write since then all, nothing, or a part stays. The disk as the next
    /// start finds it.
    #[must_use]
    pub fn crash(&self, seed: u64) -> Self {
        let mut random = SmallRng::seed_from_u64(seed);
        let mut state = self.0.lock();
        state.failed = true;
        let mut kept = state.synced.clone();
        // The length is in the file system's own journal.
        kept.resize(state.shown.len().max(kept.len()), 0);
        let kept_in_a_thousand = random.random_range(0..=1_000);
        for (offset, bytes) in &state.unsynced {
            if !random.random_ratio(kept_in_a_thousand, 1_000) {
                continue;
            }
            let count = if random.random_ratio(1, 4) { random.random_range(0..=bytes.len()) } else { bytes.len() };
            put(&mut kept, *offset, &bytes[..count]);
        }
        Self::of(kept)
    }
}

impl Default for Disk {
    fn default() -> Self {
        Self::new()
    }
}

impl State {
    /// Whether an operation of this kind fails now.
    fn fails(&mut self, kinds: &[Fault]) -> bool {
        if !self.failed && self.fault.is_some_and(|fault| kinds.contains(&fault)) {
            match self.left.checked_sub(1) {
                Some(left) => self.left = left,
                None => self.failed = true,
            }
        }
        self.failed
    }

    fn write(&mut self, offset: usize, bytes: &[u8]) {
        put(&mut self.shown, offset, bytes);
        self.unsynced.push((offset, bytes.to_vec()));
    }
}

fn put(file: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if file.len() < end {
        file.resize(end, 0);
    }
    file[offset..end].copy_from_slice(bytes);
}

fn failed() -> io::Error {
    io::Error::other("the disk has failed")
}

fn number(offset: u64) -> usize {
    usize::try_from(offset).expect("tests run on 64 bits")
}

impl std::fmt::Debug for Disk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Disk")
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().shown.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.0.lock();
        let from = number(offset);
        let bytes = state.shown.get(from..from + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.0.lock();
        let len = number(len);
        if len > state.shown.len() && state.fails(&[Fault::Full]) || state.failed {
            return Err(failed());
        }
        state.shown.resize(len, 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.0.lock();
        if state.fails(&[Fault::Sync, Fault::Power]) {
            return Err(failed());
        }
        state.synced = state.shown.clone();
        state.unsynced.clear();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.0.lock();
        let had_failed = state.failed;
        if state.fails(&[Fault::Write, Fault::Torn]) {
            if !had_failed && state.fault == Some(Fault::Torn) {
                state.write(number(offset), &data[..data.len() / 2]);
            }
            return Err(failed());
        }
        state.write(number(offset), data);
        Ok(())
    }
}
