//! What a player would have: an overlay in which an action of several steps is tried before any of it is true.
//!
//! Used where one step must see the step before it. Actions of one step write their changes directly.

use super::{
    change::{Change, Changes, Content, Nature, Stack},
    moment::Moment,
    player::Player,
    refusal::Refusal,
    standing::{common, ids_of, is_frozen},
};
use crate::catalog::{Definition, Rules};
use holdall_protocol::ids::{InstanceId, ItemId, Place, SlotId};
use std::{
    collections::BTreeMap,
    num::{NonZeroU32, NonZeroU64},
    sync::Arc,
};

/// A player and what would be otherwise.
pub(super) struct Draft<'a> {
    player: &'a Player,
    rules: &'a Rules,
    bag: BTreeMap<u16, Option<Stack>>,
    equipment: Vec<(SlotId, Option<Stack>)>,
    wallet: Vec<(ItemId, u64)>,
}

/// Units on their way into a bag.
pub(super) struct Arrival<'a> {
    pub(super) nature: &'a Arc<Nature>,
    pub(super) definition: &'a Definition,
    pub(super) acquired_at: u64,
    pub(super) quantity: NonZeroU64,
    /// The id of the first slot it opens; a new one where it arrives as part of something, or out of nothing.
    pub(super) instance: Option<InstanceId>,
}

impl<'a> Arrival<'a> {
    /// New units, as the catalogue describes them.
    pub(super) const fn new(definition: &'a Definition, quantity: NonZeroU64, now: u64) -> Self {
        Self { nature: &definition.nature, definition, acquired_at: now, quantity, instance: None }
    }
}

/// (Part of) a stack on its way out of a bag, still under the id it had there.
pub(super) struct Taken {
    pub(super) stack: Stack,
    /// Whether nothing of it stayed behind.
    pub(super) whole: bool,
}

impl<'a> Draft<'a> {
    pub(super) fn new(player: &'a Player, rules: &'a Rules) -> Self {
        Self { player, rules, bag: BTreeMap::new(), equipment: Vec::new(), wallet: Vec::new() }
    }

