//! One player on the shelf.

use crate::store::{
    Batch, BatchId, GiftId, KeptAnswer, LedgerItem, Opening, Owner, PlayerWrite, Preferences, Stored, Whole,
};
use bytes::Bytes;
use holdall_protocol::ids::{Revision, Seq};
use std::collections::BTreeMap;

/// One player at rest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Row {
    /// The owner's token; `None` after a release.
    pub owner: Option<Owner>,
    /// The revision.
    pub revision: Revision,
    /// The last request number spent.
    pub seq: Seq,
    /// The last batch that wrote the player.
    pub batch: Option<BatchId>,
    /// The record format.
    pub schema: u32,
    /// The oldest format whose builds can read it.
    pub readable_by: u32,
    /// The content step.
    pub content: u32,
    /// When it was written last.
    pub saved_at: u64,
    /// The highest epoch ever given out.
    pub epoch: u64,
    /// The places.
    pub places: BTreeMap<String, Bytes>,
    /// The ledger, one item a batch.
    pub ledger: Vec<LedgerItem>,
    /// The token that wrote the revision.
    pub writer: Option<Owner>,
    /// What the player has set.
    pub preferences: Preferences,
    /// What waits in the inbox.
    pub inbox: BTreeMap<GiftId, Bytes>,
    /// What was answered to orders that its writes carried out, and when.
    pub answers: Vec<(u64, KeptAnswer)>,
    /// The revision that the ledger's opening stands for, which then is its first item.
    pub opened: Revision,
}

impl Row {
    pub(super) fn stored(&self) -> Stored {
        Stored {
            owner: self.owner.clone(),
            epoch: self.epoch,
            revision: self.revision,
            seq: self.seq,
            schema: self.schema,
            readable_by: self.readable_by,
            content: self.content,
            saved_at: self.saved_at,
            places: self.places.iter().map(|(place, value)| (place.clone(), value.clone())).collect(),
            preferences: self.preferences,
            inbox: self.inbox.iter().map(|(gift, content)| (*gift, content.clone())).collect(),
            writer: self.writer.clone(),
            opened: self.opened,
        }
    }

    /// All that there is of the player.
    #[must_use]
    pub fn whole(&self) -> Whole {
        Whole { stored: self.stored(), ledger: self.ledger.clone() }
    }

    /// What a write leaves as it is must be what it says: other stores do not write that again.
    fn check_what_stays(&self, write: &PlayerWrite) {
        if !write.restamps {
            let stamps = (self.schema, self.readable_by, self.content);
            assert_eq!(stamps, (write.schema, write.readable_by, write.content), "stamps changed unsaid");
        }
        if write.follows.as_ref() == Some(&write.owner) {
            assert_eq!(self.writer, write.follows, "another one wrote what is built on");
        }
    }

    pub(super) fn write(&mut self, write: &PlayerWrite, batch: &Batch) {
        self.check_what_stays(write);
        self.revision = write.revision;
        self.seq = write.seq;
        self.schema = write.schema;
        self.readable_by = write.readable_by;
        self.content = write.content;
        self.saved_at = write.saved_at;
        self.batch = Some(batch.id);
        self.preferences = write.preferences.unwrap_or(self.preferences);
        for (place, value) in &write.places {
            match value {
                Some(value) => self.places.insert(place.to_string(), value.clone()),
                None => self.places.remove(place.as_str()),
            };
        }
        if let Some(Opening { revision, content, .. }) = &write.opening {
            // Not by the mark, which is a place in a list that another opening may have shortened since.
            let gone = self.ledger.partition_point(|(newest, _)| newest <= revision);
            self.ledger.splice(..gone, [(*revision, content.clone())]);
            self.opened = *revision;
        }
        if !write.entries.is_empty() {
            self.ledger.push((write.revision, write.entries.clone()));
        }
        if write.advances() {
            self.writer = Some(write.owner.clone());
        }
        if write.release {
            self.owner = None;
        }
    }
}
