//! Making things out of nothing.

use super::{
    attributes,
    change::Changes,
    draft::{Arrival, Draft},
    moment::Moment,
    money,
    player::Player,
    refusal::Refusal,
};
use crate::catalog::{Kind, Rules, nature::Nature};
use holdall_protocol::{attribute::Attributes, ids::ItemId};
use std::num::NonZeroU64;

pub(super) struct Grant<'a> {
    pub(super) item: &'a ItemId,
    pub(super) quantity: NonZeroU64,
    pub(super) attributes: Option<&'a Attributes>,
    pub(super) partial: bool,
}

impl Grant<'_> {
    pub(super) fn decide(
        &self,
        player: &Player,
        rules: &Rules,
        moment: &mut Moment<'_>,
        out: &mut Changes,
    ) -> Result<(), Refusal> {
        let definition = rules.catalog.get(self.item).ok_or_else(|| Refusal::UnknownItem(self.item.clone()))?;
        if definition.kind == Kind::Currency {
            return self.decide_money(player, &definition.id, out);
        }
        if let Some(given) = self.attributes {
            attributes::check(given, rules)?;
        }
        let wanted = self.quantity.get();
        let carried = wanted.min(bearable(player, definition.weight, rules));
        if carried < wanted && !self.partial {
            let more = u128::from(definition.weight).saturating_mul(wanted.into());
            return Err(too_heavy(player.sums_under(rules).weight.saturating_add(more), rules));
        }
        let mut left = 0;
        if let Some(quantity) = NonZeroU64::new(carried) {
            let mut draft = Draft::new(player, rules);
            let plain = Arrival::new(definition, quantity, moment.now);
            let given = self.attributes.map(|given| Nature::with(definition.id.clone(), given.clone()));
            left = draft.pour(&Arrival { nature: given.as_ref().unwrap_or(plain.nature), ..plain }, moment);
            if left > 0 && !self.partial {
                return Err(Refusal::InventoryFull { item: definition.id.clone(), left });
            }
            draft.finish(out);
        }
        // What was too heavy, and what found no room.
        out.overflow = wanted.saturating_sub(carried).saturating_add(left);
        Ok(())
    }

    fn decide_money(&self, player: &Player, currency: &ItemId, out: &mut Changes) -> Result<(), Refusal> {
        if self.attributes.is_some_and(|given| !given.is_empty()) {
            return Err(Refusal::InvalidAttribute("a balance has none"));
        }
        let fits = self.quantity.get().min(money::room(player, currency));
        if fits < self.quantity.get() && !self.partial {
            return Err(Refusal::BalanceFull(currency.clone()));
        }
        out.overflow = self.quantity.get().saturating_sub(fits);
        money::change(player, currency, player.balance(currency).saturating_add(fits), out);
        Ok(())
    }
}

/// How many units of this weight can still be carried.
fn bearable(player: &Player, weight: u64, rules: &Rules) -> u64 {
    if rules.max_weight == 0 {
        return u64::MAX;
    }
    let room = u128::from(rules.max_weight).saturating_sub(player.sums_under(rules).weight);
    let units = room.checked_div(weight.into()).unwrap_or(u128::MAX);
    u64::try_from(units).unwrap_or(u64::MAX)
}

pub(super) fn too_heavy(weight: u128, rules: &Rules) -> Refusal {
    Refusal::WeightExceeded { weight: u64::try_from(weight).unwrap_or(u64::MAX), max: rules.max_weight }
}
