//! Content steps: what they make of a player.
//!
//! Units and coins only ever change their name or are exchanged at a rate in whole numbers; what does not make a whole
//! stays what it was. Where a stack then no longer fits the catalogue it stays, frozen, like any other.

use super::{
    attributes::check,
    change::{Change, Changes, Content, Stack},
    draft::{Arrival, Draft},
    moment::Moment,
    money,
    player::Player,
    refusal::Refusal,
};
use crate::catalog::{
    Kind, Rules,
    migrations::{Of, Rate, Step, StepKind},
};
use holdall_protocol::{
    attribute::{Attributes, Value},
    ids::{AttributeKey, ItemId, Place},
};
use std::{
    collections::{BTreeMap, HashSet},
    num::{NonZeroU32, NonZeroU64},
};

/// What a list of steps makes of one player, who is left as they are.
#[derive(Debug, Clone, PartialEq)]
pub struct Course {
    /// The steps that can be taken, in order.
    pub taken: Vec<Taken>,
    /// All that is different after the last one; or the step that cannot be taken, and then nothing may be changed.
    pub outcome: Result<Changes, Stuck>,
}

/// What one step changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// The step's number.
    pub number: u32,
    /// Slots of bag and equipment that hold something else afterwards.
    pub stacks: usize,
    /// Balances that are different afterwards.
    pub balances: usize,
}

/// A step that cannot be taken.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{step} cannot be taken: {why}")]
pub struct Stuck {
    /// The step.
    pub step: Step,
    /// The rule that forbids it.
    pub why: Refusal,
}

/// Tries the steps, in order.
#[must_use]
pub fn course(player: &Player, steps: &[Step], rules: &Rules, moment: &mut Moment<'_>) -> Course {
    if steps.is_empty() {
        return Course { taken: Vec::new(), outcome: Ok(Changes::default()) };
    }
    let mut after = player.clone();
    let (mut taken, mut touched) = (Vec::with_capacity(steps.len()), HashSet::new());
    for step in steps {
        let mut changes = Changes::default();
        if let Err(why) = decide(&after, &step.kind, rules, moment, &mut changes) {
            return Course { taken, outcome: Err(Stuck { step: step.clone(), why }) };
        }
        after.absorb(&changes);
        let balances = changes.list.iter().filter(|change| matches!(change.place, Place::Balance(_))).count();
        let stacks = changes.list.len().saturating_sub(balances);
        taken.push(Taken { number: step.number, stacks, balances });
        touched.extend(changes.list.into_iter().map(|change| change.place));
    }
    // In a fixed order, so that the same player makes the same record.
    let mut touched: Vec<Place> = touched.into_iter().collect();
    touched.sort_unstable();
    let mut changes = Changes::default();
    for place in touched {
        let (before, after) = (player.at(&place), after.at(&place));
        push(place, before, after, &mut changes);
    }
    Course { taken, outcome: Ok(changes) }
}

fn decide(
    player: &Player,
    kind: &StepKind,
    rules: &Rules,
    moment: &mut Moment<'_>,
    out: &mut Changes,
) -> Result<(), Refusal> {
    match kind {
        StepKind::Rename { from, to } => rename(player, from, to, out),
        StepKind::DefaultAttribute { of, key, value } => edit(player, of, rules, out, |pairs| {
            pairs.entry(key.clone()).or_insert_with(|| value.clone());
            Ok(())
        }),
        StepKind::RenameAttribute { of, from, to } => edit(player, of, rules, out, |pairs| {
            let Some(value) = pairs.remove(from) else { return Ok(()) };
            match pairs.insert(to.clone(), value) {
                None => Ok(()),
                Some(_) => Err(Refusal::InvalidAttribute("the new key is taken on a stack that has the old one")),
            }
        }),
        StepKind::DropAttribute { of, key } => edit(player, of, rules, out, |pairs| {
            pairs.remove(key);
            Ok(())
        }),
        StepKind::ItemToCurrency { item, currency, rate } => to_currency(player, item, currency, *rate, out),
        StepKind::CurrencyToItem { currency, item, rate } => {
            let bought = Bought { currency, item, rate: *rate };
            bought.decide(player, rules, moment, out)
        }
        StepKind::ConvertCurrency { from, to, rate } => {
            let have = player.balance(from);
            let times = rate.times(have);
            money::change(player, from, have.saturating_sub(times.saturating_mul(rate.take.get())), out);
            credit(player, to, times.checked_mul(rate.give.get()), out)
        }
    }
}

