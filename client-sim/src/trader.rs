//! What a trader does next: mostly what leads to a deal, at times what must not work.
//!
//! Pure. Called by `workload` for the bots, and by any test with players of its own. Knows only what a player is shown.

use crate::checker::Trades;
use holdall_protocol::{
    action::{
        Action, GiftItem, OfferedAmount, Quantity, TradeAccept, TradeAnswer, TradeCancel, TradeInvite, TradeOffer,
    },
    ids::{InstanceId, ItemId, PlayerId},
    message::{self, Trade, TradeStage},
};
use rand::{Rng, rngs::SmallRng, seq::IndexedRandom};

/// Lines of items in one offer.
const LINES_MAX: usize = 3;

/// Units of one line, and a currency's amount: there shall be something left for other trades.
const UNITS_MAX: u32 = 5;

/// Who trades, and what with.
#[derive(Debug, Clone, Copy)]
pub struct Trader<'a> {
    /// Who it is.
    pub own: &'a PlayerId,
    /// The trades it was told of.
    pub trades: &'a Trades,
    /// Stacks to put up, with the units there are.
    pub stacks: &'a [(InstanceId, u32)],
    /// Balances to put up.
    pub purse: &'a [(ItemId, u64)],
    /// Whom to invite.
    pub friend: Option<&'a PlayerId>,
}

impl Trader<'_> {
    /// A step of the trade that waits for this player, or an invite where none does. `None` where there is nothing to do
    /// but to wait.
    #[must_use]
    pub fn next(&self, rng: &mut SmallRng) -> Option<Action> {
        match self.trades.pressing(self.own) {
            None => self.invite(),
            // Some are left until they expire, by both sides alike.
            Some(trade) if trade.trade.uuid().as_u128().is_multiple_of(16) => None,
            Some(trade) if trade.stage == TradeStage::Invited => {
                let (trade, accept) = (trade.trade, rng.random_ratio(7, 8));
                Some(Action::TradeAnswer(TradeAnswer { trade, accept }))
            }
            Some(trade) => self.bargain(trade, rng),
        }
    }

    fn invite(&self) -> Option<Action> {
        let to = self.friend?.clone();
        Some(Action::TradeInvite(TradeInvite { to }))
    }

    fn bargain(&self, open: &Trade, rng: &mut SmallRng) -> Option<Action> {
        let trade = open.trade;
        match rng.random_range(0..100) {
            0..4 => Some(Action::TradeCancel(TradeCancel { trade })),
            4..8 => self.invite(),
            8..12 => Some(accept(open, open.offer_revision.saturating_sub(1))),
            12..16 => Some(not_its_own(open)),
            16..30 => Some(self.offer(open, rng)),
            _ if open.yours.accepted => None,
            _ if is_nothing(&open.yours) => Some(self.offer(open, rng)),
            30..60 if is_nothing(&open.theirs) => None,
            _ => Some(accept(open, open.offer_revision)),
        }
    }

    /// Something, in place of whatever was put up before: also what the other side has looked at already.
    fn offer(&self, open: &Trade, rng: &mut SmallRng) -> Action {
        let many = rng.random_range(0..=LINES_MAX);
        let stacks = self.stacks.choose_multiple(rng, many);
        let line = |(instance, have): &(InstanceId, u32)| GiftItem {
            instance: *instance,
            quantity: Quantity::new(u64::from(rng.random_range(1..=(*have).clamp(1, UNITS_MAX)))),
        };
        let items: Vec<GiftItem> = stacks.map(line).collect();
        let with_money = items.is_empty() || rng.random();
        let purse = self.purse.choose(rng).filter(|_| with_money);
        let amount = |(currency, have): &(ItemId, u64)| OfferedAmount {
            currency: currency.clone(),
            amount: Quantity::new((*have).clamp(1, u64::from(UNITS_MAX))),
        };
        let currencies = purse.map(amount).into_iter().collect();
        Action::TradeOffer(TradeOffer { trade: open.trade, items, currencies })
    }
}

fn accept(open: &Trade, offer_revision: u64) -> Action {
    Action::TradeAccept(TradeAccept { trade: open.trade, offer_revision })
}

/// What the other side has put up, as if it were one's own.
fn not_its_own(open: &Trade) -> Action {
    let line = |stack: &message::Stack| GiftItem { instance: stack.instance, quantity: Quantity::new(1) };
    let items = open.theirs.items.iter().map(line).collect();
    Action::TradeOffer(TradeOffer { trade: open.trade, items, currencies: Vec::new() })
}

fn is_nothing(offer: &message::TradeOffer) -> bool {
    offer.items.is_empty() && offer.currencies.is_empty()
}
