//! A market day on a server that is killed again and again: gifts, trades and purchases are whole or not at all, also for who is
//! away.

use super::{
    kills::redis_under_fire_on,
    stage::{lane, site_on},
};
use holdall_client_sim::Report;
use holdall_harness::{
    bots::{
        again_and_again, expect_a_shop_in_order, impatient, on_a_market_day, play_while_the_server_is_killed,
        with_a_shop,
    },
    child::Site,
    command::holdall,
    redis::Redis,
};
use std::time::Duration;

const SHORT: Duration = Duration::from_secs(8);
const LONG: Duration = Duration::from_secs(30);

fn in_order(report: &Report) {
    println!("{report}");
    expect_a_shop_in_order(report);
    assert!(report.reconnects > 0, "somebody was there when it was killed: {report}");
}

async fn market_on(site: Site, seed: u64, length: Duration) -> Site {
    let mut site = with_a_shop(impatient(site));
    in_order(&play_while_the_server_is_killed(&mut site, |game| on_a_market_day(game, seed, length)).await);
    site
}

async fn market_on_a_file(seed: u64, length: Duration) {
    let site = market_on(Site::new(), seed, length).await;
    holdall(site.dir(), &["verify", "--data-dir", "data"]).await.expect(0, &[]);
}

async fn market_on_redis(seed: u64, length: Duration) {
    let redis = Redis::run().await;
    let site = market_on(site_on(&redis.url()), seed, length).await;
    holdall(site.dir(), &["verify", "--store", &redis.url(), "--realm", "main"]).await.expect(0, &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_leaves_no_half_of_a_trade_and_no_gift_behind() {
    let _lane = lane().await;
    market_on_a_file(1, SHORT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_over_redis_leaves_no_half_of_a_trade_and_no_gift_behind() {
    let _lane = lane().await;
    market_on_redis(1, SHORT).await;
}

/// Redis is killed, and the server goes on.
async fn market_before_redis(seed: u64, length: Duration) {
    let market = |game| on_a_market_day(game, seed, length);
    in_order(&redis_under_fire_on(|site| with_a_shop(impatient(site)), "always", seed, market).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_redis_leaves_no_half_of_a_trade_and_no_gift_behind() {
    let _lane = lane().await;
    market_before_redis(1, SHORT).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "as long as it is given: tests/run --long"]
async fn market_days_on_killed_servers_leave_no_half_of_a_trade_and_no_gift_behind() {
    let _lane = lane().await;
    again_and_again(async |seed| match seed % 3 {
        0 => market_on_a_file(seed, LONG).await,
        1 => market_on_redis(seed, LONG).await,
        _ => market_before_redis(seed, LONG).await,
    })
    .await;
}
