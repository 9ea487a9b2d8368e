//! `holdall copy`: a whole store into another one, verified.

use crate::{
    conformance::{acquire, batch, id, node, placing, write},
    inspect::data_dir_with,
    verify::stocks::Sold,
};
use bytes::Bytes;
use holdall_harness::{
    child::Site,
    client::{Client, drop_item, gift, grant},
    command::holdall,
    redis::Redis,
    server::TempDir,
};
use holdall_protocol::ids::SkuId;
use holdall_server::{
    store::{
        Life, Outcome, PlayerWrite, Store, Stored,
        embedded::Embedded,
        memory::{Memory, Shelf},
        stock::{Act, Deed, Known, Stocks as _},
    },
    upkeep::copy::{CopyError, Target, compare, copy},
};
use serde_json::Value;
use std::path::Path;

const PLAYERS: usize = 12;

/// A stopped server's data directory with players who have something and gave something away.
async fn played(site: &Site) {
    let server = site.start().await;
    Client::enter(server.game, "p1").await;
    for n in 0..PLAYERS {
        let mut client = Client::enter(server.game, &format!("p{n}")).await;
        client.apply(grant("ore", 40)).await;
        client.apply(grant("iron_sword", 2)).await;
        client.apply(drop_item("ore", 3)).await;
        let (_, sword) = client.stack("iron_sword");
        if n != 1 {
            client.apply(gift("p1", sword.instance, 1)).await;
        }
    }
    assert_eq!(server.stop().await, Some(0));
}

async fn inspected(dir: &Path, store: &[&str]) -> Vec<Value> {
    let mut all = Vec::new();
    for n in 0..PLAYERS {
        let player = format!("p{n}");
        let command: Vec<&str> = ["inspect", &player, "--json"].iter().chain(store).copied().collect();
        all.push(holdall(dir, &command).await.json());
    }
    all
}

