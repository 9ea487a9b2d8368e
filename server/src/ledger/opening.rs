//! The opening balance of a ledger whose oldest entries were let go, at rest: what their player had when the last of them
//! was made.
//!
//! A MessagePack array `[0, revision, at, format, readable_by, [[place, value]…]]`; it stands where the entries stood. The
//! first element tells it from an entry, which begins with its layout's version, 1 or more.

use super::past::{self, Things};
use crate::schema::{Chain, Form, SchemaError, Stamp};
use bytes::Bytes;
use holdall_protocol::ids::Revision;
use serde::{Deserialize, Serialize};

/// Stands where an entry has its version.
const MARK: u8 = 0;
/// How the bytes begin: an array of six elements, the first of which is the mark.
const BEGIN: [u8; 2] = [0x96, MARK];

#[derive(Serialize, Deserialize)]
struct Stored(u8, u64, u64, u32, u32, Vec<(String, Bytes)>);

/// Where a player's ledger begins: what they had before its oldest entry. Nothing, at revision 0, where it reaches back to
/// birth.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Opening {
    /// The revision before the oldest entry.
    pub revision: Revision,
    /// When it was made, in milliseconds since 1970.
    pub at: u64,
    /// What they had at it.
    pub things: Things,
}

impl Opening {
    /// Its bytes.
    #[must_use]
    pub fn write(&self, form: Form) -> Bytes {
        let Stamp { format, readable_by } = form.stamp();
        let places = self.things.iter().map(|(place, content)| (place.to_string(), form.to_bytes(content))).collect();
        let stored = Stored(MARK, self.revision.get(), self.at, format, readable_by, places);
        rmp_serde::to_vec(&stored).expect("an opening serialises into memory").into()
    }

    /// Whether these bytes of a ledger are an opening, and no entries.
    #[must_use]
    pub fn is(bytes: &[u8]) -> bool {
        bytes.starts_with(&BEGIN)
    }

    /// Reads one, all of it.
    ///
    /// # Errors
    /// [`SchemaError`]: nothing is known of what the ledger stands on.
    pub fn read(chain: &Chain, bytes: &[u8]) -> Result<Self, SchemaError> {
        let unreadable = |reason: String| SchemaError::Unreadable { place: "opening balance".to_owned(), reason };
        let mut reader = rmp_serde::Deserializer::new(bytes);
        let Stored(_, revision, at, format, readable_by, places) =
            Stored::deserialize(&mut reader).map_err(|error| unreadable(error.to_string()))?;
        if !reader.into_inner().is_empty() {
            return Err(unreadable("bytes behind it".to_owned()));
        }
        let stamp = Stamp::stored(format, readable_by);
        let things = places.iter().map(|(place, value)| past::read(chain, stamp, place, value));
        Ok(Self { revision: Revision::new(revision), at, things: things.collect::<Result<_, _>>()? })
    }
}
