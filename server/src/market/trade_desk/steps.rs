//! The steps of a trade, each under the desk's lock and the locks of its players.

use super::{
    super::{
        Party,
        trade::{Accepted, End, Side, Trade, Who},
    },
    Entered,
};
use crate::{
    engine::{
        change::{Changes, Nature, Stack},
        exchange::{self, Unfit},
        moment::Moment,
        offer::Offer,
        refusal::Refusal,
    },
    ledger::entry::{Actor, Asked, Reason},
    roster::{
        cell::{Cell, Seat},
        inbox::{Door, Owner, ReadError},
        record::{Half, Note},
    },
};
use holdall_protocol::{
    ids::{PlayerId, Revision, TradeId},
    message::{self, Cause, TradeAmount, TradeEnd, TradeOffer},
};
use std::{sync::Arc, time::Duration};

/// What a player wants of a trade.
#[derive(Debug, Clone, PartialEq)]
pub enum Wish {
    /// To trade with somebody.
    Invite(PlayerId),
    /// To take an invite, or not.
    Answer(TradeId, bool),
    /// To put this up, in place of whatever was.
    Offer(TradeId, Offer),
    /// To exchange, if the offers are still of this revision.
    Accept(TradeId, u64),
    /// To end it.
    Cancel(TradeId),
}

/// What became of a wish.
#[derive(Debug, Clone, PartialEq)]
pub enum Done {
    /// The trade stands so now; the other player was told.
    Seen(Box<message::Trade>),
    /// Everything changed hands, and the request was answered by the record.
    Settled,
}

