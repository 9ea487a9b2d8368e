//! A market day on a server that is killed again and again: gifts and trades are whole or not at all, also for who is away.

use super::stage::{lane, site_on};
use holdall_client_sim::Report;
use holdall_harness::{
    bots::{again_and_again, expect_a_market_in_order, impatient, on_a_market_day, play_while_the_server_is_killed},
    child::Site,
    redis::Redis,
};
use std::time::Duration;

const SHORT: Duration = Duration::from_secs(8);
const LONG: Duration = Duration::from_secs(30);

fn in_order(report: &Report) {
    println!("{report}");
    expect_a_market_in_order(report);
    assert!(report.reconnects > 0, "somebody was there when it was killed: {report}");
}

async fn market_on(site: Site, seed: u64, length: Duration) {
    let market = |game| on_a_market_day(game, seed, length);
    in_order(&play_while_the_server_is_killed(impatient(site), market).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_leaves_no_half_of_a_trade_and_no_gift_behind() {
    let _lane = lane().await;
    market_on(Site::new(), 1, SHORT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_over_redis_leaves_no_half_of_a_trade_and_no_gift_behind() {
    let _lane = lane().await;
    let redis = Redis::run().await;
    market_on(site_on(&redis.url()), 1, SHORT).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "as long as it is given: tests/run --long"]
async fn market_days_on_killed_servers_leave_no_half_of_a_trade_and_no_gift_behind() {
    let _lane = lane().await;
    again_and_again(async |seed| {
        if seed.is_multiple_of(2) {
            return market_on(Site::new(), seed, LONG).await;
        }
        let redis = Redis::run().await;
        market_on(site_on(&redis.url()), seed, LONG).await;
    })
    .await;
}
