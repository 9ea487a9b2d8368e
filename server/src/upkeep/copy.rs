//! A whole store into another one, and the proof that both then hold the same.
//!
//! A player is put into the target with its whole ledger in one step, so that a copy that was interrupted leaves whole
//! players; a SKU likewise, with its holds and its audit. Values are carried as bytes and never looked into.

mod stock;

use super::{all_players, whole};
use crate::store::{ReadError, Store, Stored, Whole};
use futures_util::{StreamExt as _, stream};
use holdall_protocol::ids::{PlayerId, SkuId};
use serde::Serialize;
use std::{collections::BTreeSet, fmt};

/// Players on their way at once: enough for a store to share its syncs among them, few enough to hold in memory.
const PLAYERS_AT_ONCE: usize = 64;

/// Which of the two stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The one that is read.
    Source,
    /// The one that is written.
    Target,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Source => "the source",
            Self::Target => "the target",
        })
    }
}

/// What a copy does with a target that has players already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// It must have none.
    Empty,
    /// They are of an earlier copy that was interrupted: whoever is there is not copied again, and compared like all.
    Resumed,
}

/// What was copied.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Copied {
    /// Players in the target by this copy.
    pub players: u64,
    /// Players that were there already.
    pub there: u64,
    /// Their places.
    pub places: u64,
    /// Gifts that wait for them.
    pub gifts: u64,
    /// Items of their ledgers; one holds the entries of one commit.
    pub ledger_items: u64,
    /// Bytes of places, inboxes and ledgers.
    pub bytes: u64,
    /// Players that could not be read and are not in the target, with the reason.
    pub unreadable: Vec<(PlayerId, String)>,
    /// SKUs in the target by this copy.
    pub skus: u64,
    /// SKUs that were there already.
    pub skus_there: u64,
    /// Holds on those that were copied, open and closed.
    pub holds: u64,
    /// Entries of their audits.
    pub audit_entries: u64,
    /// SKUs that could not be read and are not in the target, with the reason.
    pub unreadable_skus: Vec<(SkuId, String)>,
}

/// What two stores hold, compared.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Compared {
    /// Players that are equal in both: header, every place, the inbox and the whole ledger, byte for byte.
    pub equal: u64,
    /// SKUs that are equal in both: the stock, every hold, everybody's units and the whole audit.
    pub equal_skus: u64,
    /// What is not, one line each.
    pub differences: Vec<String>,
}

/// Why nothing, or not all, was copied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CopyError {
    /// A process that may write is alive on one of the stores.
    #[error(
        "{side} is in use by {}: stop every server on it first (one that was killed counts until its lease has run out)",
        nodes.join(", ")
    )]
    Alive {
        /// Which.
        side: Side,
        /// The nodes' ids.
        nodes: Vec<String>,
    },
    /// The target is to be empty and is not.
    #[error(
        "the target already has players ({first} is one): name an empty one, or say --resume to go on with a copy of this \
         source that was interrupted"
    )]
    NotEmpty {
        /// One of them.
        first: PlayerId,
    },
    /// The target is to be empty and has a stock.
    #[error(
        "the target already has stocks ({first} is one): name an empty one, or say --resume to go on with a copy of this \
         source that was interrupted"
    )]
    HasStock {
        /// One of them.
        first: SkuId,
    },
    /// One of the stores does not answer.
    #[error("{side}: {error}")]
    Store {
        /// Which.
        side: Side,
        /// What it said.
        error: ReadError,
    },
}

/// Copies every SKU and every player of `from` that is not in `to`. `progress` hears how many of how many players are done.
///
/// # Errors
/// [`CopyError`]. What is in the target by then are whole players, and the same copy with [`Target::Resumed`] goes on.
pub async fn copy(
    from: &dyn Store,
    to: &dyn Store,
    target: Target,
    mut progress: impl FnMut(usize, usize),
) -> Result<Copied, CopyError> {
    nobody_is_alive(from, to).await?;
    if target == Target::Empty {
        let page = to.players(None).await.map_err(at(Side::Target))?;
        if let Some(first) = page.items.into_iter().next() {
            return Err(CopyError::NotEmpty { first });
        }
        if let Some(first) = to.skus().await.map_err(at(Side::Target))?.into_iter().next() {
            return Err(CopyError::HasStock { first });
        }
    }
    let players = all_players(from).await.map_err(at(Side::Source))?;
    let mut copied = Copied::default();
    stock::copy(from, to, &mut copied).await?;
    let mut under_way = stream::iter(&players).map(|player| one(from, to, player)).buffer_unordered(PLAYERS_AT_ONCE);
    let mut done = 0_usize;
    while let Some(result) = under_way.next().await {
        copied.add(result?);
        done = done.saturating_add(1);
        progress(done, players.len());
    }
    Ok(copied)
}

