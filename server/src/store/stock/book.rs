//! The rules of stocks, for backends that are written in Rust: what a deed does, over the rows in which a backend keeps it.
//!
//! Called inside a backend's own atomic step. Decides nothing but by what [`Book`] holds and the time it is handed.

use super::{
    Act, AuditEntry, Claim, ClaimId, Deed, Done, Event, Hold, Holder, Known, Purchase, Reservation, State, Stock,
    StockError, Swept, Tally,
};
use crate::store::Owner;
use holdall_protocol::{
    NUMBER_MAX,
    ids::{PlayerId, ReservationId, SkuId},
};
use serde::{Deserialize, Serialize};
use std::{num::NonZeroU64, sync::Arc};

/// A hold as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::store) struct Row {
    /// What is told of it.
    pub(in crate::store) reservation: Reservation,
    /// Who pays; with the state `Claimed` only.
    pub(in crate::store) claim: Option<(ClaimId, Owner)>,
}

/// Where a backend keeps stocks. Everything happens in the order it is called, all of it or nothing.
pub(in crate::store) trait Book {
    /// The backend failed, or the answer is a no.
    type Error: From<StockError>;

    fn stock(&self, sku: &SkuId) -> Result<Option<Stock>, Self::Error>;
    fn set_stock(&mut self, stock: &Stock) -> Result<(), Self::Error>;
    fn hold(&self, id: ReservationId) -> Result<Option<Row>, Self::Error>;
    /// Keeps a hold, and its place among those that [`Book::due`], [`Book::claimed`] and [`Book::holds_of`] look through.
    fn set_hold(&mut self, row: &Row) -> Result<(), Self::Error>;
    /// Active holds on a SKU that have run out by then, the earliest first.
    fn due(&self, sku: &SkuId, now: u64) -> Result<Vec<ReservationId>, Self::Error>;
    /// Active holds on a SKU.
    fn active(&self, sku: &SkuId) -> Result<Vec<ReservationId>, Self::Error>;
    /// Claimed holds on a SKU.
    fn claimed(&self, sku: &SkuId) -> Result<Vec<ReservationId>, Self::Error>;
    /// How many holds of a holder are open.
    fn holds_of(&self, holder: &Holder) -> Result<u64, Self::Error>;
    /// Units that a player has held or bought.
    fn units(&self, sku: &SkuId, player: &PlayerId) -> Result<u64, Self::Error>;
    fn set_units(&mut self, sku: &SkuId, player: &PlayerId, units: u64) -> Result<(), Self::Error>;
    /// A SKU begins anew: nobody has bought any of it.
    fn forget_units(&mut self, sku: &SkuId) -> Result<(), Self::Error>;
    fn add_audit(&mut self, entry: AuditEntry) -> Result<(), Self::Error>;
    /// What is kept under a key: the hash of what was asked for, and the answer where it is to a deed.
    fn kept(&self, key: &str) -> Result<Option<(u64, Option<Done>)>, Self::Error>;
    fn keep(&mut self, key: &str, hash: u64, done: &Done, now: u64) -> Result<(), Self::Error>;
    /// Who may write a player.
    fn owner(&self, player: &PlayerId) -> Result<Option<Owner>, Self::Error>;
    /// Nobody may any more.
    fn disown(&mut self, player: &PlayerId) -> Result<(), Self::Error>;
}

/// When something happens, and where it is counted.
#[derive(Clone, Copy)]
pub(in crate::store) struct Moment<'t> {
    /// In milliseconds since 1970.
    pub(in crate::store) now: u64,
    pub(in crate::store) tally: &'t Tally,
}

/// One deed at one time.
struct Desk<'b, B> {
    book: &'b mut B,
    now: u64,
    why: Option<Arc<str>>,
    /// Where nobody is, whoever called counts.
    tally: Option<&'b Tally>,
}

/// Does a deed. After a refusal nothing but holds that ran out has changed.
pub(in crate::store) fn run<B: Book>(book: &mut B, deed: &Deed, moment: Moment<'_>) -> Result<Done, B::Error> {
    let Moment { now, tally } = moment;
    let key = deed.key.as_ref().map(|key| (key.to_string(), deed.hash()));
    if let Some((key, hash)) = &key
        && let Some((kept, done)) = book.kept(key)?
    {
        return Ok(done.filter(|_| kept == *hash).ok_or(StockError::KeyTaken)?);
    }
    let why = deed.why_told().map(Into::into);
    let done = Desk { book: &mut *book, now, why, tally: Some(tally) }.act(&deed.act)?;
    if let Some((key, hash)) = key {
        book.keep(&key, hash, &done, now)?;
    }
    Ok(done)
}

