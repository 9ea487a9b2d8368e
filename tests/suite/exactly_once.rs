//! Every request takes effect at most once and is answered alike each time: across repeats, reconnects and crashes.

use holdall_harness::{
    child::{Server, Site},
    client::{Client, drop_item, gift, grant, stats},
};
use holdall_protocol::{
    action::Action,
    code::Code,
    frame::Subprotocol,
    message::{Duplicate, Refused, ServerMessage},
};

async fn refused(client: &mut Client, seq: u64, action: Action) -> Refused {
    client.send_as(seq, action).await;
    match client.reply(seq).await {
        ServerMessage::Refused(refused) => refused,
        other => panic!("not refused: {other:?}"),
    }
}

/// What the server says has become of an earlier request.
pub(crate) async fn fate(client: &mut Client, seq: u64, action: Action) -> (Option<bool>, Option<u64>) {
    let refused = refused(client, seq, action).await;
    assert_eq!(refused.code, Code::Duplicate, "{}", refused.message);
    let Duplicate { applied, revision } = refused.duplicate.expect("a duplicate says what became of the first");
    (applied, revision.map(holdall_protocol::ids::Revision::get))
}

#[tokio::test]
async fn a_repeat_gets_the_first_answer_byte_for_byte() {
    let server = Site::new().start().await;
    for (player, subprotocol) in [("anna", Subprotocol::Msgpack), ("bert", Subprotocol::Json)] {
        let mut client = Client::join(server.game, subprotocol, player).await;
        let actions = [grant("ore", 5), drop_item("ore", 9), drop_item("ore", 2), grant("bread", 1)];
        let mut frames = Vec::new();
        for action in &actions {
            client.ask(action.clone()).await;
            frames.push(client.frame.clone());
        }
        let mut again = Client::join(server.game, subprotocol, player).await;
        for (n, action) in actions.iter().enumerate() {
            let seq = n as u64 + 1;
            again.send_as(seq, action.clone()).await;
            again.reply(seq).await;
            assert_eq!(again.frame, frames[n], "{action:?} in {subprotocol:?}");
        }
        assert_eq!((again.count("ore"), again.count("bread"), again.revision()), (3, 1, 4));
        again.compare().await;
    }
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn what_the_ring_has_forgotten_is_still_known_to_have_happened_or_not() {
    // No ring at all: the entries alone remember.
    let server = Site::new().knob("limits.resume_bytes_max", 0).start().await;
    let mut anna = Client::enter(server.game, "anna").await;
    let applied = anna.apply(grant("ore", 5)).await;
    anna.refuse(drop_item("ore", 9)).await;
    assert_eq!(fate(&mut anna, 1, grant("ore", 5)).await, (Some(true), Some(applied.revision.get())));
    assert_eq!(fate(&mut anna, 2, drop_item("ore", 9)).await, (Some(false), None));
    for _ in 0..70 {
        anna.apply(grant("bread", 1)).await;
    }
    assert_eq!(fate(&mut anna, 1, grant("ore", 5)).await, (None, None), "too long ago to tell");
    assert_eq!((anna.count("ore"), anna.count("bread")), (5, 70));
    anna.compare().await;
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn a_number_belongs_to_one_request() {
    let site = Site::new();
    let server = site.start().await;
    let mut anna = Client::enter(server.game, "anna").await;
    anna.apply(grant("ore", 5)).await;
    for other in [grant("ore", 6), drop_item("ore", 5), stats()] {
        assert_eq!(refused(&mut anna, 1, other).await.code, Code::SeqReused);
    }
    assert_eq!(refused(&mut anna, 0, grant("ore", 5)).await.code, Code::SeqGap);
    assert_eq!(refused(&mut anna, 1 + 1_025, grant("ore", 5)).await.code, Code::SeqGap);
    assert_eq!(refused(&mut anna, 9_007_199_254_740_991, grant("ore", 5)).await.code, Code::SeqGap);
    // Numbers that were refused so are not spent; numbers may be left out, up to the bound.
    anna.send_as(1 + 1_024, grant("ore", 1)).await;
    assert!(matches!(anna.reply(1 + 1_024).await, ServerMessage::Applied(_)));
    assert_eq!(fate(&mut anna, 700, grant("ore", 1)).await, (Some(false), None), "left out is left out");
    server.kill().await;
    let server = site.start().await;
    let mut anna = Client::enter(server.game, "anna").await;
    assert_eq!((anna.welcome().seq.get(), anna.count("ore")), (1_025, 6));
    assert_eq!(refused(&mut anna, 1_025, grant("ore", 7)).await.code, Code::SeqReused, "also after a crash");
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn a_reconnect_changes_nothing_about_it() {
    let server = Site::new().start().await;
    let mut anna = Client::enter(server.game, "anna").await;
    anna.apply(grant("ore", 5)).await;
    let first = anna.frame.clone();
    // Sent, and gone before the answer.
    anna.send(grant("bread", 1)).await;
    drop(anna);
    let mut anna = Client::enter(server.game, "anna").await;
    let spent = anna.welcome().seq.get();
    assert!((1..=2).contains(&spent));
    anna.send_as(1, grant("ore", 5)).await;
    anna.reply(1).await;
    assert_eq!(anna.frame, first);
    anna.send_as(2, grant("bread", 1)).await;
    assert!(matches!(anna.reply(2).await, ServerMessage::Applied(_)), "the first answer, or the first try");
    assert_eq!((anna.count("ore"), anna.count("bread")), (5, 1));
    // In the other subprotocol the kept answer cannot be told; what became of it can.
    let mut anna = Client::join(server.game, Subprotocol::Json, "anna").await;
    assert_eq!(fate(&mut anna, 1, grant("ore", 5)).await, (Some(true), Some(2)));
    anna.compare().await;
    assert_eq!((anna.count("ore"), anna.count("bread")), (5, 1));
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn a_crash_forgets_no_request_that_took_effect() {
    let site = Site::new();
    let server = site.start().await;
    let mut anna = Client::enter(server.game, "anna").await;
    let mut revisions = Vec::new();
    for n in 1..=20 {
        revisions.push(anna.apply(grant("ore", n)).await.revision.get());
        anna.refuse(drop_item("bread", 1)).await;
    }
    anna.apply(grant("bread", 1)).await;
    server.kill().await;
    let server = site.start().await;
    let mut anna = Client::enter(server.game, "anna").await;
    assert_eq!((anna.welcome().seq.get(), anna.count("ore")), (41, 210));
    for n in 1..=20 {
        let revision = revisions[usize::try_from(n).unwrap() - 1];
        assert_eq!(fate(&mut anna, 2 * n - 1, grant("ore", n)).await, (Some(true), Some(revision)));
        assert_eq!(fate(&mut anna, 2 * n, drop_item("bread", 1)).await, (Some(false), None));
    }
    anna.compare().await;
    assert_eq!(anna.count("ore"), 210);
    assert_eq!(server.stop().await, Some(0));
}

/// Entries that others caused push a player's own out of the newest 64: then nothing is known, and nothing is claimed.
#[tokio::test]
async fn a_request_is_never_called_ineffective_because_others_filled_the_page() {
    let site = Site::new();
    let server = site.start().await;
    let mut anna = Client::enter(server.game, "anna").await;
    anna.apply(grant("ore", 5)).await;
    anna.apply(grant("bread", 1)).await;
    let mut bert = Client::enter(server.game, "bert").await;
    bert.apply(grant("ore", 99)).await;
    let (_, ore) = bert.stack("ore");
    for _ in 0..70 {
        bert.apply(gift("anna", ore.instance, 1)).await;
    }
    anna.until_revision(73).await;
    server.kill().await;
    let server = site.start().await;
    let mut anna = Client::enter(server.game, "anna").await;
    assert_eq!(anna.count("ore"), 75);
    assert_eq!(fate(&mut anna, 1, grant("ore", 5)).await, (None, None));
    let next = anna.apply(grant("bread", 1)).await;
    assert_eq!(fate(&mut anna, 1, grant("ore", 5)).await, (None, None));
    assert_eq!(next.revision.get(), 74);
    assert_eq!(server.stop().await, Some(0));
}

/// Asks for `total` grants of 1 over three crashes of the server, as a client that knows nothing but what it is told.
async fn grind(site: &Site, mut server: Server, total: u64) -> Server {
    for crash in [true, true, true, false] {
        let mut anna = Client::enter(server.game, "anna").await;
        let spent = anna.welcome().seq.get();
        assert_eq!(anna.count("ore"), spent, "every number that was spent took effect, once");
        assert_eq!(anna.revision(), spent + 1, "an unbroken chain");
        anna.send_all((spent..total).map(|_| grant("ore", 1))).await;
        // Killed in the middle of the work, and of its answers.
        let heard = if crash { (spent + 40).min(total) } else { total };
        for seq in spent + 1..=heard {
            anna.reply(seq).await;
        }
        if crash {
            server.kill().await;
            server = site.start().await;
            let back = Client::enter(server.game, "anna").await;
            assert!(back.welcome().seq.get() >= heard, "what was acknowledged is there");
        }
    }
    server
}

#[tokio::test]
async fn what_a_crash_left_unanswered_is_asked_again_and_happens_once() {
    let site = Site::new();
    let server = site.start().await;
    let server = grind(&site, server, 500).await;
    let mut anna = Client::enter(server.game, "anna").await;
    assert_eq!((anna.count("ore"), anna.welcome().seq.get(), anna.revision()), (500, 500, 501));
    anna.compare().await;
    assert_eq!(server.stop().await, Some(0));
}
