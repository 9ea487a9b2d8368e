//! Record formats: what a place's value looks like at rest.
//!
//! Owns the number of the current format and the way from every older one. Each format is a frozen module; the engine's
//! own types are never serialised. Called by `journal` and `ledger` (writing) and `roster` (reading).

pub mod v1;

use crate::engine::change::Content;
use bytes::Bytes;
use holdall_protocol::ids::Place;

/// The format that is written.
pub const CURRENT: u32 = 1;

/// Why a stored value is refused. The record is left as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// Written by a newer build.
    #[error("record format {found} is newer than this build reads ({CURRENT}): use the newer build")]
    FromTheFuture {
        /// The format that the record names.
        found: u32,
    },
    /// No format of ours.
    #[error("record format {found} never existed")]
    NeverExisted {
        /// The format that the record names.
        found: u32,
    },
    /// The bytes are no value.
    #[error("{place}: {reason}")]
    Unreadable {
        /// Where.
        place: String,
        /// What is wrong.
        reason: String,
    },
}

/// Appends a place's content in the current format.
pub fn write(content: &Content, out: &mut Vec<u8>) {
    v1::write(content, out);
}

/// A place's content in the current format.
#[must_use]
pub fn to_bytes(content: &Content) -> Bytes {
    let mut out = Vec::with_capacity(64);
    write(content, &mut out);
    out.into()
}

/// Whether this build reads records in format `schema`.
///
/// # Errors
/// [`SchemaError::FromTheFuture`] or [`SchemaError::NeverExisted`].
pub const fn known(schema: u32) -> Result<(), SchemaError> {
    match schema {
        1..=CURRENT => Ok(()),
        0 => Err(SchemaError::NeverExisted { found: schema }),
        found => Err(SchemaError::FromTheFuture { found }),
    }
}

/// Reads one place of a record in format `schema`.
///
/// # Errors
/// [`SchemaError`], with the place.
pub fn read(schema: u32, place: &str, value: &[u8]) -> Result<(Place, Content), SchemaError> {
    let unreadable = |reason: String| SchemaError::Unreadable { place: place.to_owned(), reason };
    let at = Place::parse(place).map_err(|error| unreadable(error.to_string()))?;
    known(schema)?;
    v1::read(value).map(|content| (at, content)).map_err(unreadable)
}
