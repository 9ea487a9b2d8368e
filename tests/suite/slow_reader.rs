//! A reader that really does not read, with the limits as they are shipped: it costs a bounded amount, it stalls nobody,
//! and when it reads again in time it is right.

use bytes::Bytes;
use holdall_harness::{
    child::{PATIENCE, Server, Site},
    client::{Client, gift, grant, seq_of, stats},
};
use holdall_protocol::{
    frame::Subprotocol,
    ids::{Revision, Seq, TradeId},
    message::ServerMessage,
};
use holdall_server::replication::outbox::{Frame, Kind, Outbox};
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// Deltas of about 250 bytes of JSON; twice what all buffers on the way hold.
const GIFTS: usize = 4_000;

/// Gives `times` pieces of ore to `to`, and hears that every one was given.
async fn flood(giver: &mut Client, to: &str, times: usize) {
    let ore = giver.stack("ore").1.instance;
    for _ in 0..times.div_ceil(200) {
        let last = giver.send_all((0..200).map(|_| gift(to, ore, 1))).await;
        for seq in last - 199..=last {
            let reply = giver.reply(seq).await;
            assert!(matches!(reply, ServerMessage::Applied(_)), "the giver notices nothing: {reply:?}");
        }
    }
}

/// One stack from which much can be given.
fn site() -> Site {
    let site = Site::new().knob("store.cache_bytes", 1_048_576);
    let file = site.dir().join("items.toml");
    let ore = "[[item]]\nid = \"ore\"\nname = \"Ore\"\nkind = \"material\"\nmax_stack = 1000000\n\n";
    let bread = "[[item]]\nid = \"bread\"\nname = \"Bread\"\nkind = \"consumable\"\nmax_stack = 50\n\n";
    let gold = "[[item]]\nid = \"gold\"\nname = \"Gold\"\nkind = \"currency\"\n";
    std::fs::write(&file, format!("{ore}{bread}{gold}")).unwrap();
    site.knob("catalog.items_file", file.display())
}

async fn giver(server: &Server) -> Client {
    let mut giver = Client::enter(server.game, "giver").await;
    giver.apply(grant("ore", 1_000_000)).await;
    giver
}

async fn does_not_read(server: &Server) -> Client {
    let mut slow = Client::open_narrow(server.game, Subprotocol::Json).await;
    slow.hello("dev:slow", None).await;
    slow.expect_welcome().await;
    slow.expect_snapshot().await;
    slow
}

