//! What all players together come to, one player after the other.
//!
//! What two players say of the same thing is struck out as soon as both have said it, so that what is kept are the stacks
//! that exist, and of exchanges and gifts those whose other end has yet to come. What remains is no fault yet: the players
//! may have been read at different moments.

use super::{
    Total, Verified,
    exchange::Half,
    fault::{Fault, Kind},
    gift::{self, Station},
    player::{Begin, Examined, Sums},
    stock::{Bought, Counted},
};
use holdall_protocol::ids::{InstanceId, ItemId, PlayerId, Revision};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use uuid::Uuid;

/// Something that seems wrong, and everybody who has to be seen at one moment to know.
#[derive(Debug, Clone)]
pub(super) struct Suspicion {
    pub(super) involved: Vec<PlayerId>,
    matter: Matter,
}

#[derive(Debug, Clone)]
enum Matter {
    /// A player alone.
    Player,
    /// The half that this player made at this revision.
    Exchange(PlayerId, Revision),
    Gift(Uuid),
    Stack(InstanceId),
}

/// The sums so far.
#[derive(Default)]
pub(super) struct Books {
    /// Halves of exchanges whose other half has yet to come.
    halves: HashMap<(PlayerId, Revision), Half>,
    /// Gifts of which one end has yet to come.
    gifts: HashMap<Uuid, Vec<Station>>,
    /// Who has which stack.
    stacks: HashMap<InstanceId, PlayerId>,
    /// Whose oldest entries are no longer kept, and up to where.
    begins: HashMap<PlayerId, Begin>,
    /// All that was bought in the shop.
    pub(super) bought: Vec<Bought>,
    suspicions: Vec<Suspicion>,
    /// Whether somebody has taken a content step.
    pub(super) steps: bool,
    /// Whether somebody's oldest entries are no longer kept.
    trimmed: bool,
    verified: Verified,
    totals: BTreeMap<ItemId, Balance>,
}

/// Units of one item.
#[derive(Debug, Clone, Copy, Default)]
struct Balance {
    minted: i128,
    sunk: i128,
    held: i128,
    waiting: i128,
}

impl Books {
    /// Takes down a player.
    pub(super) fn enter(&mut self, examined: Examined) {
        let Examined { player, faults, entries, begin, content, halves, gifts, bought, instances, sums } = examined;
        let verified = &mut self.verified;
        verified.players = verified.players.saturating_add(1);
        verified.entries = verified.entries.saturating_add(entries);
        verified.instances = verified.instances.saturating_add(u64::try_from(instances.len()).unwrap_or(u64::MAX));
        self.steps |= content > 0;
        if begin.revision > Revision::ZERO {
            self.begins.insert(player.clone(), begin);
        }
        if !faults.is_empty() {
            self.suspect(Matter::Player, [&player]);
        }
        for half in halves {
            self.half(half);
        }
        for (gift, station) in gifts {
            self.station(gift, station);
        }
        let bought = bought.into_iter().map(|(hold, revision)| Bought { hold, player: player.clone(), revision });
        self.bought.extend(bought);
        for (stack, _) in instances {
            if let Some(other) = self.stacks.insert(stack, player.clone()) {
                self.suspect(Matter::Stack(stack), [&player, &other]);
            }
        }
        self.sum(sums);
    }

