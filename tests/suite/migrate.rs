//! `holdall migrate`: every player brought forward at once, by real programs.

use holdall_harness::{
    child::Site,
    client::{Client, grant, pay},
    command::{Said, holdall},
    redis::Redis,
};
use holdall_protocol::{close::Close, frame::Subprotocol};
use serde_json::{Value, json};
use std::path::Path;

const RARITY: &str = r#"default_attribute = { item = "*", key = "rarity", value = "common" }"#;
const CHANGE: &str = r#"convert_currency = { from = "gold", to = "gems", take = 100, give = 3 }"#;
/// Whoever has two gold cannot take it.
const RICHES: &str = r#"convert_currency = { from = "gold", to = "gems", take = 1, give = 9007199254740991 }"#;

/// Writes the steps and a config that names them, for commands, and turns the knob for servers.
fn steps(site: &mut Site, steps: &[&str]) {
    let numbered = steps.iter().zip(1..).map(|(step, n)| format!("[[step]]\nnumber = {n}\n{step}\n"));
    let file = site.dir().join("migrations.toml");
    std::fs::write(&file, numbered.collect::<String>()).expect("a file");
    site.turn("catalog.migrations_file", file.display());
    let items = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/items.toml");
    let config = format!("[catalog]\nitems_file = {items:?}\nmigrations_file = {file:?}\n");
    std::fs::write(site.dir().join("holdall.toml"), config).expect("a file");
}

/// Three players of before any step: one with things and gold, one with things, one with nothing.
async fn populate(site: &Site) {
    let server = site.start().await;
    let mut anna = Client::enter(server.game, "anna").await;
    anna.apply(grant("ore", 120)).await;
    anna.apply(pay("gold", 250)).await;
    Client::enter(server.game, "berta").await.apply(grant("iron_sword", 2)).await;
    Client::enter(server.game, "carla").await;
    assert_eq!(server.stop().await, Some(0));
}

async fn migrate(site: &Site, store: &str, more: &[&str]) -> Said {
    let command = ["migrate", "--config", "holdall.toml", "--store", store];
    let command: Vec<&str> = command.iter().chain(more).copied().collect();
    holdall(site.dir(), &command).await
}

async fn stored(site: &Site, store: &str) -> Vec<Value> {
    let mut all = Vec::new();
    for player in ["anna", "berta", "carla"] {
        all.push(holdall(site.dir(), &["inspect", player, "--store", store, "--json"]).await.json());
    }
    all
}

fn amount(player: &Value, place: &str) -> Value {
    let places = player["places"].as_array().expect("places");
    places.iter().find(|held| held["place"] == place).map_or(Value::Null, |held| held["amount"].clone())
}

/// What both steps do to the population: ore is one stack of 99 and one of 21, swords do not stack.
fn expected(dry_run: bool) -> Value {
    json!({
        "dry_run": dry_run, "newest_step": 2, "players": 3, "current": 0, "forward": 3, "rewritten": 0, "in_play": 0,
        "waiting": 0,
        "steps": [
            {"number": 1, "what": "default for rarity of every item", "players": 3, "changed": 2, "stacks": 4, "balances": 0},
            {"number": 2, "what": "gold to gems, 3 for 100", "players": 3, "changed": 1, "stacks": 0, "balances": 2},
        ],
        "refused": [],
    })
}