/// Lets go of what has run out on one SKU, and of claims whose token `stands` says can write nothing any more. Claims under a
/// token that `is_ours` are told.
pub(in crate::store) fn sweep<B: Book>(
    book: &mut B,
    sku: &SkuId,
    Moment { now, tally }: Moment<'_>,
    (stands, is_ours): (impl Fn(&Owner) -> bool, impl Fn(&Owner) -> bool),
) -> Result<Swept, B::Error> {
    let mut swept = Swept::default();
    for id in book.claimed(sku)? {
        let Some(Row { reservation, claim: Some((attempt, token)) }) = book.hold(id)? else { continue };
        let Holder::Player(player) = &reservation.holder else { continue };
        let is_owner = book.owner(player)?.as_ref() == Some(&token);
        if is_owner && stands(&token) {
            if is_ours(&token) {
                swept.claims.push(Claim { reservation: id, id: attempt, player: player.clone(), owner: token });
            }
            continue;
        }
        if is_owner {
            book.disown(player)?;
        }
        Desk { book: &mut *book, now, why: None, tally: None }.unclaim(reservation)?;
        swept.undone = swept.undone.saturating_add(1);
    }
    swept.expired = Desk { book, now, why: None, tally: Some(tally) }.expire(sku)?;
    Ok(swept)
}

/// Whether a purchase can be written under this token.
pub(in crate::store) fn is_payable<B: Book>(
    book: &B,
    (player, owner): (&PlayerId, &Owner),
    purchase: &Purchase,
) -> Result<bool, B::Error> {
    let Some(Row { reservation, claim }) = book.hold(purchase.reservation)? else { return Ok(false) };
    let theirs = matches!(&reservation.holder, Holder::Player(holder) if holder == player);
    let payable = match reservation.state {
        State::Claimed => claim.is_some_and(|(_, token)| token == *owner),
        State::Active => true,
        State::Confirmed | State::Released | State::Expired => false,
    };
    let stock = book.stock(&purchase.sku)?;
    let there = stock.is_some_and(|stock| stock.without(&reservation).is_ok());
    Ok(theirs && payable && there && reservation.sku == purchase.sku)
}

/// Writes a purchase that [`is_payable`]; whoever commits counts it.
pub(in crate::store) fn pay<B: Book>(book: &mut B, purchase: &Purchase, now: u64) -> Result<(), B::Error> {
    let row = book.hold(purchase.reservation)?.ok_or(StockError::NoSuchReservation)?;
    Desk { book, now, why: None, tally: None }.confirm(row.reservation).map(|_| ())
}

