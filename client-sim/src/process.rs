//! What another process on this machine costs, read from `/proc`.
//!
//! Called by `scenario` for `--server-pid`. Linux only; elsewhere there is nothing to read and no figure.

use std::{fs, time::Duration};

/// The kernel counts CPU time for `/proc` in hundredths of a second on every architecture that Linux runs servers on.
const TICK: Duration = Duration::from_millis(10);

/// One look at a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// CPU time of all its threads since it began, user and system.
    pub cpu: Duration,
    /// Memory that is resident now.
    pub rss_bytes: u64,
}

/// A process to look at.
#[derive(Debug)]
pub struct Probe {
    pid: u32,
}

impl Probe {
    /// The process with this id.
    #[must_use]
    pub const fn new(pid: u32) -> Self {
        Self { pid }
    }

    /// Looks; `None` where there is no such process any more.
    #[must_use]
    pub fn sample(&self) -> Option<Sample> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid)).ok()?;
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).ok()?;
        Some(Sample { cpu: cpu(&stat)?, rss_bytes: rss(&status)? })
    }
}

/// utime and stime are the 14th and 15th field. The second is the program's name, which may hold spaces and brackets.
pub(crate) fn cpu(stat: &str) -> Option<Duration> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_whitespace().skip(11).map(str::parse::<u32>);
    Some(TICK * times.next()?.ok()? + TICK * times.next()?.ok()?)
}

fn rss(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_does_not_shift_the_fields() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 1 2 3 4 250 50 0 0 20 0 1 0 9";
        assert_eq!(cpu(stat), Some(Duration::from_secs(3)));
        assert_eq!(rss("Name:\tx\nVmRSS:\t    12 kB\n"), Some(12 * 1024));
    }

    #[test]
    fn this_process_can_be_read() {
        assert!(Probe::new(std::process::id()).sample().is_some_and(|sample| sample.rss_bytes > 0));
    }
}
