//! One connection's queue of frames, each waiting until what it tells is durable.
//!
//! First in, first out. Bounded: past its bytes the deltas in it collapse into one later snapshot, and replies stay but
//! lose their changes, so that a reader who does not read costs no more than this.

use bytes::Bytes;
use holdall_protocol::{
    frame::Subprotocol,
    ids::{Revision, Seq, TradeId},
    message::{Answer, Answered, Applied, Hold, ServerMessage},
};
use std::collections::VecDeque;

/// What a frame is, as far as the queue cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A reply that changed nothing, or holds no changes any more.
    Reply,
    /// A reply with changes.
    Applied {
        /// The request.
        seq: Seq,
        /// The revision it made.
        revision: Revision,
        /// The checksum after it.
        checksum: u32,
        /// What a partial grant could not place.
        overflow: Option<u64>,
        /// Whether it also tells how a hold stands.
        tells_hold: bool,
    },
    /// A revision nobody here asked for.
    Delta,
    /// How a trade stands: a later one of the same trade says it all.
    Trade(TradeId),
    /// What is in force: a later one says it all.
    Reloaded,
    /// Anything that is neither counted nor collapsed: welcome, snapshot.
    Other,
}

/// What goes to the socket.
#[derive(Debug, Clone)]
pub enum Frame {
    /// As it is.
    Encoded(Bytes),
    /// A large message, to be encoded outside of every lock.
    Message(Box<ServerMessage>),
}

impl Frame {
    /// What it costs to hold, roughly where it is not encoded.
    fn bytes(&self) -> usize {
        match self {
            Self::Encoded(bytes) => bytes.len(),
            Self::Message(message) => match &**message {
                ServerMessage::Snapshot(snapshot) => places_bytes(snapshot.places.len()),
                ServerMessage::Answer(Answer { answer: Answered::Snapshot(snapshot), .. }) => {
                    places_bytes(snapshot.places.len())
                }
                ServerMessage::Answer(Answer { answer: Answered::Item(item), .. }) => places_bytes(item.places.len()),
                ServerMessage::Welcome(_)
                | ServerMessage::Applied(_)
                | ServerMessage::Refused(_)
                | ServerMessage::Answer(_)
                | ServerMessage::Hold(_)
                | ServerMessage::Delta(_) => 256,
                ServerMessage::Reloaded(reloaded) => places_bytes(reloaded.frozen.len()),
                ServerMessage::Trade(trade) => {
                    places_bytes(trade.yours.items.len().saturating_add(trade.theirs.items.len()))
                }
            },
        }
    }
}

const fn places_bytes(places: usize) -> usize {
    places.saturating_mul(128).saturating_add(64)
}

/// A queued frame.
#[derive(Debug, Clone)]
struct Queued {
    /// It leaves when this revision is durable.
    gate: Revision,
    kind: Kind,
    frame: Frame,
}

impl Queued {
    /// Bytes that a snapshot could stand for.
    fn collapsible(&self) -> usize {
        match self.kind {
            Kind::Applied { .. } | Kind::Delta => self.frame.bytes(),
            Kind::Reply | Kind::Trade(_) | Kind::Reloaded | Kind::Other => 0,
        }
    }
}

/// What is among the frames that left the queue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ready {
    /// Replies.
    pub replies: usize,
    /// Frames that tell of one revision, in a reply or without.
    pub deltas: usize,
    /// Their bytes.
    pub delta_bytes: usize,
}

/// The queue.
#[derive(Debug)]
pub struct Outbox {
    queue: VecDeque<Queued>,
    bytes: usize,
    /// The part of `bytes` that a snapshot could stand for.
    collapsible: usize,
    bytes_max: usize,
    subprotocol: Subprotocol,
    /// Changes were left out: a snapshot must follow what is queued.
    collapsed: bool,
}

impl Outbox {
    /// An empty queue.
    #[must_use]
    pub const fn new(subprotocol: Subprotocol, bytes_max: usize) -> Self {
        Self { queue: VecDeque::new(), bytes: 0, collapsible: 0, bytes_max, subprotocol, collapsed: false }
    }

    /// The subprotocol of its frames.
    #[must_use]
    pub const fn subprotocol(&self) -> Subprotocol {
        self.subprotocol
    }