#[tokio::test]
async fn its_deltas_collapse_into_one_later_snapshot_and_its_replies_all_come() {
    let server = site().start().await;
    let mut giver = giver(&server).await;
    let mut slow = does_not_read(&server).await;
    let before = server.resident_bytes();
    let mut asked = 0;
    for _ in 0..GIFTS / 200 {
        asked = slow.send(grant("bread", 1)).await;
        flood(&mut giver, "slow", 200).await;
    }
    let grown = server.resident_bytes().saturating_sub(before);
    assert!(grown < 32 << 20, "memory grew by {grown} bytes");
    // It reads again: what was on its way, its replies in order, and one snapshot for all the rest.
    let mut answered = 0;
    let total = 1 + GIFTS as u64 + asked;
    while answered < asked || slow.snapshots.len() < 2 || slow.revision() < total {
        if let Some(seq) = seq_of(&slow.message().await) {
            answered += 1;
            assert_eq!(seq, answered, "one reply each, in order");
        }
    }
    assert!(slow.deltas.len() < GIFTS, "not every gift came as a delta: {}", slow.deltas.len());
    assert_eq!((slow.count("ore"), slow.count("bread")), (GIFTS as u64, asked));
    slow.compare().await;
    // From here on it is a client like any other.
    flood(&mut giver, "slow", 200).await;
    slow.until_revision(total + 200).await;
    slow.apply(grant("bread", 1)).await;
    slow.compare().await;
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn one_that_does_not_read_its_pongs_is_closed() {
    let site = site().knob("log.level", "debug").knob("limits.slow_reader_grace_ms", 300);
    let site = site.knob("limits.actions_per_second", 1_000_000).knob("limits.actions_burst", 1_000_000);
    let server = site.start().await;
    let mut slow = does_not_read(&server).await;
    let before = server.resident_bytes();
    let begun = Instant::now();
    while slow.ping().await {
        assert!(begun.elapsed() < PATIENCE, "it is still there");
    }
    let grown = server.resident_bytes().saturating_sub(before);
    assert!(grown < 8 << 20, "memory grew by {grown} bytes");
    server.logs("close=slow").await;
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn one_that_never_reads_is_closed_and_nobody_else_notices() {
    let server = site().knob("log.level", "debug").start().await;
    let mut giver = giver(&server).await;
    let slow = does_not_read(&server).await;
    let mut bystander = Client::enter(server.game, "bystander").await;
    flood(&mut giver, "slow", GIFTS).await;
    let begun = Instant::now();
    while !server.log().lines().any(|line| line.contains("connection closed") && line.contains("close=slow")) {
        assert!(begun.elapsed() < PATIENCE, "it is still there");
        bystander.apply(grant("bread", 1)).await;
        bystander.question(stats()).await;
        flood(&mut giver, "slow", 200).await;
        sleep(Duration::from_millis(200)).await;
    }
    bystander.compare().await;
    // What it could not be told is not lost.
    let mut back = slow.leave().resume(server.game, Subprotocol::Json, "slow").await;
    assert!(!back.welcome().resumed, "far more was missed than is kept");
    back.expect_snapshot().await;
    assert!(back.count("ore") > GIFTS as u64);
    back.compare().await;
    assert_eq!(server.stop().await, Some(0));
}

#[test]
fn past_its_bytes_an_outbox_keeps_replies_without_changes_and_nothing_else_grows() {
    let bytes_max = 10_000;
    let mut outbox = Outbox::new(Subprotocol::Json, bytes_max);
    let frame = |bytes: usize| Frame::Encoded(Bytes::from(vec![b' '; bytes]));
    let mut replies = Vec::new();
    for n in 1..=100_000_u64 {
        let revision = Revision::new(n);
        // In flight are at most so many.
        if n % 2_000 == 0 {
            let seq = Seq::new(n);
            replies.push(seq);
            outbox.push(
                revision,
                Kind::Applied { seq, revision, checksum: 7, overflow: None, tells_hold: false },
                frame(300),
            );
        } else {
            outbox.push(revision, Kind::Delta, frame(300));
        }
    }
    assert!(!outbox.owes_snapshot(), "what is queued goes first");
    let mut out = Vec::new();
    assert_eq!(outbox.take_ready(Revision::new(1_000_000), &mut out).replies, replies.len());
    let told: Vec<Seq> = out
        .iter()
        .map(|frame| match frame {
            Frame::Encoded(bytes) => match Subprotocol::Json.decode_server(bytes).expect("a reply") {
                ServerMessage::Applied(applied) if applied.collapsed && applied.changes.is_empty() => applied.seq,
                other => panic!("{other:?}"),
            },
            Frame::Message(message) => panic!("{message:?}"),
        })
        .collect();
    assert_eq!(told, replies, "every reply, in order, and not one delta");
    assert!(outbox.owes_snapshot() && outbox.take_collapsed() && !outbox.take_collapsed(), "one snapshot for the rest");
    outbox.push(Revision::new(100_001), Kind::Delta, frame(300));
    out.clear();
    outbox.take_ready(Revision::new(1_000_000), &mut out);
    assert_eq!(out.len(), 1, "and deltas again after it");
}

#[test]
fn past_its_bytes_an_outbox_keeps_only_the_newest_step_of_each_trade() {
    let bytes_max = 10_000;
    let mut outbox = Outbox::new(Subprotocol::Json, bytes_max);
    let trade = |n: u64| TradeId::new(uuid::Uuid::from_u128(n.into()));
    for step in 0..100_000_u64 {
        let frame = Frame::Encoded(Bytes::from(step.to_be_bytes().repeat(40)));
        outbox.push(Revision::new(1), Kind::Trade(trade(step % 3)), frame);
    }
    let mut out = Vec::new();
    outbox.take_ready(Revision::new(1), &mut out);
    let steps: Vec<u64> = out
        .iter()
        .map(|frame| match frame {
            Frame::Encoded(bytes) => u64::from_be_bytes(bytes[..8].try_into().expect("eight bytes")),
            Frame::Message(message) => panic!("{message:?}"),
        })
        .collect();
    assert!(steps.len() * 320 <= bytes_max + 3 * 320, "{} frames are kept", steps.len());
    assert!(steps.is_sorted() && steps.ends_with(&[99_997, 99_998, 99_999]), "the newest of each: {steps:?}");
}
