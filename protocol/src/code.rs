//! Refusal codes: one table of code, number, meaning and what a client should do.

use serde::{Deserialize, Serialize};

/// Whether a refused request can succeed when it is sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// The same request will be refused again until something else changes.
    No,
    /// Waiting helps; `retry_after_ms` says how long where the server knows.
    Later,
    /// Look at the newest state first, then decide.
    AfterRefresh,
}

impl Retry {
    /// How the reference writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::Later => "later",
            Self::AfterRefresh => "after a look at the newest state",
        }
    }
}

macro_rules! codes {
    ($($variant:ident = $number:literal, $name:literal, $retry:ident, $meaning:literal;)*) => {
        /// Why a request was refused. Names and numbers are for ever: added, never changed, never used again.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Code {
            $(#[doc = $meaning] #[serde(rename = $name)] $variant,)*
        }

        impl Code {
            /// Every code, in the order of the reference.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The name on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// The stable number, for logs and metrics of other systems.
            #[must_use]
            pub const fn number(self) -> u16 {
                match self { $(Self::$variant => $number),* }
            }

            /// One sentence for the reference.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning),* }
            }

            /// Whether sending the request again can help.
            #[must_use]
            pub const fn retry(self) -> Retry {
                match self { $(Self::$variant => Retry::$retry),* }
            }
        }
    };
}

codes! {
    InvalidItem = 1, "invalid_item", No, "No such item in the catalogue, or it cannot be used in this way.";
    InvalidQuantity = 2, "invalid_quantity", No, "A quantity must be a whole number from 1 to 4294967295, an amount of money one from 1 to 9007199254740991.";
    NotFound = 3, "not_found", AfterRefresh, "What the request names is not there: a stack, a slot, a player.";
    InsufficientQuantity = 4, "insufficient_quantity", AfterRefresh, "There is less of it than the request wants.";
    InventoryFull = 5, "inventory_full", AfterRefresh, "The bag has no room for it.";
    WeightExceeded = 6, "weight_exceeded", AfterRefresh, "It would be too heavy to carry.";
    NotEquippable = 7, "not_equippable", No, "The item goes into no equipment slot.";
    SlotMismatch = 8, "slot_mismatch", No, "The item does not go into that equipment slot, or there is no such slot.";
    NotUsable = 9, "not_usable", No, "Only consumables in the bag can be used.";
    NotDroppable = 10, "not_droppable", No, "A quest item cannot be dropped.";
    NotTradeable = 11, "not_tradeable", No, "The item is bound to its owner.";
    ItemLocked = 12, "item_locked", Later, "The item or currency is offered in an open trade.";
    SamePlayer = 13, "same_player", No, "A player cannot give to or trade with themselves.";
    PlayerNotLoaded = 14, "player_not_loaded", Later, "The other player is not in the game.";
    PlayerBusy = 15, "player_busy", Later, "The player is just being loaded, saved or moved.";
    TradeNotFound = 16, "trade_not_found", No, "No such trade, or it is not yours.";
    TradeChanged = 17, "trade_changed", AfterRefresh, "The trade is not as the request takes it: not open yet, open already, or with other offers by now.";
    TradeClosed = 18, "trade_closed", No, "The trade is over.";
    InsufficientFunds = 19, "insufficient_funds", AfterRefresh, "The balance is smaller than the amount, or would pass its bound.";
    InsufficientStock = 20, "insufficient_stock", Later, "The shop has not enough of it left.";
    ReservationNotActive = 21, "reservation_not_active", No, "The hold was confirmed, released, or has expired.";
    LimitExceeded = 22, "limit_exceeded", Later, "A bound on how many things may be open or waiting at once.";
    RateLimited = 23, "rate_limited", Later, "Too many requests; wait `retry_after_ms`.";
    Duplicate = 24, "duplicate", No, "This seq was answered before and the answer is no longer kept; `duplicate` tells what became of it.";
    SeqReused = 25, "seq_reused", No, "This seq was used before for another request: a fault in the client.";
    SeqGap = 26, "seq_gap", No, "The seq is more than 1024 ahead of the last one, or 0: a fault in the client.";
    PlayerElsewhere = 27, "player_elsewhere", Later, "The other player is on another server process.";
    NotSellable = 28, "not_sellable", No, "The item cannot be sold.";
    ItemFrozen = 29, "item_frozen", No, "The stack no longer fits the catalogue: it can be moved, nothing else.";
    NotAccepting = 30, "not_accepting", Later, "The other player does not accept gifts or invites.";
    ShopClosed = 31, "shop_closed", Later, "The shop entry is not open now.";
    InvalidAttribute = 32, "invalid_attribute", No, "An attribute's key, value, number or size is out of bounds.";
    UnknownAction = 33, "unknown_action", No, "No such action in this version or mode of the server.";
    Unauthorized = 34, "unauthorized", No, "The caller may not do this.";
    StoreUnavailable = 35, "store_unavailable", Later, "The store is away; nothing was applied.";
    InternalError = 36, "internal_error", Later, "A fault in the server; nothing was applied.";
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
