//! `ack = "applied"`: a crash loses a clean suffix of each player, and nothing that two players share.

use holdall_harness::{
    child::Site,
    client::{Client, gift, grant, pay},
};

#[tokio::test]
async fn a_crash_loses_a_clean_suffix() {
    let site = Site::new().flag("--ack").flag("applied").knob("store.autosave_interval_ms", 200);
    let server = site.start().await;
    let mut anna = Client::enter(server.game, "anna").await;
    assert_eq!(anna.welcome().durability.ack, "applied");
    let mut done = 0;
    let begun = std::time::Instant::now();
    while begun.elapsed().as_millis() < 1_000 {
        anna.apply(pay("gold", 1)).await;
        done += 1;
    }
    server.kill().await;
    let server = site.start().await;
    let mut anna = Client::enter(server.game, "anna").await;
    let kept = anna.welcome().seq.get();
    assert!((1..=done).contains(&kept), "{kept} of {done}");
    assert_eq!((anna.count("gold"), anna.revision()), (kept, kept + 1), "no half record, no hole");
    anna.compare().await;
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn a_gift_is_durable_before_it_is_told() {
    let site = Site::new().flag("--ack").flag("applied").knob("store.autosave_interval_ms", 3_600_000);
    let server = site.start().await;
    let mut anna = Client::enter(server.game, "anna").await;
    let mut bert = Client::enter(server.game, "bert").await;
    anna.apply(grant("ore", 9)).await;
    let (_, ore) = anna.stack("ore");
    anna.apply(gift("bert", ore.instance, 4)).await;
    bert.until_revision(2).await;
    // Told, and never due: lost.
    anna.apply(grant("bread", 1)).await;
    server.kill().await;
    let server = site.start().await;
    let anna = Client::enter(server.game, "anna").await;
    let bert = Client::enter(server.game, "bert").await;
    assert_eq!((anna.count("ore"), bert.count("ore"), anna.count("bread")), (5, 4, 0));
    assert_eq!((anna.revision(), bert.revision()), (3, 2));
    assert_eq!(server.stop().await, Some(0));
}
