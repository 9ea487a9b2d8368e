//! One simulated client: what it asks, what it is told, and what it may conclude from that.

use super::{acting::Asker, world::World};
use holdall_client_sim::{
    checker::{Shop, Trades},
    model::{Mirror, Step},
};
use holdall_protocol::{
    action::{self, Action, Asked, Request},
    close::Close,
    code::Code,
    frame::Subprotocol,
    ids::{Incarnation, PlayerId, ReservationId, Revision, Seq, SessionId, TradeId},
    message::{Answered, Applied, Cause, Delta, Hold, HoldState, Resume, ServerMessage, Trade},
};
use holdall_server::{
    replication::outbox::Frame,
    roster::cell::Cell,
    session::{Heard, Join, Known, Sessions},
    store::Node,
};
use rand::Rng;
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};
use tokio::{task::JoinHandle, time::timeout};

/// A connection.
struct Link {
    node: Node,
    sessions: Arc<Sessions>,
    cell: Arc<Cell>,
    session: SessionId,
    /// How far the player was in its welcome, once that came.
    welcomed: Option<Revision>,
    /// A newer connection of ours has numbered anew from its own welcome.
    superseded: bool,
    /// Requests sent on this connection whose replies are still to come, in order.
    expected: VecDeque<u64>,
    /// The request that waits for the store; none is sent meanwhile.
    asking: Option<(Request, JoinHandle<Known>)>,
}

impl Link {
    fn note(&mut self, request: Request, heard: Heard) {
        match heard {
            Heard::Replied(_) | Heard::Excess => self.expected.push_back(request.seq.get()),
            Heard::Ignored => {}
            Heard::Asks(inquiry) => self.asking = Some((request, tokio::spawn(self.sessions.ask(&self.cell, inquiry)))),
        }
    }

    /// Has the request judged again that asked the store, once it is answered.
    fn go_on(&mut self) {
        let Some((request, asked)) = self.asking.take_if(|(_, asked)| asked.is_finished()) else { return };
        let known = futures_util::FutureExt::now_or_never(asked).expect("it is finished");
        let known = known.expect("asking does not panic");
        let heard = self.sessions.request_again(&self.cell, self.session, &request, &known);
        self.note(request, heard);
    }
}

type Joining = JoinHandle<Option<Join>>;

/// A client.
pub(super) struct Client {
    pub(super) id: PlayerId,
    link: Option<Link>,
    joining: Option<(Node, Arc<Sessions>, Joining)>,
    /// A connection that was replaced by a newer one of ours and drains.
    older: Vec<Link>,
    mirror: Option<(Incarnation, Mirror)>,
    seq: u64,
    /// Every request ever sent under a number, by number; the latest where a number was free again.
    sent: BTreeMap<u64, Action>,
    unanswered: BTreeSet<u64>,
    /// Requests that were sent more than once: their replies may tell of then.
    repeated: BTreeSet<u64>,
    /// Acknowledged effects: number, hash of the action, revision.
    pub(super) acked: BTreeSet<(u64, u64, u64)>,
    /// Numbers that were refused, with the hash of what was asked.
    pub(super) refused: BTreeMap<u64, u64>,
    newest_seen: Revision,
    pub(super) trades: Trades,
    /// Open holds in the shop.
    pub(super) shop: Shop,
    /// The newest revision that each process has told.
    told: BTreeMap<(String, u64), Revision>,
    /// Why the last connection was closed.
    pub(super) last_close: Option<Close>,
}

/// The hold that an action would end.
const fn ends(action: &Action) -> Option<ReservationId> {
    match action {
        Action::ShopConfirm(confirm) => Some(confirm.reservation),
        Action::ShopRelease(release) => Some(release.reservation),
        _ => None,
    }
}

fn hash(action: &Action) -> u64 {
    Asked::Known(action.clone()).hash(&mut Vec::new())
}

