//! A player's things: bag, equipment and wallet, with what is kept of them so that no action has to look through all.
//!
//! Owns the one function that writes a player, [`Player::absorb`]. Called by the rules of this room, and by whoever
//! loads, saves and shows players. Never decides anything.

use super::{
    bag::Bag,
    change::{Change, Changes, Content, Stack},
    offer::Offer,
    sums::Sums,
};
use crate::catalog::Rules;
use holdall_protocol::{
    NUMBER_MAX,
    ids::{BAG_SLOTS_BOUND, InstanceId, ItemId, Place, SlotId},
};
use std::collections::HashSet;

/// All that one player has. Who they are and how often they changed is kept by those who load them.
#[derive(Debug, Clone, Default)]
pub struct Player {
    pub(super) bag: Bag,
    /// In byte order of the slots.
    equipment: Vec<(SlotId, Stack)>,
    /// In byte order of the currencies. No balance is 0.
    wallet: Vec<(ItemId, u64)>,
    /// The running sums and the catalogue version they hold for; `None` until first asked for.
    sums: Option<(u64, Sums)>,
    /// What is put up in an open trade.
    pub(super) offered: Option<Box<Offer>>,
}

/// Why a list of places is no player.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// No bag has this slot.
    #[error("bag slot {0} lies beyond any bag")]
    SlotBeyondBound(u16),
    /// Two contents for one place.
    #[error("place {0} is filled twice")]
    PlaceTwice(Place),
    /// Two places for one stack.
    #[error("instance {0} stands in two places")]
    InstanceTwice(InstanceId),
    /// A stack as a balance, or an amount in a slot.
    #[error("place {0} cannot hold that")]
    WrongContent(Place),
    /// A balance of 0, or beyond 2^53 − 1.
    #[error("balance {0} is 0 or beyond 9007199254740991")]
    BadBalance(Place),
}

impl Player {
    /// Somebody with nothing.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// The player who has this.
    ///
    /// # Errors
    /// [`Broken`] where it cannot be what one player has.
    pub fn from_places(places: impl IntoIterator<Item = (Place, Content)>) -> Result<Self, Broken> {
        let mut player = Self::empty();
        let mut worn = HashSet::new();
        for (place, content) in places {
            if player.holds(&place) {
                return Err(Broken::PlaceTwice(place));
            }
            match (&place, &content) {
                (Place::Bag(slot), Content::Stack(_)) if *slot >= BAG_SLOTS_BOUND => {
                    return Err(Broken::SlotBeyondBound(*slot));
                }
                (Place::Bag(_) | Place::Equipment(_), Content::Stack(stack)) => {
                    let twice = player.bag.slot_of(stack.instance).is_some() || worn.contains(&stack.instance);
                    if twice {
                        return Err(Broken::InstanceTwice(stack.instance));
                    }
                    if matches!(place, Place::Equipment(_)) {
                        worn.insert(stack.instance);
                    }
                }
                (Place::Balance(_), Content::Amount(amount)) => {
                    if !(1..=NUMBER_MAX).contains(amount) {
                        return Err(Broken::BadBalance(place));
                    }
                }
                (Place::Bag(_) | Place::Equipment(_), Content::Amount(_)) | (Place::Balance(_), Content::Stack(_)) => {
                    return Err(Broken::WrongContent(place));
                }
            }
            player.enter(&place, content);
        }
        player.bag.shrink();
        Ok(player)
    }

    /// What a place holds.
    #[must_use]
    pub fn at(&self, place: &Place) -> Option<Content> {
        match place {
            Place::Bag(slot) => self.bag.get(*slot).cloned().map(Content::Stack),
            Place::Equipment(slot) => self.worn(slot).cloned().map(Content::Stack),
            Place::Balance(currency) => Some(self.balance(currency)).filter(|amount| *amount > 0).map(Content::Amount),
        }
    }

