//! What is for sale in limited numbers: the shapes of stocks and of the holds on them, and the [`Stocks`] half of the
//! contract.
//!
//! A stock's total is split into available, reserved and confirmed units, equal to the total at every moment. It is shared
//! by all processes, so it changes in the store alone, one atomic step a verb, by the store's clock; every verb that names a SKU
//! first lets go of its holds whose time is over. Many who want the same unit at the same moment stand in a queue that ends: nobody
//! is refused because others came, too.
//!
//! A cart's hold is confirmed by a verb. A player's is paid for with what the player has in memory, so it takes two steps:
//! a claim, by which it can no longer run out, and then one write of the player in which the payment, the item and the stock
//! are one ([`Purchase`]). A claim names the token of the player's owner. It stands for as long as the token can write the
//! player and is undone once it cannot: whatever dies when, either all of the purchase is stored or the hold stands again.

pub(super) mod book;
mod tally;

pub use tally::Tally;

use super::{Answer, Owner, Page, ReadError};
use bytes::Bytes;
use holdall_protocol::ids::{CartId, OrderKey, PlayerId, ReservationId, Seq, SkuId};
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    num::{NonZeroU32, NonZeroU64},
    sync::Arc,
    time::Duration,
};

/// Whose a hold is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Holder {
    /// A player's, who pays for it in the game.
    Player(PlayerId),
    /// A cart's, which somebody else takes the money for.
    Cart(CartId),
}

/// As it is stored: `player:anna`, `cart:c-17`.
impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Player(player) => write!(f, "player:{player}"),
            Self::Cart(cart) => write!(f, "cart:{cart}"),
        }
    }
}

impl From<Holder> for String {
    fn from(holder: Holder) -> Self {
        holder.to_string()
    }
}

impl TryFrom<String> for Holder {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let holder = match text.split_once(':') {
            Some(("player", player)) => PlayerId::new(player).ok().map(Self::Player),
            Some(("cart", cart)) => CartId::new(cart).ok().map(Self::Cart),
            _ => None,
        };
        holder.ok_or_else(|| format!("{text:?} holds nothing: neither a player nor a cart"))
    }
}

/// A SKU's units. `available + reserved + confirmed == total`, each at most 2^53 − 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stock {
    /// Of what.
    pub sku: SkuId,
    /// All that there ever was: what it was seeded with, and restocks.
    pub total: u64,
    /// Free to be held.
    pub available: u64,
    /// In holds that are open: active or claimed.
    pub reserved: u64,
    /// Gone for good.
    pub confirmed: u64,
    /// How many holds are open.
    pub holds: u64,
    /// When it changed last, in milliseconds since 1970.
    pub updated_at: u64,
}

/// Where a hold is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Its units are reserved, until it expires.
    Active,
    /// Its player is paying: it does not expire meanwhile. Told to others as active.
    Claimed,
    /// Paid for: its units are gone. Final.
    Confirmed,
    /// Given back. Final.
    Released,
    /// Run out. Final.
    Expired,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 5] = [Self::Active, Self::Claimed, Self::Confirmed, Self::Released, Self::Expired];

    /// As it is stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Claimed => "claimed",
            Self::Confirmed => "confirmed",
            Self::Released => "released",
            Self::Expired => "expired",
        }
    }

    /// Whether units are reserved for it.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Active | Self::Claimed)
    }

    /// As it is told to others.
    #[must_use]
    pub const fn told(self) -> &'static str {
        if self.is_open() { Self::Active.as_str() } else { self.as_str() }
    }
}

/// A hold. Times are milliseconds since 1970, by the store's clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    /// Which.
    pub id: ReservationId,
    /// On what.
    pub sku: SkuId,
    /// Whose.
    pub holder: Holder,
    /// Units.
    pub quantity: NonZeroU64,
    /// Where it is.
    pub state: State,
    /// From when on it cannot be confirmed.
    pub expires_at: u64,
    /// When it was made.
    pub created_at: u64,
    /// When its state changed last.
    pub updated_at: u64,
    /// What it will cost and bring, as it was when it was made; encoded elsewhere, empty for a cart's.
    pub terms: Bytes,
}

