//! One run: lets the bots in, lets them play, drains them, proves every mirror, closes the books.
//!
//! Called by `main` and by tests. Owns what the bots share; knows nothing of messages.

use crate::{
    bot::{Bot, Played},
    catalogue::Catalogue,
    conservation::{Holders, Tally},
    goods::Goods,
    metrics::Metrics,
    mix::Weights,
    process::{Probe, Sample},
    report::{Latency, Progress, Report, Server},
    workload::Workload,
};
use holdall_protocol::{frame::Subprotocol, ids::PlayerId};
use rand::{Rng as _, rngs::SmallRng};
use std::{
    str::FromStr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};

/// Where the server is: `ws://host:port/path`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    text: String,
    address: String,
}

impl Url {
    /// The whole of it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Host and port.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }
}

impl FromStr for Url {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let rest = text.strip_prefix("ws://").ok_or("it must begin with ws://")?;
        let host = rest.split_once('/').map_or(rest, |(host, _)| host);
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let address = if has_port { host.to_owned() } else { format!("{host}:80") };
        if host.is_empty() { Err("it names no host".to_owned()) } else { Ok(Self { text: text.to_owned(), address }) }
    }
}

/// What makes a bot act.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Load {
    /// Each bot acts, reads the reply, and acts again this long after it acted first.
    ThinkTime(Duration),
    /// All bots together act so many times a second, replies or not. Latencies count from when a request was due.
    Rate(f64),
    /// Each bot keeps so many requests in flight and never thinks.
    Depth(usize),
}

/// What a run is made of.
#[derive(Debug, Clone)]
pub struct Options {
    /// The server.
    pub url: Url,
    /// How many bots; their players are `bot-1` and so on.
    pub bots: usize,
    /// How long they play, from when all are in.
    pub duration: Duration,
    /// What makes them act.
    pub load: Load,
    /// What they do.
    pub mix: Weights,
    /// The same seed makes every bot choose alike.
    pub seed: u64,
    /// The encoding they speak.
    pub subprotocol: Subprotocol,
    /// Bots let in a second.
    pub connect_rate: u32,
    /// Mean time after which a bot cuts its own connection and comes back; never when absent.
    pub churn: Option<Duration>,
    /// Mean time that a bot stays away when the mix lets it leave.
    pub away: Duration,
    /// The server's process on this machine, to measure what it costs.
    pub server_pid: Option<u32>,
    /// How long a bot tries to come back before it is a violation.
    pub give_up: Duration,
    /// How long a reply, or any progress of a join, may take while the connection stands, before it is a violation.
    pub patience: Duration,
}

impl Options {
    /// The defaults: a bit of everything, 200 ms of thought, seed 1.
    #[must_use]
    pub const fn new(url: Url, bots: usize, duration: Duration) -> Self {
        Self {
            url,
            bots,
            duration,
            load: Load::ThinkTime(Duration::from_millis(200)),
            mix: Weights::DEFAULT,
            seed: 1,
            subprotocol: Subprotocol::Msgpack,
            connect_rate: 500,
            churn: None,
            away: Duration::from_secs(15),
            server_pid: None,
            give_up: Duration::from_secs(30),
            patience: Duration::from_secs(30),
        }
    }
}

/// What the bots are at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// They come in.
    Join,
    /// They act.
    Play,
    /// They act no more, end their trades and wait for their last replies.
    Drain,
    /// Everybody is in the game and takes what waits in the inboxes.
    Collect,
    /// Nobody's request is under way: each compares its mirror with a last snapshot.
    Prove,
    /// They took too long to drain or prove.
    Abort,
}

/// The longest that draining, and then proving, may take.
const ENDING_MAX: Duration = Duration::from_secs(90);

/// The longest that collecting may take: what does not fit stays in its inbox.
const COLLECT_MAX: Duration = Duration::from_secs(20);

/// What all bots of a run share.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) options: Options,
    pub(crate) workload: Workload,
    pub(crate) catalogue: Catalogue,
    pub(crate) goods: Goods,
    pub(crate) metrics: Metrics,
    epoch: Instant,
    /// When they began to play, as a stamp; before that nothing is measured.
    play_from: AtomicU64,
    /// When they stopped.
    play_until: AtomicU64,
    members: Vec<Member>,
    joined: AtomicUsize,
    drained: AtomicUsize,
    gone: AtomicUsize,
    /// Somebody has shown other books than before.
    books_shown: AtomicBool,
}

