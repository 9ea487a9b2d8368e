//! The tables of stocks, and the rules' view of them inside the writer's transaction.

use super::super::{HeaderRow, answers::Answers, put_header, snapshot};
use crate::store::{
    Owner, ReadError,
    stock::{
        AuditEntry, Done, Holder, Reservation, State, Stock, StockError,
        book::{Book, Row},
    },
};
use holdall_protocol::ids::{PlayerId, ReservationId, SkuId};
use redb::{AccessGuard, ReadableTable, StorageError, Table, TableDefinition, WriteTransaction};
use serde::{Serialize, de::DeserializeOwned};
use std::ops::RangeInclusive;

/// SKU → [`Stock`].
pub(super) const STOCKS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("stocks");
/// Hold → [`Row`]. One that is closed stays for good, as the audit does: whoever made it may ask for its end at any time.
pub(super) const HOLDS: TableDefinition<'_, u128, &[u8]> = TableDefinition::new("holds");
/// SKU, [`place_of`] a state, when it ends, hold: those that are open, the earliest first.
pub(super) const OPEN: TableDefinition<'_, (&str, u8, u64, u128), ()> = TableDefinition::new("holds_open");
/// Holder, when it was made, hold: those that are open, the oldest first.
pub(super) const HOLDERS: TableDefinition<'_, (&str, u64, u128), ()> = TableDefinition::new("holds_of");
/// SKU, player → units held or bought.
pub(super) const UNITS: TableDefinition<'_, (&str, &str), u64> = TableDefinition::new("units");
/// Number → [`AuditEntry`], the newest last.
pub(super) const AUDIT: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("stock_audit");
/// SKU, number: one SKU's entries.
pub(super) const AUDIT_OF_SKU: TableDefinition<'_, (&str, u64), ()> = TableDefinition::new("stock_audit_of");

/// Why something was not done.
pub(in crate::store::embedded) enum Failure<E> {
    /// The disk failed; the transaction is lost.
    Disk(redb::Error),
    /// The answer is a no.
    No(E),
}

impl<E> Failure<E> {
    /// What the writer has to know, around what the caller has.
    pub(in crate::store::embedded) fn sort<T>(result: Result<T, Self>) -> Result<Result<T, E>, redb::Error> {
        match result {
            Ok(answer) => Ok(Ok(answer)),
            Err(Self::No(error)) => Ok(Err(error)),
            Err(Self::Disk(error)) => Err(error),
        }
    }
}

impl<E> From<redb::Error> for Failure<E> {
    fn from(error: redb::Error) -> Self {
        Self::Disk(error)
    }
}

impl<E> From<redb::StorageError> for Failure<E> {
    fn from(error: redb::StorageError) -> Self {
        Self::Disk(error.into())
    }
}

impl From<StockError> for Failure<StockError> {
    fn from(error: StockError) -> Self {
        Self::No(error)
    }
}

/// All of them, open for writing.
pub(in crate::store::embedded) struct Shop<'t> {
    pub(super) stocks: Table<'t, &'static str, &'static [u8]>,
    pub(super) holds: Table<'t, u128, &'static [u8]>,
    pub(super) open: Table<'t, (&'static str, u8, u64, u128), ()>,
    pub(super) holders: Table<'t, (&'static str, u64, u128), ()>,
    pub(super) units: Table<'t, (&'static str, &'static str), u64>,
    pub(super) audit: Table<'t, u64, &'static [u8]>,
    pub(super) audit_of_sku: Table<'t, (&'static str, u64), ()>,
}

impl<'t> Shop<'t> {
    /// Makes those that are not there yet, too.
    pub(in crate::store::embedded) fn open(write: &'t WriteTransaction) -> Result<Self, redb::Error> {
        Ok(Self {
            stocks: write.open_table(STOCKS)?,
            holds: write.open_table(HOLDS)?,
            open: write.open_table(OPEN)?,
            holders: write.open_table(HOLDERS)?,
            units: write.open_table(UNITS)?,
            audit: write.open_table(AUDIT)?,
            audit_of_sku: write.open_table(AUDIT_OF_SKU)?,
        })
    }

    /// A player's open holds, the oldest first.
    pub(in crate::store::embedded) fn holds_of(
        &self,
        player: &PlayerId,
    ) -> Result<Vec<Reservation>, Failure<ReadError>> {
        let holder = Holder::Player(player.clone()).to_string();
        let mut holds = Vec::new();
        for entry in self.holders.range(of_holder(&holder))? {
            let (_, _, id) = entry?.0.value();
            holds.push(listed(&self.holds, reservation_id(id))?.reservation);
        }
        Ok(holds)
    }
}

