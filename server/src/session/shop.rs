//! A player in the shop: what they may want there, what the store has to say to it, and the record that comes of it.
//!
//! Every step but the price and the room in the bag is the store's to decide, so a request stops at a question first
//! (`inquiry`). A hold and its release are records in which no thing moves: they spend the request's number for good. A payment is
//! one record, in whose write the stock moves, too.

use super::{
    Sessions,
    inquiry::{Inquiry, Known},
    request::{Case, No, Stop, large},
};
use crate::{
    catalog::shop::Sku,
    engine::{self, action::Action as Rule, change::Changes, moment::Moment, refusal::Refusal},
    ledger::entry::{Actor, Reason},
    market::shop_desk::{Paying, Wish},
    roster::{
        cell::{Cell, Inner},
        holds::{Held, Terms},
        record::{Effects, Half, Note},
    },
    store::{
        ReadError,
        stock::{Stock, StockError},
    },
};
use holdall_protocol::{
    NUMBER_MAX,
    action::{self, Action},
    code::Code,
    ids::ReservationId,
    message::{Answer, Answered, Cause, Hold, Nothing, Price, ServerMessage, ShopEntry},
};
use std::{num::NonZeroU64, sync::Arc, time::Duration};

/// The longest that a client may hold something, in seconds.
const HOLD_SECONDS_MAX: u64 = 3_600;

/// What can be done in the shop.
pub(super) enum Visit<'a> {
    List,
    Hold(&'a action::ShopHold),
    Confirm(ReservationId),
    Release(ReservationId),
}

impl<'a> Visit<'a> {
    /// Whether an action is one of them.
    pub(super) const fn of(action: &'a Action) -> Option<Self> {
        match action {
            Action::ShopList(action::ShopList {}) => Some(Self::List),
            Action::ShopHold(hold) => Some(Self::Hold(hold)),
            Action::ShopConfirm(action::ShopConfirm { reservation }) => Some(Self::Confirm(*reservation)),
            Action::ShopRelease(action::ShopRelease { reservation }) => Some(Self::Release(*reservation)),
            Action::Move(_)
            | Action::Sort(_)
            | Action::Use(_)
            | Action::Drop(_)
            | Action::Equip(_)
            | Action::Unequip(_)
            | Action::Sell(_)
            | Action::Gift(_)
            | Action::TradeInvite(_)
            | Action::TradeAnswer(_)
            | Action::TradeOffer(_)
            | Action::TradeAccept(_)
            | Action::TradeCancel(_)
            | Action::Settings(_)
            | Action::DevGrant(_)
            | Action::Resync(_)
            | Action::Count(_)
            | Action::Item(_)
            | Action::Stats(_) => None,
        }
    }
}

impl From<&StockError> for No {
    fn from(error: &StockError) -> Self {
        let code = match error {
            StockError::NoSuchSku => Code::NotFound,
            StockError::NoSuchReservation | StockError::NotActive(_) => Code::ReservationNotActive,
            StockError::Insufficient { .. } => Code::InsufficientStock,
            StockError::TooManyHolds { .. } | StockError::TooManyUnits { .. } | StockError::TooLarge => {
                Code::LimitExceeded
            }
            StockError::KeyTaken => Code::SeqReused,
            StockError::Claimed | StockError::NotOwner => {
                return Self::new(Code::PlayerBusy, error.to_string()).after(Duration::from_millis(200));
            }
            StockError::Unavailable(_) => {
                let message = "the store is away; look at your holds before you try again";
                return Self::new(Code::StoreUnavailable, message).after(Duration::from_secs(1));
            }
            StockError::Players | StockError::HoldsOpen { .. } | StockError::Unreadable(_) => Code::InternalError,
        };
        Self::new(code, error.to_string())
    }
}

