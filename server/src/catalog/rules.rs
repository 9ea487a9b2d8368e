//! Everything that the engine judges by: the catalogue and the bounds from the settings.

use super::Catalog;
use holdall_protocol::ids::{ItemId, SlotId};
use std::num::NonZeroU64;

/// The catalogue and the bounds, as one immutable whole.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    /// The definitions.
    pub catalog: Catalog,
    /// Slots of a bag, 1 to 10,000.
    pub max_slots: u16,
    /// The weight that may be carried, in thousandths; 0 is no bound.
    pub max_weight: u64,
    /// The equipment slots, in the order of the config.
    pub slots: Vec<SlotId>,
    /// The two hands: a two-handed item goes into the first and needs the second empty.
    pub hands: [SlotId; 2],
    /// What a sold item brings, in thousandths of its base value.
    pub sell_rate: u64,
    /// What it is paid in: of kind currency.
    pub sell_currency: ItemId,
    /// Attributes on one stack, at most.
    pub attributes_max: usize,
    /// Bytes of all attributes of one stack, at most.
    pub attribute_bytes_max: usize,
    /// Lines of one gift, at most.
    pub gift_items_max: usize,
    /// What a player is born with; items and currencies.
    pub kit: Vec<(ItemId, NonZeroU64)>,
}
