//! Record format 1. Frozen: what is written here lies in stores for ever.
//!
//! A stack is a MessagePack array `[instance (16 bytes), item, quantity, acquired_at (ms), attributes]`, the attributes
//! a map from key to a one-key map of the type (`{"integer": 5}`). A balance is an integer.

use crate::engine::change::{Content, Stack};
use holdall_protocol::{
    attribute::Attributes,
    ids::{InstanceId, ItemId},
};
use serde::{Deserialize, Serialize};
use std::num::NonZeroU32;

#[derive(Serialize, Deserialize)]
struct StackV1(InstanceId, ItemId, NonZeroU32, u64, Attributes);

/// Appends a value.
pub(super) fn write(content: &Content, out: &mut Vec<u8>) {
    match content {
        Content::Amount(amount) => rmp_serde::encode::write(out, amount),
        Content::Stack(Stack { instance, item, quantity, acquired_at, attributes }) => rmp_serde::encode::write(
            out,
            &StackV1(*instance, item.clone(), *quantity, *acquired_at, attributes.clone()),
        ),
    }
    .expect("a value serialises into memory");
}

/// Reads a value, all of it.
pub(super) fn read(value: &[u8]) -> Result<Content, String> {
    // An array is a stack, anything else is an amount.
    match value.first() {
        Some(0x90..=0x9f | 0xdc | 0xdd) => {
            let StackV1(instance, item, quantity, acquired_at, attributes) = whole(value)?;
            Ok(Content::Stack(Stack { instance, item, quantity, acquired_at, attributes }))
        }
        _ => whole(value).map(Content::Amount),
    }
}

fn whole<'de, T: Deserialize<'de>>(value: &'de [u8]) -> Result<T, String> {
    let mut reader = rmp_serde::Deserializer::new(value);
    let read = T::deserialize(&mut reader).map_err(|error| error.to_string())?;
    if reader.get_ref().is_empty() { Ok(read) } else { Err("bytes behind the value".to_owned()) }
}