impl Client {
    pub(super) fn new(id: PlayerId) -> Self {
        Self {
            id,
            link: None,
            joining: None,
            older: Vec::new(),
            mirror: None,
            seq: 0,
            sent: BTreeMap::new(),
            unanswered: BTreeSet::new(),
            repeated: BTreeSet::new(),
            acked: BTreeSet::new(),
            refused: BTreeMap::new(),
            newest_seen: Revision::ZERO,
            trades: Trades::default(),
            shop: Shop::default(),
            told: BTreeMap::new(),
            last_close: None,
        }
    }

    /// Where it is in the game.
    pub(super) fn place(&self) -> Option<Node> {
        self.link.as_ref().filter(|link| link.welcomed.is_some()).map(|link| link.node.clone())
    }

    pub(super) fn connect(&mut self, world: &mut World) {
        if self.link.is_none() && self.joining.is_none() {
            self.connect_somewhere(world);
        }
    }

    /// A second device.
    pub(super) fn connect_again(&mut self, world: &mut World) {
        if self.joining.is_none() {
            self.connect_somewhere(world);
        }
    }

    fn connect_somewhere(&mut self, world: &mut World) {
        let at = world.random.random_range(0..world.nodes.len());
        let node = world.nodes[at].node.clone();
        let patience = Duration::from_millis(world.random.random_range(1..3_000));
        if world.runs(&node) {
            self.connect_to(world, &node, patience);
        }
    }

    /// Logs in at this node, in good time.
    pub(super) fn move_to(&mut self, world: &mut World, node: &Node) {
        self.last_close = None;
        self.connect_to(world, node, Duration::from_secs(60));
    }

    fn connect_to(&mut self, world: &mut World, node: &Node, patience: Duration) {
        let state = world.nodes.iter().find(|state| state.node == *node).expect("it runs");
        let (sessions, switch) = (state.sessions.clone(), state.switch.clone());
        let resume = self
            .mirror
            .as_ref()
            .filter(|_| world.random.random())
            .map(|(incarnation, mirror)| Resume { incarnation: *incarnation, revision: mirror.revision().get() });
        world.trace(format!("{} connects to {} {resume:?}", self.id, node.id));
        let (joins, player) = (sessions.clone(), self.id.clone());
        let joining =
            tokio::spawn(switch.run(async move {
                timeout(patience, joins.join(&player, Subprotocol::Msgpack, resume)).await.ok()?.ok()
            }));
        self.joining = Some((node.clone(), sessions, joining));
    }

    pub(super) fn disconnect(&mut self, world: &mut World) {
        // What becomes of a connection is not noticed by a process that is stopped.
        self.older.extend(self.link.take_if(|link| world.runs(&link.node)));
        let ended: Vec<Link> = self.older.extract_if(.., |link| world.runs(&link.node)).collect();
        for link in ended {
            world.trace(format!("{} disconnects", self.id));
            link.sessions.roster().part(&link.cell, link.session);
        }
    }

    pub(super) fn server_died(&mut self, node: &Node) {
        self.link.take_if(|link| link.node == *node);
        self.older.retain(|link| link.node != *node);
        if let Some((_, _, joining)) = self.joining.take_if(|(on, _, _)| on == node) {
            joining.abort();
        }
    }

    pub(super) fn act(&mut self, world: &mut World, players: &[PlayerId], near: &[PlayerId]) {
        let Some((_, mirror)) = &self.mirror else { return };
        let asker = Asker { own: &self.id, mirror, trades: &self.trades, shop: &self.shop, players, near };
        let action = asker.choose(world.plan.repertoire, &mut world.random);
        self.send_new(world, action);
    }

    /// Whether it is in the game, at a process that would hear it.
    fn plays(&self, world: &World) -> bool {
        self.link.as_ref().is_some_and(|link| link.welcomed.is_some() && world.runs(&link.node))
    }

