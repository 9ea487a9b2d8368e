//! A comparison as a table for people.

use super::{
    bags,
    crowd::Crowd,
    report::{Comparison, Figures},
};
use std::fmt;

/// How much of its threads the load may take before it is what is measured.
const BUSY: f64 = 0.9;

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cores, seconds, rounds, load_threads, .. } = self;
        writeln!(f, "{cores} cores, {rounds} rounds of {seconds} s a load, medians; load from {load_threads} threads")?;
        self.loads(f)?;
        self.players(f)?;
        self.bags(f)?;
        self.aims(f)
    }
}

impl Comparison {
    fn loads(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.loads.is_empty() {
            return Ok(());
        }
        writeln!(
            f,
            "\n{:<17}{:<6}{:>9}{:>8}{:>9}{:>10}{:>8}{:>8}{:>8}{:>9}{:>9}{:>6}{:>8}",
            "target",
            "load",
            "CPU µs",
            "x echo",
            "redis µs",
            "actions/s",
            "p50 µs",
            "p99",
            "p99.9",
            "switches",
            "refused",
            "late",
            "load µs"
        )?;
        for row in &self.loads {
            let Figures { server_cpu_us, actions_per_s, p50_us, p99_us, p999_us, .. } = row.typical;
            let Figures { server_switches, refused, late, load_cpu_us, load_cores, .. } = row.typical;
            writeln!(
                f,
                "{:<17}{:<6}{server_cpu_us:>9.2}{:>8}{:>9}{actions_per_s:>10.0}{p50_us:>8.0}{p99_us:>8.0}{p999_us:>8.0}\
                 {server_switches:>9.3}{refused:>9}{late:>6}{load_cpu_us:>8.2}{}",
                row.target,
                row.load,
                decimals(row.to_echo),
                decimals(row.typical.redis_cpu_us),
                if load_cores > BUSY * self.load_threads as f64 { "  the load itself was at its limit" } else { "" }
            )?;
        }
        Ok(())
    }

    fn players(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for row in &self.players {
            let crowd = row.typical;
            let Crowd { players, login_s, login_cpu_us, resume_s, resume_cpu_us, .. } = crowd;
            write!(f, "\n{:<17}{players} players of 50 stacks: ", row.target)?;
            write!(f, "in after {login_s:.2} s ({login_cpu_us:.0} µs CPU each), ")?;
            write!(f, "{:.0} bytes each while idle, ", crowd.rss_bytes_per_player)?;
            write!(f, "back after {resume_s:.2} s ({resume_cpu_us:.0} µs CPU each)")?;
            match crowd.players.saturating_sub(crowd.resumed) {
                0 => writeln!(f)?,
                not => writeln!(f, " ({not} of them not resumed)")?,
            }
        }
        Ok(())
    }

    fn bags(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for row in &self.bags {
            let (small, large) = (row.typical.small.server_cpu_us, row.typical.large.server_cpu_us);
            let ratio = row.large_to_small;
            write!(f, "\n{:<17}bags of {} stacks: CPU {small:.2} µs; ", row.target, bags::SMALL)?;
            writeln!(f, "of {}: {large:.2} µs, {ratio:.2} times as much", bags::LARGE)?;
        }
        Ok(())
    }

    fn aims(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.aims.is_empty() {
            return Ok(());
        }
        writeln!(f, "\n{:<33}{:>9}{:>10}", "aim (redis-durable)", "bound", "measured")?;
        for aim in &self.aims {
            write!(f, "{:<33}{:>9}{:>10.2}  ", aim.name, aim.bound, aim.measured)?;
            match aim.missed_by() {
                _ if aim.met => writeln!(f, "met")?,
                factor if factor.is_finite() => writeln!(f, "missed, {factor:.2} times the bound")?,
                _ => writeln!(f, "missed")?,
            }
        }
        Ok(())
    }
}

fn decimals(figure: Option<f64>) -> String {
    figure.map_or_else(|| "-".to_owned(), |figure| format!("{figure:.2}"))
}
