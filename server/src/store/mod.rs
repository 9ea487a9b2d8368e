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
//! - **One history.** Beside a revision stands the token that wrote it, and a write names both: where a store that lost
//!   writes has grown another history as long, nothing is put on top of it.
//! - **Durable.** [`Outcome::Applied`] and [`Outcome::Already`] mean: as durable as [`Store::promise`] says.
//! - **Honest about its past.** A store that may have lost what it acknowledged answers in a new [`Life`], and takes nothing
//!   until the caller says, by naming that life, that it has looked at what is left.

mod answers;
pub mod embedded;
mod inbox;
pub mod memory;
pub mod redis;
pub mod stock;

pub use answers::{ANSWERS_KEPT, KeptAnswer};
pub use inbox::{Door, GiftId, INBOX_READ_MAX, InboxChange, Preferences, Waiting};

use bytes::Bytes;
use holdall_protocol::ids::{OrderKey, PlayerId, Revision, Seq};
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use std::{fmt, future::Future, pin::Pin, sync::Arc, time::Duration};
use stock::{Purchase, Reservation, Stocks};
use tokio::time::Instant;

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

    /// The node part.
    #[must_use]
    pub fn node(&self) -> &str {
        self.0.split(':').next().unwrap_or_default()
    }

    /// Whether this boot of this node is the owner.
    #[must_use]
    pub fn is_of(&self, node: &Node) -> bool {
        let mut parts = self.0.split(':');
        parts.next() == Some(node.id.as_str()) && parts.next() == Some(format!("{:016x}", node.boot).as_str())
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

/// Which life of the store answers: another one after each restart in which it may have lost what it had acknowledged.
/// Whoever writes or loads names the life for which it has checked what is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Life(u64);

impl Life {
    /// The life with this number; numbers are only compared for equality.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// Names one batch, for ever.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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
    pub places: Vec<(SmolStr, Option<Bytes>)>,
    /// The ledger entries of the revisions after `base`, one behind the other; empty where there are none.
    pub entries: Bytes,
    /// Whether the owner gives the player up in the same step.
    pub release: bool,
    /// The oldest record format whose builds can read the places. Last, and absent in batches of earlier builds.
    #[serde(default)]
    pub readable_by: u32,
    /// The token that wrote `base`; `None` where nobody did or it is not known, as in batches of earlier builds. Not known
    /// is no contradiction, here and in the store.
    #[serde(default)]
    pub follows: Option<Owner>,
    /// What is put into inboxes, anybody's, and taken out of this player's own. Absent in batches of earlier builds.
    #[serde(default)]
    pub inbox: Vec<InboxChange>,
    /// What the player has set from now on; `None` leaves it, as batches of earlier builds do.
    #[serde(default)]
    pub preferences: Option<Preferences>,
    /// What was answered to operators' orders that are part of it. Absent in batches of earlier builds.
    #[serde(default)]
    pub answers: Vec<KeptAnswer>,
    /// What the ledger begins with from now on. Absent in batches of earlier builds.
    #[serde(default)]
    pub opening: Option<Opening>,
    /// What it pays for in the shop. Absent in batches of earlier builds.
    #[serde(default)]
    pub purchases: Vec<Purchase>,
    /// Whether `schema`, `readable_by` or `content` may differ from what stands at `base`. Absent in batches of earlier builds.
    #[serde(default = "yes")]
    pub restamps: bool,
}

const fn yes() -> bool {
    true
}

/// What a ledger begins with, instead of its oldest items. They are let go in the step that puts it there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opening {
    /// The newest revision that it stands for.
    pub revision: Revision,
    /// Up to where the items go, as [`Store::ledger`] marked it.
    pub mark: String,
    /// Its bytes. From then on they are the ledger's first item.
    pub content: Bytes,
}

impl PlayerWrite {
    /// Whether it makes a revision, and so is its writer: a release that brings nothing new does not.
    #[must_use]
    pub fn advances(&self) -> bool {
        self.revision > self.base
    }

