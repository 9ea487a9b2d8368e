//! The same player twice: the newest login wins, and the older one can spoil nothing.

use holdall_harness::{
    child::Site,
    client::{Client, grant},
};
use holdall_protocol::{close::Close, frame::Subprotocol, message::ServerMessage};

#[tokio::test]
async fn the_newest_wins_and_the_older_is_told_so_after_its_replies() {
    let server = Site::new().start().await;
    let mut old = Client::enter(server.game, "anna").await;
    let asked = old.send_all((0..50).map(|_| grant("ore", 1))).await;
    let mut new = Client::join(server.game, Subprotocol::Json, "anna").await;
    // Whatever was heard was heard before the new one joined, and is answered to who asked.
    let spent = new.welcome().seq.get();
    for seq in 1..=spent {
        assert!(matches!(old.reply(seq).await, ServerMessage::Applied(_)));
    }
    old.expect_close(Close::Replaced).await;
    assert!(spent <= asked);
    assert_eq!(new.count("ore"), spent);
    drop(old);
    for _ in 0..20 {
        new.apply(grant("bread", 1)).await;
    }
    new.compare().await;
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn the_same_number_on_both_takes_effect_once() {
    let server = Site::new().start().await;
    for n in 1..=20 {
        let mut old = Client::enter(server.game, "anna").await;
        let seq = old.send(grant("ore", 1)).await;
        let mut new = Client::enter(server.game, "anna").await;
        new.send_as(seq, grant("ore", 1)).await;
        assert!(matches!(new.reply(seq).await, ServerMessage::Applied(_)), "first or repeated, it is the same answer");
        new.compare().await;
        assert_eq!((new.count("ore"), seq), (n, 2 * n - 1));
    }
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn cleaning_up_after_the_old_one_never_touches_the_new() {
    let server = Site::new().knob("limits.linger_ms", 0).start().await;
    let mut current = Client::enter(server.game, "anna").await;
    let incarnation = current.welcome().incarnation;
    for n in 1..=20 {
        let newer = Client::enter(server.game, "anna").await;
        drop(std::mem::replace(&mut current, newer));
        current.apply(grant("ore", 1)).await;
        assert_eq!(current.count("ore"), n);
    }
    assert_eq!(current.welcome().incarnation, incarnation, "never unloaded, though nothing lingers");
    current.compare().await;
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn hanging_up_before_the_load_is_done_leaves_no_half_born_player() {
    let kit = r#"[{ item = "ore", quantity = 3 }]"#;
    let site = Site::new().knob("limits.linger_ms", 0).knob("new_player.kit", kit);
    let server = site.start().await;
    for n in 0..30 {
        let mut hasty = Client::open(server.game, Subprotocol::Msgpack).await;
        hasty.hello(&format!("dev:hasty-{n}"), None).await;
    }
    assert_eq!(server.stop().await, Some(0));
    let server = site.start().await;
    for n in 0..30 {
        let client = Client::enter(server.game, &format!("hasty-{n}")).await;
        assert_eq!((client.revision(), client.count("ore")), (1, 3), "born once, whenever it was");
    }
    assert_eq!(server.stop().await, Some(0));
}
