//! How a run went, moment by moment: what came in each short while of the play, and what it cost.
//!
//! Filled by `scenario` while the bots play, shown by `report` and `html`. Bounded: the longer the play, the longer a moment.

use crate::{metrics::Metrics, process::Sample, report::Latency};
use hdrhistogram::Histogram;
use serde::Serialize;
use std::{collections::BTreeMap, sync::atomic::Ordering::Relaxed, time::Duration};

/// The most moments of one run, unless it is longer than the longest step allows.
const POINTS_MAX: u32 = 240;

/// How long a moment may be, in milliseconds.
const STEPS_MS: [u64; 11] = [1_000, 2_000, 5_000, 10_000, 15_000, 30_000, 60_000, 120_000, 300_000, 900_000, 3_600_000];

/// A play up to here is too short for whole seconds; a longer one would show noise in parts of them, not more.
const SHORT: Duration = Duration::from_secs(10);

/// The moments of a short play.
const SHORT_STEP: Duration = Duration::from_millis(250);

/// The length of a moment of a play that lasts so long.
#[must_use]
pub fn step(play: Duration) -> Duration {
    if play <= SHORT {
        return SHORT_STEP;
    }
    let steps = STEPS_MS.map(Duration::from_millis);
    let [.., longest] = steps;
    steps.into_iter().find(|step| *step * POINTS_MAX >= play).unwrap_or(longest)
}

/// One moment.
#[derive(Debug, Clone, Serialize)]
pub struct Point {
    /// Its end, in seconds since they began to play.
    pub at_s: f64,
    /// Bots that were connected at its end.
    pub connected: u64,
    /// Replies a second.
    pub replies_per_s: f64,
    /// Latencies of what was answered in it; absent where nothing was.
    pub latency_us: Option<Latency>,
    /// Refusals by code.
    pub refusals: BTreeMap<String, u64>,
    /// Connections made again after a cut.
    pub reconnects: u64,
    /// Requests that fell due and could not be sent.
    pub unsent: u64,
    /// Promises broken.
    pub violations: u64,
    /// CPU time of the server over time, where its process could be read: 100 is one core.
    pub server_cpu_percent: Option<f64>,
    /// Its resident memory.
    pub server_rss_bytes: Option<u64>,
    /// The same of this process's CPU time.
    pub simulator_cpu_percent: Option<f64>,
}

/// What is read of processes for one moment.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Samples {
    /// Of the server.
    pub(crate) server: Option<Sample>,
    /// Of this process.
    pub(crate) own: Option<Sample>,
}

/// Cuts the counters of a run into moments.
#[derive(Debug)]
pub(crate) struct Collector {
    points: Vec<Point>,
    latencies: Histogram<u64>,
    /// Since they began to play, at the end of the last moment.
    at: Duration,
    before: Counts,
    samples: Samples,
}

#[derive(Debug, Default)]
struct Counts {
    replies: u64,
    reconnects: u64,
    unsent: u64,
    violations: u64,
    refusals: BTreeMap<String, u64>,
}

impl Counts {
    fn of(metrics: &Metrics) -> Self {
        Self {
            replies: metrics.replies.load(Relaxed),
            reconnects: metrics.reconnects.load(Relaxed),
            unsent: metrics.unsent.load(Relaxed),
            violations: metrics.violations_count(),
            refusals: metrics.refusals().into_iter().map(|(code, n)| (code.as_str().to_owned(), n)).collect(),
        }
    }
}

impl Collector {
    /// They begin to play.
    pub(crate) fn new(metrics: &Metrics, samples: Samples) -> Self {
        let before = Counts::of(metrics);
        Self { points: Vec::new(), latencies: metrics.take_latencies(), at: Duration::ZERO, before, samples }
    }

