//! The names of things in Redis. Every key of a realm carries its hash tag, so that one script may touch any of them.

use super::script::Texts;
use holdall_protocol::ids::{PlayerId, ReservationId, SkuId};
use std::fmt::Display;

/// The one builder of keys.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    prefix: String,
}

impl Keys {
    pub(super) fn of(realm: &str) -> Self {
        Self { prefix: format!("holdall:{{{realm}}}:") }
    }

    /// Adds the hash of the player's header and places, and the stream of their ledger.
    pub(super) fn add_player(&self, player: &PlayerId, keys: &mut Texts) {
        let [prefix, id] = [self.prefix.as_bytes(), player.as_str().as_bytes()];
        keys.push_parts([prefix, b"player:", id]);
        keys.push_parts([prefix, b"player:", id, b":ledger"]);
    }

    /// Hash: the player's header and places.
    pub(super) fn player(&self, player: &PlayerId) -> String {
        format!("{}player:{player}", self.prefix)
    }

    /// Stream: the player's ledger, one item a batch.
    pub(super) fn ledger(&self, player: &PlayerId) -> String {
        format!("{}player:{player}:ledger", self.prefix)
    }

    /// Hash: what waits for the player.
    pub(super) fn inbox(&self, player: &PlayerId) -> String {
        format!("{}player:{player}:inbox", self.prefix)
    }

    /// Hash: what was answered to an operator's order, or to a deed of the shop. It expires.
    pub(super) fn answer(&self, key: &impl Display) -> String {
        format!("{}idem:{key}", self.prefix)
    }

    /// Hash: the world's id.
    pub(super) fn world(&self) -> String {
        format!("{}world", self.prefix)
    }

    /// Set: the nodes that have ever signed on.
    pub(super) fn nodes(&self) -> String {
        format!("{}nodes", self.prefix)
    }

    /// Hash: which boot of a node is alive, until when, and in which run of Redis it has looked at what it has. Of no node,
    /// what all these keys begin with.
    pub(super) fn node(&self, node: &str) -> String {
        format!("{}node:{node}", self.prefix)
    }

    /// Stream: letters to a node.
    pub(super) fn mail(&self, node: &str) -> String {
        format!("{}node:{node}:mail", self.prefix)
    }

    /// What all players' keys begin with.
    pub(super) fn players_begin(&self) -> String {
        format!("{}player:", self.prefix)
    }

    /// What all stocks' keys begin with. Behind it a SKU: a hash of its units; and behind that:
    /// - `:active`, `:claims`: sorted sets of its open holds, by expiry
    /// - `:holders`: a hash of the units that players have held or bought
    /// - `:audit`: a stream of its changes
    pub(super) fn stocks_begin(&self) -> String {
        format!("{}stock:", self.prefix)
    }

    /// Hash: the SKU's units. Behind it, see [`Keys::stocks_begin`].
    pub(super) fn stock(&self, sku: &SkuId, behind: &str) -> String {
        format!("{}{sku}{behind}", self.stocks_begin())
    }

    /// Stream: the changes of all stocks.
    pub(super) fn stock_audit(&self) -> String {
        format!("{}stock-audit", self.prefix)
    }

    /// Set: all SKUs.
    pub(super) fn skus(&self) -> String {
        format!("{}skus", self.prefix)
    }

    /// What all holds' keys begin with. Behind it an id: a hash.
    pub(super) fn reservations_begin(&self) -> String {
        format!("{}reservation:", self.prefix)
    }

    /// The hold whose hash this is, if it is one.
    pub(super) fn reservation_of(&self, key: &str) -> Option<ReservationId> {
        let id = key.strip_prefix(&self.prefix)?.strip_prefix("reservation:")?;
        id.parse().ok().map(ReservationId::new)
    }

    /// What the keys of all holders' holds begin with. Behind it a holder: a set of its open holds.
    pub(super) fn holds_begin(&self) -> String {
        format!("{}holds:", self.prefix)
    }

    /// A pattern for all keys that begin like a player's; those of its ledger and inbox are among them.
    pub(super) fn players(&self) -> String {
        format!("{}player:*", self.prefix)
    }

    /// The player whose hash this is, if it is one.
    pub(super) fn player_of(&self, key: &str) -> Option<PlayerId> {
        PlayerId::new(key.strip_prefix(&self.prefix)?.strip_prefix("player:")?).ok()
    }

    /// The node whose sign of life this is, if it is one.
    pub(super) fn node_of<'k>(&self, key: &'k str) -> Option<&'k str> {
        key.strip_prefix(&self.prefix)?.strip_prefix("node:").filter(|node| !node.contains(':'))
    }
}