/// What others know of a bot.
#[derive(Debug)]
struct Member {
    player: PlayerId,
    /// It has a mirror, so that what it is given does not count as its own.
    in_game: AtomicBool,
    drained: AtomicBool,
    gifts: AtomicU64,
    /// Its books, once it has nothing under way.
    books: Mutex<Option<Tally>>,
}

impl World {
    fn new(options: Options) -> Self {
        let member = |number: usize| Member {
            player: PlayerId::new(&format!("bot-{number}")).expect("letters, a hyphen and digits"),
            in_game: AtomicBool::new(false),
            drained: AtomicBool::new(false),
            gifts: AtomicU64::new(0),
            books: Mutex::new(None),
        };
        Self {
            workload: Workload::new(&options.mix),
            catalogue: Catalogue::new(),
            goods: Goods::default(),
            metrics: Metrics::new(),
            epoch: Instant::now(),
            play_from: AtomicU64::new(u64::MAX),
            play_until: AtomicU64::new(u64::MAX),
            members: (1..=options.bots).map(member).collect(),
            joined: AtomicUsize::new(0),
            drained: AtomicUsize::new(0),
            gone: AtomicUsize::new(0),
            books_shown: AtomicBool::new(false),
            options,
        }
    }

    fn member(&self, number: usize) -> &Member {
        self.members.get(number).expect("bots are numbered below the number of bots")
    }

    pub(crate) fn player(&self, number: usize) -> PlayerId {
        self.member(number).player.clone()
    }

    /// Another bot that is in the game, if a few tries find one.
    pub(crate) fn friend(&self, number: usize, rng: &mut SmallRng) -> Option<PlayerId> {
        let mut tries = (0..3).map(|_| rng.random_range(0..self.members.len()));
        let friend = tries.find(|other| *other != number && self.member(*other).in_game.load(Relaxed))?;
        Some(self.player(friend))
    }

    /// A gift is about to be sent to this player.
    pub(crate) fn announce_gift(&self, to: &PlayerId) {
        let number = to.as_str().strip_prefix("bot-").and_then(|number| number.parse::<usize>().ok());
        if let Some(member) = number.and_then(|number| self.members.get(number.checked_sub(1)?)) {
            member.gifts.fetch_add(1, Relaxed);
        }
    }

    /// How many gifts were sent to a bot, whether they arrived or not.
    pub(crate) fn gifts_to(&self, number: usize) -> u64 {
        self.member(number).gifts.load(Relaxed)
    }

    /// A bot has its first mirror.
    pub(crate) fn joined(&self, number: usize) {
        self.member(number).in_game.store(true, Relaxed);
        self.joined.fetch_add(1, Relaxed);
    }

    /// A bot has no request under way and will send no more.
    pub(crate) fn drained(&self, number: usize) {
        if !self.member(number).drained.swap(true, Relaxed) {
            self.drained.fetch_add(1, Relaxed);
        }
    }

    /// A bot that has nothing under way shows how it stands.
    pub(crate) fn show_books(&self, number: usize, books: Tally) {
        *self.member(number).books.lock().unwrap_or_else(PoisonError::into_inner) = Some(books);
        self.books_shown.store(true, Relaxed);
    }

    /// Whether everybody has shown their books and nothing may wait in an inbox. Who is gone will never show any.
    fn has_collected(&self) -> bool {
        if self.gone.load(Relaxed) > 0 {
            return true;
        }
        if !self.books_shown.swap(false, Relaxed) {
            return false;
        }
        let mut all = Tally::default();
        for member in &self.members {
            match member.books.lock().unwrap_or_else(PoisonError::into_inner).clone() {
                Some(books) => all.add(books),
                None => return false,
            }
        }
        !all.awaits_gifts()
    }

    /// A bot has ended, maybe before its time: nobody waits for it.
    pub(crate) fn count_out(&self, number: usize, joined: bool) {
        self.member(number).in_game.store(false, Relaxed);
        if !joined {
            self.joined.fetch_add(1, Relaxed);
        }
        self.gone.fetch_add(1, Relaxed);
        self.drained(number);
    }

    /// The time between two actions of one bot when all bots together act so many times a second.
    pub(crate) fn interval(&self, per_second: f64) -> Duration {
        let bots = u32::try_from(self.members.len()).unwrap_or(u32::MAX);
        Duration::try_from_secs_f64(f64::from(bots) / per_second).unwrap_or(Duration::MAX / 4)
    }

