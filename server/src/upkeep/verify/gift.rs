//! The way of each gift: put by one entry, and then waiting, or taken or sent back by one entry of its owner.

use super::{
    exchange::{add, minted_at},
    fault::{Fault, Kind},
};
use crate::{
    ledger::{codec::Page, entry::Reason, line::Account},
    schema::waiting::Gift,
};
use holdall_protocol::ids::{InstanceId, ItemId, PlayerId, Revision};
use uuid::Uuid;

/// How far the clocks of two processes may be apart, in milliseconds.
const CLOCKS_APART_MS: u64 = 60_000;

/// One station of a gift.
#[derive(Debug, Clone)]
pub(super) struct Station {
    pub(super) what: What,
    /// By whose entry, or in whose inbox it waits.
    pub(super) player: PlayerId,
    /// The other one of whom it is known that they have to do with it.
    pub(super) other: Option<PlayerId>,
    /// Of the entry.
    revision: Option<Revision>,
    /// Units of each item; `None` where that cannot be read.
    things: Option<Vec<(ItemId, i128)>>,
    /// The stacks that are known by their ids.
    stacks: Vec<InstanceId>,
    /// Items of which a stack of the taker's became larger.
    grown: Vec<ItemId>,
}

/// What happened to it, or happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// Put into the other one's inbox.
    Put,
    /// It waits.
    Waits,
    /// Taken out of the own inbox.
    Taken,
    /// Sent back out of it, and so put into another one under another id.
    SentBack,
}

/// The stations that an entry tells of. `grown` as its changes tell.
pub(super) fn stations(player: &PlayerId, page: &Page, grown: &[ItemId]) -> Vec<(Uuid, Station)> {
    let Some(gift) = page.gift else { return Vec::new() };
    let (mut things, mut stacks, mut put_to) = (Vec::new(), Vec::new(), None);
    for (_, to, item, quantity, instances) in &page.lines {
        add(&mut things, item.clone(), i128::from(*quantity));
        stacks.extend(instances.iter().copied());
        if let Some(Account::Inbox(owner)) = Account::parse(to) {
            put_to = Some(owner);
        }
    }
    let actor = match Account::parse(&page.actor) {
        Some(Account::Player(actor)) => Some(actor),
        Some(Account::Inbox(_) | Account::Shop | Account::Mint | Account::Sink) | None => None,
    };
    let (player, grown) = (player.clone(), grown.to_vec());
    let station = Station {
        what: What::Put,
        player,
        other: put_to,
        revision: Some(page.revision),
        things: Some(things),
        stacks,
        grown,
    };
    if page.reason == Reason::Gift.as_str() {
        return vec![(gift, station)];
    }
    if page.reason == Reason::InboxReturned.as_str() {
        let back = Station { what: What::SentBack, ..station.clone() };
        let again = page.again.map(|again| (again, station));
        return std::iter::once((gift, back)).chain(again).collect();
    }
    vec![(gift, Station { what: What::Taken, other: actor, ..station })]
}

/// A gift in an inbox.
pub(super) fn waits(owner: &PlayerId, gift: Option<&Gift>) -> Station {
    let things = gift.map(|gift| {
        let mut things = Vec::new();
        for stack in &gift.stacks {
            add(&mut things, stack.item.clone(), i128::from(stack.quantity.get()));
        }
        things
    });
    Station {
        what: What::Waits,
        player: owner.clone(),
        other: gift.map(|gift| gift.slip.from.clone()),
        revision: None,
        things,
        stacks: gift.into_iter().flat_map(|gift| &gift.stacks).map(|stack| stack.instance).collect(),
        grown: Vec::new(),
    }
}

