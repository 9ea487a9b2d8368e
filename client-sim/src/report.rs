//! What a run found: as JSON for programs, as a table for people, and as a line a second while it lasts.
//!
//! Filled by `scenario`, shown by `main`. Judges nothing.

use crate::{
    conservation::{Account, State},
    require::Judged,
    scenario::{Options, Phase},
    series::{Bucket, Point},
    strain::Strain,
};
use hdrhistogram::Histogram;
use serde::Serialize;
use std::{
    collections::BTreeMap,
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Everything a run found.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// What was asked for.
    pub config: Options,
    /// The command line that asked for it; empty where there was none.
    pub command: Vec<String>,
    /// When it began, in UTC, such as `2026-02-03 04:05:06 UTC`.
    pub began_at: String,
    /// How many bots played.
    pub bots: usize,
    /// The seed of their choices.
    pub seed: u64,
    /// Seconds until all were in.
    pub join_s: f64,
    /// Seconds they played.
    pub duration_s: f64,
    /// Requests sent; one that was repeated after a cut counts once.
    pub requests: u64,
    /// Requests that got their terminal reply.
    pub replies: u64,
    /// Requests that were refused.
    pub refused: u64,
    /// Requests that fell due at a fixed rate and were never sent, for want of a connection or of room in flight.
    pub unsent: u64,
    /// Trades that settled.
    pub trades: u64,
    /// Gifts that were given.
    pub gifts: u64,
    /// Gifts that were seen to come out of an inbox.
    pub delivered: u64,
    /// Holds that were made in the shop.
    pub holds: u64,
    /// Holds that were paid for.
    pub purchases: u64,
    /// Holds that were given back.
    pub released: u64,
    /// Holds whose players were told that they had run out.
    pub expired: u64,
    /// Refused requests by code.
    pub refusals: BTreeMap<String, u64>,
    /// Replies a second while they played.
    pub throughput_per_s: f64,
    /// From send, or from when it was due, to the reply, in microseconds, of what was asked while they played.
    pub latency_us: Latency,
    /// How many latencies that is.
    pub measured: u64,
    /// The same latencies, counted by their size.
    pub latency_buckets: Vec<Bucket>,
    /// From the first packet of a connection until the mirror was whole, in microseconds, first and later ones.
    pub login_us: Latency,
    /// Connections made again after a cut.
    pub reconnects: u64,
    /// Those of them that got only what they had missed.
    pub resumes: u64,
    /// Requests sent again after a cut.
    pub asked_again: u64,
    /// Effects learned from a later answer instead of a change.
    pub resolved_later: u64,
    /// Answers with the whole inventory.
    pub resyncs: u64,
    /// Connections for which the server had no room.
    pub turned_away: u64,
    /// Snapshots that nobody had asked for: each stands for what the server left out for somebody who did not read.
    pub collapsed: u64,
    /// Replies that came without their changes for the same reason.
    pub collapsed_replies: u64,
    /// Connections that the server closed because what it had sent was not read for too long.
    pub closed_slow: u64,
    /// Orders to the operator API; absent where nobody ordered.
    pub top_ups: Option<TopUps>,
    /// Bots that were no players.
    pub abusers: usize,
    /// How often each of their abuses ended how.
    pub abuses: BTreeMap<String, BTreeMap<String, u64>>,
    /// Bots whose mirror was compared with a last snapshot.
    pub proven: usize,
    /// How many promises were broken.
    pub violations_count: u64,
    /// The first thousand of them, in words.
    pub violations: Vec<String>,
    /// What was required of the run, and what became of it.
    pub requirements: Vec<Judged>,
    /// What became of every item and currency.
    pub conservation: BTreeMap<String, Account>,
    /// What the server cost, where its process could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<Server>,
    /// What the simulator itself cost, and whether it was in its own way.
    pub simulator: Strain,
    /// How it went, moment by moment.
    pub series: Vec<Point>,
}

/// Grants that were ordered from the operator API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct TopUps {
    /// Carried out.
    pub done: u64,
    /// Refused, such as for want of room.
    pub refused: u64,
}

impl From<(u64, u64)> for TopUps {
    fn from((done, refused): (u64, u64)) -> Self {
        Self { done, refused }
    }
}

/// Latencies in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Latency {
    /// The median.
    pub p50: u64,
    /// Nine of ten are below.
    pub p90: u64,
    /// 99 of 100.
    pub p99: u64,
    /// 999 of 1000.
    pub p999: u64,
    /// The longest.
    pub max: u64,
}

