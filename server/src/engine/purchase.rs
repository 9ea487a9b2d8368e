//! Buying in the shop: money out, things in, all or nothing.

use super::{
    change::Changes,
    draft::{Arrival, Draft},
    exchange::bearable,
    moment::Moment,
    money,
    player::Player,
    refusal::Refusal,
};
use crate::catalog::{Kind, Rules};
use holdall_protocol::ids::ItemId;
use std::num::NonZeroU64;

pub(super) struct Purchase<'a> {
    pub(super) item: &'a ItemId,
    pub(super) quantity: NonZeroU64,
    pub(super) price: &'a [(ItemId, NonZeroU64)],
}

impl Purchase<'_> {
    pub(super) fn decide(
        &self,
        player: &Player,
        rules: &Rules,
        moment: &mut Moment<'_>,
        out: &mut Changes,
    ) -> Result<(), Refusal> {
        let definition = rules.catalog.get(self.item).ok_or_else(|| Refusal::UnknownItem(self.item.clone()))?;
        let mut draft = Draft::new(player, rules);
        for (currency, amount) in self.price {
            money::pay(&mut draft, currency, *amount)?;
        }
        if definition.kind == Kind::Currency {
            money::earn(&mut draft, &definition.id, self.quantity)?;
        } else {
            let weight = u128::from(definition.weight).saturating_mul(self.quantity.get().into());
            bearable(player, 0, weight, rules)?;
            let left = draft.pour(&Arrival::new(definition, self.quantity, moment.now), moment);
            if left > 0 {
                return Err(Refusal::InventoryFull { item: definition.id.clone(), left });
            }
        }
        draft.finish(out);
        Ok(())
    }
}
