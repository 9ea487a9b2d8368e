//! When an action happens, and where its new ids come from.

use holdall_protocol::ids::InstanceId;
use rand::RngCore;
use std::fmt;

/// The time of an action and its source of new instance ids. The same seed and times give the same ids.
pub struct Moment<'a> {
    /// Milliseconds since 1970.
    pub now: u64,
    random: &'a mut dyn RngCore,
}

impl<'a> Moment<'a> {
    /// This time, with ids drawn from `random`.
    pub fn new(now: u64, random: &'a mut dyn RngCore) -> Self {
        Self { now, random }
    }

    /// A new instance id: a UUIDv7 of this time and 74 random bits.
    pub fn mint(&mut self) -> InstanceId {
        let mut bytes = [0; 10];
        self.random.fill_bytes(&mut bytes);
        InstanceId::new(uuid::Builder::from_unix_timestamp_millis(self.now, &bytes).into_uuid())
    }
}

impl fmt::Debug for Moment<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Moment").field("now", &self.now).finish_non_exhaustive()
    }
}
