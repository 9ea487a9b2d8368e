//! The kinds of metrics: plain atomics. To count is one or two additions without a lock, an allocation or a lookup; names and
//! labels come into it when somebody reads.

use super::text::{self, Type};
use parking_lot::{Mutex, MutexGuard};
use std::{
    fmt,
    marker::PhantomData,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

/// Something that is written under one name, its own type and any number of samples.
pub(super) trait Series {
    const TYPE: Type;
    fn write(&self, name: &str, out: &mut String);
}

/// Something that a metric is told apart by: known beforehand, and few. Never a player, nor anything else that a client
/// chooses.
pub trait Label {
    /// The label's name.
    const NAME: &'static str;
    /// How many values there are.
    const COUNT: usize;
    /// Which of them this is, below `COUNT`.
    fn index(&self) -> usize;
    /// The text of one of them.
    fn value(index: usize) -> &'static str;
}

/// A number that only rises.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Once more.
    pub fn inc(&self) {
        self.add(1);
    }

    /// So many more.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Relaxed);
    }

    /// How many so far.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

impl Series for Counter {
    const TYPE: Type = Type::Counter;

    fn write(&self, name: &str, out: &mut String) {
        text::sample(out, name, &[], self.get());
    }
}

/// A number of things that are there now.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    /// One came.
    pub fn inc(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    /// One went, which had come before.
    pub fn dec(&self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl Series for Gauge {
    const TYPE: Type = Type::Gauge;

    fn write(&self, name: &str, out: &mut String) {
        text::sample(out, name, &[], self.0.load(Relaxed));
    }
}

/// A counter for each value of a label, all of them written from the start: a rate that was never seen is 0, not absent.
pub struct Counters<L> {
    counters: Box<[Counter]>,
    by: PhantomData<fn(L)>,
}

impl<L: Label> Counters<L> {
    /// Once more.
    pub fn inc(&self, label: &L) {
        self.add(label, 1);
    }

    /// So many more.
    pub fn add(&self, label: &L, more: u64) {
        if let Some(counter) = self.counters.get(label.index()) {
            counter.add(more);
        }
    }
}

impl<L: Label> Default for Counters<L> {
    fn default() -> Self {
        Self { counters: zeros(L::COUNT), by: PhantomData }
    }
}

impl<L: Label> Series for Counters<L> {
    const TYPE: Type = Type::Counter;

    fn write(&self, name: &str, out: &mut String) {
        for (index, counter) in self.counters.iter().enumerate() {
            text::sample(out, name, &[(L::NAME, L::value(index))], counter.get());
        }
    }
}

/// A counter for each pair of values of two labels. Written are those that were ever counted, because most never are.
pub struct Grid<A, B> {
    counters: Box<[Counter]>,
    by: PhantomData<fn(A, B)>,
}

impl<A: Label, B: Label> Grid<A, B> {
    /// Once more.
    pub fn inc(&self, one: &A, other: &B) {
        let at = one.index().saturating_mul(B::COUNT).saturating_add(other.index());
        if let Some(counter) = self.counters.get(at) {
            counter.inc();
        }
    }
}

impl<A: Label, B: Label> Default for Grid<A, B> {
    fn default() -> Self {
        Self { counters: zeros(A::COUNT.saturating_mul(B::COUNT)), by: PhantomData }
    }
}

impl<A: Label, B: Label> Series for Grid<A, B> {
    const TYPE: Type = Type::Counter;

    fn write(&self, name: &str, out: &mut String) {
        for (one, row) in self.counters.chunks(B::COUNT).enumerate() {
            for (other, counter) in row.iter().enumerate().filter(|(_, counter)| counter.get() > 0) {
                let labels = [(A::NAME, A::value(one)), (B::NAME, B::value(other))];
                text::sample(out, name, &labels, counter.get());
            }
        }
    }
}

/// What a histogram counts in, and where its buckets end.
pub trait Scale {
    /// The highest value of each bucket but the last, rising.
    const BOUNDS: &'static [u64];
    /// How many of what is counted are one of the unit that is written.
    const PER_UNIT: f64;
}

/// From 50 µs to 10 s: what waits for a disk or a network.
#[derive(Debug)]
pub struct Waiting;

/// From 1 µs to 1 s: what waits for a lock.
#[derive(Debug)]
pub struct Brief;

/// From one player to as many as a batch may have.
#[derive(Debug)]
pub struct Players;

const MICROSECOND: u64 = 1_000;
const MILLISECOND: u64 = 1_000 * MICROSECOND;
const SECOND: u64 = 1_000 * MILLISECOND;
const NANOSECONDS_PER_SECOND: f64 = 1e9;

impl Scale for Waiting {
    const BOUNDS: &'static [u64] = &[
        50 * MICROSECOND,
        100 * MICROSECOND,
        250 * MICROSECOND,
        500 * MICROSECOND,
        MILLISECOND,
        2_500 * MICROSECOND,
        5 * MILLISECOND,
        10 * MILLISECOND,
        25 * MILLISECOND,
        50 * MILLISECOND,
        100 * MILLISECOND,
        250 * MILLISECOND,
        500 * MILLISECOND,
        SECOND,
        2_500 * MILLISECOND,
        10 * SECOND,
    ];
    const PER_UNIT: f64 = NANOSECONDS_PER_SECOND;
}

impl Scale for Brief {
    const BOUNDS: &'static [u64] = &[
        MICROSECOND,
        5 * MICROSECOND,
        10 * MICROSECOND,
        50 * MICROSECOND,
        100 * MICROSECOND,
        500 * MICROSECOND,
        MILLISECOND,
        10 * MILLISECOND,
        100 * MILLISECOND,
        SECOND,
    ];
    const PER_UNIT: f64 = NANOSECONDS_PER_SECOND;
}

