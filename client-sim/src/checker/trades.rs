//! Trades as one player was told of them: what was agreed to is what changes hands, and nothing that was not.

use super::Checker;
use crate::{
    fault::Fault,
    model::{Step, Totals},
};
use holdall_protocol::{
    action::{Action, TradeAccept},
    code::Code,
    ids::{PlayerId, Revision, TradeId},
    message::{Trade, TradeOffer, TradeStage},
};
use std::{collections::BTreeMap, num::NonZeroU64};

/// One player's trades that are not over.
#[derive(Debug, Default)]
pub struct Trades {
    /// The newest view of each.
    views: BTreeMap<TradeId, Trade>,
    /// What the newest accept that was sent would bring; `None` where the offers it names were not seen.
    accepted: BTreeMap<TradeId, Option<Totals>>,
}

impl Trades {
    /// Takes a view; the fault in it.
    pub fn see(&mut self, told: &Trade) -> Option<Fault> {
        let known = self.views.get(&told.trade);
        let goes_back = known.is_some_and(|known| {
            told.offer_revision < known.offer_revision
                || told.with != known.with
                || (known.stage == TradeStage::Open && told.stage == TradeStage::Invited)
        });
        match told.stage {
            TradeStage::Invited | TradeStage::Open => {
                self.views.insert(told.trade, told.clone());
            }
            TradeStage::Settled | TradeStage::Closed => {
                self.views.remove(&told.trade);
                self.accepted.remove(&told.trade);
            }
        }
        goes_back.then(|| Fault::Protocol(format!("trade {} went back: {told:?}", told.trade)))
    }

    /// Takes all that a welcome tells; what it does not tell is over.
    pub fn welcomed(&mut self, told: &[Trade]) -> Vec<Fault> {
        self.views.clear();
        told.iter().filter_map(|trade| self.see(trade)).collect()
    }

    /// The trade that waits for this player: the open one, or an invite of somebody else's.
    #[must_use]
    pub fn pressing(&self, own: &PlayerId) -> Option<&Trade> {
        let open = self.views.values().find(|trade| trade.stage == TradeStage::Open);
        open.or_else(|| self.views.values().find(|trade| trade.invited_by != *own))
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Trade> {
        self.views.values()
    }

    /// An accept is sent; what it would bring, where the offers it names were seen.
    pub fn accept(&mut self, accept: &TradeAccept) -> Option<Totals> {
        let seen = self.views.get(&accept.trade).filter(|seen| seen.offer_revision == accept.offer_revision);
        let brings = seen.map(brings);
        self.accepted.insert(accept.trade, brings.clone());
        brings
    }

    /// A trade has settled by the other player's accept, with this effect.
    ///
    /// # Errors
    /// What is wrong with that, in words: only what this player has agreed to may change hands.
    pub fn settled(&mut self, trade: TradeId, effect: &Totals) -> Result<(), String> {
        match self.accepted.remove(&trade) {
            None => Err(format!("trade {trade} settled and was not accepted here")),
            Some(Some(agreed)) if agreed != *effect => {
                Err(format!("trade {trade} brought {effect} instead of {agreed}"))
            }
            Some(_) => Ok(()),
        }
    }

    /// Revisions that accepts may have made while nobody listened. Whoever asks has the snapshot that shows them.
    pub(super) fn may_have_settled(&mut self) -> u64 {
        let sent = self.accepted.len();
        self.accepted.retain(|trade, _| self.views.contains_key(trade));
        u64::try_from(sent).unwrap_or(u64::MAX)
    }
}

/// What a player would win and lose.
fn brings(trade: &Trade) -> Totals {
    let mut totals = Totals::default();
    add(&mut totals, &trade.theirs, 1);
    add(&mut totals, &trade.yours, -1);
    totals
}

fn add(totals: &mut Totals, offer: &TradeOffer, sign: i128) {
    for stack in &offer.items {
        totals.add(&stack.item, sign * i128::from(stack.quantity));
    }
    for line in &offer.currencies {
        totals.add(&line.currency, sign * i128::from(line.amount));
    }
}

/// The trade that an action is a step of.
const fn trade_of(action: &Action) -> Option<TradeId> {
    match action {
        Action::TradeAnswer(asked) => Some(asked.trade),
        Action::TradeOffer(asked) => Some(asked.trade),
        Action::TradeAccept(asked) => Some(asked.trade),
        Action::TradeCancel(asked) => Some(asked.trade),
        Action::TradeInvite(_) | Action::Settings(_) | Action::Gift(_) | Action::DevGrant(_) | Action::Sell(_) => None,
        Action::ShopList(_) | Action::ShopHold(_) | Action::ShopConfirm(_) | Action::ShopRelease(_) => None,
        Action::Move(_) | Action::Sort(_) | Action::Use(_) | Action::Drop(_) | Action::Equip(_) => None,
        Action::Unequip(_) | Action::Resync(_) | Action::Count(_) | Action::Item(_) | Action::Stats(_) => None,
    }
}

/// Whether a view can be the answer to this action.
pub(super) fn answers(told: &Trade, action: &Action) -> bool {
    match action {
        Action::TradeInvite(asked) => told.with == asked.to,
        Action::TradeAnswer(asked) => told.trade == asked.trade,
        Action::TradeAccept(asked) => told.trade == asked.trade && told.yours.accepted,
        Action::TradeCancel(asked) => told.trade == asked.trade && told.stage == TradeStage::Closed,
        Action::TradeOffer(asked) => {
            let shown = told.yours.items.iter().map(|stack| (stack.instance, u64::from(stack.quantity)));
            let items = asked.items.iter().map(|line| (line.instance, line.quantity.get().map_or(0, NonZeroU64::get)));
            told.trade == asked.trade && shown.eq(items) && !told.yours.accepted && !told.theirs.accepted
        }
        Action::Move(_) | Action::Sort(_) | Action::Use(_) | Action::Drop(_) | Action::Equip(_) => false,
        Action::Unequip(_) | Action::Sell(_) | Action::Gift(_) | Action::DevGrant(_) | Action::Settings(_) => false,
        Action::ShopList(_) | Action::ShopHold(_) | Action::ShopConfirm(_) | Action::ShopRelease(_) => false,
        Action::Resync(_) | Action::Count(_) | Action::Item(_) | Action::Stats(_) => false,
    }
}

impl Checker {
    /// How a trade stands, from whichever message.
    pub(super) fn trade(&mut self, told: &Trade) {
        self.faults.extend(self.trades.see(told));
    }

    /// A step was refused: a trade that is over was told to be before.
    pub(super) fn refused_step(&mut self, action: &Action, code: Code) {
        if let (Code::TradeClosed | Code::TradeNotFound, Some(trade)) = (code, trade_of(action))
            && self.trades.views.contains_key(&trade)
        {
            self.fault(Fault::Protocol(format!("trade {trade} is over ({code}), and nobody said so")));
        }
    }

    /// A trade settled by the other player's accept: only what this one had agreed to.
    pub(super) fn settled(&mut self, revision: Revision, trade: TradeId, step: &Step) {
        if let Err(what) = self.trades.settled(trade, &step.effect) {
            self.fault(Fault::BadPush { revision, what });
        }
    }
}