    /// The player as it is.
    pub(super) const fn player(&self) -> &'a Player {
        self.player
    }

    /// What it is judged by.
    pub(super) const fn rules(&self) -> &'a Rules {
        self.rules
    }

    /// What the balance kept under exactly this id would be.
    pub(super) fn balance(&self, currency: &ItemId) -> u64 {
        let drafted = self.wallet.iter().find(|(other, _)| other == currency);
        drafted.map_or_else(|| self.player.balance(currency), |(_, amount)| *amount)
    }

    pub(super) fn set_balance(&mut self, currency: &ItemId, amount: u64) {
        match self.wallet.iter_mut().find(|(other, _)| other == currency) {
            Some((_, drafted)) => *drafted = amount,
            None => self.wallet.push((currency.clone(), amount)),
        }
    }

    /// What a bag slot would hold.
    pub(super) fn stack(&self, slot: u16) -> Option<&Stack> {
        match self.bag.get(&slot) {
            Some(drafted) => drafted.as_ref(),
            None => self.player.bag.get(slot),
        }
    }

    pub(super) fn set(&mut self, slot: u16, stack: Option<Stack>) {
        self.bag.insert(slot, stack);
    }

    /// Takes off what an equipment slot would hold.
    pub(super) fn take_off(&mut self, slot: &SlotId) -> Option<Stack> {
        match self.equipment.iter_mut().find(|(other, _)| other == slot) {
            Some((_, drafted)) => drafted.take(),
            None => {
                let worn = self.player.worn(slot).cloned()?;
                self.equipment.push((slot.clone(), None));
                Some(worn)
            }
        }
    }

    /// Puts a stack into an equipment slot that would be empty.
    pub(super) fn put_on(&mut self, slot: &SlotId, stack: Stack) {
        match self.equipment.iter_mut().find(|(other, _)| other == slot) {
            Some((_, drafted)) => *drafted = Some(stack),
            None => self.equipment.push((slot.clone(), Some(stack))),
        }
    }

    /// Takes units out of a bag slot.
    pub(super) fn take(&mut self, slot: u16, quantity: NonZeroU32) -> Result<Taken, Refusal> {
        let mut stack = self.stack(slot).cloned().ok_or(Refusal::NotFound("the stack"))?;
        let left = left_of(&stack, quantity)?;
        self.set(slot, left.map(|left| Stack { quantity: left, ..stack.clone() }));
        stack.quantity = quantity;
        Ok(Taken { stack, whole: left.is_none() })
    }

    /// Fills equal stacks, the lowest slot first, then opens slots, the lowest first. Answers how many units found no
    /// room.
    pub(super) fn pour(&mut self, arrival: &Arrival<'_>, moment: &mut Moment<'_>) -> u64 {
        let max = arrival.definition.max_stack;
        let mut left = arrival.quantity.get();
        let mut model = Stack {
            instance: arrival.instance.unwrap_or_else(|| moment.mint()),
            nature: arrival.nature.clone(),
            quantity: max.min(u32::try_from(left).ok().and_then(NonZeroU32::new).unwrap_or(max)),
            acquired_at: arrival.acquired_at,
        };
        for slot in self.candidates(&arrival.nature.item) {
            let Some(there) = self.stack(slot).filter(|there| common(there, &model, self.rules).is_some()) else {
                continue;
            };
            let (merged, more) = fill(there, left, max, model.acquired_at);
            if more < left {
                self.set(slot, Some(merged));
                left = more;
            }
            if left == 0 {
                return 0;
            }
        }
        let mut fresh = true;
        for slot in self.free(left.div_ceil(u64::from(max.get()))) {
            if !fresh {
                model.instance = moment.mint();
            }
            fresh = false;
            model.quantity = u32::try_from(left).ok().and_then(NonZeroU32::new).map_or(max, |left| left.min(max));
            left = left.saturating_sub(u64::from(model.quantity.get()));
            self.set(slot, Some(model.clone()));
        }
        left
    }

    /// Puts a stack into the bag: by [`Self::pour`], or, frozen, whole into the lowest free slot.
    pub(super) fn put_in(&mut self, stack: Stack, frozen: bool, moment: &mut Moment<'_>) -> Result<(), Refusal> {
        let left = match self.rules.catalog.get(&stack.item).filter(|_| !frozen && !is_frozen(&stack, self.rules)) {
            Some(definition) => self.pour(
                &Arrival {
                    nature: &stack.nature,
                    definition,
                    acquired_at: stack.acquired_at,
                    quantity: stack.quantity.into(),
                    instance: Some(stack.instance),
                },
                moment,
            ),
            None => match self.free(1).first() {
                Some(slot) => {
                    self.set(*slot, Some(stack));
                    return Ok(());
                }
                None => u64::from(stack.quantity.get()),
            },
        };
        if left == 0 { Ok(()) } else { Err(Refusal::InventoryFull { item: stack.item.clone(), left }) }
    }

    /// Writes down what would be otherwise.
    pub(super) fn finish(self, out: &mut Changes) {
        let bag = self.bag.into_iter().map(|(slot, stack)| (Place::Bag(slot), stack));
        let equipment = self.equipment.into_iter().map(|(slot, stack)| (Place::Equipment(slot), stack));
        let stacks = bag.chain(equipment).map(|(place, stack)| (place, stack.map(Content::Stack)));
        let balance = |(currency, amount): (ItemId, u64)| {
            (Place::Balance(currency), (amount > 0).then_some(Content::Amount(amount)))
        };
        for (place, after) in stacks.chain(self.wallet.into_iter().map(balance)) {
            let before = self.player.at(&place);
            if before != after {
                out.list.push(Change { place, before, after });
            }
        }
    }

    /// Slots below the bound that may hold the item, ascending.
    fn candidates(&self, item: &ItemId) -> Vec<u16> {
        let bound = self.rules.max_slots;
        let mut slots = self.player.slots_of(item, self.rules).into_owned();
        let drafted = self.bag.iter().filter(|(_, stack)| {
            stack.as_ref().is_some_and(|stack| ids_of(item, self.rules).any(|id| *id == stack.item))
        });
        let known = slots.len();
        slots.extend(drafted.map(|(slot, _)| *slot));
        if slots.len() > known {
            slots.sort_unstable();
            slots.dedup();
        }
        slots.retain(|slot| *slot < bound);
        slots
    }

    /// The lowest slots that would be free, at most so many.
    fn free(&self, wanted: u64) -> Vec<u16> {
        let bound = self.rules.max_slots;
        let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
        let filled = |slot: &u16| self.bag.get(slot).is_some_and(Option::is_some);
        let mut slots: Vec<u16> = self.player.bag.free(bound).filter(|slot| !filled(slot)).take(wanted).collect();
        let emptied = self.bag.iter().filter(|(slot, stack)| stack.is_none() && self.player.bag.get(**slot).is_some());
        slots.extend(emptied.map(|(slot, _)| *slot).filter(|slot| *slot < bound));
        slots.sort_unstable();
        slots.truncate(wanted);
        slots
    }
}

/// What stays of a stack when units leave; `None` when all do.
pub(super) fn left_of(stack: &Stack, quantity: NonZeroU32) -> Result<Option<NonZeroU32>, Refusal> {
    let (have, want) = (stack.quantity.get(), quantity.get());
    have.checked_sub(want).map(NonZeroU32::new).ok_or_else(|| Refusal::InsufficientQuantity {
        item: stack.item.clone(),
        have: have.into(),
        want: want.into(),
    })
}

/// A stack topped up to `max` from so many units, and how many are left of them. The older time of acquisition stays.
pub(super) fn fill(there: &Stack, units: u64, max: NonZeroU32, acquired_at: u64) -> (Stack, u64) {
    let room = u64::from(max.get().saturating_sub(there.quantity.get()));
    let poured = u32::try_from(room.min(units)).expect("the room in a stack is a stack's quantity");
    let merged = Stack {
        quantity: there.quantity.saturating_add(poured),
        acquired_at: there.acquired_at.min(acquired_at),
        ..there.clone()
    };
    (merged, units.saturating_sub(poured.into()))
}
