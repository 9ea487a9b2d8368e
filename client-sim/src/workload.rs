//! What a bot does next: a weighted choice among the actions that its mirror makes possible.
//!
//! Called by `bot`. Names only what stands in the mirror; what may be used, worn, sold or given away it learns from
//! the catalogue, which the bots of one run ask for together. Never sends anything and never looks at a clock.

use crate::{
    catalogue::Catalogue,
    model::{Content, Mirror},
};
use holdall_protocol::{
    action::{
        Action, Count, DevGrant, Drop, Equip, Gift, GiftItem, Item, Move, Quantity, Resync, Sell, Sort, Stats, Target,
        Unequip, Use,
    },
    ids::{ItemId, Place, PlayerId, SlotId},
    message::{ItemDefinition, Stack},
};
use rand::{
    Rng,
    distr::{Distribution, weighted::WeightedIndex},
    rngs::SmallRng,
    seq::IndexedRandom,
};
use serde::Deserialize;
use std::path::Path;

/// How often each action is chosen, relative to the others. A mix file is this as TOML; what it does not name is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Weights {
    /// Drop a few units, or a whole stack where the bag runs full.
    pub drop: u32,
    /// Use a consumable.
    #[serde(rename = "use")]
    pub use_one: u32,
    /// Equip from the bag.
    pub equip: u32,
    /// Unequip.
    pub unequip: u32,
    /// Move, merge, swap or split.
    #[serde(rename = "move")]
    pub move_stack: u32,
    /// Sort the bag.
    pub sort: u32,
    /// Sell a few units.
    pub sell: u32,
    /// Give a few units to another bot.
    pub gift: u32,
    /// Top up by `dev_grant` although nothing is missing.
    pub grant: u32,
    /// Ask for the figures.
    pub stats: u32,
    /// Ask how many of something there are.
    pub count: u32,
    /// Ask for an item.
    pub item: u32,
    /// Ask for the whole inventory.
    pub resync: u32,
}

/// A mix that cannot be played.
#[derive(Debug, thiserror::Error)]
pub enum MixError {
    /// Neither a name nor a readable file.
    #[error("no mix is called {name:?} (there are default, simple and idle), and no such file can be read: {source}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// Why the file could not be read.
        source: std::io::Error,
    },
    /// Not a table of weights.
    #[error("{name}: {source}")]
    Malformed {
        /// The file.
        name: String,
        /// What is wrong with it.
        source: Box<toml::de::Error>,
    },
}

impl Weights {
    /// A bit of everything.
    pub const DEFAULT: Self = Self {
        drop: 20,
        use_one: 15,
        equip: 8,
        unequip: 7,
        move_stack: 22,
        sort: 2,
        sell: 6,
        gift: 10,
        grant: 2,
        stats: 2,
        count: 3,
        item: 1,
        resync: 1,
    };

    /// The three actions that a game does most, for figures of cost.
    pub const SIMPLE: Self = Self { drop: 40, use_one: 30, move_stack: 30, ..Self::IDLE };

    /// Nothing at all: connected players who stand still.
    pub const IDLE: Self = Self {
        drop: 0,
        use_one: 0,
        equip: 0,
        unequip: 0,
        move_stack: 0,
        sort: 0,
        sell: 0,
        gift: 0,
        grant: 0,
        stats: 0,
        count: 0,
        item: 0,
        resync: 0,
    };

    /// The mix of this name, or of this file.
    ///
    /// # Errors
    /// [`MixError`] where it is neither.
    pub fn named(name: &str) -> Result<Self, MixError> {
        match name {
            "default" => return Ok(Self::DEFAULT),
            "simple" => return Ok(Self::SIMPLE),
            "idle" => return Ok(Self::IDLE),
            _ => {}
        }
        let text = std::fs::read_to_string(Path::new(name))
            .map_err(|source| MixError::Unknown { name: name.to_owned(), source })?;
        toml::from_str(&text).map_err(|source| MixError::Malformed { name: name.to_owned(), source: Box::new(source) })
    }

    /// Whether nothing is ever chosen.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        *self == Self::IDLE
    }

    const fn of(&self, kind: Kind) -> u32 {
        match kind {
            Kind::Drop => self.drop,
            Kind::Use => self.use_one,
            Kind::Equip => self.equip,
            Kind::Unequip => self.unequip,
            Kind::Move => self.move_stack,
            Kind::Sort => self.sort,
            Kind::Sell => self.sell,
            Kind::Gift => self.gift,
            Kind::Grant => self.grant,
            Kind::Stats => self.stats,
            Kind::Count => self.count,
            Kind::Item => self.item,
            Kind::Resync => self.resync,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Drop,
    Use,
    Equip,
    Unequip,
    Move,
    Sort,
    Sell,
    Gift,
    Grant,
    Stats,
    Count,
    Item,
    Resync,
}

const KINDS: [Kind; 13] = [
    Kind::Drop,
    Kind::Use,
    Kind::Equip,
    Kind::Unequip,
    Kind::Move,
    Kind::Sort,
    Kind::Sell,
    Kind::Gift,
    Kind::Grant,
    Kind::Stats,
    Kind::Count,
    Kind::Item,
    Kind::Resync,
];

/// What a bot sees when it chooses.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View<'a> {
    /// Its things.
    pub(crate) mirror: &'a Mirror,
    /// What is known of items.
    pub(crate) catalogue: &'a Catalogue,
    /// Slots of its bag; 0 where nobody bounds them.
    pub(crate) max_slots: u16,
    /// Another bot that is known to be in the game, picked at random.
    pub(crate) friend: Option<&'a PlayerId>,
}