impl Latency {
    /// The figures of a histogram of microseconds.
    #[must_use]
    pub fn of(histogram: &Histogram<u64>) -> Self {
        let at = |quantile| histogram.value_at_quantile(quantile);
        Self { p50: at(0.5), p90: at(0.9), p99: at(0.99), p999: at(0.999), max: histogram.max() }
    }
}

/// What the server's process cost.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Server {
    /// CPU time, user and system, while the bots played, over the replies of that time; absent without replies.
    pub cpu_us_per_request: Option<f64>,
    /// Resident memory when they stopped playing.
    pub rss_bytes: u64,
    /// What was added to it since before the first bot came, over the bots.
    pub rss_bytes_per_session: u64,
}

/// How it goes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// What the bots are at.
    pub phase: Phase,
    /// Since the run began.
    pub elapsed: Duration,
    /// Since this phase began.
    pub phase_elapsed: Duration,
    /// How long it will take, where that is known.
    pub phase_total: Option<Duration>,
    /// Bots that are connected.
    pub connected: u64,
    /// Bots that there are.
    pub bots: usize,
    /// Replies so far.
    pub replies: u64,
    /// Replies a second, lately.
    pub replies_per_s: f64,
    /// Refused requests so far.
    pub refused: u64,
    /// Connections made again so far.
    pub reconnects: u64,
    /// The median latency so far.
    pub p50_us: u64,
    /// The latency that 99 of 100 stay below, so far.
    pub p99_us: u64,
    /// Snapshots that nobody had asked for so far.
    pub collapsed: u64,
    /// Promises broken so far.
    pub violations: u64,
}

impl Phase {
    /// Its name for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Join => "join",
            Self::Play => "play",
            Self::Drain => "drain",
            Self::Collect => "collect",
            Self::Prove | Self::Abort => "prove",
        }
    }
}

impl Progress {
    /// How it goes, without the phase and the time.
    #[must_use]
    pub fn figures(&self) -> String {
        format!(
            "{} of {} connected  {:.0} replies/s  p50 {}  p99 {}  {} refused  {} reconnects  {} violations",
            self.connected,
            self.bots,
            self.replies_per_s,
            micros(self.p50_us),
            micros(self.p99_us),
            self.refused,
            self.reconnects,
            self.violations,
        )
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>7.1}s {:<7} ", self.elapsed.as_secs_f64(), self.phase.name())?;
        if let Some(total) = self.phase_total {
            write!(f, "{:.0}s of {:.0}s  ", self.phase_elapsed.as_secs_f64(), total.as_secs_f64())?;
        }
        f.write_str(&self.figures())
    }
}

/// Violations that the table shows; the JSON has more.
const VIOLATIONS_SHOWN: usize = 20;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Latency { p50, p90, p99, p999, max } = self.latency_us;
        let line = |f: &mut fmt::Formatter<'_>, name: &str, text: String| writeln!(f, "{name:<14} {text}");
        line(f, "bots", format!("{}, in after {:.2} s, seed {}", self.bots, self.join_s, self.seed))?;
        line(f, "requests", format!("{} sent, {} answered", self.requests, self.replies))?;
        line(f, "throughput", format!("{:.0} replies/s over {:.1} s", self.throughput_per_s, self.duration_s))?;
        let named = [("p50", p50), ("p90", p90), ("p99", p99), ("p99.9", p999), ("max", max)];
        let latencies = named.map(|(name, value)| format!("{name} {}", micros(value))).join("  ");
        line(f, "latency", if self.measured == 0 { "nothing was measured".to_owned() } else { latencies })?;
        let refusals: Vec<String> = self.refusals.iter().map(|(code, count)| format!("{code} {count}")).collect();
        line(f, "refusals", if refusals.is_empty() { "none".to_owned() } else { refusals.join("  ") })?;
        if self.trades + self.gifts > 0 {
            let (trades, gifts, delivered) = (self.trades, self.gifts, self.delivered);
            let text =
                format!("{trades} trades settled, {gifts} gifts given, {delivered} seen to come out of an inbox");
            line(f, "market", text)?;
        }
        if self.holds > 0 {
            let Self { holds, purchases, released, expired, .. } = self;
            let text = format!("{holds} holds, {purchases} paid for, {released} given back, {expired} seen to run out");
            line(f, "shop", text)?;
        }
        if let Some(unsent) = self.unsent_in_words() {
            line(f, "unsent", unsent)?;
        }
        line(
            f,
            "reconnects",
            format!(
                "{} ({} resumed), {} requests asked again, {} of them had taken effect unseen",
                self.reconnects, self.resumes, self.asked_again, self.resolved_later
            ),
        )?;
        line(f, "mirrors", format!("{} of {} proven, {} resyncs", self.proven, self.bots, self.resyncs))?;
        if self.config.slow_readers > 0.0 || self.collapsed > 0 {
            let Self { collapsed, collapsed_replies, closed_slow, .. } = self;
            let text = format!(
                "{collapsed} snapshots for deltas that were left out, {collapsed_replies} replies without their changes, \
                 {closed_slow} closed as slow"
            );
            line(f, "slow readers", text)?;
        }
        self.books(f)?;
        if let Some(TopUps { done, refused }) = self.top_ups {
            line(f, "top-ups", format!("{done} grants by the operator API, {refused} refused"))?;
        }
        if self.turned_away > 0 {
            let text = "connections found no room: raise limits.connections_max and limits.connections_per_address_max";
            line(f, "turned away", format!("{} {text}", self.turned_away))?;
        }
        self.abused(f)?;
        if let Some(server) = &self.server {
            let cpu = server.cpu_us_per_request.map_or("-".to_owned(), |cpu| format!("{cpu:.2} µs"));
            let (rss, each) = (server.rss_bytes / 1024, server.rss_bytes_per_session);
            line(f, "server", format!("{cpu} CPU a request, {rss} KiB resident, {each} bytes a session"))?;
        }
        line(f, "simulator", self.simulator.to_string())?;
        for judged in &self.requirements {
            line(f, "required", judged.to_string())?;
        }
        line(f, "violations", self.violations_count.to_string())?;
        for violation in self.violations.iter().take(VIOLATIONS_SHOWN) {
            writeln!(f, "  {violation}")?;
        }
        if self.violations.len() > VIOLATIONS_SHOWN {
            writeln!(f, "  and more")?;
        }
        Ok(())
    }
}

