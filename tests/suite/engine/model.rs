//! The rules a second time, as plainly as they can be said: a map of slots, looked through from end to end.
//!
//! Ids that arise here are counted up, until the comparison puts the engine's in their place.

use holdall_protocol::{
    NUMBER_MAX,
    action::Target,
    attribute::Attributes,
    code::Code,
    ids::{InstanceId, ItemId, Place, SlotId},
};
use holdall_server::{
    catalog::{Definition, Kind, Rules},
    engine::{
        action::Action,
        change::{Content, Nature, Stack},
    },
};
use std::{cmp::Reverse, collections::BTreeMap, num::NonZeroU32};
use uuid::Uuid;

/// Whether the model made this id up.
pub fn is_minted(id: InstanceId) -> bool {
    id.uuid().as_u128() << 64 == 0
}

type Answer = Result<u64, Code>;

#[derive(Debug, Clone, Default)]
pub struct Model {
    pub bag: BTreeMap<u16, Stack>,
    pub worn: BTreeMap<SlotId, Stack>,
    pub wallet: BTreeMap<ItemId, u64>,
}

/// What an action is judged by, the time, and how many ids were minted.
pub struct World<'a> {
    pub rules: &'a Rules,
    pub now: u64,
    pub minted: &'a mut u128,
}

impl World<'_> {
    fn mint(&mut self) -> InstanceId {
        *self.minted += 1;
        InstanceId::new(Uuid::from_u128(*self.minted << 64))
    }

    fn definition(&self, stack: &Stack) -> Option<&Definition> {
        let known = self.rules.catalog.get(&stack.item)?;
        (known.kind != Kind::Currency && stack.quantity <= known.max_stack).then_some(known)
    }

    fn able(&self, stack: &Stack) -> Result<&Definition, Code> {
        self.definition(stack).ok_or(Code::ItemFrozen)
    }

    fn same_item(&self, a: &ItemId, b: &ItemId) -> bool {
        let id = |item: &ItemId| self.rules.catalog.get(item).map_or(item.clone(), |known| known.id.clone());
        id(a) == id(b)
    }

    fn alike(&self, a: &Stack, b: &Stack) -> bool {
        let able = self.definition(a).is_some() && self.definition(b).is_some();
        able && self.same_item(&a.item, &b.item) && a.attributes == b.attributes
    }
}

fn of(stack: &Stack, quantity: u32) -> Option<Stack> {
    NonZeroU32::new(quantity).map(|quantity| Stack { quantity, ..stack.clone() })
}

impl Model {
    pub fn places(&self) -> Vec<(Place, Content)> {
        let bag = self.bag.iter().map(|(slot, stack)| (Place::Bag(*slot), Content::Stack(stack.clone())));
        let worn =
            self.worn.iter().map(|(slot, stack)| (Place::Equipment(slot.clone()), Content::Stack(stack.clone())));
        let wallet = self.wallet.iter().map(|(id, amount)| (Place::Balance(id.clone()), Content::Amount(*amount)));
        bag.chain(worn).chain(wallet).collect()
    }

    pub fn weight(&self, rules: &Rules) -> u128 {
        let each = |stack: &Stack| {
            let known = rules.catalog.get(&stack.item).map_or(0, |known| known.weight);
            u128::from(known) * u128::from(stack.quantity.get())
        };
        self.bag.values().chain(self.worn.values()).map(each).sum()
    }

    /// The same as the engine's `apply`; answers the overflow.
    pub fn apply(&mut self, action: &Action, world: &mut World<'_>) -> Answer {
        let before = self.clone();
        let answer = self.act(action, world);
        if answer.is_err() {
            *self = before;
        }
        answer
    }

