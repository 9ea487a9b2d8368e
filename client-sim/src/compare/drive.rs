//! The load: what one connection sends and what it counts, at as little cost as it can be had.
//!
//! Everything that a wake-up brings is read, then everything that may be sent is sent with one flush. Replies come in the
//! order of the requests, so that a queue of times is all that is remembered of them.

use super::{Failure, plan, player::Player, reply::Reply};
use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};
use hdrhistogram::Histogram;
use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU8, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_tungstenite::tungstenite::{Error, Message};

/// A request that leaves so long after it was due counts as late.
const LATE: Duration = Duration::from_millis(100);

/// Latencies that a connection keeps before it pours them into the common histogram.
const KEPT: usize = 1024;

/// Requests that fell due that are looked at in one go.
const DUE_AT_ONCE: usize = 64;

const WARM: u8 = 0;
const MEASURE: u8 = 1;
const STOP: u8 = 2;

/// What all connections of a load share.
#[derive(Debug)]
pub(super) struct Run {
    phase: AtomicU8,
    latencies: Mutex<Histogram<u64>>,
    echoes: bool,
}

/// What a connection counted while it was measured.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tally {
    /// Requests that were answered.
    pub(super) replies: u64,
    /// Those of them that did not take effect.
    pub(super) refused: u64,
    /// Requests that left long after they were due.
    pub(super) late: u64,
}

impl Run {
    /// A load that is not measured yet, on echo or on Holdall.
    pub(super) fn new(echoes: bool) -> Arc<Self> {
        let latencies = Histogram::new_with_bounds(1, 60_000_000, 3).expect("the bounds are in order");
        Arc::new(Self { phase: AtomicU8::new(WARM), latencies: Mutex::new(latencies), echoes })
    }

    /// From now on it counts.
    pub(super) fn measure(&self) {
        self.phase.store(MEASURE, Relaxed);
    }

    /// Nobody sends any more; what is under way is waited for.
    pub(super) fn stop(&self) {
        self.phase.store(STOP, Relaxed);
    }

    /// Whether it is over.
    pub(super) fn stopped(&self) -> bool {
        self.phase.load(Relaxed) == STOP
    }

    /// The latencies of what was answered while it was measured, in microseconds.
    pub(super) fn latencies(&self) -> Histogram<u64> {
        self.latencies.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn measured(&self) -> bool {
        self.phase.load(Relaxed) == MEASURE
    }

    fn pour(&self, latencies: &mut Vec<u32>) {
        let mut all = self.latencies.lock().unwrap_or_else(PoisonError::into_inner);
        for latency in latencies.drain(..) {
            all.saturating_record(latency.into());
        }
    }
}

/// One connection under load.
#[derive(Debug)]
pub(super) struct Drive {
    player: Player,
    run: Arc<Run>,
    /// When each request under way was sent, or due.
    waiting: VecDeque<Instant>,
    latencies: Vec<u32>,
    tally: Tally,
}

impl Drive {
    /// A player who is going to act.
    pub(super) fn new(player: Player, run: Arc<Run>) -> Self {
        Self { player, run, waiting: VecDeque::new(), latencies: Vec::with_capacity(KEPT), tally: Tally::default() }
    }

    /// Keeps so many requests under way until the run stops; ends when all are answered.
    pub(super) async fn closed(mut self, depth: usize) -> Result<(Player, Tally), Failure> {
        loop {
            if !self.run.stopped() {
                let now = Instant::now();
                while self.waiting.len() < depth {
                    self.send(now).await?;
                }
                self.player.wire.flush().await.map_err(cut)?;
            }
            if self.waiting.is_empty() {
                return Ok(self.end());
            }
            let message = self.player.wire.next().await;
            self.hear(message)?;
        }
    }

    /// Sends what is due when it is, until nothing more falls due; ends when all are answered.
    pub(super) async fn open(mut self, mut due: UnboundedReceiver<Instant>) -> Result<(Player, Tally), Failure> {
        let mut batch = Vec::with_capacity(DUE_AT_ONCE);
        let mut more = true;
        while more || !self.waiting.is_empty() {
            tokio::select! {
                biased;
                message = self.player.wire.next() => self.hear(message)?,
                count = due.recv_many(&mut batch, DUE_AT_ONCE), if more => {
                    more = count > 0;
                    let now = Instant::now();
                    for at in batch.drain(..) {
                        self.tally.late += u64::from(self.run.measured() && now.duration_since(at) > LATE);
                        self.send(at).await?;
                    }
                    self.player.wire.flush().await.map_err(cut)?;
                }
            }
        }
        Ok(self.end())
    }

    async fn send(&mut self, due: Instant) -> Result<(), Failure> {
        self.player.number += 1;
        let frame = self.player.plan.request(self.player.number);
        self.waiting.push_back(due);
        self.player.wire.feed(Message::Binary(frame.into())).await.map_err(cut)
    }

    /// Reads this message and everything else that is there.
    fn hear(&mut self, message: Option<Result<Message, Error>>) -> Result<(), Failure> {
        let (now, measured) = (Instant::now(), self.run.measured());
        let mut next = Some(message);
        while let Some(message) = next {
            match message {
                Some(Ok(Message::Binary(frame))) => self.count(&frame, now, measured)?,
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(other)) => return Err(Failure::new(format!("under load the server sent {other:?}"))),
                Some(Err(error)) => return Err(cut(error)),
                None => return Err(Failure::new("the server ended a connection under load")),
            }
            next = self.player.wire.next().now_or_never();
        }
        Ok(())
    }

    fn count(&mut self, frame: &[u8], now: Instant, measured: bool) -> Result<(), Failure> {
        let (number, refused) = if self.run.echoes {
            (plan::number(frame).map(u64::from), false)
        } else {
            match Reply::read(frame) {
                Some(Reply::Applied(number)) => (Some(number), false),
                Some(Reply::Refused(number, _)) => (Some(number), true),
                Some(Reply::Other) => return Ok(()),
                None => (None, false),
            }
        };
        let first = u64::from(self.player.number) + 1 - self.waiting.len() as u64;
        let sent = self.waiting.pop_front().filter(|_| number == Some(first));
        let sent = sent.ok_or_else(|| Failure::new(format!("a reply to {number:?}, not to {first}")))?;
        if measured {
            self.tally.replies += 1;
            self.tally.refused += u64::from(refused);
            let micros = now.duration_since(sent).as_micros();
            self.latencies.push(u32::try_from(micros).unwrap_or(u32::MAX));
            if self.latencies.len() == KEPT {
                self.run.pour(&mut self.latencies);
            }
        }
        Ok(())
    }

    fn end(mut self) -> (Player, Tally) {
        self.run.pour(&mut self.latencies);
        (self.player, self.tally)
    }
}

fn cut(error: Error) -> Failure {
    Failure::new(format!("a connection broke under load: {error}"))
}
