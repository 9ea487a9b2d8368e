//! A loaded player's place: the stage it is in, the player itself, and the connections that are told.

use super::{
    allowance::Allowance,
    inbox::InboxWatch,
    orders::Done,
    remembered::{Fate, Remembered},
    retention::Milestone,
    upgrade::Unrecorded,
};
use crate::{
    engine::{change::Changes, player::Player},
    ledger::entry::Asked,
    replication::{
        feed::Feed,
        outbox::{Frame, Kind, Outbox, Ready},
    },
    schema::{Form, Stamp},
    store::{GiftId, Origin, Owner, Preferences},
    telemetry::metrics::{Metrics, labels::Lock},
};
use holdall_protocol::{
    checksum::Checksum,
    close::Close,
    ids::{Incarnation, PlayerId, Revision, Seq, SessionId},
    message::{Hold, Trade},
};
use parking_lot::{Mutex, MutexGuard};
use std::{
    collections::VecDeque,
    ops::{Deref, DerefMut},
    sync::Arc,
};
use tokio::{sync::Notify, time::Instant};

/// One player's place in memory.
#[derive(Debug)]
pub struct Cell {
    /// Who.
    pub id: PlayerId,
    /// What the player may still ask for.
    pub allowance: Allowance,
    inner: Mutex<Inner>,
    /// The stage has changed, or more is durable.
    pub(super) changed: Notify,
    metrics: Arc<Metrics>,
}

/// Where a cell is on its way. Nothing is saved before `Ready`, and nothing is recorded but in it.
#[derive(Debug)]
pub enum Stage {
    /// Being read from the store.
    Loading,
    /// In the game.
    Ready(Box<Seat>),
    /// Its last record and the release are on their way; a login waits.
    Draining,
    /// Left the memory.
    Gone,
    /// Could not be loaded.
    Failed(super::LoadError),
}

/// What is behind the lock.
#[derive(Debug)]
pub struct Inner {
    /// Where the cell is.
    pub stage: Stage,
    /// The revision up to which everything is durable.
    durable: Revision,
    /// The connections, the current one last; earlier ones are on their way out.
    links: Vec<Link>,
    /// Counts joins and leaves, so that a linger that was overtaken does nothing.
    pub(super) visits: u64,
    /// When the newest connection joined.
    joined: Option<Instant>,
    /// For whom something was put into an inbox, and at which revision: they are told of it once that is durable.
    receivers: Vec<(Revision, PlayerId)>,
    /// What is known of the player's own inbox.
    pub(super) inbox: InboxWatch,
}

/// A player that is in the game.
#[derive(Debug)]
pub struct Seat {
    /// The right to write it.
    pub owner: Owner,
    /// What the load found.
    pub(super) origin: Origin,
    /// When it was loaded.
    pub(super) since: Instant,
    /// Its things.
    pub player: Player,
    /// How many records it has seen.
    pub revision: Revision,
    /// The last request number spent.
    pub seq: Seq,
    /// How its record is written.
    pub(super) form: Form,
    /// The content step it is at.
    pub(super) content: u32,
    /// What the newest record of this load said of the two.
    pub(super) stamped: Option<(Stamp, u32)>,
    /// Whether the one before it may have said otherwise.
    pub(super) restamps: bool,
    /// This load.
    pub incarnation: Incarnation,
    /// The checksum of its things.
    pub checksum: Checksum,
    /// The newest revision that must be durable before anything that shows it leaves, where replies do not wait anyway.
    pub(super) shared: Revision,
    /// Frames kept for resumes and repeats.
    pub feed: Feed,
    /// The newest requests that took effect.
    pub(super) applied: Remembered,
    /// What the player has set.
    pub(super) preferences: Preferences,
    /// The newest revision that the ledger's opening stands for; 0 where it has none.
    pub(super) opened: Revision,
    /// Whether harmless values are still to be set right: done when somebody joins, because only then it is recorded.
    pub(super) unrepaired: bool,
    /// What the load made of it, until that is recorded in the step that lets it into the game. Up to then the checksum is
    /// that of what was stored.
    pub(super) unrecorded: Option<Unrecorded>,
    /// What few have anything of.
    pub(super) rare: Rarely,
}

/// What few players have anything of.
#[derive(Debug)]
pub(super) struct Rare {
    /// Gifts that have left the inbox since the load, the newest last. The store may show one once more: before that is
    /// durable, and where it lost writes and is told of the putting again, before it is told of the taking.
    pub(super) taken: VecDeque<GiftId>,
    /// The newest orders of operators that were carried out, the newest last.
    pub(super) ordered: VecDeque<Done>,
    /// What it had at some of its revisions, the newest last.
    pub(super) milestones: Vec<Milestone>,
    /// The trades that are not over, as the player was last told of them: an open one and invites.
    pub(super) trades: Vec<Trade>,
    /// The open holds in the shop, as the player was last told of them.
    pub(super) holds: Vec<Hold>,
}

