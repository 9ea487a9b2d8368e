//! kill -9 of the server and of Redis at any moment under load.

use super::stage::{BUSY, LEASE, LEASE_RAN_OUT, NOT_LOADED, RESTARTED, Stage, WEAK, lane, site_on};
use holdall_client_sim::Report;
use holdall_harness::{
    bots::{again_and_again, expect_in_order, options, play_while_the_server_is_killed},
    client::{Client, grant},
    redis::Redis,
};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use std::time::{Duration, Instant};
use tokio::time::sleep;

const SHORT: Duration = Duration::from_secs(5);
const LONG: Duration = Duration::from_secs(30);

async fn server_under_fire(seed: u64, length: Duration) {
    let redis = Redis::run().await;
    let report = play_while_the_server_is_killed(site_on(&redis.url()), |game| options(game, seed, length, BUSY)).await;
    expect_in_order(&report);
    assert!(report.reconnects > 0, "somebody was there when it was killed: {report}");
}

/// Bots play while Redis is killed and started again.
async fn redis_under_fire(fsync: &str, seed: u64, length: Duration) -> Report {
    let redis = Redis::new().set("appendfsync", fsync).running().await;
    let stage = Stage::over(redis, seed).await.allow(&[RESTARTED, LEASE_RAN_OUT, NOT_LOADED]);
    let mut stage = if fsync == "always" { stage } else { stage.allow(&[WEAK]) };
    let server = stage.start().await;
    let bots = stage.play(&server, length);
    let mut rng = StdRng::seed_from_u64(seed);
    let (begin, mut kills) = (Instant::now(), 0);
    while begin.elapsed() + Duration::from_secs(1) < length {
        sleep(Duration::from_millis(rng.random_range(200..1200))).await;
        stage.redis.kill().await;
        sleep(Duration::from_millis(rng.random_range(0..300))).await;
        stage.redis.start().await;
        kills += 1;
    }
    let report = bots.await.expect("the bots do not panic");
    println!("{kills} kills of Redis ({fsync}), {} effects asked for", report.requests);
    assert_eq!(server.stop().await, Some(0), "a clean stop at the end");
    report
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_over_redis_loses_nothing_it_acknowledged() {
    let _lane = lane().await;
    server_under_fire(1, SHORT).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "as long as it is given: tests/run --long"]
async fn a_server_over_redis_killed_again_and_again_loses_nothing_it_acknowledged() {
    let _lane = lane().await;
    again_and_again(async |seed| server_under_fire(seed, LONG).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_redis_that_syncs_always_loses_nothing_that_was_acknowledged() {
    let _lane = lane().await;
    expect_in_order(&redis_under_fire("always", 1, SHORT).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_redis_that_syncs_every_second_loses_nothing_the_kernel_had() {
    let _lane = lane().await;
    expect_in_order(&redis_under_fire("everysec", 1, SHORT).await);
}

#[tokio::test]
async fn a_redis_that_was_killed_while_nobody_played_is_written_to_again() {
    let _lane = lane().await;
    let mut stage = Stage::new(1).await.allow(&[RESTARTED, LEASE_RAN_OUT]);
    let server = stage.start().await;
    let mut anna = Client::enter(server.game, "anna").await;
    anna.apply(grant("ore", 1)).await;
    stage.redis.kill().await;
    stage.redis.start().await;
    // In this time the lease is renewed over another connection than the one for commits.
    sleep(LEASE).await;
    anna.apply(grant("ore", 1)).await;
    anna.compare().await;
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "as long as it is given: tests/run --long"]
async fn a_redis_killed_again_and_again_loses_nothing_that_was_acknowledged() {
    let _lane = lane().await;
    again_and_again(async |seed| {
        let fsync = if seed.is_multiple_of(4) { "everysec" } else { "always" };
        expect_in_order(&redis_under_fire(fsync, seed, LONG).await);
    })
    .await;
}
