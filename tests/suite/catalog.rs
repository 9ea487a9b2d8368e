//! The catalogue: what is read, and what is said of everything that is wrong.

use holdall_protocol::ids::ItemId;
use holdall_server::{
    catalog::{Catalog, Definition, Kind, Rarity, Rules},
    config::{Loaded, Settings, Sources},
};
use std::path::Path;

const GOLD: &str = "[[item]]\nid = \"gold\"\nname = \"Gold\"\nkind = \"currency\"\n";

fn id(text: &str) -> ItemId {
    ItemId::new(text).unwrap()
}

/// The only item of `text`, with its `id = "x"`, name and kind written for it.
fn one(kind: &str, rest: &str) -> Result<Definition, String> {
    let text = format!("[[item]]\nid = \"x\"\nname = \"X\"\nkind = \"{kind}\"\n{rest}\n");
    let read = Catalog::parse(&text, "items.toml", &Settings::default());
    read.map(|catalog| catalog.get(&id("x")).unwrap().clone()).map_err(|faults| faults.to_string())
}

/// Asserts that the text has exactly these faults, each given by its line and a part of its message.
#[track_caller]
fn faults(text: &str, expected: &[(usize, &str)]) {
    let found = Catalog::parse(text, "items.toml", &Settings::default()).expect_err("it has faults");
    let told = found.to_string();
    assert_eq!(found.len(), expected.len(), "{told}");
    for (fault, (line, part)) in found.iter().zip(expected) {
        assert_eq!(fault.line, Some(*line), "{fault}\nin\n{told}");
        assert!(fault.what.contains(part), "{fault}: should speak of {part:?}");
        assert_eq!(fault.place, "items.toml");
    }
}

/// Rules of the shipped files, or of a catalogue with a config.
fn shipped() -> (Loaded, Rules) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/holdall.toml");
    let loaded = Settings::load(&Sources { file: Some(file), ..Sources::default() }).unwrap();
    let rules = Rules::read(&loaded).unwrap_or_else(|faults| panic!("{faults}"));
    (loaded, rules)
}

#[test]
fn the_shipped_catalogue_is_in_order_and_covers_every_kind_and_rarity() {
    let (_, rules) = shipped();
    assert!(rules.catalog.len() >= 40);
    for kind in Kind::ALL {
        assert!(rules.catalog.iter().any(|item| item.kind == kind), "{kind:?}");
    }
    for rarity in Rarity::ALL {
        assert!(rules.catalog.iter().any(|item| item.rarity == rarity), "{rarity:?}");
    }
    assert!(rules.catalog.iter().any(|item| item.two_handed));
    assert!(!rules.kit.is_empty());
    let ore = rules.catalog.get(&id("ore")).unwrap();
    assert_eq!((ore.kind, ore.max_stack.get(), ore.weight), (Kind::Material, 99, 500));
    assert_eq!(rules.catalog.get(&id("iron_ore")).unwrap().id, ore.id, "a former id finds its item");
    assert!(rules.catalog.iter().map(|item| &item.id).is_sorted());
}

#[test]
fn a_definition_says_the_same_to_the_engine_and_to_clients() {
    let (_, rules) = shipped();
    for item in rules.catalog.iter() {
        assert_eq!(item.id, item.wire.id);
        assert_eq!(item.kind.as_str(), item.wire.kind);
        assert_eq!(item.rarity.as_str(), item.wire.rarity);
        assert_eq!(item.max_stack.get(), item.wire.max_stack);
        assert_eq!(item.weight, item.wire.weight);
        assert_eq!((item.tradeable, item.sellable), (item.wire.tradeable, item.wire.sellable));
        assert_eq!(item.slots, item.wire.slots);
        assert_eq!(item.nature.attributes, item.wire.attributes);
    }
}

#[test]
fn what_is_left_out_has_its_default() {
    let item = one("material", "").unwrap();
    assert_eq!((item.max_stack.get(), item.weight, item.base_value), (1, 0, 0));
    assert_eq!((item.rarity, item.tradeable, item.sellable), (Rarity::Common, true, true));
    let item = one("quest", "").unwrap();
    assert_eq!((item.tradeable, item.sellable), (false, false), "a quest item is bound");
    assert!(one("quest", "tradeable = true").unwrap().tradeable, "unless its entry says otherwise");
    let item = one("currency", "").unwrap();
    assert_eq!((item.tradeable, item.sellable), (true, false), "money is traded, not sold");
}

#[test]
fn a_weight_is_read_to_the_thousandth() {
    for (text, thousandths) in [
        ("0", 0),
        ("2", 2_000),
        ("0.25", 250),
        ("0.001", 1),
        ("1.10", 1_100),
        ("1.1000", 1_100),
        ("1_000.5", 1_000_500),
        ("1000000", 1_000_000_000),
    ] {
        assert_eq!(one("material", &format!("weight = {text}")).unwrap().weight, thousandths, "{text}");
    }
    for text in ["-1", "-0.5", "0.0001", "nan", "inf", "-inf", "1e3", "1000000.001", "\"1\"", "99999999999999999999"] {
        let told = one("material", &format!("weight = {text}")).expect_err(text);
        assert!(told.contains("items.toml:5: weight must be"), "{text}: {told}");
    }
}