async fn all_are_migrated_once_and_a_dry_run_changes_nothing(mut site: Site, store: &str) {
    populate(&site).await;
    steps(&mut site, &[RARITY, CHANGE]);
    let before = stored(&site, store).await;
    assert_eq!(migrate(&site, store, &["--dry-run", "--json"]).await.json(), expected(true));
    assert_eq!(stored(&site, store).await, before, "nothing at all");
    assert_eq!(migrate(&site, store, &["--json"]).await.json(), expected(false));

    let after = stored(&site, store).await;
    for (before, after) in before.iter().zip(&after) {
        assert_eq!((&after["owner"], &after["content"]), (&Value::Null, &json!(2)), "{after}");
        assert_eq!(after["seq"], before["seq"], "no request of theirs");
    }
    assert_eq!((amount(&after[0], "c:gold"), amount(&after[0], "c:gems")), (json!(50), json!(6)));
    let last = after[0]["ledger"]["last"].as_array().and_then(|last| last.last()).expect("an entry");
    assert_eq!((&last["reason"], &last["actor"]), (&json!("migration"), &json!("server")));
    assert_eq!(after[2]["revision"], before[2]["revision"], "nothing of carla's has changed");

    migrate(&site, store, &[]).await.expect(0, &["3 players: 0 migrated, 3 up to date, 0 in play, 0 refused"]);
    assert_eq!(stored(&site, store).await, after);
    let server = site.start().await;
    let anna = Client::enter(server.game, "anna").await;
    assert_eq!((anna.revision(), anna.count("gold"), anna.count("ore")), (4, 50, 120), "nothing is left to do");
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn all_are_migrated_without_a_server() {
    all_are_migrated_once_and_a_dry_run_changes_nothing(Site::new(), "data").await;
}

#[tokio::test]
async fn all_are_migrated_on_a_redis() {
    let redis = Redis::run().await;
    let url = redis.url();
    all_are_migrated_once_and_a_dry_run_changes_nothing(Site::new().on(&url), &url).await;
    redis.expect_commands_signed_off().await;
}

async fn who_is_in_play_is_left(mut site: Site, store: &str) {
    populate(&site).await;
    steps(&mut site, &[RARITY, CHANGE]);
    let server = site.start().await;
    let mut anna = Client::enter(server.game, "anna").await;
    assert_eq!((anna.revision(), anna.count("gems")), (4, 6), "migrated when she came");
    let before = stored(&site, store).await;
    let dry_run = migrate(&site, store, &["--dry-run"]).await;
    dry_run.expect(0, &["3 players: 2 to be migrated, 0 up to date, 1 in play, 0 refused", "nothing was changed"]);
    assert_eq!(stored(&site, store).await, before, "nothing at all");
    migrate(&site, store, &[]).await.expect(0, &["3 players: 2 migrated, 0 up to date, 1 in play, 0 refused"]);

    anna.apply(grant("bread", 1)).await;
    let berta = Client::enter(server.game, "berta").await;
    assert_eq!((berta.revision(), berta.count("iron_sword")), (3, 2));
    assert_eq!(server.stop().await, Some(0));
    migrate(&site, store, &[]).await.expect(0, &["3 players: 0 migrated, 3 up to date"]);
    assert_eq!(stored(&site, store).await[1]["revision"], 3, "berta was migrated once");
}

#[tokio::test]
async fn on_a_running_server_who_is_in_play_is_left() {
    who_is_in_play_is_left(Site::new(), "data").await;
}

#[tokio::test]
async fn beside_a_server_on_a_redis_who_is_in_play_is_left() {
    let redis = Redis::run().await;
    let url = redis.url();
    who_is_in_play_is_left(Site::new().on(&url), &url).await;
}

#[tokio::test]
async fn a_player_who_cannot_take_a_step_is_listed_and_left() {
    let mut site = Site::new();
    populate(&site).await;
    steps(&mut site, &[RARITY, RICHES]);
    let before = stored(&site, "data").await;
    for dry_run in [&["--dry-run"][..], &[]] {
        let said = migrate(&site, "data", dry_run).await;
        said.expect(1, &["1 refused", "REFUSED: anna: content step 2", "cannot be taken"]);
    }
    let after = stored(&site, "data").await;
    assert_eq!(after[0], before[0], "anna is as she was");
    assert_eq!((&after[1]["content"], &after[2]["content"]), (&json!(2), &json!(2)), "the others are migrated");
    assert_eq!(migrate(&site, "data", &["--json"]).await.code, Some(1));
}

#[tokio::test]
async fn a_server_that_was_started_with_other_steps_does_nothing() {
    let mut site = Site::new();
    populate(&site).await;
    let server = site.start().await;
    steps(&mut site, &[RARITY, CHANGE]);
    let before = stored(&site, "data").await;
    migrate(&site, "data", &[]).await.expect(3, &["steps up to 0", "up to 2", "restart the server"]);
    assert_eq!(stored(&site, "data").await, before);
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn who_is_in_play_under_fewer_steps_is_not_said_to_be_migrated() {
    let redis = Redis::run().await;
    let url = redis.url();
    let mut site = Site::new().on(&url).allow("a stored player was refused and left alone");
    populate(&site).await;
    let server = site.start().await;
    let anna = Client::enter(server.game, "anna").await;
    steps(&mut site, &[RARITY, CHANGE]);
    let untouched = stored(&site, &url).await.remove(0);
    for (dry_run, done) in [(&["--dry-run"][..], "2 to be migrated, 0 up to date"), (&[], "2 migrated, 0 up to date")] {
        let said = migrate(&site, &url, dry_run).await;
        said.expect(0, &[done, "1 in play, 0 refused", "NOT YET migrated: 1 of those in play"]);
        assert!(!said.out.contains("were migrated when they were loaded"), "{said:?}");
    }
    assert_eq!(stored(&site, &url).await[0], untouched, "anna is as she was");
    let mut berta = Client::open(server.game, Subprotocol::Json).await;
    berta.hello("dev:berta", None).await;
    berta.expect_close(Close::PlayerRefused).await;
    drop(anna);
    assert_eq!(server.stop().await, Some(0));
    migrate(&site, &url, &[]).await.expect(0, &["3 players: 1 migrated, 2 up to date, 0 in play, 0 refused"]);
}

#[tokio::test]
async fn what_waits_in_a_spool_is_saved_before_anybody_is_migrated() {
    let mut site = Site::new();
    populate(&site).await;
    steps(&mut site, &[RARITY]);
    std::fs::write(site.dir().join("data/spool"), "x").expect("a file");
    migrate(&site, "data", &[]).await.expect(3, &["data/spool", "start the server once"]);
}
