//! Looking at stocks as one commit left them, without waiting for the writer.

use super::{
    super::{PLAYERS, snapshot::PAGE},
    tables::{
        AUDIT, AUDIT_OF_SKU, Failure, HOLDS, OPEN, STOCKS, UNITS, decode, ending, id_of_open, listed, owner,
        reservation_id, row, stock, units_of,
    },
};
use crate::store::{
    Node, Page, ReadError,
    stock::{AuditEntry, Holder, Reservation, State, Stock, StockBook, book::Row},
};
use holdall_protocol::ids::{PlayerId, ReservationId, SkuId};
use redb::{Database, ReadOnlyTable, ReadableDatabase as _, ReadableTable as _};

type Look<T> = Result<T, Failure<ReadError>>;

/// The tables as one commit left them.
pub(super) struct Snapshot {
    players: ReadOnlyTable<&'static str, &'static [u8]>,
    stocks: ReadOnlyTable<&'static str, &'static [u8]>,
    holds: ReadOnlyTable<u128, &'static [u8]>,
    open: ReadOnlyTable<(&'static str, u8, u64, u128), ()>,
    units: ReadOnlyTable<(&'static str, &'static str), u64>,
    audit: ReadOnlyTable<u64, &'static [u8]>,
    audit_of_sku: ReadOnlyTable<(&'static str, u64), ()>,
}

impl Snapshot {
    pub(super) fn open(database: &Database) -> Result<Self, redb::Error> {
        let read = database.begin_read()?;
        Ok(Self {
            players: read.open_table(PLAYERS)?,
            stocks: read.open_table(STOCKS)?,
            holds: read.open_table(HOLDS)?,
            open: read.open_table(OPEN)?,
            units: read.open_table(UNITS)?,
            audit: read.open_table(AUDIT)?,
            audit_of_sku: read.open_table(AUDIT_OF_SKU)?,
        })
    }

    /// The SKUs with holds that have run out by then, or with claims to tell of.
    pub(super) fn unswept(&self, now: u64) -> Look<Vec<SkuId>> {
        let mut skus = Vec::new();
        for sku in self.skus()? {
            let claimed = self.open.range(ending(&sku, State::Claimed, u64::MAX))?.next().is_some();
            if claimed || self.has_run_out(&sku, now)? {
                skus.push(sku);
            }
        }
        Ok(skus)
    }

    /// Whether an active hold on a SKU has run out by then, or a claimed one that nobody can pay for any more.
    pub(super) fn is_due(&self, node: &Node, sku: &SkuId, now: u64) -> Look<bool> {
        if self.has_run_out(sku, now)? {
            return Ok(true);
        }
        for id in self.open.range(ending(sku, State::Claimed, now))?.map(id_of_open) {
            if !self.may_be_paid(node, &listed(&self.holds, id?)?)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn has_run_out(&self, sku: &SkuId, now: u64) -> Look<bool> {
        Ok(self.open.range(ending(sku, State::Active, now))?.next().is_some())
    }

    fn may_be_paid(&self, node: &Node, claimed: &Row) -> Look<bool> {
        let (Some((_, token)), Holder::Player(player)) = (&claimed.claim, &claimed.reservation.holder) else {
            return Ok(false);
        };
        Ok(token.is_of(node) && owner(&self.players, player)?.as_ref() == Some(token))
    }

    pub(super) fn skus(&self) -> Look<Vec<SkuId>> {
        let mut skus = Vec::new();
        for entry in self.stocks.iter()? {
            // A key that is no SKU was not written by this program.
            skus.extend(SkuId::new(entry?.0.value()).ok());
        }
        Ok(skus)
    }

    pub(super) fn stock(&self, sku: &SkuId) -> Look<Option<Stock>> {
        stock(&self.stocks, sku)
    }

    pub(super) fn reservation(&self, id: ReservationId) -> Look<Option<Reservation>> {
        Ok(row(&self.holds, id)?.map(|row| row.reservation))
    }

    pub(super) fn holds(&self, mark: Option<&str>) -> Look<Page<Reservation>> {
        let from = mark.and_then(|mark| mark.parse().ok()).unwrap_or(0_u128);
        let (mut items, mut last) = (Vec::new(), None);
        for entry in self.holds.range(from..)?.take(PAGE) {
            let (id, bytes) = entry?;
            let row: Row = decode(&format!("reservation {}", reservation_id(id.value())), bytes.value())?;
            items.push(row.reservation);
            last = Some(id.value());
        }
        let next = last.filter(|_| items.len() == PAGE).and_then(|last| last.checked_add(1));
        Ok(Page { items, next: next.map(|next| next.to_string()) })
    }

    pub(super) fn book(&self, sku: &SkuId) -> Look<Option<StockBook>> {
        let Some(stock) = self.stock(sku)? else { return Ok(None) };
        let mut open = Vec::new();
        for state in [State::Active, State::Claimed] {
            for id in self.open.range(ending(sku, state, u64::MAX))?.map(id_of_open) {
                open.push(listed(&self.holds, id?)?.reservation);
            }
        }
        open.sort_by_key(|hold| hold.id);
        let mut units = Vec::new();
        for entry in self.units.range(units_of(sku))? {
            let (key, count) = entry?;
            let (_, player) = key.value();
            // Likewise.
            units.extend(PlayerId::new(player).ok().map(|player| (player, count.value())));
        }
        Ok(Some(StockBook { stock, open, units }))
    }

    /// The newest entries that come before the mark, which is the number of one.
    pub(super) fn audit(&self, of: Option<&SkuId>, mark: Option<&str>, limit: usize) -> Look<Page<AuditEntry>> {
        let before = mark.and_then(|mark| mark.parse().ok()).unwrap_or(u64::MAX);
        let most = limit.saturating_add(1);
        let mut numbers = Vec::new();
        match of {
            Some(sku) => {
                for entry in self.audit_of_sku.range((sku.as_str(), 0)..(sku.as_str(), before))?.rev().take(most) {
                    numbers.push(entry?.0.value().1);
                }
            }
            None => {
                for entry in self.audit.range(..before)?.rev().take(most) {
                    numbers.push(entry?.0.value());
                }
            }
        }
        let more = numbers.len() > limit;
        numbers.truncate(limit);
        let next = numbers.last().filter(|_| more).map(ToString::to_string);
        let items = numbers.into_iter().map(|number| self.audit_entry(number)).collect::<Look<_>>()?;
        Ok(Page { items, next })
    }

    fn audit_entry(&self, number: u64) -> Look<AuditEntry> {
        let what = format!("audit entry {number}");
        let entry = self.audit.get(number)?;
        let entry = entry.ok_or_else(|| ReadError::Unreadable(format!("{what} is not there"))).map_err(Failure::No)?;
        decode(&what, entry.value())
    }
}
