//! What players are told of trades and of the shop.

use super::Stack;
use crate::ids::{ItemId, PlayerId, ReservationId, SkuId, TradeId};
use serde::{Deserialize, Serialize};

/// A trade as one of its two players sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trade {
    /// Its id.
    pub trade: TradeId,
    /// The other player.
    pub with: PlayerId,
    /// Who asked for it.
    pub invited_by: PlayerId,
    /// How far it is.
    pub stage: TradeStage,
    /// Why it is over, with the stage `closed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<TradeEnd>,
    /// Counts the changes of both offers: an accept names the one it has seen.
    pub offer_revision: u64,
    /// What this player puts up.
    pub yours: TradeOffer,
    /// What the other player puts up.
    pub theirs: TradeOffer,
    /// When the invite is void or the trade closed, if nothing changes: in milliseconds since 1970.
    pub expires_at: u64,
}

/// How far a trade is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TradeStage {
    /// The invite waits for its answer.
    Invited,
    /// Both put up what they give.
    Open,
    /// Over: everything has changed hands.
    Settled,
    /// Over: nothing has.
    Closed,
}

/// Why a trade closed without an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TradeEnd {
    /// The invite was declined.
    Declined,
    /// One of the two ended it.
    Cancelled,
    /// Nothing changed for too long, or the invite was not answered.
    Expired,
    /// One of the two was away for longer than the server waits.
    Disconnected,
    /// One of the two is no longer served here.
    Lost,
    /// The server stops.
    Stopped,
}

/// What one side of a trade puts up.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct TradeOffer {
    /// The stacks as they are, with the quantities that are put up.
    pub items: Vec<Stack>,
    /// The currencies.
    pub currencies: Vec<TradeAmount>,
    /// Whether this side agrees to both offers as they stand.
    pub accepted: bool,
}

/// An amount of a currency that is put up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TradeAmount {
    /// The currency.
    pub currency: ItemId,
    /// How much.
    pub amount: u64,
}

/// What is for sale in limited numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShopEntry {
    /// What to hold.
    pub sku: SkuId,
    /// What one unit brings.
    pub item: ItemId,
    /// What one unit costs.
    pub price: Vec<Price>,
    /// Units that can be held now.
    pub available: u64,
    /// Units that one player may hold and buy in all; absent where there is no bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_per_player: Option<u32>,
    /// Whether it can be held now.
    pub open: bool,
    /// From when on, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opens_at: Option<u64>,
    /// Until when, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closes_at: Option<u64>,
}

/// An amount of a currency that something costs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Price {
    /// The currency.
    pub currency: ItemId,
    /// How much.
    pub amount: u64,
}

/// Units of the shop that are held for a player.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Names it.
    pub reservation: ReservationId,
    /// Of what.
    pub sku: SkuId,
    /// What the player gets for it.
    pub item: ItemId,
    /// How many.
    pub quantity: u64,
    /// What they cost in all: as it was when they were held.
    pub price: Vec<Price>,
    /// Where it is.
    pub state: HoldState,
    /// Until when it can be paid for, in milliseconds since 1970 by the store's clock.
    pub expires_at: u64,
}

/// Where a hold is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldState {
    /// It can be paid for.
    Active,
    /// Paid for.
    Confirmed,
    /// Given back.
    Released,
    /// Its time is over.
    Expired,
}