/// Why a wish was not granted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TradeRefused {
    /// The rules say no.
    #[error(transparent)]
    Rules(#[from] Refusal),
    /// The rules say no because of the other player's things or bag.
    #[error("{player}: {refusal}")]
    Partner {
        /// The other player.
        player: PlayerId,
        /// The rule.
        refusal: Refusal,
    },
    /// The other player is not in the game.
    #[error("the other player is not in the game")]
    NotLoaded,
    /// The other player is in the game, and another process has them.
    #[error("the other player is on another server")]
    Elsewhere,
    /// Nobody of that name was ever born.
    #[error("there is no such player")]
    NoSuchPlayer,
    /// One of the two has a trade open.
    #[error("{0} is trading already")]
    Busy(PlayerId),
    /// The other player has switched invites off.
    #[error("the other player does not accept invites")]
    NotAccepting,
    /// Too many invites wait for the other player, or one of this player's.
    #[error("{0}")]
    TooMany(&'static str),
    /// Too many invites.
    #[error("too many invites")]
    TooOften(Duration),
    /// No such trade, or somebody else's.
    #[error("there is no such trade of yours")]
    NotFound,
    /// The offers have changed since.
    #[error("the offers have changed")]
    Changed,
    /// The trade is over.
    #[error("the trade is over")]
    Closed,
    /// The trade is not so far, or farther.
    #[error("the trade {0}")]
    WrongStage(&'static str),
    /// The store is away.
    #[error("the store is away; nothing was applied")]
    StoreAway,
}

impl TradeRefused {
    /// Why nobody can be invited who is not here, by what the store says of them. `own` is the token of whoever asks.
    #[must_use]
    pub fn of_absent(door: &Result<Door, ReadError>, own: &Owner) -> Self {
        match door {
            Ok(Door { exists: false, .. }) => Self::NoSuchPlayer,
            Ok(Door { owner: Some(owner), .. }) if owner.node() != own.node() => Self::Elsewhere,
            Err(ReadError::Unavailable(_)) => Self::StoreAway,
            // A damaged inbox says nothing of where its owner is.
            Ok(_) | Err(ReadError::Unreadable(_) | ReadError::Exists) => Self::NotLoaded,
        }
    }
}

const LOST: End = End::Closed(TradeEnd::Lost);

/// A step under way: whose it is, in which trade, and with whom.
struct Step<'p, 'a> {
    trade: Trade,
    who: Who,
    own: &'p mut Party<'a>,
    other: &'p mut Party<'a>,
}

impl Entered<'_> {
    /// Grants a wish of a player who is ready and whose request `asked` is new. `other` is the cell of whom it names, or
    /// of the trade's other player, if there is one.
    ///
    /// # Errors
    /// [`TradeRefused`]; then nothing has changed, except that a trade which lost a player is closed.
    pub fn grant<'a>(
        &mut self,
        wish: Wish,
        own: &mut Party<'a>,
        other: Option<&mut Party<'a>>,
        asked: Asked,
    ) -> Result<Done, TradeRefused> {
        match wish {
            Wish::Invite(to) => self.invite(&to, own, other),
            Wish::Answer(trade, yes) => {
                let step = self.step(trade, own, other)?;
                self.answer(step, yes)
            }
            Wish::Offer(trade, offer) => {
                let step = self.step(trade, own, other)?;
                self.offer(step, offer)
            }
            Wish::Accept(trade, seen) => {
                let step = self.step(trade, own, other)?;
                self.accept(step, seen, asked)
            }
            Wish::Cancel(trade) => {
                let Step { trade, who, own, other } = self.step(trade, own, other)?;
                Ok(self.end(&trade, who, (own, other), TradeEnd::Cancelled))
            }
        }
    }

    /// Counts an invite against the bounds of whoever sends it.
    ///
    /// # Errors
    /// [`TradeRefused::TooOften`].
    pub fn count_invite(&self, own: &Cell, to: &PlayerId) -> Result<(), TradeRefused> {
        own.allowance.invite(to, self.desk.options().invites).map_err(TradeRefused::TooOften)
    }

    fn invite(
        &mut self,
        to: &PlayerId,
        own: &mut Party<'_>,
        other: Option<&mut Party<'_>>,
    ) -> Result<Done, TradeRefused> {
        let options = self.desk.options();
        if own.cell.id == *to {
            return Err(Refusal::SamePlayer.into());
        }
        let other = other.ok_or(TradeRefused::NotLoaded)?;
        let invited =
            other.inner.seat().filter(|seat| seat.revision != Revision::ZERO).ok_or(TradeRefused::NotLoaded)?;
        if !invited.takes_invites() {
            return Err(TradeRefused::NotAccepting);
        }
        for player in [&own.cell.id, to] {
            if self.floor.is_busy(player) {
                return Err(TradeRefused::Busy(player.clone()));
            }
        }
        let is_to_them = |trade: &&Trade| trade.side(Who::Invited).player == *to;
        if self.floor.of(&own.cell.id).any(|trade| is_to_them(&trade)) {
            return Err(TradeRefused::TooMany("an invite to this player waits for its answer already"));
        }
        if self.floor.of(to).filter(is_to_them).count() >= options.incoming_max {
            return Err(TradeRefused::TooMany("too many invites wait for this player's answer"));
        }
        let load = own.inner.seat().expect("admitted under this lock").incarnation;
        let roster = &self.desk.roster;
        let id = TradeId::new(roster.dice.clone().uuid(roster.clock.now_ms()));
        let (inviter, invited) = (Side::new(own.cell.id.clone(), load), Side::new(to.clone(), invited.incarnation));
        let trade = Trade::new(id, inviter, invited, self.desk.expiry(options.invite_expiry));
        self.floor.insert(trade.clone());
        self.desk.wake.notify_one();
        Ok(self.tell(&trade, Who::Inviter, (own, other)))
    }

    /// The trade, if this player takes part in it and both are still the players who began it.
    fn step<'p, 'a>(
        &mut self,
        trade: TradeId,
        own: &'p mut Party<'a>,
        other: Option<&'p mut Party<'a>>,
    ) -> Result<Step<'p, 'a>, TradeRefused> {
        let known = self.floor.get(trade).and_then(|known| Some((known.clone(), known.who(&own.cell.id)?)));
        let Some((trade, who)) = known else {
            let ended = self.floor.has_ended(trade, &own.cell.id);
            return Err(if ended { TradeRefused::Closed } else { TradeRefused::NotFound });
        };
        let takes_part = |party: &mut Party<'_>, who| {
            party.inner.seat().is_some_and(|seat| seat.incarnation == trade.side(who).load)
        };
        if let Some(other) = other {
            if takes_part(own, who) && takes_part(other, who.other()) {
                return Ok(Step { trade, who, own, other });
            }
            self.desk.roster.end_trade(other.inner, &trade, who.other(), LOST);
        }
        self.remove(trade.id, LOST);
        self.desk.roster.end_trade(own.inner, &trade, who, LOST);
        Err(TradeRefused::Closed)
    }

    fn answer(&mut self, step: Step<'_, '_>, yes: bool) -> Result<Done, TradeRefused> {
        let Step { mut trade, who, own, other } = step;
        match who {
            Who::Invited if !trade.is_open() => {}
            Who::Invited => return Err(TradeRefused::WrongStage("is open already")),
            Who::Inviter => return Err(TradeRefused::WrongStage("waits for the other player's answer")),
        }
        if !yes {
            return Ok(self.end(&trade, who, (own, other), TradeEnd::Declined));
        }
        for player in trade.players() {
            if self.floor.is_busy(player) {
                return Err(TradeRefused::Busy(player.clone()));
            }
        }
        trade.open(self.desk.expiry(self.desk.options().trade_expiry));
        self.floor.update(&trade);
        // It may end before the invite would have.
        self.desk.wake.notify_one();
        Ok(self.tell(&trade, who, (own, other)))
    }

    fn offer(&mut self, step: Step<'_, '_>, offer: Offer) -> Result<Done, TradeRefused> {
        let Step { mut trade, who, own, other } = step;
        if !trade.is_open() {
            return Err(TradeRefused::WrongStage("is not open yet"));
        }
        let seat = own.inner.seat().expect("found in the game under this lock");
        seat.player.lock(offer, &self.desk.roster.rules())?;
        trade.offer(who, shown(seat), self.desk.expiry(self.desk.options().trade_expiry));
        self.floor.update(&trade);
        Ok(self.tell(&trade, who, (own, other)))
    }

    fn accept(&mut self, step: Step<'_, '_>, seen: u64, asked: Asked) -> Result<Done, TradeRefused> {
        let Step { mut trade, who, own, other } = step;
        if !trade.is_open() {
            return Err(TradeRefused::WrongStage("is not open yet"));
        }
        match trade.accept(who, seen).map_err(|_| TradeRefused::Changed)? {
            Accepted::Waiting => {
                self.floor.update(&trade);
                Ok(self.tell(&trade, who, (own, other)))
            }
            Accepted::Both => {
                self.settle(&trade, (own, other), asked)?;
                self.remove(trade.id, End::Settled);
                let roster = &self.desk.roster;
                roster.end_trade(own.inner, &trade, who, End::Settled);
                roster.end_trade(other.inner, &trade, who.other(), End::Settled);
                // What has left a bag makes room for gifts that had found none.
                roster.look_again(own.cell, own.inner);
                roster.look_again(other.cell, other.inner);
                Ok(Done::Settled)
            }
        }
    }

    /// Exchanges what both have put up: one record of both, durable whole or not at all.
    fn settle(
        &self,
        trade: &Trade,
        (own, other): (&mut Party<'_>, &mut Party<'_>),
        asked: Asked,
    ) -> Result<(), TradeRefused> {
        let roster = &self.desk.roster;
        if !roster.journal.has_room() {
            return Err(TradeRefused::StoreAway);
        }
        let rules = roster.rules();
        let mut dice = roster.dice.clone();
        let mut moment = Moment::new(roster.clock.now_ms(), &mut dice);
        let mut changes = <[Changes; 2]>::default();
        let seats = (own.inner.seat(), other.inner.seat());
        let (Some(one), Some(two)) = seats else { unreachable!("both were found in the game under these locks") };
        exchange::settle(&mut one.player, &mut two.player, &rules, &mut moment, &mut changes).map_err(
            |Unfit { whose, refusal }| match whose {
                exchange::Side::One => refusal.into(),
                exchange::Side::Other => TradeRefused::Partner { player: other.cell.id.clone(), refusal },
            },
        )?;
        let [given, received] = &changes;
        let note = |asked| Note { actor: Actor::Player(own.cell.id.clone()), reason: Reason::Trade, asked };
        let (own_note, other_note) = (note(Some(asked)), note(None));
        roster.record_two(
            Half { player: &own.cell.id, inner: own.inner, changes: given, note: own_note },
            Half { player: &other.cell.id, inner: other.inner, changes: received, note: other_note },
            Cause::Trade { trade: trade.id, with: own.cell.id.clone() },
        );
        Ok(())
    }

    /// Ends a trade by the wish of one side.
    fn end(&mut self, trade: &Trade, who: Who, (own, other): (&mut Party<'_>, &mut Party<'_>), why: TradeEnd) -> Done {
        let end = End::Closed(why);
        self.remove(trade.id, end);
        self.desk.roster.end_trade(other.inner, trade, who.other(), end);
        let view = trade.ended(who, end);
        if let Some(seat) = own.inner.seat() {
            if trade.is_open() {
                seat.player.unlock();
            }
            seat.note_trade(&view);
        }
        Done::Seen(Box::new(view))
    }

    /// How the trade stands after a step: told to the other side, and the answer to the one who took it.
    fn tell(&self, trade: &Trade, who: Who, (own, other): (&mut Party<'_>, &mut Party<'_>)) -> Done {
        self.desk.roster.tell_trade(other.inner, trade.seen_by(who.other()));
        let view = trade.seen_by(who);
        if let Some(seat) = own.inner.seat() {
            seat.note_trade(&view);
        }
        Done::Seen(Box::new(view))
    }
}

/// What a player has put up, as both are shown it.
fn shown(seat: &Seat) -> TradeOffer {
    let Offer { items, currencies } = seat.player.locked();
    let items = items.iter().filter_map(|(instance, units)| {
        let Stack { instance, acquired_at, nature, .. } = seat.player.stack(*instance)?.clone();
        let Nature { item, attributes, beyond: _ } = Arc::unwrap_or_clone(nature);
        Some(message::Stack { instance, item, quantity: units.get(), acquired_at, attributes })
    });
    let currencies =
        currencies.iter().map(|(currency, amount)| TradeAmount { currency: currency.clone(), amount: amount.get() });
    TradeOffer { items: items.collect(), currencies: currencies.collect(), accepted: false }
}