impl Sessions {
    pub(super) fn visit(
        &self,
        cell: &Arc<Cell>,
        own: &mut Inner,
        visit: &Visit<'_>,
        case: Case<'_>,
    ) -> Result<(), Stop> {
        match (visit, case.known) {
            (Visit::List, Some(Known::Stocks(stocks))) => Ok(self.list(own, stocks, case)?),
            (Visit::List, _) => {
                let rules = self.roster.rules();
                let skus = rules.shop.iter().filter(|sku| sku.offer.is_some()).map(|sku| sku.id.clone());
                Err(Stop::Ask(Inquiry::Stocks(skus.collect())))
            }
            (Visit::Hold(_), Some(Known::Hold(held))) => Ok(self.note(cell, own, (held, Reason::Hold), case)?),
            (Visit::Hold(wanted), _) => Err(Stop::Ask(Inquiry::Hold(Box::new(self.wish(cell, wanted, case)?)))),
            (Visit::Release(_), Some(Known::Hold(held))) => Ok(self.note(cell, own, (held, Reason::Release), case)?),
            (Visit::Release(hold), _) => {
                self.room()?;
                is_open(own, *hold)?;
                Err(Stop::Ask(Inquiry::Release(*hold, case.asked.seq)))
            }
            (Visit::Confirm(hold), Some(Known::Claim(claimed))) => Ok(self.pay(cell, own, (*hold, claimed), case)?),
            (Visit::Confirm(hold), _) => {
                self.room()?;
                is_open(own, *hold)?;
                self.can_pay(own, *hold)?;
                Err(Stop::Ask(Inquiry::Claim(*hold)))
            }
        }
    }

    /// What is for sale, as far as the store knows it too.
    fn list(&self, own: &mut Inner, stocks: &Result<Vec<Option<Stock>>, ReadError>, case: Case<'_>) -> Result<(), No> {
        let Ok(stocks) = stocks else { return Err(No::store_away()) };
        let (rules, now) = (self.roster.rules(), self.roster.clock.now_ms());
        let entries = stocks.iter().flatten().filter_map(|stock| entry(rules.shop.get(&stock.sku)?, stock, now));
        let Some(seat) = own.seat() else { return Ok(()) };
        let answer = Answered::Shop(entries.collect());
        let message = ServerMessage::Answer(Answer { seq: case.asked.seq, revision: seat.revision, answer });
        self.reply(own, case.asked, &message);
        Ok(())
    }

    /// A hold as it is asked for, at the price of now.
    fn wish(&self, cell: &Cell, wanted: &action::ShopHold, case: Case<'_>) -> Result<Wish, No> {
        cell.allowance.hold().map_err(|wait| No::new(Code::RateLimited, "too many holds").after(wait))?;
        self.room()?;
        let options = self.shop.options();
        let rules = self.roster.rules();
        let sku = rules.shop.get(&wanted.sku);
        let Some((sku, offer)) = sku.and_then(|sku| Some((sku, sku.offer.as_ref()?))) else {
            return Err(No::new(Code::NotFound, format!("the shop has no {}", wanted.sku)));
        };
        if !sku.is_open(self.roster.clock.now_ms()) {
            return Err(No::new(Code::ShopClosed, format!("{} is not for sale now", sku.id)));
        }
        let quantity = large(wanted.quantity)?;
        if quantity.get() > options.units_max {
            return Err(No::new(Code::LimitExceeded, format!("at most {} in one hold", options.units_max)));
        }
        let time = match wanted.ttl_seconds {
            None => options.hold_time,
            Some(seconds) => {
                let seconds = seconds.get().map(NonZeroU64::get).filter(|seconds| *seconds <= HOLD_SECONDS_MAX);
                let rule = || format!("ttl_seconds must be a whole number from 1 to {HOLD_SECONDS_MAX}");
                Duration::from_secs(seconds.ok_or_else(|| No::new(Code::InvalidQuantity, rule()))?)
            }
        };
        let price = offer.price.iter().map(|(currency, amount)| {
            let amount = amount.get().checked_mul(quantity.get()).filter(|amount| *amount <= NUMBER_MAX)?;
            Some(Price { currency: currency.clone(), amount })
        });
        let Some(price) = price.collect() else {
            return Err(No::new(Code::InsufficientFunds, "no wallet can hold so much money"));
        };
        let terms = Terms { item: offer.item.clone(), price };
        let (seq, limit_per_player) = (case.asked.seq, sku.limit_per_player);
        Ok(Wish { seq, sku: sku.id.clone(), quantity, time, terms, limit_per_player })
    }

