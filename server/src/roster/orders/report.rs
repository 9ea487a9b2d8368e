//! What setting a player back changes, told place by place and item by item: the answer to the order.

use crate::{
    engine::{
        change::{Change, Changes, Content},
        player::Player,
        restore::{Things, Undo},
    },
    ledger::codec::Page,
    replication::delta,
};
use bytes::Bytes;
use holdall_protocol::{
    ids::{InstanceId, ItemId, Place, PlayerId, Revision},
    message::{Filled, Stack},
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use utoipa::ToSchema;

/// What a restore did, or would do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Restored {
    /// Who.
    pub player: PlayerId,
    /// The revision at which the player was.
    pub from: Revision,
    /// The revision to which the player was set back.
    pub to: Revision,
    /// The revision that this made; none where it was only looked at.
    pub revision: Option<Revision>,
    /// Every place that holds something else afterwards.
    pub places: Vec<Changed>,
    /// Every item and currency of which the player has more or less afterwards.
    pub totals: Vec<Total>,
    /// What passed between the player and others since.
    pub others: Vec<Others>,
    /// Whether that was undone on this player's side too, and not left alone.
    pub others_undone: bool,
}

/// What an order did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Carried {
    /// To whom.
    pub player: PlayerId,
    /// The revision that it made.
    pub revision: Revision,
    /// Every place that holds something else since.
    pub places: Vec<Changed>,
    /// Units that found no room, of a grant that gives what fits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overflow: Option<u64>,
    /// Whether there was a connection to be closed, of a kick.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<bool>,
    /// Until when the player may not sign in, in milliseconds since 1970, of a kick.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub barred_until: Option<u64>,
}

impl Carried {
    pub(super) fn new(player: &PlayerId, revision: Revision, changes: &Changes) -> Self {
        let changed = |Change { place, before, after }: &Change| Changed {
            place: place.clone(),
            before: before.as_ref().map(|content| held(place, content)),
            after: after.as_ref().map(|content| held(place, content)),
        };
        Self {
            player: player.clone(),
            revision,
            places: changes.list.iter().map(changed).collect(),
            overflow: (changes.overflow > 0).then_some(changes.overflow),
            closed: None,
            barred_until: None,
        }
    }

    /// As the answer to the order.
    pub(super) fn to_bytes(&self) -> Bytes {
        serde_json::to_vec(self).expect("a report serialises into memory").into()
    }
}

/// One place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ChangedPlace)]
pub struct Changed {
    /// Which.
    pub place: Place,
    /// What it held before.
    pub before: Option<Held>,
    /// What it holds afterwards.
    pub after: Option<Held>,
}

/// What a place holds: a stack or an amount.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
#[schema(as = PlaceContent)]
pub enum Held {
    /// In bag and equipment.
    Stack(Stack),
    /// Of a currency.
    Balance {
        /// How much.
        amount: u64,
    },
}

/// One item or currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Total {
    /// Which.
    pub item: ItemId,
    /// How many there were.
    pub before: u64,
    /// How many there are afterwards.
    pub after: u64,
}

/// One revision in which things went to others or came from them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Others {
    /// Which.
    pub revision: Revision,
    /// When, in milliseconds since 1970.
    pub at: u64,
    /// Why, as the ledger has it.
    pub reason: String,
    /// The accounts on the other side: `player:bob`, `inbox:bob`.
    pub with: Vec<String>,
    /// What went.
    pub went: Vec<Moved>,
    /// What came.
    pub came: Vec<Moved>,
}

/// Units of one item or currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Moved {
    /// Of what.
    pub item: ItemId,
    /// How many.
    pub quantity: u64,
    /// The stacks among them that went or came as a whole.
    pub instances: Vec<InstanceId>,
}

impl Restored {
    /// From `now`, at the first revision, to `then`, at the second, which it had then.
    pub(super) fn new(
        player: &PlayerId,
        (from, to): (Revision, Revision),
        (now, things): (&Player, &Things),
        (others, undo): (Vec<Others>, Undo),
    ) -> Self {
        let now: Things = now.places().collect();
        let places: BTreeSet<&Place> = now.keys().chain(things.keys()).collect();
        let places = places.into_iter().map(|place| (place, now.get(place), things.get(place)));
        let changed = places.filter(|(_, before, after)| before != after).map(|(place, before, after)| Changed {
            place: place.clone(),
            before: before.map(|content| held(place, content)),
            after: after.map(|content| held(place, content)),
        });
        Self {
            player: player.clone(),
            from,
            to,
            revision: None,
            places: changed.collect(),
            totals: totals(&now, things),
            others,
            others_undone: undo == Undo::All,
        }
    }