    fn act(&mut self, action: &Action, world: &mut World<'_>) -> Answer {
        match action {
            Action::Grant { .. } => return self.grant(action, world),
            Action::Remove { target: Target::Instance(id), quantity } => match self.slot_of(*id) {
                Ok(slot) => self.take(slot, quantity.get()).map(drop)?,
                Err(code) => {
                    let worn = self.worn.iter().find(|(_, stack)| stack.instance == *id);
                    let (slot, stack) = worn.map(|(slot, stack)| (slot.clone(), stack.clone())).ok_or(code)?;
                    let left = stack.quantity.get().checked_sub(quantity.get()).ok_or(Code::InsufficientQuantity)?;
                    self.worn.remove(&slot);
                    self.worn.extend(of(&stack, left).map(|stack| (slot, stack)));
                }
            },
            Action::Remove { target: Target::Item(item), quantity } => {
                self.take_any(item, quantity.get(), true, world)?;
            }
            Action::Move { from, to, quantity } => self.shift(*from, *to, quantity.map(NonZeroU32::get), world)?,
            Action::Sort => self.sort(world),
            Action::Use { target } => {
                let usable = |known: &Definition| {
                    if known.kind == Kind::Consumable { Ok(()) } else { Err(Code::NotUsable) }
                };
                self.spend(target, 1, usable, world)?;
            }
            Action::Drop { target, quantity } => {
                let droppable = |known: &Definition| {
                    if known.kind == Kind::Quest { Err(Code::NotDroppable) } else { Ok(()) }
                };
                self.spend(target, quantity.get(), droppable, world)?;
            }
            Action::Equip { instance, slot } => self.equip(*instance, slot.as_ref(), world)?,
            Action::Unequip { slot } => {
                let stack = self.worn.remove(slot).ok_or(Code::NotFound)?;
                let merges = world.rules.slots.contains(slot) && world.definition(&stack).is_some();
                self.insert(stack, merges, true, world)?;
            }
            Action::Sell { instance, quantity } => {
                let slot = self.slot_of(*instance)?;
                let known = world.able(&self.bag[&slot])?.clone();
                if !known.sellable {
                    return Err(Code::NotSellable);
                }
                self.take(slot, quantity.get())?;
                let worth = u128::from(known.base_value) * u128::from(quantity.get());
                let payout = worth * u128::from(world.rules.sell_rate) / 1000;
                let payout = u64::try_from(payout).map_err(|_| Code::InsufficientFunds)?;
                self.credit(&world.rules.sell_currency, payout, world)?;
            }
            Action::SetAttributes { target, set, remove } => {
                let both = set.iter().any(|(key, _)| remove.contains(key));
                if both || set.len() > world.rules.attributes_max {
                    return Err(Code::InvalidAttribute);
                }
                self.edit(target, world, |old| {
                    let mut pairs = old.to_map();
                    pairs.retain(|key, _| !remove.contains(key));
                    pairs.extend(set.iter().cloned());
                    Attributes::new(pairs)
                })?;
            }
            Action::Credit { currency, amount } => self.credit(currency, amount.get(), world)?,
            Action::Debit { currency, amount } => self.debit(currency, amount.get(), world)?,
            Action::Purchase { item, quantity, price } => {
                if world.rules.catalog.get(item).is_none() {
                    return Err(Code::InvalidItem);
                }
                for (currency, amount) in price {
                    self.debit(currency, amount.get(), world)?;
                }
                let (item, quantity) = (item.clone(), *quantity);
                self.grant(&Action::Grant { item, quantity, attributes: None, partial: false }, world)?;
            }
            Action::Restore { things } => {
                *self = Self::default();
                for (place, content) in things.clone() {
                    match (place, content) {
                        (Place::Bag(slot), Content::Stack(stack)) => drop(self.bag.insert(slot, stack)),
                        (Place::Equipment(slot), Content::Stack(stack)) => drop(self.worn.insert(slot, stack)),
                        (Place::Balance(currency), Content::Amount(amount)) => {
                            self.wallet.insert(currency, amount);
                        }
                        (place, content) => panic!("{content:?} in {place}"),
                    }
                }
            }
        }
        Ok(0)
    }

