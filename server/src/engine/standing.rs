//! How a stack stands to the catalogue: what defines it, whether it is frozen, and which stacks are of one kind.

use super::{change::Stack, player::Player, refusal::Refusal};
use crate::catalog::{Definition, Kind, Rules};
use holdall_protocol::ids::{ItemId, SlotId};
use std::{borrow::Cow, sync::Arc};

/// Why the content of a place is frozen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Freeze {
    /// Nothing defines it any more.
    Undefined,
    /// It is larger than a stack may be.
    TooLarge,
    /// A stack of what is a currency now, or a balance of what is none.
    OtherKind,
    /// The equipment slot is no longer configured.
    NoSlot,
}

/// The definition by which a stack can be acted on, or why it is frozen.
fn stands<'r>(stack: &Stack, rules: &'r Rules) -> Result<&'r Definition, Freeze> {
    let definition = rules.catalog.get(&stack.item).ok_or(Freeze::Undefined)?;
    if definition.kind == Kind::Currency {
        Err(Freeze::OtherKind)
    } else if stack.quantity > definition.max_stack {
        Err(Freeze::TooLarge)
    } else {
        Ok(definition)
    }
}

/// The definition by which a stack can be acted on; `None` when it is frozen.
pub(super) fn definition<'r>(stack: &Stack, rules: &'r Rules) -> Option<&'r Definition> {
    stands(stack, rules).ok()
}

/// The same, for an action that needs one.
pub(super) fn able<'r>(stack: &Stack, rules: &'r Rules) -> Result<&'r Definition, Refusal> {
    definition(stack, rules).ok_or_else(|| Refusal::ItemFrozen(stack.item.clone()))
}

pub(super) fn is_frozen(stack: &Stack, rules: &Rules) -> bool {
    definition(stack, rules).is_none()
}

/// In equipment, a slot that is no longer configured freezes too.
pub(super) fn is_frozen_worn(slot: &SlotId, stack: &Stack, rules: &Rules) -> bool {
    worn_stands(slot, stack, rules).is_err()
}

fn worn_stands(slot: &SlotId, stack: &Stack, rules: &Rules) -> Result<(), Freeze> {
    stands(stack, rules)?;
    if rules.slots.contains(slot) { Ok(()) } else { Err(Freeze::NoSlot) }
}

/// A balance is frozen when its item is gone or is no currency any more.
pub(super) fn is_frozen_balance(currency: &ItemId, rules: &Rules) -> bool {
    balance_stands(currency, rules).is_err()
}

fn balance_stands(currency: &ItemId, rules: &Rules) -> Result<(), Freeze> {
    let definition = rules.catalog.get(currency).ok_or(Freeze::Undefined)?;
    if definition.kind == Kind::Currency { Ok(()) } else { Err(Freeze::OtherKind) }
}

/// The ids under which an item may be kept: its own first, then those that it had before.
pub(super) fn ids_of<'a>(item: &'a ItemId, rules: &'a Rules) -> impl Iterator<Item = &'a ItemId> {
    let definition = rules.catalog.get(item);
    let own = definition.map_or(item, |definition| &definition.id);
    std::iter::once(own).chain(definition.into_iter().flat_map(|definition| &definition.renamed_from))
}

/// The definition under which two stacks may become one; `None` where they may not.
pub(super) fn common<'r>(a: &Stack, b: &Stack, rules: &'r Rules) -> Option<&'r Definition> {
    let alike = Arc::ptr_eq(&a.nature, &b.nature) || (a.attributes == b.attributes && a.beyond == b.beyond);
    if !alike {
        return None;
    }
    let shared = definition(a, rules)?;
    let same = a.item == b.item || rules.catalog.get(&b.item).is_some_and(|other| other.id == shared.id);
    (same && b.quantity <= shared.max_stack).then_some(shared)
}

impl Player {
    /// How each place with something in it stands to these rules: what it holds, and why it is frozen where it is. In an
    /// order that does not depend on the rules.
    pub fn standings(&self, rules: &Rules) -> impl Iterator<Item = (&ItemId, Option<Freeze>)> {
        let bag = self.bag.stacks().iter().map(|stack| (&stack.item, stands(stack, rules).err()));
        let worn = self.equipment().iter();
        let worn = worn.map(|(slot, stack)| (&stack.item, worn_stands(slot, stack, rules).err()));
        let wallet = self.wallet().iter().map(|(currency, _)| (currency, balance_stands(currency, rules).err()));
        bag.chain(worn).chain(wallet)
    }

    /// The bag slots that hold an item, under whichever of its ids, ascending.
    pub(super) fn slots_of(&self, item: &ItemId, rules: &Rules) -> Cow<'_, [u16]> {
        let mut all = Cow::Borrowed(&[][..]);
        for id in ids_of(item, rules) {
            let slots = self.bag.slots_of(id);
            if all.is_empty() {
                all = Cow::Borrowed(slots);
            } else if !slots.is_empty() {
                all.to_mut().extend_from_slice(slots);
                all.to_mut().sort_unstable();
            }
        }
        all
    }
}
