//! What is for sale, changed while it is held.

use super::Files;
use holdall_harness::client::{Client, pay};
use holdall_protocol::{
    action::{Action, Quantity, ShopConfirm, ShopHold, ShopList},
    ids::SkuId,
    message::{Answered, Hold, ShopEntry},
};
use serde_json::json;

const SHOP: &str = r#"
[[sku]]
id = "loaf"
stock = 10
item = "bread"
price = { gold = 3 }

[[sku]]
id = "blade"
stock = 1
item = "iron_sword"
price = { gold = 50 }
"#;

async fn list(client: &mut Client) -> Vec<ShopEntry> {
    match client.question(Action::ShopList(ShopList {})).await {
        Answered::Shop(entries) => entries,
        other => panic!("{other:?}"),
    }
}

fn wanted(sku: &str, quantity: u64) -> Action {
    let sku = SkuId::new(sku).expect("a SKU");
    Action::ShopHold(ShopHold { sku, quantity: Quantity::new(quantity), ttl_seconds: None })
}

async fn hold(client: &mut Client, sku: &str, quantity: u64) -> Hold {
    *client.apply(wanted(sku, quantity)).await.hold.expect("a hold")
}

#[tokio::test]
async fn prices_come_and_go_and_what_is_held_keeps_its_own() {
    let files = Files::new("").leave("catalog.shop_file");
    files.write("shop.toml", SHOP);
    let server = files.start().await;
    let mut anna = Client::enter(server.game, "anna").await;
    anna.apply(pay("gold", 100)).await;
    let loaves = hold(&mut anna, "loaf", 2).await;
    let shop = SHOP.replace("gold = 3", "gold = 30").replace("stock = 10", "stock = 99");
    files.write(
        "shop.toml",
        &format!("{}[[sku]]\nid = \"box\"\nstock = 4\n", shop.split("[[sku]]\nid = \"blade\"").next().unwrap()),
    );
    let report = files.look().await;
    assert_eq!(
        report["shop"],
        json!({"added": ["box"], "removed": ["blade"], "changed": [{"sku": "loaf", "fields": ["stock", "price"]}]})
    );
    assert_eq!(list(&mut anna).await.len(), 2, "a look changes nothing");
    files.command(&[]).await.expect(0, &["shop box: added", "shop blade: removed", "shop loaf: stock, price"]);
    anna.until_reloaded(2).await;

    let entries = list(&mut anna).await;
    let [entry] = &entries[..] else { panic!("{entries:?}") };
    assert_eq!((entry.price[0].amount, entry.available), (30, 8), "the store keeps its units");
    let refused = anna.refuse(wanted("blade", 1));
    assert_eq!(refused.await.code.as_str(), "not_found");
    assert_eq!(hold(&mut anna, "loaf", 1).await.price[0].amount, 30);
    anna.apply(Action::ShopConfirm(ShopConfirm { reservation: loaves.reservation })).await;
    assert_eq!((anna.count("gold"), anna.count("bread")), (94, 2), "paid as it was held");

    files.write("shop.toml", "[[sku]]\nid = \"loaf\"\nstock = -1\n");
    files.command(&[]).await.expect(2, &["shop.toml:3: "]);
    assert_eq!(
        list(&mut anna).await,
        entries.iter().map(|entry| ShopEntry { available: 7, ..entry.clone() }).collect::<Vec<_>>()
    );
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn bounds_of_holds_are_those_in_force() {
    let files = Files::new("").leave("catalog.shop_file");
    files.write("shop.toml", SHOP);
    let server = files.start().await;
    let mut anna = Client::enter(server.game, "anna").await;
    hold(&mut anna, "loaf", 1).await;
    files.config("[limits]\nholds_max = 1\nhold_units_max = 2\n");
    files.reload().await;
    anna.until_reloaded(2).await;
    let mut refused = async |quantity| anna.refuse(wanted("loaf", quantity)).await.message;
    assert!(refused(3).await.contains("at most 2 in one hold"));
    let message = refused(2).await;
    assert!(message.contains("holds"), "{message}");
    assert_eq!(server.stop().await, Some(0));
}
