//! The player is on another server process, or its process is dead.

use super::{last, next_delta, rich, set_back, stored};
use holdall_harness::{
    child::{Server, Site},
    client::{Client, drop_item},
    redis::Redis,
    trade::Traders,
};
use holdall_server::operator::client::{Client as Control, ClientError};
use serde_json::{Value, json};

const LEASE_MS: u64 = 1_500;

async fn two_servers(redis: &Redis) -> [(Site, Server); 2] {
    let site = || Site::new().on(&redis.url()).knob("store.lease_ms", LEASE_MS);
    let [one, other] = [site(), site()];
    let (here, there) = (one.start().await, other.start().await);
    [(one, here), (other, there)]
}

/// Orders it of the server that runs on a site.
async fn order(site: &Site, player: &str, revision: u64, key: &str) -> Result<Value, ClientError> {
    let mut control = Control::connect(&site.dir().join("data")).await.expect("the server listens");
    let asked = json!({"to": {"revision": revision}, "key": key, "reason": "a bug"});
    control.post(&format!("/v1/players/{player}/restore"), &asked).await
}

#[tokio::test]
async fn a_player_on_another_server_is_set_back_by_that_one() {
    let redis = Redis::run().await;
    let [(one, here), (other, there)] = two_servers(&redis).await;
    let mut anna = rich(there.game).await;
    anna.apply(drop_item("ore", 50)).await;
    let done = order(&one, "anna", 4, "first").await.expect("it is done");
    assert_eq!((&done["revision"], &done["totals"][0]["after"]), (&json!(6), &json!(120)));
    next_delta(&mut anna).await;
    assert_eq!(anna.count("ore"), 120);
    anna.compare().await;
    assert_eq!(order(&one, "anna", 4, "first").await.expect("it was done"), done);
    assert_eq!(order(&other, "anna", 4, "first").await.expect("it was done"), done, "whoever is asked");
    let entry = stored(&one, &redis.url(), "anna").await;
    assert_eq!((&last(&entry)["actor"], &entry["revision"]), (&json!("operator:cli"), &json!(6)));
    for (revision, key, code) in [(3, "first", "key_taken"), (9, "second", "impossible")] {
        match order(&one, "anna", revision, key).await {
            Err(ClientError::Refused(refused)) => assert_eq!(refused.code, code),
            other => panic!("{other:?}"),
        }
    }

    // A command is a process of its own, too.
    anna.apply(drop_item("iron_sword", 1)).await;
    set_back(&one, &redis.url(), "anna", "4", &[]).await.expect(0, &["restored: anna is at revision 8"]);
    next_delta(&mut anna).await;
    assert_eq!(anna.count("iron_sword"), 1);
    anna.apply(drop_item("iron_sword", 1)).await;
    anna.compare().await;
    assert_eq!((here.stop().await, there.stop().await), (Some(0), Some(0)));
}

#[tokio::test]
async fn what_the_other_server_refuses_is_heard() {
    let redis = Redis::run().await;
    let [(one, here), (_, there)] = two_servers(&redis).await;
    let mut traders = Traders::meet(there.game).await;
    traders.offer_both().await;
    set_back(&one, &redis.url(), "anna", "1", &[]).await.expect(1, &["offered in a trade"]);
    match order(&one, "anna", 1, "key").await {
        Err(ClientError::Refused(refused)) => assert_eq!((refused.status, refused.code.as_str()), (409, "item_locked")),
        other => panic!("{other:?}"),
    }
    traders.anna.compare().await;
    assert_eq!((here.stop().await, there.stop().await), (Some(0), Some(0)));
}

#[tokio::test]
async fn of_a_dead_server_the_player_is_taken_over_for_it() {
    let redis = Redis::run().await;
    let [(one, here), (_, there)] = two_servers(&redis).await;
    let mut anna = rich(there.game).await;
    anna.apply(drop_item("ore", 50)).await;
    there.kill().await;
    // It counts as alive for the rest of its lease, and until then letters to it are answered by nobody.
    let done = order(&one, "anna", 4, "first").await.expect("it is done");
    assert_eq!(done["revision"], 6);
    let anna = Client::enter(here.game, "anna").await;
    assert_eq!((anna.count("ore"), anna.revision()), (120, 6));
    assert_eq!(here.stop().await, Some(0));
}
