//! What the checker can find wrong with a server.
//!
//! A fault is a promise of the protocol that was broken, never a refusal and never a cut connection. Raised by `model`,
//! `checker`, `conservation` and `bot`; shown as a line of the report's `violations`.

use crate::model::Totals;
use holdall_protocol::{
    close::Close,
    ids::{InstanceId, ItemId, Place, Revision, Seq},
};
use std::time::Duration;

/// One broken promise.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Something that was acknowledged is not there any more.
    #[error("lost acked effect: {0}")]
    LostAckedEffect(String),
    /// A request took effect twice, or again after it had been answered.
    #[error("doubled effect: {0}")]
    DoubledEffect(String),
    /// The mirror's checksum is not the one that was told.
    #[error("wrong checksum at revision {revision}: told {told}, the mirror has {have}")]
    WrongChecksum {
        /// At which revision.
        revision: Revision,
        /// What the server said.
        told: u32,
        /// What the mirror comes to.
        have: u32,
    },
    /// A revision is missing, or came again.
    #[error("gap: the mirror is at revision {have}, told {told}")]
    Gap {
        /// Where the mirror is.
        have: Revision,
        /// What came.
        told: Revision,
    },
    /// A second terminal reply to one request.
    #[error("a second reply to request {0}")]
    ReplyTwice(Seq),
    /// A reply to a request that was never sent.
    #[error("a reply to request {0}, which was never sent")]
    ReplyUnasked(Seq),
    /// A reply overtook another.
    #[error("reply to request {came} before the one to {expected}")]
    OutOfOrder {
        /// The one that came.
        came: Seq,
        /// The one whose turn it was.
        expected: Seq,
    },
    /// No terminal reply came while the connection stood.
    #[error("no reply to request {seq} within {waited:?}")]
    NoReply {
        /// The request.
        seq: Seq,
        /// How long it was waited for.
        waited: Duration,
    },
    /// A refusal or an answer that goes with another revision than the one the mirror is at.
    #[error("refused request {seq} came with revision {told}, the mirror is at {have}")]
    RefusedChanged {
        /// The request.
        seq: Seq,
        /// The revision it carried.
        told: Revision,
        /// Where the mirror is.
        have: Revision,
    },
    /// A change that is not what the request asked for.
    #[error("request {seq} ({action}) did what it was not asked: {what}")]
    NotAsked {
        /// The request.
        seq: Seq,
        /// Its action's name.
        action: &'static str,
        /// What is wrong with it.
        what: String,
    },
    /// A push whose cause does not allow what it did.
    #[error("a push at revision {revision} did what its cause does not allow: {what}")]
    BadPush {
        /// The revision it made.
        revision: Revision,
        /// What is wrong with it.
        what: String,
    },
    /// The mirror and a snapshot of the same revision differ.
    #[error("the mirror differs from the snapshot of revision {revision}: {what}")]
    MirrorDiffers {
        /// The revision.
        revision: Revision,
        /// Where they differ, shortened.
        what: String,
    },
    /// After a reconnect there are more revisions than requests and gifts that could have made them.
    #[error("{revisions} revisions since the cut, at most {explained} can be explained")]
    Unexplained {
        /// How many there are.
        revisions: u64,
        /// Unanswered requests and gifts on their way.
        explained: u64,
    },
    /// An answer to a question that the mirror contradicts.
    #[error("wrong answer to request {seq}: {what}")]
    WrongAnswer {
        /// The request.
        seq: Seq,
        /// What is wrong with it.
        what: String,
    },
    /// A welcome that contradicts what is known of the player.
    #[error("bad welcome: {0}")]
    BadWelcome(String),
    /// A message that makes no sense where it stands.
    #[error("protocol: {0}")]
    Protocol(String),
    /// One instance id in two places.
    #[error("instance {0} stands in two places")]
    InstanceTwice(InstanceId),
    /// A place holds what it cannot hold.
    #[error("{place} holds {what}")]
    BadPlace {
        /// Where.
        place: Place,
        /// What is wrong with it.
        what: &'static str,
    },
    /// Over all players, an item came from nowhere or went nowhere.
    #[error("{item} is not conserved: {expected} expected, {found} found")]
    NotConserved {
        /// The item or currency.
        item: ItemId,
        /// What all known effects come to.
        expected: i128,
        /// What is there.
        found: i128,
    },
    /// The server ended the connection for good.
    #[error("closed for good: {0}")]
    Closed(Close),
    /// The server took what it must refuse, or never ended it.
    #[error("{what} was not turned away as it must be: {wanted} was to come, {got} came")]
    Tolerated {
        /// What was done to it.
        what: &'static str,
        /// How that must end.
        wanted: String,
        /// How it ended.
        got: String,
    },
    /// The operator API did not take or did not answer an order.
    #[error("top-up by the operator API: {0}")]
    TopUp(String),
    /// The server could not be reached again.
    #[error("could not reconnect within {0:?}: {1}")]
    CouldNotReconnect(Duration, String),
}

impl Fault {
    /// A [`Fault::NotAsked`] that quotes both sides.
    pub(crate) fn not_asked(seq: Seq, action: &'static str, wanted: &Totals, found: &Totals) -> Self {
        Self::NotAsked { seq, action, what: format!("asked for {wanted}, got {found}") }
    }
}
