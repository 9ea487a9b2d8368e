//! Operators' orders: each carried out once, wherever its player is.
//!
//! Whoever owns the player carries an order out: under the player's lock, judged by the engine, as one record in whose write
//! the answer is kept under the order's key. A player who is nobody's is loaded for it and let go of; one whom another
//! process has is left to that process, which gets a letter (`roster::mail`), and whose answer is found in the store. To
//! give an order again, after whatever went wrong, is therefore always right: it is done, or it was done, and the answer is
//! the first one. A refusal changes nothing and is not kept.

mod act;
mod keys;
pub mod report;
mod restore;

pub use act::Act;
pub use keys::Keys;
pub use restore::{To, Wish};

use act::{Judged, Performed};

use super::{
    LoadError, Roster,
    cell::{Cell, Inner, Seat},
    load::IfHeld,
    record::{Effects, Half, Note},
};
use crate::{
    ledger::entry::{Actor, Ordered},
    store::{KeptAnswer, Owner, ReadError},
};
use bytes::Bytes;
use holdall_protocol::{
    code::Code,
    ids::{OrderKey, PlayerId, Revision},
    message::{Cause, Nothing},
};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::{
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};
use tokio::time::{Instant, sleep};

/// How long an order is tried before whoever gave it is told to give it again.
const ORDER_TIME_MAX: Duration = Duration::from_secs(10);
/// A letter may be lost.
const POST_AGAIN_AFTER: Duration = Duration::from_millis(500);
/// Between two looks whether an order was carried out.
const PAUSE_FIRST: Duration = Duration::from_millis(5);
const PAUSE_LONGEST: Duration = Duration::from_millis(200);
/// How often an order is judged anew, because its player has moved on meanwhile, before it is left for a while.
const ATTEMPTS: usize = 16;
/// Orders that a loaded player remembers. More are never carried out between a look into the store and the next step.
const REMEMBERED_ORDERS: usize = 64;

/// Characters of an operator's reason, at most: it is kept in the ledger.
pub const REASON_CHARS_MAX: usize = 500;

/// What an operator orders.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// Its key: the same order again bears the same.
    pub key: OrderKey,
    /// On whom.
    pub player: PlayerId,
    /// By whom.
    pub by: Arc<str>,
    /// Why.
    pub why: Arc<str>,
    /// What.
    pub act: Act,
}

/// Why an order was not carried out. Nothing was changed, and the key is as good as new.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderError {
    /// There is nobody to carry it out on.
    #[error("there is no such player")]
    NoSuchPlayer,
    /// The key was given to another order, which was carried out.
    #[error("this key was used for another order: a new order needs a new key")]
    KeyTaken,
    /// It asks for what cannot be, whatever the player does.
    #[error("{0}")]
    Impossible(String),
    /// The rules say no, for now.
    #[error("{message}")]
    Refused {
        /// Which rule.
        code: Code,
        /// In words.
        message: String,
    },
    /// The player could not be got hold of in time. It may still be carried out.
    #[error("the player could not be got hold of in time: give the order again, with the same key")]
    Busy,
    /// The store is away. It may still be carried out.
    #[error("the store is away: give the order again, with the same key")]
    StoreAway,
    /// What is stored of the player cannot be read.
    #[error("the stored player cannot be read: {0}")]
    Unreadable(String),
    /// A fault of ours.
    #[error("a fault in the server; nothing was changed")]
    Fault,
}

impl OrderError {
    /// What it is about, for programs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoSuchPlayer => "not_found",
            Self::KeyTaken => "key_taken",
            Self::Impossible(_) => "impossible",
            Self::Refused { code, .. } => code.as_str(),
            Self::Busy => "busy",
            Self::StoreAway => "store_unavailable",
            Self::Unreadable(_) => "unreadable",
            Self::Fault => "internal_error",
        }
    }
}

impl From<ReadError> for OrderError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Unreadable(why) => Self::Unreadable(why),
            ReadError::Unavailable(_) | ReadError::Exists => Self::StoreAway,
        }
    }
}

/// An order that a loaded player has carried out, whether that is durable or not.
#[derive(Debug, Clone)]
pub(super) struct Done {
    answer: KeptAnswer,
    /// What must be durable before anybody is told.
    revision: Revision,
}

