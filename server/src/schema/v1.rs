//! Record format 1. Frozen: what is written here lies in stores for ever.
//!
//! A stack is a MessagePack array `[instance (16 bytes), item, quantity, acquired_at (ms), attributes]`, the attributes
//! a map from key to a one-key map of the type (`{"integer": 5}`). A balance is an integer. Of a newer format that this
//! one may read, a stack has elements behind these.

use super::Behind;
use crate::engine::change::{Beyond, Content, Nature, Stack};
use serde::{Deserialize, Serialize, de::IgnoredAny};
use std::sync::Arc;

/// Elements of a stack.
const ELEMENTS: u32 = 5;

/// Appends a value.
pub(super) fn write(content: &Content, out: &mut Vec<u8>) {
    match content {
        Content::Amount(amount) => append(amount, out),
        Content::Stack(stack) => {
            let Stack { instance, nature, quantity, acquired_at } = stack;
            let Nature { item, attributes, beyond } = &**nature;
            let mut beyond = beyond.bytes();
            let more = if beyond.is_empty() { 0 } else { length(&mut beyond).expect("only `read` makes these bytes") };
            append_length(ELEMENTS.saturating_add(more), out);
            append(instance, out);
            append(item, out);
            append(quantity, out);
            append(acquired_at, out);
            append(attributes, out);
            out.extend_from_slice(beyond);
        }
    }
}

/// Reads a value, all of it.
pub(super) fn read(value: &[u8], behind: Behind) -> Result<Content, String> {
    let mut rest = value;
    // An array is a stack, anything else is an amount.
    let content = match value.first() {
        Some(0x90..=0x9f | 0xdc | 0xdd) => Content::Stack(stack(&mut rest, behind)?),
        _ => Content::Amount(next(&mut rest)?),
    };
    if rest.is_empty() { Ok(content) } else { Err("bytes behind the value".to_owned()) }
}

fn stack(rest: &mut &[u8], behind: Behind) -> Result<Stack, String> {
    let count = length(rest)?;
    let more = count.checked_sub(ELEMENTS).filter(|more| *more == 0 || behind == Behind::Kept);
    let more = more.ok_or_else(|| format!("a stack has {ELEMENTS} elements, not {count}"))?;
    let instance = next(rest)?;
    let item = next(rest)?;
    let quantity = next(rest)?;
    let acquired_at = next(rest)?;
    let attributes = next(rest)?;
    let beyond = if more == 0 { Beyond::default() } else { beyond(more, rest)? };
    Ok(Stack { instance, nature: Arc::new(Nature { item, attributes, beyond }), quantity, acquired_at })
}

/// So many elements as they are, as an array of their own.
fn beyond(count: u32, rest: &mut &[u8]) -> Result<Beyond, String> {
    let begin = *rest;
    for _ in 0..count {
        next::<IgnoredAny>(rest)?;
    }
    let elements = begin.strip_suffix(*rest).expect("what is left is the end of what was there");
    let mut bytes = Vec::with_capacity(elements.len().saturating_add(5));
    append_length(count, &mut bytes);
    bytes.extend_from_slice(elements);
    Ok(Beyond::new(bytes))
}

fn append(value: &impl Serialize, out: &mut Vec<u8>) {
    rmp_serde::encode::write(out, value).expect("a value serialises into memory");
}

fn append_length(count: u32, out: &mut Vec<u8>) {
    rmp::encode::write_array_len(out, count).expect("memory takes it");
}

fn length(rest: &mut &[u8]) -> Result<u32, String> {
    rmp::decode::read_array_len(rest).map_err(|error| error.to_string())
}

fn next<'de, T: Deserialize<'de>>(rest: &mut &'de [u8]) -> Result<T, String> {
    let mut reader = rmp_serde::Deserializer::new(*rest);
    let read = T::deserialize(&mut reader).map_err(|error| error.to_string())?;
    *rest = reader.into_inner();
    Ok(read)
}
