//! The mix: how often each action is chosen, by name or from a file.
//!
//! Called by `main` for its arguments and by `workload`. Knows nothing of what makes an action possible.

use crate::preset::{self, PresetError};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error, MapAccess, Visitor, value::MapAccessDeserializer},
};
use std::fmt;

/// How often each action is chosen, relative to the others. A mix file is this as TOML; what it does not name is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
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
    /// Take the next step of a trade, or invite another bot to one.
    pub trade: u32,
    /// Visit the shop, if there is one: list, hold, pay, give back, or let a hold run out.
    pub shop: u32,
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
    /// Cut the connection before a last request is answered, and come back at once.
    pub cut: u32,
    /// Cut the connection and stay away for a while.
    pub leave: u32,
}

/// The mixes that go by a name.
const NAMED: [(&str, Weights); 4] = [
    ("default", Weights::DEFAULT),
    ("simple", Weights::SIMPLE),
    ("market_day", Weights::MARKET_DAY),
    ("idle", Weights::IDLE),
];

fn names() -> [&'static str; 4] {
    NAMED.map(|(name, _)| name)
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
        ..Self::IDLE
    };

    /// Everybody gives, trades and visits the shop, and connections break in the middle of it.
    pub const MARKET_DAY: Self = Self {
        trade: 120,
        shop: 40,
        gift: 24,
        drop: 6,
        use_one: 4,
        equip: 4,
        unequip: 4,
        move_stack: 10,
        sort: 1,
        sell: 6,
        grant: 12,
        stats: 1,
        count: 2,
        resync: 1,
        cut: 3,
        leave: 2,
        ..Self::IDLE
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
        trade: 0,
        shop: 0,
        grant: 0,
        stats: 0,
        count: 0,
        item: 0,
        resync: 0,
        cut: 0,
        leave: 0,
    };

    /// The mix of this name, or of this file.
    ///
    /// # Errors
    /// [`PresetError`] where it is neither.
    pub fn named(name: &str) -> Result<Self, PresetError> {
        match NAMED.iter().find(|(known, _)| *known == name) {
            Some((_, weights)) => Ok(*weights),
            None => preset::read("mix", &names(), name),
        }
    }

    /// Whether nothing is ever chosen.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        *self == Self::IDLE
    }
}

/// Reads what a scenario says of its mix: a name, or a table of weights.
pub(crate) fn name_or_table<'de, D: Deserializer<'de>>(from: D) -> Result<Weights, D::Error> {
    struct NameOrTable;

    impl<'de> Visitor<'de> for NameOrTable {
        type Value = Weights;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a mix: {} in quotes, or a table of weights", names().join(", "))
        }

        fn visit_str<E: Error>(self, name: &str) -> Result<Weights, E> {
            let known = NAMED.iter().find(|(known, _)| *known == name);
            known.map(|(_, weights)| *weights).ok_or_else(|| {
                let names = names().join(", ");
                E::custom(format!("no mix is called {name:?}: there are {names}, or a table of weights"))
            })
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Weights, A::Error> {
            Weights::deserialize(MapAccessDeserializer::new(map))
        }
    }

    from.deserialize_any(NameOrTable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_names_weights_and_what_it_leaves_out_is_nothing() {
        let mix: Weights = toml::from_str("drop = 3\nuse = 2\nmove = 1").unwrap();
        assert_eq!(mix, Weights { drop: 3, use_one: 2, move_stack: 1, ..Weights::IDLE });
        assert!(toml::from_str::<Weights>("steal = 1").is_err(), "a misspelt action is no silent 0");
    }

    #[test]
    fn what_is_neither_a_name_nor_a_file_says_so() {
        assert_eq!(Weights::named("default").unwrap(), Weights::DEFAULT);
        assert!(Weights::named("defualt").unwrap_err().to_string().contains("default, simple, market_day, idle"));
    }
}
