//! A network between server and Redis that loses replies, or everything for a while.

use super::stage::{LEASE_RAN_OUT, NOT_LOADED, Stage, expect_no_ack, lane, until_healthy};
use holdall_client_sim::{Options, scenario::Load};
use holdall_harness::{
    bots::{self, again_and_again, expect_in_order},
    client::{Client, grant, stats},
    proxy::Way,
};
use holdall_protocol::message::ServerMessage;
use std::time::Duration;
use tokio::time::sleep;

/// The least that a server may be told to keep waiting for its store.
const PENDING_BYTES_MAX: u64 = 65_536;

/// Bots play while one reply of Redis in twenty is lost after its command was carried out.
async fn losing_replies(seed: u64, length: Duration) {
    let mut stage = Stage::new(seed).await.allow(&[LEASE_RAN_OUT, NOT_LOADED]);
    let server = stage.start().await;
    stage.proxy.set(Way::LosingReplies { one_in: 20 });
    let report = stage.play(&server, length).await.expect("the bots do not panic");
    let lost = stage.proxy.lost();
    println!("lost replies: {lost:?}; {} effects asked for", report.requests);
    assert!(lost.get("EVALSHA").is_some_and(|commits| *commits >= 5), "commits were among them: {lost:?}");
    expect_in_order(&report);
    stage.proxy.set(Way::Open);
    assert_eq!(server.stop().await, Some(0));
}

/// Bots play while the network is down for a while; until when the server was well again.
async fn hole(seed: u64, way: Way, length: Duration) {
    let mut stage = Stage::new(seed).await.allow(&[LEASE_RAN_OUT, NOT_LOADED]);
    stage.site.turn("store.pending_bytes_max", PENDING_BYTES_MAX);
    let server = stage.start().await;
    let mut idle = Client::enter(server.game, "idle").await;
    let mut asker = Client::enter(server.game, "asker").await;
    asker.apply(grant("ore", 1)).await;
    let play = length + Duration::from_secs(3);
    let bots = bots::play(Options { load: Load::Depth(64), ..stage.bots(&server, play) });
    sleep(Duration::from_secs(1)).await;
    let before = server.resident_bytes();
    stage.proxy.set(way);
    asker.send(grant("ore", 1)).await;
    assert!(matches!(idle.ask(stats()).await, ServerMessage::Answer(_)), "who waits for nothing is answered");
    expect_no_ack(&mut asker, length).await;
    let grown = server.resident_bytes().saturating_sub(before);
    stage.proxy.set(Way::Open);
    let healthy = until_healthy(&server).await;
    let report = bots.await.expect("the bots do not panic");
    println!("{way:?} for {length:?}: grew by {} KiB, healthy after {healthy:?}", grown / 1024);
    assert!(grown < 32 * 1024 * 1024, "memory stays bounded: {grown} bytes more");
    expect_in_order(&report);
    assert!(report.refusals.contains_key("store_unavailable"), "new changes were refused: {report}");
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_reply_doubles_nothing_and_loses_nothing() {
    let _lane = lane().await;
    losing_replies(1, Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "as long as it is given: tests/run --long"]
async fn lost_replies_again_and_again_double_nothing_and_lose_nothing() {
    let _lane = lane().await;
    again_and_again(async |seed| losing_replies(seed, Duration::from_secs(30)).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_hole_nothing_is_acknowledged_and_after_it_everything_goes_on() {
    let _lane = lane().await;
    hole(1, Way::Swallowed, Duration::from_secs(1)).await;
    hole(2, Way::Held, Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "as long as it is given: tests/run --long"]
async fn holes_of_any_length_again_and_again() {
    let _lane = lane().await;
    again_and_again(async |seed| {
        let way = if seed.is_multiple_of(2) { Way::Held } else { Way::Swallowed };
        for seconds in [1, 5, 30] {
            hole(seed, way, Duration::from_secs(seconds)).await;
        }
    })
    .await;
}
