//! A gift at rest, between its giver's record and its receiver's.
//!
//! A MessagePack array `[version, from, sent_at (ms), returned, format, readable_by, content, [value…]]`: each value is a
//! stack, written as a place's value is in a record of that format.

use super::{Chain, Form, SchemaError, Stamp};
use crate::engine::change::{Content, Stack};
use bytes::Bytes;
use holdall_protocol::ids::PlayerId;
use serde::{Deserialize, Serialize};

/// The version of this layout.
const VERSION: u8 = 1;

#[derive(Serialize, Deserialize)]
struct Stored(u8, PlayerId, u64, bool, u32, u32, u32, Vec<Bytes>);

/// What is known of a waiting gift beside its things.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slip {
    /// Whom it comes from: who gave it, or, where it came back, who did not take it.
    pub from: PlayerId,
    /// When it was put there, in milliseconds since 1970.
    pub sent_at: u64,
    /// Whether it came back to its giver.
    pub returned: bool,
    /// The content step that its things are at.
    pub content: u32,
}

/// A waiting gift.
#[derive(Debug, Clone, PartialEq)]
pub struct Gift {
    /// What is known of it.
    pub slip: Slip,
    /// The format that its things were written in.
    pub stamp: Stamp,
    /// Its things, as they were written.
    pub stacks: Vec<Stack>,
}

/// A gift's bytes.
#[must_use]
pub fn write(slip: &Slip, stacks: &[Stack], form: Form) -> Bytes {
    let Slip { from, sent_at, returned, content } = slip.clone();
    let Stamp { format, readable_by } = form.stamp();
    let values = stacks.iter().map(|stack| form.to_bytes(&Content::Stack(stack.clone()))).collect();
    let stored = Stored(VERSION, from, sent_at, returned, format, readable_by, content, values);
    rmp_serde::to_vec(&stored).expect("a gift serialises into memory").into()
}

/// Reads a gift, all of it.
///
/// # Errors
/// [`SchemaError`]: it stays where it is.
pub fn read(chain: &Chain, bytes: &[u8]) -> Result<Gift, SchemaError> {
    let unreadable = |reason: String| SchemaError::Unreadable { place: "gift".to_owned(), reason };
    let mut reader = rmp_serde::Deserializer::new(bytes);
    let Stored(version, from, sent_at, returned, format, readable_by, content, values) =
        Stored::deserialize(&mut reader).map_err(|error| unreadable(error.to_string()))?;
    if version != VERSION {
        return Err(unreadable(format!("a gift of version {version}: use the newer build")));
    }
    if !reader.into_inner().is_empty() {
        return Err(unreadable("bytes behind the gift".to_owned()));
    }
    let stamp = Stamp::stored(format, readable_by);
    chain.knows(stamp)?;
    let stack = |value: &Bytes| match chain.content(stamp, value) {
        Ok(Content::Stack(stack)) => Ok(stack),
        Ok(Content::Amount(_)) => Err(unreadable("an amount is no stack".to_owned())),
        Err(reason) => Err(unreadable(reason)),
    };
    let stacks = values.iter().map(stack).collect::<Result<_, _>>()?;
    Ok(Gift { slip: Slip { from, sent_at, returned, content }, stamp, stacks })
}
