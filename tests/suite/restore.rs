//! `holdall restore`: a player set back to an earlier revision, by real programs.

mod elsewhere;
mod twice;

use holdall_harness::{
    child::Site,
    client::{Client, drop_item, gift, grant, pay},
    command::{Said, holdall},
    redis::Redis,
    trade::{Traders, cancel},
};
use holdall_protocol::message::{Cause, Delta, Nothing};
use serde_json::{Value, json};
use std::path::Path;

async fn restore(site: &Site, store: &str, player: &str, more: &[&str]) -> Said {
    let items = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/items.toml");
    let config = format!("[catalog]\nitems_file = {items:?}\n");
    std::fs::write(site.dir().join("holdall.toml"), config).expect("a file");
    let command = ["restore", player, "--config", "holdall.toml", "--store", store];
    let command: Vec<&str> = command.iter().chain(more).copied().collect();
    holdall(site.dir(), &command).await
}

/// Sets a player back to a revision, and says why.
pub(crate) async fn set_back(site: &Site, store: &str, player: &str, revision: &str, more: &[&str]) -> Said {
    let order = ["--revision", revision, "--reason", "a bug ate it"];
    restore(site, store, player, &order.iter().chain(more).copied().collect::<Vec<_>>()).await
}

pub(crate) async fn stored(site: &Site, store: &str, player: &str) -> Value {
    holdall(site.dir(), &["inspect", player, "--store", store, "--json"]).await.json()
}

/// That every player's things, also those that were set back, are what the ledger says, and nobody has another's.
pub(crate) async fn prove(site: &Site, store: &str) {
    holdall(site.dir(), &["verify", "--store", store]).await.expect(0, &[]);
}

/// The newest entry of a player's ledger.
fn last(stored: &Value) -> &Value {
    stored["ledger"]["last"].as_array().and_then(|last| last.last()).expect("an entry")
}

/// A client of Anna's with 120 ore, 250 gold and a sword, at revision 4.
async fn rich(game: std::net::SocketAddr) -> Client {
    let mut anna = Client::enter(game, "anna").await;
    anna.apply(grant("ore", 120)).await;
    anna.apply(pay("gold", 250)).await;
    anna.apply(grant("iron_sword", 1)).await;
    assert_eq!(anna.revision(), 4);
    anna
}

/// What a client is told next of changes that it did not ask for.
async fn next_delta(client: &mut Client) -> Delta {
    while client.deltas.is_empty() {
        client.message().await;
    }
    client.deltas.remove(0)
}

async fn a_player_who_is_not_here_is_set_back(site: Site, store: &str) {
    let server = site.start().await;
    let anna = rich(server.game).await;
    drop(anna);
    assert_eq!(server.stop().await, Some(0));
    let then = stored(&site, store, "anna").await;
    let server = site.start().await;
    let mut anna = Client::enter(server.game, "anna").await;
    anna.apply(drop_item("ore", 50)).await;
    anna.apply(drop_item("iron_sword", 1)).await;
    anna.apply(grant("bread", 3)).await;
    drop(anna);
    assert_eq!(server.stop().await, Some(0));

    let before = stored(&site, store, "anna").await;
    let shown = restore(&site, store, "anna", &["--revision", "4", "--dry-run", "--json"]).await.json();
    assert_eq!((&shown["from"], &shown["to"], &shown["revision"]), (&json!(7), &json!(4), &Value::Null));
    assert_eq!(
        shown["totals"],
        json!([
            {"item": "bread", "before": 3, "after": 0},
            {"item": "iron_sword", "before": 0, "after": 1},
            {"item": "ore", "before": 70, "after": 120},
        ])
    );
    assert_eq!((&shown["others"], &shown["others_undone"]), (&json!([]), &json!(false)));
    assert_eq!(stored(&site, store, "anna").await, before, "nothing at all was written");

    let words = ["+ b:", "iron_sword", "ore 70 -> 120 (+50)", "bread 3 -> 0 (-3)", "restored: anna is at revision 8"];
    set_back(&site, store, "anna", "4", &[]).await.expect(0, &words);
    let after = stored(&site, store, "anna").await;
    assert_eq!(after["places"], then["places"], "every stack under its own id, where it lay");
    assert_eq!((&after["revision"], &after["seq"], &after["owner"]), (&json!(8), &before["seq"], &Value::Null));
    let entry = last(&after);
    assert_eq!((&entry["reason"], &entry["actor"]), (&json!("restore"), &json!("operator:cli")));
    assert_eq!(entry["order"]["why"], "a bug ate it");

    let server = site.start().await;
    let mut anna = Client::enter(server.game, "anna").await;
    assert_eq!((anna.count("ore"), anna.count("iron_sword"), anna.count("bread")), (120, 1, 0));
    anna.apply(drop_item("ore", 1)).await;
    anna.compare().await;
    drop(anna);
    assert_eq!(server.stop().await, Some(0));
    // The restore can be undone like anything else.
    set_back(&site, store, "anna", "7", &[]).await.expect(0, &["restored: anna is at revision 10"]);
    assert_eq!(stored(&site, store, "anna").await["places"], before["places"]);
    prove(&site, store).await;
}

