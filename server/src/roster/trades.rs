//! What a loaded player has to do with trades: what they were told of them, and that somebody hears when they leave.
//!
//! The trades themselves live above, in `market`. A seat keeps the newest view of each that is not over, so that a client
//! that comes back is told at once.

use super::{
    Roster,
    cell::{Cell, Inner, Seat},
};
use crate::replication::outbox::{Frame, Kind};
use holdall_protocol::{
    ids::{Incarnation, PlayerId},
    message::{ServerMessage, Trade, TradeStage},
};
use std::sync::Arc;

/// How a player with trades leaves the memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Departure {
    /// Saved and released after the linger.
    Unloaded,
    /// Given up to another process, or dropped.
    Lost,
}

/// Whoever must know when a player with trades leaves.
pub trait Departures: Send + Sync {
    /// This load of the player is about to end. Called under the player's lock: it must not take another one's.
    fn left(&self, player: &PlayerId, load: Incarnation, how: Departure);
}

impl Roster {
    /// Says who is to be told of departures. Once, before the first trade.
    pub fn set_departures(&self, departures: Arc<dyn Departures>) {
        assert!(self.departures.set(departures).is_ok(), "a roster tells one of departures");
    }

    /// Tells of a player who is about to leave with trades that are not over.
    pub(super) fn departs(&self, cell: &Cell, inner: &mut Inner, how: Departure) {
        if let (Some(seat), Some(departures)) = (inner.seat(), self.departures.get())
            && !seat.rare.trades.is_empty()
        {
            departures.left(&cell.id, seat.incarnation, how);
        }
    }

    /// Tells a player of a step of a trade, and remembers it for whoever comes back.
    pub fn tell_trade(&self, inner: &mut Inner, view: Trade) {
        let Some(seat) = inner.seat() else { return };
        seat.note_trade(&view);
        let gate = self.gate(seat);
        inner.push(gate, Kind::Trade(view.trade), Frame::Message(Box::new(ServerMessage::Trade(Box::new(view)))));
    }
}

impl Seat {
    /// Remembers how a trade stands, or forgets it when it is over.
    pub fn note_trade(&mut self, view: &Trade) {
        self.rare.trades.retain(|known| known.trade != view.trade);
        match view.stage {
            TradeStage::Invited | TradeStage::Open => self.rare.trades.push(view.clone()),
            TradeStage::Settled | TradeStage::Closed => {}
        }
    }

    /// The trades that are not over, as the player was last told of them.
    #[must_use]
    pub fn trades(&self) -> &[Trade] {
        &self.rare.trades
    }
}
