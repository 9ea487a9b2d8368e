//! The shop over real sockets and with real processes, on both stores.

pub(crate) mod crashes;
mod crowd;
mod elsewhere;
mod expiry;
mod refusals;
mod repeats;
mod seeds;

use holdall_harness::{
    child::{Server, Site},
    client::{Client, drop_item, grant, pay},
    proxy::{Proxy, Way},
    shop::{Stall, Units, confirm, hold, hold_for, price, release},
};
use holdall_protocol::{
    code::Code,
    message::{Hold, HoldState},
};
use serde_json::{Value, json};
use std::time::Duration;

/// Each promise is one test on each store.
macro_rules! on_both_stores {
    ($($promise:ident)*) => {
        mod on_a_file {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $promise() {
                super::$promise(holdall_harness::shop::Stall::on_a_file()).await;
            })*
        }
        mod on_redis {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $promise() {
                super::$promise(holdall_harness::shop::Stall::on_redis().await).await;
            })*
        }
    };
}
use on_both_stores;

on_both_stores! {
    a_hold_that_is_paid_for_charges_and_grants_in_one_commit
    a_confirm_without_funds_or_room_leaves_the_hold_standing
    a_hold_keeps_its_price_whatever_the_shop_asks_later
}

/// A player with so much gold.
pub(crate) async fn customer(server: &Server, player: &str, gold: u64) -> Client {
    let mut client = Client::enter(server.game, player).await;
    client.apply(pay("gold", gold)).await;
    client
}

/// A stall on a Redis, and one more process on it, whose every word to and from Redis passes a proxy.
pub(crate) async fn behind_a_proxy() -> (Stall, Site, Proxy) {
    let stall = Stall::on_redis().await;
    let proxy = Proxy::before_redis(stall.redis().address(), 7).await;
    let site = stall.another().on(&stall.redis().url_at(proxy.address));
    (stall, site, proxy)
}

/// Far longer than a process needs to be killed, or a client to come back.
const LATE: Way = Way::Slow(Duration::from_millis(300));

/// The entries of a history that have to do with a hold.
fn entries_of<'h>(history: &'h Value, held: &Hold) -> Vec<&'h Value> {
    let entries = history["entries"].as_array().expect("entries");
    entries.iter().filter(|entry| entry["hold"] == held.reservation.to_string()).collect()
}

async fn a_hold_that_is_paid_for_charges_and_grants_in_one_commit(stall: Stall) {
    let server = stall.start().await;
    let shop = server.asker(None);
    let mut anna = customer(&server, "anna", 250).await;
    let sword = anna.entry("sword").await;
    assert_eq!((sword.available, sword.limit_per_player, sword.open), (10, Some(4), true));
    assert_eq!((sword.item.as_str(), sword.price), ("iron_sword", vec![price("gold", 100)]));
    assert!(!anna.entry("early").await.open && !anna.entry("late").await.open);

    let held = anna.held(hold("sword", 2)).await;
    assert_eq!((held.state, held.quantity, &held.price), (HoldState::Active, 2, &vec![price("gold", 200)]));
    assert_eq!(shop.units("sword").await, Units::of(8, 2, 0));
    assert_eq!((anna.entry("sword").await.available, anna.count("gold")), (8, 250), "nothing is paid yet");
    let before = anna.revision();
    let bought = anna.apply(confirm(&held)).await;
    assert_eq!(bought.hold.expect("the reply tells of it").state, HoldState::Confirmed);
    assert_eq!((bought.revision.get(), anna.count("gold"), anna.count("iron_sword")), (before + 1, 50, 2));
    assert_eq!(shop.units("sword").await, Units::of(8, 0, 2));

    let other = anna.held(hold("sword", 2)).await;
    assert_eq!(shop.units("sword").await, Units::of(6, 2, 2));
    assert_eq!(anna.held(release(&other)).await.state, HoldState::Released);
    assert_eq!(shop.units("sword").await, Units::of(8, 0, 2));
    for over in [&held, &other] {
        assert_eq!(anna.refuse(confirm(over)).await.code, Code::ReservationNotActive);
        assert_eq!(anna.refuse(release(over)).await.code, Code::ReservationNotActive);
    }
    anna.compare().await;
    assert_eq!(anna.holds, [], "what a reply told is not told again");
    stall.verify().await;
    stall.close(server).await;

    let history = stall.history("anna").await;
    let reasons = |held: &Hold| -> Vec<Value> {
        entries_of(&history, held).into_iter().map(|entry| entry["reason"].clone()).collect()
    };
    assert_eq!(
        (reasons(&held), reasons(&other)),
        (vec![json!("hold"), json!("buy")], vec![json!("hold"), json!("release")])
    );
    let buy = entries_of(&history, &held)[1];
    assert_eq!((&buy["revision"], &buy["actor"]), (&json!(before + 1), &json!("player:anna")));
    let lines = buy["lines"].as_array().expect("lines");
    let line = |item: &str| lines.iter().find(|line| line["item"] == item).expect("a line of it");
    assert_eq!((&line("gold")["quantity"], &line("gold")["to"]), (&json!(200), &json!("shop")));
    assert_eq!((&line("iron_sword")["quantity"], &line("iron_sword")["from"]), (&json!(2), &json!("shop")));
    assert_eq!(lines.len(), 2, "{buy}");
}

