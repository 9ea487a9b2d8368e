//! What happened to one player, entry by entry: who, why, what went where, and each place before and after.

mod text;

use super::{
    inspect::{Entry, What},
    whole,
};
use crate::{
    engine::change::Change,
    ledger::past::{Book, Now, Past, Step},
    schema::{OURS, Stamp},
    store::{ReadError, Store, Whole},
};
use holdall_protocol::ids::{ItemId, PlayerId, Revision};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// What of a history is told.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Wanted {
    /// From this revision on.
    #[param(value_type = Option<u64>, maximum = 9_007_199_254_740_991_u64)]
    pub revision: Option<Revision>,
    /// From this time on, in milliseconds since 1970.
    #[param(maximum = 9_007_199_254_740_991_u64)]
    pub at: Option<u64>,
    /// Only what changed units of this item or currency, or a place that holds it.
    pub item: Option<ItemId>,
    /// Of these, so many at most: the newest.
    pub limit: Option<usize>,
}

/// What happened to a player.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct History {
    /// Who.
    pub player: PlayerId,
    /// Their revision.
    pub revision: Revision,
    /// What stands for the oldest entries, where they were let go.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub opened: Option<Opened>,
    /// The entries that were asked for, oldest first.
    pub entries: Vec<Told>,
    /// Why what changed is not known any further back, where it is not.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub lost: Option<String>,
    /// Entries that could not be read.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub unreadable: Vec<String>,
}

/// An opening balance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Opened {
    /// The newest revision that it stands for.
    pub revision: Revision,
    /// When that was made, in milliseconds since 1970.
    pub at: u64,
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = HistoryEntry)]
pub struct Told {
    /// Who, when, why and what went where.
    #[serde(flatten)]
    pub entry: Entry,
    /// What each place held; nothing where that is not known.
    pub changes: Vec<Changed>,
}

/// One place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ChangedContent)]
pub struct Changed {
    /// Where.
    pub place: String,
    /// What was there; nothing where it was empty.
    pub before: Option<What>,
    /// What was there afterwards.
    pub after: Option<What>,
}

/// Tells what happened to a player; `None` where there is none.
///
/// # Errors
/// [`ReadError`]: the store is away, or not even the player's header can be read.
pub async fn tell(store: &dyn Store, player: &PlayerId, wanted: &Wanted) -> Result<Option<History>, ReadError> {
    let Some(Whole { stored, ledger }) = whole(store, player).await? else { return Ok(None) };
    let Book { opening, mut pages, unreadable } = Book::read(&OURS, &ledger);
    let unreadable =
        unreadable.into_iter().map(|(newest, error)| format!("what was written with revision {newest}: {error}"));
    let opened = (opening.revision > Revision::ZERO).then_some(Opened { revision: opening.revision, at: opening.at });
    // What came while the ledger was read.
    pages.retain(|page| page.revision <= stored.revision);
    let stamp = Stamp::stored(stored.schema, stored.readable_by);
    let now = Now { revision: stored.revision, stamp, places: &stored.places };
    let (mut told, mut lost) = (Vec::new(), None);
    match Past::of(&OURS, now, opening, pages.clone()) {
        Ok(past) => {
            for undone in past {
                match undone {
                    Ok(step) => told.push(step),
                    Err(error) => lost = Some(error.to_string()),
                }
            }
        }
        Err(error) => lost = Some(error.to_string()),
    }
    // Newest first so far; behind them, what is told of entries that could not be undone.
    pages.truncate(pages.len().saturating_sub(told.len()));
    let rest = pages.into_iter().map(|page| Told { entry: page.into(), changes: Vec::new() });
    let all = rest.chain(told.into_iter().rev().map(Told::from));
    let mut entries: Vec<Told> = all.filter(|told| wanted.covers(told)).collect();
    let surplus = wanted.limit.map_or(0, |limit| entries.len().saturating_sub(limit));
    entries.drain(..surplus);
    Ok(Some(History {
        player: player.clone(),
        revision: stored.revision,
        opened,
        entries,
        lost,
        unreadable: unreadable.collect(),
    }))
}

/// An entry as a line of its own.
#[derive(Debug, Serialize)]
pub struct Archived<'h> {
    /// Whose.
    pub player: &'h PlayerId,
    /// What happened.
    #[serde(flatten)]
    pub told: &'h Told,
}

impl History {
    /// Each entry with whose it is.
    pub fn archived(&self) -> impl Iterator<Item = Archived<'_>> {
        self.entries.iter().map(|told| Archived { player: &self.player, told })
    }
}

impl From<Step> for Told {
    fn from(Step { page, changes }: Step) -> Self {
        Self { entry: page.into(), changes: changes.list.into_iter().map(Changed::from).collect() }
    }
}

impl From<Change> for Changed {
    fn from(Change { place, before, after }: Change) -> Self {
        Self { place: place.to_string(), before: before.map(What::from), after: after.map(What::from) }
    }
}

impl Wanted {
    fn covers(&self, Told { entry, changes }: &Told) -> bool {
        let concerns = |item: &ItemId| {
            let in_place = |changed: &Changed| {
                let stack =
                    |what: &Option<What>| matches!(what, Some(What::Stack { item: other, .. }) if other == item);
                stack(&changed.before)
                    || stack(&changed.after)
                    || changed.place.strip_prefix("c:") == Some(item.as_str())
            };
            entry.lines.iter().any(|line| line.item == *item) || changes.iter().any(in_place)
        };
        self.revision.is_none_or(|from| entry.revision >= from)
            && self.at.is_none_or(|from| entry.at >= from)
            && self.item.as_ref().is_none_or(concerns)
    }
}
