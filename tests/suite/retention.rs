//! The oldest entries of a ledger make room for an opening balance, and whatever reads ledgers still agrees.

use crate::{
    conformance::id,
    exactly_once::fate,
    orders::{LEASE, does, grant as granting, house_that_keeps},
    restore::{prove, set_back, stored},
};
use holdall_harness::{
    child::{Server, Site},
    client::{Client, drop_item, gift, grant},
    command::holdall,
    redis::Redis,
    trade::Traders,
};
use holdall_server::{
    journal::Ack,
    ledger::past::Book,
    roster::{Roster, retention::Retention},
    schema::OURS,
    store::memory::Shelf,
    upkeep::verify::verify_picture,
};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use tokio::time::{sleep, timeout};

/// Guards against hangs only.
const PATIENCE: Duration = Duration::from_secs(60);
/// One after the other, each written alone: more than two pages of a store's ledger.
const CHANGES: u64 = 700;
/// What answers repeated requests, and always stays.
const KEPT: u64 = 64;

fn site() -> Site {
    Site::new().knob("ledger.entries_max", KEPT)
}

async fn history(site: &Site, store: &str) -> Value {
    holdall(site.dir(), &["history", "anna", "--store", store, "--json"]).await.json()
}

fn revisions(history: &Value) -> Vec<u64> {
    let entries = history["entries"].as_array().expect("entries");
    entries.iter().map(|entry| entry["revision"].as_u64().expect("a number")).collect()
}

/// Anna trades with Bert, gives him something, leaves something in Cara's inbox, and then does much else.
async fn play(server: &Server) -> u64 {
    drop(Client::enter(server.game, "cara").await);
    let mut traders = Traders::meet(server.game).await;
    let both = traders.offer_both().await;
    traders.settle(both).await;
    let Traders { mut anna, bert, .. } = traders;
    let bread = anna_bread(&mut anna).await;
    anna.apply(gift("bert", bread, 3)).await;
    drop(bert);
    anna.apply(gift("cara", bread, 2)).await;
    for n in 0..CHANGES {
        anna.apply(if n % 2 == 0 { grant("wood", 2) } else { drop_item("wood", 1) }).await;
    }
    anna.revision()
}

/// A stack of bread of hers.
async fn anna_bread(anna: &mut Client) -> holdall_protocol::ids::InstanceId {
    anna.apply(grant("bread", 9)).await;
    anna.stack("bread").1.instance
}