    /// Ends a moment, so long after they began to play.
    pub(crate) fn cut(&mut self, metrics: &Metrics, samples: Samples, at: Duration) {
        let seconds = at.saturating_sub(self.at).as_secs_f64();
        if seconds <= 0.0 {
            return;
        }
        let (now, latencies) = (Counts::of(metrics), metrics.take_latencies());
        let refusals = now.refusals.iter().map(|(code, count)| {
            (code.clone(), count.saturating_sub(self.before.refusals.get(code).copied().unwrap_or_default()))
        });
        self.points.push(Point {
            at_s: at.as_secs_f64(),
            connected: metrics.connected.load(Relaxed),
            replies_per_s: now.replies.saturating_sub(self.before.replies) as f64 / seconds,
            latency_us: (!latencies.is_empty()).then(|| Latency::of(&latencies)),
            refusals: refusals.filter(|(_, count)| *count > 0).collect(),
            reconnects: now.reconnects.saturating_sub(self.before.reconnects),
            unsent: now.unsent.saturating_sub(self.before.unsent),
            violations: now.violations.saturating_sub(self.before.violations),
            server_cpu_percent: percent(self.samples.server, samples.server, seconds),
            server_rss_bytes: samples.server.map(|sample| sample.rss_bytes),
            simulator_cpu_percent: percent(self.samples.own, samples.own, seconds),
        });
        self.add(&latencies);
        (self.at, self.before, self.samples) = (at, now, samples);
    }

    /// Takes in latencies that belong to no moment any more.
    pub(crate) fn add(&mut self, latencies: &Histogram<u64>) {
        self.latencies.add(latencies).expect("all histograms have the same bounds");
    }

    /// The moments, and the latencies of all of them.
    pub(crate) fn end(self) -> (Vec<Point>, Histogram<u64>) {
        (self.points, self.latencies)
    }

    /// The latencies so far.
    pub(crate) const fn latencies(&self) -> &Histogram<u64> {
        &self.latencies
    }
}

fn percent(before: Option<Sample>, after: Option<Sample>, seconds: f64) -> Option<f64> {
    Some(after?.cpu.saturating_sub(before?.cpu).as_secs_f64() / seconds * 100.0)
}

/// Latencies that lie between two bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Bucket {
    /// Above this, in microseconds.
    pub above_us: u64,
    /// At most this.
    pub upto_us: u64,
    /// How many.
    pub count: u64,
}

/// Buckets in which each bound is about a quarter more than the one before, without the empty ones at both ends.
pub(crate) fn buckets(latencies: &Histogram<u64>) -> Vec<Bucket> {
    if latencies.is_empty() {
        return Vec::new();
    }
    let (mut buckets, mut above) = (Vec::new(), 0);
    for part in latencies.iter_log(10, 1.25) {
        let upto = part.value_iterated_to();
        // Below a few microseconds a quarter more is no number of its own.
        if upto > above {
            buckets.push(Bucket { above_us: above, upto_us: upto, count: part.count_since_last_iteration() });
            above = upto;
        } else if let Some(last) = buckets.last_mut() {
            last.count += part.count_since_last_iteration();
        }
    }
    let first = buckets.iter().position(|bucket| bucket.count > 0).unwrap_or_default();
    buckets.split_off(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_play_of_any_length_has_a_bounded_number_of_moments() {
        for (seconds, expected_ms) in
            [(1, 250), (60, 1_000), (240, 1_000), (241, 2_000), (3_600, 15_000), (86_400, 900_000)]
        {
            assert_eq!(step(Duration::from_secs(seconds)), Duration::from_millis(expected_ms), "{seconds} s");
        }
    }

    #[test]
    fn every_latency_lies_in_one_bucket_and_the_bounds_meet() {
        let mut latencies = crate::metrics::histogram();
        for micros in [80, 81, 500, 90_000, 90_000] {
            latencies.record(micros).unwrap();
        }
        let buckets = buckets(&latencies);
        assert_eq!(buckets.iter().map(|bucket| bucket.count).sum::<u64>(), 5);
        assert!(buckets.windows(2).all(|pair| pair[0].upto_us == pair[1].above_us), "{buckets:?}");
        let first = buckets[0];
        assert!(first.count == 2 && first.above_us < 80 && first.upto_us >= 81, "{first:?}");
    }
}
