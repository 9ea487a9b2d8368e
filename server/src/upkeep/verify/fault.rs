//! What can be wrong with a store, and what each fault names.

use holdall_protocol::ids::{InstanceId, PlayerId, ReservationId, Revision, SkuId, TradeId};
use serde::{Deserialize, Serialize};
use std::fmt;
use uuid::Uuid;

/// What is wrong. The names are part of what `verify --json` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Not even a player's header can be read.
    UnreadablePlayer,
    /// A stored value is none.
    UnreadableValue,
    /// A ledger entry, or an image in it, is none.
    UnreadableEntry,
    /// A waiting gift is none.
    UnreadableGift,
    /// Something that no player can have.
    ImpossibleValue,
    /// A revision without an entry.
    MissingEntry,
    /// An entry out of its order: a second one of its revision, or one beyond the player's.
    SurplusEntry,
    /// An entry that touched a place and left it as it was.
    EmptyChange,
    /// An entry's lines are not what its changes say.
    WrongLines,
    /// Undoing every entry does not lead to where the ledger begins.
    WrongBeginning,
    /// One half of an exchange whose other half is not there, or is another's.
    HalfExchange,
    /// What left one player of an exchange is not what the other one got.
    UnequalExchange,
    /// A gift that waits, or was taken or sent back, and that nobody put there.
    GiftFromNowhere,
    /// A gift that was put, and neither waits nor was taken or sent back.
    GiftVanished,
    /// A gift that was put, taken or sent back more than once, or that still waits all the same.
    GiftTwice,
    /// A gift that is not what was put, or not with whom it was put.
    GiftChanged,
    /// A stack in two places.
    DoubledInstance,
    /// What was made and not used up is not what is there.
    WrongTotal,
    /// What is stored of a SKU cannot be read.
    UnreadableStock,
    /// The units of a SKU do not add up, or those that are reserved are not those of its open holds.
    WrongStock,
    /// A player's units of a SKU are not those held and bought.
    WrongUnits,
    /// The audit of a SKU does not lead to its stock.
    WrongAudit,
    /// Something bought without a confirmed hold of its player's.
    PurchaseWithoutHold,
    /// A player's confirmed hold, and no entry of theirs that bought it.
    HoldWithoutPurchase,
    /// A hold that was bought more than once.
    BoughtTwice,
}

/// One thing that is wrong, and whom it is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Fault {
    /// What is wrong.
    pub kind: Kind,
    /// Whom it is about; nobody where it is about the store.
    pub players: Vec<PlayerId>,
    /// The revision of the first of them.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub revision: Option<Revision>,
    /// The stack.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub instance: Option<InstanceId>,
    /// The trade.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub trade: Option<TradeId>,
    /// The gift.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub gift: Option<Uuid>,
    /// The SKU.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sku: Option<SkuId>,
    /// The hold on it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reservation: Option<ReservationId>,
    /// In words.
    pub what: String,
}

impl Fault {
    pub(super) fn new(kind: Kind, player: &PlayerId, what: impl Into<String>) -> Self {
        Self { players: vec![player.clone()], ..Self::about_all(kind, what) }
    }

    pub(super) fn about_all(kind: Kind, what: impl Into<String>) -> Self {
        Self {
            kind,
            players: Vec::new(),
            revision: None,
            instance: None,
            trade: None,
            gift: None,
            sku: None,
            reservation: None,
            what: what.into(),
        }
    }

    pub(super) fn about_sku(kind: Kind, sku: &SkuId, what: impl Into<String>) -> Self {
        Self { sku: Some(sku.clone()), ..Self::about_all(kind, what) }
    }

    pub(super) fn about_hold(mut self, reservation: ReservationId) -> Self {
        self.reservation = Some(reservation);
        self
    }

    pub(super) fn at(mut self, revision: Revision) -> Self {
        self.revision = Some(revision);
        self
    }

    pub(super) fn with(mut self, player: &PlayerId) -> Self {
        if !self.players.contains(player) {
            self.players.push(player.clone());
        }
        self
    }

    pub(super) fn about_gift(mut self, gift: Uuid) -> Self {
        self.gift = Some(gift);
        self
    }

    pub(super) fn about_stack(mut self, instance: InstanceId) -> Self {
        self.instance = Some(instance);
        self
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The name that programs are told, in words.
        let name = serde_json::to_value(self).expect("a name serialises into memory");
        f.write_str(&name.as_str().unwrap_or_default().replace('_', " "))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind)?;
        if !self.players.is_empty() {
            let players: Vec<&str> = self.players.iter().map(PlayerId::as_str).collect();
            write!(f, ": {}", players.join(" and "))?;
        }
        if let Some(revision) = self.revision {
            write!(f, ", revision {revision}")?;
        }
        if let Some(instance) = self.instance {
            write!(f, ", stack {instance}")?;
        }
        if let Some(trade) = self.trade {
            write!(f, ", trade {trade}")?;
        }
        if let Some(gift) = self.gift {
            write!(f, ", gift {gift}")?;
        }
        if let Some(sku) = &self.sku {
            let separator = if self.players.is_empty() { ':' } else { ',' };
            write!(f, "{separator} SKU {sku}")?;
        }
        if let Some(reservation) = self.reservation {
            write!(f, ", reservation {reservation}")?;
        }
        // Texts out of the store cannot play with the terminal.
        write!(f, ": {}", self.what.escape_debug())
    }
}
