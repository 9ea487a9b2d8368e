//! Two servers on one Redis: a player has one owner at a time, whoever of the two lives, dies or sleeps.

use super::stage::{BUSY, LEASE, LEASE_RAN_OUT, TAKEN_OVER, enter_at_last, lane, site_on, try_to_enter, until_healthy};
use holdall_client_sim::Options;
use holdall_harness::{
    bots::{self, expect_in_order},
    child::{PATIENCE, Server, Site},
    client::{Client, Heard, grant},
    proxy::Proxy,
    redis::Redis,
    resp::Reply,
};
use holdall_protocol::{close::Close, frame::Subprotocol, message::ServerMessage};
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};
use tokio::time::sleep;

/// Far longer than any test: who is heard before it was not waited for.
const LONG_LEASE: Duration = Duration::from_secs(600);

/// Two sites on one Redis.
async fn pair(lease: Duration) -> (Redis, Site, Site) {
    let redis = Redis::run().await;
    let site = || site_on(&redis.url()).knob("store.lease_ms", lease.as_millis());
    let (one, other) = (site(), site());
    (redis, one, other)
}

#[tokio::test]
async fn a_login_on_the_other_server_hands_the_player_over() {
    let _lane = lane().await;
    let (_redis, one, other) = pair(LONG_LEASE).await;
    let (one, other) = (one.start().await, other.start().await);
    let mut old = Client::enter(one.game, "anna").await;
    let mut slowest = Duration::ZERO;
    for (round, there) in [&other, &one, &other, &one].into_iter().enumerate() {
        old.apply(grant("ore", 1)).await;
        // Who has just come stays for a second.
        sleep(Duration::from_secs(1)).await;
        let asked = old.send_all((0..50).map(|_| grant("bread", 1))).await;
        let (mut new, took) = enter_at_last(there.game, "anna").await;
        slowest = slowest.max(took);
        let (rest, end) = old.rest().await;
        assert!(matches!(end, Heard::Close(Close::Replaced, _)), "{end:?}");
        let acknowledged = rest.iter().filter(|message| matches!(message, ServerMessage::Applied(_))).count() as u64;
        let spent = new.welcome().seq.get();
        assert_eq!(spent, asked - 50 + acknowledged, "what took effect was acknowledged, and nothing else");
        assert_eq!(new.count("ore"), round as u64 + 1);
        new.compare().await;
        old = new;
    }
    println!("handed over within {slowest:?}");
    drop(old);
    assert_eq!((one.stop().await, other.stop().await), (Some(0), Some(0)));
}

