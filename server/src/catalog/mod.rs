//! The catalogue: what every kind of thing is, and the bounds the engine judges by.
//!
//! Owns [`Catalog`], [`Definition`] and [`Rules`], and their reading from `items.toml` and the settings. Everything here
//! is immutable once read: a reload makes a new [`Rules`] and swaps it whole. Called by the engine and everything above
//! it. Never knows a player.

pub mod diff;
mod fields;
pub mod migrations;
pub mod nature;
mod parse;
mod rules;
pub mod shop;

pub use rules::Rules;

use holdall_protocol::{
    ids::{ItemId, SlotId},
    message::ItemDefinition,
};
use nature::Nature;
use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
    num::NonZeroU32,
    sync::Arc,
};

/// The largest weight of one unit, in thousandths.
pub const WEIGHT_MAX: u64 = 1_000_000_000;
/// The largest stack that a definition may allow.
pub const STACK_MAX: u32 = 1_000_000;

/// All definitions, by id.
#[derive(Debug, Clone, PartialEq)]
pub struct Catalog {
    version: u64,
    hash: String,
    /// In byte order of their ids.
    definitions: Vec<Definition>,
    /// Every id and every former id, to its index in `definitions`.
    index: HashMap<ItemId, usize, BuildHasherDefault<TextHasher>>,
}

impl Catalog {
    /// The catalogue of these definitions. Of two that claim an id, the later has it: whoever reads definitions checks
    /// that no two do.
    #[must_use]
    pub fn new(version: u64, hash: String, mut definitions: Vec<Definition>) -> Self {
        definitions.sort_by(|a, b| a.id.cmp(&b.id));
        let mut index = HashMap::default();
        for (at, definition) in definitions.iter().enumerate() {
            index.insert(definition.id.clone(), at);
            index.extend(definition.renamed_from.iter().map(|former| (former.clone(), at)));
        }
        Self { version, hash, definitions, index }
    }

    /// Which catalogue of this process it is: 1 at start, one more at every reload.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// The same as the one that follows `before` in this process.
    #[must_use]
    pub fn after(self, before: &Self) -> Self {
        Self { version: before.version.saturating_add(1), ..self }
    }

    /// The hash of its content, as hex: equal on every server that read the same definitions.
    #[must_use]
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// The definition of an item, also under an id that it had before.
    #[must_use]
    pub fn get(&self, item: &ItemId) -> Option<&Definition> {
        self.index.get(item).and_then(|at| self.definitions.get(*at))
    }

    /// All definitions, in byte order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = &Definition> {
        self.definitions.iter()
    }

    /// How many definitions there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.definitions.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.definitions.is_empty()
    }
}

/// Hashes one short text. Every action looks definitions up, and an operator's ids need no defence against collisions.
#[derive(Default)]
struct TextHasher(u64);

impl Hasher for TextHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0 ^= xxhash_rust::xxh3::xxh3_64(bytes);
    }

    /// The end of the text, which the hash knows already.
    fn write_u8(&mut self, _: u8) {}

    fn finish(&self) -> u64 {
        self.0
    }
}

/// What the rules need to know of an item; what people read of it stands in `wire`.
#[derive(Debug, Clone, PartialEq)]
pub struct Definition {
    /// Its id.
    pub id: ItemId,
    /// Ids that it had before; stacks and balances may still be kept under them.
    pub renamed_from: Vec<ItemId>,
    /// What it is.
    pub kind: Kind,
    /// How rare it is.
    pub rarity: Rarity,
    /// The largest stack; 1 is not stackable.
    pub max_stack: NonZeroU32,
    /// Weight of one unit in thousandths, at most [`WEIGHT_MAX`].
    pub weight: u64,
    /// Whether it can change hands.
    pub tradeable: bool,
    /// Whether it can be sold.
    pub sellable: bool,
    /// What one unit is worth, at most 2^53 − 1.
    pub base_value: u64,
    /// The equipment slots it goes into, in the order they are tried.
    pub slots: Vec<SlotId>,
    /// Whether it holds both hands.
    pub two_handed: bool,
    /// What a new one is: its id, and the attributes that it begins with.
    pub nature: Arc<Nature>,
    /// The same as clients are told it, with name, description and picture.
    pub wire: Arc<ItemDefinition>,
}

/// What an item is, in the order a sorted bag shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Wielded.
    Weapon,
    /// Worn.
    Armor,
    /// Used up by using it.
    Consumable,
    /// For making and selling.
    Material,
    /// Money: takes no slot, lives in the wallet.
    Currency,
    /// Part of a story: cannot be dropped.
    Quest,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 6] =
        [Self::Weapon, Self::Armor, Self::Consumable, Self::Material, Self::Currency, Self::Quest];

    /// As it is written in `items.toml` and on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Weapon => "weapon",
            Self::Armor => "armor",
            Self::Consumable => "consumable",
            Self::Material => "material",
            Self::Currency => "currency",
            Self::Quest => "quest",
        }
    }
}

/// How rare an item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rarity {
    /// The least rare.
    Common,
    /// Rarer than common.
    Uncommon,
    /// Rarer than uncommon.
    Rare,
    /// Rarer than rare.
    Epic,
    /// The rarest.
    Legendary,
}

impl Rarity {
    /// Every rarity.
    pub const ALL: [Self; 5] = [Self::Common, Self::Uncommon, Self::Rare, Self::Epic, Self::Legendary];

    /// As it is written in `items.toml` and on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Common => "common",
            Self::Uncommon => "uncommon",
            Self::Rare => "rare",
            Self::Epic => "epic",
            Self::Legendary => "legendary",
        }
    }
}