#[test]
fn attributes_keep_their_types_and_their_bounds() {
    use holdall_protocol::{attribute::Value, ids::AttributeKey};
    let item = one("material", "attributes = { a = true, b = 1, c = 1.0, d = \"1\", e = -9007199254740991 }").unwrap();
    let get = |key| item.nature.attributes.get(&AttributeKey::new(key).unwrap()).unwrap();
    assert!(matches!(get("a"), Value::Bool(true)));
    assert!(matches!(get("b"), Value::Integer(n) if n.get() == 1));
    assert!(matches!(get("c"), Value::Float(n) if n.get() == 1.0));
    assert!(matches!(get("d"), Value::String(text) if &**text == "1"));
    for (text, part) in [
        ("{ a = 9007199254740992 }", "9007199254740991"),
        ("{ a = nan }", "finite"),
        ("{ a = -0.0 }", "finite"),
        ("{ a = inf }", "finite"),
        ("{ A = 1 }", "attribute key"),
        ("{ a = [1] }", "not a list"),
        ("{ a = 2024-01-01 }", "not a date"),
        ("3", "must be a table"),
    ] {
        let told = one("material", &format!("attributes = {text}")).expect_err(text);
        assert!(told.contains(part), "{text}: {told}");
    }
    let many: Vec<String> = (0..33).map(|n| format!("k{n} = 1")).collect();
    assert!(
        one("material", &format!("attributes = {{ {} }}", many.join(", "))).unwrap_err().contains("attributes_max")
    );
    let long = format!("attributes = {{ a = \"{}\" }}", "x".repeat(1_024));
    assert!(one("material", &long).unwrap_err().contains("attribute_bytes_max"));
}