/// The tables that a deed may change.
pub(in crate::store::embedded) struct Counter<'a, 't> {
    pub(in crate::store::embedded) players: &'a mut Table<'t, &'static str, &'static [u8]>,
    pub(in crate::store::embedded) answers: &'a mut Answers<'t>,
    pub(in crate::store::embedded) shop: &'a mut Shop<'t>,
}

impl Counter<'_, '_> {
    fn in_state(&self, sku: &SkuId, state: State, until: u64) -> Result<Vec<ReservationId>, Failure<StockError>> {
        Ok(self.shop.open.range(ending(sku, state, until))?.map(id_of_open).collect::<Result<_, _>>()?)
    }
}

impl Book for Counter<'_, '_> {
    type Error = Failure<StockError>;

    fn stock(&self, sku: &SkuId) -> Result<Option<Stock>, Self::Error> {
        stock(&self.shop.stocks, sku)
    }

    fn set_stock(&mut self, stock: &Stock) -> Result<(), Self::Error> {
        self.shop.stocks.insert(stock.sku.as_str(), encode(stock).as_slice())?;
        Ok(())
    }

    fn hold(&self, id: ReservationId) -> Result<Option<Row>, Self::Error> {
        row(&self.shop.holds, id)
    }

    fn set_hold(&mut self, row: &Row) -> Result<(), Self::Error> {
        let hold = &row.reservation;
        let (id, holder) = (hold.id.uuid().as_u128(), hold.holder.to_string());
        if let Some(Row { reservation: before, .. }) = self.hold(hold.id)?
            && let Some(place) = place_of(before.state)
        {
            self.shop.open.remove((before.sku.as_str(), place, before.expires_at, id))?;
            self.shop.holders.remove((holder.as_str(), before.created_at, id))?;
        }
        if let Some(place) = place_of(hold.state) {
            self.shop.open.insert((hold.sku.as_str(), place, hold.expires_at, id), ())?;
            self.shop.holders.insert((holder.as_str(), hold.created_at, id), ())?;
        }
        self.shop.holds.insert(id, encode(row).as_slice())?;
        Ok(())
    }

    fn due(&self, sku: &SkuId, now: u64) -> Result<Vec<ReservationId>, Self::Error> {
        self.in_state(sku, State::Active, now)
    }

    fn active(&self, sku: &SkuId) -> Result<Vec<ReservationId>, Self::Error> {
        self.in_state(sku, State::Active, u64::MAX)
    }

    fn claimed(&self, sku: &SkuId) -> Result<Vec<ReservationId>, Self::Error> {
        self.in_state(sku, State::Claimed, u64::MAX)
    }

    fn holds_of(&self, holder: &Holder) -> Result<u64, Self::Error> {
        let holder = holder.to_string();
        let open = self.shop.holders.range(of_holder(&holder))?.count();
        Ok(u64::try_from(open).unwrap_or(u64::MAX))
    }

    fn units(&self, sku: &SkuId, player: &PlayerId) -> Result<u64, Self::Error> {
        Ok(self.shop.units.get((sku.as_str(), player.as_str()))?.map_or(0, |units| units.value()))
    }

    fn set_units(&mut self, sku: &SkuId, player: &PlayerId, units: u64) -> Result<(), Self::Error> {
        let key = (sku.as_str(), player.as_str());
        match units {
            0 => self.shop.units.remove(key)?,
            _ => self.shop.units.insert(key, units)?,
        };
        Ok(())
    }

    fn forget_units(&mut self, sku: &SkuId) -> Result<(), Self::Error> {
        Ok(self.shop.units.retain_in(units_of(sku), |_, _| false)?)
    }

    fn add_audit(&mut self, entry: AuditEntry) -> Result<(), Self::Error> {
        let newest = self.shop.audit.last()?.map_or(0, |(number, _)| number.value());
        let number = newest.saturating_add(1);
        self.shop.audit.insert(number, encode(&entry).as_slice())?;
        self.shop.audit_of_sku.insert((entry.sku.as_str(), number), ())?;
        Ok(())
    }

    fn kept(&self, key: &str) -> Result<Option<(u64, Option<Done>)>, Self::Error> {
        let kept = self.answers.kept.get(key)?;
        Ok(kept.map(|kept| {
            let (hash, bytes) = kept.value();
            // What was answered to an order that is no deed has another shape, and in any case another hash.
            (hash, rmp_serde::from_slice(bytes).ok())
        }))
    }

