//! What requests under way have already named, so that a bot with many of them in flight does not trip over itself.
//!
//! Called by `workload`.

use holdall_protocol::{
    action::{Action, Target},
    ids::{InstanceId, ItemId, ReservationId},
    message::Stack,
};
use std::num::NonZeroU64;

/// What requests under way will take or move: naming it again would only be refused.
#[derive(Debug, Default)]
pub(crate) struct Busy {
    slots: Vec<u16>,
    instances: Vec<(InstanceId, u64)>,
    items: Vec<(ItemId, u64)>,
    holds: Vec<ReservationId>,
}

impl Busy {
    /// What these actions name.
    pub(crate) fn with<'a>(asked: impl Iterator<Item = &'a Action>) -> Self {
        let mut busy = Self::default();
        for action in asked {
            match action {
                Action::Move(wish) => busy.slots.extend([wish.from, wish.to]),
                Action::Use(wish) => busy.take(&wish.target, 1),
                Action::Drop(wish) => busy.take(&wish.target, wish.quantity.get().map_or(0, NonZeroU64::get)),
                Action::Sell(wish) => busy.instances.push((wish.instance, u64::MAX)),
                Action::Equip(wish) => busy.instances.push((wish.instance, u64::MAX)),
                Action::Gift(wish) => {
                    busy.instances.extend(wish.items.iter().map(|line| (line.instance, u64::MAX)));
                }
                Action::TradeOffer(wish) => {
                    busy.instances.extend(wish.items.iter().map(|line| (line.instance, u64::MAX)));
                }
                Action::TradeInvite(_) | Action::TradeAnswer(_) | Action::TradeAccept(_) | Action::TradeCancel(_) => {}
                Action::ShopConfirm(wish) => busy.holds.push(wish.reservation),
                Action::ShopRelease(wish) => busy.holds.push(wish.reservation),
                Action::ShopList(_) | Action::ShopHold(_) => {}
                Action::Sort(_) | Action::Unequip(_) | Action::DevGrant(_) | Action::Settings(_) => {}
                Action::Resync(_) | Action::Count(_) | Action::Item(_) | Action::Stats(_) => {}
            }
        }
        busy
    }

    fn take(&mut self, target: &Target, units: u64) {
        match target {
            Target::Instance(instance) => self.instances.push((*instance, units)),
            Target::Item(item) => self.items.push((item.clone(), units)),
        }
    }

    /// How many units of a stack nobody has asked for yet.
    pub(crate) fn left(&self, slot: u16, stack: &Stack) -> u32 {
        if self.slots.contains(&slot) {
            return 0;
        }
        let by_instance = self.instances.iter().filter(|(instance, _)| *instance == stack.instance);
        let by_item = self.items.iter().filter(|(item, _)| *item == stack.item);
        let taken = by_instance.map(|(_, units)| units).chain(by_item.map(|(_, units)| units));
        let taken = taken.fold(0_u64, |sum, units| sum.saturating_add(*units));
        stack.quantity.saturating_sub(u32::try_from(taken).unwrap_or(u32::MAX))
    }

    /// Whether something under way pays for a hold or gives it back.
    pub(crate) fn is_ending(&self, hold: ReservationId) -> bool {
        self.holds.contains(&hold)
    }

    /// Whether nothing under way touches this slot or takes from what is in it.
    pub(crate) fn is_free(&self, slot: u16, stack: Option<&Stack>) -> bool {
        !self.slots.contains(&slot) && stack.is_none_or(|stack| self.left(slot, stack) == stack.quantity)
    }
}