#[tokio::test]
async fn a_player_of_a_stopped_server_is_set_back() {
    a_player_who_is_not_here_is_set_back(Site::new(), "data").await;
}

#[tokio::test]
async fn a_player_on_a_redis_whom_nobody_has_is_set_back() {
    let redis = Redis::run().await;
    let url = redis.url();
    a_player_who_is_not_here_is_set_back(Site::new().on(&url), &url).await;
    redis.expect_commands_signed_off().await;
}

#[tokio::test]
async fn a_player_in_the_game_is_told_of_it() {
    for site in [Site::new(), Site::new().knob("store.ack", "applied")] {
        let server = site.start().await;
        let mut anna = rich(server.game).await;
        anna.apply(drop_item("ore", 50)).await;
        anna.apply(drop_item("iron_sword", 1)).await;
        set_back(&site, "data", "anna", "4", &[]).await.expect(0, &["restored: anna is at revision 7"]);
        let told = next_delta(&mut anna).await;
        assert_eq!((told.cause, told.revision.get()), (Cause::Server(Nothing {}), 7));
        assert_eq!((anna.count("ore"), anna.count("iron_sword")), (120, 1));
        anna.compare().await;
        anna.apply(drop_item("iron_sword", 1)).await;
        anna.compare().await;
        // Somebody who is only waiting for a resume, and somebody who is not loaded.
        drop(anna);
        set_back(&site, "data", "anna", "4", &[]).await.expect(0, &["restored: anna is at revision 9"]);
        assert_eq!(server.stop().await, Some(0));
        assert_eq!(stored(&site, "data", "anna").await["revision"], 9);
        prove(&site, "data").await;
    }
}