    fn slot_of(&self, id: InstanceId) -> Result<u16, Code> {
        self.bag.iter().find(|(_, stack)| stack.instance == id).map(|(slot, _)| *slot).ok_or(Code::NotFound)
    }

    /// Takes units out of a slot; the part keeps the id of the whole.
    fn take(&mut self, slot: u16, quantity: u32) -> Result<Stack, Code> {
        let stack = self.bag.remove(&slot).ok_or(Code::NotFound)?;
        let left = stack.quantity.get().checked_sub(quantity).ok_or(Code::InsufficientQuantity)?;
        self.bag.extend(of(&stack, left).map(|stack| (slot, stack)));
        Ok(of(&stack, quantity).expect("nobody takes nothing"))
    }

    fn take_any(&mut self, item: &ItemId, quantity: u32, frozen: bool, world: &World<'_>) -> Result<(), Code> {
        let all: Vec<u16> =
            self.bag.iter().filter(|(_, s)| world.same_item(&s.item, item)).map(|(at, _)| *at).collect();
        let reachable = |slot: &&u16| frozen || world.definition(&self.bag[*slot]).is_some();
        let slots: Vec<u16> = all.iter().filter(reachable).copied().collect();
        if slots.is_empty() {
            let worn = self.worn.values().any(|stack| stack.item == *item);
            return Err(match world.rules.catalog.get(item) {
                _ if !all.is_empty() => Code::ItemFrozen,
                Some(known) if known.kind == Kind::Currency => Code::InvalidItem,
                None if !worn => Code::InvalidItem,
                _ => Code::InsufficientQuantity,
            });
        }
        let mut left = quantity;
        for slot in slots.into_iter().rev() {
            let taken = left.min(self.bag[&slot].quantity.get());
            if taken > 0 {
                self.take(slot, taken)?;
                left -= taken;
            }
        }
        if left == 0 { Ok(()) } else { Err(Code::InsufficientQuantity) }
    }

    fn spend(
        &mut self,
        target: &Target,
        quantity: u32,
        may: impl Fn(&Definition) -> Result<(), Code>,
        world: &World<'_>,
    ) -> Result<(), Code> {
        match target {
            Target::Instance(id) => {
                let slot = self.slot_of(*id)?;
                may(world.able(&self.bag[&slot])?)?;
                self.take(slot, quantity).map(drop)
            }
            Target::Item(item) => {
                world.rules.catalog.get(item).map_or(Ok(()), may)?;
                self.take_any(item, quantity, false, world)
            }
        }
    }

    fn free(&self, rules: &Rules) -> Option<u16> {
        (0..rules.max_slots).find(|slot| !self.bag.contains_key(slot))
    }

    /// Puts a stack in: on equal ones from the lowest slot up, the rest in the lowest free slots.
    fn insert(&mut self, stack: Stack, merges: bool, whole: bool, world: &mut World<'_>) -> Result<(), Code> {
        let mut left = stack.quantity.get();
        if merges {
            let max = world.able(&stack)?.max_stack.get();
            for (_, there) in self.bag.range_mut(..world.rules.max_slots).filter(|(_, t)| world.alike(t, &stack)) {
                let poured = left.min(max - there.quantity.get());
                if poured > 0 {
                    there.quantity = there.quantity.checked_add(poured).unwrap();
                    there.acquired_at = there.acquired_at.min(stack.acquired_at);
                    left -= poured;
                }
            }
        }
        if let Some(mut rest) = of(&stack, left) {
            let slot = self.free(world.rules).ok_or(Code::InventoryFull)?;
            if !whole {
                rest.instance = world.mint();
            }
            self.bag.insert(slot, rest);
        }
        Ok(())
    }

