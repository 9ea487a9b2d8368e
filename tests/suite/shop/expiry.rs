//! Holds that run out: their stock is free again without anyone looking, their players are told, and nothing revives them.

use super::{customer, on_both_stores};
use holdall_harness::{
    client::Client,
    shop::{Stall, Units, confirm, hold, hold_for, release},
};
use holdall_protocol::{code::Code, message::HoldState};
use holdall_server::clock::from_iso;
use std::time::Duration;
use tokio::time::sleep;

on_both_stores! {
    a_player_is_told_of_a_hold_that_ran_out
    a_hold_that_nobody_looks_at_runs_out_all_the_same
    a_hold_cannot_be_paid_for_from_the_moment_its_time_is_over
    a_hold_that_runs_out_while_nobody_serves_has_run_out_at_the_start
}

async fn a_player_is_told_of_a_hold_that_ran_out(stall: Stall) {
    let server = stall.start().await;
    let shop = server.asker(None);
    let mut anna = customer(&server, "anna", 100).await;
    let short = anna.held(hold_for("sword", 3, 1)).await;
    let long = anna.held(hold("sword", 1)).await;
    assert_eq!(anna.until_hold_ends(short.reservation).await, HoldState::Expired);
    assert_eq!(anna.holds.len(), 1, "once");
    assert_eq!(shop.units("sword").await, Units::of(9, 1, 0));
    for action in [confirm(&short), release(&short)] {
        assert_eq!(anna.refuse(action).await.code, Code::ReservationNotActive);
    }
    // It counts towards nothing any more.
    anna.held(hold("sword", 3)).await;
    anna.held(confirm(&long)).await;
    let away = anna.leave();
    let anna = away.resume(server.game, holdall_protocol::frame::Subprotocol::Msgpack, "anna").await;
    assert_eq!(anna.welcome().holds.len(), 1, "{:?}", anna.welcome().holds);
    stall.close(server).await;
}

async fn a_hold_that_nobody_looks_at_runs_out_all_the_same(stall: Stall) {
    let server = stall.start().await;
    let shop = server.asker(None);
    let (status, held) = shop.hold_for_cart("key", "ore", 40, 1).await;
    assert_eq!(status, 200, "{held}");
    // The audit lets go of nothing: what is in it happened by itself.
    let expired = shop.until_events("ore", "expired", 1).await;
    assert_eq!(held["reservationId"], expired[0]);
    assert_eq!(shop.units("ore").await, Units::of(100, 0, 0));
    for verb in ["confirm", "release"] {
        let (status, answer) = shop.to_hold(verb, &expired[0]).await;
        assert_eq!((status, answer["message"].as_str()), (409, Some("Reservation is not active")), "{verb}");
    }
    stall.close(server).await;
}

/// Sweeps are a second apart: of several holds that end at different moments, most are not swept yet when they are tried.
async fn a_hold_cannot_be_paid_for_from_the_moment_its_time_is_over(stall: Stall) {
    let server = stall.start().await;
    let shop = server.asker(None);
    let mut anna = customer(&server, "anna", 100).await;
    let mut carts = Vec::new();
    let mut held = Vec::new();
    for n in 0..4 {
        held.push(anna.held(hold_for("bread", 1, 1)).await);
        carts.push(shop.hold_for_cart(&format!("key-{n}"), "bread", 1, 1).await.1);
        sleep(Duration::from_millis(150)).await;
    }
    for (held, cart) in held.iter().zip(&carts) {
        until(held.expires_at).await;
        let refused = anna.refuse(confirm(held)).await;
        assert_eq!(refused.code, Code::ReservationNotActive, "{}", refused.message);
        let expires_at = cart["expiresAt"].as_str().and_then(from_iso).expect("a time");
        until(expires_at).await;
        let (status, answer) = shop.to_hold("confirm", cart["reservationId"].as_str().expect("an id")).await;
        assert_eq!(status, 409, "{answer}");
    }
    assert_eq!((shop.units("bread").await, anna.count("bread")), (Units::of(100, 0, 0), 0));
    shop.until_events("bread", "expired", 8).await;
    stall.close(server).await;
}

/// Waits for a moment by this machine's clock, which is the store's.
pub(super) async fn until(ms: u64) {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_millis();
    sleep(Duration::from_millis(ms.saturating_sub(u64::try_from(now).expect("a time")))).await;
}

async fn a_hold_that_runs_out_while_nobody_serves_has_run_out_at_the_start(stall: Stall) {
    let server = stall.start().await;
    let mut anna = customer(&server, "anna", 100).await;
    let held = anna.held(hold_for("sword", 1, 1)).await;
    server.kill().await;
    until(held.expires_at).await;
    let server = stall.start().await;
    let mut anna = Client::enter(server.game, "anna").await;
    // Whether the welcome still tells of it or not, it cannot be paid for.
    assert_eq!(anna.refuse(confirm(&held)).await.code, Code::ReservationNotActive);
    let shop = server.asker(None);
    assert_eq!(shop.units("sword").await, Units::of(10, 0, 0));
    shop.until_events("sword", "expired", 1).await;
    stall.close(server).await;
}
