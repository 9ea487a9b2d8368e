//! What the bots count while they play: requests, replies, refusals, latencies, and the faults they find.
//!
//! Called by `bot` (which counts) and `scenario` (which reads). Bots share a few histograms, so that ten thousand of
//! them cost no more memory than one.

use crate::{checker::Fate, fault::Fault};
use hdrhistogram::Histogram;
use holdall_protocol::{action::Action, code::Code, ids::PlayerId};
use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

/// Violations that are kept in words; the others are only counted.
const VIOLATIONS_KEPT: usize = 1000;

/// The longest latency that is told apart from longer ones, in microseconds.
const LATENCY_MAX_US: u64 = 120_000_000;

const SHARDS: usize = 8;

#[derive(Debug)]
struct Shard {
    latencies: Histogram<u64>,
    logins: Histogram<u64>,
    refusals: BTreeMap<Code, u64>,
}

/// The counters of one run.
#[derive(Debug)]
pub(crate) struct Metrics {
    /// Requests sent, repeats after a cut not counted again.
    pub(crate) requests: AtomicU64,
    /// Terminal replies.
    pub(crate) replies: AtomicU64,
    /// Replies that came before a cut was noticed and had to be asked for again.
    pub(crate) asked_again: AtomicU64,
    /// Replies that refused.
    pub(crate) refused: AtomicU64,
    /// Requests that were due but could not be sent.
    pub(crate) unsent: AtomicU64,
    /// Bots that are connected.
    pub(crate) connected: AtomicU64,
    /// Connections made again after a cut.
    pub(crate) reconnects: AtomicU64,
    /// Reconnects that got only what they had missed.
    pub(crate) resumes: AtomicU64,
    /// Answers with the whole inventory, each compared with the mirror.
    pub(crate) resyncs: AtomicU64,
    /// Gifts that were acknowledged to their givers.
    pub(crate) gifts: AtomicU64,
    /// Gifts that were seen to come out of an inbox.
    pub(crate) delivered: AtomicU64,
    /// Trades that settled, as told to whoever accepted last.
    pub(crate) settled: AtomicU64,
    /// Holds that were made in the shop.
    pub(crate) holds: AtomicU64,
    /// Holds that were paid for.
    pub(crate) purchases: AtomicU64,
    /// Holds that were given back.
    pub(crate) released: AtomicU64,
    /// Holds whose players were told that they had run out.
    pub(crate) expired: AtomicU64,
    /// Connections for which the server had no room.
    pub(crate) turned_away: AtomicU64,
    /// Snapshots that nobody had asked for: each stands for deltas that too much waiting had made the server leave out.
    pub(crate) collapsed: AtomicU64,
    /// Replies that came without their changes for the same reason.
    pub(crate) collapsed_replies: AtomicU64,
    /// Connections that were closed because what was sent was not read for too long.
    pub(crate) closed_slow: AtomicU64,
    shards: Vec<Mutex<Shard>>,
    abuses: Mutex<BTreeMap<&'static str, BTreeMap<String, u64>>>,
    violations: Mutex<Vec<String>>,
    violations_count: AtomicU64,
}

impl Metrics {
    /// All zero.
    pub(crate) fn new() -> Self {
        let shard = || Mutex::new(Shard { latencies: histogram(), logins: histogram(), refusals: BTreeMap::new() });
        Self {
            requests: AtomicU64::new(0),
            replies: AtomicU64::new(0),
            asked_again: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            unsent: AtomicU64::new(0),
            connected: AtomicU64::new(0),
            reconnects: AtomicU64::new(0),
            resumes: AtomicU64::new(0),
            resyncs: AtomicU64::new(0),
            gifts: AtomicU64::new(0),
            delivered: AtomicU64::new(0),
            settled: AtomicU64::new(0),
            holds: AtomicU64::new(0),
            purchases: AtomicU64::new(0),
            released: AtomicU64::new(0),
            expired: AtomicU64::new(0),
            turned_away: AtomicU64::new(0),
            collapsed: AtomicU64::new(0),
            collapsed_replies: AtomicU64::new(0),
            closed_slow: AtomicU64::new(0),
            abuses: Mutex::default(),
            shards: (0..SHARDS).map(|_| shard()).collect(),
            violations: Mutex::new(Vec::new()),
            violations_count: AtomicU64::new(0),
        }
    }

