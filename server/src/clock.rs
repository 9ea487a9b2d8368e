//! Time and chance, from outside: the only places where the server meets either.
//!
//! Everything that needs them is handed these, so that a test can replay a run from one seed.

use parking_lot::Mutex;
use rand::{RngCore, SeedableRng, rngs::StdRng};
use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};
use tokio::time::Instant;

/// Wall-clock time in milliseconds since 1970.
#[derive(Debug, Clone, Copy)]
pub enum Clock {
    /// The machine's.
    System,
    /// A start time that moves on with tokio's clock, which tests pause.
    Runtime {
        /// The time at `origin`.
        start_ms: u64,
        /// When it began.
        origin: Instant,
    },
}

impl Clock {
    /// Now, in milliseconds since 1970.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        let (start, since) = match self {
            Self::System => (0, SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()),
            Self::Runtime { start_ms, origin } => (*start_ms, origin.elapsed()),
        };
        start.saturating_add(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}

/// A shared source of random numbers.
#[derive(Clone)]
pub struct Dice(Arc<Mutex<StdRng>>);

impl Dice {
    /// Unpredictable.
    #[must_use]
    pub fn from_os() -> Self {
        Self(Arc::new(Mutex::new(StdRng::from_os_rng())))
    }

    /// The same for ever.
    #[must_use]
    pub fn from_seed(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(StdRng::seed_from_u64(seed))))
    }

    /// A new UUIDv7 at this time.
    #[must_use]
    pub fn uuid(&mut self, now_ms: u64) -> uuid::Uuid {
        let mut random = [0; 10];
        self.fill_bytes(&mut random);
        uuid::Builder::from_unix_timestamp_millis(now_ms, &random).into_uuid()
    }
}

impl RngCore for Dice {
    fn next_u32(&mut self) -> u32 {
        self.0.lock().next_u32()
    }

    fn next_u64(&mut self) -> u64 {
        self.0.lock().next_u64()
    }

    fn fill_bytes(&mut self, out: &mut [u8]) {
        self.0.lock().fill_bytes(out);
    }
}
