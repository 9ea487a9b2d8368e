//! Moving within the bag: to an empty slot, onto an equal stack, onto another, whole or in part.

use super::{
    change::{Change, Changes, Content, Stack},
    draft::{fill, left_of},
    moment::Moment,
    player::Player,
    refusal::Refusal,
    standing::{able, common},
};
use crate::catalog::Rules;
use holdall_protocol::ids::Place;
use std::num::NonZeroU32;

pub(super) struct Move {
    pub(super) from: u16,
    pub(super) to: u16,
    /// All when absent.
    pub(super) quantity: Option<NonZeroU32>,
}

impl Move {
    pub(super) fn decide(
        &self,
        player: &Player,
        rules: &Rules,
        moment: &mut Moment<'_>,
        out: &mut Changes,
    ) -> Result<(), Refusal> {
        let stack = player.bag.get(self.from).ok_or(Refusal::NotFound("a stack in that slot"))?;
        let stays = self.quantity.map_or(Ok(None), |quantity| left_of(stack, quantity))?;
        if self.from == self.to {
            return Ok(());
        }
        if self.to >= rules.max_slots {
            return Err(Refusal::NotFound("the slot"));
        }
        let there = player.bag.get(self.to);
        match (stays, self.quantity) {
            (Some(stays), Some(quantity)) => {
                let after = self.part(Parted { stack, quantity }, there, rules, moment)?;
                let stays = Stack { quantity: stays, ..stack.clone() };
                self.write(out, (stack, Some(stays)), (there, after));
            }
            (_, _) => self.whole(stack, there, rules, out)?,
        }
        Ok(())
    }

    /// What the target slot holds once part of the stack is there.
    fn part(
        &self,
        parted: Parted<'_>,
        there: Option<&Stack>,
        rules: &Rules,
        moment: &mut Moment<'_>,
    ) -> Result<Stack, Refusal> {
        let Parted { stack, quantity } = parted;
        able(stack, rules)?;
        let Some(there) = there else {
            return Ok(Stack { instance: moment.mint(), quantity, ..stack.clone() });
        };
        let full = |left| Refusal::InventoryFull { item: stack.item.clone(), left };
        if there.item == stack.item {
            able(there, rules)?;
        }
        let definition = common(stack, there, rules).ok_or_else(|| full(quantity.get().into()))?;
        let (merged, left) = fill(there, quantity.get().into(), definition.max_stack, stack.acquired_at);
        if left == 0 { Ok(merged) } else { Err(full(left)) }
    }

    /// The whole stack: to an empty slot, as much as fits onto an equal one, else in exchange for what is there.
    fn whole(&self, stack: &Stack, there: Option<&Stack>, rules: &Rules, out: &mut Changes) -> Result<(), Refusal> {
        let Some(other) = there else {
            self.write(out, (stack, None), (None, stack.clone()));
            return Ok(());
        };
        if let Some(definition) = common(stack, other, rules) {
            let units = u64::from(stack.quantity.get());
            let (merged, left) = fill(other, units, definition.max_stack, stack.acquired_at);
            if left < units {
                let left = u32::try_from(left).ok().and_then(NonZeroU32::new);
                let stays = left.map(|quantity| Stack { quantity, ..stack.clone() });
                self.write(out, (stack, stays), (there, merged));
                return Ok(());
            }
        }
        if self.from >= rules.max_slots {
            // A slot that is no longer part of the bag can be left, and nothing enters it.
            return Err(Refusal::InventoryFull { item: other.item.clone(), left: other.quantity.get().into() });
        }
        self.write(out, (stack, Some(other.clone())), (there, stack.clone()));
        Ok(())
    }

    fn write(&self, out: &mut Changes, from: (&Stack, Option<Stack>), to: (Option<&Stack>, Stack)) {
        let (before, after) = (Some(Content::Stack(from.0.clone())), from.1.map(Content::Stack));
        out.list.push(Change { place: Place::Bag(self.from), before, after });
        let (before, after) = (to.0.cloned().map(Content::Stack), Some(Content::Stack(to.1)));
        out.list.push(Change { place: Place::Bag(self.to), before, after });
    }
}

struct Parted<'a> {
    stack: &'a Stack,
    quantity: NonZeroU32,
}
