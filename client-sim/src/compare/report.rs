//! What a comparison found: every figure of every round, their medians, and how far they are from the aims.

use super::{
    aims::{self, Aim},
    bags::Bags,
    children::SiteSpent,
    cost::Spent,
    crowd::Crowd,
    drive::Tally,
    target::{Load, Target},
};
use hdrhistogram::Histogram;
use serde::Serialize;
use std::time::Duration;

/// What one load cost one target while it was measured.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Figures {
    /// Requests answered a second.
    pub actions_per_s: f64,
    /// CPU time of the server, over the answered requests, in microseconds.
    pub server_cpu_us: f64,
    /// CPU time of the Redis beneath it likewise; absent where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redis_cpu_us: Option<f64>,
    /// Times that a thread of the server's was switched, over the answered requests.
    pub server_switches: f64,
    /// The same of Redis.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redis_switches: Option<f64>,
    /// Median latency in microseconds: from the send, or where requests fall due, from then, to the reply.
    pub p50_us: f64,
    /// 99 of 100 were faster.
    pub p99_us: f64,
    /// 999 of 1000 were faster.
    pub p999_us: f64,
    /// The slowest.
    pub max_us: f64,
    /// Requests that did not take effect.
    pub refused: u64,
    /// Requests that left more than 100 ms after they were due.
    pub late: u64,
    /// CPU time of this program itself, over the answered requests, in microseconds.
    pub load_cpu_us: f64,
    /// How much of one core this program itself took.
    pub load_cores: f64,
    /// Threads of the server's that ended meanwhile, whose last steps are in no figure.
    pub threads_ended: u64,
}

impl Figures {
    pub(super) fn of(tally: &Tally, took: Duration, latencies: &Histogram<u64>, spent: &SiteSpent, own: Spent) -> Self {
        let replies = tally.replies as f64;
        let cpu_us = |spent: Spent| spent.cpu.as_secs_f64() * 1e6 / replies;
        let switches = |spent: Spent| spent.switches as f64 / replies;
        let at = |quantile| latencies.value_at_quantile(quantile) as f64;
        Self {
            actions_per_s: replies / took.as_secs_f64(),
            server_cpu_us: cpu_us(spent.server),
            redis_cpu_us: spent.redis.map(cpu_us),
            server_switches: switches(spent.server),
            redis_switches: spent.redis.map(switches),
            p50_us: at(0.5),
            p99_us: at(0.99),
            p999_us: at(0.999),
            max_us: latencies.max() as f64,
            refused: tally.refused,
            late: tally.late,
            load_cpu_us: cpu_us(own),
            load_cores: own.cpu.as_secs_f64() / took.as_secs_f64(),
            threads_ended: spent.server.threads_ended as u64,
        }
    }

    /// The median of every figure; of what should not happen at all, the sum.
    fn typical(rounds: &[Self]) -> Self {
        let of = |figure: fn(&Self) -> f64| median(rounds.iter().map(figure)).unwrap_or(f64::NAN);
        let maybe = |figure: fn(&Self) -> Option<f64>| median(rounds.iter().filter_map(figure));
        let sum = |figure: fn(&Self) -> u64| rounds.iter().map(figure).sum();
        Self {
            actions_per_s: of(|figures| figures.actions_per_s),
            server_cpu_us: of(|figures| figures.server_cpu_us),
            redis_cpu_us: maybe(|figures| figures.redis_cpu_us),
            server_switches: of(|figures| figures.server_switches),
            redis_switches: maybe(|figures| figures.redis_switches),
            p50_us: of(|figures| figures.p50_us),
            p99_us: of(|figures| figures.p99_us),
            p999_us: of(|figures| figures.p999_us),
            max_us: of(|figures| figures.max_us),
            refused: sum(|figures| figures.refused),
            late: sum(|figures| figures.late),
            load_cpu_us: of(|figures| figures.load_cpu_us),
            load_cores: of(|figures| figures.load_cores),
            threads_ended: sum(|figures| figures.threads_ended),
        }
    }
}

/// One load on one target, in all rounds.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// The server.
    pub target: Target,
    /// What was asked of it.
    pub load: Load,
    /// The median of the rounds; refused, late and threads ended are summed up.
    pub typical: Figures,
    /// The server's CPU time over that of echo in the same round, the median of the rounds; absent without echo.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_echo: Option<f64>,
    /// Every round.
    pub rounds: Vec<Figures>,
}

/// Many idle players on one target, in all rounds.
#[derive(Debug, Clone, Serialize)]
pub struct CrowdRow {
    /// The server.
    pub target: Target,
    /// The median of the rounds.
    pub typical: Crowd,
    /// Every round.
    pub rounds: Vec<Crowd>,
}

/// Small and large bags on one target, in all rounds.
#[derive(Debug, Clone, Serialize)]
pub struct BagsRow {
    /// The server.
    pub target: Target,
    /// The median of the rounds.
    pub typical: Bags,
    /// The server's CPU time with large bags over that with small ones in the same round, the median of the rounds.
    pub large_to_small: f64,
    /// Every round.
    pub rounds: Vec<Bags>,
}

