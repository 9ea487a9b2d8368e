//! When requests of an open loop are due: evenly at a rate, to the microsecond.
//!
//! The runtime's own clock turns once a millisecond; a load of many thousands a second would come in lumps.

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use std::{
    io,
    time::{Duration, Instant},
};
use tokio::{io::AsyncReadExt as _, net::unix::pipe, sync::mpsc::UnboundedSender};

/// An even rate.
pub(super) struct Pacer {
    alarm: Alarm,
    apart: Duration,
}

impl Pacer {
    /// So many a second.
    ///
    /// # Errors
    /// When the system has no timer for us.
    pub(super) fn new(rate: f64) -> io::Result<Self> {
        Ok(Self { alarm: Alarm::new()?, apart: Duration::from_secs_f64(1.0 / rate) })
    }

    /// Tells each in turn when a request of theirs is due, as soon as it is, until `stopped`.
    ///
    /// # Errors
    /// When the timer fails.
    pub(super) async fn pace(
        mut self,
        turns: Vec<UnboundedSender<Instant>>,
        stopped: impl Fn() -> bool,
    ) -> io::Result<()> {
        let mut due = Instant::now();
        for whose in turns.iter().cycle() {
            self.alarm.at(due).await?;
            // Whoever has failed no longer listens; the failure is told by them.
            if stopped() || whose.send(due).is_err() {
                return Ok(());
            }
            due += self.apart;
        }
        Ok(())
    }
}

/// A timer of the kernel's: a descriptor that can be read once it has gone off. The runtime's reader of pipes asks no more of
/// what it reads than that.
struct Alarm(pipe::Receiver);

impl Alarm {
    fn new() -> io::Result<Self> {
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        pipe::Receiver::from_owned_fd_unchecked(timer).map(Self)
    }

    /// Returns at this time, at once where it is over.
    async fn at(&mut self, due: Instant) -> io::Result<()> {
        let left = due.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        let it_value = Timespec { tv_sec: left.as_secs().cast_signed(), tv_nsec: left.subsec_nanos().into() };
        let it_interval = Timespec { tv_sec: 0, tv_nsec: 0 };
        timerfd_settime(&self.0, TimerfdTimerFlags::empty(), &Itimerspec { it_interval, it_value })?;
        self.0.read_u64().await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::mpsc::unbounded_channel;

    #[tokio::test]
    async fn everybody_in_turn_is_told_the_time_of_what_is_due_and_never_too_early() {
        let (first, mut firsts) = unbounded_channel();
        let (second, mut seconds) = unbounded_channel();
        let left = std::cell::Cell::new(6);
        let stopped = || left.replace(left.get() - 1) == 0;
        let pacer = Pacer::new(1_000.0).expect("there is a timer");
        pacer.pace(vec![first, second], stopped).await.expect("it goes off");
        let mut due = Vec::new();
        for _ in 0..3 {
            due.push(firsts.recv().await.expect("it is this one's turn"));
            due.push(seconds.recv().await.expect("it is this one's turn"));
        }
        assert!(due.iter().all(|due| *due <= Instant::now()));
        assert!(due.windows(2).all(|pair| pair[1] - pair[0] == Duration::from_millis(1)));
        assert!(firsts.recv().await.is_none(), "it has ended");
    }
}