/// Waits until a server has read a letter from the other one.
async fn until_a_letter_is_read(redis: &Redis) {
    let begun = Instant::now();
    loop {
        if let [mail] = redis.tell(&["KEYS", "holdall:{main}:node:*:mail"]).await.array()
            && redis.tell(&["XLEN", mail.text()]).await == Reply::Integer(0)
        {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "no letter came");
        sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn who_turns_back_is_not_put_out_by_the_login_it_left_behind() {
    let _lane = lane().await;
    let (redis, one, other) = pair(LONG_LEASE).await;
    let (one, other) = (one.start().await, other.start().await);
    let _old = Client::enter(one.game, "anna").await;
    let mut left_behind = Client::open(other.game, Subprotocol::Msgpack).await;
    left_behind.hello("dev:anna", None).await;
    // She has just come and so stays for a second, in which she comes back.
    until_a_letter_is_read(&redis).await;
    let mut anna = Client::enter(one.game, "anna").await;
    drop(left_behind);
    // Longer than an abandoned login goes on asking.
    let heard = anna.hear_within(Duration::from_secs(3)).await;
    assert!(heard.is_none(), "the newest login was disturbed: {heard:?}");
    anna.apply(grant("ore", 1)).await;
    assert_eq!((one.stop().await, other.stop().await), (Some(0), Some(0)));
}

#[tokio::test]
async fn who_was_on_a_killed_server_is_taken_over_when_its_lease_has_run_out() {
    let _lane = lane().await;
    let (_redis, one, other) = pair(LEASE).await;
    let (one, other) = (one.start().await, other.start().await);
    let mut anna = Client::enter(one.game, "anna").await;
    anna.apply(grant("ore", 5)).await;
    one.kill().await;
    let (mut anna, took) = enter_at_last(other.game, "anna").await;
    println!("taken over {took:?} after the kill, the lease is {LEASE:?}");
    assert_eq!(anna.count("ore"), 5);
    anna.apply(grant("ore", 1)).await;
    assert_eq!(other.stop().await, Some(0));
}

#[tokio::test]
async fn a_server_started_again_has_its_players_at_once() {
    let _lane = lane().await;
    let (_redis, one, _) = pair(LONG_LEASE).await;
    let server = one.start().await;
    let mut anna = Client::enter(server.game, "anna").await;
    anna.apply(grant("ore", 5)).await;
    server.kill().await;
    let server = one.start().await;
    let mut anna = Client::enter(server.game, "anna").await;
    assert_eq!(anna.count("ore"), 5);
    anna.apply(grant("ore", 1)).await;
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn what_a_dead_server_held_its_successor_gives_to_another_at_once() {
    let _lane = lane().await;
    let (_redis, one, other) = pair(LONG_LEASE).await;
    let (server, other) = (one.start().await, other.start().await);
    let mut anna = Client::enter(server.game, "anna").await;
    anna.apply(grant("ore", 5)).await;
    server.kill().await;
    let server = one.start().await;
    let (mut anna, took) = enter_at_last(other.game, "anna").await;
    println!("taken over from a server that was started again after {took:?}");
    assert_eq!(anna.count("ore"), 5);
    anna.apply(grant("ore", 1)).await;
    assert_eq!((server.stop().await, other.stop().await), (Some(0), Some(0)));
}

#[tokio::test]
async fn a_server_that_slept_past_its_lease_writes_nothing_and_acknowledges_nothing() {
    let _lane = lane().await;
    let (redis, one, other) = pair(LEASE).await;
    // What it had begun to write when it fell asleep it may still try to write.
    let one = one.allow(LEASE_RAN_OUT).allow(TAKEN_OVER);
    let (sleeper, other) = (one.start().await, other.start().await);
    let mut stale = Client::enter(sleeper.game, "anna").await;
    stale.apply(grant("ore", 5)).await;
    sleeper.pause().await;
    stale.send_all((0..50).map(|_| grant("ore", 100))).await;
    let (mut anna, took) = enter_at_last(other.game, "anna").await;
    println!("taken over after {took:?}, the lease is {LEASE:?}");
    anna.apply(grant("ore", 1)).await;
    let before = redis.tell(&["HGETALL", "holdall:{main}:player:anna"]).await;
    sleeper.resume();
    let (rest, end) = stale.rest().await;
    assert!(!rest.iter().any(|message| matches!(message, ServerMessage::Applied(_))), "{rest:?}");
    assert!(matches!(end, Heard::Close(..)), "{end:?}");
    until_healthy(&sleeper).await;
    // It may be asked for its health before it has noticed.
    sleeper.logs(LEASE_RAN_OUT).await;
    assert_eq!(redis.tell(&["HGETALL", "holdall:{main}:player:anna"]).await, before, "it wrote nothing");
    anna.apply(grant("ore", 1)).await;
    assert_eq!(anna.count("ore"), 7);
    anna.compare().await;
    assert_eq!((sleeper.stop().await, other.stop().await), (Some(0), Some(0)));
}

/// A device that logs in again whenever it is put out; how often it was welcome.
async fn stubborn(game: SocketAddr, until: Instant) -> u32 {
    let mut welcomes = 0;
    while Instant::now() < until {
        let Some(mut client) = try_to_enter(game, "anna").await else { continue };
        welcomes += 1;
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            if matches!(client.hear_within(left).await, None | Some(Heard::Close(..) | Heard::Gone)) {
                break;
            }
        }
    }
    welcomes
}

#[tokio::test]
async fn two_devices_that_keep_logging_in_do_not_tear_the_player_to_and_fro() {
    let _lane = lane().await;
    let (_redis, one, other) = pair(LONG_LEASE).await;
    let (one, other) = (one.start().await, other.start().await);
    let seconds = 5;
    let until = Instant::now() + Duration::from_secs(seconds);
    let (here, there) = tokio::join!(stubborn(one.game, until), stubborn(other.game, until));
    println!("{here} and {there} welcomes in {seconds} s");
    assert!(here + there >= 2, "both got in");
    assert!(u64::from(here + there) <= 2 * seconds, "{here} and {there} welcomes in {seconds} s");
    assert_eq!((one.stop().await, other.stop().await), (Some(0), Some(0)));
}

/// Bots that hop between two servers, of which now and then one is killed.
async fn hopping(kill: bool) {
    let (_redis, mut one, other) = pair(LEASE).await;
    let mut first = bots::start_for_good(&mut one).await;
    let second: Server = other.start().await;
    let door = Proxy::before(vec![first.game, second.game], 1).await;
    let churn = Some(Duration::from_secs(1));
    let length = Duration::from_secs(6);
    let options = bots::options(door.address, 1, length, BUSY);
    let bots = bots::play(Options { churn, ..options });
    if kill {
        for _ in 0..2 {
            sleep(Duration::from_millis(1_500)).await;
            first.kill().await;
            first = one.start().await;
        }
    }
    let report = bots.await.expect("the bots do not panic");
    println!("{} reconnects, {} effects asked for", report.reconnects, report.requests);
    expect_in_order(&report);
    assert!(report.reconnects >= 24, "they hopped: {report}");
    assert_eq!((first.stop().await, second.stop().await), (Some(0), Some(0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn players_who_hop_between_two_servers_lose_nothing() {
    let _lane = lane().await;
    hopping(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn players_who_hop_between_two_servers_lose_nothing_when_one_is_killed() {
    let _lane = lane().await;
    hopping(true).await;
}
