//! Stopping while Redis is away: what was not saved waits in the spool, under the same fencing.

use super::stage::{LEASE_RAN_OUT, enter_at_last, lane, site_on};
use holdall_harness::{
    child::Site,
    client::{Client, Heard, grant},
    redis::Redis,
};
use holdall_protocol::message::ServerMessage;
use std::path::PathBuf;

/// A player with something acknowledged and something that never was, in the spool of a stopped server.
async fn stopped_without_redis() -> (Redis, Site) {
    let mut redis = Redis::run().await;
    let site = site_on(&redis.url())
        .knob("limits.drain_seconds", 1)
        .allow(LEASE_RAN_OUT)
        .allow("some connections did not end in time")
        .allow("what could not be saved is in the spool");
    let server = site.start().await;
    let mut anna = Client::enter(server.game, "anna").await;
    anna.apply(grant("ore", 5)).await;
    redis.kill().await;
    anna.send(grant("ore", 2)).await;
    // Heard after it on the same connection, and answered after it.
    server.ask_to_stop();
    let (rest, end) = anna.rest().await;
    assert!(!rest.iter().any(|message| matches!(message, ServerMessage::Applied(_))), "{rest:?}");
    assert!(matches!(end, Heard::Close(..) | Heard::Gone), "{end:?}");
    assert_eq!(server.stopped().await, Some(4), "it says that something waits");
    assert!(spool(&site).exists());
    redis.start().await;
    (redis, site)
}

fn spool(site: &Site) -> PathBuf {
    site.dir().join("data/spool")
}

#[tokio::test]
async fn what_a_stop_could_not_save_the_next_start_saves_before_it_is_ready() {
    let _lane = lane().await;
    let (redis, site) = stopped_without_redis().await;
    let server = site.start().await;
    let seq = redis.tell(&["HGET", "holdall:{main}:player:anna", "seq"]).await;
    assert_eq!(seq.text(), "2", "it was saved before anybody could ask");
    assert!(!spool(&site).exists());
    let mut anna = Client::enter(server.game, "anna").await;
    assert_eq!((anna.count("ore"), anna.welcome().seq.get()), (7, 2));
    anna.apply(grant("ore", 1)).await;
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn a_spooled_player_who_was_taken_over_meanwhile_is_reported_and_left_alone() {
    let _lane = lane().await;
    let (redis, site) = stopped_without_redis().await;
    let other = site_on(&redis.url()).start().await;
    let (mut anna, _) = enter_at_last(other.game, "anna").await;
    assert_eq!(anna.count("ore"), 5, "what waits elsewhere was never acknowledged");
    anna.apply(grant("ore", 10)).await;
    let site = site.allow("a spooled batch was refused and kept aside");
    let server = site.start().await;
    assert!(server.log().contains("refused and kept aside") && server.log().contains("anna"), "{}", server.log());
    assert!(!spool(&site).exists());
    let data = std::fs::read_dir(site.dir().join("data")).expect("the data directory");
    let kept = data.filter(|entry| {
        let name = entry.as_ref().expect("an entry").file_name();
        name.to_string_lossy().starts_with("spool.refused-")
    });
    assert_eq!(kept.count(), 1, "the file is kept for a person to look at");
    anna.apply(grant("ore", 1)).await;
    assert_eq!(anna.count("ore"), 16);
    anna.compare().await;
    assert_eq!((server.stop().await, other.stop().await), (Some(0), Some(0)));
}
