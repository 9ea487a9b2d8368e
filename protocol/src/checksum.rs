//! The checksum of an inventory: one number by which a client in any language proves its mirror right.
//!
//! It is the sum modulo 2^32 of the CRC-32 (IEEE 802.3, as in zlib) of one UTF-8 line per occupied place, so that
//! it can be kept up to date place by place, in any order:
//!
//! ```text
//! b:3|01920e5a-7c00-7000-8000-000000000001|ore|30|1700000000000|
//! e:head|01920e5a-7c00-7000-8000-000000000002|iron_helm|1|1700000000000|durability=integer:80,engraved=string:2:hi
//! c:gold|250
//! ```
//!
//! A stack's line is `place|instance|item|quantity|acquired_at|attributes`: the instance as hyphenated lower-case
//! text, `acquired_at` in integer milliseconds since 1970, attributes joined by commas, keys in byte order, as
//! `key=bool:true`, `key=integer:-5`, `key=float:<16 lower-case hex digits of the IEEE 754 bits>` and
//! `key=string:<byte length>:<text>`.

use crate::{
    attribute::{Attributes, Value},
    ids::{InstanceId, ItemId, Place},
};
use std::io::Write as _;

/// What a stack's line is made of.
#[derive(Debug, Clone, Copy)]
pub struct StackLine<'a> {
    /// The stack's identity.
    pub instance: InstanceId,
    /// What it is.
    pub item: &'a ItemId,
    /// How many.
    pub quantity: u32,
    /// When it was first acquired, in milliseconds since 1970.
    pub acquired_at: u64,
    /// Its attributes.
    pub attributes: &'a Attributes,
}

/// A running checksum. The empty inventory has 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Checksum(u32);

impl Checksum {
    /// The number that goes on the wire.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// Counts a place's line in.
    #[must_use]
    pub const fn with(self, line: u32) -> Self {
        Self(self.0.wrapping_add(line))
    }

    /// Counts a place's line out.
    #[must_use]
    pub const fn without(self, line: u32) -> Self {
        Self(self.0.wrapping_sub(line))
    }
}

/// The CRC-32 of a stack's line. `scratch` is cleared and filled with the line.
#[must_use]
pub fn of_stack(place: &Place, stack: StackLine<'_>, scratch: &mut Vec<u8>) -> u32 {
    scratch.clear();
    scratch.extend_from_slice(place.text().as_bytes());
    scratch.push(b'|');
    let mut text = uuid::Uuid::encode_buffer();
    scratch.extend_from_slice(stack.instance.uuid().hyphenated().encode_lower(&mut text).as_bytes());
    scratch.push(b'|');
    scratch.extend_from_slice(stack.item.as_str().as_bytes());
    scratch.push(b'|');
    scratch.extend_from_slice(itoa::Buffer::new().format(stack.quantity).as_bytes());
    scratch.push(b'|');
    scratch.extend_from_slice(itoa::Buffer::new().format(stack.acquired_at).as_bytes());
    scratch.push(b'|');
    for (n, (key, value)) in stack.attributes.iter().enumerate() {
        if n > 0 {
            scratch.push(b',');
        }
        scratch.extend_from_slice(key.as_str().as_bytes());
        let written = match value {
            Value::Bool(yes) => write!(scratch, "=bool:{yes}"),
            Value::Integer(number) => write!(scratch, "=integer:{}", number.get()),
            Value::Float(number) => write!(scratch, "=float:{:016x}", number.get().to_bits()),
            Value::String(text) => write!(scratch, "=string:{}:{text}", text.len()),
        };
        written.expect("writing to memory cannot fail");
    }
    crc32fast::hash(scratch)
}

/// The CRC-32 of a balance's line. `scratch` is cleared and filled with the line.
#[must_use]
pub fn of_balance(place: &Place, amount: u64, scratch: &mut Vec<u8>) -> u32 {
    scratch.clear();
    scratch.extend_from_slice(place.text().as_bytes());
    scratch.push(b'|');
    scratch.extend_from_slice(itoa::Buffer::new().format(amount).as_bytes());
    crc32fast::hash(scratch)
}
