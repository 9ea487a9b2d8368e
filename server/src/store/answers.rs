//! What operators were answered: kept with the effect of their order, so that an order that is given again is not done again.

use bytes::Bytes;
use holdall_protocol::ids::OrderKey;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// For how long an answer is kept.
pub const ANSWERS_KEPT: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The answer to one order, part of the write that carries it out. No condition of its own: it is kept if the write
/// happens, unless another one is kept under its key already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptAnswer {
    /// Which order.
    pub key: OrderKey,
    /// A hash of what was ordered: under the same key another one is another order.
    pub order: u64,
    /// What was answered.
    pub bytes: Bytes,
}

impl KeptAnswer {
    /// The oldest writing time (milliseconds since 1970) whose answers are still kept at another one.
    pub(super) fn oldest_kept(saved_at: u64) -> u64 {
        saved_at.saturating_sub(u64::try_from(ANSWERS_KEPT.as_millis()).unwrap_or(u64::MAX))
    }
}