/// One measurement.
#[derive(Debug, Clone, Copy)]
pub(super) enum Found {
    /// Of a load.
    Load(Load, Figures),
    /// Of many idle players.
    Crowd(Crowd),
    /// Of bags.
    Bags(Bags),
}

/// Everything.
#[derive(Debug, Clone, Serialize)]
pub struct Comparison {
    /// Cores of this machine.
    pub cores: usize,
    /// Threads that this program made the load with.
    pub load_threads: usize,
    /// Seconds that each load was measured for.
    pub seconds: f64,
    /// Times that everything was measured.
    pub rounds: u32,
    /// Every target under every load.
    pub loads: Vec<Row>,
    /// 5,000 players: their weight, logins and resumes.
    pub players: Vec<CrowdRow>,
    /// Bags of 10 and of 1,000 stacks.
    pub bags: Vec<BagsRow>,
    /// What Holdall wants to be, as far as it was measured, and is.
    pub aims: Vec<Aim>,
}

impl Comparison {
    /// The row of a target under a load.
    #[must_use]
    pub fn row(&self, target: Target, load: Load) -> Option<&Row> {
        self.loads.iter().find(|row| row.target == target && row.load == load)
    }

    /// Puts in order what was found, in the order of the rounds.
    pub(super) fn of(seconds: Duration, rounds: u32, load_threads: usize, found: &[(Target, Found)]) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let (loads, players, bags) = (loads(found), crowds(found), bags(found));
        let seconds = seconds.as_secs_f64();
        let mut comparison = Self { cores, load_threads, seconds, rounds, loads, players, bags, aims: Vec::new() };
        comparison.aims = aims::judge(&comparison);
        comparison
    }
}

fn loads(found: &[(Target, Found)]) -> Vec<Row> {
    let of = |target: Target, load: Load| -> Vec<Figures> {
        let of_these = found.iter().filter_map(|(of, found)| match found {
            Found::Load(under, figures) if (*of, *under) == (target, load) => Some(*figures),
            Found::Load(..) | Found::Crowd(_) | Found::Bags(_) => None,
        });
        of_these.collect()
    };
    let mut rows = Vec::new();
    for load in Load::ALL {
        let echo = of(Target::Echo, load);
        for target in Target::ALL {
            let rounds = of(target, load);
            if rounds.is_empty() {
                continue;
            }
            let pairs = rounds.iter().zip(&echo);
            let to_echo = median(pairs.map(|(figures, echo)| figures.server_cpu_us / echo.server_cpu_us));
            rows.push(Row { target, load, typical: Figures::typical(&rounds), to_echo, rounds });
        }
    }
    rows
}

fn crowds(found: &[(Target, Found)]) -> Vec<CrowdRow> {
    let mut rows = Vec::new();
    for target in Target::ALL {
        let of_this = found.iter().filter_map(|(of, found)| match found {
            Found::Crowd(crowd) if *of == target => Some(*crowd),
            Found::Load(..) | Found::Crowd(_) | Found::Bags(_) => None,
        });
        let rounds: Vec<Crowd> = of_this.collect();
        let of = |figure: fn(&Crowd) -> f64| median(rounds.iter().map(figure)).unwrap_or(f64::NAN);
        let Some(first) = rounds.first() else { continue };
        let typical = Crowd {
            players: first.players,
            login_s: of(|crowd| crowd.login_s),
            login_cpu_us: of(|crowd| crowd.login_cpu_us),
            rss_bytes_per_player: of(|crowd| crowd.rss_bytes_per_player),
            resume_s: of(|crowd| crowd.resume_s),
            resume_cpu_us: of(|crowd| crowd.resume_cpu_us),
            resumed: rounds.iter().map(|crowd| crowd.resumed).min().unwrap_or(0),
        };
        rows.push(CrowdRow { target, typical, rounds });
    }
    rows
}

fn bags(found: &[(Target, Found)]) -> Vec<BagsRow> {
    let mut rows = Vec::new();
    for target in Target::ALL {
        let of_this = found.iter().filter_map(|(of, found)| match found {
            Found::Bags(bags) if *of == target => Some(*bags),
            Found::Load(..) | Found::Crowd(_) | Found::Bags(_) => None,
        });
        let rounds: Vec<Bags> = of_this.collect();
        let ratio = |bags: &Bags| bags.large.server_cpu_us / bags.small.server_cpu_us;
        let Some(large_to_small) = median(rounds.iter().map(ratio)) else { continue };
        let of = |size: fn(&Bags) -> Figures| Figures::typical(&rounds.iter().map(size).collect::<Vec<_>>());
        let typical = Bags { small: of(|bags| bags.small), large: of(|bags| bags.large) };
        rows.push(BagsRow { target, typical, large_to_small, rounds });
    }
    rows
}

/// The middle one, or the mean of the two in the middle; none of none.
pub(super) fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let (low, high) = (values.len().checked_sub(1)? / 2, values.len() / 2);
    Some((values.get(low)? + values.get(high)?) / 2.0)
}
