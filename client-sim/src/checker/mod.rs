//! The checker of one player's conversation: every promise of the protocol, held against every message.
//!
//! Pure: no socket, no clock. Fed by `bot`, and by any test that has messages to judge. It keeps the mirror, the
//! requests that wait for their reply, and the player's books; it decides nothing a player would decide.
//!
//! After a cut it holds what a real client must know: what was acknowledged is still there, what was not is asked for
//! again, byte for byte where the server has spent its number, else under a new number.

mod join;
mod reply;
mod shop;
mod trades;

use crate::{
    conservation::Tally,
    expect::Intent,
    fault::Fault,
    model::{Mirror, Step},
};
use holdall_protocol::{
    action::{Action, Asked, Request},
    code::Code,
    ids::{Incarnation, PlayerId, Revision, Seq},
    message::{CatalogVersion, Cause, Change, ClientMessage, Delta, Reloaded, Resume, ServerMessage},
};
pub use shop::Shop;
use std::{
    collections::{BTreeSet, VecDeque},
    mem,
};
pub use trades::Trades;

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It took effect, or found nothing to change.
    Applied,
    /// It was a question, and was answered.
    Answered,
    /// It changed nothing.
    Refused {
        /// Why.
        code: Code,
        /// After how long another try may succeed.
        retry_after_ms: Option<u64>,
    },
    /// It was answered before a cut; what it did is known all the same.
    Duplicate {
        /// Whether it took effect, where the server can still tell.
        applied: Option<bool>,
    },
}

/// A request's end.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// What was asked.
    pub action: Action,
    /// What became of it.
    pub fate: Fate,
    /// The number that was given with it.
    pub stamp: u64,
}

/// What a message meant.
#[derive(Debug, Clone, PartialEq)]
pub enum Heard {
    /// The terminal reply to a request.
    Reply(Box<Reply>),
    /// Anything else.
    Pushed,
}

/// Where the conversation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// No welcome on this connection yet.
    Offline,
    /// Welcomed; the missed revisions up to this one come.
    CatchingUp { to: Revision },
    /// Welcomed; a snapshot of this revision comes.
    AwaitingSnapshot { of: Revision },
    /// The mirror is whole.
    Live,
}

/// A request with a number that was spent before the cut: its reply tells of then.
#[derive(Debug, Clone, Copy)]
struct AskedAgain {
    /// Where the mirror was at the cut.
    after: Revision,
    /// Where the player was at the welcome.
    upto: Revision,
    /// Whether every revision between was shown.
    resumed: bool,
}

#[derive(Debug, Clone)]
struct Pending {
    seq: Seq,
    action: Action,
    intent: Intent,
    stamp: u64,
    asked_again: Option<AskedAgain>,
}

/// One player's conversation with a server, over as many connections as it takes.
#[derive(Debug)]
pub struct Checker {
    player: PlayerId,
    stage: Stage,
    mirror: Option<Mirror>,
    /// The mirror cannot be trusted until the next snapshot.
    broken: bool,
    /// A reply told of revisions that were not shown: legal only if a snapshot follows.
    behind: Option<(Revision, Fault)>,
    incarnation: Option<Incarnation>,
    durable: bool,
    /// The catalogue in force, as it was last told.
    catalog: Option<CatalogVersion>,
    /// The books have begun: there was a first snapshot.
    began: bool,
    pending: VecDeque<Pending>,
    first_seq: Seq,
    next_seq: Seq,
    /// The highest request whose effect was acknowledged.
    acked: Seq,
    /// Revisions that replies to requests asked again have claimed since the last welcome.
    claimed: BTreeSet<Revision>,
    gifts_announced: u64,
    gifts_seen: u64,
    trades: Trades,
    shop: Shop,
    tally: Tally,
    faults: Vec<Fault>,
}

impl Checker {
    /// A player who has not been heard of yet.
    #[must_use]
    pub fn new(player: PlayerId) -> Self {
        Self {
            player,
            stage: Stage::Offline,
            mirror: None,
            broken: false,
            behind: None,
            incarnation: None,
            durable: true,
            catalog: None,
            began: false,
            pending: VecDeque::new(),
            first_seq: Seq::ZERO,
            next_seq: Seq::ZERO.next(),
            acked: Seq::ZERO,
            claimed: BTreeSet::new(),
            gifts_announced: 0,
            gifts_seen: 0,
            trades: Trades::default(),
            shop: Shop::default(),
            tally: Tally::default(),
            faults: Vec::new(),
        }
    }

    /// The player.
    #[must_use]
    pub const fn player(&self) -> &PlayerId {
        &self.player
    }

