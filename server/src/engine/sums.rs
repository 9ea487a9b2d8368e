//! What a player carries, in sums: weight, value and units, kept from change to change so that no action counts the bag.

use super::change::{Changes, Content, Stack};
use crate::catalog::Catalog;
use holdall_protocol::ids::ItemId;

/// Sums over bag and equipment. Weight and value hold for one catalogue only; an item it does not know counts as 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Sums {
    /// Thousandths.
    pub(super) weight: u128,
    /// At base value.
    pub(super) value: u128,
    pub(super) units: u128,
}

impl Sums {
    /// Counts everything.
    pub(super) fn of<'a>(stacks: impl Iterator<Item = &'a Stack>, catalog: &Catalog) -> Self {
        let mut sums = Self::default();
        for stack in stacks {
            sums = sums.stepped(&stack.item, i128::from(stack.quantity.get()), catalog);
        }
        sums
    }

    /// The sums after these changes. Runs of one item are netted first, so that moving things looks nothing up.
    pub(super) fn after(mut self, changes: &Changes, catalog: &Catalog) -> Self {
        let mut run: Option<(&ItemId, i128)> = None;
        for change in &changes.list {
            for (content, gained) in [(&change.before, false), (&change.after, true)] {
                let Some(Content::Stack(stack)) = content else { continue };
                let quantity = i128::from(stack.quantity.get());
                let units = if gained { quantity } else { quantity.saturating_neg() };
                run = match run {
                    Some((item, net)) if *item == stack.item => Some((item, net.saturating_add(units))),
                    Some((item, net)) => {
                        self = self.stepped(item, net, catalog);
                        Some((&stack.item, units))
                    }
                    None => Some((&stack.item, units)),
                };
            }
        }
        run.map_or(self, |(item, net)| self.stepped(item, net, catalog))
    }

    fn stepped(self, item: &ItemId, units: i128, catalog: &Catalog) -> Self {
        if units == 0 {
            return self;
        }
        let (weight, value) = catalog.get(item).map_or((0, 0), |definition| (definition.weight, definition.base_value));
        // 64 bits of weight or value, 32 of quantity and 14 of slots leave 18 to spare.
        let step = |sum: u128, each: u64| {
            let moved = i128::from(each).checked_mul(units).expect("what a bag holds fits in 128 bits");
            sum.checked_add_signed(moved).expect("no more leaves than was there")
        };
        Self { weight: step(self.weight, weight), value: step(self.value, value), units: step(self.units, 1) }
    }
}
