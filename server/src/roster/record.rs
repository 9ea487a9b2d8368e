//! Making a record: the revision, the ledger entry, the journal and the frames, under one hold of the lock.
//!
//! Nothing here can fail or wait, so that a change that is in memory is always also in the journal.

use super::{
    Roster,
    cell::{Inner, Seat},
    holds::Held,
};
use crate::{
    engine::change::Changes,
    journal::pending::{Side, SideEffects},
    ledger::{
        balance::Balance,
        codec,
        entry::{Actor, Asked, Entry, Ordered, Partner, Reason, Waits},
    },
    replication::{
        delta,
        feed::Kept,
        outbox::{Frame, Kind},
    },
    store::{InboxChange, KeptAnswer, Preferences},
};
use bytes::{Bytes, BytesMut};
use holdall_protocol::{
    ids::{PlayerId, ReservationId, Revision},
    message::{Applied, Cause, Delta, Hold, ServerMessage},
};
use std::cell::RefCell;

/// What one side of a record says beside its changes.
#[derive(Debug, Clone)]
pub struct Note {
    /// Who caused it.
    pub actor: Actor,
    /// Why.
    pub reason: Reason,
    /// The player's own request, which its reply answers.
    pub asked: Option<Asked>,
}

/// One player of a record: who, the locked cell, what already happened to it in memory, and why.
pub struct Half<'a> {
    /// Who.
    pub player: &'a PlayerId,
    /// The cell, locked, its player ready and its changes absorbed.
    pub inner: &'a mut Inner,
    /// What changed.
    pub changes: &'a Changes,
    /// Why.
    pub note: Note,
}

/// What a record does beyond the places of its player.
#[derive(Debug, Clone, Default)]
pub struct Effects {
    /// The waiting gift that it is about.
    pub waits: Option<Waits>,
    /// What it puts into inboxes and takes out of the player's own.
    pub inbox: Vec<InboxChange>,
    /// Who is to look into their inbox once it is durable.
    pub receiver: Option<PlayerId>,
    /// What the player has set.
    pub preferences: Option<Preferences>,
    /// The operator's order that it carries out, and what is answered to it.
    pub order: Option<(Ordered, KeptAnswer)>,
    /// The hold of the shop that it is about.
    pub hold: Option<Held>,
}

/// What else an entry is about.
#[derive(Default)]
struct About {
    /// The other player of the same record.
    partner: Option<Partner>,
    /// A waiting gift.
    waits: Option<Waits>,
    /// An operator's order.
    ordered: Option<Ordered>,
    /// A hold of the shop.
    hold: Option<ReservationId>,
}

/// One player's half of a record, as far as it can be proven.
#[derive(Debug)]
#[expect(dead_code, reason = "who and when are read by whoever reads the log")]
struct Books<'p> {
    player: &'p PlayerId,
    revision: Revision,
    reason: Reason,
    /// What was done.
    balance: Balance,
    /// How many units of everything the player has more by the entry's lines.
    gain: i128,
}

/// Room for what a record writes on its way.
#[derive(Default)]
struct Scratch {
    /// Ledger entries.
    entries: Vec<u8>,
    /// A line of the checksum, a value of an entry, a frame: one at a time.
    piece: Vec<u8>,
    /// Where frames on their way out lie, whoever they are for: they leave within a commit, so that the memory of a few blocks
    /// is used again and again.
    frames: BytesMut,
}

/// One block of frames; also what one frame that does not leave can hold on to.
const FRAMES_BLOCK_BYTES: usize = 1_024;

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

impl Scratch {
    /// The frame that `piece` is now.
    fn frame(&mut self) -> Bytes {
        let length = self.piece.len();
        if self.frames.capacity() < length {
            self.frames = BytesMut::with_capacity(FRAMES_BLOCK_BYTES.max(length));
        }
        self.frames.extend_from_slice(&self.piece);
        self.frames.split().freeze()
    }
}

impl Roster {
    /// Records one player's change. `at_once`: it does not wait for an autosave.
    pub fn record(&self, half: Half<'_>, at_once: bool) {
        let at = self.clock.now_ms();
        let Half { player, inner, changes, note } = half;
        let seat = inner.seat().expect("only a player in the game has records");
        SCRATCH.with_borrow_mut(|scratch| {
            scratch.entries.clear();
            self.prove(seat.advance((player, changes, &note), About::default(), at, scratch));
            self.journal.push(&[seat.side(player, changes, &scratch.entries)], at_once);
        });
        if at_once {
            seat.shared = seat.revision;
        }
        self.reply(inner, changes, (&note, None));
    }