impl Rare {
    const NONE: Self = Self {
        taken: VecDeque::new(),
        ordered: VecDeque::new(),
        milestones: Vec::new(),
        trades: Vec::new(),
        holds: Vec::new(),
    };
}

/// The same, one null pointer until something is written into it.
#[derive(Debug, Default)]
pub(super) struct Rarely(Option<Box<Rare>>);

impl Deref for Rarely {
    type Target = Rare;

    fn deref(&self) -> &Rare {
        static NONE: Rare = Rare::NONE;
        self.0.as_deref().unwrap_or(&NONE)
    }
}

impl DerefMut for Rarely {
    fn deref_mut(&mut self) -> &mut Rare {
        self.0.get_or_insert_with(|| Box::new(Rare::NONE))
    }
}

/// One connection's end of a cell.
#[derive(Debug)]
pub struct Link {
    /// Which session.
    pub session: SessionId,
    /// What waits to be sent.
    pub outbox: Outbox,
    /// Wakes the session.
    wake: Arc<Notify>,
    /// Set when the session must end, after what is queued.
    closing: Option<Close>,
}

impl Cell {
    pub(super) fn loading(id: PlayerId, allowance: Allowance, metrics: Arc<Metrics>) -> Arc<Self> {
        let inner = Inner {
            stage: Stage::Loading,
            durable: Revision::ZERO,
            links: Vec::new(),
            visits: 0,
            joined: None,
            receivers: Vec::new(),
            inbox: InboxWatch::default(),
        };
        Arc::new(Self { id, allowance, inner: Mutex::new(inner), changed: Notify::new(), metrics })
    }

    /// Takes the player's lock. For microseconds; two players only through [`super::pair`].
    pub fn lock(&self) -> MutexGuard<'_, Inner> {
        self.metrics.lock_wait_seconds.lock(&Lock::Player, &self.inner)
    }
}

impl Inner {
    /// The player, when it is in the game.
    #[must_use]
    pub fn seat(&mut self) -> Option<&mut Seat> {
        match &mut self.stage {
            Stage::Ready(seat) => Some(seat),
            Stage::Loading | Stage::Draining | Stage::Gone | Stage::Failed(_) => None,
        }
    }

    /// The load has finished.
    pub(super) fn loaded(&mut self, seat: Box<Seat>) {
        assert!(matches!(self.stage, Stage::Loading), "a cell is loaded once");
        self.durable = seat.revision;
        self.stage = Stage::Ready(seat);
    }

    /// The revision up to which everything is durable.
    #[must_use]
    pub const fn durable(&self) -> Revision {
        self.durable
    }

    /// Takes note of a commit and wakes the connections.
    pub(super) fn set_durable(&mut self, revision: Revision) {
        assert!(revision >= self.durable, "what is durable stays durable");
        self.durable = revision;
        for link in &self.links {
            link.wake.notify_one();
        }
    }

    /// From this revision on, once it is durable, the receiver is told to look into the inbox.
    pub(super) fn announce(&mut self, revision: Revision, receiver: PlayerId) {
        self.receivers.push((revision, receiver));
    }

    /// Those who can be told now.
    pub(super) fn take_receivers(&mut self) -> Vec<PlayerId> {
        let durable = self.receivers.partition_point(|(revision, _)| *revision <= self.durable);
        self.receivers.drain(..durable).map(|(_, receiver)| receiver).collect()
    }

    /// Whether `session` is the one that may act.
    #[must_use]
    pub fn is_current(&self, session: SessionId) -> bool {
        self.links.last().is_some_and(|link| link.session == session && link.closing.is_none())
    }

    /// Whether any connection is left, also one on its way out.
    #[must_use]
    pub const fn has_links(&self) -> bool {
        !self.links.is_empty()
    }

    /// Adds the newest connection; the earlier ones are told to end.
    pub fn join(&mut self, session: SessionId, outbox: Outbox, wake: Arc<Notify>) {
        for link in &mut self.links {
            link.close(Close::Replaced);
        }
        self.visits = self.visits.wrapping_add(1);
        self.joined = Some(Instant::now());
        // Mostly there is one, and a vector that grows by itself would make room for four.
        self.links.reserve_exact(1);
        self.links.push(Link { session, outbox, wake, closing: None });
    }

    /// Removes a session's own connection, whoever is current.
    pub(super) fn part(&mut self, session: SessionId) {
        self.links.retain(|link| link.session != session);
        self.visits = self.visits.wrapping_add(1);
    }

    /// Whether a login elsewhere that began then is newer than every login here.
    pub(super) fn yields_to(&self, login: Instant) -> bool {
        self.joined.is_none_or(|joined| joined <= login)
    }

    /// Tells every connection to end.
    pub fn close(&mut self, why: Close) {
        for link in &mut self.links {
            link.close(why);
        }
    }

    /// Leaves the game unsaved: what is not durable is never told.
    pub(super) fn lose(&mut self, why: Close) {
        self.stage = Stage::Gone;
        let durable = self.durable;
        for link in &mut self.links {
            link.outbox.drop_undurable(durable);
            link.close(why);
        }
    }

