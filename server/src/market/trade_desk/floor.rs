//! The trades that are not over, by id, by player and by expiry, and which ones have ended lately.

use super::super::trade::Trade;
use holdall_protocol::ids::{Incarnation, PlayerId, TradeId};
use std::collections::{BTreeSet, HashMap, VecDeque};
use tokio::time::Instant;

/// Ended trades that are remembered, so that a late step is told that it is late.
const REMEMBERED: usize = 1_024;

#[derive(Debug, Default)]
pub(super) struct Floor {
    trades: HashMap<TradeId, Trade>,
    /// Oldest first.
    by_player: HashMap<PlayerId, Vec<TradeId>>,
    by_expiry: BTreeSet<(Instant, TradeId)>,
    ended: VecDeque<(TradeId, [PlayerId; 2])>,
}

impl Floor {
    pub(super) fn get(&self, trade: TradeId) -> Option<&Trade> {
        self.trades.get(&trade)
    }

    pub(super) fn insert(&mut self, trade: Trade) {
        self.by_expiry.insert((trade.expiry.at, trade.id));
        for player in trade.players() {
            self.by_player.entry(player.clone()).or_default().push(trade.id);
        }
        self.trades.insert(trade.id, trade);
    }

    /// Puts a trade back as it is now.
    pub(super) fn update(&mut self, trade: &Trade) {
        if let Some(known) = self.trades.get_mut(&trade.id) {
            self.by_expiry.remove(&(known.expiry.at, known.id));
            self.by_expiry.insert((trade.expiry.at, trade.id));
            known.clone_from(trade);
        }
    }

    /// Takes out a trade that is over.
    pub(super) fn remove(&mut self, trade: TradeId) -> Option<Trade> {
        let trade = self.trades.remove(&trade)?;
        self.by_expiry.remove(&(trade.expiry.at, trade.id));
        for player in trade.players() {
            if let Some(own) = self.by_player.get_mut(player) {
                own.retain(|known| *known != trade.id);
                if own.is_empty() {
                    self.by_player.remove(player);
                }
            }
        }
        if self.ended.len() >= REMEMBERED {
            self.ended.pop_front();
        }
        self.ended.push_back((trade.id, trade.players().map(Clone::clone)));
        Some(trade)
    }

    /// Whether this player took part in a trade that ended lately.
    pub(super) fn has_ended(&self, trade: TradeId, player: &PlayerId) -> bool {
        self.ended.iter().rev().any(|(ended, players)| *ended == trade && players.contains(player))
    }

    /// The trades of a player, oldest first.
    pub(super) fn of<'a>(&'a self, player: &PlayerId) -> impl Iterator<Item = &'a Trade> + use<'a> {
        self.by_player.get(player).into_iter().flatten().filter_map(|trade| self.trades.get(trade))
    }

    /// Whether a player has a trade open.
    pub(super) fn is_busy(&self, player: &PlayerId) -> bool {
        self.of(player).any(Trade::is_open)
    }

    /// The trades that one load of a player takes part in.
    pub(super) fn of_load(&self, player: &PlayerId, load: Incarnation) -> Vec<TradeId> {
        let takes_part = |trade: &&Trade| trade.who(player).is_some_and(|who| trade.side(who).load == load);
        self.of(player).filter(takes_part).map(|trade| trade.id).collect()
    }

    /// A trade whose time is over.
    pub(super) fn expired(&self, now: Instant) -> Option<TradeId> {
        self.by_expiry.first().filter(|(at, _)| *at <= now).map(|(_, trade)| *trade)
    }

    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.by_expiry.first().map(|(at, _)| *at)
    }

    /// Every trade, in a fixed order.
    pub(super) fn all(&self) -> Vec<TradeId> {
        self.by_expiry.iter().map(|(_, trade)| *trade).collect()
    }
}
