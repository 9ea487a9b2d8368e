//! A Redis that comes back without its last second, while the server that was told of it lives on.

use super::stage::{LEASE_RAN_OUT, NOT_LOADED, RESTARTED, Stage, WEAK, lane, until_healthy};
use holdall_client_sim::Report;
use holdall_harness::{
    bots::{again_and_again, expect_in_order},
    client::{Client, gift, grant},
    redis::{Image, Redis},
};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use std::time::Duration;
use tokio::time::sleep;

async fn forget_since(redis: &mut Redis, image: &Image) {
    redis.kill().await;
    redis.put_back(image);
    redis.start().await;
}

/// Bots play while Redis loses up to a second, twice.
async fn forgetful(seed: u64, rounds: u32) -> Report {
    let redis = Redis::new().set("appendfsync", "everysec").running().await;
    let mut stage = Stage::over(redis, seed).await.allow(&[RESTARTED, LEASE_RAN_OUT, NOT_LOADED, WEAK]);
    let server = stage.start().await;
    let bots = stage.play(&server, Duration::from_secs(2) * rounds);
    let mut rng = StdRng::seed_from_u64(seed);
    for _ in 0..rounds {
        sleep(Duration::from_millis(rng.random_range(500..900))).await;
        let image = stage.redis.image();
        sleep(Duration::from_millis(rng.random_range(100..1000))).await;
        forget_since(&mut stage.redis, &image).await;
        until_healthy(&server).await;
    }
    let report = bots.await.expect("the bots do not panic");
    println!("Redis forgot {rounds} times, {} effects asked for", report.requests);
    assert_eq!(server.stop().await, Some(0));
    report
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_lost_its_last_second_is_told_again_and_nothing_is_doubled() {
    let _lane = lane().await;
    expect_in_order(&forgetful(1, 2).await);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "as long as it is given: tests/run --long"]
async fn a_redis_that_loses_its_last_second_again_and_again_is_told_again() {
    let _lane = lane().await;
    again_and_again(async |seed| expect_in_order(&forgetful(seed, 10).await)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_gift_is_told_again_though_who_got_it_has_logged_off() {
    let _lane = lane().await;
    let mut stage = Stage::new(1).await.allow(&[RESTARTED]);
    stage.site.turn("limits.linger_ms", 0);
    let server = stage.start().await;
    let mut anna = Client::enter(server.game, "anna").await;
    let mut bert = Client::enter(server.game, "bert").await;
    anna.apply(grant("ore", 5)).await;
    let image = stage.redis.image();
    anna.apply(gift("bert", anna.stack("ore").1.instance, 5)).await;
    bert.until_revision(bert.revision() + 1).await;
    let key = "holdall:{main}:player:bert";
    let owner = stage.redis.tell(&["HGET", key, "owner"]).await;
    drop(bert);
    // Given up: what the server still knows of him is in the batches that it keeps.
    while stage.redis.tell(&["HGET", key, "owner"]).await == owner {
        sleep(Duration::from_millis(5)).await;
    }
    forget_since(&mut stage.redis, &image).await;
    anna.apply(grant("bread", 1)).await;
    until_healthy(&server).await;
    anna.compare().await;
    let bert = Client::enter(server.game, "bert").await;
    assert_eq!((anna.count("ore"), bert.count("ore")), (0, 5), "the gift happened, once, on both sides");
    assert_eq!(server.stop().await, Some(0));
}
