//! The catalogue that these tests play with, and bounds to play under.

use holdall_protocol::{
    attribute::{Attributes, Integer, Value},
    ids::{AttributeKey, ItemId, SlotId},
    message::ItemDefinition,
};
use holdall_server::catalog::{
    Catalog, Definition, Kind, Rarity, Rules, migrations::Migrations, nature::Nature, shop::Shop,
};
use std::{collections::BTreeMap, num::NonZeroU32, sync::Arc};

pub fn item(text: &str) -> ItemId {
    ItemId::new(text).unwrap()
}

pub fn slot(text: &str) -> SlotId {
    SlotId::new(text).unwrap()
}

/// `key=5`, `key=true` or `key=text`, joined by commas.
pub fn attributes(text: &str) -> Attributes {
    let pairs: BTreeMap<AttributeKey, Value> = text
        .split(',')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (key, value) = pair.split_once('=').expect("key=value");
            let value = match (value.parse::<i64>(), value.parse::<bool>()) {
                (Ok(number), _) => Value::Integer(Integer::new(number).unwrap()),
                (_, Ok(yes)) => Value::Bool(yes),
                _ => Value::String(value.into()),
            };
            (AttributeKey::new(key).unwrap(), value)
        })
        .collect();
    Attributes::new(pairs)
}

const KINDS: [(&str, Kind); 6] = [
    ("weapon", Kind::Weapon),
    ("armor", Kind::Armor),
    ("consumable", Kind::Consumable),
    ("material", Kind::Material),
    ("currency", Kind::Currency),
    ("quest", Kind::Quest),
];

/// id, kind, largest stack, weight, value, then words: `bound`, `unsellable`, `twohanded`, `epic`, `was:<former id>`,
/// `in:<slot>`, `with:<attributes>`.
const ITEMS: &str = "
    ore         material   99 1000     3
    coal        material   20 100      1    was:old_coal
    gem         material   5  0        1000 epic
    potion      consumable 10 500      5
    tonic       consumable 10 500      5    bound unsellable
    letter      quest      5  0        0
    sword       weapon     1  3000     10   in:main_hand in:off_hand
    dagger      weapon     1  1000     8    in:off_hand in:main_hand
    greatsword  weapon     1  6000     30   in:main_hand twohanded
    shield      armor      1  4000     12   in:off_hand
    ring        armor      10 10       50   in:ring_1 in:ring_2
    helm        armor      1  2000     20   in:head with:durability=80
    saddle      armor      1  0        1    in:back
    gold        currency   1  0        0
    crown       currency   1  0        0    was:old_crown
    anvil       material   4294967295 1000000000 9007199254740991
";

fn definition(row: &str) -> Definition {
    let words: Vec<&str> = row.split_whitespace().collect();
    let [id, kind, max_stack, weight, value, rest @ ..] = words.as_slice() else { panic!("{row}") };
    let after = |prefix: &'static str| rest.iter().filter_map(move |word| word.strip_prefix(prefix));
    let is = |flag: &str| rest.contains(&flag);
    let rarity = if is("epic") { Rarity::Epic } else { Rarity::Common };
    let wire = ItemDefinition {
        id: item(id),
        name: id.to_string(),
        description: String::new(),
        kind: kind.to_string(),
        rarity: String::new(),
        max_stack: max_stack.parse().unwrap(),
        weight: weight.parse().unwrap(),
        tradeable: !is("bound"),
        sellable: !is("unsellable"),
        base_value: value.parse().unwrap(),
        icon_url: String::new(),
        slots: after("in:").map(slot).collect(),
        two_handed: is("twohanded"),
        attributes: after("with:").map(attributes).next().unwrap_or_default(),
    };
    Definition {
        id: wire.id.clone(),
        renamed_from: after("was:").map(item).collect(),
        kind: KINDS.iter().find(|(name, _)| name == kind).unwrap().1,
        rarity,
        max_stack: NonZeroU32::new(wire.max_stack).unwrap(),
        weight: wire.weight,
        tradeable: wire.tradeable,
        sellable: wire.sellable,
        base_value: wire.base_value,
        slots: wire.slots.clone(),
        two_handed: wire.two_handed,
        nature: Nature::with(wire.id.clone(), wire.attributes.clone()),
        wire: Arc::new(wire),
    }
}

/// A catalogue of these rows.
pub fn catalog(version: u64, rows: &str) -> Catalog {
    let rows = rows.lines().filter(|row| !row.trim().is_empty());
    Catalog::new(version, String::new(), rows.map(definition).collect())
}

/// Six slots, no bound on weight, everything sold at half its value.
pub fn rules() -> Rules {
    Rules {
        catalog: catalog(1, ITEMS),
        max_slots: 6,
        max_weight: 0,
        slots: ["head", "main_hand", "off_hand", "ring_1", "ring_2"].map(slot).to_vec(),
        hands: ["main_hand", "off_hand"].map(slot),
        sell_rate: 500,
        sell_currency: item("gold"),
        attributes_max: 3,
        attribute_bytes_max: 40,
        gift_items_max: 3,
        offer_lines_max: 4,
        kit: Vec::new(),
        migrations: Migrations::default(),
        shop: Shop::default(),
    }
}

/// The same after a reload that took `ore` away, made `potion` stack to 5, `letter` a currency and `crown` an ore,
/// and left two bag slots and the helmets' slot out.
pub fn lowered() -> Rules {
    let rows = ITEMS
        .replace("ore         material   99 1000     3\n", "\n")
        .replace("potion      consumable 10", "potion      consumable 5 ")
        .replace("letter      quest   ", "letter      currency")
        .replace("crown       currency", "crown       material");
    let mut rules = Rules { catalog: catalog(2, &rows), max_slots: 4, ..rules() };
    rules.slots.retain(|slot| slot.as_str() != "head");
    rules
}
