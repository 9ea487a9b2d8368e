//! What a request has to ask the store before it can be judged.
//!
//! A request that finds under its player's lock that it needs an answer of the store stops there, with nothing done; the
//! session asks without a lock, starts no further request meanwhile, and has the same request judged again under the lock,
//! with the answer. The number of the request is spent and its limits are counted at the first judgement alone. A session
//! that ends between the two leaves nothing behind: repeated, the request is answered as one that did not take effect.

use super::Sessions;
use crate::roster::{
    Roster,
    inbox::{Door, ReadError},
};
use holdall_protocol::ids::PlayerId;
use std::{pin::Pin, sync::Arc, time::Duration};
use tokio::time::timeout;

/// How long the store may take to answer.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(5);

/// A question to the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inquiry {
    /// What must be known of a player who is not here, to give them something or to say where they are.
    Door(PlayerId),
}

/// What the store said.
#[derive(Debug)]
pub enum Known {
    /// To [`Inquiry::Door`].
    Door(Result<Door, ReadError>),
}

/// An answer that is on its way.
pub type Answer = Pin<Box<dyn Future<Output = Known> + Send>>;

impl Sessions {
    /// Asks the store; what it does not answer in time is away.
    #[must_use]
    pub fn ask(&self, inquiry: Inquiry) -> Answer {
        Box::pin(ask(self.roster.clone(), inquiry))
    }
}

async fn ask(roster: Arc<Roster>, inquiry: Inquiry) -> Known {
    match inquiry {
        Inquiry::Door(player) => {
            let late = |_| Err(ReadError::Unavailable("no answer in time".to_owned()));
            Known::Door(timeout(ANSWER_TIME_MAX, roster.door(player)).await.unwrap_or_else(late))
        }
    }
}
