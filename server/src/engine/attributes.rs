//! Setting and removing attributes. A stack always gets a set of its own; none is ever changed in place.

use super::{
    change::{Change, Changes, Content, Stack},
    player::Player,
    refusal::Refusal,
    standing::{ids_of, is_frozen, is_frozen_worn},
    taking::in_bag,
};
use crate::catalog::Rules;
use holdall_protocol::{
    action::Target,
    attribute::{Attributes, Value},
    ids::{AttributeKey, ItemId, Place},
};
use std::collections::BTreeSet;

pub(super) struct Edit<'a> {
    pub(super) target: &'a Target,
    pub(super) set: &'a [(AttributeKey, Value)],
    pub(super) remove: &'a [AttributeKey],
}

impl Edit<'_> {
    pub(super) fn decide(&self, player: &Player, rules: &Rules, out: &mut Changes) -> Result<(), Refusal> {
        self.consistent(rules)?;
        match self.target {
            Target::Instance(instance) => {
                let (place, stack, frozen) = match in_bag(player, *instance) {
                    Ok((slot, stack)) => (Place::Bag(slot), stack, is_frozen(stack, rules)),
                    Err(refusal) => {
                        let worn = player.equipment().iter().find(|(_, stack)| stack.instance == *instance);
                        let (slot, stack) = worn.ok_or(refusal)?;
                        (Place::Equipment(slot.clone()), stack, is_frozen_worn(slot, stack, rules))
                    }
                };
                if frozen {
                    return Err(Refusal::ItemFrozen(stack.item.clone()));
                }
                self.edit(place, stack, rules, out)
            }
            Target::Item(item) => self.edit_all(item, player, rules, out),
        }
    }

    /// Every stack of an item but the frozen ones.
    fn edit_all(&self, item: &ItemId, player: &Player, rules: &Rules, out: &mut Changes) -> Result<(), Refusal> {
        let (mut found, mut frozen) = (0_u32, 0_u32);
        for slot in player.slots_of(item, rules).iter() {
            let stack = player.bag.get(*slot).expect("indexed slots are filled");
            found = found.saturating_add(1);
            if is_frozen(stack, rules) {
                frozen = frozen.saturating_add(1);
            } else {
                self.edit(Place::Bag(*slot), stack, rules, out)?;
            }
        }
        for (slot, stack) in player.equipment() {
            if ids_of(item, rules).all(|id| *id != stack.item) {
                continue;
            }
            found = found.saturating_add(1);
            if is_frozen_worn(slot, stack, rules) {
                frozen = frozen.saturating_add(1);
            } else {
                self.edit(Place::Equipment(slot.clone()), stack, rules, out)?;
            }
        }
        match (found, rules.catalog.get(item)) {
            (0, None) => Err(Refusal::UnknownItem(item.clone())),
            (0, Some(_)) => Err(Refusal::NotFound("a stack of that item")),
            _ if found == frozen => Err(Refusal::ItemFrozen(item.clone())),
            _ => Ok(()),
        }
    }

    fn edit(&self, place: Place, stack: &Stack, rules: &Rules, out: &mut Changes) -> Result<(), Refusal> {
        let mut pairs = stack.attributes.to_map();
        for key in self.remove {
            pairs.remove(key);
        }
        pairs.extend(self.set.iter().cloned());
        let attributes = Attributes::new(pairs);
        check(&attributes, rules)?;
        if attributes != stack.attributes {
            let mut after = stack.clone();
            after.attributes = attributes;
            let (before, after) = (Some(Content::Stack(stack.clone())), Some(Content::Stack(after)));
            out.list.push(Change { place, before, after });
        }
        Ok(())
    }

    /// Whether the order of the edits cannot matter.
    fn consistent(&self, rules: &Rules) -> Result<(), Refusal> {
        if self.set.len() > rules.attributes_max {
            return Err(TOO_MANY);
        }
        let mut keys = BTreeSet::new();
        if !self.set.iter().all(|(key, _)| keys.insert(key)) {
            return Err(Refusal::InvalidAttribute("a key is set twice"));
        }
        if self.remove.iter().any(|key| keys.contains(key)) {
            return Err(Refusal::InvalidAttribute("a key is both set and removed"));
        }
        Ok(())
    }
}

const TOO_MANY: Refusal = Refusal::InvalidAttribute("too many on one stack");

/// Whether a stack may have these.
pub(super) fn check(attributes: &Attributes, rules: &Rules) -> Result<(), Refusal> {
    if attributes.len() > rules.attributes_max {
        return Err(TOO_MANY);
    }
    if attributes.bytes() > rules.attribute_bytes_max {
        return Err(Refusal::InvalidAttribute("too many bytes on one stack"));
    }
    Ok(())
}