#[tokio::test]
async fn what_others_had_a_part_in_is_listed_and_left_alone() {
    let site = Site::new();
    let server = site.start().await;
    let mut anna = rich(server.game).await;
    let mut bert = Client::enter(server.game, "bert").await;
    bert.apply(grant("bread", 2)).await;
    let (sword, ore) = (anna.stack("iron_sword").1.instance, anna.stack("ore").1.instance);
    anna.apply(gift("bert", sword, 1)).await;
    anna.apply(gift("bert", ore, 10)).await;
    bert.apply(gift("anna", bert.stack("bread").1.instance, 2)).await;
    next_delta(&mut anna).await;
    anna.apply(drop_item("ore", 60)).await;

    let done = set_back(&site, "data", "anna", "4", &["--json"]).await.json();
    let others = done["others"].as_array().expect("others");
    let told: Vec<_> = others.iter().map(|one| (&one["with"][0], &one["went"], &one["came"])).collect();
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told.iter().all(|(with, ..)| **with == "player:bert"), "{told:?}");
    assert_eq!(told[0].1, &json!([{"item": "iron_sword", "quantity": 1, "instances": [sword.to_string()]}]));
    assert_eq!((&told[1].1[0]["quantity"], &told[2].2[0]["item"]), (&json!(10), &json!("bread")));
    next_delta(&mut anna).await;
    assert_eq!((anna.count("ore"), anna.count("iron_sword"), anna.count("bread")), (110, 0, 2));
    anna.compare().await;
    bert.compare().await;
    assert_eq!((bert.count("iron_sword"), bert.count("ore")), (1, 10), "he has it still");

    prove(&site, "data").await;

    set_back(&site, "data", "anna", "4", &["--allow-duplicates"]).await.expect(0, &["undone on this side only"]);
    next_delta(&mut anna).await;
    assert_eq!((anna.count("ore"), anna.count("iron_sword"), anna.count("bread")), (120, 1, 0));
    assert_ne!(anna.stack("iron_sword").1.instance, sword, "a copy is another one");
    anna.compare().await;
    // The copy can be given to whoever has the first one.
    let copy = anna.stack("iron_sword").1.instance;
    anna.apply(gift("bert", copy, 1)).await;
    bert.compare().await;
    assert_eq!(bert.count("iron_sword"), 2);
    prove(&site, "data").await;
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn what_waits_in_an_inbox_does_not_come_back() {
    let site = Site::new();
    let server = site.start().await;
    drop(Client::enter(server.game, "bert").await);
    assert_eq!(server.stop().await, Some(0));
    let server = site.start().await;
    let mut anna = rich(server.game).await;
    let sword = anna.stack("iron_sword").1.instance;
    anna.apply(gift("bert", sword, 1)).await;
    drop(anna);
    let done = set_back(&site, "data", "anna", "4", &["--json"]).await.json();
    assert_eq!((&done["places"], &done["others"][0]["with"]), (&json!([]), &json!(["inbox:bert"])));
    let mut bert = Client::enter(server.game, "bert").await;
    // It may have been quicker than the welcome, and then it is in the snapshot.
    while bert.count("iron_sword") == 0 {
        next_delta(&mut bert).await;
    }
    assert_eq!(bert.stack("iron_sword").1.instance, sword);
    let anna = Client::enter(server.game, "anna").await;
    assert_eq!((anna.count("iron_sword"), anna.revision()), (0, 6), "it is told in the ledger all the same");
    prove(&site, "data").await;
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn what_is_put_up_in_a_trade_cannot_be_taken_back_by_a_restore() {
    let site = Site::new();
    let server = site.start().await;
    let mut traders = Traders::meet(server.game).await;
    traders.offer_both().await;
    let said = set_back(&site, "data", "anna", "1", &["--key", "k1"]).await;
    said.expect(1, &["offered in a trade", "--key k1"]);
    // What is not put up is no hindrance.
    traders.bert.apply(grant("bread", 1)).await;
    set_back(&site, "data", "bert", "3", &[]).await.expect(0, &["bread 10 -> 9"]);
    traders.anna.step(cancel(traders.trade)).await;
    set_back(&site, "data", "anna", "1", &["--key", "k1"]).await.expect(0, &["restored: anna is at revision 4"]);
    next_delta(&mut traders.anna).await;
    assert_eq!((traders.anna.count("ore"), traders.anna.count("iron_sword")), (0, 0));
    traders.anna.compare().await;
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn a_time_says_which_revision_is_meant() {
    let site = Site::new();
    let server = site.start().await;
    let mut anna = rich(server.game).await;
    let at = |stored: &Value| last(stored)["at"].as_u64().expect("a time");
    let then = at(&stored(&site, "data", "anna").await);
    // The ledger counts in milliseconds.
    while at(&stored(&site, "data", "anna").await) <= then {
        anna.apply(grant("bread", 1)).await;
    }
    let time = holdall_server::clock::iso(then);
    let shown = restore(&site, "data", "anna", &["--at", &time, "--dry-run", "--json"]).await.json();
    assert_eq!(shown["to"], 4);
    restore(&site, "data", "anna", &["--at", &time, "--reason", "r"]).await.expect(0, &["restored: anna"]);
    next_delta(&mut anna).await;
    assert_eq!(anna.count("bread"), 0);
    for (time, why) in [("2026-02-30", "no time"), ("2001-01-01", "born later"), ("2999-01-01", "the future")] {
        restore(&site, "data", "anna", &["--at", time, "--reason", "r"]).await.expect(2, &[why]);
    }
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn what_cannot_be_asked_for_is_refused_and_changes_nothing() {
    let site = Site::new();
    let server = site.start().await;
    let anna = rich(server.game).await;
    let before = stored(&site, "data", "anna").await;
    for (player, arguments, code, why) in [
        ("nobody", &["--revision", "1", "--reason", "r"][..], 2, "no such player"),
        ("a b", &["--revision", "1", "--reason", "r"], 2, "a player id"),
        ("anna", &["--revision", "9", "--reason", "r"], 2, "revision 9 lies in the future: the player is at 4"),
        ("anna", &["--revision", "0", "--reason", "r"], 2, "born with revision 1"),
        ("anna", &["--revision", "1"], 2, "--reason"),
        ("anna", &["--revision", "1", "--reason", " "], 2, "a reason of 1 to 500 characters"),
        ("anna", &["--reason", "r"], 2, "--revision"),
        ("anna", &["--revision", "1", "--at", "2001-01-01", "--reason", "r"], 2, "--at"),
        ("anna", &["--revision", "1", "--reason", "r", "--key", "a:b"], 2, "an idempotency key"),
    ] {
        restore(&site, "data", player, arguments).await.expect(code, &[why]);
        let dry: Vec<&str> = arguments.iter().chain(&["--dry-run"]).copied().collect();
        if why != "--reason" && !why.starts_with("a reason") {
            restore(&site, "data", player, &dry).await.expect(code, &[why]);
        }
    }
    assert_eq!(stored(&site, "data", "anna").await, before);
    drop(anna);
    assert_eq!(server.stop().await, Some(0));
    restore(&site, "data", "nobody", &["--revision", "1", "--reason", "r"]).await.expect(2, &["no such player"]);
    restore(&site, "data", "anna", &["--revision", "9", "--reason", "r"]).await.expect(2, &["in the future"]);
    let nobody = holdall(site.dir(), &["inspect", "nobody", "--store", "data"]).await;
    nobody.expect(1, &["no player nobody"]);
}