impl Report {
    /// A figure of latency, if any latency was measured.
    #[must_use]
    pub fn measured(&self, micros: u64) -> Option<f64> {
        (self.measured > 0).then_some(micros as f64)
    }

    /// The share of the replies that refused, if there was any.
    #[must_use]
    pub fn refused_ratio(&self) -> Option<f64> {
        (self.replies > 0).then(|| self.refused as f64 / self.replies as f64)
    }

    /// What was due and never sent, where there was any.
    #[must_use]
    pub fn unsent_in_words(&self) -> Option<String> {
        let due = self.requests.saturating_add(self.unsent);
        let percent = self.unsent as f64 * 100.0 / due as f64;
        let text =
            || format!("{} of {due} that fell due ({percent:.1} %), for want of a connection or of room", self.unsent);
        (self.unsent > 0).then(text)
    }

    fn abused(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.abusers == 0 {
            return Ok(());
        }
        let attempts: u64 = self.abuses.values().flat_map(BTreeMap::values).sum();
        writeln!(f, "{:<14} {}, {attempts} attempts", "abusers", self.abusers)?;
        for (what, ends) in &self.abuses {
            let ends: Vec<String> = ends.iter().map(|(ended, count)| format!("{ended} {count}")).collect();
            writeln!(f, "  {what:<32} {}", ends.join("  "))?;
        }
        Ok(())
    }

    fn books(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |state| self.conservation.values().filter(move |account| account.state == state).count();
        write!(f, "{:<14} {} items and currencies add up", "conservation", of(State::Conserved))?;
        if of(State::Uncertain) > 0 {
            write!(f, ", {} cannot be told", of(State::Uncertain))?;
        }
        writeln!(f)?;
        for (item, account) in self.conservation.iter().filter(|(_, account)| account.state != State::Conserved) {
            let Account { expected, found, state, .. } = account;
            writeln!(f, "  {item}: {expected} expected, {found} found ({state:?})")?;
        }
        Ok(())
    }
}

/// A time in UTC, to the second.
pub(crate) fn utc(at: SystemTime) -> String {
    let seconds = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Counted from a 1 March, so that a leap day is a year's last; after Howard Hinnant's `civil_from_days`.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

/// A latency with the unit that suits it.
pub(crate) fn micros(value: u64) -> String {
    match value {
        0..1_000 => format!("{value}µs"),
        1_000..1_000_000 => format!("{}.{}ms", value / 1000, value % 1000 / 100),
        _ => format!("{}.{}s", value / 1_000_000, value % 1_000_000 / 100_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_in_utc() {
        let at = |seconds| utc(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(at(951_782_399), "2000-02-28 23:59:59 UTC");
        assert_eq!(at(951_782_400), "2000-02-29 00:00:00 UTC");
        assert_eq!(at(1_767_225_599), "2025-12-31 23:59:59 UTC");
    }
}
