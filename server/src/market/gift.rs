//! Gifts: between two players who are both in this process's memory one record of both, durable whole or not at all; to
//! anybody else one record of the giver, which puts it into the receiver's inbox.

use super::Party;
use crate::{
    engine::{change::Changes, exchange, moment::Moment, offer::Line, post, refusal::Refusal},
    ledger::entry::{Actor, Asked, Reason},
    roster::{
        Roster,
        cell::Inner,
        inbox::{self, Door, ReadError, Unwelcome},
        record::{Half, Note},
    },
    telemetry::metrics::labels::Gift,
};
use holdall_protocol::{
    ids::{PlayerId, Revision},
    message::Cause,
};

/// Why a gift did not happen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GiftRefused {
    /// The rules say no.
    #[error(transparent)]
    Rules(#[from] Refusal),
    /// The receiver can be given nothing.
    #[error(transparent)]
    Unwelcome(#[from] Unwelcome),
}

/// Whether a player is in the game here, so that a gift goes straight into their hands.
#[must_use]
pub fn is_here(receiver: &mut Inner) -> bool {
    receiver.seat().is_some_and(|seat| seat.revision > Revision::ZERO)
}

/// Gives to a player who is in the game here, all or nothing. The giver is ready and `asked` is new; both locks are held.
///
/// # Errors
/// [`GiftRefused`]; then nothing has changed.
pub fn give(
    roster: &Roster,
    giver: Party<'_>,
    receiver: Party<'_>,
    items: &[Line],
    asked: Asked,
) -> Result<(), GiftRefused> {
    let rules = roster.rules();
    let mut dice = roster.dice.clone();
    let mut moment = Moment::new(roster.clock.now_ms(), &mut dice);
    let mut changes = [Changes::default(), Changes::default()];
    {
        let from = giver.inner.seat().expect("the giver was found ready under this lock");
        let to = receiver.inner.seat().expect("the receiver was found ready under this lock");
        if !to.takes_gifts() {
            return Err(Unwelcome::NotAccepting.into());
        }
        exchange::gift(&mut from.player, &mut to.player, items, &rules, &mut moment, &mut changes)?;
    }
    let [given, received] = &changes;
    let actor = Actor::Player(giver.cell.id.clone());
    let sent = Note { actor: actor.clone(), reason: Reason::GiftSent, asked: Some(asked) };
    let got = Note { actor, reason: Reason::GiftReceived, asked: None };
    roster.record_two(
        Half { player: &giver.cell.id, inner: giver.inner, changes: given, note: sent },
        Half { player: &receiver.cell.id, inner: receiver.inner, changes: received, note: got },
        Cause::Gift { from: giver.cell.id.clone() },
    );
    roster.metrics.gifts.inc(&Gift::Given);
    Ok(())
}

/// Gives to a player who is not here: into the inbox, where what was found at the door allows it. Between that look and this
/// record others may give too, so that a few more may wait than the bound says: as many as are on their way at once.
///
/// # Errors
/// [`GiftRefused`]; then nothing has changed.
pub fn leave(
    roster: &Roster,
    giver: Party<'_>,
    (receiver, door): (&PlayerId, &Result<Door, ReadError>),
    items: &[Line],
    asked: Asked,
) -> Result<(), GiftRefused> {
    inbox::welcomes(door, roster.options().inbox_max)?;
    let rules = roster.rules();
    let mut dice = roster.dice.clone();
    let mut moment = Moment::new(roster.clock.now_ms(), &mut dice);
    let mut changes = Changes::default();
    let seat = giver.inner.seat().expect("the giver was found ready under this lock");
    let stacks = post::send(&mut seat.player, items, &rules, &mut moment, &mut changes)?;
    let note = Note { actor: Actor::Player(giver.cell.id.clone()), reason: Reason::Gift, asked: Some(asked) };
    let half = Half { player: &giver.cell.id, inner: giver.inner, changes: &changes, note };
    roster.put_in_inbox(half, receiver, &stacks);
    Ok(())
}
