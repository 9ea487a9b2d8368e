//! What a bot sends: its workload while they play, its trades' ends, its questions, the last proof.

use super::{Bot, Flow, Over, flush, send};
use crate::{
    busy::Busy,
    scenario::{Load, Phase},
    socket::Socket,
    workload::{Choice, Gifts, View},
};
use holdall_protocol::action::{Action, DevGrant, Gift, Item, Resync, Stats, TradeCancel};
use rand::{Rng as _, rngs::SmallRng};
use std::{
    num::NonZeroU64,
    ops::ControlFlow::{self, Break, Continue},
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};
use tokio::time::Instant;

/// From one order of a bot to its next: what was ordered is soon there.
const ORDER_PAUSE: Duration = Duration::from_secs(1);

impl Bot {
    /// Sends what may be sent in this phase. Returns when there will be more.
    pub(super) async fn play(
        &mut self,
        socket: &mut Socket,
        phase: Phase,
        now: Instant,
    ) -> ControlFlow<Over, Option<Instant>> {
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
            // Who reads nothing has to ask without an answer.
            Load::ThinkTime(_) if self.ears.are_deaf() => self.in_flight_max,
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
        // The longest answers there are, for somebody who does not read them.
        if self.ears.are_deaf() && self.rng.random_ratio(1, 2) {
            return Some(Choice::Ask(Action::Resync(Resync {})));
        }
        let world = Arc::clone(&self.world);
        let choice = self.look(|view, rng| world.workload.choose(view, rng));
        match choice {
            Some(Choice::Ask(Action::DevGrant(grant))) if world.top_up.is_some() => {
                self.order(&grant);
                Some(Choice::Ask(Action::Stats(Stats {})))
            }
            other => other,
        }
    }

    /// Orders from the operator what it would have granted itself, one thing at a time.
    fn order(&mut self, grant: &DevGrant) {
        let item = grant.item.as_ref().or(grant.currency.as_ref());
        let quantity = grant.quantity.get().map_or(0, NonZeroU64::get);
        let now = Instant::now();
        if let Some(item) = item
            && self.no_orders_until <= now
            && self.world.order(self.number, item, quantity)
        {
            self.no_orders_until = now + ORDER_PAUSE;
        }
    }

    /// Chooses something by what it sees.
    fn look<T>(&mut self, choose: impl FnOnce(View<'_>, &mut SmallRng) -> Option<T>) -> Option<T> {
        let now = Instant::now();
        let friend = self.world.friend(self.number, &mut self.rng);
        let hanging = self.world.hanging(self.number);
        let saved = self.world.options.slow_readers > 0.0;
        let gifts = if saved { Gifts::ToWhoHangs(hanging.as_ref()) } else { Gifts::ToFriends };
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
            gifts,
            may_give: self.no_gifts_until <= now,
            may_invite: self.no_invites_until <= now,
            may_hold: self.no_holds_until <= now,
            may_resync: !self.asked_to_resync && self.no_resync_until <= now,
        };
        choose(view, &mut self.rng)
    }

    pub(super) async fn resync(&mut self, socket: &mut Socket) -> Flow {
        self.asked_to_resync = true;
        self.ask(socket, Action::Resync(Resync {}), Instant::now()).await
    }

    pub(super) async fn ask(&mut self, socket: &mut Socket, action: Action, since: Instant) -> Flow {
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
}
