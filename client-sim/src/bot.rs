//! One player: connects, plays its workload, comes back after every cut, and lets the checker judge what it hears.
//!
//! Spawned by `scenario`, one task a bot. Decides nothing about right and wrong.

use crate::{
    busy::Busy,
    checker::{Checker, Fate, Heard, Reply},
    conservation::Tally,
    fault::Fault,
    model::Mirror,
    scenario::{Load, Phase, World},
    socket::{ConnectError, Event, Socket},
    workload::{Choice, View, unknown_items},
};
use holdall_protocol::{
    action::{Action, Gift, Item, Resync, TradeCancel},
    close::Close,
    code::Code,
    ids::{ItemId, PlayerId},
    message::{Answer, Answered, Cause, ClientMessage, Delta, Hello, HoldState, Limits, ServerMessage, Welcome},
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
    /// When anything last came, or was first waited for.
    heard_at: Instant,
    /// When this connection is cut on purpose.
    cut_at: Option<Instant>,
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
            heard_at: now,
            cut_at: None,
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
            let over = match Socket::connect(&self.world.options.url, self.world.options.subprotocol).await {
                Ok(socket) => {
                    let over = self.converse(socket).await;
                    if self.welcomed {
                        (away_since, backoff) = (Instant::now(), Duration::from_millis(50));
                    }
                    over
                }
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
                    // However it ends, the bot comes back.
                    let _ = timeout(pause, self.phase.changed()).await;
                    away_since = Instant::now();
                    Duration::ZERO
                }
            };
            sleep(pause + backoff.mul_f64(self.rng.random_range(0.5..1.5))).await;
            backoff = (backoff * 2).min(BACKOFF_MAX);
        }
        self.end()
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
        self.cut_at = None;
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
        let hello = Hello { token: format!("dev:{}", self.checker.player()), resume, client };
        send(socket, &ClientMessage::Hello(hello)).await?;
        flush(socket).await
    }

    /// Acts as far as anything is due, then waits for the next thing to happen.
    async fn turn(&mut self, socket: &mut Socket) -> Flow {
        let phase = *self.phase.borrow_and_update();
        if phase == Phase::Play && !self.playing {
            self.start_playing();
        }
        let wake = self.act(socket, phase).await?;
        let event = tokio::select! {
            event = socket.next() => Some(event),
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
        self.cut_later();
    }

    fn cut_later(&mut self) {
        self.cut_at = self.world.options.churn.map(|mean| Instant::now() + self.a_while(mean));
    }

    /// A time that is so long on average, mostly shorter and at times much longer.
    fn a_while(&mut self, mean: Duration) -> Duration {
        let chance: f64 = self.rng.random_range(0.001..1.0);
        mean.mul_f64(-chance.ln())
    }

    /// Does what is due. Returns when the next thing will be.
    async fn act(&mut self, socket: &mut Socket, phase: Phase) -> ControlFlow<Over, Option<Instant>> {
        let now = Instant::now();
        let waiting = self.checker.unanswered() > 0 || !self.checker.is_live();
        let patience = waiting.then(|| self.heard_at + self.world.options.patience);
        if patience.is_some_and(|until| until <= now) {
            return Break(self.lose_patience());
        }
        if self.cut_at.is_some_and(|at| at <= now) && phase == Phase::Play {
            return Break(Over::Cut);
        }
        let next = if self.checker.is_live() { self.play(socket, phase, now).await? } else { None };
        let cut = self.cut_at.filter(|_| phase == Phase::Play);
        Continue([patience, cut, next].into_iter().flatten().min())
    }

    /// Sends what may be sent in this phase. Returns when there will be more.
    async fn play(&mut self, socket: &mut Socket, phase: Phase, now: Instant) -> ControlFlow<Over, Option<Instant>> {
        if self.checker.wants_resync() && !self.asked_to_resync && self.no_resync_until <= now {
            self.resync(socket).await?;
        }
        let next = match phase {
            Phase::Join => self.ask_curious(socket, now).await?,
            Phase::Play => self.ask_what_is_due(socket, now).await?,
            Phase::Drain => self.wind_up(socket, now).await?,
            Phase::Collect => self.take_in(socket, now).await?,
            Phase::Prove if self.proven => return Break(Over::Done),
            Phase::Prove if !self.asked_to_resync && self.no_resync_until > now => Some(self.no_resync_until),
            Phase::Prove if !self.asked_to_resync => {
                self.resync(socket).await?;
                None
            }
            Phase::Prove => None,
            Phase::Abort => return Break(Over::Done),
        };
        flush(socket).await?;
        let repair = self.checker.wants_resync().then_some(self.no_resync_until).filter(|until| *until > now);
        Continue([next, repair].into_iter().flatten().min())
    }

    /// Ends its trades. A bot that has nothing under way any more has drained.
    async fn wind_up(&mut self, socket: &mut Socket, now: Instant) -> ControlFlow<Over, Option<Instant>> {
        if self.checker.unanswered() > 0 || self.checker.wants_resync() {
            return Continue(None);
        }
        let Some(trade) = self.checker.trades().iter().next().map(|trade| trade.trade) else {
            self.world.drained(self.number);
            return Continue(None);
        };
        if self.paused_until > now {
            return Continue(Some(self.paused_until));
        }
        self.ask(socket, Action::TradeCancel(TradeCancel { trade }), now).await?;
        Continue(None)
    }

    /// Makes room for what waits in its inbox, and shows its books.
    async fn take_in(&mut self, socket: &mut Socket, now: Instant) -> ControlFlow<Over, Option<Instant>> {
        let Some(books) = self.checker.books() else { return Continue(None) };
        self.world.show_books(self.number, books);
        if self.paused_until > now {
            return Continue(Some(self.paused_until));
        }
        let room = self.look(|view, rng| view.make_room(rng));
        if let Some(action) = room {
            self.ask(socket, action, now).await?;
        }
        Continue(None)
    }

    async fn ask_curious(&mut self, socket: &mut Socket, now: Instant) -> ControlFlow<Over, Option<Instant>> {
        if self.checker.unanswered() > 0 || self.curious.is_empty() {
            return Continue(None);
        }
        if self.paused_until > now {
            return Continue(Some(self.paused_until));
        }
        if let Some(item) = self.curious.pop_front() {
            self.ask(socket, Action::Item(Item { item }), now).await?;
        }
        Continue(None)
    }

    async fn ask_what_is_due(&mut self, socket: &mut Socket, now: Instant) -> ControlFlow<Over, Option<Instant>> {
        let load = self.world.options.load;
        let room = match load {
            Load::ThinkTime(_) => 1,
            Load::Rate(_) => self.in_flight_max,
            Load::Depth(depth) => depth.min(self.in_flight_max),
        };
        while self.checker.unanswered() < room {
            let at = self.due.max(self.paused_until);
            if at > now {
                return Continue(Some(at));
            }
            let (action, cut) = match self.choose() {
                None => return Continue(None),
                Some(Choice::Ask(action)) => (action, false),
                Some(Choice::Cut(Some(action))) => (action, true),
                Some(Choice::Cut(None)) => return Break(Over::Cut),
                Some(Choice::Leave) => return Break(Over::Left(self.a_while(self.world.options.away))),
            };
            // At a fixed rate a request is late from when it was due, not from when there was room for it.
            let since = if let Load::Rate(_) = load { self.due } else { now };
            self.due = match load {
                Load::ThinkTime(pause) => now + pause,
                Load::Rate(per_second) => self.due + self.world.interval(per_second),
                Load::Depth(_) => now,
            };
            self.ask(socket, action, since).await?;
            if cut {
                flush(socket).await?;
                return Break(Over::Cut);
            }
        }
        Continue(None)
    }

    fn choose(&mut self) -> Option<Choice> {
        if self.world.options.mix.is_idle() {
            return None;
        }
        if let Some(item) = self.curious.pop_front() {
            return Some(Choice::Ask(Action::Item(Item { item })));
        }
        let world = Arc::clone(&self.world);
        self.look(|view, rng| world.workload.choose(view, rng))
    }

    /// Chooses something by what it sees.
    fn look<T>(&mut self, choose: impl FnOnce(View<'_>, &mut SmallRng) -> Option<T>) -> Option<T> {
        let now = Instant::now();
        let friend = self.world.friend(self.number, &mut self.rng);
        let busy = Busy::with(self.checker.asked());
        let view = View {
            own: self.checker.player(),
            mirror: self.checker.mirror()?,
            trades: self.checker.trades(),
            shop: self.checker.shop(),
            goods: &self.world.goods,
            catalogue: &self.world.catalogue,
            busy: &busy,
            max_slots: self.max_slots,
            friend: friend.as_ref(),
            may_give: self.no_gifts_until <= now,
            may_invite: self.no_invites_until <= now,
            may_hold: self.no_holds_until <= now,
            may_resync: !self.asked_to_resync && self.no_resync_until <= now,
        };
        choose(view, &mut self.rng)
    }

    async fn resync(&mut self, socket: &mut Socket) -> Flow {
        self.asked_to_resync = true;
        self.ask(socket, Action::Resync(Resync {}), Instant::now()).await
    }

    async fn ask(&mut self, socket: &mut Socket, action: Action, since: Instant) -> Flow {
        if self.checker.unanswered() == 0 {
            self.heard_at = Instant::now();
        }
        if let Action::Gift(Gift { to, .. }) = &action {
            self.world.announce_gift(to);
        }
        let Some(message) = self.checker.ask(action, self.world.stamp(since)) else { return Continue(()) };
        self.world.metrics.requests.fetch_add(1, Relaxed);
        send(socket, &message).await
    }

    async fn hear(&mut self, socket: &mut Socket, event: Event) -> Flow {
        self.heard_at = Instant::now();
        let message = match event {
            Event::Message(message) => message,
            Event::Malformed(why) => {
                self.world.metrics.violation(Some(self.checker.player()), &Fault::Protocol(why));
                return Break(Over::Cut);
            }
            Event::Closed(close) => return Break(self.closed(close)),
            Event::Cut => return Break(Over::Cut),
        };
        self.checker.announce_gifts(self.world.gifts_to(self.number));
        let was_live = self.checker.is_live();
        if let ServerMessage::Welcome(welcome) = &*message {
            self.welcome(welcome);
        }
        if let ServerMessage::Reloaded(reloaded) = &*message {
            self.world.catalogue.renew(reloaded.catalog.version);
            self.world.goods.unclaim();
            self.take_limits(&reloaded.limits);
        }
        if let ServerMessage::Delta(Delta { cause: Cause::Inbox { .. }, .. }) = &*message {
            self.world.metrics.delivered.fetch_add(1, Relaxed);
        }
        if let ServerMessage::Hold(hold) = &*message
            && hold.state == HoldState::Expired
        {
            self.world.metrics.expired.fetch_add(1, Relaxed);
        }
        if let Heard::Reply(reply) = self.checker.hear(&message) {
            self.reply(&reply, &message);
        }
        self.report_faults();
        if !was_live && self.checker.is_live() { self.went_live(socket).await } else { Continue(()) }
    }

    fn welcome(&mut self, welcome: &Welcome) {
        let metrics = &self.world.metrics;
        metrics.connected.fetch_add(1, Relaxed);
        if self.counted {
            metrics.reconnects.fetch_add(1, Relaxed);
        }
        if welcome.resumed {
            metrics.resumes.fetch_add(1, Relaxed);
        }
        self.welcomed = true;
        self.take_limits(&welcome.limits);
    }

    fn take_limits(&mut self, limits: &Limits) {
        self.in_flight_max = usize::try_from(limits.in_flight_max).unwrap_or(1).max(1);
        self.max_slots = limits.max_slots;
    }

    /// The mirror is whole: asks again what was not answered, and looks around.
    async fn went_live(&mut self, socket: &mut Socket) -> Flow {
        for message in self.checker.ask_again() {
            self.world.metrics.asked_again.fetch_add(1, Relaxed);
            send(socket, &message).await?;
        }
        let now = Instant::now();
        if let Load::Rate(per_second) = self.world.options.load {
            let interval = self.world.interval(per_second);
            if self.playing {
                // What was due while there was no connection is not made up for in one burst.
                while self.due < now {
                    self.due += interval;
                    self.world.metrics.unsent.fetch_add(1, Relaxed);
                }
            }
        }
        self.cut_later();
        if let Some(mirror) = self.checker.mirror().filter(|_| !self.world.options.mix.is_idle()) {
            self.curious.extend(unknown_items(mirror, &self.world.catalogue));
            self.curious.extend(self.world.catalogue.claim_first());
        }
        if !self.counted {
            self.counted = true;
            self.world.joined(self.number);
        }
        flush(socket).await
    }

    fn reply(&mut self, reply: &Reply, message: &ServerMessage) {
        let refused = match reply.fate {
            Fate::Refused { code, .. } => Some(code),
            Fate::Duplicate { .. } => Some(Code::Duplicate),
            Fate::Applied | Fate::Answered => None,
        };
        self.world.metrics.reply(self.number, self.world.latency(reply.stamp), refused);
        self.world.metrics.handed_over(&reply.action, reply.fate);
        if let Fate::Refused { code: Code::RateLimited, retry_after_ms } = reply.fate {
            let until = Instant::now() + Duration::from_millis(retry_after_ms.unwrap_or(100));
            match &reply.action {
                Action::Gift(_) => self.no_gifts_until = until,
                Action::TradeInvite(_) => self.no_invites_until = until,
                Action::ShopHold(_) => self.no_holds_until = until,
                Action::Resync(_) => self.no_resync_until = until,
                _ => self.paused_until = until,
            }
        }
        match (&reply.action, reply.fate, message) {
            (Action::Item(asked), _, ServerMessage::Answer(Answer { answer: Answered::Item(found), .. })) => {
                self.world.catalogue.learn(&asked.item, found.definition.as_ref());
            }
            (Action::Item(asked), _, _) => {
                self.world.catalogue.unclaim(&asked.item);
                if self.world.catalogue.claim(&asked.item) {
                    self.curious.push_back(asked.item.clone());
                }
            }
            (Action::ShopList(_), _, ServerMessage::Answer(Answer { answer: Answered::Shop(entries), .. })) => {
                self.world.goods.learn(entries);
            }
            (Action::ShopList(_), _, _) => self.world.goods.unclaim(),
            (Action::DevGrant(_), Fate::Refused { code: Code::UnknownAction, .. }, _) => {
                self.world.catalogue.no_grants();
            }
            (Action::Resync(_), fate, _) => {
                self.asked_to_resync = false;
                self.world.metrics.resyncs.fetch_add(1, Relaxed);
                self.proven = *self.phase.borrow() == Phase::Prove
                    && fate == Fate::Answered
                    && !self.checker.wants_resync()
                    && self.checker.unanswered() == 0;
            }
            _ => {}
        }
    }

    fn closed(&self, close: Close) -> Over {
        if !close.reconnect() {
            self.world.metrics.violation(Some(self.checker.player()), &Fault::Closed(close));
            return Over::Done;
        }
        match close {
            Close::RateLimited | Close::Full => Over::CutFor(Duration::from_secs(2)),
            _ => Over::Cut,
        }
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
