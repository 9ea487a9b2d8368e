//! The data directory: one process at a time, the same node for ever.

use super::StartError;
use crate::{clock::Dice, store::Node};
use rand::RngCore as _;
use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

/// An open data directory. The lock ends with it.
pub(super) struct DataDir {
    path: PathBuf,
    node: Node,
    _lock: File,
}

impl DataDir {
    /// Opens or makes the directory and takes its lock.
    pub(super) fn open(path: &Path) -> Result<Self, StartError> {
        let failed = |error: std::io::Error| StartError::Store(format!("data directory {}: {error}", path.display()));
        std::fs::create_dir_all(path).map_err(failed)?;
        // The file that names the node is also the lock: who holds it knows that the node's earlier boots are dead.
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path.join("node"))
            .map_err(failed)?;
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => StartError::Store(format!(
                "data directory {} is in use by another server: stop it, or give this one a --data-dir of its own",
                path.display()
            )),
            TryLockError::Error(error) => failed(error),
        })?;
        let mut dice = Dice::from_os();
        let mut id = String::new();
        file.read_to_string(&mut id).map_err(failed)?;
        let mut id = id.trim().to_owned();
        if id.is_empty() {
            id = format!("{:016x}", dice.next_u64());
            file.seek(SeekFrom::Start(0)).map_err(failed)?;
            writeln!(file, "{id}").and_then(|()| file.sync_all()).map_err(failed)?;
        }
        let node = Node { id, boot: dice.next_u64() };
        Ok(Self { path: path.to_owned(), node, _lock: file })
    }

    pub(super) const fn node(&self) -> &Node {
        &self.node
    }

    pub(super) fn store_file(&self) -> PathBuf {
        self.path.join("store.redb")
    }

    pub(super) fn spool_file(&self) -> PathBuf {
        self.path.join("spool")
    }

    /// Where a spool goes whose batches were refused, for a person to look at.
    pub(super) fn refused_spool_file(&self, now_ms: u64) -> PathBuf {
        self.path.join(format!("spool.refused-{now_ms}"))
    }
}
