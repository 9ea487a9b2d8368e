//! What a player does next in the shop: mostly what leads to a purchase, at times what must not work.
//!
//! Pure. Called by `workload` for the bots. Knows only what a player is shown.

use crate::checker::Shop;
use holdall_protocol::{
    action::{Action, Quantity, ShopConfirm, ShopHold, ShopList, ShopRelease},
    ids::ReservationId,
    message::{Hold, ShopEntry},
};
use rand::{Rng, rngs::SmallRng, seq::IndexedRandom};

/// Units of one hold: there shall be something left for others.
const UNITS_MAX: u64 = 3;

/// The longest time of a hold that is asked for, in seconds.
const SECONDS_MAX: u64 = 3;

/// Holds of which this share is left to run out.
const LEFT_ALONE: u128 = 8;

/// Who visits the shop.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shopper<'a> {
    /// The holds it was told of.
    pub(crate) shop: &'a Shop,
    /// What is for sale.
    pub(crate) goods: &'a [ShopEntry],
    /// Whether it may hold something: that is limited more strictly than other requests.
    pub(crate) may_hold: bool,
}

impl Shopper<'_> {
    /// A step towards having something. `None` where there is nothing for sale, or nothing to do but to wait. `is_ending` tells
    /// of what is under way already.
    pub(crate) fn next(&self, is_ending: impl Fn(ReservationId) -> bool, rng: &mut SmallRng) -> Option<Action> {
        let open: Vec<&Hold> = self.shop.open().filter(|hold| !is_ending(hold.reservation)).collect();
        let own = open.choose(rng).map(|hold| hold.reservation);
        match (own, rng.random_range(0..100)) {
            (_, 0..4) => Some(Action::ShopList(ShopList {})),
            (Some(own), _) if own.uuid().as_u128().is_multiple_of(LEFT_ALONE) => self.hold(rng),
            (Some(reservation), 4..60) => Some(Action::ShopConfirm(ShopConfirm { reservation })),
            (Some(reservation), 60..75) => Some(Action::ShopRelease(ShopRelease { reservation })),
            (Some(_) | None, _) => self.hold(rng),
        }
    }

    /// Something that is there to be held; seldom what is not.
    fn hold(&self, rng: &mut SmallRng) -> Option<Action> {
        let careless = rng.random_ratio(1, 16);
        let fit = |entry: &&ShopEntry| careless || (entry.open && entry.available > 0);
        let fit: Vec<&ShopEntry> = self.goods.iter().filter(fit).collect();
        let entry = fit.choose(rng).filter(|_| self.may_hold)?;
        let most = entry.limit_per_player.map_or(UNITS_MAX, |limit| UNITS_MAX.min(limit.into()));
        let quantity = Quantity::new(rng.random_range(1..=most.max(1)));
        let ttl_seconds = rng.random_ratio(7, 8).then(|| Quantity::new(rng.random_range(1..=SECONDS_MAX)));
        Some(Action::ShopHold(ShopHold { sku: entry.sku.clone(), quantity, ttl_seconds }))
    }
}
