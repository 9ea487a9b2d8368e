//! The rules: what an action does to a player's things.
//!
//! Pure and synchronous. No clock, no randomness, no IO, no lock: all of it comes in as arguments. Every action is
//! decided first, with every check, and then done by [`Player::absorb`], which cannot refuse. Called by `session` (one
//! player) and `market` (two at once). Calls nobody.

#![warn(clippy::arithmetic_side_effects, clippy::wildcard_enum_match_arm)]

pub mod action;
mod attributes;
mod bag;
pub mod change;
mod draft;
mod equip;
pub mod exchange;
mod figures;
mod grant;
pub mod migration;
pub mod moment;
mod money;
mod moving;
pub mod offer;
pub mod player;
pub mod post;
mod purchase;
pub mod refusal;
pub mod restore;
mod sort;
pub mod standing;
mod sums;
mod taking;

use crate::catalog::Rules;
use action::Action;
use change::{Change, Changes};
use moment::Moment;
use player::Player;
use refusal::Refusal;

/// Does an action, or refuses it. `out` comes in empty and goes out with what changed; empty when there was nothing to
/// change. After a refusal it is empty and the player as before.
///
/// # Errors
/// The rule that forbids it.
pub fn apply(
    player: &mut Player,
    action: &Action,
    rules: &Rules,
    moment: &mut Moment<'_>,
    out: &mut Changes,
) -> Result<(), Refusal> {
    assert!(out.is_empty() && out.overflow == 0, "changes of another action are still in the list");
    player.keep_sums(rules);
    match decide(player, action, rules, moment, out).and_then(|()| player.permits(out, rules)) {
        Ok(()) => {
            player.absorb_under(rules, out);
            Ok(())
        }
        Err(refusal) => {
            out.list.clear();
            out.overflow = 0;
            Err(refusal)
        }
    }
}

/// Whether an action would be done now. Nothing changes.
///
/// # Errors
/// The rule that forbids it.
pub fn judge(player: &mut Player, action: &Action, rules: &Rules, moment: &mut Moment<'_>) -> Result<(), Refusal> {
    player.keep_sums(rules);
    let mut changes = Changes::default();
    decide(player, action, rules, moment, &mut changes).and_then(|()| player.permits(&changes, rules))
}

/// A new player with the starting kit, and the changes that make it of nobody.
///
/// # Errors
/// The rule that a part of the kit breaks: it is too much for one bag.
pub fn born(rules: &Rules, moment: &mut Moment<'_>) -> Result<(Player, Changes), Refusal> {
    let mut player = Player::empty();
    for (item, quantity) in &rules.kit {
        let (item, quantity) = (item.clone(), *quantity);
        let grant = Action::Grant { item, quantity, attributes: None, partial: false };
        apply(&mut player, &grant, rules, moment, &mut Changes::default())?;
    }
    let kit = player.places().map(|(place, content)| Change { place, before: None, after: Some(content) });
    let list = kit.collect();
    Ok((player, Changes { list, overflow: 0 }))
}

/// Every check, and what would change. `out` is worth nothing after a refusal.
fn decide(
    player: &Player,
    action: &Action,
    rules: &Rules,
    moment: &mut Moment<'_>,
    out: &mut Changes,
) -> Result<(), Refusal> {
    match action {
        Action::Grant { item, quantity, attributes, partial } => {
            let grant = grant::Grant { item, quantity: *quantity, attributes: attributes.as_ref(), partial: *partial };
            grant.decide(player, rules, moment, out)
        }
        Action::Remove { target, quantity } => taking::remove(player, target, *quantity, rules, out),
        Action::Move { from, to, quantity } => {
            moving::Move { from: *from, to: *to, quantity: *quantity }.decide(player, rules, moment, out)
        }
        Action::Sort => {
            sort::sort(player, rules, out);
            Ok(())
        }
        Action::Use { target } => taking::use_one(player, target, rules, out),
        Action::Drop { target, quantity } => taking::drop(player, target, *quantity, rules, out),
        Action::Equip { instance, slot } => {
            equip::Equip { instance: *instance, slot: slot.as_ref() }.decide(player, rules, moment, out)
        }
        Action::Unequip { slot } => equip::unequip(player, slot, rules, moment, out),
        Action::Sell { instance, quantity } => money::sell(player, *instance, *quantity, rules, out),
        Action::SetAttributes { target, set, remove } => {
            attributes::Edit { target, set, remove }.decide(player, rules, out)
        }
        Action::Credit { currency, amount } => money::credit(player, currency, *amount, rules, out),
        Action::Debit { currency, amount } => money::debit(player, currency, *amount, rules, out),
        Action::Purchase { item, quantity, price } => {
            purchase::Purchase { item, quantity: *quantity, price }.decide(player, rules, moment, out)
        }
        Action::Restore { things } => restore::set(player, things, out),
    }
}
