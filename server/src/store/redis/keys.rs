//! The names of things in Redis. Every key of a realm carries its hash tag, so that one script may touch any of them.

use holdall_protocol::ids::{OrderKey, PlayerId};

/// The one builder of keys.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    prefix: String,
}

impl Keys {
    pub(super) fn of(realm: &str) -> Self {
        Self { prefix: format!("holdall:{{{realm}}}:") }
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

    /// Hash: what was answered to an operator's order. It expires.
    pub(super) fn answer(&self, key: &OrderKey) -> String {
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