impl Scale for Players {
    const BOUNDS: &'static [u64] = &[1, 2, 4, 8, 16, 32, 64, 128];
    const PER_UNIT: f64 = 1.0;
}

/// How often something was how large, in buckets, and the sum of it all.
pub struct Histogram<S> {
    buckets: Box<[Counter]>,
    sum: Counter,
    scale: PhantomData<fn(S)>,
}

impl<S: Scale> Histogram<S> {
    /// Counts one of this size.
    pub fn observe(&self, size: u64) {
        let at = S::BOUNDS.partition_point(|bound| *bound < size);
        if let Some(bucket) = self.buckets.get(at) {
            bucket.inc();
        }
        self.sum.add(size);
    }

    /// Counts something that took so long.
    pub fn took(&self, time: Duration) {
        self.observe(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }

    fn write_with(&self, name: &str, label: Option<(&str, &str)>, out: &mut String) {
        let labels: Vec<(&str, &str)> = label.into_iter().collect();
        let bucket = format!("{name}_bucket");
        let mut up_to = 0_u64;
        for (index, counter) in self.buckets.iter().enumerate() {
            up_to = up_to.saturating_add(counter.get());
            let bound = S::BOUNDS.get(index).map_or(f64::INFINITY, |bound| in_units::<S>(*bound));
            let bound = if bound.is_finite() { bound.to_string() } else { "+Inf".to_owned() };
            let mut labels = labels.clone();
            labels.push(("le", &bound));
            text::sample(out, &bucket, &labels, up_to);
        }
        text::sample(out, &format!("{name}_sum"), &labels, in_units::<S>(self.sum.get()));
        text::sample(out, &format!("{name}_count"), &labels, up_to);
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a sum of nanoseconds is exact for a hundred days, and then near enough"
)]
fn in_units<S: Scale>(size: u64) -> f64 {
    size as f64 / S::PER_UNIT
}

impl<S: Scale> Default for Histogram<S> {
    fn default() -> Self {
        Self { buckets: zeros(S::BOUNDS.len().saturating_add(1)), sum: Counter::default(), scale: PhantomData }
    }
}

impl<S: Scale> Series for Histogram<S> {
    const TYPE: Type = Type::Histogram;

    fn write(&self, name: &str, out: &mut String) {
        self.write_with(name, None, out);
    }
}

/// How long locks were waited for, by those who had to: a lock that is free costs nothing here.
pub struct LockWaits<L> {
    waits: Box<[Histogram<Brief>]>,
    by: PhantomData<fn(L)>,
}

impl<L: Label> LockWaits<L> {
    /// Takes a lock, and counts how long that took where somebody else had it.
    pub fn lock<'m, T>(&self, of: &L, mutex: &'m Mutex<T>) -> MutexGuard<'m, T> {
        if let Some(guard) = mutex.try_lock() {
            return guard;
        }
        let begun = Instant::now();
        let guard = mutex.lock();
        if let Some(waits) = self.waits.get(of.index()) {
            waits.took(begun.elapsed());
        }
        guard
    }
}

impl<L: Label> Default for LockWaits<L> {
    fn default() -> Self {
        Self { waits: std::iter::repeat_with(Histogram::default).take(L::COUNT).collect(), by: PhantomData }
    }
}

impl<L: Label> Series for LockWaits<L> {
    const TYPE: Type = Type::Histogram;

    fn write(&self, name: &str, out: &mut String) {
        for (index, waits) in self.waits.iter().enumerate() {
            waits.write_with(name, Some((L::NAME, L::value(index))), out);
        }
    }
}

fn zeros(count: usize) -> Box<[Counter]> {
    std::iter::repeat_with(Counter::default).take(count).collect()
}

/// Whoever prints a room does not want a thousand zeros.
macro_rules! brief {
    ($($kind:ident<$($of:ident),+>),*) => {
        $(impl<$($of),+> fmt::Debug for $kind<$($of),+> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(stringify!($kind))
            }
        })*
    };
}

brief!(Counters<L>, Grid<A, B>, Histogram<S>, LockWaits<L>);
