//! A Redis that a server must not use is refused, and a weak one is announced.

use super::stage::{lane, site_on};
use holdall_harness::{child::Ended, client::Client, client::grant, proxy::Proxy, redis::Redis};
use std::path::Path;

/// A start over this Redis, which must fail and say why.
async fn refused(redis: &Redis, words: &[&str]) {
    expect_refused(&site_on(&redis.url()).start_in_vain(&[]).await, words);
}

fn expect_refused(ended: &Ended, words: &[&str]) {
    assert_eq!(ended.code, Some(3), "{}", ended.said);
    for word in words {
        assert!(ended.said.contains(word), "{word} is missing: {}", ended.said);
    }
}

#[tokio::test]
async fn one_that_is_too_old_is_refused() {
    let _lane = lane().await;
    let redis = Redis::run().await;
    let proxy = Proxy::before_redis(redis.address(), 1).await;
    let version = redis.info("redis_version").await;
    let older = format!("6{}", &version[1..]);
    proxy.disguise(&version, &older);
    expect_refused(&site_on(&redis.url_at(proxy.address)).start_in_vain(&[]).await, &[&older, "7.0"]);
}

#[tokio::test]
async fn a_replica_is_refused() {
    let _lane = lane().await;
    let master = Redis::run().await;
    let replica = Redis::new().set("replicaof", format!("127.0.0.1 {}", master.address().port())).running().await;
    refused(&replica, &["replica"]).await;
}

#[tokio::test]
async fn a_member_of_a_cluster_is_refused() {
    let _lane = lane().await;
    refused(&Redis::new().cluster_member().running().await, &["cluster"]).await;
}

#[tokio::test]
async fn one_that_evicts_is_refused() {
    let _lane = lane().await;
    let redis = Redis::new().set("maxmemory-policy", "allkeys-lru").running().await;
    refused(&redis, &["maxmemory-policy", "allkeys-lru", "noeviction"]).await;
}

#[tokio::test]
async fn an_empty_one_where_a_world_was_known_is_refused_until_a_new_world_is_wanted() {
    let _lane = lane().await;
    let redis = Redis::run().await;
    let site = site_on(&redis.url());
    let server = site.start().await;
    Client::enter(server.game, "anna").await.apply(grant("ore", 1)).await;
    assert_eq!(server.stop().await, Some(0));
    redis.tell(&["FLUSHALL"]).await;
    expect_refused(&site.start_in_vain(&[]).await, &["--new-world"]);
    let site = site.flag("--new-world");
    let server = site.start().await;
    assert_eq!(Client::enter(server.game, "anna").await.count("ore"), 0, "it is a new world");
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn one_that_is_loading_is_waited_for() {
    let _lane = lane().await;
    let mut redis = Redis::run().await;
    let site = site_on(&redis.url());
    let server = site.start().await;
    Client::enter(server.game, "anna").await.apply(grant("ore", 1)).await;
    assert_eq!(server.stop().await, Some(0));
    redis.kill_and_launch_slowly().await;
    let server = site.start().await;
    assert!(redis.info("loading").await == "0" && server.log().contains("appendfsync always"), "{}", server.log());
    assert_eq!(Client::enter(server.game, "anna").await.count("ore"), 1);
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn a_wrong_password_is_refused_and_the_right_one_lets_in() {
    let _lane = lane().await;
    let redis = Redis::new().password("correct-horse").running().await;
    let without = format!("redis://{}", redis.address());
    expect_refused(&site_on(&without).start_in_vain(&[]).await, &[]);
    let wrong = format!("redis://:wrong-horse@{}", redis.address());
    let ended = site_on(&wrong).start_in_vain(&[]).await;
    expect_refused(&ended, &[]);
    assert!(!ended.said.contains("wrong-horse"), "a password is not logged: {}", ended.said);
    let server = site_on(&redis.url()).start().await;
    Client::enter(server.game, "anna").await.apply(grant("ore", 1)).await;
    assert!(!server.log().contains("correct-horse"), "{}", server.log());
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn over_tls_it_is_as_good() {
    let _lane = lane().await;
    let keys = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/keys");
    let redis = Redis::new().tls(&keys.join("tls.cert.pem"), &keys.join("tls.key.pem")).running().await;
    let site = site_on(&redis.tls_url()).knob("store.ca_file", keys.join("tls.cert.pem").display());
    let server = site.start().await;
    Client::enter(server.game, "anna").await.apply(grant("ore", 1)).await;
    assert_eq!(server.stop().await, Some(0));
    let server = site.start().await;
    assert_eq!(Client::enter(server.game, "anna").await.count("ore"), 1);
    assert_eq!(server.stop().await, Some(0));
}

/// The durability in force over this Redis: the same in the log, in `/readyz` and in the welcome.
async fn announced(url: &str) -> String {
    let site = site_on(url).allow("this Redis promises less than it could");
    let server = site.start().await;
    let (status, body) = server.operate("GET", "/readyz", "").await;
    assert_eq!(status, 200, "{body}");
    let body: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    let promise = body["durability"].as_str().expect("the durability in force").to_owned();
    let anna = Client::enter(server.game, "anna").await;
    assert_eq!(anna.welcome().durability.promise, promise, "clients are told the same");
    assert!(server.log().contains(&promise), "{promise}: {}", server.log());
    assert_eq!(server.stop().await, Some(0));
    promise
}

#[tokio::test]
async fn what_a_redis_really_promises_is_announced() {
    let _lane = lane().await;
    let no_config = Redis::new().set("user", "holdall on >secret ~* &* +@all -config");
    let cases: [(Redis, &str, &[&str]); 7] = [
        (Redis::new(), "", &["survives a crash of Redis and of its machine", "appendfsync always"]),
        (Redis::new().set("appendfsync", "everysec"), "", &["everysec"]),
        (Redis::new().set("no-appendfsync-on-rewrite", "yes"), "", &["no-appendfsync-on-rewrite"]),
        (Redis::new().set("aof-load-truncated", "yes"), "", &["aof-load-truncated yes"]),
        (Redis::new().set("appendonly", "no"), "", &["appendonly no"]),
        (Redis::new().set("rename-command", "CONFIG \"\""), "", &["unknown"]),
        (no_config, "holdall:secret@", &["unknown"]),
    ];
    for (redis, user, words) in cases {
        let redis = redis.running().await;
        let promise = announced(&format!("redis://{user}{}", redis.address())).await;
        for word in words {
            assert!(promise.contains(word), "{word} is missing: {promise}");
        }
    }
}
