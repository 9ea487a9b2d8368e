//! Things that change hands between two players, all or nothing.
//!
//! Both sides are decided before either is written. What leaves is taken out first, so that full hands can swap.

use super::{
    change::Changes,
    draft::{Arrival, Draft, Taken},
    grant::too_heavy,
    moment::Moment,
    player::Player,
    refusal::Refusal,
    standing::able,
    taking::in_bag,
};
use crate::catalog::{Definition, Kind, Rules};
use holdall_protocol::ids::InstanceId;
use std::{
    collections::HashSet,
    num::{NonZeroU32, NonZeroU64},
};

/// One line of what a player gives: units of a bag stack.
pub type Line = (InstanceId, NonZeroU32);

/// Gives units of the giver's bag stacks to the receiver. `out` comes in empty and goes out with what changed for giver
/// and receiver; after a refusal it is empty and both are as before.
///
/// # Errors
/// The rule that forbids it.
#[expect(clippy::too_many_arguments, reason = "two players and what `apply` takes for one")]
pub fn gift(
    giver: &mut Player,
    receiver: &mut Player,
    items: &[Line],
    rules: &Rules,
    moment: &mut Moment<'_>,
    out: &mut [Changes; 2],
) -> Result<(), Refusal> {
    well_formed(items, rules)?;
    exchange([giver, receiver], [items, &[]], rules, moment, out)
}

/// Whether a gift names something, not too much, and nothing twice.
pub(super) fn well_formed(items: &[Line], rules: &Rules) -> Result<(), Refusal> {
    if items.is_empty() {
        return Err(Refusal::MalformedGift("names nothing"));
    }
    if items.len() > rules.gift_items_max {
        let max = u64::try_from(rules.gift_items_max).unwrap_or(u64::MAX);
        return Err(Refusal::LimitExceeded { what: "lines in one gift", max });
    }
    let mut named = HashSet::new();
    if !items.iter().all(|(instance, _)| named.insert(*instance)) {
        return Err(Refusal::MalformedGift("names a stack twice"));
    }
    Ok(())
}

/// Each player's lines go to the other. No stack is named twice.
fn exchange(
    players: [&mut Player; 2],
    given: [&[Line]; 2],
    rules: &Rules,
    moment: &mut Moment<'_>,
    out: &mut [Changes; 2],
) -> Result<(), Refusal> {
    assert!(out.iter().all(Changes::is_empty), "changes of another action are still in the lists");
    let [one, other] = players;
    one.keep_sums(rules);
    other.keep_sums(rules);

    let mut drafts = [Draft::new(one, rules), Draft::new(other, rules)];
    let [one_draft, other_draft] = &mut drafts;
    let from_one = leave(one_draft, one, given[0], rules)?;
    let from_other = leave(other_draft, other, given[1], rules)?;
    bearable(one, weight(&from_one), weight(&from_other), rules)?;
    bearable(other, weight(&from_other), weight(&from_one), rules)?;
    arrive(one_draft, &from_other, moment)?;
    arrive(other_draft, &from_one, moment)?;

    // From here nothing can fail.
    let [one_out, other_out] = out;
    let [one_draft, other_draft] = drafts;
    one_draft.finish(one_out);
    other_draft.finish(other_out);
    one.absorb_under(rules, one_out);
    other.absorb_under(rules, other_out);
    Ok(())
}

/// Something between two bags.
pub(super) struct Parcel<'r> {
    pub(super) taken: Taken,
    definition: &'r Definition,
}

/// Takes a player's lines out of their bag.
pub(super) fn leave<'r>(
    draft: &mut Draft<'_>,
    player: &Player,
    lines: &[Line],
    rules: &'r Rules,
) -> Result<Vec<Parcel<'r>>, Refusal> {
    let parcel = |(instance, quantity): &Line| {
        let (slot, stack) = in_bag(player, *instance)?;
        let definition = able(stack, rules)?;
        if !definition.tradeable || definition.kind == Kind::Quest {
            return Err(Refusal::NotTradeable(stack.item.clone()));
        }
        Ok(Parcel { taken: draft.take(slot, *quantity)?, definition })
    };
    lines.iter().map(parcel).collect()
}

/// Puts parcels into a bag. A whole stack keeps its id where it opens a slot; part of one gets a new id.
fn arrive(draft: &mut Draft<'_>, parcels: &[Parcel<'_>], moment: &mut Moment<'_>) -> Result<(), Refusal> {
    for Parcel { taken: Taken { stack, whole }, definition } in parcels {
        let arrival = Arrival {
            item: &stack.item,
            definition,
            attributes: &stack.attributes,
            beyond: &stack.beyond,
            acquired_at: stack.acquired_at,
            quantity: NonZeroU64::from(stack.quantity),
            instance: whole.then_some(stack.instance),
        };
        let left = draft.pour(&arrival, moment);
        if left > 0 {
            return Err(Refusal::InventoryFull { item: stack.item.clone(), left });
        }
    }
    Ok(())
}

fn weight(parcels: &[Parcel<'_>]) -> u128 {
    let each = |parcel: &Parcel<'_>| {
        let units = u128::from(parcel.taken.stack.quantity.get());
        u128::from(parcel.definition.weight).saturating_mul(units)
    };
    parcels.iter().map(each).fold(0, u128::saturating_add)
}

/// Whether a player may carry what arrives once the rest has left. Who is too heavy already may still become lighter.
pub(super) fn bearable(player: &Player, leaves: u128, arrives: u128, rules: &Rules) -> Result<(), Refusal> {
    let now = player.sums_under(rules).weight;
    let then = now.saturating_sub(leaves).saturating_add(arrives);
    if rules.max_weight == 0 || then <= now || then <= u128::from(rules.max_weight) {
        Ok(())
    } else {
        Err(too_heavy(then, rules))
    }
}