    /// Records one player's change that does more than change places, and does not wait for an autosave. A request is
    /// answered; without one the player is told by a delta with this cause.
    pub fn record_with(&self, half: Half<'_>, effects: Effects, cause: Cause) {
        let Half { player, inner, changes, note } = half;
        let seat = inner.seat().expect("only a player in the game has records");
        let Effects { waits, inbox, receiver, preferences, order, hold } = effects;
        let (ordered, answer) = order.unzip();
        let (told, purchase) = hold.map(|held| (held.told, held.purchase)).unzip();
        let (answers, purchases) = (Vec::from_iter(answer), Vec::from_iter(purchase.flatten()));
        let effects = SideEffects { inbox, preferences, answers, purchases };
        seat.preferences = preferences.unwrap_or(seat.preferences);
        let mut scratch = Scratch::default();
        let hold = told.as_ref().map(|told| told.reservation);
        let about = About { waits, ordered, hold, ..About::default() };
        if let Some(told) = &told {
            self.note_hold(player, seat, told);
        }
        self.prove(seat.advance((player, changes, &note), about, self.clock.now_ms(), &mut scratch));
        let own = seat.side(player, changes, &scratch.entries);
        self.journal.push(&[Side { effects: Some(&effects), ..own }], true);
        seat.shared = seat.revision;
        let revision = seat.revision;
        if let Some(receiver) = receiver {
            inner.announce(revision, receiver);
        }
        match note.asked {
            Some(_) => self.reply(inner, changes, (&note, told)),
            None => self.tell_delta(inner, changes, cause),
        }
    }

    /// Records a change of the server's own at the beginning of a session, which will see it in its snapshot.
    pub fn record_quietly(&self, half: Half<'_>) {
        let changes = half.changes;
        self.record_written(half, changes);
    }

    /// The same where other places are written than those that changed.
    pub(super) fn record_written(&self, half: Half<'_>, written: &Changes) {
        let Half { player, inner, changes, note } = half;
        let seat = inner.seat().expect("only a player in the game has records");
        let mut scratch = Scratch::default();
        self.prove(seat.advance((player, changes, &note), About::default(), self.clock.now_ms(), &mut scratch));
        self.journal.push(&[seat.side(player, written, &scratch.entries)], true);
        seat.shared = seat.revision;
    }

    /// Records one exchange of two players: both halves are durable together or neither is. The first half's request is
    /// answered; the second player is told by a delta.
    pub fn record_two(&self, one: Half<'_>, other: Half<'_>, cause: Cause) {
        let at = self.clock.now_ms();
        let seats = (one.inner.seat(), other.inner.seat());
        let (Some(first), Some(second)) = seats else { unreachable!("only players in the game have records") };
        // What a newer build wrote of a stack goes where the stack goes, and its stamp with it.
        (first.form, second.form) = (first.form.over(second.form.stamp()), second.form.over(first.form.stamp()));
        let trade = match &cause {
            Cause::Trade { trade, .. } => Some(*trade),
            Cause::Gift { .. } | Cause::Inbox { .. } | Cause::InboxReturned { .. } | Cause::Server(_) => None,
        };
        let partner = |player: &PlayerId, seat: &Seat| About {
            partner: Some(Partner { player: player.clone(), revision: seat.revision.next(), trade }),
            ..About::default()
        };
        let (to_other, to_one) = (partner(other.player, second), partner(one.player, first));
        SCRATCH.with_borrow_mut(|scratch| {
            scratch.entries.clear();
            let given = first.advance((one.player, one.changes, &one.note), to_other, at, scratch);
            let middle = scratch.entries.len();
            let got = second.advance((other.player, other.changes, &other.note), to_one, at, scratch);
            self.prove_exchange(given, got);
            let (entry_one, entry_other) = scratch.entries.split_at(middle);
            let sides =
                [first.side(one.player, one.changes, entry_one), second.side(other.player, other.changes, entry_other)];
            self.journal.push(&sides, true);
        });
        first.shared = first.revision;
        second.shared = second.revision;
        self.reply(one.inner, one.changes, (&one.note, None));
        self.tell_delta(other.inner, other.changes, cause);
    }

    /// The revision that must be durable before anything that shows this player may leave.
    #[must_use]
    pub fn gate(&self, seat: &Seat) -> Revision {
        if self.waits() { seat.revision } else { seat.shared }
    }

