//! What is looked up in the rooms whenever somebody reads the metrics.

use crate::{
    journal::Health,
    operator::Scrape,
    roster::Roster,
    store::stock::Event,
    telemetry::{
        metrics::{Holds, Sample},
        readiness::Readiness,
    },
};
use std::sync::Arc;

/// Reads the metrics of a server.
pub(super) fn scrape(roster: Arc<Roster>, readiness: Arc<Readiness>) -> Scrape {
    Arc::new(move || roster.metrics.expose(&sample(&roster, &readiness)))
}

fn sample(roster: &Roster, readiness: &Readiness) -> Sample {
    let journal = &roster.journal;
    let tally = roster.store().tally();
    Sample {
        store: readiness.store().to_owned(),
        is_ready: readiness.is_ready(),
        is_store_up: *journal.health().borrow() == Health::Good,
        players_loaded: roster.loaded(),
        pending_bytes: journal.pending_bytes(),
        oldest_dirty: journal.oldest_dirty(),
        holds: Holds {
            made: tally.of(Event::Hold),
            confirmed: tally.of(Event::Confirm),
            released: tally.of(Event::Release),
            expired: tally.of(Event::Expired),
        },
    }
}