    /// A moment as a number for the checker to carry.
    pub(crate) fn stamp(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.epoch).as_nanos()).unwrap_or(u64::MAX)
    }

    /// How long ago a stamp was made, where that was while they played.
    pub(crate) fn latency(&self, stamp: u64) -> Option<Duration> {
        let played = self.play_from.load(Relaxed)..self.play_until.load(Relaxed);
        played.contains(&stamp).then(|| self.epoch.elapsed().saturating_sub(Duration::from_nanos(stamp)))
    }
}

/// Runs to the end.
pub async fn run(options: Options) -> Report {
    run_watched(options, |_| {}, std::future::pending()).await
}

/// Runs to the end, or until `stop` asks to end early, and tells `watch` every second how it goes. However it ends, what
/// was played is checked.
pub async fn run_watched(options: Options, watch: impl FnMut(&Progress), stop: impl Future<Output = ()>) -> Report {
    Run::new(options, watch).play(stop).await
}

/// The state of the coordinator.
struct Run<W> {
    world: Arc<World>,
    watch: W,
    phase: watch::Sender<Phase>,
    bots: JoinSet<Played>,
    replies_before: u64,
}

impl<W: FnMut(&Progress)> Run<W> {
    fn new(options: Options, watch: W) -> Self {
        let (phase, _) = watch::channel(Phase::Join);
        Self { world: Arc::new(World::new(options)), watch, phase, bots: JoinSet::new(), replies_before: 0 }
    }

    async fn play(mut self, stop: impl Future<Output = ()>) -> Report {
        let mut stop = std::pin::pin!(stop);
        let probe = self.world.options.server_pid.map(Probe::new);
        let sample = || probe.as_ref().and_then(Probe::sample);
        let (bots, duration) = (self.world.options.bots, self.world.options.duration);
        let before = sample();
        let begin = Instant::now();
        let stopped = tokio::select! {
            () = self.let_in() => false,
            () = &mut stop => true,
        };
        let join = begin.elapsed();

        let (start, replies_at_start) = (sample(), self.world.metrics.replies.load(Relaxed));
        let begin = Instant::now();
        self.world.play_from.store(self.world.stamp(begin), Relaxed);
        self.phase.send_replace(Phase::Play);
        if !stopped {
            tokio::select! {
                () = self.until(begin + duration, move |world| world.gone.load(Relaxed) >= bots) => {}
                () = &mut stop => {}
            }
        }
        let played = begin.elapsed();
        let replies = self.world.metrics.replies.load(Relaxed).saturating_sub(replies_at_start);
        let end = sample();
        self.world.play_until.store(self.world.stamp(Instant::now()), Relaxed);
        self.phase.send_replace(Phase::Drain);
        let came = self.bots.len();
        self.until(Instant::now() + ENDING_MAX, move |world| world.drained.load(Relaxed) >= came).await;
        self.phase.send_replace(Phase::Collect);
        self.until(Instant::now() + COLLECT_MAX, World::has_collected).await;
        self.phase.send_replace(Phase::Prove);
        let ended = self.end().await;
        let server = Server::between(before, start, end, replies, bots);
        self.close(ended, Figures { join, played, replies, server })
    }

    /// Starts the bots at the rate asked for and waits until all are in.
    async fn let_in(&mut self) {
        let (bots, rate) = (self.world.options.bots, self.world.options.connect_rate.max(1));
        let begin = Instant::now();
        for number in 0..bots {
            let at = begin + Duration::from_secs(u64::try_from(number).unwrap_or_default()) / rate;
            if at > Instant::now() + Duration::from_millis(2) {
                self.until(at, |_| false).await;
            }
            self.bots.spawn(Bot::new(number, Arc::clone(&self.world), self.phase.subscribe()).run());
        }
        // Each bot gives up by itself in the end, so this ends too.
        let late = Instant::now() + self.world.options.give_up + ENDING_MAX;
        self.until(late, move |world| world.joined.load(Relaxed) >= bots).await;
    }

    /// Waits, and tells every second how it goes.
    async fn until(&mut self, deadline: Instant, done: impl Fn(&World) -> bool) {
        let mut look = interval(Duration::from_millis(20));
        let mut tell = interval(Duration::from_secs(1));
        tell.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tell.reset();
        while !done(&self.world) {
            tokio::select! {
                () = sleep_until(deadline) => return,
                _ = look.tick() => {}
                _ = tell.tick() => self.tell(),
            }
        }
    }

