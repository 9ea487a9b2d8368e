//! An order that is given again, also after a kill -9 at any moment, is done once.

use super::{last, prove, rich, set_back, stored};
use holdall_harness::{
    child::Site,
    client::{Client, drop_item, grant},
    redis::Redis,
};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::sleep;

/// How often a player was set back under this key, as far as the newest entries tell.
fn times(stored: &Value, key: &str) -> usize {
    let entries = stored["ledger"]["last"].as_array().expect("entries");
    entries.iter().filter(|entry| entry["order"]["key"] == key).count()
}

#[tokio::test]
async fn the_same_key_answers_as_it_did_and_another_order_under_it_is_refused() {
    let site = Site::new();
    let server = site.start().await;
    let mut anna = rich(server.game).await;
    anna.apply(drop_item("ore", 50)).await;
    let first = set_back(&site, "data", "anna", "4", &["--key", "k1", "--json"]).await.json();
    anna.apply(drop_item("ore", 7)).await;
    assert_eq!(set_back(&site, "data", "anna", "4", &["--key", "k1", "--json"]).await.json(), first);
    set_back(&site, "data", "anna", "4", &["--key", "k1"])
        .await
        .expect(0, &["had been carried out before", "revision 6"]);
    set_back(&site, "data", "anna", "3", &["--key", "k1"]).await.expect(2, &["used for another order"]);
    set_back(&site, "data", "anna", "4", &["--key", "k1", "--allow-duplicates"]).await.expect(2, &["another order"]);
    let mut bert = Client::enter(server.game, "bert").await;
    bert.apply(grant("ore", 1)).await;
    set_back(&site, "data", "bert", "1", &["--key", "k1"]).await.expect(2, &["used for another order"]);
    drop((anna, bert));
    assert_eq!(server.stop().await, Some(0));
    assert_eq!(
        set_back(&site, "data", "anna", "4", &["--key", "k1", "--json"]).await.json(),
        first,
        "without a server"
    );
    let anna = stored(&site, "data", "anna").await;
    assert_eq!((&anna["revision"], times(&anna, "k1")), (&json!(7), 1));
}

/// Kills the server around the moment at which it carries an order out, again and again; then gives the order again.
async fn a_kill_at_any_moment_leaves_it_done_once(site: Site, store: &str) {
    for round in 0..8_u64 {
        let server = site.start().await;
        let mut anna = Client::enter(server.game, "anna").await;
        anna.apply(grant("ore", 5)).await;
        let to = anna.revision();
        anna.apply(drop_item("ore", 5)).await;
        let (key, revision) = (format!("round-{round}"), to.to_string());
        let words = ["--key", &key];
        let asked = set_back(&site, store, "anna", &revision, &words);
        let kill = async {
            sleep(Duration::from_millis(10 * round)).await;
            server.kill().await;
        };
        let (first, ()) = tokio::join!(asked, kill);
        let server = if round % 2 == 0 { Some(site.start().await) } else { None };
        let again = set_back(&site, store, "anna", &revision, &["--key", &key, "--json"]).await.json();
        assert_eq!(again["revision"], to + 2, "{first:?}");
        if let Some(server) = server {
            assert_eq!(server.stop().await, Some(0));
        }
        let anna = stored(&site, store, "anna").await;
        assert_eq!((&anna["revision"], times(&anna, &key)), (&json!(to + 2), 1), "{first:?}");
        assert_eq!(last(&anna)["lines"][0]["quantity"], 5);
    }
    prove(&site, store).await;
}

#[tokio::test]
async fn a_kill_at_any_moment_leaves_an_order_done_once() {
    a_kill_at_any_moment_leaves_it_done_once(Site::new(), "data").await;
}

#[tokio::test]
async fn a_kill_at_any_moment_leaves_an_order_done_once_on_a_redis() {
    let redis = Redis::run().await;
    let url = redis.url();
    a_kill_at_any_moment_leaves_it_done_once(Site::new().on(&url).knob("store.lease_ms", 1_500), &url).await;
}
