//! What is asked twice in the shop is done once: after a reconnect, after a crash, and while the first time is still under way.

use super::{LATE, behind_a_proxy, crashes::pay_at_last, customer, on_both_stores};
use crate::exactly_once::fate;
use holdall_harness::{
    child::Server,
    client::Client,
    proxy::Way,
    shop::{Stall, Units, confirm, hold, release},
};
use holdall_protocol::{
    action::Action,
    code::Code,
    frame::Subprotocol,
    message::{Hold, HoldState, ServerMessage},
};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use serde_json::json;
use std::time::Duration;
use tokio::time::sleep;

on_both_stores! {
    a_repeat_after_a_resume_gets_the_first_answer
    a_hold_that_was_under_way_when_the_connection_broke_is_one_hold
    a_hold_that_was_under_way_when_the_server_was_killed_is_one_hold
    a_purchase_that_was_under_way_when_the_server_was_killed_is_one_purchase
    a_cart_that_asks_again_under_its_key_gets_the_first_answer
}

async fn a_repeat_after_a_resume_gets_the_first_answer(stall: Stall) {
    let server = stall.start().await;
    let shop = server.asker(None);
    let mut anna = customer(&server, "anna", 400).await;
    let held = anna.held(hold("sword", 2)).await;
    anna = repeat(&server, anna, hold("sword", 2)).await;
    let seq = anna.seq();
    for other in [hold("sword", 1), hold("ore", 2), confirm(&held)] {
        anna.send_as(seq, other).await;
        let reply = anna.reply(seq).await;
        assert!(matches!(&reply, ServerMessage::Refused(refused) if refused.code == Code::SeqReused), "{reply:?}");
    }
    assert_eq!((shop.units("sword").await, &anna.welcome().holds), (Units::of(8, 2, 0), &vec![held.clone()]));
    anna.held(confirm(&held)).await;
    anna = repeat(&server, anna, confirm(&held)).await;
    assert_eq!((anna.count("gold"), anna.count("iron_sword"), shop.units("sword").await), (200, 2, Units::of(8, 0, 2)));
    let other = anna.held(hold("sword", 1)).await;
    anna.held(release(&other)).await;
    anna = repeat(&server, anna, release(&other)).await;
    assert_eq!(shop.units("sword").await, Units::of(8, 0, 2));
    anna.compare().await;
    stall.close(server).await;
}

/// Comes back, asks again what was asked last, and hears the same bytes.
async fn repeat(server: &Server, client: Client, action: Action) -> Client {
    let (seq, first) = (client.seq(), client.frame.clone());
    let mut client = client.leave().resume(server.game, Subprotocol::Msgpack, "anna").await;
    client.send_as(seq, action).await;
    client.reply(seq).await;
    assert_eq!(client.frame, first);
    client
}

/// Asks for something once more under its number; the hold, unless it is only known that it was done.
async fn again(client: &mut Client, seq: u64, action: Action) -> Option<Hold> {
    client.send_as(seq, action.clone()).await;
    match client.reply(seq).await {
        ServerMessage::Applied(applied) => Some(*applied.hold.expect("the reply tells of the hold")),
        ServerMessage::Refused(refused) if refused.code == Code::Duplicate => {
            assert_eq!(fate(client, seq, action).await.0, Some(true), "it was done, or can be done now");
            None
        }
        other => panic!("{action:?} again: {other:?}"),
    }
}

/// For long enough that it has begun, and mostly for too short that it has ended.
async fn a_moment(rng: &mut StdRng) {
    sleep(Duration::from_micros(rng.random_range(0..4_000))).await;
}