    /// A device that was replaced by a login on another node goes on asking there. Nobody answers: what that node knows
    /// is the past.
    pub(super) fn ask_on_an_old_device(&self, world: &mut World) {
        let Some(newest) = self.link.as_ref().filter(|link| link.welcomed.is_some()) else { return };
        for link in self.older.iter().filter(|link| link.node != newest.node) {
            let action = Asked::Known(Action::Stats(action::Stats {}));
            let request = Request { seq: Seq::new(self.seq + 1), action };
            if world.runs(&link.node)
                && link.sessions.request(&link.cell, link.session, &request) != Heard::Ignored
                && !world.shelf.is_hopeless(&self.id)
            {
                let (old, new) = (&link.node.id, &newest.node.id);
                world.violation(format!("{}: {old} still answers although {new} has the player", self.id));
            }
        }
    }

    fn send_new(&mut self, world: &mut World, action: Action) {
        if !self.plays(world) {
            return;
        }
        // Numbers may be left out.
        self.seq += if world.random.random_ratio(1, 20) { 2 } else { 1 };
        self.sent.insert(self.seq, action);
        self.send(world, self.seq);
    }

    /// Sends an earlier request again, byte for byte.
    pub(super) fn repeat(&mut self, world: &mut World) {
        if self.sent.is_empty() || !self.plays(world) {
            return;
        }
        let newest = self.sent.len().min(12);
        let back = world.random.random_range(0..newest);
        let seq = *self.sent.keys().rev().nth(back).expect("one of the newest");
        self.repeated.insert(seq);
        self.send(world, seq);
    }

    fn send(&mut self, world: &mut World, seq: u64) {
        let Some(link) = self.link.as_mut().filter(|link| link.asking.is_none()) else { return };
        let action = self.sent[&seq].clone();
        if let Action::TradeAccept(accept) = &action {
            self.trades.accept(accept);
        }
        let request = Request { seq: Seq::new(seq), action: Asked::Known(action.clone()) };
        self.unanswered.insert(seq);
        let heard = link.sessions.request(&link.cell, link.session, &request);
        world.trace(format!("{} asks {seq} {action:?}: {heard:?}", self.id));
        link.note(request, heard);
    }

    /// Takes what the server has to say.
    pub(super) fn pump(&mut self, world: &mut World) {
        self.finish_joining(world);
        let mut older = std::mem::take(&mut self.older);
        older.retain_mut(|link| !world.runs(&link.node) || self.drain(world, link));
        self.older = older;
        if let Some(mut link) = self.link.take_if(|link| world.runs(&link.node))
            && self.drain(world, &mut link)
        {
            self.link = Some(link);
        }
    }

    fn finish_joining(&mut self, world: &mut World) {
        let Some((node, sessions, joining)) = self.joining.take_if(|(_, _, joining)| joining.is_finished()) else {
            return;
        };
        let mut joining = std::pin::pin!(joining);
        let done = futures_util::FutureExt::now_or_never(joining.as_mut()).expect("it is finished");
        let Some(Join { cell, session, .. }) = done.expect("a join does not panic") else {
            world.trace(format!("{} was not let in", self.id));
            return;
        };
        self.older.extend(self.link.take().map(|link| Link { superseded: true, ..link }));
        let expected = VecDeque::new();
        self.link =
            Some(Link { node, sessions, cell, session, welcomed: None, superseded: false, expected, asking: None });
    }

    /// Reads one connection; whether it goes on.
    fn drain(&mut self, world: &mut World, link: &mut Link) -> bool {
        link.go_on();
        let mut frames = Vec::new();
        let taken = link.sessions.roster().take_ready(&link.cell, link.session, &mut frames);
        for frame in frames {
            let message = match frame {
                Frame::Message(message) => *message,
                Frame::Encoded(bytes) => Subprotocol::Msgpack.decode_server(&bytes).expect("the server's own frame"),
            };
            self.hear(world, link, message);
        }
        if let Some(why) = taken.closing
            && !taken.waiting
        {
            world.trace(format!("{} is closed: {why}", self.id));
            self.last_close = Some(why);
            link.sessions.roster().part(&link.cell, link.session);
            return false;
        }
        if taken.collapsed {
            let sessions = link.sessions.clone();
            sessions.queue_snapshot(&link.cell, link.session);
        }
        true
    }