    /// The gifts that it takes out of inboxes, each with the inbox.
    pub(crate) fn taken(&self) -> impl Iterator<Item = (&PlayerId, &GiftId)> {
        self.inbox.iter().filter(|step| step.content.is_none()).map(|step| (&step.owner, &step.gift))
    }
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
    /// Nothing written: our token, and a revision that is neither the base nor older, or the base's number in another
    /// history. Final: drop them unsaved.
    Conflict {
        /// Whose histories disagree.
        players: Vec<PlayerId>,
    },
    /// Nothing written: the store is at an older revision than the base, or without a gift that is taken or a hold that is
    /// paid for, so it lost what it had acknowledged.
    Regressed {
        /// Whose writes came too early.
        players: Vec<PlayerId>,
    },
    /// Nothing written: the store is in another life than the caller named. Compare what it holds with what it had
    /// acknowledged ([`Store::standings`]), then send the batch again under the new life.
    Restarted,
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

impl Outcome {
    /// Whom the store refused; nobody where it refused nothing.
    #[must_use]
    pub fn refused(&self) -> &[PlayerId] {
        match self {
            Self::Fenced { players } | Self::Conflict { players } | Self::Regressed { players } => players,
            Self::Applied
            | Self::Already
            | Self::Restarted
            | Self::Unknown
            | Self::Unavailable { .. }
            | Self::Broken { .. } => &[],
        }
    }
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
    /// The token that wrote the revision; `None` where nobody did or the store does not know.
    pub writer: Option<Owner>,
    /// What the player has set.
    pub preferences: Preferences,
    /// Whether something waits in the inbox, or it cannot even be told.
    pub has_mail: bool,
    /// The newest revision that the ledger's [`Opening`] stands for; 0 where it has none.
    pub opened: Revision,
    /// The player's open holds in the shop, the oldest first. One whose time is over may be among them.
    pub holds: Vec<Reservation>,
}

impl Loaded {
    /// What whoever loaded the player goes on from.
    #[must_use]
    pub fn origin(&self) -> Origin {
        Origin { revision: self.revision, writer: self.writer.clone() }
    }
}

/// Where a load found a player's history: its own writes stand on this.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Origin {
    /// The revision that was loaded.
    pub revision: Revision,
    /// The token that wrote it, where that is known.
    pub writer: Option<Owner>,
}

impl Origin {
    /// The token under which a revision was written, in the history of the load that goes on from here as `owner`.
    #[must_use]
    pub fn writer_of<'o>(&'o self, revision: Revision, owner: &'o Owner) -> Option<&'o Owner> {
        if revision > self.revision { Some(owner) } else { self.writer.as_ref() }
    }
}

/// A player as it rests in the store, for whoever only looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Who may write it; `None` after a release.
    pub owner: Option<Owner>,
    /// The highest epoch ever given out.
    pub epoch: u64,
    /// The revision.
    pub revision: Revision,
    /// The last request number spent.
    pub seq: Seq,
    /// The record format of the places.
    pub schema: u32,
    /// The oldest record format whose builds can read them; 0 where the store says nothing of it.
    pub readable_by: u32,
    /// The content step the player is at.
    pub content: u32,
    /// When it was written last, in milliseconds since 1970.
    pub saved_at: u64,
    /// All places, spelled as in the batch, in the order of their spelling.
    pub places: Vec<(String, Bytes)>,
    /// What the player has set.
    pub preferences: Preferences,
    /// All that waits in the inbox, the oldest first.
    pub inbox: Vec<Waiting>,
    /// The token that wrote the revision; `None` where nobody did or the store does not know.
    pub writer: Option<Owner>,
    /// The newest revision that the ledger's [`Opening`] stands for; 0 where it has none.
    pub opened: Revision,
}

/// Some of a long list, and where the rest begins: `None` at its end. The mark means something to the same store only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// To be handed back for the next page.
    pub next: Option<String>,
}

/// The entries of one batch, and the newest revision among them; or an [`Opening`]'s bytes, and its revision.
pub type LedgerItem = (Revision, Bytes);

