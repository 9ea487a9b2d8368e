//! Setting a player back to an earlier revision: looked at first, then ordered.

mod text;

pub use crate::roster::orders::{OrderError, To, Wish, report::Restored};

use crate::roster::{
    Roster,
    orders::{Act, Order},
};
use holdall_protocol::ids::{OrderKey, PlayerId};
use std::sync::Arc;

/// How somebody asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// How the player is to be set back.
    pub wish: Wish,
    /// The order; without one, nothing is changed.
    pub order: Option<Signed>,
}

/// What makes a wish an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// The order's key.
    pub key: OrderKey,
    /// Who gives it.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// Says what setting a player back changes, and with an order does it. Then somebody has to run the roster's journal.
///
/// # Errors
/// [`OrderError`].
pub async fn restore(roster: &Arc<Roster>, player: &PlayerId, asked: Asked) -> Result<Restored, OrderError> {
    let Asked { wish, order } = asked;
    let Some(Signed { key, by, reason }) = order else { return roster.preview_restore(player, &wish).await };
    let order = Order { key, player: player.clone(), by: by.into(), why: reason.into(), act: Act::Restore(wish) };
    let answer = roster.order(&order).await?;
    serde_json::from_slice(&answer).map_err(|error| OrderError::Unreadable(format!("the kept answer: {error}")))
}
