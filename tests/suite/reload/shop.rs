//! What is for sale, changed while it is held.

use super::Files;
use holdall_harness::{
    client::{Client, pay},
    shop::{confirm, hold, list},
};
use holdall_protocol::{code::Code, message::Answered};
use serde_json::json;

const LOAF: &str = r#"
[[sku]]
id = "loaf"
stock = 10
item = "bread"
price = { gold = 3 }
"#;

const BLADE: &str = r#"
[[sku]]
id = "blade"
stock = 1
item = "iron_sword"
price = { gold = 50 }
"#;

/// A server with this shop.
fn selling(shop: &str) -> Files {
    let files = Files::new("").leave("catalog.shop_file");
    files.write("shop.toml", shop);
    files
}

#[tokio::test]
async fn prices_come_and_go_and_what_is_held_keeps_its_own() {
    let files = selling(&format!("{LOAF}{BLADE}"));
    let server = files.start().await;
    let mut anna = Client::enter(server.game, "anna").await;
    anna.apply(pay("gold", 100)).await;
    let loaves = anna.held(hold("loaf", 2)).await;
    let dearer = LOAF.replace("gold = 3", "gold = 30").replace("stock = 10", "stock = 99");
    files.write("shop.toml", &format!("{dearer}[[sku]]\nid = \"box\"\nstock = 4\n"));
    let report = files.look().await;
    assert_eq!(
        report["shop"],
        json!({"added": ["box"], "removed": ["blade"], "changed": [{"sku": "loaf", "fields": ["stock", "price"]}]})
    );
    assert_eq!(anna.entry("loaf").await.price[0].amount, 3, "a look changes nothing");
    files.command(&[]).await.expect(0, &["shop box: added", "shop blade: removed", "shop loaf: stock, price"]);
    anna.until_reloaded(2).await;

    let Answered::Shop(entries) = anna.question(list()).await else { panic!("no list") };
    let [entry] = &entries[..] else { panic!("{entries:?}") };
    assert_eq!((entry.price[0].amount, entry.available), (30, 8), "the store keeps its units");
    assert_eq!(anna.refuse(hold("blade", 1)).await.code, Code::NotFound);
    assert_eq!(anna.held(hold("loaf", 1)).await.price[0].amount, 30);
    anna.apply(confirm(&loaves)).await;
    assert_eq!((anna.count("gold"), anna.count("bread")), (94, 2), "paid as it was held");

    files.write("shop.toml", &LOAF.replace("stock = 10", "stock = -1"));
    files.command(&[]).await.expect(2, &["shop.toml:4: "]);
    assert_eq!(anna.entry("loaf").await.price[0].amount, 30, "nothing of a bad file is in force");
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn bounds_of_holds_are_those_in_force() {
    let files = selling(LOAF);
    let server = files.start().await;
    let mut anna = Client::enter(server.game, "anna").await;
    anna.held(hold("loaf", 1)).await;
    files.config("[limits]\nholds_max = 1\nhold_units_max = 2\n");
    files.reload().await;
    anna.until_reloaded(2).await;
    let too_many = anna.refuse(hold("loaf", 3)).await;
    assert_eq!((too_many.code, too_many.message.as_str()), (Code::LimitExceeded, "at most 2 in one hold"));
    let one_more = anna.refuse(hold("loaf", 2)).await;
    assert_eq!(one_more.code, Code::LimitExceeded, "{}", one_more.message);
    assert_eq!(server.stop().await, Some(0));
}