/// The weighted choice.
#[derive(Debug)]
pub(crate) struct Workload {
    choice: Option<WeightedIndex<u32>>,
}

impl Workload {
    /// A choice by these weights.
    pub(crate) fn new(weights: &Weights) -> Self {
        Self { choice: WeightedIndex::new(KINDS.map(|kind| weights.of(kind))).ok() }
    }

    /// The next action, `None` for a mix that does nothing.
    pub(crate) fn choose(&self, view: View<'_>, rng: &mut SmallRng) -> Option<Action> {
        let choice = self.choice.as_ref()?;
        // Where the bag has nothing for one kind, another may do; a bot that can do nothing at all asks how it stands.
        for _ in 0..4 {
            let kind = KINDS.get(choice.sample(rng)).copied().unwrap_or(Kind::Stats);
            if let Some(action) = view.build(kind, rng).or_else(|| view.top_up(kind, rng)) {
                return Some(action);
            }
        }
        Some(Action::Stats(Stats {}))
    }
}

/// Bag slots that are looked at before a bot decides that it has nothing of the kind.
const LOOKED_AT: usize = 48;

impl View<'_> {
    fn build(&self, kind: Kind, rng: &mut SmallRng) -> Option<Action> {
        match kind {
            Kind::Drop => self.drop(rng),
            Kind::Use => {
                let (_, stack) = self.stack(rng, |_, definition| definition.kind == "consumable")?;
                Some(Action::Use(Use { target: target(stack, rng) }))
            }
            Kind::Equip => self.equip(rng),
            Kind::Unequip => {
                let worn: Vec<&SlotId> = self.mirror.places().filter_map(|(place, _)| worn(place)).collect();
                worn.choose(rng).map(|slot| Action::Unequip(Unequip { slot: (*slot).clone() }))
            }
            Kind::Move => self.move_stack(rng),
            Kind::Sort => Some(Action::Sort(Sort {})),
            Kind::Sell => {
                let (_, stack) = self.stack(rng, |_, definition| definition.sellable)?;
                Some(Action::Sell(Sell { instance: stack.instance, quantity: few(stack, 3, rng) }))
            }
            Kind::Gift => self.gift(rng),
            Kind::Grant => None,
            Kind::Stats => Some(Action::Stats(Stats {})),
            Kind::Count => Some(Action::Count(Count { item: self.some_item(rng)? })),
            Kind::Item => Some(Action::Item(Item { item: self.some_item(rng)? })),
            Kind::Resync => Some(Action::Resync(Resync {})),
        }
    }

    fn drop(&self, rng: &mut SmallRng) -> Option<Action> {
        let (_, stack) = self.stack(rng, |_, definition| definition.kind != "quest")?;
        if self.is_crowded() {
            let quantity = Quantity::new(u64::from(stack.quantity));
            return Some(Action::Drop(Drop { target: Target::Instance(stack.instance), quantity }));
        }
        let quantity = few(stack, 3, rng);
        Some(Action::Drop(Drop { target: target(stack, rng), quantity }))
    }

    fn equip(&self, rng: &mut SmallRng) -> Option<Action> {
        let mut slots = Vec::new();
        let (_, stack) = self.stack(rng, |_, definition| {
            slots.clone_from(&definition.slots);
            !slots.is_empty()
        })?;
        let slot = if rng.random_bool(0.5) { slots.choose(rng).cloned() } else { None };
        Some(Action::Equip(Equip { instance: stack.instance, slot }))
    }

    fn move_stack(&self, rng: &mut SmallRng) -> Option<Action> {
        let (from, stack) = self.any_stack(rng)?;
        let used = u16::try_from(self.mirror.bag_from(0).count()).unwrap_or(u16::MAX);
        let reach = used.saturating_add(8);
        let to = rng.random_range(0..if self.max_slots == 0 { reach } else { reach.min(self.max_slots) });
        let split = stack.quantity > 1 && !self.is_crowded() && rng.random_bool(0.2);
        let quantity = split.then(|| Quantity::new(rng.random_range(1..u64::from(stack.quantity))));
        Some(Action::Move(Move { from, to, quantity }))
    }

    fn gift(&self, rng: &mut SmallRng) -> Option<Action> {
        let to = self.friend?.clone();
        let mut items: Vec<GiftItem> = Vec::new();
        for _ in 0..if rng.random_bool(0.2) { 2 } else { 1 } {
            let (_, stack) = self.stack(rng, |_, definition| definition.tradeable)?;
            if items.iter().all(|line| line.instance != stack.instance) {
                items.push(GiftItem { instance: stack.instance, quantity: few(stack, 2, rng) });
            }
        }
        Some(Action::Gift(Gift { to, items }))
    }

    /// What makes an action of this kind possible the next time.
    fn top_up(&self, kind: Kind, rng: &mut SmallRng) -> Option<Action> {
        let wanted: fn(&ItemDefinition) -> bool = match kind {
            Kind::Use => |definition| definition.kind == "consumable",
            Kind::Equip | Kind::Unequip => |definition| !definition.slots.is_empty(),
            Kind::Sell => |definition| definition.sellable,
            Kind::Drop | Kind::Move | Kind::Gift | Kind::Grant => |definition| definition.tradeable,
            Kind::Sort | Kind::Stats | Kind::Count | Kind::Item | Kind::Resync => return None,
        };
        let definition = self.catalogue.top_up(wanted, rng)?;
        if self.is_crowded() && definition.kind != "currency" {
            return None;
        }
        let most = if definition.kind == "currency" { 500 } else { definition.max_stack.min(50) };
        let quantity = Quantity::new(rng.random_range(1..=u64::from(most.max(1))).max(u64::from(most / 2)));
        let partial = rng.random_bool(0.1).then_some(true);
        let id = definition.id.clone();
        let (item, currency) = if definition.kind == "currency" { (None, Some(id)) } else { (Some(id), None) };
        Some(Action::DevGrant(DevGrant { item, currency, quantity, partial }))
    }

    fn is_crowded(&self) -> bool {
        let bound = if self.max_slots == 0 { 200 } else { self.max_slots };
        self.mirror.bag_from(0).count() >= usize::from(bound) * 4 / 5
    }

    /// The first stack from a random slot on that can be dealt with and whose definition pleases.
    fn stack(
        &self,
        rng: &mut SmallRng,
        mut pleases: impl FnMut(&Stack, &ItemDefinition) -> bool,
    ) -> Option<(u16, &Stack)> {
        self.walk(rng).take(LOOKED_AT).find(|(slot, stack)| {
            !self.mirror.is_frozen(&Place::Bag(*slot))
                && self.catalogue.get(&stack.item).is_some_and(|definition| pleases(stack, &definition))
        })
    }

    fn any_stack(&self, rng: &mut SmallRng) -> Option<(u16, &Stack)> {
        self.walk(rng).next()
    }

    /// The whole bag, from a random slot on and around.
    fn walk(&self, rng: &mut SmallRng) -> impl Iterator<Item = (u16, &Stack)> {
        let used = u16::try_from(self.mirror.bag_from(0).count()).unwrap_or(u16::MAX);
        let from = rng.random_range(0..used.saturating_add(4));
        self.mirror.bag_from(from).chain(self.mirror.bag_from(0).take_while(move |(slot, _)| *slot < from))
    }

    fn some_item(&self, rng: &mut SmallRng) -> Option<ItemId> {
        let balance = self.mirror.places().find_map(|(place, _)| match place {
            Place::Balance(currency) => Some(currency.clone()),
            Place::Bag(_) | Place::Equipment(_) => None,
        });
        if rng.random_bool(0.2) && balance.is_some() {
            return balance;
        }
        self.any_stack(rng).map(|(_, stack)| stack.item.clone())
    }
}

/// The items a mirror holds whose definition nobody of the run has asked for yet.
pub(crate) fn unknown_items(mirror: &Mirror, catalogue: &Catalogue) -> Vec<ItemId> {
    let ids = mirror.places().filter_map(|(place, content)| match (place, content) {
        (_, Content::Stack(stack)) => Some(&stack.item),
        (Place::Balance(currency), Content::Amount(_)) => Some(currency),
        (Place::Bag(_) | Place::Equipment(_), Content::Amount(_)) => None,
    });
    ids.filter(|id| catalogue.claim(id)).cloned().collect()
}

const fn worn(place: &Place) -> Option<&SlotId> {
    match place {
        Place::Equipment(slot) => Some(slot),
        Place::Bag(_) | Place::Balance(_) => None,
    }
}

fn target(stack: &Stack, rng: &mut SmallRng) -> Target {
    if rng.random_bool(0.75) { Target::Instance(stack.instance) } else { Target::Item(stack.item.clone()) }
}

fn few(stack: &Stack, most: u32, rng: &mut SmallRng) -> Quantity {
    Quantity::new(u64::from(rng.random_range(1..=stack.quantity.min(most).max(1))))
}
