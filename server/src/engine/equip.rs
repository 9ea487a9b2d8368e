//! Equipment: what goes into which slot, and what comes back out of it.

use super::{
    change::{Changes, Stack},
    draft::Draft,
    moment::Moment,
    player::Player,
    refusal::Refusal,
    standing::{able, is_frozen, is_frozen_worn},
    taking::in_bag,
};
use crate::catalog::{Definition, Rules};
use holdall_protocol::ids::{InstanceId, SlotId};
use std::num::NonZeroU32;

pub(super) struct Equip<'a> {
    pub(super) instance: InstanceId,
    /// The first allowed free one when absent, else the first allowed.
    pub(super) slot: Option<&'a SlotId>,
}

impl Equip<'_> {
    pub(super) fn decide(
        &self,
        player: &Player,
        rules: &Rules,
        moment: &mut Moment<'_>,
        out: &mut Changes,
    ) -> Result<(), Refusal> {
        let (from, stack) = in_bag(player, self.instance)?;
        let definition = able(stack, rules)?;
        let target = self.target(definition, player, rules)?;

        let mut draft = Draft::new(player, rules);
        let mut unit = draft.take(from, NonZeroU32::MIN)?;
        if !unit.whole {
            unit.stack.instance = moment.mint();
        }
        // What leaves the target slot itself is first in line for the bag slot that became empty.
        let returned = [Some(target), also_vacated(target, definition, player, rules)];
        let returned: Vec<Stack> = returned.into_iter().flatten().filter_map(|slot| draft.take_off(slot)).collect();
        draft.put_on(target, unit.stack);
        for stack in returned {
            if from < rules.max_slots && draft.stack(from).is_none() {
                draft.set(from, Some(stack));
            } else {
                let frozen = is_frozen(&stack, rules);
                draft.put_in(stack, frozen, moment)?;
            }
        }
        draft.finish(out);
        Ok(())
    }

    fn target<'s>(&self, definition: &'s Definition, player: &Player, rules: &Rules) -> Result<&'s SlotId, Refusal> {
        let item = || definition.id.clone();
        if definition.slots.is_empty() {
            return Err(Refusal::NotEquippable(item()));
        }
        let [main, off] = &rules.hands;
        let allowed = |slot: &&SlotId| rules.slots.contains(slot) && (!definition.two_handed || *slot == main);
        let mut slots = definition.slots.iter().filter(allowed);
        let free = |slot: &&SlotId| player.worn(slot).is_none() && !(*slot == off && both_hands_held(player, rules));
        let found = match self.slot {
            Some(wanted) => slots.find(|slot| *slot == wanted),
            None => slots.clone().find(free).or_else(|| slots.next()),
        };
        found.ok_or_else(|| Refusal::SlotMismatch { item: item() })
    }
}

/// The other slot that is emptied when something goes into `target`.
fn also_vacated<'r>(target: &SlotId, definition: &Definition, player: &Player, rules: &'r Rules) -> Option<&'r SlotId> {
    let [main, off] = &rules.hands;
    if definition.two_handed { Some(off) } else { (target == off && both_hands_held(player, rules)).then_some(main) }
}

fn both_hands_held(player: &Player, rules: &Rules) -> bool {
    let [main, _] = &rules.hands;
    let held = player.worn(main).and_then(|stack| rules.catalog.get(&stack.item));
    held.is_some_and(|definition| definition.two_handed)
}

pub(super) fn unequip(
    player: &Player,
    slot: &SlotId,
    rules: &Rules,
    moment: &mut Moment<'_>,
    out: &mut Changes,
) -> Result<(), Refusal> {
    let mut draft = Draft::new(player, rules);
    let stack = draft.take_off(slot).ok_or(Refusal::NotFound("anything in that equipment slot"))?;
    let frozen = is_frozen_worn(slot, &stack, rules);
    draft.put_in(stack, frozen, moment)?;
    draft.finish(out);
    Ok(())
}
