//! What a bot hears: each message goes to the checker, and to whoever counts or learns from it.

use super::{Bot, Flow, Over, flush, send};
use crate::{
    checker::{Fate, Heard, Reply},
    fault::Fault,
    scenario::Phase,
    socket::{Event, Socket},
    workload::unknown_items,
};
use holdall_protocol::{
    action::Action,
    close::Close,
    code::Code,
    message::{Answer, Answered, Cause, Delta, HoldState, Limits, ServerMessage, Welcome},
};
use std::{
    ops::ControlFlow::{Break, Continue},
    sync::atomic::Ordering::Relaxed,
    time::Duration,
};
use tokio::time::Instant;

impl Bot {
    pub(super) async fn hear(&mut self, socket: &mut Socket, event: Event) -> Flow {
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
        self.count(&message, was_live);
        if let Heard::Reply(reply) = self.checker.hear(&message) {
            self.reply(&reply, &message);
        }
        self.report_faults();
        if !was_live && self.checker.is_live() { self.went_live(socket).await } else { Continue(()) }
    }

    /// Counts what is no reply, or is an unusual one.
    fn count(&self, message: &ServerMessage, was_live: bool) {
        let metrics = &self.world.metrics;
        let counter = match message {
            ServerMessage::Delta(Delta { cause: Cause::Inbox { .. }, .. }) => &metrics.delivered,
            ServerMessage::Hold(hold) if hold.state == HoldState::Expired => &metrics.expired,
            ServerMessage::Snapshot(_) if was_live => &metrics.collapsed,
            ServerMessage::Applied(applied) if applied.collapsed => &metrics.collapsed_replies,
            _ => return,
        };
        counter.fetch_add(1, Relaxed);
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
        self.world.metrics.login(self.number, self.connecting_since.elapsed());
        if self.playing && *self.phase.borrow() == Phase::Play {
            self.skip_what_was_due(Instant::now());
        }
        self.plan_faults();
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
        // How long a reply waits for somebody who does not read is not the server's doing.
        let latency = self.world.latency(reply.stamp).filter(|_| !self.ears.are_slow());
        self.world.metrics.reply(self.number, latency, refused);
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
            Close::Full => drop(self.world.metrics.turned_away.fetch_add(1, Relaxed)),
            Close::Slow => drop(self.world.metrics.closed_slow.fetch_add(1, Relaxed)),
            _ => {}
        }
        match close {
            Close::RateLimited | Close::Full => Over::CutFor(Duration::from_secs(2)),
            _ => Over::Cut,
        }
    }
}
