//! What a stack is, beside which one and how much: one for all that are alike.

use holdall_protocol::{attribute::Attributes, ids::ItemId};
use std::sync::Arc;

/// What stacks have in common that may become one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nature {
    /// What it is.
    pub item: ItemId,
    /// Its attributes.
    pub attributes: Attributes,
    /// What a newer build wrote of it.
    pub beyond: Beyond,
}

impl Nature {
    /// Of an item without more.
    #[must_use]
    pub fn plain(item: ItemId) -> Arc<Self> {
        Self::with(item, Attributes::default())
    }

    /// Of an item with these attributes.
    #[must_use]
    pub fn with(item: ItemId, attributes: Attributes) -> Arc<Self> {
        Arc::new(Self { item, attributes, beyond: Beyond::default() })
    }
}

/// What a newer build wrote of a stack and this one cannot read: bytes that go where the stack goes, parts of it too, and
/// that nobody looks into. Mostly there are none, and then it costs one null pointer.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Beyond(Option<Arc<Vec<u8>>>);

impl Beyond {
    /// These bytes.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(if bytes.is_empty() { None } else { Some(Arc::new(bytes)) })
    }

    /// The bytes; empty where there are none.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.0.as_ref().map_or(&[], |bytes| bytes)
    }
}
