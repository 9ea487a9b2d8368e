//! Taking away: using, dropping, removing.

use super::{
    change::{Change, Changes, Content, Stack},
    draft::left_of,
    player::Player,
    refusal::Refusal,
    standing::{able, is_frozen},
};
use crate::catalog::{Definition, Kind, Rules};
use holdall_protocol::{
    action::Target,
    ids::{InstanceId, ItemId, Place},
};
use std::num::NonZeroU32;

pub(super) fn use_one(player: &Player, target: &Target, rules: &Rules, out: &mut Changes) -> Result<(), Refusal> {
    let usable = |item: &ItemId, definition: &Definition| {
        if definition.kind == Kind::Consumable { Ok(()) } else { Err(Refusal::NotUsable(item.clone())) }
    };
    match target {
        Target::Instance(instance) => {
            let (slot, stack) = in_bag(player, *instance)?;
            usable(&stack.item, able(stack, rules)?)?;
            take(slot, stack, NonZeroU32::MIN, out)
        }
        Target::Item(item) => {
            rules.catalog.get(item).map_or(Ok(()), |definition| usable(item, definition))?;
            Units { item, quantity: NonZeroU32::MIN, frozen: Frozen::Stays }.take(player, rules, out)
        }
    }
}

pub(super) fn drop(
    player: &Player,
    target: &Target,
    quantity: NonZeroU32,
    rules: &Rules,
    out: &mut Changes,
) -> Result<(), Refusal> {
    let droppable = |item: &ItemId, definition: &Definition| {
        if definition.kind == Kind::Quest { Err(Refusal::NotDroppable(item.clone())) } else { Ok(()) }
    };
    match target {
        Target::Instance(instance) => {
            let (slot, stack) = in_bag(player, *instance)?;
            droppable(&stack.item, able(stack, rules)?)?;
            take(slot, stack, quantity, out)
        }
        Target::Item(item) => {
            rules.catalog.get(item).map_or(Ok(()), |definition| droppable(item, definition))?;
            Units { item, quantity, frozen: Frozen::Stays }.take(player, rules, out)
        }
    }
}

/// Of an instance wherever it is, also in equipment; of an item from the bag only. Frozen or not.
pub(super) fn remove(
    player: &Player,
    target: &Target,
    quantity: NonZeroU32,
    rules: &Rules,
    out: &mut Changes,
) -> Result<(), Refusal> {
    match target {
        Target::Instance(instance) => {
            if let Ok((slot, stack)) = in_bag(player, *instance) {
                return take(slot, stack, quantity, out);
            }
            let worn = player.equipment().iter().find(|(_, stack)| stack.instance == *instance);
            let (slot, stack) = worn.ok_or(Refusal::NotFound("the stack"))?;
            let left = left_of(stack, quantity)?;
            out.list.push(shrunk(Place::Equipment(slot.clone()), stack, left));
            Ok(())
        }
        Target::Item(item) => Units { item, quantity, frozen: Frozen::Goes }.take(player, rules, out),
    }
}

/// A stack in the bag. What is worn is not in the bag.
pub(super) fn in_bag(player: &Player, instance: InstanceId) -> Result<(u16, &Stack), Refusal> {
    let found = player.bag.slot_of(instance).and_then(|slot| Some((slot, player.bag.get(slot)?)));
    found.ok_or(Refusal::NotFound("the stack"))
}

/// Takes units out of one bag slot.
pub(super) fn take(slot: u16, stack: &Stack, quantity: NonZeroU32, out: &mut Changes) -> Result<(), Refusal> {
    let left = left_of(stack, quantity)?;
    out.list.push(shrunk(Place::Bag(slot), stack, left));
    Ok(())
}

/// What becomes of frozen stacks when an item is named and not an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Frozen {
    Stays,
    Goes,
}

/// Units of an item, from whichever bag slots.
struct Units<'a> {
    item: &'a ItemId,
    quantity: NonZeroU32,
    frozen: Frozen,
}

impl Units<'_> {
    /// Takes them, the highest slot first.
    fn take(&self, player: &Player, rules: &Rules, out: &mut Changes) -> Result<(), Refusal> {
        let mut left = self.quantity.get();
        let mut skipped = false;
        let mut withheld = 0_u32;
        for slot in player.slots_of(self.item, rules).iter().rev() {
            let stack = player.bag.get(*slot).expect("indexed slots are filled");
            if self.frozen == Frozen::Stays && is_frozen(stack, rules) {
                skipped = true;
                continue;
            }
            let locked = player.locked_units(stack.instance);
            withheld = withheld.saturating_add(locked);
            let free = stack.quantity.get().saturating_sub(locked);
            let Some(taken) = NonZeroU32::new(left.min(free)) else { continue };
            take(*slot, stack, taken, out)?;
            left = left.saturating_sub(taken.get());
            if left == 0 {
                return Ok(());
            }
        }
        match self.quantity.get().saturating_sub(left) {
            _ if withheld >= left => Err(Refusal::ItemLocked(self.item.clone())),
            0 if skipped => Err(Refusal::ItemFrozen(self.item.clone())),
            0 => Err(self.none(player, rules)),
            have => Err(self.too_few(have)),
        }
    }

    /// Why there is not one.
    fn none(&self, player: &Player, rules: &Rules) -> Refusal {
        let item = || self.item.clone();
        let is_worn = || player.equipment().iter().any(|(_, stack)| stack.item == *self.item);
        match rules.catalog.get(self.item) {
            Some(definition) if definition.kind == Kind::Currency => {
                Refusal::WrongKind { item: item(), what: "a currency and in no bag" }
            }
            None if !is_worn() => Refusal::UnknownItem(item()),
            Some(_) | None => self.too_few(0),
        }
    }

    fn too_few(&self, have: u32) -> Refusal {
        let want = self.quantity.get();
        Refusal::InsufficientQuantity { item: self.item.clone(), have: have.into(), want: want.into() }
    }
}

fn shrunk(place: Place, stack: &Stack, left: Option<NonZeroU32>) -> Change {
    let after = left.map(|quantity| Content::Stack(Stack { quantity, ..stack.clone() }));
    Change { place, before: Some(Content::Stack(stack.clone())), after }
}
