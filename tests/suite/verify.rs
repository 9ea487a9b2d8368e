//! `holdall verify`: every player proven by the ledger, and everything that is wrong named.

mod catalogues;
mod corruptions;
mod live;
mod openings;
mod picture;
pub(crate) mod stocks;

use crate::inbox::{site, until_gone, was_here};
use holdall_harness::{
    child::Site,
    client::{Client, drop_item, gift, grant, pay},
    command::{Said, holdall},
    redis::Redis,
    resp::Reply,
    trade::{accept, offer, open},
};
use holdall_server::upkeep::verify::{Kind, Verified};
use picture::{Picture, id};
use serde_json::json;

/// A small store in which a bit of everything has happened, before its last trade and at its end: cara has taken one gift,
/// and another one waits for her.
pub(crate) struct World {
    before_trade: Picture,
    end: Picture,
}

impl World {
    async fn play() -> Self {
        let site = site();
        give(&site).await;
        let before_trade = Picture::of(&site.dir().join("data")).await;
        trade(&site).await;
        Self { before_trade, end: Picture::of(&site.dir().join("data")).await }
    }
}

/// Gifts to somebody who is here, and to somebody who is not.
async fn give(site: &Site) {
    let server = site.start().await;
    was_here(site, &server, "cara").await;
    let mut anna = Client::enter(server.game, "anna").await;
    let mut bert = Client::enter(server.game, "bert").await;
    anna.apply(grant("ore", 60)).await;
    anna.apply(grant("iron_sword", 1)).await;
    bert.apply(grant("iron_sword", 1)).await;
    bert.apply(grant("bread", 9)).await;
    bert.apply(pay("gold", 100)).await;
    anna.apply(drop_item("ore", 5)).await;
    let ore = anna.stack("ore").1.instance;
    anna.apply(gift("bert", ore, 10)).await;
    anna.apply(gift("cara", ore, 7)).await;
    let mut cara = Client::enter(server.game, "cara").await;
    cara.until_revision(2).await;
    drop(cara);
    until_gone(site, "cara").await;
    anna.apply(grant("wood", 4)).await;
    let wood = anna.stack("wood").1.instance;
    anna.apply(gift("cara", wood, 4)).await;
    assert_eq!(server.stop().await, Some(0));
}

/// Swords for swords, of which no line tells, and gold.
async fn trade(site: &Site) {
    let server = site.start().await;
    let mut anna = Client::enter(server.game, "anna").await;
    let mut bert = Client::enter(server.game, "bert").await;
    let trade = open(&mut anna, &mut bert).await;
    let (annas, berts) = (anna.stack("iron_sword").1.instance, bert.stack("iron_sword").1.instance);
    anna.step(offer(trade, &[(annas, 1)], &[])).await;
    bert.told().await;
    let both = bert.step(offer(trade, &[(berts, 1)], &[("gold", 40)])).await;
    anna.told().await;
    bert.step(accept(trade, both.offer_revision)).await;
    anna.apply(accept(trade, both.offer_revision)).await;
    assert_eq!(server.stop().await, Some(0));
}

/// What the command printed, faults or not.
fn said(said: &Said) -> Verified {
    serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {said:?}"))
}

async fn a_store_in_order_is_proven(site: Site, at: &[&str]) {
    let command = |more: &'static [&'static str]| {
        let words: Vec<String> = ["verify"].iter().chain(at).chain(more).map(|word| (*word).to_owned()).collect();
        async move { words }
    };
    let run = async |more: &'static [&'static str]| {
        let words = command(more).await;
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        holdall(site.dir(), &words).await
    };
    give(&site).await;
    trade(&site).await;
    let proven = said(&run(&["--json"]).await);
    assert_eq!((proven.faults.len(), proven.players, proven.quiet), (0, 3, true), "{proven:?}");
    // Anna: two swords' worth of trade, one gift; each with bert's half.
    assert_eq!((proven.exchanges, proven.gifts, proven.instances), (4, 2, 7), "{proven:?}");
    let total = |item: &str| {
        let (_, total) = proven.totals.iter().find(|(id, _)| id.as_str() == item).expect("it is counted");
        (total.minted, total.sunk, total.held, total.waiting)
    };
    assert_eq!((total("ore"), total("wood")), ((60, 5, 55, 0), (4, 0, 0, 4)));
    assert_eq!((total("gold"), total("iron_sword")), ((100, 0, 100, 0), (2, 0, 2, 0)));
    run(&[]).await.expect(0, &["players    3", "no faults", "wood: 4 made, 0 used up, 0 held, 4 waiting"]);

    let server = site.start().await;
    let live = said(&run(&["--json"]).await);
    assert_eq!((live.faults.len(), live.players, live.quiet), (0, 3, false), "{live:?}");
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn a_data_directory_in_order_is_proven_with_and_without_a_server() {
    a_store_in_order_is_proven(site(), &["--data-dir", "data"]).await;
}

#[tokio::test]
async fn a_redis_in_order_is_proven_with_and_without_a_server() {
    let redis = Redis::run().await;
    let url = redis.url();
    a_store_in_order_is_proven(site().on(&url), &["--store", &url]).await;
}

#[tokio::test]
async fn a_store_that_cannot_be_used_is_no_fault() {
    let dir = holdall_harness::server::TempDir::new();
    holdall(dir.path(), &["verify", "--data-dir", "nowhere"]).await.expect(3, &["no data directory"]);
    holdall(dir.path(), &["verify", "--store", "redis://127.0.0.1:1"]).await.expect(3, &["Redis cannot be used"]);
    holdall(dir.path(), &["verify", "--store", "ftp://nowhere"]).await.expect(2, &["--store"]);
}

#[tokio::test]
async fn what_is_damaged_beyond_reading_is_named_and_left_as_it_is() {
    let redis = Redis::run().await;
    let url = redis.url();
    let site = site().on(&url);
    give(&site).await;
    let key = |rest: &str| format!("holdall:{{main}}:player:{rest}");
    redis.tell(&["HSET", &key("anna"), "rev", "many"]).await;
    redis.tell(&["XADD", &key("bert:ledger"), "*", "what", "nothing"]).await;
    redis.tell(&["HSET", &key("cara"), "b:7", "nonsense"]).await;
    let command = ["verify", "--store", &url, "--json"];
    let found = holdall(site.dir(), &command).await;
    assert_eq!(found.code, Some(1), "{found:?}");
    let found = said(&found).faults;
    for (kind, player) in
        [(Kind::UnreadablePlayer, "anna"), (Kind::UnreadablePlayer, "bert"), (Kind::UnreadableValue, "cara")]
    {
        assert!(found.iter().any(|fault| fault.kind == kind && fault.players == [id(player)]), "{player}: {found:#?}");
    }
    assert_eq!(redis.ask(&["HGET", &key("anna"), "rev"]).await, Reply::Bulk("many".to_owned()));
}

#[tokio::test]
async fn an_empty_store_is_in_order() {
    let site = Site::new();
    assert_eq!(site.start().await.stop().await, Some(0));
    let proven = holdall(site.dir(), &["verify", "--data-dir", "data", "--json"]).await.json();
    assert_eq!((&proven["players"], &proven["faults"]), (&json!(0), &json!([])));
}
