//! What the simulated shop sells, and what was said of holds, against what became of them.

use holdall_protocol::{
    ids::{ItemId, PlayerId, ReservationId, SkuId},
    message::{Hold, HoldState},
};
use holdall_server::{
    catalog::{Rules, shop::Shop},
    ledger::codec::Page,
    roster::holds::Terms,
    store::{
        memory::Shelf,
        stock::{Holder, Reservation, State},
    },
};
use std::collections::{BTreeMap, BTreeSet};

/// What is for sale, the last for carts alone. The nodes begin at 2027-01-15T08:00:00Z, and a run takes a few seconds.
pub(super) const SKUS: [&str; 5] = ["sword", "potion", "free", "evening", "crate"];

/// The usual rules with a shop, in which what has a price costs so much more than little.
pub(super) fn rules(dearer: u64) -> Rules {
    let mut rules = crate::rules();
    let (sword, potion) = (5 + dearer, 1 + dearer);
    let text = format!(
        r#"
        [[sku]]
        id = "sword"
        stock = 5
        item = "iron_sword"
        price = {{ gold = {sword}, gems = 1 }}

        [[sku]]
        id = "potion"
        stock = 40
        item = "health_potion"
        price = {{ gold = {potion} }}
        limit_per_player = 12

        [[sku]]
        id = "free"
        stock = 12
        item = "ore"
        price = {{}}

        [[sku]]
        id = "evening"
        stock = 10
        item = "gems"
        price = {{ gold = 2 }}
        opens_at = 2027-01-15T08:00:02Z
        closes_at = 2027-01-15T08:00:08Z

        [[sku]]
        id = "crate"
        stock = 8
        "#
    );
    rules.shop = Shop::parse(&text, "shop.toml", &rules.catalog).expect("the shop is fine");
    rules
}

pub(super) fn sku(name: &str) -> SkuId {
    SkuId::new(name).expect("a SKU")
}

/// How holds were said to stand. Each of it was true when it was said; an end is one for good.
#[derive(Debug, Default)]
pub(super) struct Told {
    said: BTreeMap<ReservationId, (Option<PlayerId>, Vec<State>)>,
    /// Holds of which the store has lost something.
    lost: BTreeSet<ReservationId>,
}

impl Told {
    pub(super) fn player(&mut self, player: &PlayerId, hold: &Hold) {
        let state = match hold.state {
            HoldState::Active => State::Active,
            HoldState::Confirmed => State::Confirmed,
            HoldState::Released => State::Released,
            HoldState::Expired => State::Expired,
        };
        self.said.entry(hold.reservation).or_insert_with(|| (Some(player.clone()), Vec::new())).1.push(state);
    }

    pub(super) fn cart(&mut self, hold: &Reservation) {
        self.said.entry(hold.id).or_default().1.push(hold.state);
    }

    /// The store lost writes: how all holds stood before.
    pub(super) fn lose(&mut self, before: BTreeMap<ReservationId, Reservation>, shelf: &Shelf) {
        let after = shelf.reservations();
        let told = |hold: &Reservation| hold.state.told();
        self.lost
            .extend(before.iter().filter(|(id, hold)| after.get(id).map(told) != Some(told(hold))).map(|(id, _)| *id));
    }

    /// What was said and is not so, and holds that never end.
    pub(super) fn audit(&self, shelf: &Shelf) -> Vec<String> {
        let holds = shelf.reservations();
        let mut wrong: Vec<String> =
            holds.values().filter(|hold| hold.state.is_open()).map(|hold| format!("{hold:?} stays for ever")).collect();
        for (id, (player, said)) in &self.said {
            if self.lost.contains(id) || player.as_ref().is_some_and(|player| shelf.is_hopeless(player)) {
                continue;
            }
            match holds.get(id) {
                None => wrong.push(format!("hold {id} was said to be {said:?}, and there is none")),
                Some(hold) => {
                    let other = said.iter().find(|said| !said.is_open() && **said != hold.state);
                    wrong.extend(other.map(|other| format!("{hold:?} was said to be {other:?}")));
                }
            }
        }
        wrong
    }
}

/// Purchases that moved something else than what their hold said when it was made.
pub(super) fn prices(shelf: &Shelf, books: &BTreeMap<PlayerId, Vec<Page>>) -> Vec<String> {
    let holds = shelf.reservations();
    let mut wrong = Vec::new();
    for (player, pages) in books {
        for page in pages.iter().filter(|page| page.reason == "buy") {
            let hold = page.hold.and_then(|id| holds.get(&id));
            let Some(hold) = hold.filter(|hold| hold.holder == Holder::Player(player.clone())) else {
                wrong.push(format!("{player}: revision {} buys without a hold", page.revision));
                continue;
            };
            let told = Terms::told(hold).expect("the server's own terms");
            let (moved, agreed) = (moved(player, page), agreed(&told));
            if moved != agreed {
                wrong.push(format!("{player}: revision {} moves {moved:?}, the hold says {agreed:?}", page.revision));
            }
        }
    }
    wrong
}

fn moved(player: &PlayerId, page: &Page) -> BTreeMap<ItemId, i128> {
    let own = format!("player:{player}");
    let mut moved = BTreeMap::new();
    for (from, to, item, quantity, _) in &page.lines {
        let net: &mut i128 = moved.entry(item.clone()).or_default();
        *net += if *to == own { i128::from(*quantity) } else { 0 };
        *net -= if *from == own { i128::from(*quantity) } else { 0 };
    }
    moved.retain(|_, net| *net != 0);
    moved
}

fn agreed(hold: &Hold) -> BTreeMap<ItemId, i128> {
    let mut agreed = BTreeMap::from([(hold.item.clone(), i128::from(hold.quantity))]);
    for price in &hold.price {
        *agreed.entry(price.currency.clone()).or_default() -= i128::from(price.amount);
    }
    agreed
}