    /// Records that a hold was made or given back.
    fn note(
        &self,
        cell: &Cell,
        own: &mut Inner,
        (held, reason): (&Result<Hold, StockError>, Reason),
        case: Case<'_>,
    ) -> Result<(), No> {
        let told = held.as_ref()?.clone();
        let held = Held { told, purchase: None };
        self.record_visit(cell, own, (&Changes::default(), reason, held), case);
        Ok(())
    }

    /// Whether a hold could be paid for now: asked before it is claimed, so that a no leaves nothing to be taken back.
    fn can_pay(&self, own: &mut Inner, hold: ReservationId) -> Result<(), Refusal> {
        let Some(seat) = own.seat() else { return Ok(()) };
        let Some(action) = seat.holds().iter().find(|known| known.reservation == hold).and_then(purchase) else {
            return Ok(());
        };
        let mut dice = self.roster.dice.clone();
        let mut moment = Moment::new(self.roster.clock.now_ms(), &mut dice);
        engine::judge(&mut seat.player, &action, &self.roster.rules(), &mut moment)
    }

    /// Pays for a claimed hold.
    fn pay(
        &self,
        cell: &Arc<Cell>,
        own: &mut Inner,
        (hold, claimed): (ReservationId, &Result<Paying, StockError>),
        case: Case<'_>,
    ) -> Result<(), No> {
        let paying = match claimed {
            Ok(paying) => paying,
            Err(error) => {
                self.forget_ended(own, hold, error);
                return Err(error.into());
            }
        };
        self.room()?;
        let action = purchase(paying.told()).ok_or_else(No::fault)?;
        let changes = self.apply(cell, own, &action)?;
        self.record_visit(cell, own, (&changes, Reason::Buy, paying.paid_for()), case);
        let revision = own.seat().map(|seat| seat.revision).unwrap_or_default();
        paying.spend(revision);
        self.roster.look_again(cell, own);
        Ok(())
    }

    /// A hold that turned out to have ended is not told of again.
    fn forget_ended(&self, own: &mut Inner, hold: ReservationId, error: &StockError) {
        let StockError::NotActive(state) = error else { return };
        let Some(known) =
            own.seat().and_then(|seat| seat.holds().iter().find(|known| known.reservation == hold).cloned())
        else {
            return;
        };
        self.roster.tell_hold(own, Hold { state: Terms::state(*state), ..known });
    }

    fn record_visit(
        &self,
        cell: &Cell,
        own: &mut Inner,
        (changes, reason, held): (&Changes, Reason, Held),
        case: Case<'_>,
    ) {
        let note = Note { actor: Actor::Player(cell.id.clone()), reason, asked: Some(case.asked) };
        let effects = Effects { hold: Some(held), ..Effects::default() };
        let half = Half { player: &cell.id, inner: own, changes, note };
        self.roster.record_with(half, effects, Cause::Server(Nothing {}));
    }
}

/// Whether a hold is open as far as its player was told. One that was paid for is not, although the store may not know it yet, or
/// may have forgotten that it was claimed: it would be paid for twice.
fn is_open(own: &mut Inner, hold: ReservationId) -> Result<(), No> {
    if own.seat().is_some_and(|seat| seat.holds().iter().any(|known| known.reservation == hold)) {
        return Ok(());
    }
    Err(No::new(Code::ReservationNotActive, "no open hold of yours has this id"))
}

/// What paying for a hold does to its player.
fn purchase(hold: &Hold) -> Option<Rule> {
    let price = hold.price.iter().map(|price| Some((price.currency.clone(), NonZeroU64::new(price.amount)?)));
    Some(Rule::Purchase {
        item: hold.item.clone(),
        quantity: NonZeroU64::new(hold.quantity)?,
        price: price.collect::<Option<_>>()?,
    })
}

fn entry(sku: &Sku, stock: &Stock, now: u64) -> Option<ShopEntry> {
    let offer = sku.offer.as_ref()?;
    let price = offer.price.iter().map(|(currency, amount)| Price { currency: currency.clone(), amount: amount.get() });
    Some(ShopEntry {
        sku: sku.id.clone(),
        item: offer.item.clone(),
        price: price.collect(),
        available: stock.available,
        limit_per_player: sku.limit_per_player.map(std::num::NonZeroU32::get),
        open: sku.is_open(now),
        opens_at: sku.opens_at,
        closes_at: sku.closes_at,
    })
}
