//! What processes on this machine cost, read from `/proc`.
//!
//! Called by `scenario` for the server and by `strain`. Linux only; elsewhere there is nothing to read and no figure.

use std::{fs, net::IpAddr, time::Duration};

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

/// The process that listens on a port of this machine: `None` where the host is another one, or it is another user's.
#[must_use]
pub fn listener(host: &str, port: u16) -> Option<u32> {
    let host = host.trim_matches(['[', ']']);
    if host != "localhost" && !host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback()) {
        return None;
    }
    let inodes: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .into_iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|table| table.lines().filter_map(|line| listens(line, port)).collect::<Vec<_>>())
        .collect();
    let mut processes = fs::read_dir("/proc").ok()?.flatten();
    processes.find_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let mut files = fs::read_dir(entry.path().join("fd")).ok()?.flatten();
        let holds = files.any(|file| {
            let link = fs::read_link(file.path()).unwrap_or_default();
            link.to_str().is_some_and(|link| inodes.iter().any(|inode| link == format!("socket:[{inode}]")))
        });
        holds.then_some(pid)
    })
}

/// The inode of a socket that listens on a port, from a line of `/proc/net/tcp`.
fn listens(line: &str, port: u16) -> Option<String> {
    const LISTEN: &str = "0A";
    let mut fields = line.split_whitespace();
    let (_, here) = fields.nth(1)?.rsplit_once(':')?;
    let (_, state) = (fields.next()?, fields.next()?);
    let inode = fields.nth(5)?;
    (state == LISTEN && u16::from_str_radix(here, 16) == Ok(port)).then(|| inode.to_owned())
}

/// One look at the CPUs of this machine, in ticks since it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Machine {
    idle: u64,
    all: u64,
}

impl Machine {
    /// Looks.
    #[must_use]
    pub fn sample() -> Option<Self> {
        ticks(&fs::read_to_string("/proc/stat").ok()?)
    }

    /// The part of the CPUs that nobody used between two looks, from 0 to 1.
    #[must_use]
    pub fn idle_until(self, later: Self) -> Option<f64> {
        let (idle, all) = (later.idle.saturating_sub(self.idle), later.all.saturating_sub(self.all));
        (all > 0).then(|| idle as f64 / all as f64)
    }
}

/// The first line: user, nice, system, idle, iowait, irq, softirq and steal; guests are part of users.
fn ticks(stat: &str) -> Option<Machine> {
    let fields = stat.lines().next()?.strip_prefix("cpu ")?.split_whitespace().take(8);
    let ticks: Vec<u64> = fields.map_while(|field| field.parse().ok()).collect();
    let idle = ticks.get(3)?.saturating_add(*ticks.get(4)?);
    Some(Machine { idle, all: ticks.iter().sum() })
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

    #[test]
    fn a_listening_socket_is_found_by_its_port() {
        let line =
            "   0: 0100007F:1E61 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4242 1 0 100 0";
        assert_eq!(listens(line, 7777).as_deref(), Some("4242"));
        assert_eq!(listens(line, 7778), None);
        let here = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = here.local_addr().unwrap().port();
        assert_eq!(listener("127.0.0.1", port), Some(std::process::id()));
        assert_eq!(listener("192.0.2.1", port), None, "another machine");
    }

    #[test]
    fn idle_time_is_what_nobody_used() {
        let before = ticks("cpu  10 0 10 70 10 0 0 0 0 0\ncpu0 1 2").unwrap();
        let after = ticks("cpu  20 0 20 80 20 0 10 0 5 0\n").unwrap();
        assert_eq!(before.idle_until(after), Some(0.4));
        assert_eq!(before.idle_until(before), None);
    }
}
