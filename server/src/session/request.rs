//! One request, from its number to its reply. Synchronous: all of it happens under one hold of the player's lock.
//!
//! A fixed order: is this session the current one → was it asked before (answered here, refused by nothing that follows) →
//! the limiter → room in the journal → the rules → the record → the reply. Every path ends in exactly one reply, but that
//! which must ask the store first (`inquiry`): it ends in a question, and in one reply when the request is judged again.

use super::{
    Sessions,
    dedupe::{self, Standing},
    inquiry::{Inquiry, Known},
    shop::Visit,
    trade::{Asking, Step},
};
use crate::{
    engine::{self, change::Changes, moment::Moment, offer::Line, refusal::Refusal},
    ledger::entry::{Actor, Asked, Reason},
    market::{
        Party,
        gift::{self, GiftRefused},
    },
    replication::{
        delta,
        outbox::{Frame, Kind},
        snapshot,
    },
    roster::{
        cell::{Cell, Inner},
        inbox::Unwelcome,
        pair,
        record::{Effects, Half, Note},
    },
    telemetry::metrics::labels::{Hurried, Reply, Resync},
};
use holdall_protocol::{
    action::{self, Action, Quantity, Request},
    close::Close,
    code::Code,
    ids::SessionId,
    message::{Answer, Answered, Applied, Cause, Duplicate, ItemAnswer, Nothing, Refused, ServerMessage, Stats},
};
use std::{
    num::{NonZeroU32, NonZeroU64},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

/// What became of a request, as far as the session's loop cares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// This reply is queued.
    Replied(Reply),
    /// Its reply is queued: it was one too many.
    Excess,
    /// The session is no longer the current one: nothing happened and nothing is said.
    Ignored,
    /// Nothing happened yet: the store must be asked, and the request judged again with its answer.
    Asks(Inquiry),
}

/// A refusal on its way to the client.
pub(super) struct No {
    code: Code,
    message: String,
    retry_after: Option<Duration>,
}

/// Why a request was not done.
pub(super) enum Stop {
    No(No),
    Ask(Inquiry),
}

impl<N: Into<No>> From<N> for Stop {
    fn from(no: N) -> Self {
        Self::No(no.into())
    }
}

/// One request in front of its judge.
#[derive(Clone, Copy)]
pub(super) struct Case<'a> {
    action: &'a action::Asked,
    pub(super) asked: Asked,
    /// What the store answered, where the request is judged again.
    pub(super) known: Option<&'a Known>,
}

impl No {
    pub(super) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), retry_after: None }
    }

    /// Another try may succeed after so long.
    pub(super) fn after(self, wait: Duration) -> Self {
        Self { retry_after: Some(wait), ..self }
    }
}

impl No {
    pub(super) fn store_away() -> Self {
        Self::new(Code::StoreUnavailable, "the store is away; nothing was applied").after(Duration::from_secs(1))
    }

    pub(super) fn fault() -> Self {
        Self::new(Code::InternalError, "a fault in the server; nothing was applied")
    }
}

impl From<Refusal> for No {
    fn from(refusal: Refusal) -> Self {
        Self::new(refusal.code(), refusal.to_string())
    }
}

impl From<GiftRefused> for No {
    fn from(refused: GiftRefused) -> Self {
        match refused {
            GiftRefused::Rules(refusal) => refusal.into(),
            GiftRefused::Unwelcome(Unwelcome::StoreAway) => Self::store_away(),
            GiftRefused::Unwelcome(unwelcome) => Self::new(unwelcome.code(), unwelcome.to_string()),
        }
    }
}

/// What a request comes to.
enum Do {
    Change(engine::action::Action, Reason),
    Ask(Question),
    Set(action::Settings),
}

enum Question {
    Resync,
    Count(holdall_protocol::ids::ItemId),
    Item(holdall_protocol::ids::ItemId),
    Stats,
}

impl Sessions {
    /// Serves one request of a session.
    pub fn request(&self, cell: &Arc<Cell>, session: SessionId, request: &Request) -> Heard {
        self.counted(request, self.judge(cell, session, request, None))
    }

    /// Judges a request again that has asked the store.
    pub fn request_again(&self, cell: &Arc<Cell>, session: SessionId, request: &Request, known: &Known) -> Heard {
        self.counted(request, self.judge(cell, session, request, Some(known)))
    }