impl<B: Book> Desk<'_, B> {
    fn act(&mut self, act: &Act) -> Result<Done, B::Error> {
        match act {
            Act::Seed { sku, quantity, known } => self.seed(sku, *quantity, *known),
            Act::Restock { sku, quantity } => self.restock(sku, *quantity),
            Act::Hold(hold) => self.hold(hold),
            Act::Confirm { reservation } => {
                let reservation = self.open(*reservation)?;
                match reservation.holder {
                    Holder::Player(_) => Err(StockError::Players)?,
                    Holder::Cart(_) => self.confirm(reservation),
                }
            }
            Act::Release { reservation, of } => self.release(*reservation, of.as_ref()),
            Act::Claim(claim) => self.claim(claim),
            Act::Unclaim { reservation, claim } => self.take_back(*reservation, *claim),
        }
    }

    fn seed(&mut self, sku: &SkuId, quantity: u64, known: Known) -> Result<Done, B::Error> {
        if quantity > NUMBER_MAX {
            Err(StockError::TooLarge)?;
        }
        self.expire(sku)?;
        if let Some(stock) = self.book.stock(sku)? {
            match known {
                Known::Leave => return Ok(Done::Stock(stock)),
                Known::Reset if stock.holds > 0 => Err(StockError::HoldsOpen { holds: stock.holds })?,
                Known::Force if !self.book.claimed(sku)?.is_empty() => Err(StockError::Claimed)?,
                Known::Reset | Known::Force => self.release_all(sku)?,
            }
            self.book.forget_units(sku)?;
        }
        let stock = Stock {
            sku: sku.clone(),
            total: quantity,
            available: quantity,
            reserved: 0,
            confirmed: 0,
            holds: 0,
            updated_at: self.now,
        };
        self.note_stock(Event::Seed, stock, quantity)
    }

    fn restock(&mut self, sku: &SkuId, quantity: NonZeroU64) -> Result<Done, B::Error> {
        self.expire(sku)?;
        let mut stock = self.book.stock(sku)?.ok_or(StockError::NoSuchSku)?;
        let total = stock.total.checked_add(quantity.get()).filter(|total| *total <= NUMBER_MAX);
        stock.total = total.ok_or(StockError::TooLarge)?;
        stock.available = stock.available.saturating_add(quantity.get());
        stock.updated_at = self.now;
        self.note_stock(Event::Restock, stock, quantity.get())
    }

    fn hold(&mut self, hold: &Hold) -> Result<Done, B::Error> {
        let quantity = hold.quantity.get();
        self.expire(&hold.sku)?;
        let mut stock = self.book.stock(&hold.sku)?.ok_or(StockError::NoSuchSku)?;
        let holds = self.book.holds_of(&hold.holder)?;
        if holds >= u64::from(hold.holds_max) {
            Err(StockError::TooManyHolds { holds })?;
        }
        let insufficient = StockError::Insufficient { available: stock.available };
        stock.available = stock.available.checked_sub(quantity).ok_or(insufficient)?;
        if let Holder::Player(player) = &hold.holder {
            let units = self.book.units(&hold.sku, player)?;
            let then = units.saturating_add(quantity);
            if let Some(max) = hold.units_max.filter(|max| then > u64::from(max.get())) {
                Err(StockError::TooManyUnits { units, max: max.get() })?;
            }
            self.book.set_units(&hold.sku, player, then)?;
        }
        stock.reserved = stock.reserved.saturating_add(quantity);
        stock.holds = stock.holds.saturating_add(1);
        stock.updated_at = self.now;
        self.book.set_stock(&stock)?;
        let time = u64::try_from(hold.time.as_millis()).unwrap_or(u64::MAX);
        let reservation = Reservation {
            id: hold.id,
            sku: hold.sku.clone(),
            holder: hold.holder.clone(),
            quantity: hold.quantity,
            state: State::Active,
            expires_at: self.now.saturating_add(time),
            created_at: self.now,
            updated_at: self.now,
            terms: hold.terms.clone(),
        };
        self.note_hold(Event::Hold, reservation)
    }

    fn release(&mut self, id: ReservationId, of: Option<&PlayerId>) -> Result<Done, B::Error> {
        if let Some(player) = of
            && self.book.hold(id)?.is_none_or(|row| row.reservation.holder != Holder::Player(player.clone()))
        {
            Err(StockError::NoSuchReservation)?;
        }
        let reservation = self.open(id)?;
        self.give_back(reservation, State::Released, Event::Release)
    }

    fn claim(&mut self, claim: &Claim) -> Result<Done, B::Error> {
        let holder = Holder::Player(claim.player.clone());
        let row = self.book.hold(claim.reservation)?.filter(|row| row.reservation.holder == holder);
        let row = row.ok_or(StockError::NoSuchReservation)?;
        if self.book.owner(&claim.player)?.as_ref() != Some(&claim.owner) {
            Err(StockError::NotOwner)?;
        }
        let ours = Some((claim.id, claim.owner.clone()));
        if row.reservation.state == State::Claimed {
            if row.claim == ours {
                return Ok(Done::Reservation(row.reservation));
            }
            // Under another token nobody can write this player any more.
            if row.claim.is_some_and(|(_, token)| token != claim.owner) {
                self.unclaim(row.reservation)?;
            }
        }
        let mut reservation = self.open(claim.reservation)?;
        reservation.state = State::Claimed;
        reservation.updated_at = self.now;
        let row = Row { reservation, claim: ours };
        self.book.set_hold(&row)?;
        Ok(Done::Reservation(row.reservation))
    }

    fn take_back(&mut self, id: ReservationId, claim: ClaimId) -> Result<Done, B::Error> {
        let Row { reservation, claim: claimed } = self.book.hold(id)?.ok_or(StockError::NoSuchReservation)?;
        if reservation.state != State::Claimed || claimed.is_none_or(|(attempt, _)| attempt != claim) {
            return Ok(Done::Reservation(reservation));
        }
        let sku = reservation.sku.clone();
        self.unclaim(reservation)?;
        self.expire(&sku)?;
        let row = self.book.hold(id)?.ok_or(StockError::NoSuchReservation)?;
        Ok(Done::Reservation(row.reservation))
    }

    /// A hold that can be confirmed, released or claimed now.
    fn open(&mut self, id: ReservationId) -> Result<Reservation, B::Error> {
        let row = self.book.hold(id)?.ok_or(StockError::NoSuchReservation)?;
        self.expire(&row.reservation.sku)?;
        let row = self.book.hold(id)?.ok_or(StockError::NoSuchReservation)?;
        match row.reservation.state {
            State::Active => Ok(row.reservation),
            State::Claimed => Err(StockError::Claimed)?,
            ended @ (State::Confirmed | State::Released | State::Expired) => Err(StockError::NotActive(ended))?,
        }
    }

    /// Lets go of what has run out; answers how many holds.
    fn expire(&mut self, sku: &SkuId) -> Result<u64, B::Error> {
        let mut expired = 0_u64;
        for id in self.book.due(sku, self.now)? {
            let row = self.book.hold(id)?.ok_or(StockError::NoSuchReservation)?;
            self.give_back(row.reservation, State::Expired, Event::Expired)?;
            expired = expired.saturating_add(1);
        }
        Ok(expired)
    }

    fn release_all(&mut self, sku: &SkuId) -> Result<(), B::Error> {
        for id in self.book.active(sku)? {
            let row = self.book.hold(id)?.ok_or(StockError::NoSuchReservation)?;
            self.give_back(row.reservation, State::Released, Event::Release)?;
        }
        Ok(())
    }

    /// reserved → available.
    fn give_back(&mut self, mut reservation: Reservation, state: State, event: Event) -> Result<Done, B::Error> {
        let quantity = reservation.quantity.get();
        let mut stock = self.without(&reservation)?;
        stock.available = stock.available.saturating_add(quantity);
        self.book.set_stock(&stock)?;
        if let Holder::Player(player) = &reservation.holder {
            let units = self.book.units(&reservation.sku, player)?.saturating_sub(quantity);
            self.book.set_units(&reservation.sku, player, units)?;
        }
        reservation.state = state;
        self.note_hold(event, reservation)
    }

    /// reserved → confirmed.
    fn confirm(&mut self, mut reservation: Reservation) -> Result<Done, B::Error> {
        let mut stock = self.without(&reservation)?;
        stock.confirmed = stock.confirmed.saturating_add(reservation.quantity.get());
        self.book.set_stock(&stock)?;
        reservation.state = State::Confirmed;
        self.note_hold(Event::Confirm, reservation)
    }

    /// The stock of an open hold without it: its units are in nobody's column yet.
    fn without(&self, reservation: &Reservation) -> Result<Stock, B::Error> {
        let stock = self.book.stock(&reservation.sku)?.ok_or(StockError::NoSuchSku)?;
        Ok(Stock { updated_at: self.now, ..stock.without(reservation)? })
    }

    /// claimed → active.
    fn unclaim(&mut self, mut reservation: Reservation) -> Result<(), B::Error> {
        reservation.state = State::Active;
        reservation.updated_at = self.now;
        self.book.set_hold(&Row { reservation, claim: None })
    }

    fn note_stock(&mut self, event: Event, stock: Stock, quantity: u64) -> Result<Done, B::Error> {
        self.book.set_stock(&stock)?;
        self.note(AuditEntry {
            event,
            sku: stock.sku.clone(),
            reservation: None,
            holder: None,
            quantity,
            state: None,
            why: self.why.clone(),
            at: self.now,
        })?;
        Ok(Done::Stock(stock))
    }

    /// Keeps a hold in its new state, in which nobody pays, and why. Time alone is why a hold ran out, whatever let go of it.
    fn note_hold(&mut self, event: Event, mut reservation: Reservation) -> Result<Done, B::Error> {
        reservation.updated_at = self.now;
        let row = Row { reservation, claim: None };
        self.book.set_hold(&row)?;
        let reservation = row.reservation;
        self.note(AuditEntry {
            event,
            sku: reservation.sku.clone(),
            reservation: Some(reservation.id),
            holder: Some(reservation.holder.clone()),
            quantity: reservation.quantity.get(),
            state: Some(reservation.state),
            why: self.why.clone().filter(|_| event != Event::Expired),
            at: self.now,
        })?;
        Ok(Done::Reservation(reservation))
    }

    fn note(&mut self, entry: AuditEntry) -> Result<(), B::Error> {
        if let Some(tally) = self.tally {
            tally.add(entry.event, 1);
        }
        self.book.add_audit(entry)
    }
}

impl Stock {
    /// Without an open hold: its units are in nobody's column yet.
    fn without(&self, reservation: &Reservation) -> Result<Self, StockError> {
        let columns = self.available.checked_add(self.reserved).and_then(|sum| sum.checked_add(self.confirmed));
        let reserved = self.reserved.checked_sub(reservation.quantity.get());
        let (Some(reserved), Some(holds), true) = (reserved, self.holds.checked_sub(1), columns == Some(self.total))
        else {
            return Err(StockError::Unreadable(format!("the units of {} do not add up", self.sku)));
        };
        Ok(Self { reserved, holds, ..self.clone() })
    }
}