fn rename(player: &Player, from: &[ItemId], to: &ItemId, out: &mut Changes) -> Result<(), Refusal> {
    for (place, stack) in stacks(player).filter(|(_, stack)| from.contains(&stack.item)) {
        let mut after = stack.clone();
        after.item = to.clone();
        push(place, Some(Content::Stack(stack)), Some(Content::Stack(after)), out);
    }
    let mut coins = Some(0_u64);
    for id in from {
        coins = coins.and_then(|coins| coins.checked_add(player.balance(id)));
        money::change(player, id, 0, out);
    }
    credit(player, to, coins, out)
}

/// Sets other attributes on stacks. One that ends up with more than it had must keep to the bounds.
fn edit(
    player: &Player,
    of: &Of,
    rules: &Rules,
    out: &mut Changes,
    change: impl Fn(&mut BTreeMap<AttributeKey, Value>) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    let meant = |stack: &Stack| match of {
        Of::Item(item) => stack.item == *item,
        Of::Every => true,
    };
    for (place, stack) in stacks(player).filter(|(_, stack)| meant(stack)) {
        let mut pairs = stack.attributes.to_map();
        change(&mut pairs)?;
        let attributes = Attributes::new(pairs);
        if attributes.len() > stack.attributes.len() || attributes.bytes() > stack.attributes.bytes() {
            check(&attributes, rules)?;
        }
        let mut after = stack.clone();
        after.attributes = attributes;
        push(place, Some(Content::Stack(stack)), Some(Content::Stack(after)), out);
    }
    Ok(())
}

/// Units for coins, in bag and equipment. Those that make no whole stay, in the lowest slots.
fn to_currency(
    player: &Player,
    item: &ItemId,
    currency: &ItemId,
    rate: Rate,
    out: &mut Changes,
) -> Result<(), Refusal> {
    let held = || stacks(player).filter(|(_, stack)| stack.item == *item);
    let units = held().map(|(_, stack)| u64::from(stack.quantity.get())).fold(0, u64::saturating_add);
    let times = rate.times(units);
    let mut left = units.saturating_sub(times.saturating_mul(rate.take.get()));
    for (place, stack) in held() {
        let stays = u32::try_from(left).unwrap_or(u32::MAX).min(stack.quantity.get());
        left = left.saturating_sub(stays.into());
        let after = NonZeroU32::new(stays).map(|quantity| Content::Stack(Stack { quantity, ..stack.clone() }));
        push(place, Some(Content::Stack(stack)), after, out);
    }
    credit(player, currency, times.checked_mul(rate.give.get()), out)
}

/// Coins for units, which need room in the bag. Their weight is not asked: who is too heavy may still put things down.
struct Bought<'a> {
    currency: &'a ItemId,
    item: &'a ItemId,
    rate: Rate,
}

impl Bought<'_> {
    fn decide(
        &self,
        player: &Player,
        rules: &Rules,
        moment: &mut Moment<'_>,
        out: &mut Changes,
    ) -> Result<(), Refusal> {
        let Self { currency, item, rate } = self;
        let have = player.balance(currency);
        let times = rate.times(have);
        let units = times.checked_mul(rate.give.get());
        let full = |left| Refusal::InventoryFull { item: (*item).clone(), left };
        let Some(quantity) = NonZeroU64::new(units.ok_or_else(|| full(u64::MAX))?) else { return Ok(()) };
        let definition = rules.catalog.get(item).ok_or_else(|| Refusal::UnknownItem((*item).clone()))?;
        if definition.kind == Kind::Currency {
            return Err(Refusal::WrongKind { item: (*item).clone(), what: "a currency" });
        }
        let mut draft = Draft::new(player, rules);
        let left = draft.pour(&Arrival::new(definition, quantity, moment.now), moment);
        if left > 0 {
            return Err(full(left));
        }
        draft.finish(out);
        money::change(player, currency, have.saturating_sub(times.saturating_mul(rate.take.get())), out);
        Ok(())
    }
}

/// More coins, if there are so many and the balance can hold them.
fn credit(player: &Player, currency: &ItemId, coins: Option<u64>, out: &mut Changes) -> Result<(), Refusal> {
    let coins = coins.filter(|coins| *coins <= money::room(player, currency));
    let coins = coins.ok_or_else(|| Refusal::BalanceFull(currency.clone()))?;
    money::change(player, currency, player.balance(currency).saturating_add(coins), out);
    Ok(())
}

/// All stacks with their places: the bag in slot order, then equipment.
fn stacks(player: &Player) -> impl Iterator<Item = (Place, Stack)> {
    player.places().filter_map(|(place, content)| match content {
        Content::Stack(stack) => Some((place, stack)),
        Content::Amount(_) => None,
    })
}

fn push(place: Place, before: Option<Content>, after: Option<Content>, out: &mut Changes) {
    if before != after {
        out.list.push(Change { place, before, after });
    }
}
