//! What a request has to ask the store before it can be judged.
//!
//! A request that finds under its player's lock that it needs an answer of the store stops there, with nothing done; the
//! session asks without a lock, starts no further request meanwhile, and has the same request judged again under the lock,
//! with the answer. Its limits are counted at the first judgement alone, and its number is spent by the second. A session that
//! ends between the two leaves the number as it was: whoever comes back asks again under it, of the store, too, which does what
//! it does for a request once (`store::stock::DeedKey::Request`).

use super::Sessions;
use crate::{
    market::shop_desk::{Paying, ShopDesk, Wish},
    roster::{
        Roster,
        cell::Cell,
        inbox::{Door, ReadError},
    },
    store::stock::{Stock, StockError},
};
use holdall_protocol::{
    ids::{PlayerId, ReservationId, Seq, SkuId},
    message::Hold,
};
use std::{pin::Pin, sync::Arc, time::Duration};
use tokio::time::timeout;

/// How long the store may take to answer.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(5);

/// A question to the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inquiry {
    /// What must be known of a player who is not here, to give them something or to say where they are.
    Door(PlayerId),
    /// How much is left of these.
    Stocks(Vec<SkuId>),
    /// A hold for the player who asks.
    Hold(Box<Wish>),
    /// To give back a hold of the player who asks, by this request.
    Release(ReservationId, Seq),
    /// To claim a hold of the player who asks.
    Claim(ReservationId),
}

/// What the store said.
pub enum Known {
    /// To [`Inquiry::Door`].
    Door(Result<Door, ReadError>),
    /// To [`Inquiry::Stocks`].
    Stocks(Result<Vec<Option<Stock>>, ReadError>),
    /// To [`Inquiry::Hold`] and [`Inquiry::Release`].
    Hold(Result<Hold, StockError>),
    /// To [`Inquiry::Claim`].
    Claim(Result<Paying, StockError>),
}

/// An answer that is on its way.
pub type Answer = Pin<Box<dyn Future<Output = Known> + Send>>;

impl Sessions {
    /// Asks the store, for a player; what it does not answer in time is away.
    #[must_use]
    pub fn ask(&self, cell: &Arc<Cell>, inquiry: Inquiry) -> Answer {
        Box::pin(ask(self.roster.clone(), self.shop.clone(), cell.clone(), inquiry))
    }
}

async fn ask(roster: Arc<Roster>, shop: Arc<ShopDesk>, cell: Arc<Cell>, inquiry: Inquiry) -> Known {
    match inquiry {
        Inquiry::Door(player) => Known::Door(in_time(roster.door(player)).await),
        Inquiry::Stocks(skus) => Known::Stocks(in_time(shop.stocks(skus)).await),
        Inquiry::Hold(wish) => Known::Hold(to_its_end(shop.hold(cell, *wish)).await),
        Inquiry::Release(hold, seq) => Known::Hold(to_its_end(shop.release(cell, hold, seq)).await),
        Inquiry::Claim(hold) => Known::Claim(to_its_end(shop.claim(cell, hold)).await),
    }
}

async fn in_time<T, E: From<ReadError>>(answer: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    let late = |_| Err(ReadError::Unavailable("no answer in time".to_owned()).into());
    timeout(ANSWER_TIME_MAX, answer).await.unwrap_or_else(late)
}

/// What changes something goes on when nobody waits for it any more.
async fn to_its_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, StockError>> + Send + 'static,
) -> Result<T, StockError> {
    let work = tokio::spawn(work);
    in_time(async { work.await.unwrap_or_else(|error| Err(StockError::Unavailable(error.to_string()))) }).await
}