    fn hear(&mut self, world: &mut World, link: &mut Link, message: ServerMessage) {
        world.trace(format!("{} hears {}", self.id, brief(&message)));
        match message {
            ServerMessage::Welcome(welcome) => {
                self.check(world, link, welcome.revision, "welcome");
                link.welcomed = Some(welcome.revision);
                if let Some((seq, _, _)) = self.acked.iter().next_back()
                    && *seq > welcome.seq.get()
                    && !world.shelf.is_hopeless(&self.id)
                {
                    world.violation(format!("{}: acked request {seq} is not in welcome {}", self.id, welcome.seq));
                }
                if welcome.revision < self.newest_seen && !world.shelf.is_hopeless(&self.id) {
                    let seen = self.newest_seen;
                    world.violation(format!("{}: welcomed at {} after {seen}", self.id, welcome.revision));
                }
                self.seq = welcome.seq.get();
                self.trades.welcomed(&welcome.trades);
                self.shop.begin(&welcome.holds);
                welcome.holds.iter().for_each(|hold| world.told.player(&self.id, hold));
                // What was sent above it had no effect; the numbers are free again.
                self.sent.split_off(&(self.seq + 1));
                self.unanswered.split_off(&(self.seq + 1));
                self.repeated.split_off(&(self.seq + 1));
                self.refused.split_off(&(self.seq + 1));
                if !welcome.resumed {
                    self.mirror = None;
                }
            }
            ServerMessage::Snapshot(_) if link.welcomed.is_none() => {}
            ServerMessage::Snapshot(snapshot) => {
                self.check(world, link, snapshot.revision, "snapshot");
                self.take_snapshot(world, link, &snapshot);
            }
            ServerMessage::Applied(applied) => self.applied(world, link, &applied),
            ServerMessage::Delta(delta) => {
                self.check(world, link, delta.revision, "delta");
                self.delta(world, &delta);
            }
            ServerMessage::Trade(trade) => self.see(world, link, &trade),
            ServerMessage::Hold(hold) => self.hold(world, link, &hold, false),
            ServerMessage::Reloaded(reloaded) => {
                if let Some((_, mirror)) = &mut self.mirror {
                    mirror.freeze(&reloaded.frozen);
                }
            }
            ServerMessage::Refused(refused) => {
                self.check(world, link, refused.revision, "refusal");
                let seq = refused.seq.get();
                self.replied(world, link, seq);
                if let (Code::ReservationNotActive, Some(hold)) = (refused.code, self.sent.get(&seq).and_then(ends)) {
                    self.shop.forget(hold);
                }
                match refused.code {
                    Code::Duplicate => {}
                    Code::SeqReused | Code::SeqGap if world.shelf.is_hopeless(&self.id) => {}
                    Code::SeqReused | Code::SeqGap => {
                        world.violation(format!("{}: {} for {seq}", self.id, refused.code));
                    }
                    // What an earlier connection's server refused under this number is another request by now.
                    _ if link.superseded => {}
                    _ => {
                        if let Some(action) = self.sent.get(&seq) {
                            self.refused.insert(seq, hash(action));
                        }
                    }
                }
            }
            ServerMessage::Answer(answer) => {
                self.check(world, link, answer.revision, "answer");
                let seq = answer.seq.get();
                // One that was kept tells how the trade stood then.
                let is_news = link.expected.front() == Some(&seq) && !self.repeated.contains(&seq);
                self.replied(world, link, seq);
                match &answer.answer {
                    Answered::Snapshot(snapshot) => self.take_snapshot(world, link, snapshot),
                    Answered::Trade(trade) if is_news => self.see(world, link, trade),
                    Answered::Trade(_) | Answered::Count(_) | Answered::Item(_) | Answered::Stats(_) => {}
                    Answered::Shop(_) => {}
                }
            }
        }
    }

