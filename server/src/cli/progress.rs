//! How far a long command is, on stderr: one line that is written over on a terminal, now and then a line elsewhere.

use std::{
    io::{IsTerminal as _, Write as _},
    time::{Duration, Instant},
};

/// Between two lines on a terminal, and elsewhere.
const PAUSE_TERMINAL: Duration = Duration::from_millis(200);
const PAUSE_FILE: Duration = Duration::from_secs(10);

/// A line of progress.
pub(super) struct Progress {
    doing: &'static str,
    terminal: bool,
    told: Instant,
}

impl Progress {
    /// Nothing is told before there is something to wait for.
    pub(super) fn new(doing: &'static str) -> Self {
        Self { doing, terminal: std::io::stderr().is_terminal(), told: Instant::now() }
    }

    /// So many of so many are done.
    pub(super) fn tell(&mut self, done: usize, total: usize) {
        let pause = if self.terminal { PAUSE_TERMINAL } else { PAUSE_FILE };
        if self.told.elapsed() >= pause {
            self.told = Instant::now();
            let (begin, end) = if self.terminal { ("\r\x1b[2K", "") } else { ("", "\n") };
            // Nobody is left to tell when stderr itself is gone.
            let _ = write!(std::io::stderr(), "{begin}{}: {done} of {total} players{end}", self.doing);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.terminal {
            let _ = write!(std::io::stderr(), "\r\x1b[2K");
        }
    }
}