    /// As the answer to the order that made this revision.
    pub(super) fn made(self, revision: Revision) -> Bytes {
        let made = Self { revision: Some(revision), ..self };
        serde_json::to_vec(&made).expect("a report serialises into memory").into()
    }
}

fn held(place: &Place, content: &Content) -> Held {
    match delta::filled(place, content) {
        Filled { stack: Some(stack), .. } => Held::Stack(stack),
        Filled { stack: None, amount, .. } => Held::Balance { amount: amount.unwrap_or_default() },
    }
}

fn totals(now: &Things, then: &Things) -> Vec<Total> {
    let mut totals: BTreeMap<&ItemId, (u64, u64)> = BTreeMap::new();
    for (place, content) in now {
        let (item, quantity) = counted(place, content);
        let (before, _) = totals.entry(item).or_default();
        *before = before.saturating_add(quantity);
    }
    for (place, content) in then {
        let (item, quantity) = counted(place, content);
        let (_, after) = totals.entry(item).or_default();
        *after = after.saturating_add(quantity);
    }
    let changed = totals.into_iter().filter(|(_, (before, after))| before != after);
    changed.map(|(item, (before, after))| Total { item: item.clone(), before, after }).collect()
}

fn counted<'c>(place: &'c Place, content: &'c Content) -> (&'c ItemId, u64) {
    match (content, place) {
        (Content::Stack(stack), _) => (&stack.item, stack.quantity.get().into()),
        (Content::Amount(amount), Place::Balance(currency)) => (currency, *amount),
        (Content::Amount(_), Place::Bag(_) | Place::Equipment(_)) => unreachable!("only a balance holds an amount"),
    }
}

/// The accounts of an entry's lines that are neither the player's own nor nobody's.
pub(super) fn foreign_accounts<'p>(page: &'p Page, player: &PlayerId) -> impl Iterator<Item = &'p str> {
    let own = format!("player:{player}");
    let accounts = page.lines.iter().flat_map(|(from, to, ..)| [from.as_str(), to.as_str()]);
    accounts.filter(move |account| *account != own && !matches!(*account, "mint" | "sink"))
}

impl Others {
    pub(super) fn of(page: &Page, changes: &Changes, player: &PlayerId) -> Self {
        let partner = page.partner.iter().map(|(partner, _)| format!("player:{partner}"));
        let with: BTreeSet<String> = foreign_accounts(page, player).map(str::to_owned).chain(partner).collect();
        Self {
            revision: page.revision,
            at: page.at,
            reason: page.reason.clone(),
            with: with.into_iter().collect(),
            went: moved(changes, |change| (change.before.as_ref(), change.after.as_ref())),
            came: moved(changes, |change| (change.after.as_ref(), change.before.as_ref())),
        }
    }
}

/// Of each stack and balance, how much more of it is on the one side than on the other.
fn moved<'c>(
    changes: &'c Changes,
    sides: impl Fn(&'c Change) -> (Option<&'c Content>, Option<&'c Content>),
) -> Vec<Moved> {
    let mut units: BTreeMap<(&ItemId, Option<InstanceId>), (u64, u64)> = BTreeMap::new();
    for change in &changes.list {
        let (one, other) = sides(change);
        for (content, is_other) in [(one, false), (other, true)] {
            let Some(content) = content else { continue };
            let (item, quantity) = counted(&change.place, content);
            let instance = match content {
                Content::Stack(stack) => Some(stack.instance),
                Content::Amount(_) => None,
            };
            let (more, less) = units.entry((item, instance)).or_default();
            let sum = if is_other { less } else { more };
            *sum = sum.saturating_add(quantity);
        }
    }
    let mut moved: BTreeMap<&ItemId, Moved> = BTreeMap::new();
    for ((item, instance), (one, other)) in units.into_iter().filter(|(_, (one, other))| one > other) {
        let sum = moved.entry(item).or_insert_with(|| Moved { item: item.clone(), quantity: 0, instances: Vec::new() });
        sum.quantity = sum.quantity.saturating_add(one.saturating_sub(other));
        sum.instances.extend(instance.filter(|_| other == 0));
    }
    moved.into_values().collect()
}
