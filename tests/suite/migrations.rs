//! Content migrations: what is said of the file, and players who take its steps when they come back to a real server.

use crate::conformance::{acquire, batch, node, write};
use bytes::Bytes;
use holdall_harness::{
    child::{Server, Site},
    client::{Client, grant, pay},
    redis::Redis,
    rules,
};
use holdall_protocol::{
    NUMBER_MAX,
    attribute::Value,
    close::Close,
    frame::Subprotocol,
    ids::{AttributeKey, InstanceId, ItemId},
};
use holdall_server::{
    catalog::migrations::Migrations,
    config::{Loaded, Settings},
    engine::change::{Content, Nature, Stack},
    ledger::codec,
    schema::OURS,
    store::{Life, Loaded as Stored, Outcome, PlayerWrite, Store as _, embedded::Embedded},
};
use std::{num::NonZeroU32, path::Path, process::Command};

mod the_file {
    use super::*;

    fn read(text: &str) -> Result<Migrations, String> {
        let settings = Settings::default();
        Migrations::parse(text, "migrations.toml", &settings, &rules().catalog).map_err(|faults| faults.to_string())
    }

    /// Asserts that the text has exactly these faults, each given by its line and a part of its message.
    #[track_caller]
    fn faults(text: &str, expected: &[(usize, &str)]) {
        let settings = Settings::default();
        let found = Migrations::parse(text, "migrations.toml", &settings, &rules().catalog).expect_err("it has faults");
        let told = found.to_string();
        assert_eq!(found.len(), expected.len(), "{told}");
        for (fault, (line, part)) in found.iter().zip(expected) {
            assert_eq!((fault.line, fault.place.as_str()), (Some(*line), "migrations.toml"), "{told}");
            assert!(fault.what.contains(part), "{fault}: should speak of {part:?}");
        }
    }

    /// The fault of a single step, which stands in line 3.
    #[track_caller]
    fn fault(step: &str, part: &str) {
        faults(&format!("[[step]]\nnumber = 1\n{step}\n"), &[(3, part)]);
    }

    #[test]
    fn the_shipped_file_has_no_steps_and_its_examples_are_in_order() {
        let text = include_str!("../../config/migrations.toml");
        assert_eq!(read(text).expect("in order").len(), 0);
        let examples = text.split_once("# Add a rarity").expect("examples").1;
        let wanted = ["# [[", "# number", "# default", "# rename"];
        let lines = examples.lines().filter(|line| wanted.iter().any(|start| line.starts_with(start)));
        let examples: String = lines.map(|line| format!("{}\n", &line[2..])).collect();
        assert_eq!(read(&examples).expect("in order").newest(), 2, "{examples}");
    }

