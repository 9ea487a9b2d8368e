//! The course of a run: lets the bots in, lets them play, drains them, proves every mirror, closes the books.

use super::{Options, Phase, World};
use crate::{
    abuse::Abuser,
    bot::{Bot, Played},
    conservation::{Account, Holders, Tally},
    fault::Fault,
    process::{self, Probe, Sample},
    report::{Latency, Progress, Report, Server, utc},
    series::{self, Collector, Samples},
    strain::{Strain, Watch},
};
use hdrhistogram::Histogram;
use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, SystemTime},
};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};

/// The longest that draining, and then proving, may take.
const ENDING_MAX: Duration = Duration::from_secs(90);

/// From one look at how far the bots are to the next.
const LOOK: Duration = Duration::from_millis(20);

/// From one line that tells how it goes to the next.
const TELL: Duration = Duration::from_secs(1);

/// The longest that collecting may take: what does not fit stays in its inbox.
const COLLECT_MAX: Duration = Duration::from_secs(20);

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
    phase_began: Instant,
    began_at: SystemTime,
    bots: JoinSet<Played>,
    server: Option<Probe>,
    told_at: Instant,
    replies_before: u64,
    collector: Option<Collector>,
}

impl<W: FnMut(&Progress)> Run<W> {
    fn new(options: Options, watch: W) -> Self {
        let (phase, _) = watch::channel(Phase::Join);
        let server = options.server_pid.or_else(|| found(&options)).map(Probe::new);
        Self {
            world: Arc::new(World::new(options)),
            watch,
            phase,
            phase_began: Instant::now(),
            began_at: SystemTime::now(),
            bots: JoinSet::new(),
            server,
            told_at: Instant::now(),
            replies_before: 0,
            collector: None,
        }
    }

    async fn play(mut self, stop: impl Future<Output = ()>) -> Report {
        let mut stop = std::pin::pin!(stop);
        let before = self.sample();
        let begin = Instant::now();
        let stopped = tokio::select! {
            () = self.let_in() => false,
            () = &mut stop => true,
        };
        let join = begin.elapsed();
        let (start, replies_at_start) = (self.sample(), self.world.metrics.replies.load(Relaxed));
        let strain = Watch::begin();
        let begin = Instant::now();
        self.world.play_from.store(self.world.stamp(begin), Relaxed);
        self.collector =
            Some(Collector::new(&self.world.metrics, Samples { server: start, own: strain.own().sample() }));
        self.enter(Phase::Play);
        let abusers = self.let_abuse();
        if !stopped {
            tokio::select! {
                () = self.let_play(begin, strain.own()) => {}
                () = &mut stop => {}
            }
        }
        let played = begin.elapsed();
        let replies = self.world.metrics.replies.load(Relaxed).saturating_sub(replies_at_start);
        let end = self.sample();
        self.world.play_until.store(self.world.stamp(Instant::now()), Relaxed);
        self.cut(Samples { server: end, own: strain.own().sample() }, played);
        let strain = strain.end(&Latency::of(&self.latencies()));
        let ended = self.wind_up().await;
        drop(abusers);
        let server = Server::between(before, start, end, replies, self.world.options.players());
        self.close(ended, Figures { join, played, replies, server, strain })
    }

    /// Lets them end what is under way, take what waits for them, and prove their mirrors.
    async fn wind_up(&mut self) -> Vec<Played> {
        self.enter(Phase::Drain);
        let came = self.bots.len();
        self.until(Instant::now() + ENDING_MAX, move |world| world.is_drained(came)).await;
        self.enter(Phase::Collect);
        self.until(Instant::now() + COLLECT_MAX, World::has_collected).await;
        self.enter(Phase::Prove);
        self.end().await
    }

    fn enter(&mut self, phase: Phase) {
        self.phase_began = Instant::now();
        self.phase.send_replace(phase);
    }

    fn sample(&self) -> Option<Sample> {
        self.server.as_ref().and_then(Probe::sample)
    }

    /// Lets in those who are no players. They end with the play; what then hangs is dropped.
    fn let_abuse(&self) -> JoinSet<()> {
        let abuser = |number| Abuser::new(number, Arc::clone(&self.world), self.phase.subscribe()).run();
        (0..self.world.options.abusers()).map(abuser).collect()
    }

    /// Waits while they play, one moment of the series after the other.
    async fn let_play(&mut self, begin: Instant, own: &Probe) {
        let (players, duration) = (self.world.options.players(), self.world.options.duration);
        let (end, step) = (begin + duration, series::step(duration));
        let gone = move |world: &World| world.gone.load(Relaxed) >= players;
        let mut at = begin;
        while Instant::now() < end && !(players > 0 && gone(&self.world)) {
            at = (at + step).max(Instant::now());
            self.until(at.min(end), move |world| players > 0 && gone(world)).await;
            if at < end {
                self.cut(Samples { server: self.sample(), own: own.sample() }, begin.elapsed());
            }
        }
    }

    fn cut(&mut self, samples: Samples, at: Duration) {
        if let Some(collector) = &mut self.collector {
            collector.cut(&self.world.metrics, samples, at);
        }
    }

    fn latencies(&self) -> Histogram<u64> {
        self.collector.as_ref().map_or_else(crate::metrics::histogram, |collector| collector.latencies().clone())
    }

