//! What waits for a player: the shapes of the inbox, and of what a giver may know of a receiver.
//!
//! A gift is put by its giver's record and taken by the record of whoever owns the receiver. Stores keep its content as
//! bytes and never look into it.

use super::Owner;
use bytes::Bytes;
use holdall_protocol::ids::PlayerId;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Gifts that [`super::Store::inbox`] reads at once: more than a bound on them lets wait, so that only what was sent back
/// ever needs a second look.
pub const INBOX_READ_MAX: usize = 256;

/// Names one waiting gift, for ever. A UUIDv7: in their order gifts are taken, the oldest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GiftId(uuid::Uuid);

impl GiftId {
    /// The id of a new gift.
    #[must_use]
    pub const fn new(uuid: uuid::Uuid) -> Self {
        Self(uuid)
    }

    /// The id as a UUID.
    #[must_use]
    pub const fn uuid(&self) -> uuid::Uuid {
        self.0
    }

    /// The 16 bytes that are stored where bytes are keys.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// An id from its 16 bytes; `None` where they are not so many.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        uuid::Uuid::from_slice(bytes).ok().map(Self)
    }

    /// An id from its text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        uuid::Uuid::try_parse(text).ok().map(Self)
    }
}

impl fmt::Debug for GiftId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for GiftId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

/// A waiting gift and its bytes.
pub type Waiting = (GiftId, Bytes);

/// One step of an inbox, part of somebody's write. Anything may be put. What is taken must be there: who has taken a gift
/// of which the store lost the putting waits until that was written again, or it would be in two hands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InboxChange {
    /// Whose inbox.
    pub owner: PlayerId,
    /// Which gift.
    pub gift: GiftId,
    /// What is put (`Some`); `None` takes it out.
    pub content: Option<Bytes>,
}

/// What is settled about a player beside their things: what they accept, and whether they are let in. One number: in its
/// low 16 bits everything is allowed that no bit forbids; above them stands the second since 1970 from which on the player
/// may sign in, 0 where nobody forbade it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Preferences(u64);

impl Preferences {
    const NO_GIFTS: u64 = 1;
    const NO_INVITES: u64 = 2;
    const CHOICES: u64 = 0xffff;
    const BARRED_SHIFT: u32 = 16;
    /// The last second of the year 9999. The number stays far below 2^63.
    const SECOND_MAX: u64 = 253_402_300_799;

    /// The number as stored; bits that this build does not know are kept.
    #[must_use]
    pub const fn stored(bits: u64) -> Self {
        Self(bits)
    }

    /// The number.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Whether others may give.
    #[must_use]
    pub const fn takes_gifts(self) -> bool {
        self.0 & Self::NO_GIFTS == 0
    }

    /// Whether others may invite to a trade.
    #[must_use]
    pub const fn takes_invites(self) -> bool {
        self.0 & Self::NO_INVITES == 0
    }

    /// The same with these set; what is `None` stays.
    #[must_use]
    pub const fn with(self, gifts: Option<bool>, invites: Option<bool>) -> Self {
        self.set(Self::NO_GIFTS, gifts).set(Self::NO_INVITES, invites)
    }

    /// Until when the player may not sign in, in milliseconds since 1970; `None` where nobody forbade it.
    #[must_use]
    pub const fn barred_until(self) -> Option<u64> {
        match self.0 >> Self::BARRED_SHIFT {
            0 => None,
            second => Some(second.saturating_mul(1_000)),
        }
    }

    /// The same with this end of it, in milliseconds since 1970, to the next full second; 0 is a bar that is over.
    #[must_use]
    pub fn barred(self, until_ms: u64) -> Self {
        let second = until_ms.div_ceil(1_000).min(Self::SECOND_MAX);
        Self(self.0 & Self::CHOICES | second << Self::BARRED_SHIFT)
    }

    const fn set(self, bit: u64, allowed: Option<bool>) -> Self {
        match allowed {
            Some(true) => Self(self.0 & !bit),
            Some(false) => Self(self.0 | bit),
            None => self,
        }
    }
}

/// What can be known of a player at their door.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Door {
    /// Whether there is such a player at all: one who was born.
    pub exists: bool,
    /// What they have set.
    pub preferences: Preferences,
    /// Gifts that wait.
    pub waiting: usize,
    /// The process that has the player in the game, as far as the store knows it to be alive.
    pub owner: Option<Owner>,
}
