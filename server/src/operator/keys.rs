//! Operators' API keys: made here, shown once, and kept as hashes in a file.
//!
//! A key is 256 random bits, so that a plain hash of it cannot be turned back. The file is written whole by `holdall key`
//! ([`KeyFile`]) and read by a running server whenever it has changed ([`Keyring`]). A key itself is in no file, log or error.

use crate::upkeep::inspect::hex;
use parking_lot::{Mutex, MutexGuard};
use rand::{TryRngCore as _, rngs::OsRng};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::{
    fmt,
    fs::{File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};
use subtle::ConstantTimeEq as _;

/// The file in the data directory, where no other one is configured.
pub const FILE_NAME: &str = "operator-keys.json";
/// What every key begins with, so that one that was lost somewhere is known for what it is.
const PREFIX: &str = "holdall_";
const KEY_BYTES: usize = 32;
/// Characters of a key's name.
const NAME_CHARS_MAX: usize = 64;
/// Whom the ledger names where no key was needed.
const RESERVED_NAMES: [&str; 2] = [super::auth::COMMAND_LINE, super::auth::DEVELOPMENT];

/// What the bearer of a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Look.
    Read,
    /// Look, and change.
    Operate,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Operate => "operate",
        })
    }
}

/// A key as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Who bears it: this is what the ledger names.
    pub name: Arc<str>,
    /// What they may do.
    pub role: Role,
    /// When it was made, in milliseconds since 1970.
    pub created_at: u64,
    /// The SHA-256 of it, in hexadecimal.
    hash: String,
}

/// The file's content.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    keys: Vec<Kept>,
}

/// Why the keys could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// What the system said.
    #[error("{}: {error}", path.display())]
    File {
        /// To which file.
        path: PathBuf,
        /// What it said.
        error: io::Error,
    },
    /// The file is no list of keys.
    #[error("{} is no list of keys: {error}", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        error: serde_json::Error,
    },
    /// Two keys of one name could not be told apart in the ledger.
    #[error("there is a key named {0} already: choose another name, or revoke it first")]
    NameTaken(String),
    /// The name is not one.
    #[error(
        "a key's name is 1 to 64 characters of A-Z, a-z, 0-9, _ and -, and neither \"{command}\" nor \"{development}\"",
        command = super::auth::COMMAND_LINE,
        development = super::auth::DEVELOPMENT
    )]
    BadName,
    /// Nothing to revoke.
    #[error("there is no key named {0}")]
    NoSuchKey(String),
}

/// The file with the keys.
#[derive(Debug, Clone)]
pub struct KeyFile(PathBuf);

