//! Stock on a disk that fails: what it should be, and how it is read back.

use crate::conformance::id;
use bytes::Bytes;
use holdall_protocol::ids::{CartId, OrderKey, PlayerId, ReservationId, SkuId};
use holdall_server::store::{
    Store,
    stock::{Act, Deed, DeedKey, Event, Hold, Holder, Known, Purchase, State},
};
use rand::{Rng, rngs::SmallRng};
use std::{collections::BTreeMap, num::NonZeroU64, time::Duration};

/// Far longer than a test.
const HELD: Duration = Duration::from_secs(3_600);

fn sku() -> SkuId {
    SkuId::new("sword").expect("a SKU")
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Held {
    holder: Holder,
    quantity: u64,
    state: State,
}

/// One SKU as it should rest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Shop {
    /// None before it is seeded.
    total: Option<u64>,
    holds: BTreeMap<ReservationId, Held>,
    /// The audit, oldest first.
    audit: Vec<(Event, Option<ReservationId>, u64)>,
}

fn units(random: &mut SmallRng, most: u64) -> NonZeroU64 {
    NonZeroU64::new(random.random_range(1..=most)).expect("at least one")
}

impl Shop {
    fn sum(&self, state: State) -> u64 {
        self.holds.values().filter(|held| held.state == state).map(|held| held.quantity).sum()
    }

    fn available(&self) -> u64 {
        self.total.unwrap_or(0) - self.sum(State::Active) - self.sum(State::Confirmed)
    }

    fn active(&self, whose: impl Fn(&Holder) -> bool) -> Option<ReservationId> {
        let mut active = self.holds.iter().filter(|(_, held)| held.state == State::Active && whose(&held.holder));
        active.next().map(|(id, _)| *id)
    }

    /// Something that can be done, under a key of its own.
    pub(super) fn a_deed(&self, random: &mut SmallRng, players: &[&str]) -> Deed {
        let key = OrderKey::new(&format!("k{:x}", random.random::<u64>())).expect("a key");
        Deed { act: self.an_act(random, players), key: Some(DeedKey::Order(key)), why: None }
    }

    fn an_act(&self, random: &mut SmallRng, players: &[&str]) -> Act {
        if self.total.is_none() {
            return Act::Seed { sku: sku(), quantity: 50, known: Known::Leave };
        }
        let of_cart = self.active(|holder| matches!(holder, Holder::Cart(_)));
        let of_anybody = self.active(|_| true);
        match (random.random_range(0..4), of_cart, of_anybody) {
            (0, Some(reservation), _) => Act::Confirm { reservation },
            (1, _, Some(reservation)) => Act::Release { reservation, of: None },
            _ if self.available() == 0 => Act::Restock { sku: sku(), quantity: units(random, 20) },
            _ => {
                let player = players[random.random_range(0..players.len())];
                let cart = CartId::new("cart").expect("a cart");
                Act::Hold(Hold {
                    id: ReservationId::new(uuid::Uuid::from_u128(random.random())),
                    sku: sku(),
                    holder: if random.random() { Holder::Player(id(player)) } else { Holder::Cart(cart) },
                    quantity: units(random, self.available().min(5)),
                    time: HELD,
                    terms: Bytes::from_static(b"terms"),
                    holds_max: u32::MAX,
                    units_max: None,
                })
            }
        }
    }

    /// A hold that this player can pay for now.
    pub(super) fn a_purchase(&self, player: &PlayerId) -> Option<Purchase> {
        let reservation = self.active(|holder| *holder == Holder::Player(player.clone()))?;
        Some(Purchase { reservation, sku: sku() })
    }

    pub(super) fn pay(&mut self, purchase: &Purchase) {
        self.close(purchase.reservation, State::Confirmed, Event::Confirm);
    }

    pub(super) fn absorb(&mut self, act: &Act) {
        match act {
            Act::Seed { quantity, .. } => {
                self.total = Some(*quantity);
                self.audit.push((Event::Seed, None, *quantity));
            }
            Act::Restock { quantity, .. } => {
                self.total = self.total.map(|total| total + quantity.get());
                self.audit.push((Event::Restock, None, quantity.get()));
            }
            Act::Hold(hold) => {
                let quantity = hold.quantity.get();
                let held = Held { holder: hold.holder.clone(), quantity, state: State::Active };
                self.holds.insert(hold.id, held);
                self.audit.push((Event::Hold, Some(hold.id), quantity));
            }
            Act::Confirm { reservation } => self.close(*reservation, State::Confirmed, Event::Confirm),
            Act::Release { reservation, .. } => self.close(*reservation, State::Released, Event::Release),
            Act::Claim(_) | Act::Unclaim { .. } => panic!("nobody claims here"),
        }
    }

    fn close(&mut self, id: ReservationId, state: State, event: Event) {
        let held = self.holds.get_mut(&id).expect("it was made");
        held.state = state;
        self.audit.push((event, Some(id), held.quantity));
    }

    /// What the store gives back, after a look at whether it agrees with itself.
    pub(super) async fn read(store: &dyn Store) -> Self {
        let mut shop = Self::default();
        let page = store.holds(None).await.expect("holds can be read");
        assert_eq!(page.next, None, "a test makes fewer holds than one page has");
        for hold in page.items {
            let held = Held { holder: hold.holder, quantity: hold.quantity.get(), state: hold.state };
            shop.holds.insert(hold.id, held);
        }
        let audit = store.stock_audit(Some(sku()), None, usize::MAX - 1).await.expect("the audit can be read");
        assert_eq!(store.stock_audit(None, None, usize::MAX - 1).await.expect("of all SKUs, too").items, audit.items);
        shop.audit = audit.items.iter().rev().map(|entry| (entry.event, entry.reservation, entry.quantity)).collect();
        let Some(book) = store.stock_book(sku()).await.expect("the stock can be read") else { return shop };
        let stock = book.stock;
        shop.total = Some(stock.total);
        let open = shop.holds.iter().filter(|(_, held)| held.state.is_open()).map(|(id, _)| *id);
        assert_eq!(book.open.iter().map(|hold| hold.id).collect::<Vec<_>>(), open.collect::<Vec<_>>());
        let found = (stock.available, stock.reserved, stock.confirmed, stock.holds);
        let open = u64::try_from(book.open.len()).expect("a few");
        assert_eq!(found, (shop.available(), shop.sum(State::Active), shop.sum(State::Confirmed), open));
        let mut units = BTreeMap::new();
        for held in shop.holds.values().filter(|held| matches!(held.state, State::Active | State::Confirmed)) {
            if let Holder::Player(player) = &held.holder {
                *units.entry(player.clone()).or_insert(0) += held.quantity;
            }
        }
        assert_eq!(book.units.into_iter().collect::<BTreeMap<_, _>>(), units);
        shop
    }
}