    /// Counts what became of a request.
    fn counted(&self, request: &Request, heard: Heard) -> Heard {
        let metrics = &self.roster.metrics;
        match &heard {
            Heard::Replied(reply) => metrics.actions.inc(&request.action, reply),
            Heard::Excess => {
                metrics.actions.inc(&request.action, &Reply::Refused(Code::RateLimited));
                metrics.rate_limited.inc(&Hurried::Request);
            }
            Heard::Ignored | Heard::Asks(_) => {}
        }
        heard
    }

    fn judge(&self, cell: &Arc<Cell>, session: SessionId, request: &Request, known: Option<&Known>) -> Heard {
        let mut scratch = Vec::with_capacity(128);
        let asked = Asked { seq: request.seq, hash: request.action.hash(&mut scratch) };
        let case = Case { action: &request.action, asked, known };
        if let action::Asked::Known(Action::Gift(gift)) = &request.action
            && let Some(receiver) = self.roster.find(&gift.to)
            && receiver.id != cell.id
        {
            let (mut own, mut other) = pair::lock(cell, &receiver);
            return match self.enter(cell, &mut own, session, case) {
                Ok(()) => {
                    let here = gift::is_here(&mut other).then_some((&receiver, &mut *other));
                    let given = self.give(cell, &mut own, here, (gift, case));
                    self.finish(&mut own, asked, given)
                }
                Err(heard) => heard,
            };
        }
        if let action::Asked::Known(action) = &request.action
            && let Some(step) = Step::of(action)
        {
            return self.trade(cell, &Asking { session, step, case });
        }
        let mut own = cell.lock();
        match self.enter(cell, &mut own, session, case) {
            Ok(()) => {
                let performed = self.perform(cell, &mut own, case);
                self.finish(&mut own, asked, performed)
            }
            Err(heard) => heard,
        }
    }

    pub(super) fn finish(&self, own: &mut Inner, asked: Asked, done: Result<(), Stop>) -> Heard {
        match done {
            Ok(()) => Heard::Replied(Reply::Done),
            Err(Stop::No(no)) => self.refuse(own, asked, no),
            Err(Stop::Ask(inquiry)) => {
                // Not spent before it is judged with the answer: if its session ends meanwhile, whoever comes back asks for
                // the same again, and is not told that it was in vain while the store carries it out.
                if let Some(seat) = own.seat() {
                    seat.seq = asked.seq.before();
                }
                Heard::Asks(inquiry)
            }
        }
    }

    /// The same for one that may be judged again: then it was admitted before, and its session has started nothing since.
    pub(super) fn enter(&self, cell: &Cell, own: &mut Inner, session: SessionId, case: Case<'_>) -> Result<(), Heard> {
        match case.known {
            None => self.admit(cell, own, session, case.asked),
            Some(_) => {
                self.may_act(own, session)?;
                if let Some(seat) = own.seat() {
                    seat.seq = case.asked.seq;
                }
                Ok(())
            }
        }
    }

    /// Whether a session may act now.
    fn may_act(&self, own: &mut Inner, session: SessionId) -> Result<(), Heard> {
        if !own.is_current(session) {
            return Err(Heard::Ignored);
        }
        if !self.roster.lease.is_held() {
            // Whatever was said now, of memory that somebody else may have taken over, could be stale.
            own.close(Close::StoreUnavailable);
            return Err(Heard::Ignored);
        }
        if own.seat().is_some() { Ok(()) } else { Err(Heard::Ignored) }
    }

    /// Whether a request is to be judged at all; if not, it has been answered. From here on its number is spent, unless the
    /// judgement ends in a question.
    fn admit(&self, cell: &Cell, own: &mut Inner, session: SessionId, asked: Asked) -> Result<(), Heard> {
        self.may_act(own, session)?;
        let Some(seat) = own.seat() else { return Err(Heard::Ignored) };
        match dedupe::standing(seat, asked) {
            Standing::New => {}
            Standing::Kept { revision, frame } => {
                let gate = self.roster.gate(seat).min(revision);
                own.tell(gate, Kind::Reply, Frame::Encoded(frame));
                return Err(Heard::Replied(Reply::Repeated));
            }
            Standing::Duplicate(duplicate) => {
                let message = "this request was answered before; look at `duplicate` for what became of it";
                self.answer_no(own, asked, No::new(Code::Duplicate, message), Some(duplicate));
                return Err(Heard::Replied(Reply::Refused(Code::Duplicate)));
            }
            Standing::Refused(code, message) => {
                self.answer_no(own, asked, No::new(code, message), None);
                return Err(Heard::Replied(Reply::Refused(code)));
            }
        }
        seat.seq = asked.seq;
        if let Err(wait) = cell.allowance.action() {
            self.refuse(own, asked, No::new(Code::RateLimited, "too many requests").after(wait));
            return Err(Heard::Excess);
        }
        Ok(())
    }