    /// Counts a reply to one of bot `number`'s requests, with its latency if it was asked while they played.
    pub(crate) fn reply(&self, number: usize, latency: Option<Duration>, refused: Option<Code>) {
        self.replies.fetch_add(1, Relaxed);
        let Some(shard) = self.shards.get(number % SHARDS) else { return };
        let mut shard = lock(shard);
        if let Some(latency) = latency {
            shard.latencies.saturating_record(micros(latency));
        }
        if let Some(code) = refused {
            self.refused.fetch_add(1, Relaxed);
            *shard.refusals.entry(code).or_default() += 1;
        }
    }

    /// Counts what changed hands by one of a bot's requests.
    pub(crate) fn handed_over(&self, action: &Action, fate: Fate) {
        if !matches!(fate, Fate::Applied | Fate::Duplicate { applied: Some(true) }) {
            return;
        }
        match action {
            Action::Gift(_) => drop(self.gifts.fetch_add(1, Relaxed)),
            Action::TradeAccept(_) => drop(self.settled.fetch_add(1, Relaxed)),
            Action::ShopHold(_) => drop(self.holds.fetch_add(1, Relaxed)),
            Action::ShopConfirm(_) => drop(self.purchases.fetch_add(1, Relaxed)),
            Action::ShopRelease(_) => drop(self.released.fetch_add(1, Relaxed)),
            _ => {}
        }
    }

    /// Counts an abuse and how it ended.
    pub(crate) fn abused(&self, what: &'static str, ended: &str) {
        *lock(&self.abuses).entry(what).or_default().entry(ended.to_owned()).or_default() += 1;
    }

    /// How often each abuse ended how.
    pub(crate) fn abuses(&self) -> BTreeMap<String, BTreeMap<String, u64>> {
        lock(&self.abuses).iter().map(|(what, ends)| ((*what).to_owned(), ends.clone())).collect()
    }

    /// Notes a broken promise.
    pub(crate) fn violation(&self, player: Option<&PlayerId>, fault: &Fault) {
        self.violations_count.fetch_add(1, Relaxed);
        let mut violations = lock(&self.violations);
        if violations.len() < VIOLATIONS_KEPT {
            violations.push(match player {
                Some(player) => format!("{player}: {fault}"),
                None => fault.to_string(),
            });
        }
    }

    /// How many promises were broken.
    pub(crate) fn violations_count(&self) -> u64 {
        self.violations_count.load(Relaxed)
    }

    /// The broken promises in words, the first thousand.
    pub(crate) fn violations(&self) -> Vec<String> {
        lock(&self.violations).clone()
    }

    /// The latencies since this was asked before, in microseconds.
    pub(crate) fn take_latencies(&self) -> Histogram<u64> {
        let mut all = histogram();
        for shard in &self.shards {
            let mut shard = lock(shard);
            all.add(&shard.latencies).expect("all histograms have the same bounds");
            shard.latencies.reset();
        }
        all
    }

    /// Counts a login of bot `number`, from the first packet until its mirror was whole.
    pub(crate) fn login(&self, number: usize, took: Duration) {
        if let Some(shard) = self.shards.get(number % SHARDS) {
            lock(shard).logins.saturating_record(micros(took));
        }
    }

    /// How long logins took, in microseconds.
    pub(crate) fn logins(&self) -> Histogram<u64> {
        let mut all = histogram();
        for shard in &self.shards {
            all.add(&lock(shard).logins).expect("all histograms have the same bounds");
        }
        all
    }

    /// Refusals by their code.
    pub(crate) fn refusals(&self) -> BTreeMap<Code, u64> {
        let mut all = BTreeMap::new();
        for shard in &self.shards {
            for (code, count) in &lock(shard).refusals {
                *all.entry(*code).or_default() += count;
            }
        }
        all
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX).clamp(1, LATENCY_MAX_US)
}

/// An empty histogram of latencies in microseconds.
pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LATENCY_MAX_US, 3).expect("the bounds are in order and three digits are possible")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
