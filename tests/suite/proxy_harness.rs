//! The proxy fails as it is told and not otherwise.

use holdall_harness::{
    proxy::{Proxy, Way},
    redis::Redis,
    resp::{Connection, Reply},
};
use std::{
    io,
    time::{Duration, Instant},
};
use tokio::time::{sleep, timeout};

/// Long enough for a reply that comes at all.
const A_WHILE: Duration = Duration::from_millis(200);

async fn behind_a_proxy(seed: u64) -> (Redis, Proxy) {
    let redis = Redis::run().await;
    let proxy = Proxy::before_redis(redis.address(), seed).await;
    (redis, proxy)
}

async fn connect(proxy: &Proxy) -> Connection {
    Connection::open(proxy.address).await.expect("the proxy listens")
}

async fn count(redis: &Redis) -> u64 {
    match redis.tell(&["GET", "n"]).await {
        Reply::Nil => 0,
        reply => reply.text().parse().expect("a number"),
    }
}

/// Waits until somebody has counted so far.
async fn until_count(redis: &Redis, wanted: u64) {
    let begun = Instant::now();
    while count(redis).await < wanted {
        assert!(begun.elapsed() < Duration::from_secs(10), "nobody counts");
        sleep(Duration::from_millis(5)).await;
    }
}

/// Counts so often through the proxy, each time on a new connection after a cut; how many replies came.
async fn acknowledged(proxy: &Proxy, commands: u32) -> u64 {
    let mut connection = connect(proxy).await;
    let mut acknowledged = 0;
    for _ in 0..commands {
        match connection.ask(&["INCR", "n"]).await {
            Ok(Reply::Integer(_)) => acknowledged += 1,
            Ok(other) => panic!("{other}"),
            Err(_) => connection = connect(proxy).await,
        }
    }
    acknowledged
}

#[tokio::test]
async fn open_it_passes_everything() {
    let (redis, proxy) = behind_a_proxy(1).await;
    assert_eq!(acknowledged(&proxy, 100).await, 100);
    let long = "x".repeat(1_000_000);
    let mut connection = connect(&proxy).await;
    connection.ask(&["SET", "long", &long]).await.expect("it passes");
    assert_eq!(connection.ask(&["GET", "long"]).await.expect("it passes").text(), long);
    assert_eq!((count(&redis).await, proxy.lost().len()), (100, 0));
}

#[tokio::test]
async fn a_lost_reply_is_one_whose_command_was_carried_out() {
    let mut lost = Vec::new();
    for _ in 0..2 {
        let (redis, proxy) = behind_a_proxy(7).await;
        proxy.set(Way::LosingReplies { one_in: 4 });
        let acknowledged = acknowledged(&proxy, 200).await;
        assert_eq!(count(&redis).await, 200, "each was carried out");
        assert_eq!(proxy.lost()["INCR"], 200 - acknowledged);
        lost.push(200 - acknowledged);
    }
    assert!((20..=100).contains(&lost[0]), "about one in four: {lost:?}");
    assert_eq!(lost[0], lost[1], "the same seed makes the same choices");
}

#[tokio::test]
async fn held_nothing_passes_and_opened_it_comes_though_its_sender_has_gone() {
    let (redis, proxy) = behind_a_proxy(1).await;
    let (mut old, mut gone) = (connect(&proxy).await, connect(&proxy).await);
    old.ask(&["INCR", "n"]).await.expect("it passes");
    gone.ask(&["INCR", "n"]).await.expect("it passes");
    proxy.set(Way::Held);
    let mut new = connect(&proxy).await;
    let mut waiting = Box::pin(async { tokio::join!(old.ask(&["INCR", "n"]), new.ask(&["INCR", "n"])) });
    assert!(timeout(A_WHILE, &mut waiting).await.is_err());
    assert!(timeout(A_WHILE, gone.ask(&["INCR", "n"])).await.is_err());
    drop(gone);
    assert_eq!(count(&redis).await, 2, "nothing passes");
    proxy.set(Way::Open);
    let (old, new) = waiting.await;
    assert!(old.is_ok() && new.is_ok(), "{old:?} {new:?}");
    until_count(&redis, 5).await;
}

#[tokio::test]
async fn swallowed_is_lost_and_what_lost_something_is_cut() {
    let (redis, proxy) = behind_a_proxy(1).await;
    let (mut spared, mut torn) = (connect(&proxy).await, connect(&proxy).await);
    spared.ask(&["INCR", "n"]).await.expect("it passes");
    torn.ask(&["INCR", "n"]).await.expect("it passes");
    proxy.set(Way::Swallowed);
    let mut asked = Box::pin(torn.ask(&["INCR", "n"]));
    assert!(timeout(A_WHILE, &mut asked).await.is_err());
    proxy.set(Way::Open);
    assert!(asked.await.is_err(), "it was cut");
    spared.ask(&["INCR", "n"]).await.expect("it lost nothing");
    assert_eq!(count(&redis).await, 3);
}

#[tokio::test]
async fn a_cut_ends_what_is_open_and_welcomes_what_comes() {
    let (redis, proxy) = behind_a_proxy(1).await;
    let mut connection = connect(&proxy).await;
    connection.ask(&["PING"]).await.expect("it passes");
    proxy.cut();
    let cut: io::Result<Reply> = connection.ask(&["PING"]).await;
    assert!(cut.is_err(), "{cut:?}");
    assert_eq!(acknowledged(&proxy, 1).await, 1);
    drop(proxy);
    assert_eq!(count(&redis).await, 1);
}

#[tokio::test]
async fn slow_it_takes_its_time() {
    let (_redis, proxy) = behind_a_proxy(1).await;
    let mut connection = connect(&proxy).await;
    proxy.set(Way::Slow(A_WHILE));
    let begun = Instant::now();
    connection.ask(&["PING"]).await.expect("it passes");
    assert!(begun.elapsed() >= 2 * A_WHILE, "there and back");
}

#[tokio::test]
async fn in_disguise_a_redis_looks_older_than_it_is() {
    let (redis, proxy) = behind_a_proxy(1).await;
    let version = redis.info("redis_version").await;
    let older = format!("5{}", &version[1..]);
    proxy.disguise(&version, &older);
    let info = connect(&proxy).await.ask(&["INFO", "server"]).await.expect("it passes");
    assert!(info.text().contains(&format!("redis_version:{older}")), "{info}");
}

#[tokio::test]
async fn before_several_it_leads_to_each_of_them() {
    let (one, other) = (Redis::run().await, Redis::run().await);
    let proxy = Proxy::before(vec![one.address(), other.address()], 1).await;
    for _ in 0..40 {
        acknowledged(&proxy, 1).await;
    }
    let (first, second) = (count(&one).await, count(&other).await);
    assert_eq!(first + second, 40);
    assert!(first > 0 && second > 0, "{first} and {second}");
    proxy.lead_to(vec![other.address()]);
    for _ in 0..10 {
        acknowledged(&proxy, 1).await;
    }
    assert_eq!((count(&one).await, count(&other).await), (first, second + 10));
}