    fn tell(&mut self) {
        let metrics = &self.world.metrics;
        let replies = metrics.replies.load(Relaxed);
        let latencies = metrics.latencies();
        let progress = Progress {
            phase: *self.phase.borrow(),
            elapsed: self.world.epoch.elapsed(),
            connected: metrics.connected.load(Relaxed),
            replies,
            replies_per_s: replies.saturating_sub(std::mem::replace(&mut self.replies_before, replies)),
            refused: metrics.refused.load(Relaxed),
            reconnects: metrics.reconnects.load(Relaxed),
            p50_us: latencies.value_at_quantile(0.5),
            p99_us: latencies.value_at_quantile(0.99),
            violations: metrics.violations_count(),
        };
        (self.watch)(&progress);
    }

    /// Waits for all bots to end.
    async fn end(&mut self) -> Vec<Played> {
        let mut ended = Vec::with_capacity(self.world.options.bots);
        let abort = sleep_until(Instant::now() + ENDING_MAX);
        let mut abort = std::pin::pin!(abort);
        let mut aborted = false;
        loop {
            tokio::select! {
                bot = self.bots.join_next() => match bot {
                    Some(bot) => ended.push(bot.expect("a bot does not panic")),
                    None => return ended,
                },
                () = &mut abort, if !aborted => {
                    aborted = true;
                    self.phase.send_replace(Phase::Abort);
                }
            }
        }
    }

    fn close(self, ended: Vec<Played>, figures: Figures) -> Report {
        let metrics = &self.world.metrics;
        let bots = ended.len();
        let (mut books, mut holders, mut proven) = (Tally::default(), Holders::default(), 0_usize);
        for bot in ended {
            books.add(bot.tally);
            if let Some(mirror) = bot.proven {
                proven += 1;
                if let Err(fault) = holders.add(&bot.player, &mirror) {
                    metrics.violation(Some(&bot.player), &fault);
                }
            } else {
                let fault =
                    crate::fault::Fault::Protocol("its mirror could not be compared with a last snapshot".into());
                metrics.violation(Some(&bot.player), &fault);
            }
        }
        let resolved_later = books.resolved_later;
        let (conservation, broken) = books.close();
        // Books with a player missing prove nothing; that the player is missing is a violation already.
        if proven == bots {
            broken.iter().for_each(|fault| metrics.violation(None, fault));
        }
        let seconds = figures.played.as_secs_f64().max(f64::EPSILON);
        Report {
            bots,
            seed: self.world.options.seed,
            join_s: figures.join.as_secs_f64(),
            duration_s: seconds,
            requests: metrics.requests.load(Relaxed),
            replies: metrics.replies.load(Relaxed),
            unsent: metrics.unsent.load(Relaxed),
            trades: metrics.settled.load(Relaxed),
            gifts: metrics.gifts.load(Relaxed),
            delivered: metrics.delivered.load(Relaxed),
            holds: metrics.holds.load(Relaxed),
            purchases: metrics.purchases.load(Relaxed),
            released: metrics.released.load(Relaxed),
            expired: metrics.expired.load(Relaxed),
            refusals: metrics.refusals().into_iter().map(|(code, n)| (code.as_str().to_owned(), n)).collect(),
            throughput_per_s: per_second(figures.replies, seconds),
            latency_us: Latency::of(&metrics.latencies()),
            reconnects: metrics.reconnects.load(Relaxed),
            resumes: metrics.resumes.load(Relaxed),
            asked_again: metrics.asked_again.load(Relaxed),
            resolved_later,
            resyncs: metrics.resyncs.load(Relaxed),
            proven,
            violations_count: metrics.violations_count(),
            violations: metrics.violations(),
            conservation,
            server: figures.server,
        }
    }
}

/// What the coordinator measured itself.
struct Figures {
    join: Duration,
    played: Duration,
    replies: u64,
    server: Option<Server>,
}

fn per_second(count: u64, seconds: f64) -> f64 {
    count as f64 / seconds
}

impl Server {
    /// What the server cost between samples; `None` where its process could not be read.
    fn between(
        before: Option<Sample>,
        start: Option<Sample>,
        end: Option<Sample>,
        replies: u64,
        bots: usize,
    ) -> Option<Self> {
        let (before, start, end) = (before?, start?, end?);
        let cpu_us = end.cpu.saturating_sub(start.cpu).as_secs_f64() * 1e6;
        let sessions = u64::try_from(bots).unwrap_or(1).max(1);
        Some(Self {
            cpu_us_per_request: if replies == 0 { None } else { Some(cpu_us / per_second(replies, 1.0)) },
            rss_bytes: end.rss_bytes,
            rss_bytes_per_session: end.rss_bytes.saturating_sub(before.rss_bytes) / sessions,
        })
    }
}
