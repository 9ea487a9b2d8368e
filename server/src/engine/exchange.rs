//! Things that change hands between two players, all or nothing.
//!
//! Both sides are decided before either is written. What leaves is taken out first, so that full hands can swap.

use super::{
    change::Changes,
    draft::{Arrival, Draft, Taken},
    grant::too_heavy,
    moment::Moment,
    money,
    offer::{Line, Offer, giveable},
    player::Player,
    refusal::Refusal,
    taking::in_bag,
};
use crate::catalog::{Definition, Rules};
use std::{collections::HashSet, num::NonZeroU64};

/// One of two players.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The one named first.
    One,
    /// The one named second.
    Other,
}

/// Why two players cannot exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfit {
    /// Whose things or whose bag stands in the way.
    pub whose: Side,
    /// The rule.
    pub refusal: Refusal,
}

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
    let given = Offer { items: items.to_vec(), currencies: Vec::new() };
    let decided = exchange([giver, receiver], [&given, &Offer::default()], rules, moment, out);
    let decided = decided.map_err(|unfit| unfit.refusal).and_then(|()| giver.permits(&out[0], rules));
    complete([giver, receiver], decided, rules, out)
}

/// Whether a gift names something, not too much, and nothing twice.
pub(super) fn well_formed(items: &[Line], rules: &Rules) -> Result<(), Refusal> {
    if items.is_empty() {
        return Err(Refusal::Malformed { what: "gift", why: "names nothing" });
    }
    if items.len() > rules.gift_items_max {
        let max = u64::try_from(rules.gift_items_max).unwrap_or(u64::MAX);
        return Err(Refusal::LimitExceeded { what: "lines in one gift", max });
    }
    let mut named = HashSet::new();
    if !items.iter().all(|(instance, _)| named.insert(*instance)) {
        return Err(Refusal::Malformed { what: "gift", why: "names a stack twice" });
    }
    Ok(())
}

/// Exchanges all that two players have put up, and takes the locks off. `out` as in [`gift`].
///
/// # Errors
/// The rule that forbids it, and whose things or bag it is about; the locks stay.
pub fn settle(
    one: &mut Player,
    other: &mut Player,
    rules: &Rules,
    moment: &mut Moment<'_>,
    out: &mut [Changes; 2],
) -> Result<(), Unfit> {
    let given = [one.locked().clone(), other.locked().clone()];
    let [from_one, from_other] = &given;
    let decided = exchange([one, other], [from_one, from_other], rules, moment, out);
    // Equal things for equal things: neither a revision nor a line would tell that anything had happened.
    let decided = decided.and_then(|()| match out.iter().position(Changes::is_empty) {
        None => Ok(()),
        Some(at) => {
            let whose = if at == 0 { Side::One } else { Side::Other };
            let refusal = Refusal::Malformed { what: "trade", why: "would change nothing for one of the two" };
            Err(Unfit { whose, refusal })
        }
    });
    complete([one, other], decided, rules, out)?;
    one.unlock();
    other.unlock();
    Ok(())
}

/// Makes true what was decided, for both; after a refusal forgets it.
fn complete<E>(
    players: [&mut Player; 2],
    decided: Result<(), E>,
    rules: &Rules,
    out: &mut [Changes; 2],
) -> Result<(), E> {
    if decided.is_err() {
        *out = Default::default();
        return decided;
    }
    for (player, changes) in players.into_iter().zip(out.iter()) {
        player.absorb_under(rules, changes);
    }
    Ok(())
}

/// What changes when each player's lines go to the other. No stack and no currency is named twice.
fn exchange(
    players: [&mut Player; 2],
    given: [&Offer; 2],
    rules: &Rules,
    moment: &mut Moment<'_>,
    out: &mut [Changes; 2],
) -> Result<(), Unfit> {
    assert!(out.iter().all(Changes::is_empty), "changes of another action are still in the lists");
    let unfit = |whose| move |refusal| Unfit { whose, refusal };
    let [one, other] = players;
    one.keep_sums(rules);
    other.keep_sums(rules);

    let [one_gives, other_gives] = given;
    let (mut one_draft, mut other_draft) = (Draft::new(one, rules), Draft::new(other, rules));
    let from_one = leave(&mut one_draft, one_gives).map_err(unfit(Side::One))?;
    let from_other = leave(&mut other_draft, other_gives).map_err(unfit(Side::Other))?;
    bearable(one, weight(&from_one), weight(&from_other), rules).map_err(unfit(Side::One))?;
    bearable(other, weight(&from_other), weight(&from_one), rules).map_err(unfit(Side::Other))?;
    arrive(&mut one_draft, &from_other, other_gives, moment).map_err(unfit(Side::One))?;
    arrive(&mut other_draft, &from_one, one_gives, moment).map_err(unfit(Side::Other))?;
    let [one_out, other_out] = out;
    one_draft.finish(one_out);
    other_draft.finish(other_out);
    Ok(())
}

/// Something between two bags.
pub(super) struct Parcel<'r> {
    pub(super) taken: Taken,
    definition: &'r Definition,
}

/// Takes a player's lines out of their bag and their money out of their wallet.
pub(super) fn leave<'r>(draft: &mut Draft<'r>, given: &Offer) -> Result<Vec<Parcel<'r>>, Refusal> {
    for (currency, amount) in &given.currencies {
        if !money::spendable(draft.player(), currency, draft.rules())?.tradeable {
            return Err(Refusal::NotTradeable(currency.clone()));
        }
        money::pay(draft, currency, *amount)?;
    }
    let parcel = |(instance, quantity): &Line| {
        let (slot, stack) = in_bag(draft.player(), *instance)?;
        let definition = giveable(stack, draft.rules())?;
        Ok(Parcel { taken: draft.take(slot, *quantity)?, definition })
    };
    given.items.iter().map(parcel).collect()
}

/// Puts parcels into a bag and money into the wallet. A whole stack keeps its id where it opens a slot; part of one gets
/// a new id.
fn arrive(
    draft: &mut Draft<'_>,
    parcels: &[Parcel<'_>],
    given: &Offer,
    moment: &mut Moment<'_>,
) -> Result<(), Refusal> {
    for (currency, amount) in &given.currencies {
        money::earn(draft, currency, *amount)?;
    }
    for Parcel { taken: Taken { stack, whole }, definition } in parcels {
        let arrival = Arrival {
            nature: &stack.nature,
            definition,
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