/// A player with everything that a store has of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whole {
    /// The player as it rests.
    pub stored: Stored,
    /// Its ledger, oldest first.
    pub ledger: Vec<LedgerItem>,
}

/// What there is of one player of several: `None` where there is none; a damaged one says why it cannot be read.
pub type Found = Result<Option<Whole>, String>;

/// What another node has left for this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// What it says.
    pub content: Bytes,
    /// When it was left, by this process's clock: a little early rather than late.
    pub posted: Instant,
}

/// Who may write a player, and how far it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Header {
    /// The owner; `None` after a release and for a player who does not exist.
    pub owner: Option<Owner>,
    /// The highest epoch ever given out; 0 for a player who does not exist.
    pub epoch: u64,
    /// The revision; 0 for a player who does not exist.
    pub revision: Revision,
    /// The token that wrote the revision; `None` where nobody did or the store does not know.
    pub writer: Option<Owner>,
}

impl Header {
    /// Whether the stored revision may be the one that was written under this token: not known is no contradiction.
    pub(crate) fn may_be_by(&self, writer: Option<&Owner>) -> bool {
        self.writer.as_ref().is_none_or(|stored| writer.is_none_or(|writer| writer == stored))
    }
}

/// Several players' headers, read in one life of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standings {
    /// The life.
    pub life: Life,
    /// One for each player asked for, in that order.
    pub headers: Vec<Header>,
}

/// What became of a node's sign of life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renewal {
    /// The lease runs on, in this life of the store.
    Held(Life),
    /// The lease runs anew, and had run out: players may have been taken over meanwhile.
    Lapsed(Life),
    /// A later boot of this node has signed on: this one must end.
    Superseded,
}

/// Why a player could not be loaded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AcquireError {
    /// Another process that is alive owns the player.
    #[error("the player is owned by another process ({})", .0.node())]
    Held(Owner),
    /// The store is in another life than the caller named; nothing was changed.
    #[error("the store was restarted and is being checked")]
    Restarted,
    /// The store was restarted, and another process that is alive has not looked yet: it may own the player without the
    /// store's knowledge. For a lease at most.
    #[error("the store was restarted and another process has yet to look at it")]
    Unsettled,
    /// The store is away.
    #[error("the store is away: {0}")]
    Unavailable(String),
    /// The stored player cannot be read; it is left as it is.
    #[error("the stored player cannot be read: {0}")]
    Unreadable(String),
}

/// Why something could not be read or copied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The store is away.
    #[error("the store is away: {0}")]
    Unavailable(String),
    /// This one player is damaged.
    #[error("the stored player cannot be read: {0}")]
    Unreadable(String),
    /// The player is there already.
    #[error("the player exists already")]
    Exists,
}

/// A backend.
pub trait Store: Stocks {
    /// Writes a batch, whole or not at all.
    fn commit(&self, batch: Arc<Batch>, life: Life) -> Answer<Outcome>;

    /// Takes the right to write a player and reads all of it, in one atomic step. A player that does not exist is owned
    /// at revision 0. A player whose owner's lease has run out, or whose owner is an earlier boot of its node, is taken;
    /// but for one lease after a new life began no other node's player is: its owner may be alive and seem dead. Epochs
    /// grow with the store's clock, so that one given in a new life is above all that were forgotten with an earlier one.
    fn acquire(&self, player: PlayerId, life: Life) -> Answer<Result<Loaded, AcquireError>>;

    /// The oldest gifts that wait for a player, in order, at most [`INBOX_READ_MAX`].
    fn inbox(&self, player: PlayerId) -> Answer<Result<Vec<Waiting>, ReadError>>;

    /// What a giver has to know of a player. [`ReadError::Unreadable`] where the inbox could take nothing.
    fn door(&self, player: PlayerId) -> Answer<Result<Door, ReadError>>;

    /// What was answered to the order with this key, if it was written at most [`ANSWERS_KEPT`] ago; it may still be there
    /// later.
    fn answer(&self, key: OrderKey) -> Answer<Result<Option<KeptAnswer>, ReadError>>;