    /// The mirror, once there was a snapshot.
    #[must_use]
    pub const fn mirror(&self) -> Option<&Mirror> {
        self.mirror.as_ref()
    }

    /// Whether the mirror is whole and requests may be sent.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.stage == Stage::Live
    }

    /// Whether the mirror is broken, so that only a `resync` helps.
    #[must_use]
    pub const fn wants_resync(&self) -> bool {
        self.broken
    }

    /// Requests without a reply.
    #[must_use]
    pub fn unanswered(&self) -> usize {
        self.pending.len()
    }

    /// What was asked and has no reply yet, in order.
    pub fn asked(&self) -> impl Iterator<Item = &Action> {
        self.pending.iter().map(|pending| &pending.action)
    }

    /// Its trades that are not over, as far as it was told.
    #[must_use]
    pub const fn trades(&self) -> &Trades {
        &self.trades
    }

    /// Its open holds in the shop, as far as it was told.
    #[must_use]
    pub const fn shop(&self) -> &Shop {
        &self.shop
    }

    /// The request that has waited longest for its reply.
    #[must_use]
    pub fn oldest(&self) -> Option<Seq> {
        self.pending.front().map(|pending| pending.seq)
    }

    /// The faults found since the last call.
    pub fn take_faults(&mut self) -> Vec<Fault> {
        mem::take(&mut self.faults)
    }

    /// What to resume with, when the connection is made again.
    #[must_use]
    pub fn resume(&self) -> Option<Resume> {
        let (Some(mirror), Some(incarnation), false) = (&self.mirror, self.incarnation, self.wants_resync()) else {
            return None;
        };
        Some(Resume { incarnation, revision: mirror.revision().get() })
    }

    /// How many gifts others have sent this player in all, and what an operator was asked to give, whether it arrived or not:
    /// what a snapshot after a cut may hold beside the player's own doing.
    pub const fn announce_gifts(&mut self, sent_in_all: u64) {
        self.gifts_announced = sent_in_all;
    }

    /// Numbers a request and remembers it. `stamp` comes back with its reply. `None` while the mirror is not whole.
    pub fn ask(&mut self, action: Action, stamp: u64) -> Option<ClientMessage> {
        let mirror = self.mirror.as_ref().filter(|_| self.stage == Stage::Live)?;
        let seq = self.next_seq;
        self.next_seq = seq.next();
        let mut intent = Intent::of(&action, mirror);
        if let Action::TradeAccept(accept) = &action
            && let Some(effect) = self.trades.accept(accept)
        {
            (intent.effect, intent.known) = (effect, true);
        }
        if let Action::ShopConfirm(confirm) = &action
            && let Some(effect) = self.shop.effect(confirm.reservation)
        {
            (intent.effect, intent.known) = (effect, true);
        }
        let message = ClientMessage::request(seq, action.clone());
        self.pending.push_back(Pending { seq, action, intent, stamp, asked_again: None });
        Some(message)
    }

    /// The connection is gone.
    pub const fn cut(&mut self) {
        self.stage = Stage::Offline;
    }

    /// After a cut, once live again: everything unanswered, to be sent again in this order.
    #[must_use]
    pub fn ask_again(&self) -> Vec<ClientMessage> {
        let again = |pending: &Pending| Request { seq: pending.seq, action: Asked::Known(pending.action.clone()) };
        self.pending.iter().map(again).map(ClientMessage::Request).collect()
    }

    /// The books so far, where nothing is under way that would change them by the player's own doing.
    #[must_use]
    pub fn books(&self) -> Option<Tally> {
        let mirror = self.mirror.as_ref().filter(|_| self.is_live() && !self.broken && self.pending.is_empty())?;
        let mut books = self.tally.clone();
        books.found = mirror.totals();
        Some(books)
    }

    /// Ends the conversation: what is still suspicious now is a fault.
    pub fn finish(&mut self) -> Tally {
        self.faults.extend(self.behind.take().map(|(_, fault)| fault));
        if let Some(mirror) = &self.mirror {
            self.faults.extend(mirror.verify().err());
            self.tally.found = mirror.totals();
        }
        mem::take(&mut self.tally)
    }

    /// Judges one message.
    pub fn hear(&mut self, message: &ServerMessage) -> Heard {
        let reply = match message {
            ServerMessage::Welcome(welcome) => {
                self.welcome(welcome);
                None
            }
            ServerMessage::Snapshot(snapshot) => {
                self.snapshot(snapshot);
                None
            }
            ServerMessage::Delta(delta) => {
                self.delta(delta);
                None
            }
            ServerMessage::Trade(trade) => {
                self.trade(trade);
                None
            }
            ServerMessage::Hold(hold) => {
                self.hold_ended(hold);
                None
            }
            ServerMessage::Reloaded(reloaded) => {
                self.reloaded(reloaded);
                None
            }
            ServerMessage::Applied(applied) => self.applied(applied),
            ServerMessage::Refused(refused) => self.refused(refused),
            ServerMessage::Answer(answer) => self.answer(answer),
        };
        self.caught_up();
        reply.map_or(Heard::Pushed, |reply| Heard::Reply(Box::new(reply)))
    }

    fn fault(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    fn caught_up(&mut self) {
        if let (Stage::CatchingUp { to }, Some(mirror)) = (self.stage, &self.mirror)
            && (mirror.revision() >= to || self.broken)
        {
            self.stage = Stage::Live;
        }
    }

    /// Applies changes to the mirror, or notes why that is impossible.
    fn step(&mut self, revision: Revision, changes: &[Change], sum: u32) -> Option<Step> {
        self.faults.extend(self.behind.take().map(|(_, fault)| fault));
        if let Stage::Offline | Stage::AwaitingSnapshot { .. } = self.stage {
            self.fault(Fault::Protocol("changes before the snapshot they change".to_owned()));
            return None;
        }
        let mirror = self.mirror.as_mut().filter(|_| !self.broken)?;
        match mirror.apply(revision, changes, sum) {
            Ok(step) => Some(step),
            Err(fault) => {
                self.broken = true;
                self.fault(fault);
                None
            }
        }
    }

    fn delta(&mut self, delta: &Delta) {
        if let Cause::Gift { .. } | Cause::Inbox { returned: false, .. } = &delta.cause {
            self.gifts_seen = self.gifts_seen.saturating_add(1);
        }
        let Some(step) = self.step(delta.revision, &delta.changes, delta.checksum) else { return };
        match &delta.cause {
            Cause::Gift { .. } | Cause::Inbox { .. }
                if step.effect.is_empty() || step.effect.iter().any(|(_, units)| units < 0) =>
            {
                let what = format!("a gift brought {}", step.effect);
                self.fault(Fault::BadPush { revision: delta.revision, what });
            }
            Cause::Gift { .. } | Cause::Inbox { .. } => self.tally.received.add_all(&step.effect),
            Cause::InboxReturned { .. } if !step.effect.is_empty() => {
                let what = format!("a gift that went back changed {}", step.effect);
                self.fault(Fault::BadPush { revision: delta.revision, what });
            }
            Cause::InboxReturned { .. } => {}
            Cause::Trade { trade, .. } => self.settled(delta.revision, *trade, &step),
            Cause::Server(_) => {
                // What was ordered for the player arrives so, and was announced like a gift.
                if self.gifts_seen < self.gifts_announced {
                    self.gifts_seen += 1;
                }
                self.tally.server.add_all(&step.effect);
            }
        }
    }

    fn reloaded(&mut self, reloaded: &Reloaded) {
        if self.stage == Stage::Offline {
            self.fault(Fault::Protocol("a reload before the welcome".to_owned()));
        }
        let before = self.catalog.replace(reloaded.catalog.clone());
        if before.is_some_and(|before| before.version > reloaded.catalog.version) {
            self.fault(Fault::Protocol("the catalogue's version went back".to_owned()));
        }
        if let Some(mirror) = &mut self.mirror {
            mirror.freeze(&reloaded.frozen);
        }
    }

    /// Whether a reply that changed nothing goes with the mirror; what speaks against it is noted.
    fn at(&mut self, seq: Seq, told: Revision) -> bool {
        let Some(have) = self.mirror.as_ref().filter(|_| !self.broken).map(Mirror::revision) else { return false };
        if told < have {
            self.fault(Fault::RefusedChanged { seq, told, have });
        } else if told > have {
            self.suspect_reply(seq, told);
        }
        told == have
    }

    fn suspect_reply(&mut self, seq: Seq, told: Revision) {
        let have = self.mirror.as_ref().map(Mirror::revision).unwrap_or_default();
        self.suspect(told, Fault::RefusedChanged { seq, told, have });
    }

    /// Revisions were told of that were not shown. The first fault stays, the highest revision counts.
    fn suspect(&mut self, told: Revision, fault: Fault) {
        match &mut self.behind {
            Some((highest, _)) => *highest = (*highest).max(told),
            None => self.behind = Some((told, fault)),
        }
    }

    fn gap(&self, told: Revision) -> Fault {
        Fault::Gap { have: self.mirror.as_ref().map(Mirror::revision).unwrap_or_default(), told }
    }
}
