//! The shop as one player was told of it: a hold brings and costs what it said when it was made.

use super::{Checker, Pending, Stage};
use crate::{fault::Fault, model::Totals};
use holdall_protocol::{
    action::{Action, Quantity},
    code::Code,
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
    /// What the reply to a request says of a hold, which must be what it asked for.
    pub(super) fn hold_told(&mut self, pending: &Pending, told: Option<&Hold>) {
        let as_asked = match (&pending.action, told) {
            (Action::ShopHold(asked), Some(hold)) => {
                hold.sku == asked.sku && Quantity::new(hold.quantity) == asked.quantity
            }
            (Action::ShopConfirm(asked), Some(hold)) => is_at_its_end(hold, asked.reservation, HoldState::Confirmed),
            (Action::ShopRelease(asked), Some(hold)) => is_at_its_end(hold, asked.reservation, HoldState::Released),
            (Action::ShopHold(_) | Action::ShopConfirm(_) | Action::ShopRelease(_), None) => false,
            (_, told) => told.is_none(),
        };
        if !as_asked {
            let (seq, action, what) = (pending.seq, pending.action.name(), format!("it told {told:?}"));
            self.fault(Fault::NotAsked { seq, action, what });
        }
        // An end is one for good; that a hold is open may be told of a time before the cut.
        let is_news = self.stage == Stage::Live && pending.asked_again.is_none();
        if let Some(hold) = told.filter(|hold| is_news || hold.state != HoldState::Active) {
            self.shop.see(hold);
        }
    }

    /// What a refusal says of a hold.
    pub(super) fn hold_refused(&mut self, action: &Action, code: Code) {
        match (action, code) {
            (Action::ShopConfirm(asked), Code::ReservationNotActive) => self.shop.forget(asked.reservation),
            (Action::ShopRelease(asked), Code::ReservationNotActive) => self.shop.forget(asked.reservation),
            _ => {}
        }
    }

    /// A hold came to an end by itself.
    pub(super) fn hold_ended(&mut self, hold: &Hold) {
        if hold.state == HoldState::Active {
            self.fault(Fault::Protocol(format!("hold {} is told to have ended, and is active", hold.reservation)));
        }
        self.shop.see(hold);
    }
}

fn is_at_its_end(hold: &Hold, asked: ReservationId, end: HoldState) -> bool {
    hold.reservation == asked && hold.state == end
}
