//! What the shop refuses, over the protocol and over HTTP: by which code, and that nothing changes.

use super::{customer, on_both_stores};
use holdall_harness::{
    child::Server,
    client::Client,
    http::Asker,
    raw::{Heard, Raw},
    shop::{Stall, Units, confirm, hold, hold_for, release},
};
use holdall_protocol::{
    action::Action,
    close::Close,
    code::Code,
    frame::Subprotocol,
    message::{HoldState, ServerMessage},
};
use serde_json::{Value, json};

on_both_stores! {
    what_cannot_be_held_is_refused_and_changes_nothing
    somebody_elses_hold_does_not_exist
    who_holds_too_often_is_told_to_wait
    what_is_no_number_or_no_name_changes_nothing_over_the_protocol
    what_is_no_number_or_no_name_changes_nothing_over_http
}

async fn what_cannot_be_held_is_refused_and_changes_nothing(stall: Stall) {
    let stall = stall.knob("limits.holds_max", 3).knob("limits.hold_units_max", 90);
    let server = stall.start().await;
    let shop = server.asker(None);
    let mut anna = customer(&server, "anna", 10).await;
    let before = (shop.all_units().await, anna.revision());
    for (action, code) in [
        (hold("axe", 1), Code::NotFound),
        (hold("carts", 1), Code::NotFound),
        (hold("early", 1), Code::ShopClosed),
        (hold("late", 1), Code::ShopClosed),
        (hold("audit", 6), Code::InsufficientStock),
        (hold("sword", 5), Code::LimitExceeded),
        (hold("ore", 91), Code::LimitExceeded),
        (hold("ore", 0), Code::InvalidQuantity),
        (hold("ore", 9_007_199_254_740_991), Code::LimitExceeded),
        (hold_for("ore", 1, 0), Code::InvalidQuantity),
        (hold_for("ore", 1, 3_601), Code::InvalidQuantity),
    ] {
        expect_refused(&mut anna, action, code).await;
    }
    assert_eq!((shop.all_units().await, anna.revision()), before);

    // A player's share counts what is bought, and is not grown by what was given back.
    let held = anna.held(hold("sword", 3)).await;
    expect_refused(&mut anna, hold("sword", 2), Code::LimitExceeded).await;
    anna.held(release(&held)).await;
    let held = anna.held(hold("sword", 4)).await;
    expect_refused(&mut anna, hold("sword", 1), Code::LimitExceeded).await;
    anna.held(hold("bread", 1)).await;
    anna.held(hold("bread", 1)).await;
    expect_refused(&mut anna, hold("bread", 1), Code::LimitExceeded).await;
    anna.held(release(&held)).await;
    anna.held(hold("bread", 1)).await;
    let mut bert = customer(&server, "bert", 10).await;
    bert.held(hold("sword", 4)).await;
    stall.close(server).await;
}

async fn expect_refused(client: &mut Client, action: Action, code: Code) {
    let refused = client.refuse(action.clone()).await;
    assert_eq!(refused.code, code, "{action:?}: {}", refused.message);
}

async fn somebody_elses_hold_does_not_exist(stall: Stall) {
    let server = stall.start().await;
    let shop = server.asker(None);
    let (mut anna, mut bert) = (customer(&server, "anna", 100).await, customer(&server, "bert", 100).await);
    let annas = anna.held(hold("sword", 1)).await;
    let (status, carts) = shop.hold_for_cart("key", "sword", 1, 60).await;
    assert_eq!(status, 200, "{carts}");
    let mut carts_hold = annas.clone();
    carts_hold.reservation = serde_json::from_value(carts["reservationId"].clone()).expect("an id");
    let before = shop.all_units().await;
    for hold in [&annas, &carts_hold] {
        for action in [confirm(hold), release(hold)] {
            expect_refused(&mut bert, action, Code::ReservationNotActive).await;
        }
    }
    assert_eq!((shop.all_units().await, bert.count("gold")), (before, 100));
    assert_eq!(anna.held(confirm(&annas)).await.state, HoldState::Confirmed);
    stall.close(server).await;
}

async fn who_holds_too_often_is_told_to_wait(stall: Stall) {
    let stall = stall.knob("limits.holds_per_minute", 1).knob("limits.holds_burst", 2);
    let server = stall.start().await;
    let mut anna = customer(&server, "anna", 100).await;
    let held = anna.held(hold("sword", 1)).await;
    // Also one that comes to nothing has been asked for.
    expect_refused(&mut anna, hold("axe", 1), Code::NotFound).await;
    let refused = anna.refuse(hold("sword", 1)).await;
    assert_eq!(refused.code, Code::RateLimited);
    assert!(refused.retry_after_ms.is_some_and(|wait| (1_000..=60_000).contains(&wait)), "{refused:?}");
    assert_eq!(server.asker(None).units("sword").await.reserved, 1);
    assert_eq!(anna.held(confirm(&held)).await.state, HoldState::Confirmed, "to pay is no hold");
    stall.close(server).await;
}

/// Somebody who sends what no library would.
struct Rogue {
    raw: Raw,
    seq: u64,
}

