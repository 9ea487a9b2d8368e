//! A loaded player's holds in the shop: what the player is told of them, and when somebody must look at them again.
//!
//! The holds themselves are in the store, where they expire by themselves. A seat keeps how each stood last, so that a client
//! that comes back is told at once; and whoever watches ([`Roster::holds_due`]) learns when one should have expired.

use super::{
    Roster,
    cell::{Inner, Seat},
};
use crate::{
    replication::outbox::{Frame, Kind},
    store::stock::{Purchase, Reservation, State},
};
use bytes::Bytes;
use holdall_protocol::{
    ids::{ItemId, PlayerId, ReservationId},
    message::{Hold, HoldState, Price, ServerMessage},
};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a hold costs and brings, fixed when it is made. Kept with it as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// What the player gets for each unit: one of it.
    pub item: ItemId,
    /// What all units cost together.
    pub price: Vec<Price>,
}

impl Terms {
    /// As they are kept.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        serde_json::to_vec(self).expect("they serialise into memory").into()
    }

    /// As a player is told of a hold under these terms.
    ///
    /// # Errors
    /// What is wrong with the terms that are kept.
    pub fn told(hold: &Reservation) -> Result<Hold, String> {
        let Self { item, price } = serde_json::from_slice(&hold.terms).map_err(|error| error.to_string())?;
        let state = Self::state(hold.state);
        let (reservation, sku, quantity) = (hold.id, hold.sku.clone(), hold.quantity.get());
        Ok(Hold { reservation, sku, item, quantity, price, state, expires_at: hold.expires_at })
    }

    /// A hold's state as its player is told.
    #[must_use]
    pub const fn state(state: State) -> HoldState {
        match state {
            State::Active | State::Claimed => HoldState::Active,
            State::Confirmed => HoldState::Confirmed,
            State::Released => HoldState::Released,
            State::Expired => HoldState::Expired,
        }
    }
}

/// What a record has to do with a hold.
#[derive(Debug, Clone)]
pub struct Held {
    /// How the hold stands then, as the player is told.
    pub told: Hold,
    /// What the record pays for.
    pub purchase: Option<Purchase>,
}

/// When which loaded player's hold should have expired, in milliseconds since 1970.
#[derive(Debug, Default)]
pub(super) struct Watch(Mutex<BTreeMap<(u64, ReservationId), PlayerId>>);

impl Roster {
    /// Has a player's hold looked at, at this time.
    pub fn watch_hold(&self, at: u64, hold: ReservationId, player: &PlayerId) {
        self.watched.0.lock().insert((at, hold), player.clone());
    }

    /// The holds that should have expired by now. Each is told once; whoever asks looks at all of them.
    #[must_use]
    pub fn holds_due(&self) -> Vec<(ReservationId, PlayerId)> {
        let now = self.clock.now_ms();
        let mut watched = self.watched.0.lock();
        let later = watched.split_off(&(now.saturating_add(1), ReservationId::new(uuid::Uuid::nil())));
        std::mem::replace(&mut *watched, later).into_iter().map(|((_, hold), player)| (hold, player)).collect()
    }

    /// Takes note of how a player's hold stands now; what has ended is watched no more.
    pub fn note_hold(&self, player: &PlayerId, seat: &mut Seat, told: &Hold) {
        seat.note_hold(told);
        if told.state == HoldState::Active {
            self.watch_hold(told.expires_at, told.reservation, player);
        }
    }

    /// Tells a player of a hold that ended without their doing.
    pub fn tell_hold(&self, inner: &mut Inner, told: Hold) {
        let Some(seat) = inner.seat() else { return };
        seat.note_hold(&told);
        let gate = self.gate(seat);
        inner.push(gate, Kind::Other, Frame::Message(Box::new(ServerMessage::Hold(Box::new(told)))));
    }
}

impl Seat {
    /// The open holds, as the player was last told of them.
    #[must_use]
    pub fn holds(&self) -> &[Hold] {
        &self.rare.holds
    }

    fn note_hold(&mut self, told: &Hold) {
        self.rare.holds.retain(|known| known.reservation != told.reservation);
        if told.state == HoldState::Active {
            self.rare.holds.push(told.clone());
        }
    }
}