#[tokio::test]
async fn a_copy_of_a_data_directory_holds_the_same_and_can_be_served() {
    let site = Site::new();
    played(&site).await;
    let report = holdall(site.dir(), &["copy", "--from", "data", "--to", "new/data", "--json"]).await.json();
    assert_eq!((&report["copied"]["players"], &report["complete"]), (&PLAYERS.into(), &true.into()), "{report}");
    let source = inspected(site.dir(), &["--store", "data"]).await;
    assert_eq!(source, inspected(site.dir(), &["--store", "new/data"]).await);

    std::fs::remove_dir_all(site.dir().join("data")).expect("the old one goes");
    std::fs::rename(site.dir().join("new/data"), site.dir().join("data")).expect("the new one takes its place");
    let server = site.start().await;
    let mut client = Client::enter(server.game, "p1").await;
    assert_eq!((client.count("iron_sword"), client.welcome().seq.get()), (2 + PLAYERS as u64 - 1, 3));
    client.apply(drop_item("ore", 1)).await;
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn a_realm_goes_into_a_redis_and_back() {
    let redis = Redis::run().await;
    let site = Site::new();
    played(&site).await;
    let (dir, url) = (site.dir(), redis.url());
    let to_redis = holdall(dir, &["copy", "--from", "data", "--to", &url, "--to-realm", "eu"]).await;
    to_redis.expect(0, &["12 players", "the same in both, byte for byte"]);
    let from_redis = holdall(dir, &["copy", "--from", &url, "--realm", "eu", "--to", "back"]).await;
    from_redis.expect(0, &["12 players", "the same in both, byte for byte"]);
    let source = inspected(dir, &["--store", "data"]).await;
    assert_eq!(source, inspected(dir, &["--store", &url, "--realm", "eu"]).await);
    assert_eq!(source, inspected(dir, &["--store", "back"]).await);

    let site = Site::new().on(&url).knob("store.realm", "eu");
    let server = site.start().await;
    assert_eq!(Client::enter(server.game, "p1").await.count("iron_sword"), 2 + PLAYERS as u64 - 1);
    let alive = holdall(site.dir(), &["copy", "--from", &url, "--realm", "eu", "--to", "more"]).await;
    alive.expect(3, &["the source is in use", "stop every server"]);
    let alive = holdall(dir, &["copy", "--from", "data", "--to", &url, "--to-realm", "eu"]).await;
    alive.expect(3, &["the target is in use", "stop every server"]);
    assert_eq!(server.stop().await, Some(0));
    holdall(site.dir(), &["copy", "--from", &url, "--realm", "eu", "--to", "more"]).await.expect(0, &[]);
}

#[tokio::test]
async fn a_store_with_a_server_on_it_is_neither_source_nor_target() {
    let (site, other) = (Site::new(), TempDir::new());
    data_dir_with(&other.path().join("other"), "anna", &[], &[]).await;
    let other = other.path().join("other").display().to_string();
    let server = site.start().await;
    for (from, to) in [("data", "new"), (other.as_str(), "data")] {
        holdall(site.dir(), &["copy", "--from", from, "--to", to])
            .await
            .expect(3, &["data directory data", "stop its server"]);
    }
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn a_target_with_players_is_refused_unless_a_copy_goes_on() {
    let dir = TempDir::new();
    data_dir_with(&dir.path().join("from"), "anna", &[("c:gold", b"\x05")], &[]).await;
    data_dir_with(&dir.path().join("half"), "anna", &[("c:gold", b"\x05")], &[]).await;
    data_dir_with(&dir.path().join("other"), "anna", &[("c:gold", b"\x06")], &[]).await;
    data_dir_with(&dir.path().join("more"), "berta", &[], &[]).await;
    let copy = async |to: &str, resume: &[&str]| {
        let command: Vec<&str> = ["copy", "--from", "from", "--to", to].iter().chain(resume).copied().collect();
        holdall(dir.path(), &command).await
    };
    copy("half", &[]).await.expect(3, &["already has players", "anna", "--resume"]);
    copy("half", &["--resume"]).await.expect(0, &["1 players were there already", "1 players are the same"]);
    copy("other", &["--resume"]).await.expect(1, &["DIFFERENT: anna has other things"]);
    copy("more", &["--resume"]).await.expect(1, &["DIFFERENT: berta is in the target alone", "1 players are the same"]);
    copy("from", &[]).await.expect(2, &["the same store"]);
    copy("./from", &[]).await.expect(2, &["the same store"]);
}

#[tokio::test]
async fn what_waits_in_a_spool_is_saved_before_anything_is_copied() {
    let dir = TempDir::new();
    data_dir_with(&dir.path().join("from"), "anna", &[], &[]).await;
    std::fs::write(dir.path().join("from/spool"), "x").expect("a file");
    holdall(dir.path(), &["copy", "--from", "from", "--to", "to"])
        .await
        .expect(3, &["from/spool", "start the server once"]);
}

/// A store with two players at revision 1.
async fn two_players() -> Memory {
    let store = Shelf::default().open(node());
    for player in ["anna", "berta"] {
        let owner = acquire(&store, player).await.owner;
        let with = placing(write(player, &owner, 0, 1), &[("b:0", Some("ore"))]);
        let with = PlayerWrite { entries: Bytes::from_static(b"born"), release: true, ..with };
        assert_eq!(store.commit(batch(vec![with]), Life::default()).await, Outcome::Applied);
    }
    store
}

#[tokio::test]
async fn every_difference_is_found() {
    let source = two_players().await;
    let anna = source.peek(id("anna")).await.expect("it answers").expect("she is there");
    let ledger = source.ledger(id("anna"), None).await.expect("it answers").items;
    let with = |change: fn(&mut Stored)| {
        let mut changed = anna.clone();
        change(&mut changed);
        changed
    };
    for (stored, ledger, difference) in [
        (with(|_| {}), ledger.clone(), None),
        (with(|stored| stored.places[0].1 = Bytes::from_static(b"orc")), ledger.clone(), Some("other things")),
        (with(|stored| stored.places.clear()), ledger.clone(), Some("other things")),
        (with(|stored| stored.epoch += 1), ledger.clone(), Some("another header")),
        (with(|stored| stored.content += 1), ledger.clone(), Some("another header")),
        (with(|stored| stored.saved_at += 1), ledger.clone(), Some("another header")),
        (with(|stored| stored.opened = stored.revision), ledger.clone(), Some("another header")),
        (with(|_| {}), Vec::new(), Some("another ledger")),
    ] {
        let target = Shelf::default().open(node());
        target.import(id("anna"), stored, ledger).await.expect("the target is empty");
        let copied = copy(&source, &target, Target::Resumed, |_, _| {}).await.expect("nobody is alive");
        assert_eq!((copied.players, copied.there), (1, 1), "only berta was missing");
        let compared = compare(&source, &target, |_, _| {}).await.expect("nobody is alive");
        assert_eq!(compared.equal, if difference.is_none() { 2 } else { 1 });
        assert_eq!(compared.differences.len(), usize::from(difference.is_some()));
        let found = compared.differences.iter().all(|found| found.contains(difference.unwrap_or_default()));
        assert!(found, "{difference:?}: {:?}", compared.differences);
    }
}

#[tokio::test]
async fn a_player_that_comes_or_goes_meanwhile_is_found() {
    let (source, target) = (two_players().await, Shelf::default().open(node()));
    copy(&source, &target, Target::Empty, |_, _| {}).await.expect("nobody is alive");
    let owner = acquire(&source, "carla").await.owner;
    source.commit(batch(vec![write("carla", &owner, 0, 1)]), Life::default()).await;
    acquire(&target, "anna").await;
    let compared = compare(&source, &target, |_, _| {}).await.expect("nobody is alive");
    assert_eq!(compared.equal, 1);
    let differences = compared.differences.join("\n");
    assert!(differences.contains("anna is owned in the target"), "{differences}");
    assert!(differences.contains("carla is missing in the target"), "{differences}");
}

#[tokio::test]
async fn stocks_go_along_with_their_holds_and_their_audit() {
    let (source, target) = (Shelf::default().open(node()), Shelf::default().open(node()));
    let dir = TempDir::new();
    let file = Embedded::open(&dir.path().join("store.redb"), 1 << 20, node()).expect("a new file opens");
    Sold::play().await.put_into(&source).await;
    for (from, to) in [(&source as &dyn Store, &file as &dyn Store), (&file, &target)] {
        let copied = copy(from, to, Target::Empty, |_, _| ()).await.expect("both answer");
        assert_eq!((copied.players, copied.skus, copied.holds, copied.audit_entries), (1, 1, 4, 9), "{copied:?}");
        let compared = compare(from, to, |_, _| ()).await.expect("both answer");
        assert_eq!((compared.equal_skus, compared.differences), (1, Vec::new()));
        let again = copy(from, to, Target::Resumed, |_, _| ()).await.expect("both answer");
        assert_eq!((again.skus, again.skus_there), (0, 1), "{again:?}");
    }
    assert_eq!(format!("{:?}", Sold::of(&source).await), format!("{:?}", Sold::of(&target).await));
}

#[tokio::test]
async fn a_target_with_a_stock_is_refused_and_another_stock_is_a_difference() {
    let (source, target) = (Shelf::default().open(node()), Shelf::default().open(node()));
    for (store, quantity) in [(&source, 5), (&target, 6)] {
        let sku = SkuId::new("sword").expect("a SKU");
        let act = Act::Seed { sku, quantity, known: Known::Leave };
        store.stock(Deed { act, key: None, why: None }).await.expect("it can be done");
    }
    let refused = copy(&source, &target, Target::Empty, |_, _| ()).await;
    assert!(matches!(refused, Err(CopyError::HasStock { .. })), "{refused:?}");
    let compared = compare(&source, &target, |_, _| ()).await.expect("both answer");
    assert_eq!(compared.differences, ["SKU sword has another audit"]);
}