impl Rogue {
    async fn enter(server: &Server) -> Self {
        let (raw, welcome, _) = Raw::join(server.game, Subprotocol::Json, "rogue").await;
        Self { raw, seq: welcome.seq.get() }
    }

    async fn hold(&mut self, body: &Value) -> Heard {
        self.seq += 1;
        let request = json!({"seq": self.seq, "action": {"shop_hold": body}});
        self.raw.payload(request.to_string().as_bytes()).await;
        self.raw.hear().await
    }
}

/// Numbers that count nothing, and texts that are no numbers.
fn no_counts() -> [Value; 6] {
    [json!(0), json!(-1), json!(1.5), json!(1e308), json!("3"), json!([1])]
}

/// Names like keys of the store, and other names that are none.
fn no_names() -> [Value; 6] {
    [json!("ore:active"), json!("{ore}"), json!(""), json!("../ore"), json!("a b"), json!("x".repeat(200))]
}

async fn what_is_no_number_or_no_name_changes_nothing_over_the_protocol(stall: Stall) {
    let server = stall.start().await;
    let shop = server.asker(None);
    let before = shop.all_units().await;
    let numbers = no_counts().into_iter().flat_map(|number| {
        [json!({"sku": "ore", "quantity": number}), json!({"sku": "ore", "quantity": 1, "ttl_seconds": number})]
    });
    let nothing = json!({"sku": "ore", "quantity": null});
    let names = no_names().into_iter().map(|name| json!({"sku": name, "quantity": 1}));
    let mut rogue = Rogue::enter(&server).await;
    for body in numbers.chain([nothing]).chain(names) {
        match rogue.hold(&body).await {
            Heard::Message(message) => {
                assert!(is_refused(&message, Code::InvalidQuantity), "{body}: {message:?}");
            }
            // What is no number or no id at all is no message of the protocol, and closes like any other such.
            Heard::Close(Close::ProtocolError, _) => rogue = Rogue::enter(&server).await,
            other => panic!("{body}: {other:?}"),
        }
    }
    // Names that some key of the store ends with.
    for name in ["active", "claims", "holders", "skus", "world"] {
        match rogue.hold(&json!({"sku": name, "quantity": 1})).await {
            Heard::Message(message) => assert!(is_refused(&message, Code::NotFound), "{name}: {message:?}"),
            other => panic!("{name}: {other:?}"),
        }
    }
    assert_eq!(shop.all_units().await, before);
    // One that is for sale is sold.
    let held = rogue.hold(&json!({"sku": "audit", "quantity": 1, "ttl_seconds": null})).await;
    assert!(matches!(&held, Heard::Message(message) if matches!(**message, ServerMessage::Applied(_))), "{held:?}");
    stall.close(server).await;
}

fn is_refused(message: &ServerMessage, code: Code) -> bool {
    matches!(message, ServerMessage::Refused(refused) if refused.code == code)
}

async fn what_is_no_number_or_no_name_changes_nothing_over_http(stall: Stall) {
    let server = stall.start().await;
    let shop = server.asker(None);
    let before = shop.all_units().await;
    let wish = |sku: Value, quantity: Value, seconds: Value| json!({"cartId": "c", "sku": sku, "quantity": quantity, "ttlSeconds": seconds});
    let seed = |sku: Value, quantity: Value| json!({"sku": sku, "quantity": quantity});
    for number in no_counts().into_iter().chain([json!(null), json!(9_007_199_254_740_992_u64)]) {
        bad(&shop, "/api/reservations/hold", wish(json!("ore"), number.clone(), json!(60))).await;
        bad(&shop, "/api/reservations/hold", wish(json!("ore"), json!(1), number.clone())).await;
        bad(&shop, "/api/inventory/seed", seed(json!("ore"), number.clone())).await;
        let restock = json!({"quantity": number, "reason": "a test", "key": "k"});
        bad(&shop, "/v1/shop/ore/restock", restock).await;
    }
    bad(&shop, "/api/reservations/hold", wish(json!("ore"), json!(1), json!(3_601))).await;
    for name in no_names().into_iter().chain([json!(null), json!(7)]) {
        bad(&shop, "/api/reservations/hold", wish(name.clone(), json!(1), json!(60))).await;
        bad(&shop, "/api/inventory/seed", seed(name, json!(1))).await;
    }
    for name in ["active", "ore-active", "skus"] {
        let (status, answer) = shop.post("/api/reservations/hold", &wish(json!(name), json!(1), json!(60))).await;
        assert_eq!((status, &answer["message"]), (409, &json!("Insufficient inventory")), "{name}");
    }
    assert_eq!(shop.all_units().await, before);
    let mut anna = Client::enter(server.game, "anna").await;
    anna.held(hold("audit", 1)).await;
    shop.refused("/api/inventory/seed", &seed(json!("audit"), json!(9)), (409, "holds_open")).await;
    assert_eq!(shop.units("audit").await, Units::of(4, 1, 0));
    stall.close(server).await;
}

async fn bad(shop: &Asker, path: &str, body: Value) {
    let (status, answer) = shop.post(path, &body).await;
    assert_eq!(status, 400, "{path} {body}: {answer}");
    assert!(answer["message"].as_str().is_some_and(|message| !message.is_empty()), "{answer}");
}