    fn grant(&mut self, action: &Action, world: &mut World<'_>) -> Answer {
        let Action::Grant { item, quantity, attributes, partial } = action else { panic!("a grant") };
        let (quantity, attributes, partial) = (quantity.get(), attributes.as_ref(), *partial);
        let known = world.rules.catalog.get(item).ok_or(Code::InvalidItem)?.clone();
        if known.kind == Kind::Currency {
            if attributes.is_some_and(|given| !given.is_empty()) {
                return Err(Code::InvalidAttribute);
            }
            let room = NUMBER_MAX - self.wallet.get(&known.id).copied().unwrap_or(0);
            let fits = if partial { quantity.min(room) } else { quantity };
            self.credit(item, fits, world)?;
            return Ok(quantity - fits);
        }
        if let Some(given) = attributes {
            within(given, world.rules)?;
        }
        let weight = self.weight(world.rules) + u128::from(known.weight) * u128::from(quantity);
        let heavy = world.rules.max_weight > 0 && known.weight > 0 && weight > u128::from(world.rules.max_weight);
        if heavy && !partial {
            return Err(Code::WeightExceeded);
        }
        let attributes = attributes.unwrap_or(&known.nature.attributes).clone();
        for given in 0..quantity {
            let unit = Stack {
                instance: InstanceId::new(Uuid::nil()),
                nature: Nature::with(known.id.clone(), attributes.clone()),
                quantity: NonZeroU32::MIN,
                acquired_at: world.now,
            };
            let then = self.weight(world.rules) + u128::from(known.weight);
            let heavy = world.rules.max_weight > 0 && known.weight > 0 && then > u128::from(world.rules.max_weight);
            if heavy || self.insert(unit, true, false, world).is_err() {
                return if partial { Ok(quantity - given) } else { Err(Code::InventoryFull) };
            }
        }
        Ok(0)
    }

    fn shift(&mut self, from: u16, to: u16, quantity: Option<u32>, world: &mut World<'_>) -> Result<(), Code> {
        let stack = self.bag.get(&from).cloned().ok_or(Code::NotFound)?;
        let all = stack.quantity.get();
        let wanted = quantity.unwrap_or(all);
        if wanted > all {
            return Err(Code::InsufficientQuantity);
        }
        if from == to {
            return Ok(());
        }
        if to >= world.rules.max_slots {
            return Err(Code::NotFound);
        }
        let part = wanted < all;
        if part {
            world.able(&stack)?;
        }
        let Some(there) = self.bag.get(&to).cloned() else {
            let mut moved = self.take(from, wanted)?;
            if part {
                moved.instance = world.mint();
            }
            self.bag.insert(to, moved);
            return Ok(());
        };
        if part && there.item == stack.item {
            world.able(&there)?;
        }
        let room =
            if world.alike(&stack, &there) { world.able(&there)?.max_stack.get() - there.quantity.get() } else { 0 };
        let poured = wanted.min(room);
        if part && poured < wanted {
            return Err(Code::InventoryFull);
        }
        if poured > 0 {
            self.take(from, poured)?;
            let merged = self.bag.get_mut(&to).unwrap();
            merged.quantity = merged.quantity.checked_add(poured).unwrap();
            merged.acquired_at = merged.acquired_at.min(stack.acquired_at);
        } else if from < world.rules.max_slots {
            self.bag.insert(from, there);
            self.bag.insert(to, stack);
        } else {
            return Err(Code::InventoryFull);
        }
        Ok(())
    }

    fn sort(&mut self, world: &World<'_>) {
        let below = if self.merged(u16::MAX, world).len() > usize::from(world.rules.max_slots) {
            world.rules.max_slots
        } else {
            u16::MAX
        };
        let merged = self.merged(below, world);
        self.bag.retain(|slot, _| *slot >= below);
        self.bag.extend((0..).zip(merged));
    }