#[test]
fn every_fault_is_told_at_once_with_its_line() {
    let text = "\
[[item]]
id = \"Iron Sword\"
name = \"Iron Sword\"
kind = \"wepon\"
max_stak = 3

[[item]]
id = \"ore\"
name = \"\"
kind = \"material\"
max_stack = 0
weight = -1
base_value = 9007199254740992
slots = [\"head\"]

[[item]]
id = \"ring\"
name = \"Ring\"
kind = \"armor\"
rarity = \"mythic\"
slots = [\"ring1\", \"ring_2\", \"ring_2\"]
max_stack = 1000001

[[item]]
kind = \"material\"

[extra]
x = 1
";
    faults(
        text,
        &[
            (2, "id must be 1 to 64 characters"),
            (4, "did you mean weapon?"),
            (5, "did you mean max_stack?"),
            (9, "not empty"),
            (11, "from 1 (not stackable) to 1000000"),
            (12, "weight must be"),
            (13, "base_value must be"),
            (14, "only weapons and armor"),
            (20, "must be one of common"),
            (21, "did you mean ring_1?"),
            (21, "ring_2 twice"),
            (22, "max_stack must be"),
            (24, "id is missing"),
            (24, "name is missing"),
            (27, "every item begins with [[item]]"),
        ],
    );
}

#[test]
fn faults_of_the_syntax_do_not_hide_the_others() {
    let text = "[[item]]\nid = \"a\"\nname = \"A\"\nkind = \"material\"\nweight = = 2\nmax_stack = 0\n";
    let told = Catalog::parse(text, "items.toml", &Settings::default()).unwrap_err().to_string();
    assert!(told.contains("items.toml:5: not TOML"), "{told}");
    assert!(told.contains("items.toml:6: max_stack"), "{told}");
}

#[test]
fn an_id_stands_for_one_item_only() {
    let item = |id: &str, rest: &str| format!("[[item]]\nid = \"{id}\"\nname = \"N\"\nkind = \"material\"\n{rest}\n");
    faults(&(item("a", "") + &item("a", "")), &[(6, "taken by the item in line 1")]);
    let former = "renamed_from = [\"old\"]";
    faults(&(item("a", former) + &item("b", former)), &[(6, "which a has too")]);
    faults(&(item("a", former) + &item("old", "")), &[(1, "still an item")]);
    faults(&item("a", "renamed_from = [\"a\"]"), &[(1, "still an item")]);
    faults(&item("a", "renamed_from = [\"B\"]"), &[(5, "renamed_from must be")]);
}

#[test]
fn money_has_no_weight_no_slot_and_no_stack() {
    for rest in ["weight = 1", "max_stack = 5", "slots = [\"head\"]", "sellable = true", "attributes = { a = 1 }"] {
        let told = one("currency", rest).expect_err(rest);
        assert!(told.contains("does not go with kind = \"currency\""), "{rest}: {told}");
    }
}

#[test]
fn a_two_handed_item_sits_in_the_first_hand() {
    assert!(one("weapon", "slots = [\"main_hand\"]\ntwo_handed = true").unwrap().two_handed);
    for slots in ["[]", "[\"off_hand\"]", "[\"main_hand\", \"off_hand\"]", "[\"head\"]"] {
        let told = one("weapon", &format!("slots = {slots}\ntwo_handed = true")).expect_err(slots);
        assert!(told.contains("write slots = [\"main_hand\"]"), "{slots}: {told}");
    }
    assert!(one("material", "two_handed = true").is_err());
}

#[test]
fn the_hash_tells_content_not_order_or_spelling() {
    let hash = |text: &str| Catalog::parse(text, "f", &Settings::default()).unwrap().hash().to_owned();
    let (a, b) = (GOLD.to_owned(), "[[item]]\nid = \"ore\"\nname = \"Ore\"\nkind = \"material\"\n".to_owned());
    let both = hash(&(a.clone() + &b));
    assert_eq!(both, hash(&(b.clone() + "weight = 0.0 # none\n" + &a)));
    assert_ne!(both, hash(&(a.clone() + &b + "weight = 0.001\n")));
    assert_ne!(both, hash(&(a + &b + "renamed_from = [\"rock\"]\n")));
    assert_eq!(both.len(), 16);
}

mod rules {
    use super::*;

    fn rules(config: &str, items: &str) -> Result<Rules, String> {
        let file = crate::config::File::with(config);
        let loaded = Settings::load(&Sources { file: Some(file.0.clone()), ..Sources::default() });
        let name = file.0.display().to_string();
        Rules::load(items, "items.toml", &loaded.unwrap()).map_err(|f| f.to_string().replace(&name, "holdall.toml"))
    }

    const ITEMS: &str = "
[[item]]
id = \"gold\"
name = \"Gold\"
kind = \"currency\"
renamed_from = [\"coins\"]
[[item]]
id = \"ore\"
name = \"Ore\"
kind = \"material\"
max_stack = 10
weight = 0.5
renamed_from = [\"rock\"]
";

    #[test]
    fn no_bound_on_slots_is_the_hard_bound() {
        assert_eq!(rules("", ITEMS).unwrap().max_slots, 100);
        assert_eq!(rules("[inventory]\nmax_slots = 0", ITEMS).unwrap().max_slots, 10_000);
    }

    #[test]
    fn former_ids_in_the_config_are_resolved() {
        let config = "[inventory]\nsell_currency = \"coins\"\n[new_player]\nkit = [{ item = \"rock\", quantity = 3 }]";
        let rules = rules(config, ITEMS).unwrap();
        assert_eq!(rules.sell_currency, id("gold"));
        assert_eq!(rules.kit.iter().map(|(item, n)| (item.as_str(), n.get())).collect::<Vec<_>>(), [("ore", 3)]);
    }

    #[test]
    fn the_config_is_held_against_the_catalogue() {
        for (config, told) in [
            (
                "[inventory]\nsell_currency = \"golt\"",
                "holdall.toml:2: inventory.sell_currency: the catalogue has no item golt; did you mean gold?",
            ),
            (
                "[inventory]\nsell_currency = \"ore\"",
                "holdall.toml:2: inventory.sell_currency: ore is of kind material, not currency",
            ),
            (
                "[new_player]\nkit = [{ item = \"or\", quantity = 3 }]",
                "holdall.toml:2: new_player.kit: the catalogue has no item or",
            ),
            (
                "[new_player]\nkit = [{ item = \"ore\" }, { item = \"rock\" }]",
                "holdall.toml:2: new_player.kit: ore stands twice",
            ),
            (
                "[inventory]\nmax_slots = 2\n[new_player]\nkit = [{ item = \"ore\", quantity = 21 }]",
                "holdall.toml:4: new_player.kit: needs 3 bag slots, inventory.max_slots gives 2",
            ),
            (
                "[inventory]\nmax_weight = 0.9\n[new_player]\nkit = [{ item = \"ore\", quantity = 2 }]",
                "holdall.toml:4: new_player.kit: weighs 1, inventory.max_weight is 0.9",
            ),
            (
                "[new_player]\nkit = [{ item = \"ore\", quantity = 9007199254740991 }]",
                "new_player.kit: needs 900719925474100 bag slots",
            ),
        ] {
            let found = rules(config, ITEMS).expect_err(config);
            assert!(found.contains(told), "{config}\n{found}");
        }
        rules("[inventory]\nmax_slots = 2\nmax_weight = 10\n[new_player]\nkit = [{ item = \"ore\", quantity = 20 }, { item = \"gold\", quantity = 9007199254740991 }]", ITEMS).unwrap();
    }
}