/// Lets Anna in and waits until her ledger begins later.
async fn until_opened(site: &Site, server: &Server, store: &str) -> (Client, Value) {
    let anna = Client::enter(server.game, "anna").await;
    let opened = async {
        loop {
            let history = history(site, store).await;
            if !history["opened"].is_null() {
                return history;
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    (anna, timeout(PATIENCE, opened).await.expect("the ledger is shortened"))
}

/// That the history begins right after its opening and is whole from there.
fn begins(history: &Value, newest: u64) -> u64 {
    let opened = history["opened"]["revision"].as_u64().expect("a number");
    assert_eq!(revisions(history), (opened + 1..=newest).collect::<Vec<_>>());
    assert_eq!((&history["lost"], &history["unreadable"]), (&Value::Null, &Value::Null), "all is known");
    let kept = newest - opened;
    assert!((KEPT..KEPT + 256).contains(&kept), "whole pages go, as many as may: {kept}");
    opened
}

async fn the_oldest_entries_make_room(site: Site, store: &str) {
    let server = site.start().await;
    let newest = play(&server).await;
    assert_eq!(server.stop().await, Some(0));
    let before = stored(&site, store, "anna").await;
    let server = site.start().await;
    let (anna, shown) = until_opened(&site, &server, store).await;
    server.kill().await;
    drop(anna);
    let opened = begins(&shown, newest);

    let server = site.start().await;
    let mut anna = Client::enter(server.game, "anna").await;
    assert_eq!(anna.revision(), newest);
    prove(&site, store).await;
    let after = stored(&site, store, "anna").await;
    assert_eq!((&after["places"], &after["ledger"]["last"]), (&before["places"], &before["ledger"]["last"]));
    let seq = anna.welcome().seq.get();
    assert_eq!(fate(&mut anna, seq, drop_item("wood", 1)).await, (Some(true), Some(newest)), "what it was answered");
    assert_eq!(fate(&mut anna, seq - KEPT + 1, grant("wood", 2)).await.0, Some(true));
    assert_eq!(fate(&mut anna, 1, grant("ore", 30)).await, (None, None), "too long ago to tell");
    let told = format!("opening   at revision {opened}, ");
    let text = holdall(site.dir(), &["history", "anna", "--store", store]).await;
    text.expect(0, &[&told, "earlier entries are no longer kept"]);

    for gone in ["1", "2", &(opened - 1).to_string()] {
        let oldest = format!("no longer kept: the oldest made revision {}", opened + 1);
        set_back(&site, store, "anna", gone, &[]).await.expect(2, &[&oldest]);
    }
    assert_eq!(stored(&site, store, "anna").await["revision"], newest, "nothing was changed");
    set_back(&site, store, "anna", &(opened + 7).to_string(), &[]).await.expect(0, &["restored: anna"]);
    set_back(&site, store, "anna", &opened.to_string(), &[]).await.expect(0, &["restored: anna"]);
    prove(&site, store).await;
    server.kill().await;

    let server = site.start().await;
    let mut cara = Client::enter(server.game, "cara").await;
    while cara.count("bread") == 0 {
        cara.message().await;
    }
    assert_eq!(cara.count("bread"), 2, "of whose giving nothing is told any more");
    prove(&site, store).await;
    assert_eq!(server.stop().await, Some(0));
    prove(&site, store).await;
    assert_eq!(history(&site, store).await["opened"], shown["opened"], "it is not yet due again");
    assert_eq!(json!(newest + 2), stored(&site, store, "anna").await["revision"]);
}

#[tokio::test]
async fn in_a_data_directory_the_oldest_entries_make_room_for_an_opening_balance() {
    the_oldest_entries_make_room(site(), "data").await;
}

#[tokio::test]
async fn on_a_redis_the_oldest_entries_make_room_for_an_opening_balance() {
    let redis = Redis::run().await;
    let url = redis.url();
    the_oldest_entries_make_room(site().on(&url), &url).await;
}

/// Anna does so many things in one process, each written before the next.
async fn plays(house: &Arc<Roster>, changes: u64) {
    house.load(&id("anna")).await.expect("nobody else has her");
    for _ in 0..changes {
        does(house, &granting(1));
        house.journal.settled(&id("anna")).await;
    }
}

/// Waits until what stands for the oldest entries is stored; up to which revision it does.
async fn opened(shelf: &Shelf) -> u64 {
    opened_behind(shelf, 0).await
}

/// The same of entries behind a revision.
async fn opened_behind(shelf: &Shelf, revision: u64) -> u64 {
    let opened = async {
        loop {
            match shelf.rows()[&id("anna")].opened.get() {
                opened if opened > revision => return opened,
                _ => sleep(Duration::from_millis(10)).await,
            }
        }
    };
    timeout(PATIENCE, opened).await.expect("the ledger is shortened")
}

/// That she is proven, and every entry from the opening on is there.
fn expect_proven(shelf: &Shelf) {
    let row = shelf.rows()[&id("anna")].clone();
    assert_eq!(verify_picture(&[(id("anna"), Ok(Some(row.whole())))].into()).faults, []);
    let Book { opening, pages, .. } = Book::read(&OURS, &row.ledger);
    let kept: Vec<_> = pages.iter().map(|page| page.revision.get()).collect();
    assert_eq!(kept, (opening.revision.get() + 1..=row.revision.get()).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn whole_pages_that_are_old_make_room_however_few_there_are() {
    let shelf = Shelf::default();
    shelf.set_lease(LEASE);
    let hour = Duration::from_secs(60 * 60);
    let retention = Retention { entries_max: 10_000, time_max: Some(hour) };
    let house = house_that_keeps(retention, &shelf, "a", Ack::Durable).await;
    plays(&house, 250).await;
    sleep(hour / 2).await;
    plays(&house, 100).await;
    sleep(hour / 3).await;
    plays(&house, 1).await;
    assert_eq!(shelf.rows()[&id("anna")].opened.get(), 0, "nothing is old");
    sleep(hour / 3).await;
    house.load(&id("anna")).await.expect("nobody else has her");
    // Pages of a hundred, and the third one has entries that are not old.
    assert_eq!(opened(&shelf).await, 200);
    expect_proven(&shelf);
}

#[tokio::test(start_paused = true)]
async fn the_ledger_of_somebody_who_never_leaves_is_shortened_too() {
    let shelf = Shelf::default();
    shelf.set_lease(LEASE);
    let retention = Retention { entries_max: KEPT, time_max: None };
    let house = house_that_keeps(retention, &shelf, "a", Ack::Durable).await;
    plays(&house, 1_000).await;
    assert_eq!(shelf.rows()[&id("anna")].opened.get(), 0);
    plays(&house, 30).await;
    assert_eq!(opened(&shelf).await, 900);
    plays(&house, 30).await;
    expect_proven(&shelf);
}

#[tokio::test(start_paused = true)]
async fn whoever_plays_on_and_on_gets_an_opening_that_is_told_from_a_milestone() {
    let shelf = Shelf::default();
    shelf.set_lease(LEASE);
    let retention = Retention { entries_max: 1_100, time_max: None };
    let house = house_that_keeps(retention, &shelf, "a", Ack::Durable).await;
    plays(&house, 2_060).await;
    let mut begin = opened(&shelf).await;
    assert_eq!(begin, 900, "no milestone lies so far back: as many pages as may go");
    for milestone in [1_024, 2_048] {
        plays(&house, 1_024).await;
        begin = opened_behind(&shelf, begin).await;
        assert!((milestone - 100..=milestone).contains(&begin), "whole pages before the milestone: {begin}");
        plays(&house, 1).await;
        expect_proven(&shelf);
    }
}
