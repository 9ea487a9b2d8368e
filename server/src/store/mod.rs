//! Where players rest: the contract that every backend keeps.
//!
//! Owns the shapes of what is written and read, and the [`Store`] trait. Called by `journal` (writes), `roster` (loads)
//! and the commands that inspect a store. Values are opaque bytes, encoded elsewhere; a store compares and keeps them and
//! never rewrites them.
//!
//! What a backend promises:
//! - **Atomic.** A [`Batch`] is written whole or not at all, over all its players.
//! - **Idempotent.** A batch carries an id; the same bytes sent again answer [`Outcome::Already`] and change nothing.
//! - **Fenced.** Each player's owner token and base revision are compared in the same atomic step as the write. A token
//!   that is no longer the owner's writes nothing.
//! - **Durable.** [`Outcome::Applied`] and [`Outcome::Already`] mean: as durable as [`Store::promise`] says.

pub mod embedded;
pub mod memory;

use bytes::Bytes;
use holdall_protocol::ids::{PlayerId, Revision, Seq};
use serde::{Deserialize, Serialize};
use std::{fmt, future::Future, pin::Pin, sync::Arc, time::Duration};

/// What a store verb returns: it is under way at once and may be awaited anywhere.
pub type Answer<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// The right to write one player: node, boot and epoch in one text, only ever compared for equality.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Owner(Arc<str>);

impl Owner {
    /// The token of this node's boot for one load of a player.
    #[must_use]
    pub fn new(node: &Node, epoch: u64) -> Self {
        Self(format!("{}:{:016x}:{epoch}", node.id, node.boot).into())
    }

    /// A token read from a store.
    #[must_use]
    pub fn stored(text: &str) -> Self {
        Self(text.into())
    }

    /// The text that is stored.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The epoch that a later load must exceed.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.0.rsplit(':').next().and_then(|text| text.parse().ok()).unwrap_or(0)
    }
}

/// One boot of one server process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Which data directory, for ever.
    pub id: String,
    /// Which start of the process, by a random number.
    pub boot: u64,
}

/// Names one batch, for ever.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BatchId(uuid::Uuid);

impl BatchId {
    /// The id of a new batch.
    #[must_use]
    pub const fn new(uuid: uuid::Uuid) -> Self {
        Self(uuid)
    }

    /// The 16 bytes that are stored.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for BatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Several players' writes that happen together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// Its id.
    pub id: BatchId,
    /// What is written, each player once.
    pub players: Vec<PlayerWrite>,
}

/// One player's part of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlayerWrite {
    /// Who.
    pub player: PlayerId,
    /// The token under which the writer loaded the player.
    pub owner: Owner,
    /// The revision that the store must be at.
    pub base: Revision,
    /// The revision it is at afterwards.
    pub revision: Revision,
    /// The last request number spent.
    pub seq: Seq,
    /// The record format of the places.
    pub schema: u32,
    /// The content step the player is at.
    pub content: u32,
    /// When this was written, in milliseconds since 1970.
    pub saved_at: u64,
    /// Places to set (`Some`) or to empty (`None`), spelled as in [`holdall_protocol::ids::Place`].
    pub places: Vec<(String, Option<Bytes>)>,
    /// The ledger entries of the revisions after `base`, one behind the other; empty where there are none.
    pub entries: Bytes,
    /// Whether the owner gives the player up in the same step.
    pub release: bool,
    /// The oldest record format whose builds can read the places. Last, and absent in batches of earlier builds.
    #[serde(default)]
    pub readable_by: u32,
}