    fn keep(&mut self, key: &str, hash: u64, done: &Done, now: u64) -> Result<(), Self::Error> {
        // Writes bring times of their own: whatever they said last, this answer is kept as long from then on.
        let at = now.max(self.answers.newest()?);
        Ok(self.answers.keep([(key, hash, encode(done).as_slice())], at)?)
    }

    fn owner(&self, player: &PlayerId) -> Result<Option<Owner>, Self::Error> {
        Ok(owner(self.players, player)?)
    }

    fn disown(&mut self, player: &PlayerId) -> Result<(), Self::Error> {
        if let Ok(Some(header)) = snapshot::header(self.players, player)? {
            put_header(self.players, player, &HeaderRow { owner: None, ..header })?;
        }
        Ok(())
    }
}

/// Where a state stands in [`OPEN`], if it does.
const fn place_of(state: State) -> Option<u8> {
    match state {
        State::Active => Some(0),
        State::Claimed => Some(1),
        State::Confirmed | State::Released | State::Expired => None,
    }
}

fn encode(value: &impl Serialize) -> Vec<u8> {
    rmp_serde::to_vec(value).expect("it serialises into memory")
}

/// What was stored, or that it cannot be read.
pub(super) fn decode<T: DeserializeOwned, E: From<ReadError>>(what: &str, bytes: &[u8]) -> Result<T, Failure<E>> {
    let unreadable = |error| ReadError::Unreadable(format!("{what}: {error}"));
    rmp_serde::from_slice(bytes).map_err(|error| Failure::No(unreadable(error).into()))
}

pub(super) fn stock<E: From<ReadError>>(
    stocks: &impl ReadableTable<&'static str, &'static [u8]>,
    sku: &SkuId,
) -> Result<Option<Stock>, Failure<E>> {
    let stored = stocks.get(sku.as_str())?;
    stored.map(|bytes| decode(&format!("stock {sku}"), bytes.value())).transpose()
}

pub(super) fn row<E: From<ReadError>>(
    holds: &impl ReadableTable<u128, &'static [u8]>,
    id: ReservationId,
) -> Result<Option<Row>, Failure<E>> {
    let stored = holds.get(id.uuid().as_u128())?;
    stored.map(|bytes| decode(&format!("reservation {id}"), bytes.value())).transpose()
}

/// A hold that one of the lists names.
pub(super) fn listed<E: From<ReadError>>(
    holds: &impl ReadableTable<u128, &'static [u8]>,
    id: ReservationId,
) -> Result<Row, Failure<E>> {
    let gone = || ReadError::Unreadable(format!("reservation {id} is named as open and is not there"));
    row(holds, id)?.ok_or_else(|| Failure::No(gone().into()))
}

/// Who may write a player. What cannot be read was never loaded.
pub(super) fn owner(
    players: &impl ReadableTable<&'static str, &'static [u8]>,
    player: &PlayerId,
) -> Result<Option<Owner>, redb::Error> {
    let header = snapshot::header(players, player)?.unwrap_or_default().unwrap_or_default();
    Ok(header.owner.as_deref().map(Owner::stored))
}

pub(super) const fn reservation_id(id: u128) -> ReservationId {
    ReservationId::new(uuid::Uuid::from_u128(id))
}

/// The keys in [`OPEN`] of a SKU's holds in an open state that end by then.
pub(super) fn ending(sku: &SkuId, state: State, until: u64) -> RangeInclusive<(&str, u8, u64, u128)> {
    let place = place_of(state).expect("only open states are asked for");
    (sku.as_str(), place, 0, 0)..=(sku.as_str(), place, until, u128::MAX)
}

/// The keys in [`HOLDERS`] of a holder's open holds.
fn of_holder(holder: &str) -> RangeInclusive<(&str, u64, u128)> {
    (holder, 0, 0)..=(holder, u64::MAX, u128::MAX)
}

/// The keys in [`UNITS`] of a SKU's players.
pub(super) fn units_of(sku: &SkuId) -> RangeInclusive<(&str, &str)> {
    // The tilde comes behind every character of a player id.
    (sku.as_str(), "")..=(sku.as_str(), "~")
}

type OpenEntry<'t> = (AccessGuard<'t, (&'static str, u8, u64, u128)>, AccessGuard<'t, ()>);

/// The hold of an entry of [`OPEN`].
pub(super) fn id_of_open(entry: Result<OpenEntry<'_>, StorageError>) -> Result<ReservationId, StorageError> {
    let (_, _, _, id) = entry?.0.value();
    Ok(reservation_id(id))
}
