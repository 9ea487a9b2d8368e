//! The shop as one player was told of it: a hold brings and costs what it said when it was made.

use super::Checker;
use crate::{fault::Fault, model::Totals};
use holdall_protocol::{
    ids::ReservationId,
    message::{Hold, HoldState},
};
use std::collections::BTreeMap;

/// One player's open holds.
#[derive(Debug, Default)]
pub struct Shop(BTreeMap<ReservationId, Hold>);

impl Shop {
    /// How a hold stands.
    pub fn see(&mut self, hold: &Hold) {
        match hold.state {
            HoldState::Active => drop(self.0.insert(hold.reservation, hold.clone())),
            HoldState::Confirmed | HoldState::Released | HoldState::Expired => drop(self.0.remove(&hold.reservation)),
        }
    }

    /// A hold is not open any more, whatever became of it.
    pub fn forget(&mut self, hold: ReservationId) {
        self.0.remove(&hold);
    }

    /// All open holds, as a welcome tells them.
    pub fn begin(&mut self, holds: &[Hold]) {
        self.0 = holds.iter().map(|hold| (hold.reservation, hold.clone())).collect();
    }

    /// What paying for a hold does to the player; `None` where it is not known.
    #[must_use]
    pub fn effect(&self, hold: ReservationId) -> Option<Totals> {
        let hold = self.0.get(&hold)?;
        let mut effect = Totals::default();
        effect.add(&hold.item, i128::from(hold.quantity));
        for price in &hold.price {
            effect.add(&price.currency, -i128::from(price.amount));
        }
        Some(effect)
    }

    /// The open holds.
    pub fn open(&self) -> impl Iterator<Item = &Hold> {
        self.0.values()
    }
}

impl Checker {
    /// A hold came to an end by itself.
    pub(super) fn hold_ended(&mut self, hold: &Hold) {
        if hold.state == HoldState::Active {
            self.fault(Fault::Protocol(format!("hold {} is told to have ended, and is active", hold.reservation)));
        }
        self.shop.see(hold);
    }
}
