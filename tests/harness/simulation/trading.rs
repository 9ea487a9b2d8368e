//! What a simulated client knows of its trades, and what it does next about them.

use holdall_protocol::{
    action::{self, Action, Quantity},
    ids::{InstanceId, ItemId, PlayerId, TradeId},
    message::{Trade, TradeStage},
};
use rand::{Rng, rngs::SmallRng};
use std::collections::BTreeMap;

/// The trades that are not over, as far as this client was told.
#[derive(Default)]
pub(super) struct Trades(BTreeMap<TradeId, Trade>);

impl Trades {
    /// All there are.
    pub(super) fn welcome(&mut self, told: &[Trade]) {
        self.0 = told.iter().map(|trade| (trade.trade, trade.clone())).collect();
    }

    pub(super) fn hear(&mut self, told: &Trade) {
        match told.stage {
            TradeStage::Invited | TradeStage::Open => drop(self.0.insert(told.trade, told.clone())),
            TradeStage::Settled | TradeStage::Closed => drop(self.0.remove(&told.trade)),
        }
    }

    /// A step of whichever trade there is, or an invite. Not always a sensible one.
    pub(super) fn next(
        &self,
        own: &PlayerId,
        stacks: &[(InstanceId, u32)],
        players: &[PlayerId],
        random: &mut SmallRng,
    ) -> Action {
        let open = self.0.values().find(|trade| trade.stage == TradeStage::Open);
        let asked = self.0.values().find(|trade| trade.invited_by != *own);
        match (open.or(asked), random.random_range(0..10)) {
            (Some(&Trade { trade, .. }), 0) => Action::TradeCancel(action::TradeCancel { trade }),
            (Some(&Trade { trade, stage: TradeStage::Invited, .. }), _) => {
                Action::TradeAnswer(action::TradeAnswer { trade, accept: random.random_ratio(9, 10) })
            }
            (Some(open), 1..4) => offer(open.trade, stacks, random),
            (Some(&Trade { trade, offer_revision, .. }), _) => {
                Action::TradeAccept(action::TradeAccept { trade, offer_revision })
            }
            (None, _) => {
                let to = players[random.random_range(0..players.len())].clone();
                Action::TradeInvite(action::TradeInvite { to })
            }
        }
    }
}

fn offer(trade: TradeId, stacks: &[(InstanceId, u32)], random: &mut SmallRng) -> Action {
    let mut items = Vec::new();
    for (instance, have) in stacks {
        if random.random_ratio(1, 4) {
            let quantity = Quantity::new(random.random_range(1..=*have).into());
            items.push(action::GiftItem { instance: *instance, quantity });
        }
    }
    let mut currencies = Vec::new();
    if random.random() {
        let (currency, amount) = (ItemId::new("gold").expect("a currency"), random.random_range(1..20));
        currencies.push(action::OfferedAmount { currency, amount: Quantity::new(amount) });
    }
    Action::TradeOffer(action::TradeOffer { trade, items, currencies })
}