async fn a_hold_that_was_under_way_when_the_connection_broke_is_one_hold(stall: Stall) {
    let stall = stall.knob("limits.holds_max", 64);
    let server = stall.start().await;
    let shop = server.asker(None);
    let mut rng = StdRng::seed_from_u64(1);
    let mut anna = Client::enter(server.game, "anna").await;
    for round in 1..=40 {
        let seq = anna.send(hold("bread", 1)).await;
        a_moment(&mut rng).await;
        drop(anna);
        anna = Client::enter(server.game, "anna").await;
        let held = again(&mut anna, seq, hold("bread", 1)).await.expect("an answer that is still kept, or the first");
        assert_eq!(held.state, HoldState::Active);
        assert_eq!(shop.units("bread").await, Units::of(100 - round, round, 0), "round {round}");
    }
    drop(anna);
    let anna = Client::enter(server.game, "anna").await;
    assert_eq!(anna.welcome().holds.len(), 40);
    stall.close(server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_store_is_still_doing_at_a_second_login_is_done_once() {
    let (stall, site, proxy) = behind_a_proxy().await;
    let server = site.start().await;
    let shop = server.asker(None);
    let mut anna = customer(&server, "anna", 100).await;
    proxy.set(LATE);
    let seq = anna.send(hold("sword", 1)).await;
    let mut anna = second_login(&server, anna).await;
    let held = again(&mut anna, seq, hold("sword", 1)).await.expect("the first answer");
    assert_eq!(shop.units("sword").await, Units::of(9, 1, 0));
    let seq = anna.send(confirm(&held)).await;
    let mut anna = second_login(&server, anna).await;
    // The first login's claim has to be taken back before.
    anna.send_as(seq, confirm(&held)).await;
    if let ServerMessage::Refused(refused) = anna.reply(seq).await {
        assert_eq!(refused.code, Code::PlayerBusy, "{}", refused.message);
        assert!(pay_at_last(&mut anna, confirm(&held)).await);
    }
    assert_eq!((anna.count("gold"), anna.count("iron_sword")), (0, 1));
    assert_eq!(shop.units("sword").await, Units::of(9, 0, 1));
    anna.compare().await;
    proxy.set(Way::Open);
    stall.close(server).await;
}

/// Comes back as soon as the server has begun with what was asked last.
async fn second_login(server: &Server, first: Client) -> Client {
    sleep(Duration::from_millis(50)).await;
    let second = Client::enter(server.game, "anna").await;
    drop(first);
    second
}

async fn a_hold_that_was_under_way_when_the_server_was_killed_is_one_hold(stall: Stall) {
    let stall = stall.knob("limits.holds_max", 64);
    let mut rng = StdRng::seed_from_u64(2);
    let mut server = stall.start().await;
    for round in 1..=8 {
        let mut anna = Client::enter(server.game, "anna").await;
        let seq = anna.send(hold("bread", 1)).await;
        a_moment(&mut rng).await;
        server.kill().await;
        server = stall.start().await;
        let mut anna = Client::enter(server.game, "anna").await;
        again(&mut anna, seq, hold("bread", 1)).await;
        let units = server.asker(None).units("bread").await;
        assert_eq!(units, Units::of(100 - round, round, 0), "round {round}");
        drop(anna);
        let anna = Client::enter(server.game, "anna").await;
        assert_eq!(anna.welcome().holds.len() as u64, round);
    }
    stall.close(server).await;
}

async fn a_purchase_that_was_under_way_when_the_server_was_killed_is_one_purchase(stall: Stall) {
    let mut rng = StdRng::seed_from_u64(3);
    let mut server = stall.start().await;
    let mut anna = customer(&server, "anna", 400).await;
    for round in 1..=4 {
        let held = anna.held(hold("sword", 1)).await;
        let seq = anna.send(confirm(&held)).await;
        a_moment(&mut rng).await;
        server.kill().await;
        server = stall.start().await;
        anna = Client::enter(server.game, "anna").await;
        again(&mut anna, seq, confirm(&held)).await;
        assert_eq!((anna.count("gold"), anna.count("iron_sword")), (400 - 100 * round, round), "round {round}");
        assert_eq!(server.asker(None).units("sword").await, Units::of(10 - round, 0, round), "round {round}");
        anna.compare().await;
    }
    stall.close(server).await;
}

async fn a_cart_that_asks_again_under_its_key_gets_the_first_answer(stall: Stall) {
    let mut server = stall.start().await;
    let first = server.asker(None).hold_for_cart("order-1", "carts", 3, 600).await;
    assert_eq!(first.0, 200, "{}", first.1);
    for crash in [false, true] {
        if crash {
            server.kill().await;
            server = stall.start().await;
        }
        let shop = server.asker(None);
        assert_eq!(shop.hold_for_cart("order-1", "carts", 3, 600).await, first);
        for (sku, quantity, seconds) in [("carts", 4, 600), ("carts", 3, 601), ("ore", 3, 600)] {
            let (status, answer) = shop.hold_for_cart("order-1", sku, quantity, seconds).await;
            assert_eq!((status, &answer["code"]), (409, &json!("key_taken")), "{answer}");
        }
        assert_eq!(shop.units("carts").await, Units::of(97, 3, 0));
    }
    // Asked, and killed before the answer.
    let mut rng = StdRng::seed_from_u64(4);
    for round in 1..=5 {
        let key = format!("round-{round}");
        let _unanswered = server.asker(None).begin_to_hold_for_cart(&key, "carts", 1, 600).await;
        a_moment(&mut rng).await;
        server.kill().await;
        server = stall.start().await;
        let shop = server.asker(None);
        let (status, held) = shop.hold_for_cart(&key, "carts", 1, 600).await;
        assert_eq!((status, &held["state"]), (200, &json!("active")), "{held}");
        assert_eq!(shop.units("carts").await, Units::of(97 - round, 3 + round, 0), "round {round}");
    }
    stall.close(server).await;
}
