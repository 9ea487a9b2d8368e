//! The data directory: one process at a time, the same node for ever.

use super::StartError;
use crate::{clock::Dice, store::Node};
use rand::RngCore as _;
use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

/// The file that names the node.
const NODE: &str = "node";

/// An open data directory. The lock ends with it.
pub(super) struct DataDir {
    path: PathBuf,
    node: Node,
    _lock: File,
}

/// Who has a data directory.
pub(super) enum Taken {
    /// This process, from now on.
    Ours(DataDir),
    /// Another one.
    InUse,
}

impl DataDir {
    /// Opens or makes the directory for a server and takes its lock.
    pub(super) fn open(path: &Path) -> Result<Self, StartError> {
        match Self::make(path)? {
            Taken::Ours(data) => Ok(data),
            Taken::InUse => Err(StartError::Store(format!(
                "data directory {} is in use by another server: stop it, or give this one a --data-dir of its own",
                path.display()
            ))),
        }
    }

    /// Opens or makes the directory and takes its lock if it is free.
    pub(super) fn make(path: &Path) -> Result<Taken, StartError> {
        std::fs::create_dir_all(path).map_err(failed(path))?;
        Self::take(path)
    }

    /// Opens a directory that a server has made and takes its lock if it is free.
    pub(super) fn existing(path: &Path) -> Result<Taken, StartError> {
        let directory = path.display();
        if !path.is_dir() {
            return Err(StartError::Store(format!("there is no data directory {directory}")));
        }
        if !path.join(NODE).is_file() {
            return Err(StartError::Store(format!(
                "{directory} is not a data directory (it has no file \"{NODE}\"): name the one that the server's \
                 server.data_dir names"
            )));
        }
        Self::take(path)
    }

    fn take(path: &Path) -> Result<Taken, StartError> {
        let failed = failed(path);
        // The file that names the node is also the lock: who holds it knows that the node's earlier boots are dead.
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path.join(NODE))
            .map_err(&failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(Taken::InUse),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let mut dice = Dice::from_os();
        let mut id = String::new();
        file.read_to_string(&mut id).map_err(&failed)?;
        let mut id = id.trim().to_owned();
        if id.is_empty() {
            id = format!("{:016x}", dice.next_u64());
            file.seek(SeekFrom::Start(0)).map_err(&failed)?;
            writeln!(file, "{id}").and_then(|()| file.sync_all()).map_err(&failed)?;
        }
        let node = Node { id, boot: dice.next_u64() };
        Ok(Taken::Ours(Self { path: path.to_owned(), node, _lock: file }))
    }

    pub(super) const fn node(&self) -> &Node {
        &self.node
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn store_file(&self) -> PathBuf {
        self.path.join("store.redb")
    }

    /// The world that was served last in this realm; `None` where none was.
    pub(super) fn known_world(&self, realm: &str) -> Result<Option<String>, StartError> {
        Ok(self.worlds()?.into_iter().find(|(known, _)| known == realm).map(|(_, world)| world))
    }

    /// Keeps the world of a realm, so that an empty store in its place is noticed.
    pub(super) fn learn_world(&self, realm: &str, world: &str) -> Result<(), StartError> {
        let mut worlds = self.worlds()?;
        if worlds.iter().any(|(known, is)| known == realm && is == world) {
            return Ok(());
        }
        worlds.retain(|(known, _)| known != realm);
        worlds.push((realm.to_owned(), world.to_owned()));
        let lines: String = worlds.iter().map(|(realm, world)| format!("{realm} {world}\n")).collect();
        let (file, unfinished) = (self.worlds_file(), self.path.join("worlds.unfinished"));
        let written = std::fs::write(&unfinished, lines).and_then(|()| std::fs::rename(&unfinished, &file));
        written.map_err(|error| StartError::Store(format!("{}: {error}", file.display())))
    }

    fn worlds(&self) -> Result<Vec<(String, String)>, StartError> {
        let file = self.worlds_file();
        match std::fs::read_to_string(&file) {
            Ok(text) => Ok(text
                .lines()
                .filter_map(|line| line.split_once(' '))
                .map(|(realm, world)| (realm.to_owned(), world.to_owned()))
                .collect()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(StartError::Store(format!("{}: {error}", file.display()))),
        }
    }

    fn worlds_file(&self) -> PathBuf {
        self.path.join("worlds")
    }

    pub(super) fn spool_file(&self) -> PathBuf {
        self.path.join("spool")
    }

    /// Where a spool goes whose batches were refused, for a person to look at.
    pub(super) fn refused_spool_file(&self, now_ms: u64) -> PathBuf {
        self.path.join(format!("spool.refused-{now_ms}"))
    }
}

fn failed(path: &Path) -> impl Fn(std::io::Error) -> StartError {
    move |error| StartError::Store(format!("data directory {}: {error}", path.display()))
}
