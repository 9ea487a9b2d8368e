//! Balances: crediting, debiting, and selling things for them.

use super::{
    change::{Change, Changes, Content},
    draft::Draft,
    player::Player,
    refusal::Refusal,
    standing::{able, ids_of, is_frozen_balance},
    taking::{self, in_bag},
};
use crate::catalog::{Definition, Kind, Rules};
use holdall_protocol::{
    NUMBER_MAX,
    ids::{InstanceId, ItemId, Place},
};
use std::num::{NonZeroU32, NonZeroU64};

pub(super) fn credit(
    player: &Player,
    currency: &ItemId,
    amount: NonZeroU64,
    rules: &Rules,
    out: &mut Changes,
) -> Result<(), Refusal> {
    let mut draft = Draft::new(player, rules);
    earn(&mut draft, currency, amount)?;
    draft.finish(out);
    Ok(())
}

pub(super) fn debit(
    player: &Player,
    currency: &ItemId,
    amount: NonZeroU64,
    rules: &Rules,
    out: &mut Changes,
) -> Result<(), Refusal> {
    let mut draft = Draft::new(player, rules);
    pay(&mut draft, currency, amount)?;
    draft.finish(out);
    Ok(())
}

/// Adds to the balance under the currency's own id.
pub(super) fn earn(draft: &mut Draft<'_>, currency: &ItemId, amount: NonZeroU64) -> Result<(), Refusal> {
    let definition = spendable(draft.player(), currency, draft.rules())?;
    let sum = draft.balance(&definition.id).saturating_add(amount.get());
    if sum > NUMBER_MAX {
        return Err(Refusal::BalanceFull(definition.id.clone()));
    }
    draft.set_balance(&definition.id, sum);
    Ok(())
}

/// Takes from the balance under the currency's own id first, then from those under ids that it had before.
pub(super) fn pay(draft: &mut Draft<'_>, currency: &ItemId, amount: NonZeroU64) -> Result<(), Refusal> {
    let rules = draft.rules();
    let definition = spendable(draft.player(), currency, rules)?;
    let want = amount.get();
    let have = ids_of(&definition.id, rules).map(|id| draft.balance(id)).fold(0, u64::saturating_add);
    if have < want {
        return Err(Refusal::InsufficientFunds { currency: definition.id.clone(), have, want });
    }
    let mut left = want;
    for id in ids_of(&definition.id, rules) {
        let there = draft.balance(id);
        let paid = there.min(left);
        if paid > 0 {
            draft.set_balance(id, there.saturating_sub(paid));
        }
        left = left.saturating_sub(paid);
    }
    Ok(())
}

/// A stack, or part of it, for the configured share of its base value. What is worth nothing is sold for nothing.
pub(super) fn sell(
    player: &Player,
    instance: InstanceId,
    quantity: NonZeroU32,
    rules: &Rules,
    out: &mut Changes,
) -> Result<(), Refusal> {
    let (slot, stack) = in_bag(player, instance)?;
    let definition = able(stack, rules)?;
    if !definition.sellable {
        return Err(Refusal::NotSellable(stack.item.clone()));
    }
    taking::take(slot, stack, quantity, out)?;
    let currency = &spendable(player, &rules.sell_currency, rules)?.id;
    let full = || Refusal::BalanceFull(currency.clone());
    // 64 bits of value, 32 of quantity and 64 of rate can pass 128: then no balance could hold it either.
    let worth = u128::from(definition.base_value).checked_mul(quantity.get().into());
    let payout = worth.and_then(|worth| worth.checked_mul(rules.sell_rate.into())).ok_or_else(full)? / 1000;
    let payout = u64::try_from(payout).ok().filter(|payout| *payout <= room(player, currency)).ok_or_else(full)?;
    change(player, currency, player.balance(currency).saturating_add(payout), out);
    Ok(())
}

/// How much more a balance can hold.
pub(super) fn room(player: &Player, currency: &ItemId) -> u64 {
    NUMBER_MAX.saturating_sub(player.balance(currency))
}

/// Sets a balance; nothing where it is that already.
pub(super) fn change(player: &Player, currency: &ItemId, to: u64, out: &mut Changes) {
    let from = player.balance(currency);
    if from != to {
        let content = |amount: u64| (amount > 0).then_some(Content::Amount(amount));
        let place = Place::Balance(currency.clone());
        out.list.push(Change { place, before: content(from), after: content(to) });
    }
}

/// What defines a currency, under its own id. A balance that the catalogue does not know as money is frozen.
pub(super) fn spendable<'r>(player: &Player, currency: &ItemId, rules: &'r Rules) -> Result<&'r Definition, Refusal> {
    if player.balance(currency) > 0 && is_frozen_balance(currency, rules) {
        return Err(Refusal::ItemFrozen(currency.clone()));
    }
    let definition = rules.catalog.get(currency).ok_or_else(|| Refusal::UnknownItem(currency.clone()))?;
    if definition.kind != Kind::Currency {
        return Err(Refusal::WrongKind { item: currency.clone(), what: "not a currency" });
    }
    Ok(definition)
}