/// Whether the entry at the other end of a gift is one that is no longer kept. `begun`: until when a player's entries are
/// not, in milliseconds since 1970.
pub(super) fn is_forgotten(gift: Uuid, stations: &[Station], begun: impl Fn(&PlayerId) -> Option<u64>) -> bool {
    match stations {
        // A gift is put when its id is minted, and taken later.
        [only] => {
            let until = only.other.as_ref().and_then(begun);
            until.is_some_and(|until| until.saturating_add(CLOCKS_APART_MS) >= minted_at(gift))
        }
        _ => false,
    }
}

/// What is wrong with a gift that has these stations. `steps`: content steps may have made its things into others before
/// they were taken.
pub(super) fn fault(gift: Uuid, stations: &[Station], steps: bool) -> Option<Fault> {
    let of = |put: bool| stations.iter().filter(move |station| (station.what == What::Put) == put);
    let (mut puts, mut ends) = (of(true), of(false));
    let (put, end) = (puts.next(), ends.next());
    let fault = match (put, end) {
        (None, None) => return None,
        (None, Some(end)) => end.fault(Kind::GiftFromNowhere, "nobody's entry put it there"),
        (Some(put), None) => put.fault(Kind::GiftVanished, "it neither waits nor was it taken or sent back"),
        (Some(put), Some(end)) => {
            if let Some(again) = puts.next() {
                again.fault(Kind::GiftTwice, "it was put twice").with(&put.player)
            } else if let Some(again) = ends.next() {
                let what = format!("{}, and {}", end.says(), again.says());
                end.fault(Kind::GiftTwice, what).with(&again.player)
            } else {
                let what = put.becomes(end, steps)?;
                end.fault(Kind::GiftChanged, what).with(&put.player)
            }
        }
    };
    Some(fault.about_gift(gift))
}

impl Station {
    pub(super) fn is_put(&self) -> bool {
        self.what == What::Put
    }

    fn says(&self) -> String {
        let at = self.revision.map(|revision| format!(" at revision {revision}")).unwrap_or_default();
        match self.what {
            What::Put => format!("put by {}{at}", self.player),
            What::Waits => format!("waits for {}", self.player),
            What::Taken => format!("taken by {}{at}", self.player),
            What::SentBack => format!("sent back by {}{at}", self.player),
        }
    }

    fn fault(&self, kind: Kind, what: impl Into<String>) -> Fault {
        let mut fault = Fault::new(kind, &self.player, what);
        fault.revision = self.revision;
        self.other.iter().fold(fault, Fault::with)
    }

    /// What is different at the end of a gift that was put like this.
    fn becomes(&self, end: &Self, steps: bool) -> Option<String> {
        if self.other.as_ref() != Some(&end.player) {
            return Some(format!("{}, and was meant for another", end.says()));
        }
        let (Some(put), Some(there)) = (&self.things, &end.things) else { return None };
        let mut rest = there.clone();
        for (item, units) in put {
            add(&mut rest, item.clone(), units.saturating_neg());
        }
        let sum = rest.iter().fold(0_i128, |sum, (_, units)| sum.saturating_add(*units));
        let has = |things: &[(ItemId, i128)], item: &ItemId| things.iter().any(|(other, _)| other == item);
        let other_items = rest.iter().any(|(item, _)| !(has(put, item) && has(there, item)));
        rest.retain(|(_, units)| *units != 0);
        let same = match end.what {
            What::Taken if steps => sum == 0 || other_items,
            // Onto a stack under an older id of the same item.
            What::Taken => sum == 0 && rest.iter().all(|(item, units)| *units < 0 || end.grown.contains(item)),
            What::Put | What::Waits | What::SentBack => {
                rest.is_empty() && self.stacks.iter().all(|stack| end.stacks.contains(stack))
            }
        };
        if same {
            return None;
        }
        let shown = |things: &[(ItemId, i128)]| {
            let each: Vec<String> = things.iter().map(|(item, units)| format!("{units} {item}")).collect();
            each.join(", ")
        };
        Some(format!("put were {}; {}: {}", shown(put), end.says(), shown(there)))
    }
}