    /// Stacks below a slot, the younger poured into the older, in order.
    fn merged(&self, below: u16, world: &World<'_>) -> Vec<Stack> {
        let mut stacks: Vec<Stack> = self.bag.range(..below).map(|(_, stack)| stack.clone()).collect();
        stacks.sort_by_key(|stack| (stack.acquired_at, stack.instance));
        let mut at = 0;
        while at < stacks.len() {
            while let Some(younger) =
                (at + 1..stacks.len()).rev().find(|other| world.alike(&stacks[at], &stacks[*other]))
            {
                let max = world.definition(&stacks[at]).unwrap().max_stack.get();
                let poured = stacks[younger].quantity.get().min(max - stacks[at].quantity.get());
                if poured == 0 {
                    break;
                }
                stacks[at].quantity = stacks[at].quantity.checked_add(poured).unwrap();
                match of(&stacks[younger], stacks[younger].quantity.get() - poured) {
                    Some(left) => stacks[younger] = left,
                    None => drop(stacks.remove(younger)),
                }
            }
            at += 1;
        }
        stacks.sort_by_key(|stack| {
            let known = world.rules.catalog.get(&stack.item);
            let rank = known.map(|known| (known.kind, Reverse(known.rarity)));
            (known.is_none(), rank, known.map_or(stack.item.clone(), |known| known.id.clone()))
        });
        stacks
    }

    fn equip(&mut self, id: InstanceId, wanted: Option<&SlotId>, world: &mut World<'_>) -> Result<(), Code> {
        let from = self.slot_of(id)?;
        let known = world.able(&self.bag[&from])?.clone();
        if known.slots.is_empty() {
            return Err(Code::NotEquippable);
        }
        let [main, off] = world.rules.hands.clone();
        let both = self.worn.get(&main).and_then(|s| world.rules.catalog.get(&s.item)).is_some_and(|d| d.two_handed);
        let mut allowed: Vec<&SlotId> = known.slots.iter().filter(|slot| world.rules.slots.contains(slot)).collect();
        if known.two_handed {
            allowed.retain(|slot| **slot == main);
        }
        let free = |slot: &&&SlotId| !(self.worn.contains_key(**slot) || both && ***slot == off);
        let target = match wanted {
            Some(wanted) => allowed.iter().find(|slot| **slot == wanted),
            None => allowed.iter().find(free).or(allowed.first()),
        };
        let target = (*target.ok_or(Code::SlotMismatch)?).clone();

        let mut unit = self.take(from, 1)?;
        if self.bag.contains_key(&from) {
            unit.instance = world.mint();
        }
        let mut returned = Vec::from_iter(self.worn.remove(&target));
        if known.two_handed {
            returned.extend(self.worn.remove(&off));
        } else if target == off && both {
            returned.extend(self.worn.remove(&main));
        }
        self.worn.insert(target, unit);
        for stack in returned {
            if from < world.rules.max_slots && !self.bag.contains_key(&from) {
                self.bag.insert(from, stack);
            } else {
                let merges = world.definition(&stack).is_some();
                self.insert(stack, merges, true, world)?;
            }
        }
        Ok(())
    }

    fn edit(
        &mut self,
        target: &Target,
        world: &World<'_>,
        change: impl Fn(&Attributes) -> Attributes,
    ) -> Result<(), Code> {
        let meant = |stack: &Stack| match target {
            Target::Instance(id) => stack.instance == *id,
            Target::Item(item) => world.same_item(&stack.item, item),
        };
        let (mut found, mut edited) = (false, false);
        let bag = self.bag.values_mut().map(|stack| (true, stack));
        let worn = self.worn.iter_mut().map(|(slot, stack)| (world.rules.slots.contains(slot), stack));
        for (configured, stack) in bag.chain(worn).filter(|(_, stack)| meant(stack)) {
            found = true;
            if configured && world.definition(stack).is_some() {
                stack.attributes = change(&stack.attributes);
                within(&stack.attributes, world.rules)?;
                edited = true;
            }
        }
        let unknown = matches!(target, Target::Item(item) if world.rules.catalog.get(item).is_none());
        match (found, edited) {
            (false, _) if unknown => Err(Code::InvalidItem),
            (false, _) => Err(Code::NotFound),
            (true, false) => Err(Code::ItemFrozen),
            (true, true) => Ok(()),
        }
    }