    /// Counts a record whose books do not balance. It is made all the same: memory holds its changes already.
    fn prove(&self, books: Books<'_>) {
        if !books.balance.is_told_by(books.gain) || !books.balance.fits(books.reason) {
            self.metrics.ledger_imbalances.inc();
            tracing::error!(?books, "a record's books do not balance: run `holdall verify`");
        }
    }

    fn prove_exchange(&self, one: Books<'_>, other: Books<'_>) {
        if !one.balance.mirrors(other.balance) {
            self.metrics.ledger_imbalances.inc();
            tracing::error!(?one, ?other, "an exchange does not balance: run `holdall verify`");
        }
        self.prove(one);
        self.prove(other);
    }

    /// Tells the current connection of its own request's effect, or, where nobody asked, of a change by the server.
    fn reply(&self, inner: &mut Inner, changes: &Changes, (note, told): (&Note, Option<Hold>)) {
        let Some(asked) = note.asked else {
            return self.tell_delta(inner, changes, Cause::Server(holdall_protocol::message::Nothing {}));
        };
        let Some(seat) = inner.seat() else { return };
        let (revision, checksum) = (seat.revision, seat.checksum.get());
        let overflow = (changes.overflow > 0).then_some(changes.overflow);
        let message = ServerMessage::Applied(Applied {
            seq: asked.seq,
            revision,
            changes: delta::changes(&changes.list),
            checksum,
            overflow,
            hold: told.map(Box::new),
            collapsed: false,
        });
        let tells_hold = matches!(&message, ServerMessage::Applied(applied) if applied.hold.is_some());
        let gate = self.gate(seat);
        let frame = seat.keep(&message, true, Some(asked));
        inner.tell(
            gate,
            Kind::Applied { seq: asked.seq, revision, checksum, overflow, tells_hold },
            Frame::Encoded(frame),
        );
    }

    fn tell_delta(&self, inner: &mut Inner, changes: &Changes, cause: Cause) {
        let Some(seat) = inner.seat() else { return };
        let message = ServerMessage::Delta(Delta {
            revision: seat.revision,
            changes: delta::changes(&changes.list),
            checksum: seat.checksum.get(),
            cause,
        });
        let gate = self.gate(seat);
        let frame = seat.keep(&message, true, None);
        inner.push(gate, Kind::Delta, Frame::Encoded(frame));
    }
}

impl Seat {
    /// Makes the next revision: checksum, ledger entry, memory of the request. Appends the entry's bytes.
    fn advance<'p>(
        &mut self,
        (player, changes, note): (&'p PlayerId, &Changes, &Note),
        About { partner, waits, ordered, hold }: About,
        at: u64,
        scratch: &mut Scratch,
    ) -> Books<'p> {
        self.revision = self.revision.next();
        let stamp = (self.form.stamp(), self.content);
        self.restamps = self.stamped.replace(stamp) != Some(stamp);
        self.checksum = delta::checksum(self.checksum, &changes.list, &mut scratch.piece);
        if let Some(asked) = note.asked {
            self.seq = self.seq.max(asked.seq);
            self.remember(asked);
        }
        let page = Entry {
            player,
            revision: self.revision,
            at,
            actor: note.actor.clone(),
            reason: note.reason,
            asked: note.asked,
            partner,
            waits,
            ordered,
            hold,
            changes: &changes.list,
            form: self.form,
        };
        let gain = codec::write(&page, &mut scratch.entries, &mut scratch.piece);
        let balance = Balance::of(&changes.list);
        Books { player, revision: self.revision, reason: note.reason, balance, gain }
    }

    pub(super) fn side<'a>(&'a self, player: &'a PlayerId, changes: &'a Changes, entry: &'a [u8]) -> Side<'a> {
        Side {
            player,
            owner: &self.owner,
            origin: &self.origin,
            revision: self.revision,
            seq: self.seq,
            form: self.form,
            content: self.content,
            restamps: self.restamps,
            changes: &changes.list,
            entry,
            effects: None,
        }
    }

    /// Encodes a message in the feed's subprotocol and keeps it for resumes and repeats.
    pub fn keep(&mut self, message: &ServerMessage, makes: bool, answers: Option<Asked>) -> Bytes {
        let answers = answers.map(|asked| (asked.seq, asked.hash));
        SCRATCH.with_borrow_mut(|scratch| {
            scratch.piece.clear();
            self.feed.subprotocol().encode(message, &mut scratch.piece);
            self.feed.keep(Kept { revision: self.revision, makes, answers }, &scratch.piece);
            scratch.frame()
        })
    }
}
