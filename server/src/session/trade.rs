//! A request that is a step of a trade: the desk is locked first, then one player or both, and the rest goes as with any
//! other request.

use super::{
    Heard, Sessions,
    inquiry::{Inquiry, Known},
    request::{Case, No, Stop, large, lines},
};
use crate::{
    engine::{offer::Offer, refusal::Refusal},
    market::{
        Party,
        trade_desk::{Done, Entered, TradeRefused, Wish},
    },
    roster::{cell::Cell, pair},
};
use holdall_protocol::{
    action::{self, Action},
    code::Code,
    ids::{PlayerId, SessionId},
    message::{Answer, Answered, ServerMessage},
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

/// A request, as it came.
pub(super) struct Asking<'a> {
    pub(super) session: SessionId,
    pub(super) step: Step<'a>,
    pub(super) case: Case<'a>,
}

/// An action that is a step of a trade.
#[derive(Clone, Copy)]
pub(super) enum Step<'a> {
    Invite(&'a action::TradeInvite),
    Answer(&'a action::TradeAnswer),
    Offer(&'a action::TradeOffer),
    Accept(&'a action::TradeAccept),
    Cancel(&'a action::TradeCancel),
}

impl<'a> Step<'a> {
    /// `None` where the action is none.
    pub(super) const fn of(action: &'a Action) -> Option<Self> {
        match action {
            Action::TradeInvite(invite) => Some(Self::Invite(invite)),
            Action::TradeAnswer(answer) => Some(Self::Answer(answer)),
            Action::TradeOffer(offer) => Some(Self::Offer(offer)),
            Action::TradeAccept(accept) => Some(Self::Accept(accept)),
            Action::TradeCancel(cancel) => Some(Self::Cancel(cancel)),
            Action::Move(_)
            | Action::ShopList(_)
            | Action::ShopHold(_)
            | Action::ShopConfirm(_)
            | Action::ShopRelease(_)
            | Action::Sort(_)
            | Action::Use(_)
            | Action::Drop(_)
            | Action::Equip(_)
            | Action::Unequip(_)
            | Action::Sell(_)
            | Action::Gift(_)
            | Action::Settings(_)
            | Action::DevGrant(_)
            | Action::Resync(_)
            | Action::Count(_)
            | Action::Item(_)
            | Action::Stats(_) => None,
        }
    }

    /// The other player, as far as this one may know.
    fn partner(self, desk: &Entered<'_>, own: &PlayerId) -> Option<PlayerId> {
        let trade = match self {
            Self::Invite(invite) => return Some(invite.to.clone()),
            Self::Answer(answer) => answer.trade,
            Self::Offer(offer) => offer.trade,
            Self::Accept(accept) => accept.trade,
            Self::Cancel(cancel) => cancel.trade,
        };
        desk.partner(trade, own)
    }

    /// From what a client wrote to what the desk does. Quantities are checked here.
    fn wish(self) -> Result<Wish, Refusal> {
        match self {
            Self::Invite(invite) => Ok(Wish::Invite(invite.to.clone())),
            Self::Answer(answer) => Ok(Wish::Answer(answer.trade, answer.accept)),
            Self::Offer(offer) => {
                let amount = |line: &action::OfferedAmount| Ok((line.currency.clone(), large(line.amount)?));
                let currencies = offer.currencies.iter().map(amount).collect::<Result<_, Refusal>>()?;
                Ok(Wish::Offer(offer.trade, Offer { items: lines(&offer.items)?, currencies }))
            }
            Self::Accept(accept) => Ok(Wish::Accept(accept.trade, accept.offer_revision)),
            Self::Cancel(cancel) => Ok(Wish::Cancel(cancel.trade)),
        }
    }
}

impl From<TradeRefused> for No {
    fn from(refused: TradeRefused) -> Self {
        let code = match &refused {
            TradeRefused::Rules(refusal) | TradeRefused::Partner { refusal, .. } => refusal.code(),
            TradeRefused::NotLoaded => Code::PlayerNotLoaded,
            TradeRefused::Elsewhere => Code::PlayerElsewhere,
            TradeRefused::NoSuchPlayer => Code::NotFound,
            TradeRefused::Busy(_) => Code::PlayerBusy,
            TradeRefused::NotAccepting => Code::NotAccepting,
            TradeRefused::TooMany(_) => Code::LimitExceeded,
            TradeRefused::TooOften(wait) => return Self::new(Code::RateLimited, refused.to_string()).after(*wait),
            TradeRefused::NotFound => Code::TradeNotFound,
            TradeRefused::Changed | TradeRefused::WrongStage(_) => Code::TradeChanged,
            TradeRefused::Closed => Code::TradeClosed,
            TradeRefused::StoreAway => return Self::store_away(),
        };
        Self::new(code, refused.to_string())
    }
}

impl Sessions {
    /// Serves one step of a trade.
    pub(super) fn trade(&self, cell: &Arc<Cell>, asking: &Asking<'_>) -> Heard {
        let mut desk = self.desk.enter();
        let partner = asking.step.partner(&desk, &cell.id).and_then(|partner| self.roster.find(&partner));
        match partner.filter(|partner| partner.id != cell.id) {
            Some(partner) => {
                let (mut own, mut other) = pair::lock(cell, &partner);
                let mut other = Party { cell: &partner, inner: &mut other };
                self.take_step(&mut desk, Party { cell, inner: &mut own }, Some(&mut other), asking)
            }
            None => self.take_step(&mut desk, Party { cell, inner: &mut cell.lock() }, None, asking),
        }
    }

    fn take_step<'a>(
        &self,
        desk: &mut Entered<'_>,
        mut own: Party<'a>,
        other: Option<&mut Party<'a>>,
        asking: &Asking<'_>,
    ) -> Heard {
        let Asking { session, step, case } = *asking;
        if let Err(heard) = self.enter(own.cell, own.inner, session, case) {
            return heard;
        }
        let done = self.grant(desk, step, (&mut own, other), case).map(|done| {
            if let (Done::Seen(view), Some(seat)) = (done, own.inner.seat()) {
                let (revision, answer) = (seat.revision, Answered::Trade(view));
                let message = ServerMessage::Answer(Answer { seq: case.asked.seq, revision, answer });
                self.reply(own.inner, case.asked, &message);
            }
        });
        self.finish(own.inner, case.asked, done)
    }

    /// A rule that panics drops both players, to be loaded anew, and with them the trade.
    fn grant<'a>(
        &self,
        desk: &mut Entered<'_>,
        step: Step<'_>,
        (own, mut other): (&mut Party<'a>, Option<&mut Party<'a>>),
        case: Case<'_>,
    ) -> Result<Done, Stop> {
        let wish = step.wish()?;
        if let (Step::Invite(invite), None) = (step, case.known) {
            desk.count_invite(own.cell, &invite.to)?;
        }
        let granting = AssertUnwindSafe(|| desk.grant(wish, own, other.as_deref_mut(), case.asked));
        match catch_unwind(granting) {
            Ok(Err(TradeRefused::NotLoaded)) => Err(not_here(step, own, case.known)),
            Ok(done) => Ok(done?),
            Err(_) => {
                tracing::error!(player = %own.cell.id, "a step of a trade panicked; its players are dropped and loaded anew");
                for party in std::iter::once(own).chain(other) {
                    self.roster.abandon(party.cell, party.inner);
                }
                Err(No::fault().into())
            }
        }
    }
}

/// Whom nobody can be with here may be in the game elsewhere: the store knows.
fn not_here(step: Step<'_>, own: &mut Party<'_>, known: Option<&Known>) -> Stop {
    match (step, known, own.inner.seat()) {
        (Step::Invite(invite), None, _) => Stop::Ask(Inquiry::Door(invite.to.clone())),
        (_, Some(Known::Door(door)), Some(seat)) => TradeRefused::of_absent(door, &seat.owner).into(),
        _ => TradeRefused::NotLoaded.into(),
    }
}