    #[test]
    fn every_kind_of_step_can_be_written() {
        let steps = [
            r#"rename = { from = "old", to = "ore" }"#,
            r#"merge = { from = ["a", "b"], to = "ore" }"#,
            r#"default_attribute = { item = "*", key = "k", value = 1.5 }"#,
            r#"rename_attribute = { item = "ore", from = "k", to = "l" }"#,
            r#"drop_attribute = { item = "*", key = "k" }"#,
            r#"item_to_currency = { item = "coin", currency = "gold", take = 2 }"#,
            r#"currency_to_item = { currency = "tokens", item = "ore", take = 10, give = 3 }"#,
            r#"convert_currency = { from = "silver", to = "gold", take = 100, give = 9007199254740991 }"#,
        ];
        let numbered = steps.iter().zip(7..).map(|(step, n)| format!("[[step]]\nnumber = {n}\n{step}\n"));
        let read = read(&numbered.collect::<String>()).expect("in order");
        assert_eq!((read.len(), read.newest()), (8, 14), "the first ones may be gone");
        let told: Vec<String> = read.after(6).expect("all").iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "content step 7 (old to ore)",
                "content step 8 (a, b to ore)",
                "content step 9 (default for k of every item)",
                "content step 10 (attribute k to l of ore)",
                "content step 11 (no k of every item)",
                "content step 12 (coin to gold, 1 for 2)",
                "content step 13 (tokens to ore, 3 for 10)",
                "content step 14 (silver to gold, 9007199254740991 for 100)",
            ]
        );
        assert_eq!(super::read_absent(), 0);
    }

    #[test]
    fn all_faults_are_told_at_once_by_line() {
        faults(
            r#"
[[step]]
number = 1
rename = { from = "old", to = "oer" }
[[step]]
number = 3
drop_attribut = { item = "*", key = "k" }
[[step]]
rename = { from = "old", too = "ore" }
[[steps]]
"#,
            &[
                (4, "the catalogue has no item oer; did you mean ore?"),
                (5, "a step does something: give it one of rename, merge"),
                (6, "number must be 2, one more than the step before, not 3"),
                (7, "a step has no key \"drop_attribut\"; did you mean drop_attribute?"),
                (8, "number is missing: a step needs one"),
                (9, "a rename has no key \"too\""),
                (9, "to is missing: a rename needs one (an item id)"),
                (10, "there is no \"steps\" here: every step begins with [[step]]"),
            ],
        );
    }

    #[test]
    fn what_a_step_cannot_say_is_told() {
        fault(r#"rename = "old""#, "a rename is a table, not a text: write rename = { … }");
        fault(r#"rename = { from = ["old"], to = "ore" }"#, "from must be an item id, not a list");
        fault(r#"rename = { from = "ore", to = "ore" }"#, "to is ore as well as from");
        fault(r#"merge = { from = [], to = "ore" }"#, "from is empty");
        fault(r#"merge = { from = ["a", "a"], to = "ore" }"#, "from names a twice");
        fault(r#"merge = { from = ["a", "ore"], to = "ore" }"#, "to is ore as well as from");
        fault(r#"default_attribute = { item = "*", key = "K", value = 1 }"#, "key");
        fault(r#"default_attribute = { item = "*", key = "k", value = [1] }"#, "value must be true or false");
        fault(r#"default_attribute = { item = "*", key = "k" }"#, "value is missing");
        fault(r#"default_attribute = { item = "**", key = "k", value = 1 }"#, "item");
        let long = format!("default_attribute = {{ item = \"*\", key = \"k\", value = \"{}\" }}", "x".repeat(1_024));
        fault(&long, "limits.attribute_bytes_max is 1024");
        fault(r#"rename_attribute = { item = "*", from = "k", to = "k" }"#, "to is k as well as from");
        fault(r#"drop_attribute = { item = "orc", key = "k" }"#, "the catalogue has no item orc");
        fault(r#"item_to_currency = { item = "coin", currency = "ore" }"#, "ore is of kind material, not currency");
        fault(r#"item_to_currency = { item = "coin", currency = "gold", take = 0 }"#, "take must be from 1");
        fault(
            r#"convert_currency = { from = "silver", to = "gold", give = 9007199254740992 }"#,
            "give must be from 1 to 9007199254740991",
        );
        fault(r#"convert_currency = { from = "silver", to = "gold", take = 1.5 }"#, "take must be");
        fault(r#"currency_to_item = { currency = "gold", item = "gems" }"#, "gems is a currency: name an item");
        faults(
            "[[step]]\nnumber = 1\nrename = { from = \"a\", to = \"ore\" }\nmerge = { from = [\"b\"], to = \"ore\" }\n",
            &[(4, "merge is a second thing to do")],
        );
        faults(
            "[[step]]\nnumber = 0\ndrop_attribute = { item = \"*\", key = \"k\" }\n",
            &[(2, "number must be from 1")],
        );
        faults("step = 1\n", &[(1, "steps are a list")]);
        assert!(read("[[step]]\nnumber = ").expect_err("it breaks off").contains("migrations.toml:2: not TOML"));
    }

    #[test]
    fn a_step_may_lead_to_what_a_later_one_leads_on_from() {
        let steps = |second: &str| {
            let first = r#"rename = { from = "a", to = "b" }"#;
            read(&format!("[[step]]\nnumber = 1\n{first}\n[[step]]\nnumber = 2\n{second}\n"))
        };
        assert!(steps(r#"rename = { from = "b", to = "ore" }"#).is_ok());
        assert!(steps(r#"item_to_currency = { item = "b", currency = "gold" }"#).is_ok());
        assert!(steps(r#"rename = { from = "c", to = "ore" }"#).is_err());
        let bought = "[[step]]\nnumber = 1\ncurrency_to_item = { currency = \"x\", item = \"b\" }\n[[step]]\nnumber = 2\n\
                      rename = { from = \"b\", to = \"ore\" }\n";
        assert!(read(bought).expect_err("how large may its stacks be?").contains("the catalogue has no item b"));
    }

    #[test]
    fn config_check_says_how_many_steps_there_are_and_what_is_wrong_with_them() {
        let dir = holdall_harness::server::TempDir::new();
        let (config, steps) = (dir.path().join("holdall.toml"), dir.path().join("migrations.toml"));
        std::fs::copy(
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/items.toml"),
            dir.path().join("items.toml"),
        )
        .expect("a copy");
        std::fs::write(&config, "").expect("a file");
        let check = || {
            let out = Command::new(holdall_harness::child::binary("holdall"))
                .args(["config", "check", "--config"])
                .arg(&config)
                .env_clear()
                .output()
                .expect("it runs");
            (
                out.status.code(),
                String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr),
            )
        };
        let (code, said) = check();
        assert!(code == Some(0) && said.contains("migrations.toml: no content steps"), "{said}");
        std::fs::write(&steps, "[[step]]\nnumber = 1\ndrop_attribute = { item = \"*\", key = \"k\" }\n")
            .expect("a file");
        let (code, said) = check();
        assert!(code == Some(0) && said.contains("migrations.toml: in order, 1 content step\n"), "{said}");
        std::fs::write(&steps, "[[step]]\nnumber = 1\n").expect("a file");
        let (code, said) = check();
        assert!(code == Some(2) && said.contains("migrations.toml:1: a step does something"), "{said}");
    }
}

/// Rules without a migrations file.
fn read_absent() -> usize {
    let mut loaded = Loaded::default();
    loaded.settings.catalog.items_file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/items.toml");
    loaded.settings.catalog.migrations_file = "/nowhere/migrations.toml".into();
    holdall_server::catalog::Rules::read(&loaded).expect("it may be absent").migrations.len()
}

/// Writes the file, numbered from `first`, and turns the knob.
fn migrate(site: &mut Site, first: u32, steps: &[&str]) {
    let numbered = steps.iter().zip(first..).map(|(step, n)| format!("[[step]]\nnumber = {n}\n{step}\n"));
    let file = site.dir().join("migrations.toml");
    std::fs::write(&file, numbered.collect::<String>()).expect("a file");
    site.turn("catalog.migrations_file", file.display());
}

/// The shipped catalogue with one id for another.
fn recatalogue(site: &mut Site, old: &str, new: &str) {
    let text = include_str!("../../config/items.toml").replace(&format!("id = \"{old}\""), &format!("id = \"{new}\""));
    let file = site.dir().join("items.toml");
    std::fs::write(&file, text).expect("a file");
    site.turn("catalog.items_file", file.display());
}

fn rarity(client: &Client, id: &str) -> Option<Value> {
    client.stack(id).1.attributes.get(&AttributeKey::new("rarity").expect("a key")).cloned()
}

const RARITY: &str = r#"default_attribute = { item = "*", key = "rarity", value = "common" }"#;
const RENAME: &str = r#"rename = { from = "mana_potion", to = "blue_potion" }"#;
const CHANGE: &str = r#"convert_currency = { from = "gold", to = "gems", take = 100, give = 3 }"#;

async fn set_up(server: &Server) {
    let mut anna = Client::enter(server.game, "anna").await;
    anna.apply(grant("ore", 120)).await;
    anna.apply(grant("mana_potion", 7)).await;
    anna.apply(pay("gold", 250)).await;
}

#[tokio::test]
async fn a_player_who_comes_back_finds_the_steps_taken_once() {
    let mut site = Site::new();
    let server = site.start().await;
    set_up(&server).await;
    let potions = {
        let anna = Client::enter(server.game, "anna").await;
        anna.stack("mana_potion")
    };
    assert_eq!(server.stop().await, Some(0));

    recatalogue(&mut site, "mana_potion", "blue_potion");
    migrate(&mut site, 1, &[RARITY, RENAME]);
    let server = site.start().await;
    let mut anna = Client::enter(server.game, "anna").await;
    assert_eq!(anna.revision(), 5, "birth, three grants, and one record of both steps");
    let (slot, stack) = anna.stack("blue_potion");
    assert_eq!((slot, stack.instance, stack.quantity), (potions.0, potions.1.instance, 7));
    assert_eq!(rarity(&anna, "ore"), Some(Value::String("common".into())));
    assert_eq!((anna.count("ore"), anna.count("mana_potion"), anna.count("gold")), (120, 0, 250));
    anna.compare().await;
    server.kill().await;

    // The third step came later: the first two are not taken again, though one would change what is new.
    migrate(&mut site, 1, &[RARITY, RENAME, CHANGE]);
    let server = site.start().await;
    let mut anna = Client::enter(server.game, "anna").await;
    assert_eq!((anna.revision(), anna.count("gold"), anna.count("gems")), (6, 50, 6));
    anna.apply(grant("bread", 1)).await;
    let newborn = Client::enter(server.game, "newborn").await;
    assert_eq!(newborn.revision(), 1);
    server.kill().await;
    migrate(&mut site, 3, &[CHANGE]);
    let server = site.start().await;
    let anna = Client::enter(server.game, "anna").await;
    let newborn = Client::enter(server.game, "newborn").await;
    assert_eq!((anna.revision(), newborn.revision()), (7, 1), "nothing is left to do");
    assert_eq!((rarity(&anna, "bread"), anna.count("gems")), (None, 6));
    assert_eq!(server.stop().await, Some(0));

    // The books say the same as the bag.
    let pages = pages(&site, "anna").await;
    let migrated: Vec<_> = pages.iter().filter(|page| page.reason == "migration").collect();
    let lines = |page: &codec::Page| -> Vec<(String, String, String, u64)> {
        let text = |(from, to, item, quantity, _): &(String, String, ItemId, u64, Vec<InstanceId>)| {
            (from.clone(), to.clone(), item.to_string(), *quantity)
        };
        page.lines.iter().map(text).collect()
    };
    let line = |from: &str, to: &str, item: &str, quantity| (from.to_owned(), to.to_owned(), item.to_owned(), quantity);
    let [first, second] = migrated[..] else { panic!("two: {migrated:?}") };
    let own = "player:anna";
    assert_eq!(lines(first), [line(own, "sink", "mana_potion", 7), line("mint", own, "blue_potion", 7)]);
    assert_eq!(lines(second), [line("mint", own, "gems", 6), line(own, "sink", "gold", 200)]);
}

/// The store of a site on which no server runs, handed to `look`, and given up before this returns.
async fn look<T>(site: &Site, look: impl AsyncFnOnce(&Embedded) -> T) -> T {
    let file = site.dir().join("data/store.redb");
    let store = Embedded::open(&file, 1 << 20, node()).expect("nobody has it");
    let seen = look(&store).await;
    drop(store);
    // Its thread ends a moment after its last handle.
    while redb::Database::open(&file).is_err() {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    seen
}

async fn loaded(site: &Site, player: &str) -> Stored {
    look(site, async |store| acquire(store, player).await).await
}

async fn pages(site: &Site, player: &str) -> Vec<codec::Page> {
    loaded(site, player).await.recent.iter().flat_map(|bytes| codec::read(bytes).expect("our own pages")).collect()
}

#[tokio::test]
async fn killed_in_between_a_player_has_taken_every_step_or_none() {
    killed_in_between(Site::new()).await;
}

#[tokio::test]
async fn killed_in_between_on_redis_as_well() {
    let redis = Redis::run().await;
    killed_in_between(Site::new().on(&redis.url())).await;
}

async fn killed_in_between(mut site: Site) {
    let server = site.start().await;
    set_up(&server).await;
    server.kill().await;
    for round in 0..6_u32 {
        let steps: Vec<&str> = (0..=round).map(|_| CHANGE).collect();
        migrate(&mut site, 1, &steps);
        let server = site.start().await;
        let mut anna = Client::open(server.game, Subprotocol::Json).await;
        anna.hello("dev:anna", None).await;
        if round % 2 == 0 {
            // Killed while the load may be anywhere.
            server.kill().await;
        } else {
            anna.expect_welcome().await;
            server.kill().await;
        }
        let server = site.start().await;
        let mut anna = Client::enter(server.game, "anna").await;
        // The first step takes 200, and what is left never makes a whole again.
        assert_eq!((anna.revision(), anna.count("gold"), anna.count("gems")), (5, 50, 6), "round {round}");
        anna.compare().await;
        server.kill().await;
    }
}

#[tokio::test]
async fn a_step_that_fails_keeps_one_player_out_and_leaves_what_is_stored() {
    let mut site = Site::new().allow("a stored player was refused and left alone");
    let server = site.start().await;
    set_up(&server).await;
    let mut rich = Client::enter(server.game, "rich").await;
    rich.apply(pay("gold", 100)).await;
    rich.apply(pay("gems", NUMBER_MAX)).await;
    rich.apply(grant("ore", 3)).await;
    drop(rich);
    assert_eq!(server.stop().await, Some(0));
    let stored = |loaded: Stored| (loaded.revision, loaded.content, loaded.places, loaded.recent);
    let before = stored(loaded(&site, "rich").await);

    migrate(&mut site, 1, &[RARITY, CHANGE]);
    let server = site.start().await;
    for _ in 0..2 {
        let mut rich = Client::open(server.game, Subprotocol::Msgpack).await;
        rich.hello("dev:rich", None).await;
        let reason = rich.expect_close(Close::PlayerRefused).await;
        assert!(reason.contains("content step 2 (gold to gems, 3 for 100) cannot be taken"), "{reason}");
    }
    let anna = Client::enter(server.game, "anna").await;
    assert_eq!(anna.count("gems"), 6, "others are not concerned");
    drop(anna);
    assert_eq!(server.stop().await, Some(0));
    assert_eq!(stored(loaded(&site, "rich").await), before);

    // Without the file, whoever took steps from it is too new; whoever did not is as ever.
    std::fs::remove_file(site.dir().join("migrations.toml")).expect("it was there");
    let server = site.start().await;
    let mut anna = Client::open(server.game, Subprotocol::Msgpack).await;
    anna.hello("dev:anna", None).await;
    let reason = anna.expect_close(Close::PlayerRefused).await;
    assert!(reason.contains("content step 2 was taken, the newest in the migrations file is 0"), "{reason}");
    let rich = Client::enter(server.game, "rich").await;
    assert_eq!((rich.count("gold"), rich.count("gems"), rich.count("ore")), (100, NUMBER_MAX, 3));
    drop(rich);
    assert_eq!(server.stop().await, Some(0));
}

/// A player whom an operator's steps concern, but nothing of whose is changed, costs no record; and what no catalogue
/// knows is there afterwards as before.
#[tokio::test]
async fn what_no_step_names_stays_as_it_is() {
    let mut site = Site::new().allow("stacks that no longer fit the catalogue were kept, frozen");
    let server = site.start().await;
    assert_eq!(server.stop().await, Some(0));
    let gone = Content::Stack(Stack {
        instance: InstanceId::new(uuid::Uuid::from_u128(7)),
        nature: Nature::plain(ItemId::new("long_gone").expect("an item id")),
        quantity: NonZeroU32::new(3).expect("not zero"),
        acquired_at: 1_700_000_000_000,
    });
    look(&site, async |store| {
        let owner = acquire(store, "p").await.owner;
        let places = vec![("b:2".into(), Some(OURS.to_bytes(&gone)))];
        let write =
            PlayerWrite { content: 0, places, entries: Bytes::new(), release: true, ..write("p", &owner, 0, 1) };
        assert_eq!(store.commit(batch(vec![write]), Life::default()).await, Outcome::Applied);
    })
    .await;
    migrate(&mut site, 1, &[RENAME.replace("blue_potion", "ore").as_str(), CHANGE]);
    let server = site.start().await;
    let player = Client::enter(server.game, "p").await;
    assert_eq!((player.revision(), player.stack("long_gone").0), (1, 2));
    drop(player);
    assert_eq!(server.stop().await, Some(0));
    assert_eq!(loaded(&site, "p").await.content, 2, "and yet it is behind the last step");
}
