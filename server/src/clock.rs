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

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// A time in milliseconds since 1970 as people and other programs read it: `2026-02-03T04:05:06.789Z`.
#[must_use]
pub fn iso(ms: u64) -> String {
    let (days, in_day) = (ms / DAY_MS, ms % DAY_MS);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (in_day / 3_600_000, in_day / 60_000 % 60, in_day / 1_000 % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", in_day % 1_000)
}

/// Reads a time in UTC as people and other programs write it: `2026-02-03T04:05:06.789Z`, where from the right the
/// milliseconds, the seconds or the whole time of day may be left out. `None` for anything else, and for what no calendar has.
#[must_use]
pub fn from_iso(text: &str) -> Option<u64> {
    let (day, time) =
        text.split_once('T').map_or(Some((text, "00:00")), |(day, time)| Some((day, time.strip_suffix('Z')?)))?;
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let time: Vec<u64> = time.split(':').map(|part| digits(part, 2)).collect::<Option<_>>()?;
    let (hour, minute, second) = match time[..] {
        [hour, minute] => (hour, minute, 0),
        [hour, minute, second] => (hour, minute, second),
        _ => return None,
    };
    let millis = digits(fraction, fraction.len()).filter(|_| (1..=3).contains(&fraction.len()))?;
    let millis = (fraction.len()..3).fold(millis, |millis, _| millis.saturating_mul(10));
    let day: Vec<u64> =
        day.splitn(3, '-').zip([4, 2, 2]).map(|(part, length)| digits(part, length)).collect::<Option<_>>()?;
    let [year, month, day] = day[..] else { return None };
    let valid = year >= 1970 && (1..=12).contains(&month) && hour < 24 && minute < 60 && second < 60;
    // Counted as in `date`, with years that begin in March.
    let (year_of, in_year) =
        if month > 2 { (year, month.checked_sub(3)?) } else { (year.checked_sub(1)?, month.checked_add(9)?) };
    let days = 365 * year_of + year_of / 4 - year_of / 100 + year_of / 400 + (153 * in_year + 2) / 5 + day;
    let days = days.checked_sub(719_469).filter(|days| valid && date(*days) == (year, month, day))?;
    Some(days * DAY_MS + hour * 3_600_000 + minute * 60_000 + second * 1_000 + millis)
}

fn digits(text: &str, length: usize) -> Option<u64> {
    let plain = text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| plain)
}

/// The Gregorian date so many days after 1970-01-01. Counted in eras of 400 years and in years that begin in March, so
/// that the leap day is a year's last.
const fn date(days: u64) -> (u64, u64, u64) {
    let days = days.saturating_add(719_468);
    let (era, in_era) = (days / 146_097, days % 146_097);
    let year = (in_era - in_era / 1_460 + in_era / 36_524 - in_era / 146_096) / 365;
    let in_year = in_era - (365 * year + year / 4 - year / 100);
    let month = (5 * in_year + 2) / 153;
    let day = in_year - (153 * month + 2) / 5 + 1;
    let (month, later) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year + later, month, day)
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
