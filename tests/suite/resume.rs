//! Coming back: a mirror that is only a little behind gets what it missed, any other one the whole.

use holdall_client_sim::{fault::Fault, model::Mirror};
use holdall_harness::{
    child::{Server, Site},
    client::{Away, Client, gift, grant, stats},
};
use holdall_protocol::{
    action::{self, Action},
    frame::Subprotocol::{self, Json, Msgpack},
    ids::InstanceId,
    message::{Answered, Cause, ServerMessage},
};

/// Bert, who gives away ore.
struct Giver {
    client: Client,
    ore: InstanceId,
}

impl Giver {
    async fn enter(server: &Server) -> Self {
        let mut client = Client::enter(server.game, "bert").await;
        client.apply(grant("ore", 99)).await;
        let ore = client.stack("ore").1.instance;
        Self { client, ore }
    }

    async fn give(&mut self, times: usize) {
        for _ in 0..times {
            self.client.apply(gift("anna", self.ore, 1)).await;
        }
    }
}

async fn anna_leaves(server: &Server, subprotocol: Subprotocol) -> Away {
    let mut anna = Client::join(server.game, subprotocol, "anna").await;
    anna.apply(grant("bread", 3)).await;
    anna.leave()
}

/// Anna was not resumed: she gets a snapshot, and it is right.
async fn expect_a_snapshot(mut anna: Client, ore: u64) {
    assert!(!anna.welcome().resumed);
    let snapshot = anna.expect_snapshot().await;
    assert_eq!(snapshot.revision, anna.welcome().revision);
    assert_eq!((anna.count("ore"), anna.count("bread")), (ore, 3));
    anna.compare().await;
    assert!(anna.deltas.is_empty());
}

#[tokio::test]
async fn a_resume_gets_just_what_was_missed() {
    let server = Site::new().start().await;
    let mut bert = Giver::enter(&server).await;
    for (round, subprotocol) in [(1, Msgpack), (2, Json)] {
        let away = anna_leaves(&server, subprotocol).await;
        let at = away.standing.revision;
        bert.give(3).await;
        let mut anna = away.resume(server.game, subprotocol, "anna").await;
        assert!(anna.welcome().resumed, "round {round}");
        assert_eq!(anna.welcome().revision.get(), at + 3);
        anna.until_revision(at + 3).await;
        assert_eq!((anna.deltas.len(), anna.snapshots.len()), (3, 0), "the gifts that came meanwhile, nothing else");
        assert!(
            anna.deltas.iter().all(|delta| matches!(&delta.cause, Cause::Gift { from } if from.as_str() == "bert"))
        );
        anna.compare().await;
        // And with nothing missed, nothing comes.
        let mut anna = anna.leave().resume(server.game, subprotocol, "anna").await;
        assert!(anna.welcome().resumed);
        anna.question(stats()).await;
        assert!(anna.deltas.is_empty() && anna.snapshots.is_empty());
        anna.compare().await;
    }
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn a_resume_also_tells_replies_that_were_missed() {
    let server = Site::new().start().await;
    let mut anna = Client::enter(server.game, "anna").await;
    anna.apply(grant("bread", 1)).await;
    let away = Away { standing: anna.standing(), mirror: anna.mirror().clone() };
    let seq = anna.send(grant("ore", 1)).await;
    anna.reply(seq).await;
    // As if that reply had never arrived.
    drop(anna);
    let mut anna = away.resume(server.game, Msgpack, "anna").await;
    assert!(anna.welcome().resumed);
    assert!(matches!(anna.reply(seq).await, ServerMessage::Applied(_)));
    assert_eq!(anna.count("ore"), 1);
    anna.compare().await;
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn another_subprotocol_gets_a_snapshot() {
    let server = Site::new().start().await;
    let mut bert = Giver::enter(&server).await;
    let away = anna_leaves(&server, Msgpack).await;
    bert.give(1).await;
    expect_a_snapshot(away.resume(server.game, Json, "anna").await, 1).await;
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn what_is_no_longer_held_comes_as_a_snapshot() {
    let server = Site::new().knob("limits.resume_bytes_max", 1_500).start().await;
    let mut bert = Giver::enter(&server).await;
    let away = anna_leaves(&server, Msgpack).await;
    bert.give(30).await;
    expect_a_snapshot(away.resume(server.game, Msgpack, "anna").await, 30).await;
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn another_load_is_another_incarnation_and_gets_a_snapshot() {
    let site = Site::new();
    let server = site.start().await;
    let away = anna_leaves(&server, Msgpack).await;
    let before = away.standing.incarnation;
    server.kill().await;
    let server = site.start().await;
    let anna = away.resume(server.game, Msgpack, "anna").await;
    assert_ne!(anna.welcome().incarnation, before);
    expect_a_snapshot(anna, 0).await;
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn a_mirror_from_the_future_gets_a_snapshot() {
    let server = Site::new().start().await;
    let mut away = anna_leaves(&server, Msgpack).await;
    for ahead in [1, u64::MAX - away.standing.revision] {
        away.standing.revision += ahead;
        let mut anna = Client::open(server.game, Msgpack).await;
        anna.hello("dev:anna", Some(away.standing.clone())).await;
        anna.expect_welcome().await;
        expect_a_snapshot(anna, 0).await;
        away.standing.revision -= ahead;
    }
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn a_client_that_sees_a_gap_resyncs() {
    let server = Site::new().start().await;
    let mut bert = Giver::enter(&server).await;
    let mut anna = Client::enter(server.game, "anna").await;
    let mut careless = anna.mirror().clone();
    bert.give(2).await;
    anna.until_revision(3).await;
    let [_, second] = anna.deltas.as_slice() else { panic!("two deltas") };
    let gap = careless.apply(second.revision, &second.changes, second.checksum).expect_err("the first is missing");
    assert!(matches!(gap, Fault::Gap { .. }), "{gap}");
    let Answered::Snapshot(snapshot) = anna.question(Action::Resync(action::Resync {})).await else {
        panic!("no snapshot")
    };
    let mut careless = Mirror::of(&snapshot).expect("a right snapshot");
    bert.give(1).await;
    anna.until_revision(4).await;
    let third = &anna.deltas[2];
    careless.apply(third.revision, &third.changes, third.checksum).expect("it goes on from the snapshot");
    careless.same(anna.mirror()).expect("both are right");
    assert_eq!(server.stop().await, Some(0));
}