async fn a_confirm_without_funds_or_room_leaves_the_hold_standing(stall: Stall) {
    let stall = stall.knob("inventory.max_slots", 1);
    let server = stall.start().await;
    let shop = server.asker(None);
    let mut anna = customer(&server, "anna", 99).await;
    anna.apply(grant("bread", 1)).await;
    let held = anna.held(hold("sword", 1)).await;
    let refused = async |anna: &mut Client, code: Code| {
        let before = (anna.revision(), anna.count("gold"));
        assert_eq!(anna.refuse(confirm(&held)).await.code, code);
        assert_eq!((anna.revision(), anna.count("gold")), before, "a refusal changes nothing");
        assert_eq!(shop.units("sword").await, Units::of(9, 1, 0), "the hold stands");
    };
    refused(&mut anna, Code::InsufficientFunds).await;
    anna.apply(pay("gold", 1)).await;
    refused(&mut anna, Code::InventoryFull).await;
    anna.apply(drop_item("bread", 1)).await;
    assert_eq!(anna.held(confirm(&held)).await.state, HoldState::Confirmed);
    assert_eq!((anna.count("gold"), anna.count("iron_sword")), (0, 1));
    assert_eq!(shop.units("sword").await, Units::of(9, 0, 1));
    anna.compare().await;
    stall.close(server).await;
}

/// Swords for 100, for 70 and for 30 gold.
async fn a_hold_keeps_its_price_whatever_the_shop_asks_later(stall: Stall) {
    let asking = |gold: u64| {
        format!("[[sku]]\nid = \"sword\"\nstock = 10\nitem = \"iron_sword\"\nprice = {{ gold = {gold} }}\n")
    };
    stall.sell(&asking(100));
    let server = stall.start().await;
    let mut anna = customer(&server, "anna", 300).await;
    let first = anna.held(hold_for("sword", 1, 600)).await;
    stall.sell(&asking(70));
    server.asker(None).done("/v1/reload", &json!({})).await;
    assert_eq!(anna.entry("sword").await.price, [price("gold", 70)], "the reload brought another price");
    let second = anna.held(hold_for("sword", 1, 600)).await;
    assert_eq!((&first.price, &second.price), (&vec![price("gold", 100)], &vec![price("gold", 70)]));
    stall.sell(&asking(30));
    server.kill().await;

    let server = stall.start().await;
    let mut anna = Client::enter(server.game, "anna").await;
    assert_eq!(anna.entry("sword").await.price, [price("gold", 30)]);
    let mut told = anna.welcome().holds.clone();
    told.sort_by_key(|hold| hold.reservation);
    assert_eq!(told, [first.clone(), second.clone()], "the welcome tells of both as they were made");
    anna.held(confirm(&first)).await;
    assert_eq!(anna.count("gold"), 200);
    anna.held(confirm(&second)).await;
    assert_eq!((anna.count("gold"), anna.count("iron_sword")), (130, 2));
    assert_eq!(anna.held(hold("sword", 1)).await.price, [price("gold", 30)]);
    stall.close(server).await;
}
