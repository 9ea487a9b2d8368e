//! What Holdall wants to be, and how far it is from there.
//!
//! The aims are those of Holdall on Redis with durable replies, unless they say otherwise.

use super::{
    report::{Comparison, Figures},
    target::{Load, Target},
};
use serde::Serialize;

/// One aim that was measured.
#[derive(Debug, Clone, Serialize)]
pub struct Aim {
    /// What is wanted.
    pub name: &'static str,
    /// The bound.
    pub bound: f64,
    /// What was measured.
    pub measured: f64,
    /// Whether the bound is kept.
    pub met: bool,
    /// Whether more is better.
    #[serde(skip)]
    at_least: bool,
}

impl Aim {
    /// How far beyond the bound it is, as a factor: 1 on it, above 1 missed.
    #[must_use]
    pub fn missed_by(&self) -> f64 {
        if self.at_least { self.bound / self.measured } else { self.measured / self.bound }
    }
}

/// Every aim that there is a figure for.
pub(super) fn judge(found: &Comparison) -> Vec<Aim> {
    let durable = |load| found.row(Target::RedisDurable, load);
    let figure = |load, of: fn(&Figures) -> f64| durable(load).map(|row| of(&row.typical));
    let crowd = found.players.iter().find(|row| row.target == Target::RedisDurable).map(|row| &row.typical);
    let bags = found.bags.iter().find(|row| row.target == Target::RedisDurable);
    let fast = found.row(Target::EmbeddedDurable, Load::Deep).map(|row| row.typical.actions_per_s);
    let at_most = [
        ("64x1: server CPU to echo", 1.5, durable(Load::Shallow).and_then(|row| row.to_echo)),
        ("64x8: server CPU to echo", 2.0, durable(Load::Deep).and_then(|row| row.to_echo)),
        ("64x8: Redis CPU, µs", 3.5, durable(Load::Deep).and_then(|row| row.typical.redis_cpu_us)),
        ("open: p50, µs", 350.0, figure(Load::Open, |figures| figures.p50_us)),
        ("open: p99, µs", 1_500.0, figure(Load::Open, |figures| figures.p99_us)),
        ("open: refused", 0.0, figure(Load::Open, |figures| figures.refused as f64)),
        ("open: late", 0.0, figure(Load::Open, |figures| figures.late as f64)),
        ("64x1: durable to applied", 1.3, to_applied(found, Load::Shallow)),
        ("64x8: durable to applied", 1.3, to_applied(found, Load::Deep)),
        ("idle player, KiB", 8.0, crowd.map(|crowd| crowd.rss_bytes_per_player / 1024.0)),
        ("bag of 1,000 to bag of 10", 1.1, bags.map(|bags| bags.large_to_small)),
        ("logins, s", 2.0, crowd.map(|crowd| crowd.login_s)),
        ("resumes, s", 1.0, crowd.map(|crowd| crowd.resume_s)),
    ];
    let mut aims = Vec::new();
    for (name, bound, measured) in at_most {
        aims.extend(measured.map(|measured| Aim { name, bound, measured, met: measured <= bound, at_least: false }));
    }
    let (name, bound) = ("embedded 64x8: actions a second", 40_000.0);
    aims.extend(fast.map(|measured| Aim { name, bound, measured, met: measured >= bound, at_least: true }));
    aims
}

/// The server's CPU time with durable replies over that with replies at once.
fn to_applied(found: &Comparison, load: Load) -> Option<f64> {
    let cpu = |target| found.row(target, load).map(|row| row.typical.server_cpu_us);
    Some(cpu(Target::RedisDurable)? / cpu(Target::RedisApplied)?)
}