    /// Starts the bots at the rate asked for and waits until all are in.
    async fn let_in(&mut self) {
        let (bots, rate) = (self.world.options.players(), self.world.options.connect_rate.max(1));
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
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !done(&self.world) {
            tokio::select! {
                () = sleep_until(deadline) => return,
                _ = look.tick() => {}
                () = sleep_until(self.told_at + TELL) => self.tell(),
            }
        }
    }

    fn tell(&mut self) {
        let metrics = &self.world.metrics;
        let replies = metrics.replies.load(Relaxed);
        let since = self.told_at.elapsed().as_secs_f64();
        let came = replies.saturating_sub(std::mem::replace(&mut self.replies_before, replies));
        self.told_at = Instant::now();
        let latencies = self.latencies();
        let phase = *self.phase.borrow();
        let options = &self.world.options;
        let total = match phase {
            Phase::Join => {
                Some(Duration::from_secs(1).mul_f64(options.players() as f64 / f64::from(options.connect_rate)))
            }
            Phase::Play => Some(options.duration),
            Phase::Drain | Phase::Collect | Phase::Prove | Phase::Abort => None,
        };
        let progress = Progress {
            phase,
            elapsed: self.world.epoch.elapsed(),
            phase_elapsed: self.phase_began.elapsed(),
            phase_total: total,
            connected: metrics.connected.load(Relaxed),
            bots: options.players(),
            replies,
            replies_per_s: per_second(came, since),
            refused: metrics.refused.load(Relaxed),
            reconnects: metrics.reconnects.load(Relaxed),
            p50_us: latencies.value_at_quantile(0.5),
            p99_us: latencies.value_at_quantile(0.99),
            collapsed: metrics.collapsed.load(Relaxed),
            violations: metrics.violations_count(),
        };
        (self.watch)(&progress);
    }

    /// Waits for all bots to end.
    async fn end(&mut self) -> Vec<Played> {
        let mut ended = Vec::with_capacity(self.bots.len());
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

    /// Adds up everybody's books, and says where they do not come out even.
    fn balance(&self, ended: Vec<Played>) -> Balance {
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
                let fault = Fault::Protocol("its mirror could not be compared with a last snapshot".into());
                metrics.violation(Some(&bot.player), &fault);
            }
        }
        let resolved_later = books.resolved_later;
        self.world.settle(&mut books);
        let (conservation, broken) = books.close();
        // Books with a player missing prove nothing; that the player is missing is a violation already.
        if proven == bots {
            broken.iter().for_each(|fault| metrics.violation(None, fault));
        }
        Balance { conservation, proven, resolved_later }
    }

    /// Writes down what was found.
    fn close(mut self, ended: Vec<Played>, figures: Figures) -> Report {
        let late = self.world.metrics.take_latencies();
        let (points, latencies) = self.collector.take().map_or_else(Default::default, |mut collector| {
            collector.add(&late);
            let (points, latencies) = collector.end();
            (points, Some(latencies))
        });
        let latencies = latencies.unwrap_or(late);
        let bots = ended.len();
        let Balance { conservation, proven, resolved_later } = self.balance(ended);
        let metrics = &self.world.metrics;
        let seconds = figures.played.as_secs_f64().max(f64::EPSILON);
        Report {
            config: self.world.options.clone(),
            command: Vec::new(),
            began_at: utc(self.began_at),
            bots,
            seed: self.world.options.seed,
            join_s: figures.join.as_secs_f64(),
            duration_s: seconds,
            requests: metrics.requests.load(Relaxed),
            replies: metrics.replies.load(Relaxed),
            refused: metrics.refused.load(Relaxed),
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
            measured: latencies.len(),
            latency_us: Latency::of(&latencies),
            latency_buckets: series::buckets(&latencies),
            login_us: Latency::of(&metrics.logins()),
            reconnects: metrics.reconnects.load(Relaxed),
            resumes: metrics.resumes.load(Relaxed),
            asked_again: metrics.asked_again.load(Relaxed),
            resolved_later,
            resyncs: metrics.resyncs.load(Relaxed),
            turned_away: metrics.turned_away.load(Relaxed),
            collapsed: metrics.collapsed.load(Relaxed),
            collapsed_replies: metrics.collapsed_replies.load(Relaxed),
            closed_slow: metrics.closed_slow.load(Relaxed),
            top_ups: self.world.top_up.as_ref().map(|top_up| top_up.counts().into()),
            abusers: self.world.options.abusers(),
            abuses: metrics.abuses(),
            proven,
            violations_count: metrics.violations_count(),
            violations: metrics.violations(),
            requirements: Vec::new(),
            conservation,
            server: figures.server,
            simulator: figures.strain,
            series: points,
        }
    }
}

/// The server's process, where it is another one on this machine.
fn found(options: &Options) -> Option<u32> {
    let (host, port) = options.url.address().rsplit_once(':')?;
    process::listener(host, port.parse().ok()?).filter(|pid| *pid != std::process::id())
}

/// What everybody's books come to.
struct Balance {
    conservation: BTreeMap<String, Account>,
    proven: usize,
    resolved_later: u64,
}

/// What the coordinator measured itself.
struct Figures {
    join: Duration,
    played: Duration,
    replies: u64,
    server: Option<Server>,
    strain: Strain,
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
