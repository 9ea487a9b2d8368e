//! What a run costs the machine it runs on, and whether that spoils its figures.
//!
//! Called by `scenario` while the bots play. Linux only; elsewhere only the lateness of timers is known.

use crate::{
    metrics::histogram,
    process::{Machine, Probe, Sample},
    report::{Latency, micros},
};
use hdrhistogram::Histogram;
use serde::Serialize;
use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    thread::available_parallelism,
    time::Duration,
};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep_until},
};

/// From one look at the clock to the next.
const TICK: Duration = Duration::from_millis(10);

/// The share of its cores from which on a simulator has no room left.
const CORES_BUSY: f64 = 0.85;

/// The share of a machine's CPU below which everybody on it waits for a core.
const IDLE_LOW: f64 = 0.05;

/// The share of the cores from which on a simulator takes part in filling its machine.
const CORES_CONSIDERABLE: f64 = 0.25;

/// Timers are this late on a machine that has nothing to do, too.
const LATE_US: u64 = 4_000;

/// What the simulator cost, and whether it was in its own way.
#[derive(Debug, Clone, Serialize)]
pub struct Strain {
    /// Cores that it may use.
    pub cores: usize,
    /// How many of them it kept busy while the bots played.
    pub cores_used: Option<f64>,
    /// The part of the machine's CPU that nobody used, from 0 to 1.
    pub machine_idle: Option<f64>,
    /// How much later than asked for its timers fired, at the 99th percentile, in microseconds.
    pub lag_p99_us: u64,
    /// Its resident memory when they stopped playing.
    pub rss_bytes: Option<u64>,
    /// Why its figures are its own as much as the server's; empty where they are not.
    pub bottleneck: Vec<String>,
}

/// Looks at this process and its machine until it is asked.
#[derive(Debug)]
pub(crate) struct Watch {
    own: Probe,
    before: Option<Sample>,
    machine: Option<Machine>,
    begin: Instant,
    late: Arc<Mutex<Histogram<u64>>>,
    ticker: JoinHandle<()>,
}

impl Watch {
    /// Begins to look.
    pub(crate) fn begin() -> Self {
        let late = Arc::new(Mutex::new(histogram()));
        let ticker = tokio::spawn(tick(Arc::clone(&late)));
        let own = Probe::new(std::process::id());
        Self { before: own.sample(), own, machine: Machine::sample(), begin: Instant::now(), late, ticker }
    }

    /// This process.
    pub(crate) const fn own(&self) -> &Probe {
        &self.own
    }

    /// Ends, and judges whether the latencies found can be believed.
    pub(crate) fn end(self, latency: &Latency) -> Strain {
        self.ticker.abort();
        let seconds = self.begin.elapsed().as_secs_f64().max(f64::EPSILON);
        let after = self.own.sample();
        let used = |(before, after): (Sample, Sample)| after.cpu.saturating_sub(before.cpu).as_secs_f64() / seconds;
        let lag_p99_us = self.late.lock().unwrap_or_else(PoisonError::into_inner).value_at_quantile(0.99);
        let mut strain = Strain {
            cores: available_parallelism().map_or(1, usize::from),
            cores_used: self.before.zip(after).map(used),
            machine_idle: self.machine.zip(Machine::sample()).and_then(|(before, after)| before.idle_until(after)),
            lag_p99_us,
            rss_bytes: after.map(|sample| sample.rss_bytes),
            bottleneck: Vec::new(),
        };
        strain.bottleneck = strain.judge(latency);
        strain
    }
}

async fn tick(late: Arc<Mutex<Histogram<u64>>>) {
    loop {
        let due = Instant::now() + TICK;
        sleep_until(due).await;
        let micros = u64::try_from(due.elapsed().as_micros()).unwrap_or(u64::MAX);
        late.lock().unwrap_or_else(PoisonError::into_inner).saturating_record(micros.max(1));
    }
}

impl Strain {
    fn judge(&self, latency: &Latency) -> Vec<String> {
        let mut why = Vec::new();
        let share = self.cores_used.map(|used| used / self.cores as f64);
        if let (Some(used), Some(true)) = (self.cores_used, share.map(|share| share >= CORES_BUSY)) {
            why.push(format!("it kept {used:.1} of {} cores busy", self.cores));
        } else if let Some(idle) = self.machine_idle
            && idle < IDLE_LOW
            && share.is_some_and(|share| share >= CORES_CONSIDERABLE)
        {
            why.push(format!(
                "it shared a machine that had {:.0} % of its CPU left with whatever else ran there",
                idle * 100.0
            ));
        }
        if self.lag_p99_us > LATE_US && self.lag_p99_us > latency.p99 / 4 {
            let (lag, p99) = (self.lag_p99_us as f64 / 1e3, latency.p99 as f64 / 1e3);
            why.push(format!("its own timers were {lag:.1} ms late at p99, against {p99:.1} ms of latency"));
        }
        why
    }
}

impl fmt::Display for Strain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(used) = self.cores_used {
            write!(f, "{used:.2} of {} cores, ", self.cores)?;
        }
        if let Some(idle) = self.machine_idle {
            write!(f, "the machine {:.0} % idle, ", idle * 100.0)?;
        }
        write!(f, "timers {} late at p99", micros(self.lag_p99_us))?;
        for why in &self.bottleneck {
            write!(f, "\n  The figures are the simulator's as much as the server's: {why}.")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATENCY: Latency = Latency { p50: 1_000, p90: 2_000, p99: 8_000, p999: 9_000, max: 10_000 };

    fn strain(cores_used: f64, idle: f64, lag_p99_us: u64) -> Vec<String> {
        let (cores_used, machine_idle) = (Some(cores_used), Some(idle));
        let strain = Strain { cores: 2, cores_used, machine_idle, lag_p99_us, rss_bytes: None, bottleneck: Vec::new() };
        strain.judge(&LATENCY)
    }

    #[test]
    fn a_simulator_with_room_is_not_in_its_own_way() {
        assert_eq!(strain(0.4, 0.5, 1_500), Vec::<String>::new());
        assert_eq!(strain(0.1, 0.0, 2_000), Vec::<String>::new(), "others fill the machine");
    }

    #[test]
    fn full_cores_a_full_machine_and_late_timers_are_said() {
        assert!(strain(1.9, 0.0, 1_000)[0].contains("1.9 of 2 cores"));
        assert!(strain(0.9, 0.01, 1_000)[0].contains("1 % of its CPU left"));
        assert!(strain(0.4, 0.5, 20_000)[0].contains("20.0 ms late"));
    }
}
