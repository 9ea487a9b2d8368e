//! Questions: how many, where, and the figures of the whole inventory.

use super::{
    change::Content,
    player::Player,
    standing::{ids_of, is_frozen, is_frozen_balance, is_frozen_worn},
};
use crate::catalog::Rules;
use holdall_protocol::{
    NUMBER_MAX,
    ids::{ItemId, Place},
    message::Stats,
};

impl Player {
    /// Units of an item in bag and equipment, or the balance of a currency; at most 2^53 − 1 is told.
    #[must_use]
    pub fn count(&self, item: &ItemId, rules: &Rules) -> u64 {
        let found = self.find(item, rules).into_iter().map(|(_, content)| match content {
            Content::Stack(stack) => u64::from(stack.quantity.get()),
            Content::Amount(amount) => amount,
        });
        found.fold(0, u64::saturating_add).min(NUMBER_MAX)
    }

    /// The places that hold an item, under its id or one that it had before: bag in slot order, equipment, balances.
    #[must_use]
    pub fn find(&self, item: &ItemId, rules: &Rules) -> Vec<(Place, Content)> {
        let mut found = Vec::new();
        for slot in self.slots_of(item, rules).iter() {
            let stack = self.bag.get(*slot).expect("indexed slots are filled");
            found.push((Place::Bag(*slot), Content::Stack(stack.clone())));
        }
        for (slot, stack) in self.equipment() {
            if ids_of(item, rules).any(|id| *id == stack.item) {
                found.push((Place::Equipment(slot.clone()), Content::Stack(stack.clone())));
            }
        }
        for (currency, amount) in self.wallet() {
            if ids_of(item, rules).any(|id| id == currency) {
                found.push((Place::Balance(currency.clone()), Content::Amount(*amount)));
            }
        }
        found
    }

    /// Slots, weight, units and value.
    #[must_use]
    pub fn stats(&self, rules: &Rules) -> Stats {
        let sums = self.sums_under(rules);
        let told = |sum: u128| u64::try_from(sum).unwrap_or(u64::MAX).min(NUMBER_MAX);
        Stats {
            used_slots: u16::try_from(self.bag.len()).expect("a bag has at most 10,000 stacks"),
            max_slots: rules.max_slots,
            weight: told(sums.weight),
            max_weight: rules.max_weight,
            item_count: told(sums.units),
            total_value: told(sums.value),
        }
    }

    /// The places whose content no longer fits the catalogue: it can be moved, nothing else.
    #[must_use]
    pub fn frozen(&self, rules: &Rules) -> Vec<Place> {
        let bag = self.bag.iter().filter(|(_, stack)| is_frozen(stack, rules)).map(|(slot, _)| Place::Bag(slot));
        let worn = self.equipment().iter().filter(|(slot, stack)| is_frozen_worn(slot, stack, rules));
        let wallet = self.wallet().iter().filter(|(currency, _)| is_frozen_balance(currency, rules));
        bag.chain(worn.map(|(slot, _)| Place::Equipment(slot.clone())))
            .chain(wallet.map(|(currency, _)| Place::Balance(currency.clone())))
            .collect()
    }
}
