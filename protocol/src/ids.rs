//! Identifiers and places: the nouns of every message and every stored record.
//!
//! Each type offers only what makes sense for it: no arithmetic on revisions beyond "the next one", no free
//! conversion between ids.

use arcstr::ArcStr;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{borrow::Cow, fmt};
use uuid::Uuid;

/// A text that is not a valid identifier of its type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} must be {rule}, not {text:?}")]
pub struct BadId {
    what: &'static str,
    rule: &'static str,
    text: String,
}

impl BadId {
    fn new(what: &'static str, rule: &'static str, text: &str) -> Self {
        // What is quoted back is bounded: the text may be a megabyte of somebody's malice.
        Self { what, rule, text: text.chars().take(80).collect() }
    }
}

/// Declares a cheap-to-clone text id with its alphabet. One is one pointer: bags are full of them.
macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $rule:literal, $pattern:literal, $valid:expr) => {
        $(#[$doc])*
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(value_type = String, pattern = $pattern))]
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(ArcStr);

        impl $name {
            #[doc = concat!("Checks that `text` is ", $rule, ".")]
            ///
            /// # Errors
            /// [`BadId`], with the rule, when it is not.
            pub fn new(text: &str) -> Result<Self, BadId> {
                let valid: fn(&[u8]) -> bool = $valid;
                if valid(text.as_bytes()) {
                    Ok(Self(text.into()))
                } else {
                    Err(BadId::new($what, $rule, text))
                }
            }

            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = Text::deserialize(d)?;
                Self::new(&text.0).map_err(de::Error::custom)
            }
        }
    };
}

/// Borrowed from the input where the format allows it.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

fn lower(bytes: &[u8], longest: usize) -> bool {
    (1..=longest).contains(&bytes.len())
        && bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'_')
}

/// Fit for being part of a key, a path or a log line.
fn plain(bytes: &[u8], longest: usize) -> bool {
    (1..=longest).contains(&bytes.len()) && bytes.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_' || *b == b'-')
}

text_id! {
    /// Who plays: chosen by the studio's account system, carried by the sign-in token.
    PlayerId, "a player id", "1 to 64 characters of A-Z, a-z, 0-9, _ and -", "^[A-Za-z0-9_-]{1,64}$",
    |bytes| plain(bytes, 64)
}
text_id! {
    /// A kind of thing, as the catalogue names it. Currencies are items too, so this also names a balance.
    ItemId, "an item id", "1 to 64 characters of a-z, 0-9 and _", "^[a-z0-9_]{1,64}$",
    |bytes| lower(bytes, 64)
}
text_id! {
    /// An equipment slot, such as `main_hand`.
    SlotId, "an equipment slot", "1 to 32 characters of a-z, 0-9 and _", "^[a-z0-9_]{1,32}$",
    |bytes| lower(bytes, 32)
}
text_id! {
    /// Names one order of an operator: chosen by whoever gives it, and never again for another one. Said twice, it is done
    /// once.
    OrderKey, "an idempotency key", "1 to 64 characters of A-Z, a-z, 0-9, _ and -", "^[A-Za-z0-9_-]{1,64}$",
    |bytes| plain(bytes, 64)
}
text_id! {
    /// The name of an attribute.
    AttributeKey, "an attribute key", "1 to 32 characters of a-z, 0-9 and _", "^[a-z0-9_]{1,32}$",
    |bytes| lower(bytes, 32)
}

text_id! {
    /// What is for sale in limited numbers.
    SkuId, "a SKU", "1 to 64 characters of A-Z, a-z, 0-9, _ and -", "^[A-Za-z0-9_-]{1,64}$",
    |bytes| plain(bytes, 64)
}
text_id! {
    /// A cart of somebody who is no player: a web shop's, a launcher's.
    CartId, "a cart id", "1 to 64 characters of A-Z, a-z, 0-9, _ and -", "^[A-Za-z0-9_-]{1,64}$",
    |bytes| plain(bytes, 64)
}