    fn money<'r>(&self, currency: &ItemId, world: &'r World<'_>) -> Result<&'r Definition, Code> {
        let known = world.rules.catalog.get(currency).filter(|known| known.kind == Kind::Currency);
        match known {
            None if self.wallet.contains_key(currency) => Err(Code::ItemFrozen),
            known => known.ok_or(Code::InvalidItem),
        }
    }

    fn debit(&mut self, currency: &ItemId, amount: u64, world: &World<'_>) -> Result<(), Code> {
        let known = self.money(currency, world)?;
        let mut ids = vec![known.id.clone()];
        ids.extend(known.renamed_from.iter().cloned());
        let mut left = amount;
        for id in ids {
            let there = self.wallet.remove(&id).unwrap_or(0);
            let paid = there.min(left);
            left -= paid;
            self.wallet.extend((there > paid).then_some((id, there - paid)));
        }
        if left > 0 { Err(Code::InsufficientFunds) } else { Ok(()) }
    }

    fn credit(&mut self, currency: &ItemId, amount: u64, world: &World<'_>) -> Result<(), Code> {
        let id = self.money(currency, world)?.id.clone();
        let there = self.wallet.get(&id).copied().unwrap_or(0);
        let then = there.checked_add(amount).filter(|then| *then <= NUMBER_MAX).ok_or(Code::InsufficientFunds)?;
        if then > 0 {
            self.wallet.insert(id, then);
        }
        Ok(())
    }
}

fn within(attributes: &Attributes, rules: &Rules) -> Result<(), Code> {
    let fits = attributes.len() <= rules.attributes_max && attributes.bytes() <= rules.attribute_bytes_max;
    if fits { Ok(()) } else { Err(Code::InvalidAttribute) }
}

/// The same as the engine's `gift`.
pub fn gift(
    giver: &mut Model,
    receiver: &mut Model,
    lines: &[(InstanceId, NonZeroU32)],
    world: &mut World<'_>,
) -> Result<(), Code> {
    let before = (giver.clone(), receiver.clone());
    let answer = give(giver, receiver, lines, world);
    if answer.is_err() {
        (*giver, *receiver) = before;
    }
    answer
}

fn give(
    giver: &mut Model,
    receiver: &mut Model,
    lines: &[(InstanceId, NonZeroU32)],
    world: &mut World<'_>,
) -> Result<(), Code> {
    if lines.is_empty() {
        return Err(Code::InvalidQuantity);
    }
    if lines.len() > world.rules.gift_items_max {
        return Err(Code::LimitExceeded);
    }
    if lines.iter().enumerate().any(|(at, line)| lines[..at].iter().any(|other| other.0 == line.0)) {
        return Err(Code::InvalidQuantity);
    }
    let mut given = Vec::new();
    for (id, quantity) in lines {
        let slot = giver.slot_of(*id)?;
        let known = world.able(&giver.bag[&slot])?;
        if !known.tradeable || known.kind == Kind::Quest {
            return Err(Code::NotTradeable);
        }
        let stack = giver.take(slot, quantity.get())?;
        given.push((stack, !giver.bag.contains_key(&slot)));
    }
    let weight = receiver.weight(world.rules);
    let heavier = Model { bag: (0..).zip(given.iter().map(|(stack, _)| stack.clone())).collect(), ..Model::default() };
    let more = heavier.weight(world.rules);
    let max = u128::from(world.rules.max_weight);
    if max > 0 && more > 0 && weight + more > max {
        return Err(Code::WeightExceeded);
    }
    given.into_iter().try_for_each(|(stack, whole)| receiver.insert(stack, true, whole, world))
}
