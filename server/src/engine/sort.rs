//! Sorting the bag: equal stacks become as few as they can, then all stand in order from slot 0.

use super::{
    change::{Change, Changes, Content, Stack},
    player::Player,
    standing::definition,
};
use crate::catalog::{Definition, Rules};
use holdall_protocol::{
    attribute::{Attributes, Value},
    ids::Place,
};
use std::{
    cmp::{Ordering, Reverse},
    num::NonZeroU32,
};

/// By kind, rarity (highest first), item and age. What no catalogue knows stands last; frozen stacks move and never
/// merge. Where a lowered bound leaves more stacks than slots, those beyond it stay where they are. What is put up in a
/// trade stays as it is, and the rest is put around it.
pub(super) fn sort(player: &Player, rules: &Rules, out: &mut Changes) {
    let stays = locked_slots(player);
    let taken = stays.iter().filter(|slot| **slot < rules.max_slots).count();
    let bound = usize::from(rules.max_slots).saturating_sub(taken);
    let mut sorted = arranged(pieces(player, u16::MAX, rules));
    let mut below = u16::MAX;
    if sorted.len() > bound {
        below = rules.max_slots;
        sorted = arranged(pieces(player, below, rules));
    }
    let mut slots = (0..u16::MAX).filter(|slot| !stays.contains(slot));
    for (piece, slot) in sorted.iter().zip(slots.by_ref()) {
        push(player, slot, Some(Stack { quantity: piece.quantity, ..piece.stack.clone() }), out);
    }
    let emptied = slots.next().map_or(below..below, |first| first..below);
    for (slot, _) in player.bag.iter().filter(|(slot, _)| emptied.contains(slot) && !stays.contains(slot)) {
        push(player, slot, None, out);
    }
}

/// Where the stacks are of which something is put up.
fn locked_slots(player: &Player) -> Vec<u16> {
    player.locked().items.iter().filter_map(|(instance, _)| player.bag.slot_of(*instance)).collect()
}

/// A stack while it is sorted.
struct Piece<'a> {
    stack: &'a Stack,
    quantity: NonZeroU32,
    /// What the catalogue says of it, frozen or not.
    known: Option<&'a Definition>,
    /// The largest it may become; `None` where it is frozen.
    max: Option<NonZeroU32>,
}

fn pieces<'a>(player: &'a Player, below: u16, rules: &'a Rules) -> Vec<Piece<'a>> {
    let movable = |stack: &Stack| player.locked_units(stack.instance) == 0;
    let stacks = player.bag.iter().filter(|(slot, stack)| *slot < below && movable(stack));
    let piece = |(_, stack): (u16, &'a Stack)| Piece {
        stack,
        quantity: stack.quantity,
        known: rules.catalog.get(&stack.item),
        max: definition(stack, rules).map(|definition| definition.max_stack),
    };
    stacks.map(piece).collect()
}

fn arranged(mut pieces: Vec<Piece<'_>>) -> Vec<Piece<'_>> {
    pieces.sort_unstable_by(|a, b| by_item(a, b).then_with(|| by_marks(a, b)).then_with(|| by_age(a, b)));
    let mut merged: Vec<Piece<'_>> = Vec::with_capacity(pieces.len());
    for group in pieces.chunk_by(|a, b| by_item(a, b).is_eq() && by_marks(a, b).is_eq()) {
        merge(group, &mut merged);
    }
    merged.sort_unstable_by(|a, b| by_item(a, b).then_with(|| by_age(a, b)));
    merged
}

/// The oldest stacks of a group are filled from all its units; those for which nothing is left are gone. So the older
/// id and time of acquisition stay.
fn merge<'a>(group: &[Piece<'a>], out: &mut Vec<Piece<'a>>) {
    let able = group.iter().filter(|piece| piece.max.is_some());
    let mut left: u64 = able.map(|piece| u64::from(piece.quantity.get())).sum();
    for piece in group {
        let quantity = match piece.max {
            None => Some(piece.quantity),
            Some(max) => {
                let filled = u32::try_from(left.min(max.get().into())).expect("the smaller is a stack's quantity");
                left = left.saturating_sub(filled.into());
                NonZeroU32::new(filled)
            }
        };
        out.extend(quantity.map(|quantity| Piece { quantity, ..*piece }));
    }
}

fn by_item(a: &Piece<'_>, b: &Piece<'_>) -> Ordering {
    let key = |piece: &Piece<'_>| piece.known.map(|known| (known.kind, Reverse(known.rarity)));
    let id = |piece: &Piece<'_>| piece.known.map_or(piece.stack.item.clone(), |known| known.id.clone());
    match (a.known, b.known) {
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (Some(a), Some(b)) if std::ptr::eq(a, b) => Ordering::Equal,
        (_, _) => key(a).cmp(&key(b)).then_with(|| id(a).cmp(&id(b))),
    }
}

fn by_age(a: &Piece<'_>, b: &Piece<'_>) -> Ordering {
    (a.stack.acquired_at, a.stack.instance).cmp(&(b.stack.acquired_at, b.stack.instance))
}

/// What stacks must share to become one, besides their item. Any order will do, as long as equal ones end up side by side.
fn by_marks(a: &Piece<'_>, b: &Piece<'_>) -> Ordering {
    by_attributes(a, b).then_with(|| a.stack.beyond.cmp(&b.stack.beyond))
}

fn by_attributes(a: &Piece<'_>, b: &Piece<'_>) -> Ordering {
    let (a, b): (&Attributes, &Attributes) = (&a.stack.attributes, &b.stack.attributes);
    let mut pairs = a.iter().zip(b.iter());
    let different = pairs.find_map(|((a_key, a_value), (b_key, b_value))| {
        let order = a_key.cmp(b_key).then_with(|| by_value(a_value, b_value));
        order.is_ne().then_some(order)
    });
    different.unwrap_or_else(|| a.len().cmp(&b.len()))
}

fn by_value(a: &Value, b: &Value) -> Ordering {
    let rank = |value: &Value| match value {
        Value::Bool(_) => 0,
        Value::Integer(_) => 1,
        Value::Float(_) => 2,
        Value::String(_) => 3,
    };
    match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Integer(a), Value::Integer(b)) => a.cmp(b),
        (Value::Float(a), Value::Float(b)) => a.get().total_cmp(&b.get()),
        (Value::String(a), Value::String(b)) => a.cmp(b),
        (Value::Bool(_) | Value::Integer(_) | Value::Float(_) | Value::String(_), _) => rank(a).cmp(&rank(b)),
    }
}

fn push(player: &Player, slot: u16, after: Option<Stack>, out: &mut Changes) {
    let before = player.bag.get(slot);
    if before != after.as_ref() {
        let (before, after) = (before.cloned().map(Content::Stack), after.map(Content::Stack));
        out.list.push(Change { place: Place::Bag(slot), before, after });
    }
}