/// Names one attempt to pay for a hold, for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClaimId(uuid::Uuid);

impl ClaimId {
    /// The id of a new attempt.
    #[must_use]
    pub const fn new(uuid: uuid::Uuid) -> Self {
        Self(uuid)
    }

    /// The id as a UUID.
    #[must_use]
    pub const fn uuid(&self) -> uuid::Uuid {
        self.0
    }
}

/// Who is paying for a hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// Which hold.
    pub reservation: ReservationId,
    /// Which attempt.
    pub id: ClaimId,
    /// Whose hold it must be.
    pub player: PlayerId,
    /// The token under which the player is loaded.
    pub owner: Owner,
}

/// A hold that is paid for, part of its player's write. It must be this player's, and claimed under the writer's token, or
/// active again where the store lost the claim; else the store has lost the hold, and nothing is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Purchase {
    /// Which hold.
    pub reservation: ReservationId,
    /// On what.
    pub sku: SkuId,
}

/// Under which key the answer to a deed is kept. The same deed under the same key is done once, and gets the first answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeedKey {
    /// An operator's, or a web shop's.
    Order(OrderKey),
    /// A player's request, with the hash of what it wants: a number whose record was never made bears another request later.
    Request(PlayerId, Seq, u64),
}

/// As it is stored. The two kinds cannot meet: an order's key has no colon.
impl fmt::Display for DeedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Order(key) => key.fmt(f),
            Self::Request(player, seq, hash) => write!(f, "{player}:{seq}:{hash:016x}"),
        }
    }
}

/// One change of a stock or a hold.
#[derive(Debug, Clone)]
pub struct Deed {
    /// What is done.
    pub act: Act,
    /// Under which key, if it may be said again.
    pub key: Option<DeedKey>,
    /// Who wants it and why, for the audit.
    pub why: Option<Why>,
}

/// Who wants a deed, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Why {
    /// Who: the name of an operator's key, or what in the server does it.
    pub by: Arc<str>,
    /// Why, if that was said.
    pub reason: Option<Arc<str>>,
}

impl Deed {
    /// A hash of all that makes it another deed: what is done, and for which reason.
    #[must_use]
    pub fn hash(&self) -> u64 {
        hash_of(&(&self.act, self.why.as_ref().and_then(|why| why.reason.as_deref())))
    }

    /// Who wants it, under which key, and why, as the audit keeps it: `olga (r-1): second delivery`.
    #[must_use]
    pub fn why_told(&self) -> Option<String> {
        let Why { by, reason } = self.why.as_ref()?;
        let key = self.key.as_ref().map(|key| format!(" ({key})")).unwrap_or_default();
        let reason = reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        Some(format!("{by}{key}{reason}"))
    }
}

fn hash_of(what: &impl Serialize) -> u64 {
    xxhash_rust::xxh3::xxh3_64(&rmp_serde::to_vec_named(what).expect("it serialises into memory"))
}

impl Act {
    /// A hash of all that makes it another act.
    #[must_use]
    pub fn hash(&self) -> u64 {
        hash_of(self)
    }
}

/// What can be done. All of it is refused for a SKU or a hold that does not exist, but a seed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Act {
    /// Begins a SKU anew: with so many units, all available.
    Seed {
        /// Which.
        sku: SkuId,
        /// How many units.
        quantity: u64,
        /// What if it exists.
        known: Known,
    },
    /// Adds available units.
    Restock {
        /// Which SKU.
        sku: SkuId,
        /// How many units.
        quantity: NonZeroU64,
    },
    /// Makes a hold.
    Hold(Hold),
    /// Confirms a cart's active hold.
    Confirm {
        /// Which.
        reservation: ReservationId,
    },
    /// Gives an active hold back.
    Release {
        /// Which.
        reservation: ReservationId,
        /// Only if it is this player's: else it does not exist.
        of: Option<PlayerId>,
    },
    /// Claims a player's active hold. The same attempt may claim again.
    Claim(Claim),
    /// Takes an attempt's claim back: the hold is active again, or expired by now. Harmless where that attempt has none.
    Unclaim {
        /// Which hold.
        reservation: ReservationId,
        /// Which attempt.
        claim: ClaimId,
    },
}