/// What became of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Written now.
    Applied,
    /// Written before, by the same bytes.
    Already,
    /// Nothing written: these players have another owner. Final: drop them unsaved.
    Fenced {
        /// Who was taken over.
        players: Vec<PlayerId>,
    },
    /// Nothing written: our token, and a revision that is neither the base nor older. A fault of ours.
    Conflict {
        /// Whose revisions disagree.
        players: Vec<PlayerId>,
    },
    /// Nothing written: the store is at an older revision than the base, so it lost what it had acknowledged.
    Regressed {
        /// Whose revisions went back.
        players: Vec<PlayerId>,
    },
    /// No answer: it may have happened. Send the same bytes again; never assume.
    Unknown,
    /// Refused before anything was written. Retry with backoff.
    Unavailable {
        /// How long the store asks to be left alone.
        retry_after: Duration,
    },
    /// The store cannot be written any more by this process. Final for the process.
    Broken {
        /// What it said.
        error: String,
    },
}

/// A player as it rests in the store, with the right to write it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// The new owner's token.
    pub owner: Owner,
    /// The revision; 0 for a player who was never born.
    pub revision: Revision,
    /// The last request number spent.
    pub seq: Seq,
    /// The record format of the places; 0 for a player who was never born.
    pub schema: u32,
    /// The oldest record format whose builds can read them; 0 where the store says nothing of it.
    pub readable_by: u32,
    /// The content step the player is at.
    pub content: u32,
    /// All places, spelled as in the batch.
    pub places: Vec<(String, Bytes)>,
    /// The newest ledger entries, oldest first, as they were written: at least the last 64 where there are as many.
    pub recent: Vec<Bytes>,
}

/// Why a player could not be loaded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AcquireError {
    /// Another process that is alive owns the player.
    #[error("the player is owned by another process ({0})")]
    Held(String),
    /// The store is away.
    #[error("the store is away: {0}")]
    Unavailable(String),
    /// The stored player cannot be read; it is left as it is.
    #[error("the stored player cannot be read: {0}")]
    Unreadable(String),
}

/// A backend.
pub trait Store: Send + Sync + 'static {
    /// Writes a batch, whole or not at all.
    fn commit(&self, batch: Arc<Batch>) -> Answer<Outcome>;

    /// Takes the right to write a player and reads all of it, in one atomic step. A player that does not exist is owned
    /// at revision 0.
    fn acquire(&self, player: PlayerId) -> Answer<Result<Loaded, AcquireError>>;

    /// The revisions that are stored now, 0 where there is no player.
    ///
    /// # Errors
    /// The store's words when it is away.
    fn revisions(&self, players: Vec<PlayerId>) -> Answer<Result<Vec<Revision>, String>>;

    /// Whether the store itself can lose what it acknowledged, so that batches must be kept to be sent again.
    fn may_regress(&self) -> bool;

    /// The name clients are told: `embedded`, `redis`, `memory`.
    fn name(&self) -> &'static str;

    /// What survives which crash, in words.
    fn promise(&self) -> String;
}

/// Where one player's stored header stands towards a write, and so what the write may do. The one place that decides
/// it for backends that are written in Rust.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    Ready,
    Fenced,
    Conflict,
    Regressed,
}

impl Standing {
    pub(crate) fn of(write: &PlayerWrite, owner: Option<&str>, revision: Revision) -> Self {
        if owner != Some(write.owner.as_str()) {
            Self::Fenced
        } else if revision == write.base {
            Self::Ready
        } else if revision < write.base {
            Self::Regressed
        } else {
            Self::Conflict
        }
    }

    /// The outcome of a batch in which players stand like this; `None` when it may be written. A takeover outranks a
    /// regression, which outranks a fault of ours.
    pub(crate) fn verdict(standings: &[(PlayerId, Self)]) -> Option<Outcome> {
        let all = |wanted: Self| -> Option<Vec<PlayerId>> {
            let players: Vec<PlayerId> =
                standings.iter().filter(|(_, is)| *is == wanted).map(|(player, _)| player.clone()).collect();
            (!players.is_empty()).then_some(players)
        };
        if let Some(players) = all(Self::Fenced) {
            return Some(Outcome::Fenced { players });
        }
        if let Some(players) = all(Self::Regressed) {
            return Some(Outcome::Regressed { players });
        }
        all(Self::Conflict).map(|players| Outcome::Conflict { players })
    }
}
