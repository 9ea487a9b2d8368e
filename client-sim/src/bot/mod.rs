//! One player: connects, plays its workload, comes back after every cut, and lets the checker judge what it hears.
//!
//! Spawned by `scenario`, one task a bot. Decides nothing about right and wrong.

mod ears;
mod hears;
mod plays;

use crate::{
    checker::Checker,
    conservation::Tally,
    fault::Fault,
    model::Mirror,
    scenario::{Load, Options, Phase, World},
    socket::{ConnectError, Socket},
};
use ears::Ears;
use holdall_protocol::{
    ids::{ItemId, PlayerId},
    message::{ClientMessage, Hello},
};
use rand::{Rng as _, SeedableRng as _, rngs::SmallRng};
use std::{
    collections::VecDeque,
    future::pending,
    ops::ControlFlow::{self, Break, Continue},
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until, timeout},
};

/// The longest pause between two tries to connect.
const BACKOFF_MAX: Duration = Duration::from_secs(1);

/// What is left of a bot when it is done.
#[derive(Debug)]
pub(crate) struct Played {
    /// Who it was.
    pub(crate) player: PlayerId,
    /// Its books.
    pub(crate) tally: Tally,
    /// Its things, proven against a last snapshot; `None` where it did not get that far.
    pub(crate) proven: Option<Mirror>,
}

/// Why a connection is over.
enum Over {
    /// Come back soon.
    Cut,
    /// Come back after a while.
    CutFor(Duration),
    /// It left of its own will: come back after a while, or when the play is over.
    Left(Duration),
    /// A storm has swept everybody away: come back at this moment, or when the play is over.
    Swept(Instant),
    /// Never come back.
    Done,
}

type Flow = ControlFlow<Over>;

/// One bot.
pub(crate) struct Bot {
    number: usize,
    world: Arc<World>,
    phase: watch::Receiver<Phase>,
    checker: Checker,
    rng: SmallRng,
    /// Items to ask the definition of.
    curious: VecDeque<ItemId>,
    in_flight_max: usize,
    max_slots: u16,
    /// When the next action is due.
    due: Instant,
    /// Refused for coming too fast: wait until then.
    paused_until: Instant,
    /// The same for gifts, which have a stricter limit.
    no_gifts_until: Instant,
    /// The same for invites.
    no_invites_until: Instant,
    /// The same for holds in the shop.
    no_holds_until: Instant,
    /// The same for questions after the whole inventory.
    no_resync_until: Instant,
    /// The same for orders at the operator's.
    no_orders_until: Instant,
    /// When anything last came, or was first waited for.
    heard_at: Instant,
    /// When this connection is cut on purpose.
    cut_at: Option<Instant>,
    /// When the next storm comes.
    storm_at: Option<Instant>,
    /// When this connection was begun.
    connecting_since: Instant,
    ears: Ears,
    asked_to_resync: bool,
    welcomed: bool,
    playing: bool,
    counted: bool,
    proven: bool,
}