/// What a seed does where the SKU exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Known {
    /// Nothing: the answer is the stock as it is.
    Leave,
    /// It begins anew, unless holds are open.
    Reset,
    /// It begins anew, and open holds are released in the same step, but claimed ones: then it is refused.
    Force,
}

/// A hold to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hold {
    /// Its id, which nothing has had before. Not part of what is asked for.
    #[serde(skip)]
    pub id: ReservationId,
    /// On what.
    pub sku: SkuId,
    /// For whom.
    pub holder: Holder,
    /// Units.
    pub quantity: NonZeroU64,
    /// For how long.
    pub time: Duration,
    /// [`Reservation::terms`].
    #[serde(skip)]
    pub terms: Bytes,
    /// Open holds that its holder may have, with it.
    #[serde(skip)]
    pub holds_max: u32,
    /// Units that a player may have held and bought of the SKU, with these.
    #[serde(skip)]
    pub units_max: Option<NonZeroU32>,
}

/// What came of a deed: how its object stands afterwards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Done {
    /// After a seed or a restock.
    Stock(Stock),
    /// After anything else.
    Reservation(Reservation),
}

/// Why a deed was not done. Nothing was changed, but that holds have run out; and the key is as good as new.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StockError {
    /// No such SKU.
    #[error("there is no such SKU")]
    NoSuchSku,
    /// No such hold, or not this player's.
    #[error("there is no such reservation")]
    NoSuchReservation,
    /// Fewer units are available.
    #[error("only {available} are available")]
    Insufficient {
        /// How many.
        available: u64,
    },
    /// The hold has come to its end.
    #[error("the reservation is {}", .0.told())]
    NotActive(State),
    /// The hold is being paid for.
    #[error("the reservation is being paid for")]
    Claimed,
    /// A player's hold is confirmed in the game.
    #[error("a player's reservation is confirmed by the player, in the game")]
    Players,
    /// The holder has as many holds as may be open.
    #[error("{holds} holds are open, more may not be")]
    TooManyHolds {
        /// How many.
        holds: u64,
    },
    /// The player has as many units as one may.
    #[error("{units} of it are held or bought already, and one player may have {max}")]
    TooManyUnits {
        /// How many.
        units: u64,
        /// How many one may have.
        max: u32,
    },
    /// A seed of a SKU with open holds.
    #[error("{holds} holds are open on it")]
    HoldsOpen {
        /// How many.
        holds: u64,
    },
    /// Past 2^53 − 1 units.
    #[error("a stock may have 9007199254740991 units in all")]
    TooLarge,
    /// The player's owner is another one by now.
    #[error("the player is another process's")]
    NotOwner,
    /// The key was given to another deed, which was done.
    #[error("this key was used for something else: a new request needs a new key")]
    KeyTaken,
    /// No answer: it may have been done. To say the same again under the same key is right.
    #[error("the store is away: {0}")]
    Unavailable(String),
    /// What is stored of it is damaged.
    #[error("the stock cannot be read: {0}")]
    Unreadable(String),
}

impl From<ReadError> for StockError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Unreadable(why) => Self::Unreadable(why),
            ReadError::Unavailable(why) => Self::Unavailable(why),
            ReadError::Exists => Self::Unavailable("it exists already".to_owned()),
        }
    }
}

/// What a sweep did and found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Swept {
    /// Holds that ran out.
    pub expired: u64,
    /// Claims that were undone, because their token can write nothing any more.
    pub undone: u64,
    /// Claims that stand under a token of this handle's node: only this process knows whether somebody still pays.
    pub claims: Vec<Claim>,
}