    fn applied(&mut self, world: &mut World, link: &mut Link, applied: &Applied) {
        self.check(world, link, applied.revision, "reply");
        let seq = applied.seq.get();
        let action = self.sent.get(&seq).cloned();
        self.replied(world, link, seq);
        let step = if applied.collapsed {
            self.mirror = None;
            None
        } else {
            self.change(world, applied.revision, &applied.changes, applied.checksum)
        };
        match (&action, &step) {
            (Some(Action::TradeAccept(accept)), Some(step)) => self.settled(world, accept.trade, step),
            (Some(Action::ShopConfirm(confirm)), Some(step)) => self.paid(world, confirm.reservation, step),
            _ => {}
        }
        if let Some(hold) = &applied.hold {
            // A reply that was kept tells how it stood then.
            let is_news = link.welcomed < Some(applied.revision) && !self.repeated.contains(&seq);
            self.hold(world, link, hold, is_news);
        }
        if (!applied.changes.is_empty() || applied.collapsed || applied.hold.is_some())
            && let Some(action) = action
        {
            self.acked.insert((seq, hash(&action), applied.revision.get()));
        }
    }

    /// How a hold stands. That one is open counts only where it is news; an end is one for good.
    fn hold(&mut self, world: &mut World, link: &Link, hold: &Hold, is_news: bool) {
        world.told.player(&self.id, hold);
        if hold.state != HoldState::Active || (is_news && !link.superseded) {
            self.shop.see(hold);
        }
    }

    /// What was paid and what came is what the hold said.
    fn paid(&mut self, world: &mut World, hold: ReservationId, step: &Step) {
        world.report.bought += 1;
        if let Some(agreed) = self.shop.effect(hold)
            && agreed != step.effect
        {
            world.violation(format!("{}: hold {hold} is {agreed}, paying for it did {}", self.id, step.effect));
        }
    }

    fn delta(&mut self, world: &mut World, delta: &Delta) {
        let Some(step) = self.change(world, delta.revision, &delta.changes, delta.checksum) else { return };
        match &delta.cause {
            Cause::Trade { trade, .. } => self.settled(world, *trade, &step),
            Cause::Inbox { .. } => world.report.delivered += 1,
            Cause::Gift { .. } | Cause::InboxReturned { .. } | Cause::Server(_) => {}
        }
    }

    /// How a trade stands, as told on the newest connection; what an older one has yet to say is the past.
    fn see(&mut self, world: &mut World, link: &Link, trade: &Trade) {
        if link.superseded {
            return;
        }
        if let Some(fault) = self.trades.see(trade) {
            world.violation(format!("{}: {fault}", self.id));
        }
    }

    /// What changed hands is what was agreed to.
    fn settled(&mut self, world: &mut World, trade: TradeId, step: &Step) {
        world.report.exchanged += 1;
        if let Err(what) = self.trades.settled(trade, &step.effect) {
            world.violation(format!("{}: {what}", self.id));
        }
    }

    fn take_snapshot(&mut self, world: &mut World, link: &Link, snapshot: &holdall_protocol::message::Snapshot) {
        self.newest_seen = self.newest_seen.max(snapshot.revision);
        if let Some((_, mirror)) = &self.mirror
            && mirror.revision() == snapshot.revision
            && let Err(fault) = mirror.same_as(snapshot)
        {
            world.violation(format!("{}: the snapshot is not the mirror: {fault}", self.id));
        }
        let incarnation = link.cell.lock().seat().map(|seat| seat.incarnation);
        match Mirror::of(snapshot) {
            Ok(mirror) => self.mirror = incarnation.map(|incarnation| (incarnation, mirror)),
            Err(fault) => world.violation(format!("{}: {fault}", self.id)),
        }
    }