    /// Who owns these players now and how far they are, and in which life the store says so.
    fn standings(&self, players: Vec<PlayerId>) -> Answer<Result<Standings, ReadError>>;

    /// Gives an owner back what the store forgot it had given: a player at this revision, whose highest epoch is below this
    /// token's.
    /// True where the token is the owner's afterwards. Later than a lease after the life began, a player whom the store
    /// knows as another node's is not given back: that node may be serving it.
    fn reclaim(&self, player: PlayerId, owner: Owner, at: Revision, life: Life) -> Answer<Result<bool, ReadError>>;

    /// How long a node owns its players after each [`Store::renew`]; `None` where nobody else can take them.
    fn lease(&self) -> Option<Duration>;

    /// Signs this node as alive for another lease. `checked` is the life for which it has looked at all it has: in a new
    /// one, the others are given players once every node that is alive has said so. The life that is answered began before:
    /// a lease later no other node can [`reclaim`](Store::reclaim) in it a player that the store knows as this one's.
    fn renew(&self, checked: Life) -> Answer<Result<Renewal, ReadError>>;

    /// Signs this node off: whatever it still owns may be taken at once.
    fn resign(&self) -> Answer<()>;

    /// Leaves a letter for another node. It may be lost, and it may arrive twice.
    fn post(&self, node: String, letter: Bytes) -> Answer<Result<(), ReadError>>;

    /// Waits for letters to this node. One caller at a time.
    fn letters(&self) -> Answer<Vec<Letter>>;

    /// Players that exist, from `mark` on; a player may be named twice, and one that comes or goes meanwhile may be missed.
    fn players(&self, mark: Option<String>) -> Answer<Result<Page<PlayerId>, ReadError>>;

    /// One player as it rests; `None` where there is none.
    fn peek(&self, player: PlayerId) -> Answer<Result<Option<Stored>, ReadError>>;

    /// A player's ledger from `mark` on, oldest first; at its beginning, where there is one, the [`Opening`]. Read while it is
    /// put there, items that it stands for may still come behind it.
    fn ledger(&self, player: PlayerId, mark: Option<String>) -> Answer<Result<Page<LedgerItem>, ReadError>>;

    /// A few players with all that is theirs, as they rested at one and the same moment, in the order asked for.
    fn together(&self, players: Vec<PlayerId>) -> Answer<Result<Vec<Found>, ReadError>>;

    /// Puts a player with its whole ledger where there is none, in one atomic step, owned by nobody.
    fn import(&self, player: PlayerId, stored: Stored, ledger: Vec<LedgerItem>) -> Answer<Result<(), ReadError>>;

    /// Other nodes that are alive on this store.
    fn alive(&self) -> Answer<Result<Vec<String>, ReadError>>;

    /// Whether the store itself can lose what it acknowledged, so that batches must be kept to be sent again.
    fn may_regress(&self) -> bool;

    /// Which world this is, in words: what was meant for another one is not written here.
    fn home(&self) -> String;

    /// The node whose handle this is: where letters to this process go.
    fn node(&self) -> &str;

    /// The name clients are told: `embedded`, `redis`, `memory`.
    fn name(&self) -> &'static str;

    /// What survives which crash, in words. It may change while the store runs.
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
    /// `there` says whether all that is [`taken`](PlayerWrite::taken) and paid for is there.
    pub(crate) fn of(write: &PlayerWrite, stored: &Header, there: bool) -> Self {
        if stored.owner.as_ref() != Some(&write.owner) {
            Self::Fenced
        } else if stored.revision < write.base || !there {
            Self::Regressed
        } else if stored.revision == write.base && stored.may_be_by(write.follows.as_ref()) {
            Self::Ready
        } else {
            Self::Conflict
        }
    }

    /// The outcome of a batch in which players stand like this; `None` when it may be written. A takeover outranks a
    /// regression, which outranks a conflict.
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
