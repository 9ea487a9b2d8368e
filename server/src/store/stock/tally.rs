//! How often what has happened to stocks, by one handle of a store.

use super::Event;
use crate::store::{Batch, Outcome};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// Counts since the handle was opened; clones count together. What a crash left unknown may be missing.
#[derive(Debug, Clone, Default)]
pub struct Tally(Arc<[AtomicU64; Event::ALL.len()]>);

impl Tally {
    /// How often this has happened.
    #[must_use]
    pub fn of(&self, event: Event) -> u64 {
        self.counter(event).map_or(0, |counter| counter.load(Ordering::Relaxed))
    }

    pub(in crate::store) fn add(&self, event: Event, times: u64) {
        if let Some(counter) = self.counter(event) {
            counter.fetch_add(times, Ordering::Relaxed);
        }
    }

    fn counter(&self, event: Event) -> Option<&AtomicU64> {
        let index = Event::ALL.iter().position(|known| *known == event)?;
        self.0.get(index)
    }

    /// Counts the holds that a batch has paid for, and hands its outcome on.
    pub(in crate::store) fn with_purchases(&self, batch: &Batch, outcome: Outcome) -> Outcome {
        if matches!(outcome, Outcome::Applied | Outcome::Already) {
            let purchases: usize = batch.players.iter().map(|write| write.purchases.len()).sum();
            self.add(Event::Confirm, u64::try_from(purchases).unwrap_or(u64::MAX));
        }
        outcome
    }
}
