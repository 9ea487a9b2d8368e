//! The way from any older format to the newest, and how a loaded player's record is written.

use super::{SchemaError, Stamp};
use crate::engine::change::Content;
use bytes::Bytes;
use holdall_protocol::ids::Place;
use std::borrow::Cow;

/// Makes a value of one format into one of the next. Pure.
pub type Upgrade = fn(&[u8]) -> Result<Vec<u8>, String>;

/// What becomes of the elements behind those that a format knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behind {
    /// There are none: the record is of this format.
    Refused,
    /// A newer build wrote them; they are kept.
    Kept,
}

/// All formats that one build knows.
#[derive(Debug)]
pub struct Chain {
    /// The newest: the one that is written.
    pub number: u32,
    /// The oldest whose builds read what is written.
    pub readable_by: u32,
    /// The steps between them, from the first format on: one fewer than there are formats.
    pub upgrades: &'static [Upgrade],
    /// Reads a value of the newest format, all of it.
    pub read: fn(&[u8], Behind) -> Result<Content, String>,
    /// Appends a value in the newest format.
    pub write: fn(&Content, &mut Vec<u8>),
}

impl Chain {
    /// Whether this build reads a record with this stamp.
    ///
    /// # Errors
    /// [`SchemaError::FromTheFuture`] or [`SchemaError::NeverExisted`].
    pub const fn knows(&self, stamp: Stamp) -> Result<(), SchemaError> {
        let found = stamp.format;
        if found == 0 {
            return Err(SchemaError::NeverExisted { found });
        }
        if found > self.number && stamp.readable_by > self.number {
            return Err(SchemaError::FromTheFuture { found, reads: self.number });
        }
        Ok(())
    }

    /// Whether a record with this stamp must be written again whole.
    #[must_use]
    pub const fn outgrew(&self, stamp: Stamp) -> bool {
        stamp.format < self.number
    }

    /// Reads one place of a record with this stamp.
    ///
    /// # Errors
    /// [`SchemaError`], with the place.
    pub fn read(&self, stamp: Stamp, place: &str, value: &[u8]) -> Result<(Place, Content), SchemaError> {
        let unreadable = |reason: String| SchemaError::Unreadable { place: place.to_owned(), reason };
        let at = Place::parse(place).map_err(|error| unreadable(error.to_string()))?;
        self.knows(stamp)?;
        self.content(stamp, value).map(|content| (at, content)).map_err(unreadable)
    }

    /// Reads a value with a stamp that this build knows. The error is what is wrong with its bytes.
    pub(super) fn content(&self, stamp: Stamp, value: &[u8]) -> Result<Content, String> {
        let done = usize::try_from(stamp.format.saturating_sub(1)).unwrap_or(usize::MAX);
        let mut value = Cow::Borrowed(value);
        for upgrade in self.upgrades.iter().skip(done) {
            value = Cow::Owned(upgrade(&value)?);
        }
        let behind = if stamp.format > self.number { Behind::Kept } else { Behind::Refused };
        (self.read)(&value, behind)
    }

    /// A place's content in the newest format.
    #[must_use]
    pub fn to_bytes(&self, content: &Content) -> Bytes {
        let mut out = Vec::with_capacity(64);
        (self.write)(content, &mut out);
        out.into()
    }

    /// How a record that nobody wrote yet is written.
    #[must_use]
    pub const fn form(&'static self) -> Form {
        Form { chain: self, stamp: Stamp { format: self.number, readable_by: self.readable_by } }
    }
}

/// How one player's record is written: in the newest format of this build, under a stamp that never goes down.
#[derive(Debug, Clone, Copy)]
pub struct Form {
    chain: &'static Chain,
    stamp: Stamp,
}

impl Form {
    /// The same for a record that holds, or held, values under `stamp` as well.
    #[must_use]
    pub fn over(self, stamp: Stamp) -> Self {
        Self { stamp: self.stamp.highest(stamp), ..self }
    }

    /// What the record bears.
    #[must_use]
    pub const fn stamp(&self) -> Stamp {
        self.stamp
    }

    /// Appends a place's content as it is written.
    pub fn write(&self, content: &Content, out: &mut Vec<u8>) {
        (self.chain.write)(content, out);
    }

    /// A place's content as it is written.
    #[must_use]
    pub fn to_bytes(&self, content: &Content) -> Bytes {
        self.chain.to_bytes(content)
    }
}
