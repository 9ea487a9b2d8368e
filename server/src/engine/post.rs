//! Things that leave one player now and reach another one later.
//!
//! What leaves is judged as the giving half of a gift. What arrives is judged by the receiver's bag alone: whether it could
//! be given was decided when it left, and what no longer fits the catalogue arrives frozen.

use super::{
    change::{Changes, Content, Stack},
    draft::Draft,
    exchange::{bearable, leave, well_formed},
    migration,
    moment::Moment,
    money,
    offer::{Line, Offer},
    player::Player,
    refusal::Refusal,
};
use crate::catalog::{Rules, migrations::Step};
use holdall_protocol::ids::{ItemId, Place};

/// Takes units of bag stacks out for a gift that is to wait, and answers what waits: a whole stack under its own id, part
/// of one under a new one. `out` as in [`super::apply`].
///
/// # Errors
/// The rule that forbids it.
pub fn send(
    giver: &mut Player,
    items: &[Line],
    rules: &Rules,
    moment: &mut Moment<'_>,
    out: &mut Changes,
) -> Result<Vec<Stack>, Refusal> {
    assert!(out.is_empty(), "changes of another action are still in the list");
    well_formed(items, rules)?;
    giver.keep_sums(rules);
    let mut draft = Draft::new(giver, rules);
    let parcels = leave(&mut draft, &Offer { items: items.to_vec(), currencies: Vec::new() })?;
    let sent = parcels.into_iter().map(|parcel| {
        let taken = parcel.taken;
        if taken.whole { taken.stack } else { Stack { instance: moment.mint(), ..taken.stack } }
    });
    let sent = sent.collect();
    draft.finish(out);
    if let Err(refusal) = giver.permits(out, rules) {
        out.list.clear();
        return Err(refusal);
    }
    // From here nothing can fail.
    giver.absorb_under(rules, out);
    Ok(sent)
}

/// Something that waited.
#[derive(Debug, Clone, PartialEq)]
pub enum Thing {
    /// A stack.
    Stack(Stack),
    /// Coins that a content step made of stacks while they waited.
    Coins(ItemId, u64),
}

/// Puts all that waited into a player's hands, or nothing of it. `out` as in [`super::apply`].
///
/// # Errors
/// Why it does not fit.
pub fn receive(
    player: &mut Player,
    things: &[Thing],
    rules: &Rules,
    moment: &mut Moment<'_>,
    out: &mut Changes,
) -> Result<(), Refusal> {
    assert!(out.is_empty(), "changes of another action are still in the list");
    player.keep_sums(rules);
    let arrived = arrive(player, things, rules, moment, out);
    match arrived {
        Ok(()) => player.absorb_under(rules, out),
        Err(_) => out.list.clear(),
    }
    arrived
}

fn arrive(
    player: &Player,
    things: &[Thing],
    rules: &Rules,
    moment: &mut Moment<'_>,
    out: &mut Changes,
) -> Result<(), Refusal> {
    let mut draft = Draft::new(player, rules);
    let mut weight = 0_u128;
    for thing in things {
        match thing {
            Thing::Stack(stack) => {
                let each = rules.catalog.get(&stack.item).map_or(0, |definition| definition.weight);
                weight = weight.saturating_add(u128::from(each).saturating_mul(stack.quantity.get().into()));
                draft.put_in(stack.clone(), false, moment)?;
            }
            Thing::Coins(currency, coins) if *coins > money::room(player, currency) => {
                return Err(Refusal::BalanceFull(currency.clone()));
            }
            Thing::Coins(currency, coins) => {
                money::change(player, currency, player.balance(currency).saturating_add(*coins), out);
            }
        }
    }
    bearable(player, 0, weight, rules)?;
    draft.finish(out);
    Ok(())
}

/// What waited, brought forward by the content steps that came meanwhile.
///
/// # Errors
/// In words, why there is no way from what waited to this catalogue; it stays where it is.
pub fn forward(stacks: &[Stack], steps: &[Step], rules: &Rules, moment: &mut Moment<'_>) -> Result<Vec<Thing>, String> {
    let places = (0..).zip(stacks).map(|(slot, stack)| (Place::Bag(slot), Content::Stack(stack.clone())));
    let mut carrier = Player::from_places(places).map_err(|broken| broken.to_string())?;
    let changes = migration::course(&carrier, steps, rules, moment).outcome.map_err(|stuck| stuck.to_string())?;
    carrier.absorb(&changes);
    let things = carrier.places().map(|(place, content)| match (place, content) {
        (Place::Balance(currency), Content::Amount(coins)) => Thing::Coins(currency, coins),
        (_, Content::Stack(stack)) => Thing::Stack(stack),
        (Place::Bag(_) | Place::Equipment(_), Content::Amount(_)) => unreachable!("only a balance holds an amount"),
    });
    Ok(things.collect())
}

impl Player {
    /// Whether one of these stacks is in the player's hands already, which cannot be while it waits.
    #[must_use]
    pub fn holds_any_of(&self, stacks: &[Stack]) -> bool {
        stacks.iter().any(|stack| self.stacks().any(|held| held.instance == stack.instance))
    }
}
