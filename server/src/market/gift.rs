//! A gift between two players who are both in this process's memory: one record, durable whole or not at all.

use super::Party;
use crate::{
    engine::{self, change::Changes, moment::Moment, refusal::Refusal},
    ledger::entry::{Actor, Asked, Reason},
    roster::{
        Roster,
        record::{Half, Note},
    },
};
use holdall_protocol::{ids::InstanceId, message::Cause};
use std::num::NonZeroU32;

/// Why a gift did not happen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GiftRefused {
    /// The rules say no.
    #[error(transparent)]
    Rules(#[from] Refusal),
    /// The receiver is not in the game.
    #[error("the receiver is not in the game")]
    ReceiverNotLoaded,
    /// The receiver has switched gifts off.
    #[error("the receiver does not accept gifts")]
    NotAccepting,
    /// The receiver is just being loaded or saved.
    #[error("the receiver is just being loaded or saved")]
    ReceiverBusy,
}

/// Gives, all or nothing. The giver is ready and `asked` is new; both locks are held.
///
/// # Errors
/// [`GiftRefused`]; then nothing has changed.
pub fn give(
    roster: &Roster,
    giver: Party<'_>,
    receiver: Party<'_>,
    items: &[(InstanceId, NonZeroU32)],
    asked: Asked,
) -> Result<(), GiftRefused> {
    let rules = roster.rules();
    let mut dice = roster.dice.clone();
    let mut moment = Moment::new(roster.clock.now_ms(), &mut dice);
    let mut changes = [Changes::default(), Changes::default()];
    {
        let from = giver.inner.seat().expect("the giver was found ready under this lock");
        let to = receiver.inner.seat().ok_or(GiftRefused::ReceiverBusy)?;
        if to.revision == holdall_protocol::ids::Revision::ZERO {
            return Err(GiftRefused::ReceiverNotLoaded);
        }
        if !to.accepts.gifts {
            return Err(GiftRefused::NotAccepting);
        }
        engine::exchange::gift(&mut from.player, &mut to.player, items, &rules, &mut moment, &mut changes)?;
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
    Ok(())
}
