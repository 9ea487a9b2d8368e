//! Keys under which this process has begun something of which the store may not know yet.

use holdall_protocol::ids::OrderKey;
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};

/// Keys that are remembered. More are never begun between a look into the store and a durable answer.
const KEYS_MAX: usize = 4_096;

/// The newest of them, each with the hash of what it is used for.
#[derive(Debug, Default)]
pub struct Keys(Mutex<Newest>);

#[derive(Debug, Default)]
struct Newest {
    hashes: HashMap<OrderKey, u64>,
    /// The oldest first.
    begun: VecDeque<OrderKey>,
}

impl Keys {
    /// Takes a key for what has this hash. Whether it is not taken for something else.
    #[must_use]
    pub fn take(&self, key: &OrderKey, hash: u64) -> bool {
        let mut newest = self.0.lock();
        if let Some(known) = newest.hashes.get(key) {
            return *known == hash;
        }
        newest.hashes.insert(key.clone(), hash);
        newest.begun.push_back(key.clone());
        if newest.begun.len() > KEYS_MAX
            && let Some(oldest) = newest.begun.pop_front()
        {
            newest.hashes.remove(&oldest);
        }
        true
    }

    /// Gives a key back under which nothing was done.
    pub fn give_back(&self, key: &OrderKey) {
        let mut newest = self.0.lock();
        if newest.hashes.remove(key).is_some() {
            newest.begun.retain(|begun| begun != key);
        }
    }
}
