//! What a player has put up in an open trade: locked, so that it is still there when both sides have accepted.
//!
//! A lock is a volatile fact of the player in memory: outside changes, revision, record and checksum, and gone with the
//! load. It is a floor: of a locked stack at least the offered units stay where they are, and of a locked currency at
//! least the offered amount. Whatever is above it, and whatever arrives, is free. Every action is held against it once,
//! by [`Player::permits`], whatever way it took to its changes.

use super::{
    change::{Changes, Content, Stack},
    money,
    player::Player,
    refusal::Refusal,
    standing::{able, ids_of},
    taking::in_bag,
};
use crate::catalog::{Definition, Kind, Rules};
use holdall_protocol::ids::{InstanceId, ItemId, Place};
use std::{
    collections::HashSet,
    num::{NonZeroU32, NonZeroU64},
};

/// One line of what a player gives: units of a bag stack.
pub type Line = (InstanceId, NonZeroU32);

/// What a player gives or has put up.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Offer {
    /// Units of bag stacks, each stack named once.
    pub items: Vec<Line>,
    /// Amounts of currencies, each named once.
    pub currencies: Vec<(ItemId, NonZeroU64)>,
}

static NOTHING: Offer = Offer { items: Vec::new(), currencies: Vec::new() };

impl Offer {
    /// Whether nothing is given.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.items.is_empty() && self.currencies.is_empty()
    }

    fn units(&self, instance: InstanceId) -> u32 {
        let line = self.items.iter().find(|(named, _)| *named == instance);
        line.map_or(0, |(_, units)| units.get())
    }

    /// Whether it is short enough and names nothing twice, as far as that can be told without looking at the things.
    fn is_well_formed(&self, rules: &Rules) -> Result<(), Refusal> {
        if self.items.len().saturating_add(self.currencies.len()) > rules.offer_lines_max {
            let max = u64::try_from(rules.offer_lines_max).unwrap_or(u64::MAX);
            return Err(Refusal::LimitExceeded { what: "lines in one offer", max });
        }
        let mut named = HashSet::new();
        if !self.items.iter().all(|(instance, _)| named.insert(*instance)) {
            return Err(Refusal::Malformed { what: "offer", why: "names a stack twice" });
        }
        let mut named = HashSet::new();
        let id = |currency| rules.catalog.get(currency).map_or(currency, |definition| &definition.id);
        if !self.currencies.iter().all(|(currency, _)| named.insert(id(currency))) {
            return Err(Refusal::Malformed { what: "offer", why: "names a currency twice" });
        }
        Ok(())
    }
}

/// Whether a stack may change hands; what defines it.
pub(super) fn giveable<'r>(stack: &Stack, rules: &'r Rules) -> Result<&'r Definition, Refusal> {
    let definition = able(stack, rules)?;
    if !definition.tradeable || definition.kind == Kind::Quest {
        return Err(Refusal::NotTradeable(stack.item.clone()));
    }
    Ok(definition)
}

impl Player {
    /// Puts this up instead of whatever was put up before.
    ///
    /// # Errors
    /// What cannot be put up; then the earlier offer stands.
    pub fn lock(&mut self, offer: Offer, rules: &Rules) -> Result<(), Refusal> {
        offer.is_well_formed(rules)?;
        for (instance, units) in &offer.items {
            let (_, stack) = in_bag(self, *instance)?;
            giveable(stack, rules)?;
            if *units > stack.quantity {
                let (have, want) = (stack.quantity.get().into(), units.get().into());
                return Err(Refusal::InsufficientQuantity { item: stack.item.clone(), have, want });
            }
        }
        let mut currencies = Vec::with_capacity(offer.currencies.len());
        for (currency, amount) in &offer.currencies {
            let definition = money::spendable(self, currency, rules)?;
            if !definition.tradeable {
                return Err(Refusal::NotTradeable(definition.id.clone()));
            }
            let (have, want) = (self.funds(&definition.id, rules), amount.get());
            if have < want {
                return Err(Refusal::InsufficientFunds { currency: definition.id.clone(), have, want });
            }
            currencies.push((definition.id.clone(), *amount));
        }
        // From here nothing can fail.
        let offer = Offer { items: offer.items, currencies };
        self.offered = (!offer.is_empty()).then(|| Box::new(offer));
        Ok(())
    }

    /// Takes back whatever was put up.
    pub fn unlock(&mut self) {
        self.offered = None;
    }

    /// What is put up, currencies under their present ids.
    #[must_use]
    pub fn locked(&self) -> &Offer {
        self.offered.as_deref().unwrap_or(&NOTHING)
    }

    /// A stack in the bag.
    #[must_use]
    pub fn stack(&self, instance: InstanceId) -> Option<&Stack> {
        in_bag(self, instance).ok().map(|(_, stack)| stack)
    }

    /// Units of a stack that are put up.
    pub(super) fn locked_units(&self, instance: InstanceId) -> u32 {
        self.offered.as_ref().map_or(0, |offer| offer.units(instance))
    }

    /// A balance, what is kept of it under former ids included.
    pub(super) fn funds(&self, currency: &ItemId, rules: &Rules) -> u64 {
        ids_of(currency, rules).map(|id| self.balance(id)).fold(0, u64::saturating_add)
    }

    /// Whether changes leave in place all that is put up.
    ///
    /// # Errors
    /// The first thing that they would take, move or alter.
    pub(super) fn permits(&self, changes: &Changes, rules: &Rules) -> Result<(), Refusal> {
        let Some(offer) = &self.offered else { return Ok(()) };
        for change in &changes.list {
            if let Some(Content::Stack(before)) = &change.before
                && offer.units(before.instance) > 0
                && !keeps(before, offer.units(before.instance), change.after.as_ref())
            {
                return Err(Refusal::ItemLocked(before.item.clone()));
            }
        }
        offer.currencies.iter().try_for_each(|(currency, amount)| self.keeps_funds(currency, *amount, changes, rules))
    }

    fn keeps_funds(
        &self,
        currency: &ItemId,
        amount: NonZeroU64,
        changes: &Changes,
        rules: &Rules,
    ) -> Result<(), Refusal> {
        let have = self.funds(currency, rules);
        let mut then = have;
        for id in ids_of(currency, rules) {
            let place = Place::Balance(id.clone());
            if let Some(change) = changes.list.iter().find(|change| change.place == place) {
                let after = change.after.as_ref().map_or(0, amount_in);
                then = then.saturating_sub(self.balance(id)).saturating_add(after);
            }
        }
        if then >= amount.get() || then >= have {
            return Ok(());
        }
        let (have, want) = (have.saturating_sub(amount.get()), have.saturating_sub(then));
        Err(Refusal::InsufficientFunds { currency: currency.clone(), have, want })
    }

    /// Whether all that is put up is there.
    pub(super) fn locks_hold(&self) -> Result<(), String> {
        for (instance, units) in &self.locked().items {
            match in_bag(self, *instance) {
                Ok((_, stack)) if stack.quantity >= *units => {}
                Ok(_) | Err(_) => return Err(format!("{units} of {instance} are put up and not there")),
            }
        }
        Ok(())
    }
}

/// Whether the stack is still there, the same, with at least so many units.
fn keeps(before: &Stack, units: u32, after: Option<&Content>) -> bool {
    matches!(after, Some(Content::Stack(after))
        if after.instance == before.instance
            && after.item == before.item
            && after.quantity.get() >= units
            && after.attributes == before.attributes
            && after.beyond == before.beyond)
}

const fn amount_in(content: &Content) -> u64 {
    match content {
        Content::Amount(amount) => *amount,
        Content::Stack(_) => 0,
    }
}
