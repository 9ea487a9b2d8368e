//! What a process has used, thread by thread: CPU time to the nanosecond, and how often its threads were switched.
//!
//! Read from `/proc`. The time a thread ran stands in its `schedstat`; where the kernel keeps none, in its `stat`, in
//! hundredths of a second. What a thread did that ended between two looks is lost; how many did is told.

use crate::process;
use std::{collections::BTreeMap, fs, path::Path, time::Duration};

/// One look at a process.
#[derive(Debug, Clone)]
pub(super) struct Cost {
    threads: BTreeMap<u32, Thread>,
}

#[derive(Debug, Clone, Copy)]
struct Thread {
    cpu: Duration,
    switches: u64,
}

/// What was used between two looks.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Spent {
    /// CPU time, user and system.
    pub(super) cpu: Duration,
    /// Times that a thread was taken off its core, of itself or not.
    pub(super) switches: u64,
    /// Threads that ended, whose last steps nobody counted.
    pub(super) threads_ended: usize,
}

impl Cost {
    /// Looks; `None` where there is no such process any more.
    pub(super) fn of(pid: u32) -> Option<Self> {
        let mut threads = BTreeMap::new();
        for entry in fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten() {
            // A thread may end while it is looked at.
            if let Some(thread) = Thread::read(&entry.path()) {
                threads.insert(entry.file_name().to_str()?.parse().ok()?, thread);
            }
        }
        (!threads.is_empty()).then_some(Self { threads })
    }

    /// What was used since an earlier look.
    pub(super) fn since(&self, earlier: &Self) -> Spent {
        let mut spent = Spent::default();
        for (id, thread) in &self.threads {
            let (cpu, switches) = earlier.threads.get(id).map_or((Duration::ZERO, 0), |then| (then.cpu, then.switches));
            spent.cpu += thread.cpu.saturating_sub(cpu);
            spent.switches += thread.switches.saturating_sub(switches);
        }
        spent.threads_ended = earlier.threads.keys().filter(|id| !self.threads.contains_key(id)).count();
        spent
    }
}

impl Thread {
    fn read(task: &Path) -> Option<Self> {
        let read = |name: &str| fs::read_to_string(task.join(name)).ok();
        let cpu = read("schedstat").as_deref().and_then(ran).or_else(|| process::cpu(&read("stat")?))?;
        Some(Self { cpu, switches: switches(&read("status")?) })
    }
}

/// The first of three numbers: nanoseconds on a core.
fn ran(schedstat: &str) -> Option<Duration> {
    schedstat.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

/// `voluntary_ctxt_switches` and `nonvoluntary_ctxt_switches` together.
fn switches(status: &str) -> u64 {
    let counted = status.lines().filter_map(|line| line.split_once("voluntary_ctxt_switches:"));
    counted.filter_map(|(_, count)| count.trim().parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_switches_are_counted() {
        let status = "Threads:\t3\nvoluntary_ctxt_switches:\t40\nnonvoluntary_ctxt_switches:\t2\n";
        assert_eq!(switches(status), 42);
        assert_eq!(ran("1500 7 3\n"), Some(Duration::from_nanos(1500)));
    }

    #[test]
    fn what_this_process_does_between_two_looks_is_seen() {
        let before = Cost::of(std::process::id()).expect("this process is there");
        let mut sum = 0_u64;
        while Cost::of(std::process::id()).expect("it is there").since(&before).cpu < Duration::from_millis(20) {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        assert!(sum > 0);
    }

    #[test]
    fn a_thread_that_ended_and_a_new_one_do_not_disturb_the_others() {
        let of = |threads: &[(u32, u64)]| Cost {
            threads: threads
                .iter()
                .map(|(id, micros)| (*id, Thread { cpu: Duration::from_micros(*micros), switches: *micros }))
                .collect(),
        };
        let spent = of(&[(1, 30), (3, 5)]).since(&of(&[(1, 10), (2, 99)]));
        assert_eq!((spent.cpu, spent.switches, spent.threads_ended), (Duration::from_micros(25), 25, 1));
    }
}