    /// All places that hold something: the bag in slot order, then equipment, then balances.
    pub fn places(&self) -> impl Iterator<Item = (Place, Content)> {
        let bag = self.bag.iter().map(|(slot, stack)| (Place::Bag(slot), Content::Stack(stack.clone())));
        let worn = self.equipment.iter();
        let worn = worn.map(|(slot, stack)| (Place::Equipment(slot.clone()), Content::Stack(stack.clone())));
        let wallet = self.wallet.iter();
        let wallet = wallet.map(|(currency, amount)| (Place::Balance(currency.clone()), Content::Amount(*amount)));
        bag.chain(worn).chain(wallet)
    }

    /// Makes the changes true.
    ///
    /// # Panics
    /// When a place does not hold what a change found there, or one instance would stand in two slots: then whoever
    /// made the changes looked at another player. Nothing is written before every place was compared.
    pub fn absorb(&mut self, changes: &Changes) {
        for Change { place, before, after } in &changes.list {
            assert!(self.is_at(place, before.as_ref()), "{place} does not hold what the change found: {before:?}");
            assert!(before != after, "a change of {place} changes nothing");
        }
        // First everything leaves, then everything arrives: things that swap never meet. Backwards and forwards,
        // because changes mostly stand in slot order and the end of a list of slots is the cheap one.
        for Change { place, before, after } in changes.list.iter().rev() {
            match (place, before, after) {
                (Place::Bag(slot), Some(before), after) if !stays(before, after.as_ref()) => self.bag.clear(*slot),
                (Place::Equipment(slot), Some(_), None) => self.equipment.retain(|(worn_in, _)| worn_in != slot),
                (Place::Balance(currency), Some(_), None) => self.wallet.retain(|(other, _)| other != currency),
                (Place::Bag(_) | Place::Equipment(_) | Place::Balance(_), _, _) => {}
            }
        }
        for Change { place, before, after } in &changes.list {
            match (place, before, after) {
                (Place::Bag(slot), Some(before), Some(Content::Stack(stack))) if stays(before, after.as_ref()) => {
                    self.bag.update(*slot, stack);
                }
                (_, _, Some(content)) => self.enter(place, content.clone()),
                (_, _, None) => {}
            }
        }
        self.sums = None;
    }

    /// The same, with the running sums kept.
    pub(super) fn absorb_under(&mut self, rules: &Rules, changes: &Changes) {
        let version = rules.catalog.version();
        let sums = self.sums_under(rules).after(changes, &rules.catalog);
        self.absorb(changes);
        self.sums = Some((version, sums));
    }

    /// Puts content into a place; what was there, other than in the bag, is replaced.
    fn enter(&mut self, place: &Place, content: Content) {
        match (place, content) {
            (Place::Bag(slot), Content::Stack(stack)) => self.bag.put(*slot, stack),
            (Place::Equipment(slot), Content::Stack(stack)) => set(&mut self.equipment, slot, stack),
            (Place::Balance(currency), Content::Amount(amount)) => {
                assert!((1..=NUMBER_MAX).contains(&amount), "a balance of {amount} {currency}");
                set(&mut self.wallet, currency, amount);
            }
            (Place::Bag(_) | Place::Equipment(_), Content::Amount(_)) | (Place::Balance(_), Content::Stack(_)) => {
                unreachable!("slots hold stacks and balances amounts: {place}")
            }
        }
    }

    fn holds(&self, place: &Place) -> bool {
        match place {
            Place::Bag(slot) => self.bag.get(*slot).is_some(),
            Place::Equipment(slot) => self.worn(slot).is_some(),
            Place::Balance(currency) => self.balance(currency) > 0,
        }
    }

    /// Whether a place holds exactly this.
    fn is_at(&self, place: &Place, expected: Option<&Content>) -> bool {
        match (place, expected) {
            (Place::Bag(slot), Some(Content::Stack(stack))) => self.bag.get(*slot) == Some(stack),
            (Place::Equipment(slot), Some(Content::Stack(stack))) => self.worn(slot) == Some(stack),
            (Place::Balance(currency), Some(Content::Amount(amount))) => self.balance(currency) == *amount,
            (_, None) => !self.holds(place),
            (Place::Bag(_) | Place::Equipment(_), Some(Content::Amount(_)))
            | (Place::Balance(_), Some(Content::Stack(_))) => false,
        }
    }

