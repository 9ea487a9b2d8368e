//! How much there is: what `shop.toml` says counts once, and after that what operators add.

use super::{customer, on_both_stores};
use holdall_harness::shop::{GOODS, Stall, Units, confirm, hold, list, release};
use holdall_protocol::{code::Code, message::Answered};
use serde_json::json;

on_both_stores! {
    a_restart_never_applies_the_configured_stock_again
    what_is_new_in_the_file_is_there_after_a_reload
    what_is_held_can_be_paid_for_though_the_shop_no_longer_has_it
}

async fn a_restart_never_applies_the_configured_stock_again(stall: Stall) {
    let server = stall.start().await;
    let mut anna = customer(&server, "anna", 100).await;
    let held = anna.held(hold("sword", 1)).await;
    anna.held(confirm(&held)).await;
    anna.held(hold("sword", 2)).await;
    let sold = Units::of(7, 2, 1);
    assert_eq!(server.asker(None).units("sword").await, sold);
    server.kill().await;
    let server = stall.start().await;
    assert_eq!(server.asker(None).units("sword").await, sold);
    assert!(!server.log().contains("differs"), "{}", server.log());
    assert_eq!(server.stop().await, Some(0));

    stall.sell(&GOODS.replace("stock = 10\n", "stock = 1000\n"));
    let server = stall.start().await;
    server.logs("the stock differs from shop.toml and stays as it is").await;
    let shop = server.asker(None);
    assert_eq!(shop.units("sword").await, sold);
    let restock = json!({"quantity": 990, "reason": "a new load", "key": "load-1"});
    for _ in 0..2 {
        shop.done("/v1/shop/sword/restock", &restock).await;
        assert_eq!(shop.units("sword").await, Units::of(997, 2, 1), "once under one key");
    }
    server.kill().await;
    let server = stall.start().await;
    let shop = server.asker(None);
    shop.done("/v1/shop/sword/restock", &restock).await;
    assert_eq!(shop.units("sword").await, Units::of(997, 2, 1), "also across a crash");
    let events: Vec<String> = shop.events("sword").await.into_iter().map(|(event, _)| event).collect();
    assert_eq!(events, ["restock", "hold", "confirm", "hold", "seed"]);
    stall.close(server).await;
}

async fn what_is_new_in_the_file_is_there_after_a_reload(stall: Stall) {
    let server = stall.start().await;
    let shop = server.asker(None);
    let mut anna = customer(&server, "anna", 100).await;
    anna.held(hold("sword", 1)).await;
    let more = GOODS.replace("stock = 10\n", "stock = 1000\n");
    stall.sell(&format!("{more}\n[[sku]]\nid = \"wood\"\nstock = 7\nitem = \"wood\"\nprice = {{ }}\n"));
    shop.done("/v1/reload", &json!({})).await;
    shop.until_seeded("wood").await;
    let held = anna.held(hold("wood", 7)).await;
    anna.held(confirm(&held)).await;
    assert_eq!(anna.count("wood"), 7);
    assert_eq!(shop.units("sword").await, Units::of(9, 1, 0), "what was known stays as it was");
    stall.close(server).await;
}

async fn what_is_held_can_be_paid_for_though_the_shop_no_longer_has_it(stall: Stall) {
    let server = stall.start().await;
    let shop = server.asker(None);
    let mut anna = customer(&server, "anna", 300).await;
    let (bought, given_back) = (anna.held(hold("sword", 1)).await, anna.held(hold("sword", 2)).await);
    stall.sell("");
    shop.done("/v1/reload", &json!({})).await;
    assert_eq!(anna.question(list()).await, Answered::Shop(Vec::new()));
    assert_eq!(anna.refuse(hold("sword", 1)).await.code, Code::NotFound);
    anna.held(confirm(&bought)).await;
    anna.held(release(&given_back)).await;
    assert_eq!((anna.count("gold"), anna.count("iron_sword")), (200, 1));
    assert_eq!(shop.units("sword").await, Units::of(9, 0, 1), "the store still knows it");
    stall.close(server).await;
}