impl Swept {
    /// Together with what a sweep of another SKU did and found.
    pub(super) fn add(&mut self, other: Self) {
        self.expired = self.expired.saturating_add(other.expired);
        self.undone = self.undone.saturating_add(other.undone);
        self.claims.extend(other.claims);
    }
}

/// Why a stock changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// It began, or began anew.
    Seed,
    /// Units were added.
    Restock,
    /// A hold was made.
    Hold,
    /// A hold was confirmed.
    Confirm,
    /// A hold was given back.
    Release,
    /// A hold ran out.
    Expired,
}

impl Event {
    /// Every event.
    pub const ALL: [Self; 6] = [Self::Seed, Self::Restock, Self::Hold, Self::Confirm, Self::Release, Self::Expired];

    /// As it is stored and told.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Seed => "seed",
            Self::Restock => "restock",
            Self::Hold => "hold",
            Self::Confirm => "confirm",
            Self::Release => "release",
            Self::Expired => "expired",
        }
    }
}

/// One change of a stock, as it is kept for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// What happened.
    pub event: Event,
    /// To what.
    pub sku: SkuId,
    /// To which hold; none where it is about the stock.
    pub reservation: Option<ReservationId>,
    /// Whose hold.
    pub holder: Option<Holder>,
    /// Units.
    pub quantity: u64,
    /// The hold's state afterwards.
    pub state: Option<State>,
    /// Why.
    pub why: Option<Arc<str>>,
    /// When, in milliseconds since 1970 by the store's clock.
    pub at: u64,
}

/// All that there is of a SKU but its closed holds and its audit, at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StockBook {
    /// Its units.
    pub stock: Stock,
    /// Its open holds, in order of their ids.
    pub open: Vec<Reservation>,
    /// Units that players have held or bought, in order of their ids.
    pub units: Vec<(PlayerId, u64)>,
}

/// The shop's half of a backend.
pub trait Stocks: Send + Sync + 'static {
    /// Does a deed, in one atomic step.
    fn stock(&self, deed: Deed) -> Answer<Result<Done, StockError>>;

    /// Lets go of all holds whose time is over and of all claims whose token can write nothing any more: another one has
    /// replaced it, or its process is dead, and then its player is nobody's from the same step on.
    fn sweep(&self) -> Answer<Result<Swept, ReadError>>;

    /// What this handle's verbs and commits have done to stocks.
    fn tally(&self) -> &Tally;

    /// Every SKU, in order.
    fn skus(&self) -> Answer<Result<Vec<SkuId>, ReadError>>;

    /// These stocks, in the order asked for; `None` where there is no such SKU.
    fn stocks(&self, skus: Vec<SkuId>) -> Answer<Result<Vec<Option<Stock>>, ReadError>>;

    /// A hold; `None` where there is none.
    fn reservation(&self, id: ReservationId) -> Answer<Result<Option<Reservation>, ReadError>>;

    /// The audit of one SKU, or of all, the newest first, from `mark` on, at most `limit` entries.
    fn stock_audit(
        &self,
        of: Option<SkuId>,
        mark: Option<String>,
        limit: usize,
    ) -> Answer<Result<Page<AuditEntry>, ReadError>>;

    /// One SKU at one moment; `None` where there is none.
    fn stock_book(&self, sku: SkuId) -> Answer<Result<Option<StockBook>, ReadError>>;

    /// Puts a SKU with its closed holds and its audit, oldest first, where there is none, in one atomic step.
    fn import_stock(
        &self,
        book: StockBook,
        closed: Vec<Reservation>,
        audit: Vec<AuditEntry>,
    ) -> Answer<Result<(), ReadError>>;

    /// Holds of all SKUs and in every state, from `mark` on; in no order.
    fn holds(&self, mark: Option<String>) -> Answer<Result<Page<Reservation>, ReadError>>;
}
