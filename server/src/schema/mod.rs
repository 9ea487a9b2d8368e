//! Record formats: what a place's value looks like at rest.
//!
//! Owns the number of the current format and the way from every older one. Each format is a frozen module; the engine's
//! own types are never serialised. Called by `journal` and `ledger` (writing) and `roster` (reading).
//!
//! A player's record has one [`Stamp`] for all its places, and only the places that changed are written again. Therefore:
//! - An **older** record is brought forward place by place, through every step between, and then written again whole, in
//!   one commit. A commit that never happened leaves the old record, which is brought forward at the next load.
//! - A **newer** record is read where its stamp says that this build may ([`Stamp::readable_by`]); else it is refused
//!   untouched. What its stacks have behind the elements known here is carried with them as bytes and written back.
//! - A stamp **never goes down**. Were an older build to write its own number over a higher one, the newer build would take
//!   the places that were not touched for old ones and bring them forward twice. So it leaves the higher number, and a
//!   record of format N may hold values that any build from `readable_by` to N wrote. That asks one thing of a format
//!   that calls itself readable by an older one: it may only add elements behind those of a stack, and where they are
//!   missing it reads what the step from the older format would have put there. Other kinds of values, of attributes or
//!   of places make a format that only builds from it on can read.
//! - A stack that changes hands may carry such bytes into a record with a lower stamp. Both records of an exchange then
//!   bear the higher of the two stamps; the receiver's other places are read as said above.
//! - A ledger entry bears the stamp's number at its time, so that its images are read like places. No entry is newer than
//!   its player's stamp, which is why the stamp's `readable_by` holds for all of them.
//! - A **waiting gift** bears a stamp and a content number of its own ([`waiting`]), because no record of its receiver is
//!   written when it is put. Whoever takes it brings it forward as a load does with a record.

mod chain;
pub mod v1;
pub mod waiting;

pub use chain::{Behind, Chain, Form, Upgrade};

/// The format that is written.
pub const CURRENT: u32 = OURS.number;

/// This build's formats. A new one is a module of its own, the step towards it in the module before, and a golden file.
pub static OURS: Chain = Chain { number: 1, readable_by: 1, upgrades: &[], read: v1::read, write: v1::write };

/// Which format a record is in, and the oldest format whose builds can still read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// The format.
    pub format: u32,
    /// The oldest format whose builds read it.
    pub readable_by: u32,
}

impl Stamp {
    /// A stamp as a store has it. One that says nothing of older builds is not for them.
    #[must_use]
    pub const fn stored(format: u32, readable_by: u32) -> Self {
        Self { format, readable_by: if readable_by == 0 { format } else { readable_by } }
    }

    /// The stamp of a record that holds values under both.
    #[must_use]
    pub fn highest(self, other: Self) -> Self {
        Self { format: self.format.max(other.format), readable_by: self.readable_by.max(other.readable_by) }
    }
}

/// Why a stored value is refused. The record is left as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// Written by a newer build, and not for older ones.
    #[error("record format {found} is newer than this build reads ({reads}): use the newer build")]
    FromTheFuture {
        /// The format that the record names.
        found: u32,
        /// This build's.
        reads: u32,
    },
    /// No format of ours.
    #[error("record format {found} never existed")]
    NeverExisted {
        /// The format that the record names.
        found: u32,
    },
    /// The bytes are no value.
    #[error("{place}: {reason}")]
    Unreadable {
        /// Where.
        place: String,
        /// What is wrong.
        reason: String,
    },
}