    fn suspect<'p>(&mut self, matter: Matter, involved: impl IntoIterator<Item = &'p PlayerId>) {
        let involved: BTreeSet<PlayerId> = involved.into_iter().cloned().collect();
        self.suspicions.push(Suspicion { involved: involved.into_iter().collect(), matter });
    }

    fn half(&mut self, half: Half) {
        self.verified.exchanges = self.verified.exchanges.saturating_add(1);
        let place = (half.partner.clone(), half.partner_revision);
        match self.halves.remove(&place) {
            Some(other) if other.names(&half) => {
                if half.fault_beside(Some(&other)).is_some() {
                    self.suspect(
                        Matter::Exchange(half.player, half.revision),
                        [&other.player, &half.partner, &other.partner],
                    );
                }
                return;
            }
            Some(other) => drop(self.halves.insert(place, other)),
            None => {}
        }
        self.halves.insert((half.player.clone(), half.revision), half);
    }

    fn station(&mut self, gift: Uuid, station: Station) {
        let stations = self.gifts.entry(gift).or_default();
        if station.is_put() {
            self.verified.gifts = self.verified.gifts.saturating_add(1);
        }
        stations.push(station);
        // With content steps a difference may be right; that is judged at the end.
        if stations.len() == 2 && gift::fault(gift, stations, false).is_none() {
            self.gifts.remove(&gift);
        }
    }

    fn sum(&mut self, sums: Sums) {
        let Sums { minted, sunk, held, waiting } = sums;
        let mut add = |list: Vec<(ItemId, i128)>, to: fn(&mut Balance) -> &mut i128| {
            for (item, units) in list {
                let sum = to(self.totals.entry(item).or_default());
                *sum = sum.saturating_add(units);
            }
        };
        add(minted, |balance| &mut balance.minted);
        add(sunk, |balance| &mut balance.sunk);
        add(held, |balance| &mut balance.held);
        add(waiting, |balance| &mut balance.waiting);
    }

    /// All that seems wrong once everybody was taken down.
    pub(super) fn suspicions(&mut self) -> Vec<Suspicion> {
        let begins = std::mem::take(&mut self.begins);
        let begun = |player: &PlayerId| begins.get(player).copied();
        for half in std::mem::take(&mut self.halves).into_values().filter(|half| !half.is_beside(begun(&half.partner)))
        {
            self.suspect(Matter::Exchange(half.player.clone(), half.revision), [&half.player, &half.partner]);
        }
        self.trimmed = !begins.is_empty();
        for (gift, stations) in std::mem::take(&mut self.gifts) {
            if gift::is_forgotten(gift, &stations, |player| begun(player).map(|begin| begin.at)) {
                continue;
            }
            let involved = stations.iter().flat_map(|station| std::iter::once(&station.player).chain(&station.other));
            self.suspect(Matter::Gift(gift), involved);
        }
        std::mem::take(&mut self.suspicions)
    }

    /// What it all comes to, with the faults that were found certain. `quiet`: nobody wrote meanwhile.
    pub(super) fn close(self, mut faults: Vec<Fault>, counted: Counted, quiet: bool) -> Verified {
        // Content steps make other items of what waits, and no entry tells of that; and of what went between two players one
        // may have kept the entry and the other not. Each player's own sum is proven all the same.
        if quiet && !self.steps && !self.trimmed {
            faults.extend(wrong_totals(&self.totals));
        }
        let whole = |units: i128| u64::try_from(units).unwrap_or(u64::MAX);
        let total = |(item, balance): (ItemId, Balance)| {
            let Balance { minted, sunk, held, waiting } = balance;
            (item, Total { minted: whole(minted), sunk: whole(sunk), held: whole(held), waiting: whole(waiting) })
        };
        let Counted { skus, holds, faults: of_stocks } = counted;
        faults.extend(of_stocks);
        faults.sort_unstable();
        faults.dedup();
        let totals = self.totals.into_iter().map(total).collect();
        Verified { faults, quiet, totals, skus, holds, ..self.verified }
    }
}

/// Items of which more or less is there than was made. One that goes under several ids is made under one and held under
/// another; so nothing is wrong as long as all of it is there.
fn wrong_totals(totals: &BTreeMap<ItemId, Balance>) -> Vec<Fault> {
    let off = |balance: &Balance| {
        balance.held.saturating_add(balance.waiting).saturating_add(balance.sunk).saturating_sub(balance.minted)
    };
    if totals.values().map(off).fold(0, i128::saturating_add) == 0 {
        return Vec::new();
    }
    let wrong = totals.iter().filter(|(_, balance)| off(balance) != 0);
    let fault = |(item, balance): (&ItemId, &Balance)| {
        let Balance { minted, sunk, held, waiting } = balance;
        let what = format!("of {item} {minted} were made and {sunk} used up; {held} are held and {waiting} wait");
        Fault::about_all(Kind::WrongTotal, what)
    };
    wrong.map(fault).collect()
}

impl Suspicion {
    /// What is wrong indeed, with everybody who is involved seen at one moment.
    pub(super) fn judge(&self, seen: &[Examined], steps: bool) -> Vec<Fault> {
        let begin = |player: &PlayerId| {
            let of = seen.iter().find(|examined| examined.player == *player).map(|examined| examined.begin);
            of.filter(|begin| begin.revision > Revision::ZERO)
        };
        match &self.matter {
            Matter::Player => seen.iter().flat_map(|examined| examined.faults.clone()).collect(),
            Matter::Exchange(player, revision) => {
                let half = |player: &PlayerId, revision: Revision| {
                    let all = seen.iter().flat_map(|examined| &examined.halves);
                    all.into_iter().find(|half| half.player == *player && half.revision == revision)
                };
                let found = half(player, *revision);
                let other = |found: &Half| found.fault_beside(half(&found.partner, found.partner_revision));
                found.filter(|found| !found.is_beside(begin(&found.partner))).and_then(other).into_iter().collect()
            }
            Matter::Gift(gift) => {
                let all = seen.iter().flat_map(|examined| &examined.gifts).filter(|(other, _)| other == gift);
                let stations: Vec<Station> = all.map(|(_, station)| station.clone()).collect();
                if gift::is_forgotten(*gift, &stations, |player| begin(player).map(|begin| begin.at)) {
                    return Vec::new();
                }
                gift::fault(*gift, &stations, steps).into_iter().collect()
            }
            Matter::Stack(stack) => doubled(*stack, seen).into_iter().collect(),
        }
    }
}

fn doubled(stack: InstanceId, seen: &[Examined]) -> Option<Fault> {
    let mut places = Vec::new();
    let mut fault = Fault::about_all(Kind::DoubledInstance, "").about_stack(stack);
    for examined in seen {
        for (_, place) in examined.instances.iter().filter(|(instance, _)| *instance == stack) {
            places.push(format!("{} ({place})", examined.player));
            fault = fault.with(&examined.player);
        }
    }
    fault.what = format!("it is with {}", places.join(" and "));
    (places.len() > 1).then_some(fault)
}