    /// Gives to somebody else: straight into the hands of who is here, else into the inbox, once the store has said what is
    /// at the door.
    fn give(
        &self,
        cell: &Arc<Cell>,
        own: &mut Inner,
        mut here: Option<(&Arc<Cell>, &mut Inner)>,
        (gift, case): (&action::Gift, Case<'_>),
    ) -> Result<(), Stop> {
        if case.known.is_none() {
            cell.allowance.gift().map_err(|wait| No::new(Code::RateLimited, "too many gifts").after(wait))?;
        }
        self.room()?;
        let items = lines(&gift.items)?;
        let door = match (&here, case.known) {
            (None, None | Some(Known::Stocks(_) | Known::Hold(_) | Known::Claim(_))) => {
                return Err(Stop::Ask(Inquiry::Door(gift.to.clone())));
            }
            (Some(_), _) => None,
            (None, Some(Known::Door(door))) => Some(door),
        };
        let giving = AssertUnwindSafe(|| {
            let giver = Party { cell, inner: own };
            match (&mut here, door) {
                (Some((receiver, other)), _) => {
                    let receiver = Party { cell: receiver, inner: other };
                    gift::give(&self.roster, giver, receiver, &items, case.asked)
                }
                (None, Some(door)) => gift::leave(&self.roster, giver, (&gift.to, door), &items, case.asked),
                (None, None) => unreachable!("then the store is asked first"),
            }
        });
        match catch_unwind(giving) {
            Ok(given) => {
                given?;
                self.roster.look_again(cell, own);
                Ok(())
            }
            Err(_) => {
                self.roster.abandon(cell, own);
                if let Some((receiver, other)) = here {
                    self.roster.abandon(receiver, other);
                }
                Err(No::fault().into())
            }
        }
    }

    fn perform(&self, cell: &Arc<Cell>, own: &mut Inner, case: Case<'_>) -> Result<(), Stop> {
        let unknown = || No::new(Code::UnknownAction, "no such action here");
        let action = match case.action {
            action::Asked::Known(Action::DevGrant(_)) if !self.verifier.is_development() => {
                return Err(unknown().into());
            }
            action::Asked::Known(action) => action,
            action::Asked::Unknown => return Err(unknown().into()),
        };
        if let Action::Gift(gift) = action {
            if gift.to == cell.id {
                return Err(Refusal::SamePlayer.into());
            }
            return self.give(cell, own, None, (gift, case));
        }
        if let Some(visit) = Visit::of(action) {
            return self.visit(cell, own, &visit, case);
        }
        match understand(action)? {
            Do::Ask(Question::Resync) if own.is_full() => {
                Err(No::new(Code::LimitExceeded, "read what has been sent first").into())
            }
            Do::Ask(question) => {
                self.answer(own, case.asked, &question);
                Ok(())
            }
            Do::Set(wish) => Ok(self.set(cell, own, &wish, case.asked)?),
            Do::Change(action, reason) => {
                self.change(cell, own, (&action, reason), case.asked)?;
                if matches!(reason, Reason::Use | Reason::Drop | Reason::Sell | Reason::Equip) {
                    self.roster.look_again(cell, own);
                }
                Ok(())
            }
        }
    }

    /// Sets what others may do: a record in which no thing moves.
    fn set(&self, cell: &Cell, own: &mut Inner, wish: &action::Settings, asked: Asked) -> Result<(), No> {
        self.room()?;
        let Some(seat) = own.seat() else { return Ok(()) };
        let Some(preferences) = seat.preferring(wish.gifts, wish.invites) else {
            self.nothing_to_change(own, asked, 0);
            return Ok(());
        };
        let note = Note { actor: Actor::Player(cell.id.clone()), reason: Reason::Settings, asked: Some(asked) };
        let effects = Effects { preferences: Some(preferences), ..Effects::default() };
        let half = Half { player: &cell.id, inner: own, changes: &Changes::default(), note };
        self.roster.record_with(half, effects, Cause::Server(Nothing {}));
        Ok(())
    }

    fn change(
        &self,
        cell: &Arc<Cell>,
        own: &mut Inner,
        (action, reason): (&engine::action::Action, Reason),
        asked: Asked,
    ) -> Result<(), No> {
        self.room()?;
        let changes = self.apply(cell, own, action)?;
        if changes.is_empty() {
            self.nothing_to_change(own, asked, changes.overflow);
        } else {
            let note = Note { actor: Actor::Player(cell.id.clone()), reason, asked: Some(asked) };
            self.roster.record(Half { player: &cell.id, inner: own, changes: &changes, note }, false);
        }
        Ok(())
    }

    /// Has the rules do an action. The caller records what it changed.
    pub(super) fn apply(
        &self,
        cell: &Arc<Cell>,
        own: &mut Inner,
        action: &engine::action::Action,
    ) -> Result<Changes, No> {
        let rules = self.roster.rules();
        let mut dice = self.roster.dice.clone();
        let mut moment = Moment::new(self.roster.clock.now_ms(), &mut dice);
        let mut changes = Changes::default();
        let seat = own.seat().expect("admitted under this lock");
        let applied = catch_unwind(AssertUnwindSafe(|| {
            engine::apply(&mut seat.player, action, &rules, &mut moment, &mut changes)
        }));
        match applied {
            Ok(applied) => applied?,
            Err(_) => {
                tracing::error!(player = %cell.id, ?action, "a rule panicked; the player is dropped and loaded anew");
                self.roster.abandon(cell, own);
                return Err(No::fault());
            }
        }
        Ok(changes)
    }

    pub(super) fn room(&self) -> Result<(), No> {
        if self.roster.journal.has_room() {
            return Ok(());
        }
        Err(No::store_away())
    }

    /// A request that was fine and changed nothing: no record, no revision.
    fn nothing_to_change(&self, own: &mut Inner, asked: Asked, overflow: u64) {
        let Some(seat) = own.seat() else { return };
        let message = ServerMessage::Applied(Applied {
            seq: asked.seq,
            revision: seat.revision,
            changes: Vec::new(),
            checksum: seat.checksum.get(),
            overflow: (overflow > 0).then_some(overflow),
            hold: None,
            collapsed: false,
        });
        self.reply(own, asked, &message);
    }

    fn answer(&self, own: &mut Inner, asked: Asked, question: &Question) {
        let Some(seat) = own.seat() else { return };
        let rules = self.roster.rules();
        let answer = match question {
            Question::Resync => {
                self.roster.metrics.resyncs.inc(&Resync::Asked);
                Answered::Snapshot(snapshot::of(&seat.player, seat.revision, seat.checksum, &rules))
            }
            Question::Count(item) => Answered::Count(seat.player.count(item, &rules)),
            Question::Item(item) => Answered::Item(Box::new(ItemAnswer {
                definition: rules.catalog.get(item).map(|definition| definition.wire.clone()),
                places: seat
                    .player
                    .find(item, &rules)
                    .iter()
                    .map(|(place, content)| delta::filled(place, content))
                    .collect(),
            })),
            Question::Stats => {
                let stats = seat.player.stats(&rules);
                Answered::Stats(Stats {
                    used_slots: stats.used_slots,
                    max_slots: stats.max_slots,
                    weight: stats.weight,
                    max_weight: stats.max_weight,
                    item_count: stats.item_count,
                    total_value: stats.total_value,
                })
            }
        };
        let message = ServerMessage::Answer(Answer { seq: asked.seq, revision: seat.revision, answer });
        let gate = self.roster.gate(seat);
        own.tell(gate, Kind::Reply, Frame::Message(Box::new(message)));
    }

    /// Refuses a request whose number is spent: the answer is kept.
    fn refuse(&self, own: &mut Inner, asked: Asked, no: No) -> Heard {
        let reply = Reply::Refused(no.code);
        if let Some(message) = refused(own, asked, no, None) {
            self.reply(own, asked, &message);
        }
        Heard::Replied(reply)
    }

    /// Refuses a request whose number is not spent by it.
    fn answer_no(&self, own: &mut Inner, asked: Asked, no: No, duplicate: Option<Duplicate>) {
        let Some(message) = refused(own, asked, no, duplicate) else { return };
        let gate = own.seat().map(|seat| self.roster.gate(seat)).unwrap_or_default();
        own.tell(gate, Kind::Reply, Frame::Message(Box::new(message)));
    }

    /// Queues the answer to a request whose number is spent, and keeps it.
    pub(super) fn reply(&self, own: &mut Inner, asked: Asked, message: &ServerMessage) {
        let Some(seat) = own.seat() else { return };
        let gate = self.roster.gate(seat);
        let frame = seat.keep(message, false, Some(asked));
        own.tell(gate, Kind::Reply, Frame::Encoded(frame));
    }
}

fn refused(own: &mut Inner, asked: Asked, no: No, duplicate: Option<Duplicate>) -> Option<ServerMessage> {
    // A player that was dropped meanwhile is told by its close.
    let revision = own.seat()?.revision;
    Some(ServerMessage::Refused(Refused {
        seq: asked.seq,
        revision,
        code: no.code,
        message: no.message,
        retry_after_ms: no.retry_after.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1)),
        duplicate,
    }))
}