    /// The connection that may act. One that was told to end is not it, even when no newer one is left: it hears nothing
    /// new, and may speak another subprotocol than the feed does by now.
    fn current(&mut self) -> Option<&mut Link> {
        self.links.last_mut().filter(|link| link.closing.is_none())
    }

    /// Queues a frame for the connection that may act; dropped when there is none.
    pub fn tell(&mut self, gate: Revision, kind: Kind, frame: Frame) {
        if let Some(link) = self.current() {
            link.outbox.push(gate, kind, frame);
        }
    }

    /// Queues a frame that somebody else caused, and wakes the session for it.
    pub fn push(&mut self, gate: Revision, kind: Kind, frame: Frame) {
        if let Some(link) = self.current() {
            link.outbox.push(gate, kind, frame);
            link.wake.notify_one();
        }
    }

    /// Ends a session without another word.
    pub(super) fn silence(&mut self, session: SessionId, why: Close) {
        if let Some(link) = self.links.iter_mut().find(|link| link.session == session) {
            link.outbox.clear();
            link.close(why);
        }
    }

    /// What a session may send now, as far as durability goes.
    pub(super) fn take_ready(&mut self, session: SessionId, out: &mut Vec<Frame>) -> Taken {
        let durable = self.durable;
        let Some(link) = self.links.iter_mut().find(|link| link.session == session) else {
            return Taken { ready: Ready::default(), closing: Some(Close::Reload), waiting: false, collapsed: false };
        };
        let ready = link.outbox.take_ready(durable, out);
        let collapsed = link.closing.is_none() && link.outbox.owes_snapshot();
        Taken { ready, closing: link.closing, waiting: !link.outbox.is_empty(), collapsed }
    }

    /// Gives back what the queues of a session and its player have grown to, where nothing needs it.
    pub fn rest(&mut self, session: SessionId) {
        if let Some(link) = self.links.iter_mut().find(|link| link.session == session) {
            link.outbox.shrink();
        }
        if let Some(seat) = self.seat() {
            seat.feed.shrink();
        }
    }

    /// Queues the snapshot that stands for what a session's outbox left out, if that is all that is left to send. Nothing
    /// can come between: a delta behind the one and before the other would be a gap.
    pub fn settle_collapsed(&mut self, session: SessionId, gate: Revision, snapshot: impl FnOnce() -> Frame) {
        let link = self.links.iter_mut().find(|link| link.session == session && link.closing.is_none());
        if let Some(link) = link
            && link.outbox.take_collapsed()
        {
            link.outbox.push(gate, Kind::Other, snapshot());
        }
    }

    /// Whether so much waits for the connection that may act that nothing large should be added.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.links.last().is_some_and(|link| link.outbox.is_full())
    }
}

/// What a session found in its outbox.
#[derive(Debug, Clone, Copy)]
pub struct Taken {
    /// What is among the frames.
    pub ready: Ready,
    /// Why the session must end, once nothing waits.
    pub closing: Option<Close>,
    /// Whether frames still wait for durability.
    pub waiting: bool,
    /// Whether a snapshot must be queued for what was left out.
    pub collapsed: bool,
}

impl Link {
    fn close(&mut self, why: Close) {
        // The first reason stands: a session that was replaced and then loses its player was still replaced.
        self.closing.get_or_insert(why);
        self.wake.notify_one();
    }
}

impl Seat {
    /// Whether others may give to this player.
    #[must_use]
    pub const fn takes_gifts(&self) -> bool {
        self.preferences.takes_gifts()
    }

    /// Whether others may invite this player to a trade.
    #[must_use]
    pub const fn takes_invites(&self) -> bool {
        self.preferences.takes_invites()
    }

    /// Until when the player may not sign in, in milliseconds since 1970.
    #[must_use]
    pub const fn barred_until(&self) -> Option<u64> {
        self.preferences.barred_until()
    }

    /// What becomes of the preferences with these; `None` where nothing does.
    #[must_use]
    pub fn preferring(&self, gifts: Option<bool>, invites: Option<bool>) -> Option<Preferences> {
        Some(self.preferences.with(gifts, invites)).filter(|then| *then != self.preferences)
    }

    /// What became of an earlier request.
    #[must_use]
    pub fn fate(&self, asked: Asked) -> Fate {
        self.applied.fate(asked)
    }

    /// Sets right what the load found harmlessly wrong, once. The caller records it.
    pub fn repair(&mut self, now: u64) -> Option<Changes> {
        if !std::mem::take(&mut self.unrepaired) {
            return None;
        }
        // Looked for now and not at the load: a gift may have come between.
        let changes = super::load::repairs(&self.player, now)?;
        self.player.absorb(&changes);
        Some(changes)
    }

    pub(super) fn remember(&mut self, asked: Asked) {
        self.applied.remember(asked, self.revision);
    }
}