impl KeyFile {
    /// The configured one, or the one in the data directory.
    #[must_use]
    pub fn new(configured: Option<&Path>, data_dir: &Path) -> Self {
        Self(configured.map_or_else(|| data_dir.join(FILE_NAME), Path::to_owned))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// All keys; none where there is no file.
    ///
    /// # Errors
    /// [`KeyError::File`] and [`KeyError::Damaged`].
    pub fn read(&self) -> Result<Vec<Kept>, KeyError> {
        match std::fs::read(&self.0) {
            Ok(bytes) => {
                let content: Result<Content, _> = serde_json::from_slice(&bytes);
                content.map(|content| content.keys).map_err(|error| KeyError::Damaged { path: self.0.clone(), error })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(self.failed(error)),
        }
    }

    /// Makes a key and keeps its hash. The answer is the key: nobody can tell it a second time.
    ///
    /// # Errors
    /// [`KeyError`]; then there is no new key.
    pub fn create(&self, name: &str, role: Role, now_ms: u64) -> Result<String, KeyError> {
        let valid = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        let short = (1..=NAME_CHARS_MAX).contains(&name.len());
        if !short || !name.bytes().all(valid) || RESERVED_NAMES.contains(&name) {
            return Err(KeyError::BadName);
        }
        let mut secret = [0; KEY_BYTES];
        OsRng.try_fill_bytes(&mut secret).map_err(|error| self.failed(io::Error::other(error)))?;
        let key = format!("{PREFIX}{}", hex(&secret));
        let kept = Kept { name: name.into(), role, created_at: now_ms, hash: hash(&key) };
        self.change(|keys| {
            if keys.iter().any(|known| *known.name == *name) {
                return Err(KeyError::NameTaken(name.to_owned()));
            }
            keys.push(kept);
            Ok(())
        })?;
        Ok(key)
    }

    /// Takes a key away. A running server refuses it from the next request on.
    ///
    /// # Errors
    /// [`KeyError`]; then it is still there.
    pub fn revoke(&self, name: &str) -> Result<(), KeyError> {
        self.change(|keys| {
            let before = keys.len();
            keys.retain(|known| *known.name != *name);
            if keys.len() == before { Err(KeyError::NoSuchKey(name.to_owned())) } else { Ok(()) }
        })
    }

    /// One change at a time, and whoever reads sees the file before it or after it.
    fn change(&self, change: impl FnOnce(&mut Vec<Kept>) -> Result<(), KeyError>) -> Result<(), KeyError> {
        let failed = |error| self.failed(error);
        let directory = self.0.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        std::fs::create_dir_all(directory).map_err(failed)?;
        // The lock is the directory's: the file itself is another one after each change.
        let lock = File::open(directory).map_err(failed)?;
        lock.lock().map_err(failed)?;
        let mut keys = self.read()?;
        change(&mut keys)?;
        let unfinished = self.0.with_extension("unfinished");
        let bytes = serde_json::to_vec_pretty(&Content { keys }).expect("it serialises into memory");
        write_private(&unfinished, &bytes).map_err(failed)?;
        std::fs::rename(&unfinished, &self.0).map_err(failed)?;
        lock.sync_all().map_err(failed)
    }

    fn failed(&self, error: io::Error) -> KeyError {
        KeyError::File { path: self.0.clone(), error }
    }
}

/// A new file that only its owner can read.
fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // One that a killed command left may have another mode.
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// The keys that a running server believes: those of the file as it is now.
pub struct Keyring {
    file: KeyFile,
    known: Mutex<Known>,
}

/// What was read last.
struct Known {
    version: Option<Version>,
    keys: Vec<Kept>,
}

/// What tells one state of the file from another: each is a file of its own.
type Version = (u64, i64, i64, u64);

impl Keyring {
    /// The keys of a file.
    ///
    /// # Errors
    /// [`KeyError::File`] and [`KeyError::Damaged`].
    pub fn open(file: KeyFile) -> Result<Self, KeyError> {
        let version = version(file.path());
        let keys = file.read()?;
        Ok(Self { file, known: Mutex::new(Known { version, keys }) })
    }

    /// Whose key this is, and what they may do. `None` where it is nobody's.
    #[must_use]
    pub fn bearer(&self, key: &str) -> Option<(Arc<str>, Role)> {
        let presented = hash(key);
        let known = self.current();
        // All are compared, whole, so that the time tells nothing about any.
        known.keys.iter().fold(None, |found, kept| {
            let same: bool = kept.hash.as_bytes().ct_eq(presented.as_bytes()).into();
            if same { Some((kept.name.clone(), kept.role)) } else { found }
        })
    }

    /// Whether there is none at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.current().keys.is_empty()
    }

    /// What the file holds now. One that cannot be read changes nothing.
    fn current(&self) -> MutexGuard<'_, Known> {
        let mut known = self.known.lock();
        let now = version(self.file.path());
        if now != known.version {
            known.version = now;
            match self.file.read() {
                Ok(keys) => {
                    tracing::info!(keys = keys.len(), "the operators' keys were read again");
                    known.keys = keys;
                }
                Err(error) => tracing::error!(%error, "the operators' keys cannot be read; the ones before stand"),
            }
        }
        known
    }
}

fn version(path: &Path) -> Option<Version> {
    let about = path.metadata().ok()?;
    Some((about.ino(), about.mtime(), about.mtime_nsec(), about.len()))
}

fn hash(key: &str) -> String {
    hex(&Sha256::digest(key.as_bytes()))
}