/// Orders that this process has given to others, and what they said instead of carrying them out.
#[derive(Debug, Default)]
pub(super) struct Given(Mutex<HashMap<(OrderKey, u64), Option<OrderError>>>);

impl Given {
    /// Takes note of another process's no, if anybody still waits for it.
    pub(super) fn refused(&self, key: OrderKey, order: u64, why: OrderError) {
        if let Some(said) = self.0.lock().get_mut(&(key, order)) {
            *said = Some(why);
        }
    }

    fn said(&self, order: &Order) -> Option<OrderError> {
        self.0.lock().entry(order.name()).or_default().clone()
    }
}

/// Somebody waits for an order; when they no longer do, nothing is kept of it.
struct Waits<'g> {
    given: &'g Given,
    order: &'g Order,
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.given.0.lock().remove(&self.order.name());
    }
}

impl Order {
    /// A hash of all that makes it another order: everything but who gave it and under which key.
    #[must_use]
    pub fn hash(&self) -> u64 {
        let bytes = rmp_serde::to_vec_named(&(&self.player, &self.why, &self.act));
        xxhash_rust::xxh3::xxh3_64(&bytes.expect("an order serialises into memory"))
    }

    fn name(&self) -> (OrderKey, u64) {
        (self.key.clone(), self.hash())
    }

    /// The answer that is kept under its key, if that is to this order.
    fn answered_by(&self, kept: &KeptAnswer) -> Result<Bytes, OrderError> {
        if kept.order == self.hash() { Ok(kept.bytes.clone()) } else { Err(OrderError::KeyTaken) }
    }
}

impl Roster {
    /// Carries an order out, or finds out that it was carried out before. The answer is durable.
    ///
    /// # Errors
    /// [`OrderError`].
    pub async fn order(self: &Arc<Self>, order: &Order) -> Result<Bytes, OrderError> {
        if order.why.trim().is_empty() || order.why.chars().count() > REASON_CHARS_MAX {
            return Err(OrderError::Impossible(format!("a reason of 1 to {REASON_CHARS_MAX} characters is needed")));
        }
        let _forgets_it = Waits { given: &self.given, order };
        let begun = Instant::now();
        let (mut pause, mut posted) = (PAUSE_FIRST, None::<Instant>);
        loop {
            if let Some(answer) = self.answered(order).await? {
                return Ok(answer);
            }
            if let Some(error) = self.given.said(order) {
                return Err(error);
            }
            match self.elsewhere(&order.player).await? {
                Some(owner) if posted.is_none_or(|at| at.elapsed() >= POST_AGAIN_AFTER) => {
                    posted = Some(Instant::now());
                    self.post_order(&owner, order).await;
                }
                Some(_) => {}
                None => {
                    if let Some(answer) = self.order_here(order).await? {
                        return Ok(answer);
                    }
                }
            }
            if begun.elapsed() >= ORDER_TIME_MAX {
                return Err(OrderError::Busy);
            }
            sleep(pause).await;
            pause = pause.saturating_mul(2).min(PAUSE_LONGEST);
        }
    }

    /// The other process that has a player; `None` where the player is here or nobody's.
    async fn elsewhere(&self, player: &PlayerId) -> Result<Option<Owner>, OrderError> {
        if self.find(player).is_some() {
            return Ok(None);
        }
        let door = self.store.door(player.clone()).await?;
        if !door.exists {
            return Err(OrderError::NoSuchPlayer);
        }
        Ok(door.owner.filter(|owner| owner.node() != self.store.node()))
    }

    async fn answered(&self, order: &Order) -> Result<Option<Bytes>, OrderError> {
        let kept = self.store.answer(order.key.clone()).await?;
        kept.map(|kept| order.answered_by(&kept)).transpose()
    }

    /// Carries an order out in this process; loads the player for it, and then lets go again. `None` where the player is
    /// another process's by now, or was lost on the way.
    async fn order_here(self: &Arc<Self>, order: &Order) -> Result<Option<Bytes>, OrderError> {
        let was_here = self.find(&order.player).is_some();
        let cell = match self.load_or(&order.player, IfHeld::Leave).await {
            Ok(cell) => cell,
            Err(LoadError::Elsewhere) => return Ok(None),
            Err(LoadError::StoreAway) => return Err(OrderError::StoreAway),
            Err(LoadError::Unreadable(why)) => return Err(OrderError::Unreadable(why)),
        };
        let done = self.carry_out(&cell, order).await;
        if !was_here {
            self.unload(&cell, &mut cell.lock());
        }
        done
    }