/// Reads everything back from both and compares it. Only the owner may differ: in the target nobody owns a player.
/// `progress` hears how many of how many are done.
///
/// # Errors
/// [`CopyError`], when one of the stores does not answer or somebody has come alive on it.
pub async fn compare(
    from: &dyn Store,
    to: &dyn Store,
    mut progress: impl FnMut(usize, usize),
) -> Result<Compared, CopyError> {
    let sources = all_players(from).await.map_err(at(Side::Source))?;
    let targets = all_players(to).await.map_err(at(Side::Target))?;
    let everyone: BTreeSet<&PlayerId> = sources.iter().chain(&targets).collect();
    let total = everyone.len();
    let mut compared = Compared::default();
    stock::compare(from, to, &mut compared).await?;
    let mut under_way =
        stream::iter(everyone).map(|player| difference(from, to, player)).buffer_unordered(PLAYERS_AT_ONCE);
    let mut done = 0_usize;
    while let Some(result) = under_way.next().await {
        match result? {
            None => compared.equal = compared.equal.saturating_add(1),
            Some(difference) => compared.differences.push(difference),
        }
        done = done.saturating_add(1);
        progress(done, total);
    }
    compared.differences.sort_unstable();
    nobody_is_alive(from, to).await?;
    Ok(compared)
}

async fn nobody_is_alive(from: &dyn Store, to: &dyn Store) -> Result<(), CopyError> {
    for (side, store) in [(Side::Source, from), (Side::Target, to)] {
        let nodes = store.alive().await.map_err(at(side))?;
        if !nodes.is_empty() {
            return Err(CopyError::Alive { side, nodes });
        }
    }
    Ok(())
}

fn at(side: Side) -> impl Fn(ReadError) -> CopyError {
    move |error| CopyError::Store { side, error }
}

/// What became of one player.
enum One {
    Copied {
        places: usize,
        gifts: usize,
        ledger_items: usize,
        bytes: usize,
    },
    There,
    /// It was listed, and is gone.
    Gone,
    Unreadable(PlayerId, String),
}

async fn one(from: &dyn Store, to: &dyn Store, player: &PlayerId) -> Result<One, CopyError> {
    let Whole { stored, ledger } = match whole(from, player).await {
        Ok(Some(whole)) => whole,
        Ok(None) => return Ok(One::Gone),
        Err(ReadError::Unreadable(reason)) => return Ok(One::Unreadable(player.clone(), reason)),
        Err(error) => return Err(at(Side::Source)(error)),
    };
    let lengths = stored.places.iter().map(|(_, value)| value.len()).chain(ledger.iter().map(|(_, bytes)| bytes.len()));
    let lengths = lengths.chain(stored.inbox.iter().map(|(_, content)| content.len()));
    let (places, gifts, ledger_items, bytes) = (stored.places.len(), stored.inbox.len(), ledger.len(), lengths.sum());
    match to.import(player.clone(), stored, ledger).await {
        Ok(()) => Ok(One::Copied { places, gifts, ledger_items, bytes }),
        Err(ReadError::Exists) => Ok(One::There),
        Err(error) => Err(at(Side::Target)(error)),
    }
}

fn add(sum: &mut u64, more: usize) {
    *sum = sum.saturating_add(u64::try_from(more).unwrap_or(u64::MAX));
}

impl Copied {
    fn add(&mut self, one: One) {
        match one {
            One::Copied { places, gifts, ledger_items, bytes } => {
                add(&mut self.players, 1);
                add(&mut self.places, places);
                add(&mut self.gifts, gifts);
                add(&mut self.ledger_items, ledger_items);
                add(&mut self.bytes, bytes);
            }
            One::There => add(&mut self.there, 1),
            One::Gone => {}
            One::Unreadable(player, reason) => self.unreadable.push((player, reason)),
        }
    }
}

/// What is different about a player; `None` where nothing is.
async fn difference(from: &dyn Store, to: &dyn Store, player: &PlayerId) -> Result<Option<String>, CopyError> {
    let (source, target) = (whole(from, player).await, whole(to, player).await);
    let what = match (source, target) {
        (Ok(Some(source)), Ok(Some(target))) => match unequal(source, target) {
            Some(what) => what,
            None => return Ok(None),
        },
        (Ok(Some(_)), Ok(None)) => "is missing in the target".to_owned(),
        (Ok(None), Ok(_)) => "is in the target alone".to_owned(),
        (Err(ReadError::Unreadable(reason)), _) => format!("cannot be read in the source: {reason}"),
        (_, Err(ReadError::Unreadable(reason))) => format!("cannot be read in the target: {reason}"),
        (Err(error), _) => return Err(at(Side::Source)(error)),
        (_, Err(error)) => return Err(at(Side::Target)(error)),
    };
    Ok(Some(format!("{player} {what}")))
}

fn unequal(mut source: Whole, target: Whole) -> Option<String> {
    if let Some(owner) = &target.stored.owner {
        return Some(format!("is owned in the target, by node {}", owner.node()));
    }
    source.stored.owner = None;
    if source.ledger != target.ledger {
        return Some("has another ledger".to_owned());
    }
    if source.stored.places != target.stored.places {
        return Some("has other things".to_owned());
    }
    if source.stored.inbox != target.stored.inbox {
        return Some("has another inbox".to_owned());
    }
    (source.stored != target.stored).then(|| {
        let header = |whole: Whole| format!("{:?}", Stored { places: Vec::new(), inbox: Vec::new(), ..whole.stored });
        format!("has another header: {} is now {}", header(source), header(target))
    })
}
