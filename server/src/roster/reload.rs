//! Other rules and bounds in the place of those in force, while players play.
//!
//! Called by `session` at a reload, one at a time. Never rewrites what a player has: an id of before is resolved through
//! the new catalogue, and what does not fit it freezes where it is.

use super::{Options, Roster, cell::Inner};
use crate::{catalog::Rules, engine::standing::Freeze};
use holdall_protocol::ids::ItemId;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// What other rules would make of what loaded players have.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outlook {
    /// Loaded players.
    pub players: usize,
    /// What would freeze, by item and why.
    pub freezing: BTreeMap<(ItemId, Freeze), Held>,
    /// What is frozen and would be no longer, by item.
    pub thawing: BTreeMap<ItemId, Held>,
}

/// In how many hands something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Held {
    /// Players who have it.
    pub players: usize,
    /// Places that it is in.
    pub places: usize,
}

impl Roster {
    /// What these rules would make of what loaded players have.
    #[must_use]
    pub fn outlook(&self, then: &Rules) -> Outlook {
        let now = self.rules();
        let mut outlook = Outlook::default();
        for cell in self.everyone() {
            outlook.count(&mut cell.lock(), &now, then);
        }
        outlook
    }

    /// Puts rules and bounds in force, and tells everybody: `tell` hears of each loaded player under their lock. Whoever is
    /// loaded or joins meanwhile finds them in force already.
    pub fn put_in_force(self: &Arc<Self>, rules: Rules, options: Options, tell: impl Fn(&mut Inner, &Rules)) {
        let rules = Arc::new(rules);
        let quotas = options.quotas;
        *self.options.write() = Arc::new(options);
        self.rules.store(rules.clone());
        self.lingering.changed.notify_one();
        for cell in self.everyone() {
            cell.allowance.set(quotas);
            let mut inner = cell.lock();
            tell(&mut inner, &rules);
            // What had found no room may find it now.
            self.look_again(&cell, &mut inner);
        }
    }
}

impl Outlook {
    fn count(&mut self, inner: &mut Inner, now: &Rules, then: &Rules) {
        let Some(seat) = inner.seat() else { return };
        self.players = self.players.saturating_add(1);
        let (mut freezing, mut thawing) = (BTreeSet::new(), BTreeSet::new());
        for ((item, is), (_, will)) in seat.player.standings(now).zip(seat.player.standings(then)) {
            match (is, will) {
                (None, Some(why)) => {
                    self.freezing.entry((item.clone(), why)).or_default().add(freezing.insert((item, why)));
                }
                (Some(_), None) => self.thawing.entry(item.clone()).or_default().add(thawing.insert(item)),
                (None, None) | (Some(_), Some(_)) => {}
            }
        }
    }
}

impl Held {
    /// One place more, perhaps in hands that have no other.
    fn add(&mut self, new_hands: bool) {
        self.places = self.places.saturating_add(1);
        self.players = self.players.saturating_add(usize::from(new_hands));
    }
}