    /// Another process asks for an order to be carried out on a player whom it takes to be here.
    pub(super) async fn serve_order(self: Arc<Self>, order: Order, asker: String) {
        if self.find(&order.player).is_none() {
            return;
        }
        if let Err(error) = self.order_here(&order).await {
            tracing::debug!(player = %order.player, key = %order.key, %error, "an order of another process is refused");
            self.post_refusal(&asker, &order, error).await;
        }
    }

    /// `None` where the player left the game before it was durable, or never stood still for long enough.
    async fn carry_out(self: &Arc<Self>, cell: &Arc<Cell>, order: &Order) -> Result<Option<Bytes>, OrderError> {
        // Asked once the player is here: whoever had it before can bring no answer any more.
        if let Some(answer) = self.answered(order).await? {
            return Ok(Some(answer));
        }
        for _ in 0..ATTEMPTS {
            let Some(judged) = self.judge(cell, &order.act).await? else { return Ok(None) };
            let done = self.do_judged(cell, &mut cell.lock(), order, judged)?;
            if let Some(done) = done {
                let answer = order.answered_by(&done.answer)?;
                return Ok(self.is_durable(cell, done.revision).await.then_some(answer));
            }
        }
        Ok(None)
    }

    /// Does it, under the player's lock, where the player is still as it was judged for, and has not done it yet. `None`
    /// where the player has moved on.
    fn do_judged(
        self: &Arc<Self>,
        cell: &Arc<Cell>,
        inner: &mut Inner,
        order: &Order,
        judged: Judged,
    ) -> Result<Option<Done>, OrderError> {
        if !self.lease.is_held() || !self.journal.has_room() {
            return Err(OrderError::StoreAway);
        }
        let Some(seat) = inner.seat() else { return Ok(None) };
        if let Some(done) = seat.rare.ordered.iter().find(|done| done.answer.key == order.key) {
            return Ok(Some(done.clone()));
        }
        if judged.at.is_some_and(|at| at != seat.revision) {
            return Ok(None);
        }
        if !self.order_keys.take(&order.key, order.hash()) {
            return Err(OrderError::KeyTaken);
        }
        let performed = self.perform_or_drop(cell, inner, judged);
        let Performed { changes, effects, reason, answer } =
            performed.inspect_err(|_| self.order_keys.give_back(&order.key))?;
        let seat = inner.seat().expect("found in the game under this lock");
        let revision = seat.revision.next();
        let answer = KeptAnswer { key: order.key.clone(), order: order.hash(), bytes: answer };
        let done = Done { answer: answer.clone(), revision };
        seat.remember_order(done.clone());
        let note = Note { actor: Actor::Operator(order.by.clone()), reason, asked: None };
        let ordered = Ordered { key: order.key.clone(), why: order.why.clone() };
        let effects = Effects { order: Some((ordered, answer)), ..effects };
        let half = Half { player: &cell.id, inner, changes: &changes, note };
        self.record_with(half, effects, Cause::Server(Nothing {}));
        let Order { key, by, .. } = order;
        tracing::info!(player = %cell.id, %key, %by, revision = revision.get(), "an order was carried out");
        self.look_again(cell, inner);
        Ok(Some(done))
    }

    fn perform_or_drop(&self, cell: &Arc<Cell>, inner: &mut Inner, judged: Judged) -> Result<Performed, OrderError> {
        catch_unwind(AssertUnwindSafe(|| self.perform(cell, inner, judged))).unwrap_or_else(|_| {
            tracing::error!(player = %cell.id, "a rule panicked; the player is dropped and loaded anew");
            self.abandon(cell, inner);
            Err(OrderError::Fault)
        })
    }
}

impl Seat {
    fn remember_order(&mut self, done: Done) {
        if self.rare.ordered.len() >= REMEMBERED_ORDERS {
            self.rare.ordered.pop_front();
        }
        self.rare.ordered.push_back(done);
    }
}
