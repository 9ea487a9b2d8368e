//! The player is on another server process, or its process is dead.

use super::{last, next_delta, restore, rich, set_back, stored};
use holdall_harness::{
    child::{PATIENCE, Server, Site, binary},
    client::{Client, drop_item},
    proxy::{Proxy, Way},
    redis::Redis,
    trade::Traders,
};
use holdall_server::operator::client::{Client as Control, ClientError};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::{process::Stdio, time::Duration};
use tokio::{
    process::Command,
    time::{sleep, timeout},
};

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

#[tokio::test]
async fn a_command_that_is_interrupted_lets_go_of_the_player() {
    let redis = Redis::run().await;
    let site = Site::new().on(&redis.url()).knob("limits.linger_ms", 0).knob("store.lease_ms", LEASE_MS);
    let server = site.start().await;
    rich(server.game).await.apply(drop_item("ore", 50)).await;
    let owner = async || redis.tell(&["HGET", "holdall:{main}:player:anna", "owner"]).await.to_string();
    while owner().await != "(nil)" {
        sleep(Duration::from_millis(5)).await;
    }
    let proxy = Proxy::before_redis(redis.address(), 1).await;
    proxy.set(Way::Slow(Duration::from_millis(150)));
    let store = redis.url_at(proxy.address);
    // Which also writes the config.
    restore(&site, &redis.url(), "anna", &["--revision", "4", "--dry-run"]).await.expect(0, &[]);
    let config = ["restore", "anna", "--config", "holdall.toml"];
    let words = config.into_iter().chain(["--store", &store, "--revision", "4", "--reason", "a bug"]);
    let mut command = Command::new(binary("holdall"));
    command.args(words).current_dir(site.dir()).env_clear().stdin(Stdio::null()).kill_on_drop(true);
    let command = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the command runs");
    let pid = command.id().and_then(|pid| Pid::from_raw(pid.cast_signed())).expect("it runs");
    let taken = async {
        while !owner().await.starts_with("command-") {
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(PATIENCE, taken).await.expect("it takes the player");
    kill_process(pid, Signal::INT).expect("it can be signalled");
    let ended = timeout(PATIENCE, command.wait_with_output()).await.expect("it ends").expect("it says something");
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{said}");
    let key = said.split("--key ").nth(1).and_then(|rest| rest.split(' ').next()).expect("the order's key");

    let anna = Client::enter(server.game, "anna").await;
    drop(anna);
    set_back(&site, &redis.url(), "anna", "4", &["--key", key]).await.expect(0, &["restored: anna is at revision 6"]);
    assert_eq!(server.stop().await, Some(0));
}
