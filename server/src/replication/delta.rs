//! From the engine's changes to the wire's, and to the next checksum.

use crate::engine::change::{Change, Content, Stack};
use holdall_protocol::{
    checksum::{Checksum, StackLine, of_balance, of_stack},
    ids::Place,
    message,
};

/// A stack as clients are told of it.
#[must_use]
pub fn stack(stack: &Stack) -> message::Stack {
    message::Stack {
        instance: stack.instance,
        item: stack.item.clone(),
        quantity: stack.quantity.get(),
        acquired_at: stack.acquired_at,
        attributes: stack.attributes.clone(),
    }
}

/// A place and its content as clients are told of it.
#[must_use]
pub fn filled(place: &Place, content: &Content) -> message::Filled {
    let (stack, amount) = match content {
        Content::Stack(content) => (Some(stack(content)), None),
        Content::Amount(amount) => (None, Some(*amount)),
    };
    message::Filled { place: place.clone(), stack, amount }
}

/// What changed, for the wire.
#[must_use]
pub fn changes(list: &[Change]) -> Vec<message::Change> {
    list.iter().map(change).collect()
}

fn change(change: &Change) -> message::Change {
    let place = &change.place;
    match (&change.before, &change.after) {
        (_, None) => message::Change::Remove(message::Removed { place: place.clone() }),
        (Some(Content::Amount(_)), Some(Content::Amount(amount))) => message::Change::Update(message::Updated {
            place: place.clone(),
            quantity: None,
            acquired_at: None,
            attributes: None,
            amount: Some(*amount),
        }),
        (Some(Content::Stack(before)), Some(Content::Stack(after)))
            if before.instance == after.instance && before.item == after.item =>
        {
            message::Change::Update(message::Updated {
                place: place.clone(),
                quantity: (before.quantity != after.quantity).then_some(after.quantity.get()),
                acquired_at: (before.acquired_at != after.acquired_at).then_some(after.acquired_at),
                attributes: (before.attributes != after.attributes).then(|| after.attributes.clone()),
                amount: None,
            })
        }
        (_, Some(after)) => message::Change::Add(filled(place, after)),
    }
}

/// The checksum after these changes.
#[must_use]
pub fn checksum(mut sum: Checksum, list: &[Change], scratch: &mut Vec<u8>) -> Checksum {
    for Change { place, before, after } in list {
        if let Some(before) = before {
            sum = sum.without(line(place, before, scratch));
        }
        if let Some(after) = after {
            sum = sum.with(line(place, after, scratch));
        }
    }
    sum
}

/// One place's share of the checksum.
#[must_use]
pub fn line(place: &Place, content: &Content, scratch: &mut Vec<u8>) -> u32 {
    match content {
        Content::Amount(amount) => of_balance(place, *amount, scratch),
        Content::Stack(stack) => of_stack(
            place,
            StackLine {
                instance: stack.instance,
                item: &stack.item,
                quantity: stack.quantity.get(),
                acquired_at: stack.acquired_at,
                attributes: &stack.attributes,
            },
            scratch,
        ),
    }
}