/// From what a client wrote to what the engine does. Quantities are checked here.
fn understand(action: &Action) -> Result<Do, Refusal> {
    use engine::action::Action as Rule;
    let change = |rule, reason| Ok(Do::Change(rule, reason));
    match action {
        Action::Move(action::Move { from, to, quantity }) => {
            let quantity = quantity.map(small).transpose()?;
            change(Rule::Move { from: *from, to: *to, quantity }, Reason::Move)
        }
        Action::Sort(action::Sort {}) => change(Rule::Sort, Reason::Sort),
        Action::Use(action::Use { target }) => change(Rule::Use { target: target.clone() }, Reason::Use),
        Action::Drop(action::Drop { target, quantity }) => {
            change(Rule::Drop { target: target.clone(), quantity: small(*quantity)? }, Reason::Drop)
        }
        Action::Equip(action::Equip { instance, slot }) => {
            change(Rule::Equip { instance: *instance, slot: slot.clone() }, Reason::Equip)
        }
        Action::Unequip(action::Unequip { slot }) => change(Rule::Unequip { slot: slot.clone() }, Reason::Unequip),
        Action::Sell(action::Sell { instance, quantity }) => {
            change(Rule::Sell { instance: *instance, quantity: small(*quantity)? }, Reason::Sell)
        }
        Action::DevGrant(action::DevGrant { item, currency, quantity, partial }) => {
            let amount = large(*quantity)?;
            let rule = match (item, currency) {
                (Some(item), None) => {
                    let partial = partial.unwrap_or(false);
                    Rule::Grant { item: item.clone(), quantity: amount, attributes: None, partial }
                }
                (None, Some(currency)) => Rule::Credit { currency: currency.clone(), amount },
                (Some(_), Some(_)) | (None, None) => return Err(Refusal::NotFound("either an item or a currency")),
            };
            change(rule, Reason::DevGrant)
        }
        Action::Gift(_)
        | Action::TradeInvite(_)
        | Action::TradeAnswer(_)
        | Action::TradeOffer(_)
        | Action::TradeAccept(_)
        | Action::TradeCancel(_) => unreachable!("what may lock two players went its own way"),
        Action::ShopList(_) | Action::ShopHold(_) | Action::ShopConfirm(_) | Action::ShopRelease(_) => {
            unreachable!("what the shop is asked went its own way")
        }
        Action::Settings(settings) => Ok(Do::Set(settings.clone())),
        Action::Resync(action::Resync {}) => Ok(Do::Ask(Question::Resync)),
        Action::Count(action::Count { item }) => Ok(Do::Ask(Question::Count(item.clone()))),
        Action::Item(action::Item { item }) => Ok(Do::Ask(Question::Item(item.clone()))),
        Action::Stats(action::Stats {}) => Ok(Do::Ask(Question::Stats)),
    }
}

/// Units of stacks, as a client wrote them.
pub(super) fn lines(items: &[action::GiftItem]) -> Result<Vec<Line>, Refusal> {
    items.iter().map(|item| Ok((item.instance, small(item.quantity)?))).collect()
}

pub(super) fn large(quantity: Quantity) -> Result<NonZeroU64, Refusal> {
    quantity.get().filter(|number| number.get() <= holdall_protocol::NUMBER_MAX).ok_or(Refusal::InvalidQuantity)
}

fn small(quantity: Quantity) -> Result<NonZeroU32, Refusal> {
    large(quantity)?.try_into().map_err(|_| Refusal::InvalidQuantity)
}