    /// What an equipment slot holds.
    pub(super) fn worn(&self, slot: &SlotId) -> Option<&Stack> {
        self.equipment.iter().find_map(|(worn_in, stack)| (worn_in == slot).then_some(stack))
    }

    /// Equipment slots that hold something, and what.
    pub(super) const fn equipment(&self) -> &[(SlotId, Stack)] {
        self.equipment.as_slice()
    }

    /// The balance kept under exactly this id; 0 where there is none.
    pub(super) fn balance(&self, currency: &ItemId) -> u64 {
        self.wallet.iter().find_map(|(other, amount)| (other == currency).then_some(*amount)).unwrap_or(0)
    }

    /// All balances.
    pub(super) const fn wallet(&self) -> &[(ItemId, u64)] {
        self.wallet.as_slice()
    }

    /// The running sums, counted afresh where those kept are of another catalogue.
    pub(super) fn sums_under(&self, rules: &Rules) -> Sums {
        match self.sums {
            Some((version, sums)) if version == rules.catalog.version() => sums,
            Some(_) | None => Sums::of(self.stacks(), &rules.catalog),
        }
    }

    /// Keeps the sums for the catalogue of these rules, so that the next question finds them.
    pub(super) fn keep_sums(&mut self, rules: &Rules) {
        self.sums = Some((rules.catalog.version(), self.sums_under(rules)));
    }

    /// All stacks of bag and equipment.
    pub(super) fn stacks(&self) -> impl Iterator<Item = &Stack> {
        self.bag.stacks().iter().chain(self.equipment.iter().map(|(_, stack)| stack))
    }

    /// Whether all that is kept twice agrees, and nothing stands where it cannot.
    ///
    /// # Errors
    /// What does not, in words.
    pub fn invariants(&self) -> Result<(), String> {
        self.bag.invariants()?;
        let mut seen = HashSet::new();
        if let Some(twice) = self.stacks().find(|stack| !seen.insert(stack.instance)) {
            return Err(format!("instance {} stands in two places", twice.instance));
        }
        if !self.equipment.is_sorted_by(|(a, _), (b, _)| a < b) || !self.wallet.is_sorted_by(|(a, _), (b, _)| a < b) {
            return Err("equipment and wallet are in order, each place once".into());
        }
        if let Some((currency, amount)) = self.wallet.iter().find(|(_, amount)| !(1..=NUMBER_MAX).contains(amount)) {
            return Err(format!("a balance of {amount} {currency}"));
        }
        self.locks_hold()?;
        let units: u128 = self.stacks().map(|stack| u128::from(stack.quantity.get())).sum();
        match self.sums {
            Some((_, sums)) if sums.units != units => Err(format!("{units} units, {} in the sums", sums.units)),
            Some(_) | None => Ok(()),
        }
    }
}

/// Whether the same thing stays in its place and only its numbers change.
fn stays(before: &Content, after: Option<&Content>) -> bool {
    match (before, after) {
        (Content::Stack(before), Some(Content::Stack(after))) => {
            before.instance == after.instance && before.item == after.item
        }
        (Content::Stack(_) | Content::Amount(_), _) => false,
    }
}

/// Sets a key of a short sorted list.
fn set<K: Ord + Clone, V>(list: &mut Vec<(K, V)>, key: &K, value: V) {
    match list.binary_search_by(|(other, _)| other.cmp(key)) {
        Ok(at) => {
            let (_, there) = list.get_mut(at).expect("the search found it");
            *there = value;
        }
        Err(at) => {
            list.reserve_exact(1);
            list.insert(at, (key.clone(), value));
        }
    }
}
