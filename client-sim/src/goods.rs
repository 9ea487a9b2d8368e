//! What the shop sells, learned by `shop_list` and shared by the bots of one run, so that few of them ask.
//!
//! Called by `bot` and `workload`. Never guesses: of a shop that nobody has seen, nothing is held.

use holdall_protocol::message::ShopEntry;
use std::sync::{
    PoisonError, RwLock,
    atomic::{AtomicBool, Ordering::Relaxed},
};

/// The newest list.
#[derive(Debug, Default)]
pub(crate) struct Goods {
    entries: RwLock<Vec<ShopEntry>>,
    /// Nobody has to ask: the list is known, or on its way.
    asked: AtomicBool,
}

impl Goods {
    /// Takes the duty to ask for the list; false where it is known, or another bot has it.
    pub(crate) fn claim(&self) -> bool {
        !self.asked.load(Relaxed) && !self.asked.swap(true, Relaxed)
    }

    /// A claim that came to nothing, or a list that may be another by now: somebody may ask.
    pub(crate) fn unclaim(&self) {
        self.asked.store(false, Relaxed);
    }

    /// The answer.
    pub(crate) fn learn(&self, entries: &[ShopEntry]) {
        *self.entries.write().unwrap_or_else(PoisonError::into_inner) = entries.to_vec();
    }

    /// What is for sale, chosen by whoever looks at all of it; nothing where there is no shop.
    pub(crate) fn look<T>(&self, choose: impl FnOnce(&[ShopEntry]) -> Option<T>) -> Option<T> {
        choose(&self.entries.read().unwrap_or_else(PoisonError::into_inner))
    }
}
