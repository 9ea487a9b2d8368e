//! What the bots of one run know of items, learned by `item` requests and shared, so that each item is asked for once.
//!
//! Called by `bot` and `workload`. Never guesses: an item nobody has asked for yet is only moved.

use holdall_protocol::{ids::ItemId, message::ItemDefinition};
use rand::{rngs::SmallRng, seq::IteratorRandom};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

/// Items of the catalogue that comes with the server, asked for although nobody may hold them yet, so that there is
/// something of every kind to top up with.
const ASKED_FIRST: [&str; 9] =
    ["ore", "health_potion", "iron_sword", "gold", "gems", "wood", "herbs", "iron_ingot", "silver_thread"];

/// What is known of one item.
#[derive(Debug, Clone)]
enum Known {
    /// A bot is asking for it.
    Asked,
    /// The server's catalogue has no such item.
    Undefined,
    /// Its definition.
    Defined(Arc<ItemDefinition>),
}

/// The definitions known so far.
#[derive(Debug)]
pub(crate) struct Catalogue {
    items: RwLock<BTreeMap<ItemId, Known>>,
    grants: AtomicBool,
    /// The newest version that anybody was told of.
    version: AtomicU64,
}

impl Catalogue {
    /// Nothing is known yet.
    pub(crate) const fn new() -> Self {
        Self { items: RwLock::new(BTreeMap::new()), grants: AtomicBool::new(true), version: AtomicU64::new(1) }
    }

    /// Takes the duty to ask for an item; false where another bot has it, or the item is known.
    pub(crate) fn claim(&self, item: &ItemId) -> bool {
        if self.read().contains_key(item) {
            return false;
        }
        self.write().insert(item.clone(), Known::Asked).is_none()
    }

    /// The server has another catalogue: whoever hears of it first forgets what was learned of the one before.
    pub(crate) fn renew(&self, version: u64) {
        if self.version.fetch_max(version, Ordering::Relaxed) < version {
            self.write().clear();
        }
    }

    /// The items to ask for first, as far as nobody has.
    pub(crate) fn claim_first(&self) -> Vec<ItemId> {
        ASKED_FIRST.iter().filter_map(|id| ItemId::new(id).ok()).filter(|id| self.claim(id)).collect()
    }

    /// The answer to a claim.
    pub(crate) fn learn(&self, item: &ItemId, definition: Option<&Arc<ItemDefinition>>) {
        let known = definition.map_or(Known::Undefined, |definition| Known::Defined(Arc::clone(definition)));
        self.write().insert(item.clone(), known);
    }

    /// A claim that came to nothing: somebody else may ask.
    pub(crate) fn unclaim(&self, item: &ItemId) {
        let mut items = self.write();
        if matches!(items.get(item), Some(Known::Asked)) {
            items.remove(item);
        }
    }

    /// An item's definition, if it is known.
    pub(crate) fn get(&self, item: &ItemId) -> Option<Arc<ItemDefinition>> {
        match self.read().get(item)? {
            Known::Defined(definition) => Some(Arc::clone(definition)),
            Known::Asked | Known::Undefined => None,
        }
    }

    /// A random known item that pleases, while the server grants on demand.
    pub(crate) fn top_up(
        &self,
        pleases: fn(&ItemDefinition) -> bool,
        rng: &mut SmallRng,
    ) -> Option<Arc<ItemDefinition>> {
        if !self.grants() {
            return None;
        }
        let items = self.read();
        let defined = items.values().filter_map(|known| match known {
            Known::Defined(definition) if pleases(definition) => Some(definition),
            Known::Defined(_) | Known::Asked | Known::Undefined => None,
        });
        defined.choose(rng).map(Arc::clone)
    }

    /// Whether the server grants on demand, as far as is known.
    pub(crate) fn grants(&self) -> bool {
        self.grants.load(Ordering::Relaxed)
    }

    /// The server does not know `dev_grant`: nobody tops up any more.
    pub(crate) fn no_grants(&self) {
        self.grants.store(false, Ordering::Relaxed);
    }

    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<ItemId, Known>> {
        self.items.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<ItemId, Known>> {
        self.items.write().unwrap_or_else(PoisonError::into_inner)
    }
}
