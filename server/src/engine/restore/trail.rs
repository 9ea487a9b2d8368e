//! Following what a player had through everything that happened since.
//!
//! Two books are kept side by side. The one says what the player would have had nothing happened but what passed between
//! them and others. The other says, for each stack in their hands as it really went, which of its units are among those of
//! the first book, and which are new: made since. So it is known of every unit that went to others whether it is to be taken
//! out of the first book, however often it was split and merged before.

use super::{Between, Things};
use crate::{
    catalog::Rules,
    engine::{
        change::{Changes, Content, Stack},
        moment::Moment,
        player::Player,
        refusal::Refusal,
    },
};
use holdall_protocol::{
    NUMBER_MAX,
    ids::{BAG_SLOTS_BOUND, InstanceId, ItemId, Place},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU32,
};

/// A stack that the player would have.
struct Goal {
    /// Where it lay then; `None` where it came since.
    place: Option<Place>,
    /// What it is; of its quantity only that a stack may be so large.
    stack: Stack,
    units: u64,
}

/// What a stack in the player's hands, or a part of one, consists of.
#[derive(Default)]
struct Makeup {
    /// Units of stacks that the player would have.
    kept: Vec<(InstanceId, u64)>,
    /// Units that were made since.
    new: u64,
}

/// Which units leave a stack first.
#[derive(Clone, Copy, PartialEq, Eq)]
enum First {
    /// Those that the player would have.
    Kept,
    /// Those that were made since.
    New,
}

impl Makeup {
    fn units(&self) -> u64 {
        self.kept.iter().map(|(_, units)| *units).fold(self.new, u64::saturating_add)
    }

    fn of(&self, origin: InstanceId) -> u64 {
        self.kept.iter().filter(|(kept, _)| *kept == origin).map(|(_, units)| *units).fold(0, u64::saturating_add)
    }

    fn keep(&mut self, origin: InstanceId, units: u64) {
        match self.kept.iter_mut().find(|(kept, _)| *kept == origin) {
            Some((_, kept)) => *kept = kept.saturating_add(units),
            None if units > 0 => self.kept.push((origin, units)),
            None => {}
        }
    }

    fn add(&mut self, more: &Self) {
        self.new = self.new.saturating_add(more.new);
        for (origin, units) in &more.kept {
            self.keep(*origin, *units);
        }
    }

    fn take(&mut self, units: u64, first: First) -> Self {
        let mut taken = Self::default();
        let mut left = units;
        if first == First::New {
            taken.new = left.min(self.new);
            left = left.saturating_sub(taken.new);
        }
        for (origin, kept) in &mut self.kept {
            let part = left.min(*kept);
            taken.keep(*origin, part);
            *kept = kept.saturating_sub(part);
            left = left.saturating_sub(part);
        }
        self.kept.retain(|(_, units)| *units > 0);
        let rest = if first == First::Kept { left.min(self.new) } else { 0 };
        taken.new = taken.new.saturating_add(rest);
        self.new = self.new.saturating_sub(taken.new);
        taken
    }
}

/// What happened to one stack in one revision.
struct Shift<'c> {
    /// The stack as it is afterwards, or as it was where it is no more.
    stack: &'c Stack,
    before: u64,
    after: u64,
}

/// Both books.
pub(super) struct Trail {
    /// What they would have.
    goals: BTreeMap<InstanceId, Goal>,
    /// What their balances would be; below zero where more went to others than there would have been.
    money: BTreeMap<ItemId, i128>,
    /// What they really have, and what it consists of.
    hands: BTreeMap<InstanceId, Makeup>,
    /// Stacks that went to others as a whole.
    elsewhere: BTreeSet<InstanceId>,
}

impl Trail {
    pub(super) fn new(then: &Things) -> Self {
        let (mut goals, mut hands, mut money) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        for (place, content) in then {
            match (place, content) {
                (Place::Balance(currency), Content::Amount(amount)) => {
                    money.insert(currency.clone(), i128::from(*amount));
                }
                (_, Content::Stack(stack)) => {
                    let units = u64::from(stack.quantity.get());
                    hands.insert(stack.instance, Makeup { kept: vec![(stack.instance, units)], new: 0 });
                    goals.insert(stack.instance, Goal { place: Some(place.clone()), stack: stack.clone(), units });
                }
                (Place::Bag(_) | Place::Equipment(_), Content::Amount(_)) => {
                    unreachable!("whoever reads a past keeps amounts out of slots")
                }
            }
        }
        Self { goals, money, hands, elsewhere: BTreeSet::new() }
    }