    /// Whether nothing is queued.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Whether so much waits that nothing large should be added.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.bytes >= self.bytes_max
    }

    /// Queues a frame that leaves once `gate` is durable.
    pub fn push(&mut self, gate: Revision, kind: Kind, frame: Frame) {
        if self.collapsed && kind == Kind::Delta {
            return;
        }
        let replaces = match kind {
            Kind::Trade(_) => self.is_full(),
            Kind::Reloaded => true,
            Kind::Reply | Kind::Applied { .. } | Kind::Delta | Kind::Other => false,
        };
        if replaces {
            self.queue.retain(|queued| queued.kind != kind);
            self.count();
        }
        let queued = Queued { gate, kind, frame };
        let queued = if self.collapsed { self.without_changes(queued) } else { queued };
        self.bytes = self.bytes.saturating_add(queued.frame.bytes());
        self.collapsible = self.collapsible.saturating_add(queued.collapsible());
        self.queue.push_back(queued);
        if self.collapsible > self.bytes_max {
            self.collapse();
        }
    }

    fn count(&mut self) {
        self.bytes = self.queue.iter().map(|queued| queued.frame.bytes()).sum();
        self.collapsible = self.queue.iter().map(Queued::collapsible).sum();
    }

    fn collapse(&mut self) {
        self.collapsed = true;
        let queue = std::mem::take(&mut self.queue);
        self.queue = queue
            .into_iter()
            .filter(|queued| queued.kind != Kind::Delta)
            .map(|queued| self.without_changes(queued))
            .collect();
        self.count();
    }

    fn without_changes(&self, queued: Queued) -> Queued {
        let Kind::Applied { seq, revision, checksum, overflow, tells_hold } = queued.kind else { return queued };
        let hold = if tells_hold { self.hold_in(&queued.frame) } else { None };
        let changes = Vec::new();
        let applied = Applied { seq, revision, changes, checksum, overflow, hold, collapsed: true };
        let applied = ServerMessage::Applied(applied);
        let mut frame = Vec::with_capacity(96);
        self.subprotocol.encode(&applied, &mut frame);
        Queued { gate: queued.gate, kind: Kind::Reply, frame: Frame::Encoded(frame.into()) }
    }

    /// What a reply tells of a hold: it is not in the snapshot that stands for the rest.
    fn hold_in(&self, frame: &Frame) -> Option<Box<Hold>> {
        let Frame::Encoded(bytes) = frame else { return None };
        match self.subprotocol.decode_server(bytes) {
            Ok(ServerMessage::Applied(applied)) => applied.hold,
            Ok(_) | Err(_) => None,
        }
    }

    /// Moves all frames to `out` that may leave now that `durable` is.
    pub fn take_ready(&mut self, durable: Revision, out: &mut Vec<Frame>) -> Ready {
        let mut ready = Ready::default();
        while let Some(queued) = self.queue.pop_front_if(|queued| queued.gate <= durable) {
            self.bytes = self.bytes.saturating_sub(queued.frame.bytes());
            self.collapsible = self.collapsible.saturating_sub(queued.collapsible());
            match queued.kind {
                Kind::Reply | Kind::Applied { .. } => ready.replies = ready.replies.saturating_add(1),
                Kind::Delta | Kind::Trade(_) | Kind::Reloaded | Kind::Other => {}
            }
            if matches!(queued.kind, Kind::Applied { .. } | Kind::Delta) {
                ready.deltas = ready.deltas.saturating_add(1);
                ready.delta_bytes = ready.delta_bytes.saturating_add(queued.frame.bytes());
            }
            out.push(queued.frame);
        }
        ready
    }

    /// Whether all that is left to send is the snapshot that stands for what collapsed.
    #[must_use]
    pub fn owes_snapshot(&self) -> bool {
        self.queue.is_empty() && self.collapsed
    }

    /// The same; asking takes the duty over: the snapshot must be queued before anything else.
    pub fn take_collapsed(&mut self) -> bool {
        self.queue.is_empty() && std::mem::take(&mut self.collapsed)
    }

    /// Gives back what was reserved for frames that are gone.
    pub fn shrink(&mut self) {
        self.queue.shrink_to_fit();
    }

    /// Drops everything.
    pub fn clear(&mut self) {
        self.queue.clear();
        self.count();
    }

    /// Drops what is not durable, which never happened, and all that waits behind it, which must not overtake it.
    pub fn drop_undurable(&mut self, durable: Revision) {
        let kept = self.queue.iter().take_while(|queued| queued.gate <= durable).count();
        self.queue.truncate(kept);
        self.count();
    }
}