    /// Nothing is told that is not at rest, nothing older than what another node has told, and nothing by a node whose
    /// lease has run out.
    fn check(&mut self, world: &mut World, link: &Link, revision: Revision, what: &str) {
        if !world.shelf.is_alive(&link.node.id) {
            world.violation(format!("{}: a {what} from {}, whose lease has run out", self.id, link.node.id));
        }
        let here = (link.node.id.clone(), link.node.boot);
        let elsewhere = self.told.iter().filter(|(node, _)| **node != here).map(|(_, told)| *told).max();
        let told = self.told.entry(here).or_default();
        *told = revision.max(*told);
        if world.shelf.is_hopeless(&self.id) {
            return;
        }
        let stored = world.shelf.rows().get(&self.id).map_or(Revision::ZERO, |row| row.revision);
        let stored = world.shelf.lost_from(&self.id).map_or(stored, |lost| lost.max(stored));
        if stored < revision {
            world.violation(format!("{}: a {what} of revision {revision} while {stored} is durable", self.id));
        }
        // What an earlier connection was told before it was replaced may arrive late.
        if !link.superseded && elsewhere.is_some_and(|elsewhere| revision < elsewhere) {
            world.violation(format!("{}: a {what} of revision {revision} after {elsewhere:?} elsewhere", self.id));
        }
    }

    /// Changes the mirror; what that did, where it is news.
    fn change(
        &mut self,
        world: &mut World,
        revision: Revision,
        changes: &[holdall_protocol::message::Change],
        checksum: u32,
    ) -> Option<Step> {
        self.newest_seen = self.newest_seen.max(revision);
        let (_, mirror) = self.mirror.as_mut()?;
        // A kept reply, told again: its revision is behind the mirror.
        if revision <= mirror.revision() {
            return None;
        }
        let step = mirror.apply(revision, changes, checksum);
        step.map_err(|fault| world.violation(format!("{}: {fault}", self.id))).ok()
    }

    fn replied(&mut self, world: &mut World, link: &mut Link, seq: u64) {
        self.unanswered.remove(&seq);
        // Replies of earlier connections come again in a resume; those of this one come in order, once.
        match link.expected.front() {
            Some(first) if *first == seq => {
                link.expected.pop_front();
            }
            _ if link.expected.contains(&seq) => world.violation(format!("{}: reply {seq} out of order", self.id)),
            _ => {}
        }
    }

    pub(super) fn expect_all_answered(&mut self, world: &mut World) {
        if let Some(link) = &self.link
            && !link.expected.is_empty()
        {
            world.violation(format!("{}: never answered: {:?}", self.id, link.expected));
        }
    }
}

fn brief(message: &ServerMessage) -> String {
    match message {
        ServerMessage::Welcome(welcome) => {
            format!("welcome r{} s{} {}", welcome.revision, welcome.seq, welcome.resumed)
        }
        ServerMessage::Snapshot(snapshot) => format!("snapshot r{} {:08x}", snapshot.revision, snapshot.checksum),
        ServerMessage::Applied(applied) => {
            format!("applied s{} r{} {:08x}", applied.seq, applied.revision, applied.checksum)
        }
        ServerMessage::Refused(refused) => format!("refused s{} r{} {}", refused.seq, refused.revision, refused.code),
        ServerMessage::Answer(answer) => format!("answer s{} r{}", answer.seq, answer.revision),
        ServerMessage::Delta(delta) => format!("delta r{} {:08x}", delta.revision, delta.checksum),
        ServerMessage::Trade(trade) => format!("trade {} {:?}", trade.trade, trade.stage),
        ServerMessage::Hold(hold) => format!("hold {} {:?}", hold.reservation, hold.state),
        ServerMessage::Reloaded(reloaded) => format!("reloaded v{}", reloaded.catalog.version),
    }
}