    /// Whether others got this stack as a whole, and the player has not got it back.
    pub(super) fn is_elsewhere(&self, instance: InstanceId) -> bool {
        self.elsewhere.contains(&instance)
    }

    /// Goes on by one revision.
    pub(super) fn follow(&mut self, changes: &Changes, between: Between, rules: &Rules) {
        let shifts = shifts(changes);
        match between {
            Between::Others => {
                self.pay(changes);
                for (instance, shift) in &shifts {
                    self.pass(*instance, shift);
                }
            }
            Between::Nobody | Between::Restored => {
                let mut items: BTreeMap<&ItemId, Vec<(InstanceId, &Shift<'_>)>> = BTreeMap::new();
                for (instance, shift) in &shifts {
                    items.entry(present(shift.stack, rules)).or_default().push((*instance, shift));
                }
                for of_item in items.values() {
                    self.rearrange(of_item, between, rules);
                }
            }
        }
        self.hands.retain(|_, makeup| makeup.units() > 0);
    }

    /// Money that went to others or came from them.
    fn pay(&mut self, changes: &Changes) {
        for change in &changes.list {
            let Place::Balance(currency) = &change.place else { continue };
            let amount = |content: &Option<Content>| match content {
                Some(Content::Amount(amount)) => i128::from(*amount),
                Some(Content::Stack(_)) | None => 0,
            };
            let gain = amount(&change.after).saturating_sub(amount(&change.before));
            let balance = self.money.entry(currency.clone()).or_default();
            *balance = balance.saturating_add(gain);
        }
    }

    /// Units of one stack that went to others or came from them.
    fn pass(&mut self, instance: InstanceId, shift: &Shift<'_>) {
        let gone = shift.before.saturating_sub(shift.after);
        let come = shift.after.saturating_sub(shift.before);
        let held = self.hands.entry(instance).or_default();
        let left = held.take(gone, First::Kept);
        held.keep(instance, come);
        for (origin, units) in left.kept {
            if let Some(goal) = self.goals.get_mut(&origin) {
                goal.units = goal.units.saturating_sub(units);
            }
        }
        if come > 0 {
            let new = || Goal { place: None, stack: shift.stack.clone(), units: 0 };
            let goal = self.goals.entry(instance).or_insert_with(new);
            goal.units = goal.units.saturating_add(come);
        }
        if shift.after == 0 {
            self.elsewhere.insert(instance);
        } else if shift.before == 0 {
            self.elsewhere.remove(&instance);
        }
    }

    /// Units of one item that went from stack to stack, came out of nothing or went there.
    fn rearrange(&mut self, shifts: &[(InstanceId, &Shift<'_>)], between: Between, rules: &Rules) {
        let gained: u64 = shifts.iter().map(|(_, shift)| shift.after.saturating_sub(shift.before)).sum();
        // What is only put elsewhere stays what it was; what goes for good is the new first, as it was made last.
        let first = if gained > 0 { First::Kept } else { First::New };
        let mut moved = Makeup::default();
        for (instance, shift) in shifts {
            let held = self.hands.entry(*instance).or_default();
            moved.add(&held.take(shift.before.saturating_sub(shift.after), first));
        }
        for (instance, shift) in shifts {
            let come = shift.after.saturating_sub(shift.before);
            let part = moved.take(come, First::Kept);
            let made = come.saturating_sub(part.units());
            self.hands.entry(*instance).or_default().add(&part);
            if made > 0 {
                let likes = match between {
                    Between::Restored => self.likes(*instance, shift.stack, rules),
                    Between::Nobody | Between::Others => Vec::new(),
                };
                self.make(*instance, made, &likes);
            }
        }
    }

    /// The other stacks that the player would have and that this one could merge with.
    fn likes(&self, instance: InstanceId, stack: &Stack, rules: &Rules) -> Vec<InstanceId> {
        let like = |(origin, goal): (&InstanceId, &Goal)| {
            let same_item = present(&goal.stack, rules) == present(stack, rules);
            let same = same_item && goal.stack.attributes == stack.attributes;
            (same && *origin != instance).then_some(*origin)
        };
        self.goals.iter().filter_map(like).collect()
    }

    /// Units came out of nothing. Those that stand for what had gone there before are not new: of the same stack, or, where
    /// the player was set back, of any one that is its like.
    fn make(&mut self, instance: InstanceId, units: u64, likes: &[InstanceId]) {
        let mut left = units;
        for origin in std::iter::once(instance).chain(likes.iter().copied()) {
            let back = left.min(self.missing(origin));
            self.hands.entry(instance).or_default().keep(origin, back);
            left = left.saturating_sub(back);
        }
        let held = self.hands.entry(instance).or_default();
        held.new = held.new.saturating_add(left);
    }

    /// Units of a stack that the player would have and has not.
    fn missing(&self, origin: InstanceId) -> u64 {
        let held = self.hands.values().map(|makeup| makeup.of(origin)).fold(0, u64::saturating_add);
        self.goals.get(&origin).map_or(0, |goal| goal.units.saturating_sub(held))
    }

    /// What they would have, each thing in its place: where it lay then, or where it lies now, or in the lowest free slot.
    pub(super) fn finish(self, now: &Player, rules: &Rules, moment: &mut Moment<'_>) -> Result<Things, Refusal> {
        let mut things = Things::new();
        for (currency, amount) in self.money {
            let amount = u64::try_from(amount.max(0)).ok().filter(|amount| *amount <= NUMBER_MAX);
            match amount.ok_or_else(|| Refusal::BalanceFull(currency.clone()))? {
                0 => {}
                amount => drop(things.insert(Place::Balance(currency), Content::Amount(amount))),
            }
        }
        let mut homeless = Vec::new();
        for (instance, goal) in self.goals {
            let lies = now.bag.slot_of(instance).map(Place::Bag);
            let instance = if self.elsewhere.contains(&instance) { moment.mint() } else { instance };
            let mut stacks = goal.stacks(instance, rules, moment).into_iter();
            match (goal.place, stacks.next()) {
                (Some(place), Some(stack)) => drop(things.insert(place, Content::Stack(stack))),
                (None, stack) => homeless.extend(stack.map(|stack| (lies, stack))),
                (Some(_), None) => {}
            }
            homeless.extend(stacks.map(|stack| (None, stack)));
        }
        for (lies, stack) in homeless {
            let free = |place: &Place| !things.contains_key(place);
            let lowest = || (0..BAG_SLOTS_BOUND).map(Place::Bag).find(free);
            let full = || Refusal::InventoryFull { item: stack.item.clone(), left: stack.quantity.get().into() };
            let place = lies.filter(free).or_else(lowest).ok_or_else(full)?;
            things.insert(place, Content::Stack(stack));
        }
        Ok(things)
    }
}

impl Goal {
    /// Its units as stacks: one under its id, and more under new ids where one cannot hold them all.
    fn stacks(&self, instance: InstanceId, rules: &Rules, moment: &mut Moment<'_>) -> Vec<Stack> {
        let known = rules.catalog.get(&self.stack.item).map_or(self.stack.quantity, |definition| definition.max_stack);
        let most = known.max(self.stack.quantity);
        let (mut left, mut stacks) = (self.units, Vec::new());
        while let Some(quantity) = NonZeroU32::new(u32::try_from(left).unwrap_or(u32::MAX).min(most.get())) {
            let instance = if stacks.is_empty() { instance } else { moment.mint() };
            stacks.push(Stack { instance, quantity, ..self.stack.clone() });
            left = left.saturating_sub(quantity.get().into());
        }
        stacks
    }
}

/// What a stack is under whichever id its item is kept: stacks of former ids and of the present one merge.
fn present<'r>(stack: &'r Stack, rules: &'r Rules) -> &'r ItemId {
    rules.catalog.get(&stack.item).map_or(&stack.item, |definition| &definition.id)
}

/// What a revision did to each stack that it touched.
fn shifts(changes: &Changes) -> BTreeMap<InstanceId, Shift<'_>> {
    let mut shifts: BTreeMap<InstanceId, Shift<'_>> = BTreeMap::new();
    for (content, is_after) in changes.list.iter().flat_map(|change| [(&change.before, false), (&change.after, true)]) {
        let Some(Content::Stack(stack)) = content else { continue };
        let units = u64::from(stack.quantity.get());
        let shift = shifts.entry(stack.instance).or_insert(Shift { stack, before: 0, after: 0 });
        if is_after {
            (shift.stack, shift.after) = (stack, units);
        } else {
            shift.before = units;
        }
    }
    shifts
}
