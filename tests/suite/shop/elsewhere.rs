//! Holds and several processes on one Redis, and operators who touch a player's hold.

use super::{crashes::pay_at_last, customer, on_both_stores};
use crate::faults::stage::enter_at_last;
use holdall_harness::{
    client::Client,
    shop::{Stall, Units, confirm, hold, hold_for},
};
use holdall_protocol::{code::Code, message::HoldState};
use serde_json::json;
use std::{collections::BTreeSet, time::Duration};
use tokio::time::sleep;

on_both_stores! {
    a_players_hold_is_not_confirmed_over_http_and_the_player_is_told_when_it_is_released
}

async fn a_players_hold_is_not_confirmed_over_http_and_the_player_is_told_when_it_is_released(stall: Stall) {
    let server = stall.start().await;
    let shop = server.asker(None);
    let mut anna = customer(&server, "anna", 200).await;
    let (held, kept) = (anna.held(hold_for("sword", 1, 2)).await, anna.held(hold("sword", 1)).await);
    let (status, refused) = shop.to_hold("confirm", held.reservation).await;
    assert_eq!((status, &refused["code"]), (409, &json!("players_reservation")), "{refused}");
    let shown = shop.get(&format!("/api/reservations/{}", held.reservation)).await;
    assert_eq!((&shown["cartId"], &shown["state"]), (&json!("player:anna"), &json!("active")), "{shown}");
    assert_eq!((shop.units("sword").await, anna.count("gold")), (Units::of(8, 2, 0), 200));

    let (status, released) = shop.to_hold("release", held.reservation).await;
    assert_eq!((status, &released["state"]), (200, &json!("released")), "{released}");
    assert_eq!(shop.units("sword").await, Units::of(9, 1, 0));
    assert_eq!(anna.until_hold_ends(held.reservation).await, HoldState::Released, "at the latest when it would expire");
    assert_eq!(anna.refuse(confirm(&held)).await.code, Code::ReservationNotActive);
    // One that she tries to pay for before she is told.
    let (status, _) = shop.to_hold("release", kept.reservation).await;
    assert_eq!(status, 200);
    assert_eq!(anna.refuse(confirm(&kept)).await.code, Code::ReservationNotActive);
    anna.compare().await;
    assert_eq!(anna.until_hold_ends(kept.reservation).await, HoldState::Released);
    assert_eq!(anna.count("gold"), 200);
    drop(anna);
    let anna = Client::enter(server.game, "anna").await;
    assert_eq!(anna.welcome().holds, []);
    stall.close(server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_goes_with_its_player_to_another_process() {
    let stall = Stall::on_redis().await;
    let other = stall.another();
    let (here, there) = (stall.start().await, other.start().await);
    let mut anna = customer(&here, "anna", 300).await;
    let (short, long) = (anna.held(hold_for("sword", 1, 6)).await, anna.held(hold("sword", 2)).await);
    drop(anna);
    let (mut anna, _) = enter_at_last(there.game, "anna").await;
    let told: BTreeSet<_> = anna.welcome().holds.iter().map(|hold| hold.reservation).collect();
    assert_eq!(told, BTreeSet::from([short.reservation, long.reservation]));
    anna.held(confirm(&long)).await;
    assert_eq!((anna.count("gold"), anna.count("iron_sword")), (100, 2));
    assert_eq!(anna.until_hold_ends(short.reservation).await, HoldState::Expired, "by her present process");
    for server in [&here, &there] {
        assert_eq!(server.asker(None).units("sword").await, Units::of(8, 0, 2));
    }
    anna.compare().await;
    assert_eq!(here.stop().await, Some(0));
    stall.close(there).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purchase_under_way_when_its_player_moves_is_done_once() {
    let stall = Stall::on_redis().await.knob("limits.linger_ms", 60_000);
    let other = stall.another();
    let (here, there) = (stall.start().await, other.start().await);
    let mut anna = customer(&here, "anna", 400).await;
    for (round, next) in (1..).zip([&there, &here, &there, &here]) {
        // Who has just come stays for a second.
        sleep(Duration::from_secs(1)).await;
        let held = anna.held(hold("sword", 1)).await;
        anna.send(confirm(&held)).await;
        let (mut moved, _) = enter_at_last(next.game, "anna").await;
        let late = pay_at_last(&mut moved, confirm(&held)).await;
        println!("round {round}: paid {} she moved", if late { "after" } else { "before" });
        assert_eq!((moved.count("gold"), moved.count("iron_sword")), (400 - 100 * round, round));
        assert_eq!(next.asker(None).units("sword").await, Units::of(10 - round, 0, round));
        moved.compare().await;
        anna = moved;
    }
    assert_eq!(there.stop().await, Some(0));
    stall.close(here).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn several_processes_that_sweep_let_go_of_each_hold_once() {
    let stall = Stall::on_redis().await;
    let others = [stall.another(), stall.another()];
    let servers = [stall.start().await, others[0].start().await, others[1].start().await];
    let mut held = BTreeSet::new();
    for n in 0..60 {
        let shop = servers[n % servers.len()].asker(None);
        // All run out while the last ones are made, or soon after.
        let (status, hold) = shop.hold_for_cart(&format!("key-{n}"), "carts", 1, 1 + n as u64 % 2).await;
        assert_eq!(status, 200, "{hold}");
        held.insert(hold["reservationId"].as_str().expect("an id").to_owned());
    }
    let [shop, ..] = servers.each_ref().map(|server| server.asker(None));
    let expired = shop.until_events("carts", "expired", 60).await;
    assert_eq!(expired.into_iter().collect::<BTreeSet<_>>(), held);
    // Whoever sweeps after that finds nothing more.
    let again = shop.hold_for_cart("last", "carts", 1, 1).await;
    assert_eq!(again.0, 200, "{}", again.1);
    assert_eq!(shop.until_events("carts", "expired", 61).await.len(), 61);
    assert_eq!(shop.units("carts").await, Units::of(100, 0, 0));
    let [first, second, third] = servers;
    assert_eq!((second.stop().await, third.stop().await), (Some(0), Some(0)));
    stall.close(first).await;
}
