//! What is counted and measured, for Prometheus: one list of all of it.
//!
//! Each server has its own, made with its journal and held by the rooms above it, so that several servers of one process
//! (tests) do not count for each other, and nothing has to be looked up by name where something is counted. That is also why it is a
//! struct of atomics and no metrics library: their registries are global, or find a label's counter in a map behind a lock.

pub mod labels;
mod series;
mod text;

pub use series::{Brief, Counter, Counters, Gauge, Grid, Histogram, Label, LockWaits, Players, Scale, Waiting};
pub use text::CONTENT_TYPE;

use super::process;
use holdall_protocol::{action::Asked, close::Close};
use labels::{
    CommitAnswer, Content, Gift, Hurried, Joining, Load, Lock, Migration, Refusal, Reply, Resync, TradeEnding,
};
use series::Series;
use std::time::{Duration, SystemTime};
use text::Type;

macro_rules! metrics {
    ($($field:ident: $kind:ty = $name:literal, $help:literal;)*) => {
        /// Every metric that is counted where something happens.
        #[derive(Debug)]
        pub struct Metrics {
            started: SystemTime,
            $(#[doc = $help] pub $field: $kind,)*
        }

        impl Metrics {
            /// All at zero.
            #[must_use]
            pub fn new() -> Self {
                Self { started: SystemTime::now(), $($field: Default::default(),)* }
            }

            fn write_counted(&self, out: &mut String) {
                $(
                    text::head(out, $name, <$kind as Series>::TYPE, $help);
                    self.$field.write($name, out);
                )*
            }
        }
    };
}

metrics! {
    sessions: Gauge = "holdall_sessions",
        "Connections whose player is in the game.";
    joins: Counters<Joining> = "holdall_joins_total",
        "Sessions that began, by what the client was sent first.";
    connections_refused: Counters<Refusal> = "holdall_connections_refused_total",
        "Connections that did not become a WebSocket, by why.";
    connections_closed: Counters<Option<Close>> = "holdall_connections_closed_total",
        "WebSockets that ended, by the close code's name, or gone where the client went by itself.";
    actions: Grid<Asked, Reply> = "holdall_actions_total",
        "Requests that were answered, by what was asked for and by how: done, repeated, or the code of the refusal.";
    action_seconds: Histogram<Waiting> = "holdall_action_seconds",
        "From reading a request to having its reply written, the commit included where replies wait for it.";
    rate_limited: Counters<Hurried> = "holdall_rate_limited_total",
        "What came faster than its limit allows.";
    resyncs: Counters<Resync> = "holdall_resyncs_total",
        "Whole inventories sent to clients that had had theirs before, by why.";
    frames_sent: Counters<Content> = "holdall_frames_sent_total",
        "Messages written to clients, by what they hold.";
    sent_bytes: Counters<Content> = "holdall_sent_bytes_total",
        "Bytes of the messages written to clients, by what they hold, without the framing.";
    lock_wait_seconds: LockWaits<Lock> = "holdall_lock_wait_seconds",
        "How long a lock was waited for that somebody else held; locks that were free are not counted.";
    loads: Counters<Load> = "holdall_loads_total",
        "Loads of players from the store, by how they ended.";
    load_seconds: Histogram<Waiting> = "holdall_load_seconds",
        "From asking for a player to having it in memory, or not, handing over by another server included.";
    migrations: Counters<Migration> = "holdall_migrations_total",
        "Stored players brought forward at their load, by to what.";
    players_dropped: Counter = "holdall_players_dropped_total",
        "Players dropped unsaved: taken over by another server, lost by the store, or after a fault in the server.";
    leases_lost: Counter = "holdall_leases_lost_total",
        "How often this server's lease ran out because the store was away, so that nobody was served.";
    commits: Counters<CommitAnswer> = "holdall_commit_answers_total",
        "Answers of the store to batches, each try counted; unknown and unavailable are sent again.";
    commit_seconds: Histogram<Waiting> = "holdall_commit_seconds",
        "From first sending a batch to knowing that it is durable, every try included.";
    commit_players: Histogram<Players> = "holdall_commit_players",
        "Players in a batch that became durable.";
    gifts: Counters<Gift> = "holdall_gifts_total",
        "Gifts, by the step: given from hand to hand, or left in an inbox and taken from it or returned.";
    trades: Counters<TradeEnding> = "holdall_trades_total",
        "Trades and invites to trade that ended, by how.";
    ledger_imbalances: Counter = "holdall_ledger_imbalances_total",
        "Records whose books do not balance: must be 0. Look for the error in the log, and run holdall verify.";
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

/// What is not counted but looked up whenever somebody asks.
#[derive(Debug, Clone)]
pub struct Sample {
    /// The store's name.
    pub store: String,
    /// Whether the server can take players.
    pub is_ready: bool,
    /// Whether the store answers.
    pub is_store_up: bool,
    /// Players in memory.
    pub players_loaded: usize,
    /// Bytes that wait for the store.
    pub pending_bytes: usize,
    /// For how long the oldest of what is not durable has not been.
    pub oldest_dirty: Duration,
    /// What this server has done to holds in the shop.
    pub holds: Holds,
}

/// How often what this server has done to holds in the shop.
#[derive(Debug, Clone, Copy, Default)]
pub struct Holds {
    /// Made.
    pub made: u64,
    /// Confirmed.
    pub confirmed: u64,
    /// Released before their time.
    pub released: u64,
    /// Let go of because their time was over.
    pub expired: u64,
}

impl Metrics {
    /// Everything, in the text format of Prometheus.
    #[must_use]
    pub fn expose(&self, sample: &Sample) -> String {
        let mut out = String::with_capacity(16 * 1024);
        self.write_counted(&mut out);
        write_sample(sample, &mut out);
        self.write_process(&mut out);
        out
    }

    fn write_process(&self, out: &mut String) {
        let started = self.started.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let help = "When this server started, in seconds since 1970.";
        text::single(out, "holdall_process_start_time_seconds", Type::Gauge, help, started);
        let cpu = process::cpu_time().as_secs_f64();
        let help = "CPU time of the process, in user and system mode.";
        text::single(out, "holdall_process_cpu_seconds_total", Type::Counter, help, cpu);
        if let Some(bytes) = process::resident_bytes() {
            let help = "Memory of the process that is not paged out.";
            text::single(out, "holdall_process_resident_memory_bytes", Type::Gauge, help, bytes);
        }
        if let Some(open) = process::open_files() {
            let help = "File descriptors that the process has open.";
            text::single(out, "holdall_process_open_fds", Type::Gauge, help, open);
        }
    }
}

fn write_sample(sample: &Sample, out: &mut String) {
    let Sample { store, is_ready, is_store_up, players_loaded, pending_bytes, oldest_dirty, holds } = sample;
    let mut gauge = |name, help, value: f64| text::single(out, name, Type::Gauge, help, value);
    let help = "1 when players should be sent here, as /readyz says.";
    gauge("holdall_ready", help, f64::from(u8::from(*is_ready)));
    let help = "1 when the store answers, as far as the last commit told.";
    gauge("holdall_store_up", help, f64::from(u8::from(*is_store_up)));
    let help = "For how long the oldest change that is not durable has not been.";
    gauge("holdall_oldest_dirty_seconds", help, oldest_dirty.as_secs_f64());
    let help = "Players in memory, lingering ones included.";
    text::single(out, "holdall_players_loaded", Type::Gauge, help, players_loaded);
    let help = "Bytes of changes that wait for the store, the batch on its way not counted.";
    text::single(out, "holdall_pending_bytes", Type::Gauge, help, pending_bytes);
    write_holds(holds, out);
    let build = "holdall_build_info";
    text::head(out, build, Type::Gauge, "Always 1; what runs is in its labels.");
    text::sample(out, build, &[("version", env!("CARGO_PKG_VERSION")), ("store", store)], 1);
}

fn write_holds(holds: &Holds, out: &mut String) {
    let mut counter = |name, help, value: u64| text::single(out, name, Type::Counter, help, value);
    counter("holdall_shop_holds_total", "Holds of stock that were made, a repeat of one not counted.", holds.made);
    counter("holdall_shop_confirms_total", "Holds that were confirmed.", holds.confirmed);
    counter("holdall_shop_releases_total", "Holds that were released before their time.", holds.released);
    let help = "Holds whose stock this server took back because their time was over.";
    counter("holdall_shop_expiries_total", help, holds.expired);
}