impl Bot {
    /// Bot `number`, from 0; its player is `bot-<number + 1>`.
    pub(crate) fn new(number: usize, world: Arc<World>, phase: watch::Receiver<Phase>) -> Self {
        let stream = u64::try_from(number).unwrap_or_default();
        let now = Instant::now();
        Self {
            checker: Checker::new(world.player(number)),
            // One stream of choices a bot: the same seed makes the same choices whatever the others do.
            rng: SmallRng::seed_from_u64(
                world.options.seed ^ stream.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15),
            ),
            ears: Ears::new(world.options.reads_slowly(number)),
            number,
            world,
            phase,
            curious: VecDeque::new(),
            in_flight_max: 1,
            max_slots: 0,
            due: now,
            paused_until: now,
            no_gifts_until: now,
            no_invites_until: now,
            no_holds_until: now,
            no_resync_until: now,
            no_orders_until: now,
            heard_at: now,
            cut_at: None,
            storm_at: None,
            connecting_since: now,
            asked_to_resync: false,
            welcomed: false,
            playing: false,
            counted: false,
            proven: false,
        }
    }

    /// Plays until the run is over.
    pub(crate) async fn run(mut self) -> Played {
        let mut away_since = Instant::now();
        let mut backoff = Duration::from_millis(50);
        loop {
            self.connecting_since = Instant::now();
            let Options { url, subprotocol, .. } = &self.world.options;
            let over = match Socket::connect(url, *subprotocol, self.ears.room()).await {
                Ok(socket) => {
                    let over = self.converse(socket).await;
                    if self.welcomed {
                        (away_since, backoff) = (Instant::now(), Duration::from_millis(50));
                    }
                    over
                }
                Err(ConnectError::Full(_)) if away_since.elapsed() <= self.world.options.give_up => {
                    self.world.metrics.turned_away.fetch_add(1, Relaxed);
                    Over::Cut
                }
                Err(ConnectError::Full(why)) => self.give_up(self.world.options.give_up, why),
                Err(ConnectError::Never(why)) => self.give_up(Duration::ZERO, why),
                Err(ConnectError::Later(why)) if away_since.elapsed() > self.world.options.give_up => {
                    self.give_up(self.world.options.give_up, why)
                }
                Err(ConnectError::Later(_)) => Over::Cut,
            };
            let pause = match over {
                Over::Done => break,
                _ if *self.phase.borrow() == Phase::Abort => break,
                Over::Cut if away_since.elapsed() > self.world.options.give_up => {
                    self.give_up(self.world.options.give_up, "it ends every connection before the welcome".to_owned());
                    break;
                }
                Over::Cut => Duration::ZERO,
                Over::CutFor(pause) => pause,
                Over::Left(pause) => {
                    self.stay_away(Instant::now() + pause).await;
                    away_since = Instant::now();
                    Duration::ZERO
                }
                Over::Swept(until) => {
                    self.stay_away(until).await;
                    away_since = Instant::now();
                    continue;
                }
            };
            sleep(pause + backoff.mul_f64(self.rng.random_range(0.5..1.5))).await;
            backoff = (backoff * 2).min(BACKOFF_MAX);
        }
        self.end()
    }

    /// Waits until then, or until the play is over: however it ends, the bot comes back.
    async fn stay_away(&mut self, until: Instant) {
        let pause = until.saturating_duration_since(Instant::now());
        let _ = timeout(pause, self.phase.changed()).await;
    }

    fn give_up(&self, after: Duration, why: String) -> Over {
        self.world.metrics.violation(Some(self.checker.player()), &Fault::CouldNotReconnect(after, why));
        Over::Done
    }

    fn end(mut self) -> Played {
        let tally = self.checker.finish();
        self.report_faults();
        self.world.count_out(self.number, self.counted);
        let proven = if self.proven { self.checker.mirror().cloned() } else { None };
        Played { player: self.checker.player().clone(), tally, proven }
    }

    /// One connection, from hello to its end.
    async fn converse(&mut self, mut socket: Socket) -> Over {
        self.welcomed = false;
        (self.cut_at, self.storm_at) = (None, None);
        self.listen(None);
        self.heard_at = Instant::now();
        let over = match self.hello(&mut socket).await {
            Continue(()) => loop {
                if let Break(over) = self.turn(&mut socket).await {
                    break over;
                }
            },
            Break(over) => over,
        };
        self.checker.cut();
        self.report_faults();
        if self.welcomed {
            self.world.metrics.connected.fetch_sub(1, Relaxed);
        }
        if let Over::Done = over {
            socket.close().await;
        }
        over
    }

    async fn hello(&mut self, socket: &mut Socket) -> Flow {
        // Half of the returns ask for what was missed, half for everything; the last proof takes everything.
        let whole = *self.phase.borrow() == Phase::Prove || self.rng.random_bool(0.5);
        let resume = if whole { None } else { self.checker.resume() };
        let client = Some("client-sim".to_owned());
        let hello = Hello { token: self.world.options.tokens.of(self.checker.player()), resume, client };
        send(socket, &ClientMessage::Hello(hello)).await?;
        flush(socket).await
    }

    /// Acts as far as anything is due, then waits for the next thing to happen.
    async fn turn(&mut self, socket: &mut Socket) -> Flow {
        let phase = *self.phase.borrow_and_update();
        match phase {
            Phase::Play if !self.playing => self.start_playing(),
            Phase::Join | Phase::Play => {}
            Phase::Drain | Phase::Collect | Phase::Prove | Phase::Abort => self.stop_playing(),
        }
        let wake = self.act(socket, phase).await?;
        let event = tokio::select! {
            event = socket.next(), if !self.ears.are_deaf() => Some(event),
            _ = self.phase.changed() => None,
            () = wait(wake) => None,
        };
        let mut next = event;
        while let Some(event) = next {
            self.hear(socket, event).await?;
            next = socket.ready();
        }
        Continue(())
    }

    /// Spreads the bots over the first interval, so that they do not act in step.
    fn start_playing(&mut self) {
        self.playing = true;
        let spread = match self.world.options.load {
            Load::ThinkTime(pause) => pause,
            Load::Rate(per_second) => self.world.interval(per_second),
            Load::Depth(_) => Duration::ZERO,
        };
        self.due = Instant::now() + spread.mul_f64(self.rng.random());
        self.plan_faults();
    }

    /// What fell due before the end and was not sent will not be.
    fn stop_playing(&mut self) {
        if std::mem::replace(&mut self.playing, false) {
            self.skip_what_was_due(self.world.play_ended(Instant::now()));
        }
        if self.ears.are_deaf() {
            self.hear_again(None);
        }
    }

    /// At a fixed rate, what fell due until then is not made up for, but counted.
    fn skip_what_was_due(&mut self, until: Instant) {
        if let Load::Rate(per_second) = self.world.options.load {
            let interval = self.world.interval(per_second);
            while self.due < until {
                self.due += interval;
                self.world.metrics.unsent.fetch_add(1, Relaxed);
            }
        }
    }

    /// What will go wrong with a connection that is whole now.
    fn plan_faults(&mut self) {
        let now = Instant::now();
        self.cut_at = self.world.options.churn.map(|mean| now + self.a_while(mean));
        self.storm_at = self.world.next_storm(now);
        let turn_at = self.ears.are_slow().then(|| now + self.about(self.world.options.slow_pause));
        self.listen(turn_at);
    }

    /// Turns from listening to not listening, or back.
    fn turn_ears(&mut self, now: Instant) {
        let turn_at = now + self.about(self.world.options.slow_pause);
        if self.ears.are_deaf() {
            self.hear_again(Some(turn_at));
        } else {
            self.ears.shut(turn_at);
            self.world.hangs(self.number);
        }
    }

    fn hear_again(&mut self, turn_at: Option<Instant>) {
        self.listen(turn_at);
        self.heard_at = Instant::now();
    }

    fn listen(&mut self, turn_at: Option<Instant>) {
        self.ears.open(turn_at);
        self.world.reads(self.number);
    }

    /// A time of about that length: a server waits for a reader only so long, so that one much longer would be another fault.
    fn about(&mut self, length: Duration) -> Duration {
        length.mul_f64(self.rng.random_range(0.9..1.1))
    }

    /// A time that is so long on average, mostly shorter and at times much longer.
    fn a_while(&mut self, mean: Duration) -> Duration {
        let chance: f64 = self.rng.random_range(0.001..1.0);
        mean.mul_f64(-chance.ln())
    }

    /// Does what is due. Returns when the next thing will be.
    async fn act(&mut self, socket: &mut Socket, phase: Phase) -> ControlFlow<Over, Option<Instant>> {
        let now = Instant::now();
        let playing = phase == Phase::Play;
        if playing && self.ears.turn_at().is_some_and(|at| at <= now) {
            self.turn_ears(now);
        }
        let waiting = (self.checker.unanswered() > 0 || !self.checker.is_live()) && !self.ears.are_deaf();
        let patience = waiting.then(|| self.heard_at + self.world.options.patience);
        if patience.is_some_and(|until| until <= now) {
            return Break(self.lose_patience());
        }
        if playing && self.cut_at.is_some_and(|at| at <= now) {
            return Break(Over::Cut);
        }
        if let (Some(at), Some(storm)) = (self.storm_at, self.world.options.storm)
            && playing
            && at <= now
        {
            return Break(Over::Swept(at + storm.away));
        }
        let next = if self.checker.is_live() { self.play(socket, phase, now).await? } else { None };
        let faults = [self.cut_at, self.storm_at, self.ears.turn_at()].into_iter().flatten().min();
        Continue([patience, faults.filter(|_| playing), next].into_iter().flatten().min())
    }

    fn lose_patience(&mut self) -> Over {
        let waited = self.world.options.patience;
        let fault = self.checker.oldest().map_or_else(
            || Fault::Protocol("no welcome and no snapshot came".to_owned()),
            |seq| Fault::NoReply { seq, waited },
        );
        self.world.metrics.violation(Some(self.checker.player()), &fault);
        Over::Cut
    }

    fn report_faults(&mut self) {
        for fault in self.checker.take_faults() {
            self.world.metrics.violation(Some(self.checker.player()), &fault);
        }
    }
}

async fn send(socket: &mut Socket, message: &ClientMessage) -> Flow {
    if socket.feed(message).await.is_err() { Break(Over::Cut) } else { Continue(()) }
}

async fn flush(socket: &mut Socket) -> Flow {
    if socket.flush().await.is_err() { Break(Over::Cut) } else { Continue(()) }
}

async fn wait(until: Option<Instant>) {
    match until {
        Some(until) => sleep_until(until).await,
        None => pending().await,
    }
}