/// Declares an id that is a UUID: text in JSON, 16 bytes in MessagePack.
macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Wraps a UUID that was minted as this kind of id.
            #[must_use]
            pub const fn new(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The UUID itself.
            #[must_use]
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

uuid_id! {
    /// One stack, for ever: minted when the stack arises (UUIDv7), never derived, never used again.
    InstanceId
}
uuid_id! {
    /// One load of a player into a server's memory. Deltas continue only within one incarnation.
    Incarnation
}
uuid_id! {
    /// One trade of two players, from its invite to its end.
    TradeId
}
uuid_id! {
    /// One hold on limited stock, from its making on; the last word about it is told under the same id.
    ReservationId
}
uuid_id! {
    /// One connection's time with a player, from `welcome` to its close.
    SessionId
}

/// How many records a player's state has seen. The record of birth is 1; 0 is a player that does not exist yet.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(u64);

impl Revision {
    /// Before birth.
    pub const ZERO: Self = Self(0);

    /// A revision read from a message or a record.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The revision that the next record makes.
    ///
    /// # Panics
    /// After 2^64 − 1 records: nobody lives that long.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.checked_add(1).expect("a player has fewer than 2^64 records"))
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The number of a request, chosen by the client, rising per player. The first may be 1; 0 is "none yet".
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seq(u64);

impl Seq {
    /// No request yet.
    pub const ZERO: Self = Self(0);

    /// A request number read from a message or a record.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The number before this one; before the first there is none.
    #[must_use]
    pub const fn before(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    /// The number after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Slots in a bag whose `max_slots` is 0; no bag is ever larger.
pub const BAG_SLOTS_BOUND: u16 = 10_000;

/// Somewhere that something can be: a bag slot, an equipment slot, or a balance of the wallet.
///
/// Written `b:<slot>`, `e:<slot>` and `c:<currency>`, on the wire, in the store and in the checksum alike.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// A bag slot, counted from 0.
    Bag(u16),
    /// An equipment slot.
    Equipment(SlotId),
    /// The balance of one currency.
    Balance(ItemId),
}

impl Place {
    /// Reads `b:3`, `e:head` or `c:gold`.
    ///
    /// # Errors
    /// [`BadId`] for anything else, also for a slot past [`BAG_SLOTS_BOUND`] or written with leading zeros: a
    /// place has exactly one spelling.
    pub fn parse(text: &str) -> Result<Self, BadId> {
        let bad = || BadId::new("a place", "b:<bag slot>, e:<equipment slot> or c:<currency>", text);
        match text.split_once(':').ok_or_else(bad)? {
            ("b", slot) => match slot.parse::<u16>() {
                Ok(n) if n < BAG_SLOTS_BOUND && (slot == "0" || !slot.starts_with(['0', '+'])) => Ok(Self::Bag(n)),
                _ => Err(bad()),
            },
            ("e", slot) => SlotId::new(slot).map(Self::Equipment),
            ("c", currency) => ItemId::new(currency).map(Self::Balance),
            _ => Err(bad()),
        }
    }

    /// The spelling, without an allocation.
    #[must_use]
    pub fn text(&self) -> PlaceText {
        let mut slot = itoa::Buffer::new();
        let (kind, name) = match self {
            Self::Bag(number) => (b"b:", slot.format(*number)),
            Self::Equipment(slot) => (b"e:", slot.as_str()),
            Self::Balance(currency) => (b"c:", currency.as_str()),
        };
        let mut text = PlaceText { bytes: [0; PlaceText::LONGEST], len: kind.len().saturating_add(name.len()) };
        let (begin, rest) = text.bytes.split_at_mut(kind.len());
        begin.copy_from_slice(kind);
        rest.get_mut(..name.len()).expect("no id is longer").copy_from_slice(name.as_bytes());
        text
    }
}

/// How a place is spelled.
#[derive(Clone, Copy)]
pub struct PlaceText {
    bytes: [u8; Self::LONGEST],
    len: usize,
}

impl PlaceText {
    /// The kind, and the longest item id.
    const LONGEST: usize = 66;

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).expect("ids are ASCII")
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text().as_str())
    }
}

impl Serialize for Place {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.text().as_str())
    }
}

impl<'de> Deserialize<'de> for Place {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = Text::deserialize(d)?;
        Self::parse(&text.0).map_err(de::Error::custom)
    }
}

#[cfg(feature = "openapi")]
impl utoipa::PartialSchema for Place {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        let what = "A bag slot (`b:3`), an equipment slot (`e:head`) or a balance (`c:gold`).";
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .description(Some(what))
            .into()
    }
}

#[cfg(feature = "openapi")]
impl utoipa::ToSchema for Place {}
