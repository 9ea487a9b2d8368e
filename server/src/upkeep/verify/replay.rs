//! What the audit of a SKU comes to, entry by entry.

use crate::store::stock::{AuditEntry, Event, Holder, Reservation, Stock, StockBook};
use holdall_protocol::ids::{PlayerId, ReservationId};
use std::collections::{BTreeMap, BTreeSet};

/// A SKU as its audit tells so far.
#[derive(Debug, Default)]
pub(super) struct Replay {
    total: u64,
    available: u64,
    reserved: u64,
    confirmed: u64,
    open: BTreeMap<ReservationId, (Holder, u64)>,
    /// Units that players have held or bought since it began.
    units: BTreeMap<PlayerId, u64>,
}

impl Replay {
    /// Goes on by an entry, oldest first.
    ///
    /// # Errors
    /// Why it cannot follow what came before.
    pub(super) fn enter(&mut self, entry: &AuditEntry) -> Result<(), String> {
        let quantity = entry.quantity;
        match entry.event {
            Event::Seed if self.open.is_empty() => {
                *self = Self { total: quantity, available: quantity, ..Self::default() };
                Ok(())
            }
            Event::Seed => Err(format!("it begins anew, with {} holds open", self.open.len())),
            Event::Restock => {
                self.total = self.total.saturating_add(quantity);
                self.available = self.available.saturating_add(quantity);
                Ok(())
            }
            Event::Hold => self.hold(entry),
            Event::Confirm => {
                self.end(entry)?;
                self.confirmed = self.confirmed.saturating_add(quantity);
                Ok(())
            }
            Event::Release | Event::Expired => {
                self.end(entry)?;
                self.available = self.available.saturating_add(quantity);
                if let Some(Holder::Player(player)) = &entry.holder {
                    self.add_units(player, |units| units.saturating_sub(quantity));
                }
                Ok(())
            }
        }
    }

    fn hold(&mut self, entry: &AuditEntry) -> Result<(), String> {
        let (Some(id), Some(holder)) = (entry.reservation, &entry.holder) else {
            return Err("a hold is made that is nobody's".to_owned());
        };
        let available = self.available.checked_sub(entry.quantity);
        self.available = available.ok_or_else(|| format!("{} are held of {}", entry.quantity, self.available))?;
        self.reserved = self.reserved.saturating_add(entry.quantity);
        if let Holder::Player(player) = holder {
            self.add_units(player, |units| units.saturating_add(entry.quantity));
        }
        match self.open.insert(id, (holder.clone(), entry.quantity)) {
            None => Ok(()),
            Some(_) => Err("a hold is made twice".to_owned()),
        }
    }

    /// A hold is open no longer; its units are in no column yet.
    fn end(&mut self, entry: &AuditEntry) -> Result<(), String> {
        let made = entry.reservation.and_then(|id| self.open.remove(&id));
        if made.as_ref().map(|(holder, quantity)| (Some(holder), *quantity))
            != Some((entry.holder.as_ref(), entry.quantity))
        {
            return Err(format!("{} of a hold that is not open like that", entry.event.as_str()));
        }
        self.reserved = self.reserved.saturating_sub(entry.quantity);
        Ok(())
    }

    fn add_units(&mut self, player: &PlayerId, change: impl FnOnce(u64) -> u64) {
        let units = self.units.entry(player.clone()).or_default();
        *units = change(*units);
        if *units == 0 {
            self.units.remove(player);
        }
    }

    /// Whether the stock and its open holds are what the audit says.
    pub(super) fn is(&self, book: &StockBook) -> bool {
        let Stock { total, available, reserved, confirmed, .. } = book.stock;
        let open = |hold: &Reservation| (hold.id, (hold.holder.clone(), hold.quantity.get()));
        (self.total, self.available, self.reserved, self.confirmed) == (total, available, reserved, confirmed)
            && self.open == book.open.iter().map(open).collect()
    }

    /// In words.
    pub(super) fn told(&self) -> String {
        let Self { total, available, reserved, confirmed, open, .. } = self;
        format!(
            "{available} available, {reserved} reserved by {} holds, {confirmed} confirmed, {total} in all",
            open.len()
        )
    }

    /// Players whose units are other ones, each with what there should be and what there is.
    pub(super) fn wrong_units(&self, book: &StockBook) -> Vec<(PlayerId, u64, u64)> {
        let stored: BTreeMap<&PlayerId, u64> = book.units.iter().map(|(player, units)| (player, *units)).collect();
        let players: BTreeSet<&PlayerId> = self.units.keys().chain(stored.keys().copied()).collect();
        let both = players.into_iter().map(|player| {
            let right = self.units.get(player).copied().unwrap_or(0);
            (player.clone(), right, stored.get(player).copied().unwrap_or(0))
        });
        both.filter(|(_, right, found)| right != found).collect()
    }
}
