//! The shop over HTTP, as carts that are no players see it.

use super::under;
use holdall_harness::{
    http::Asker,
    server::{self, TempDir},
};
use holdall_server::{operator, telemetry::readiness::Readiness};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::watch;

async fn shop() -> (Asker, watch::Sender<bool>) {
    let bound = operator::bind("127.0.0.1:0".parse().expect("an address")).await.expect("a free port");
    let readiness = Arc::new(Readiness::starting("memory", Box::new(|| "nothing".to_owned())));
    let asker = Asker { addr: bound.addr, key: None };
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(bound.run(server::operator(readiness, TempDir::new().path()), stopped));
    (asker, stop)
}

fn wish(cart: &str, quantity: impl Into<Value>) -> Value {
    json!({"cartId": cart, "sku": "console", "quantity": quantity.into(), "ttlSeconds": 60})
}

fn is_time(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.len() == 24 && text.ends_with('Z') && text.as_bytes()[19] == b'.')
}

#[tokio::test]
async fn a_cart_holds_confirms_and_releases() {
    let (web, _stop) = shop().await;
    let seeded = web.done("/api/inventory/seed", &json!({"sku": "console", "quantity": 10})).await;
    assert_eq!((&seeded["available"], &seeded["total"]), (&json!(10), &json!(10)));
    let held = web.done("/api/reservations/hold", &wish("c1", 3)).await;
    assert_eq!((&held["cartId"], &held["state"], &held["quantity"]), (&json!("c1"), &json!("active"), &json!(3)));
    assert!(["expiresAt", "createdAt", "updatedAt"].iter().all(|time| is_time(&held[time])), "{held}");
    let other = web.done("/api/reservations/hold", &wish("c2", 2)).await;
    let path = |held: &Value| format!("/api/reservations/{}", held["reservationId"].as_str().expect("an id"));
    assert_eq!(web.get(&path(&held)).await, held);
    let confirmed = web.done(&format!("{}/confirm", path(&held)), &json!({})).await;
    assert_eq!(confirmed["state"], "confirmed");
    let released = web.done(&format!("{}/release", path(&other)), &json!({})).await;
    assert_eq!(released["state"], "released");
    let stock = web.get("/api/inventory/console").await;
    for (field, value) in [("available", 7), ("reserved", 0), ("confirmed", 3), ("activeReservations", 0)] {
        assert_eq!(stock[field], value, "{field}: {stock}");
    }
    assert!(is_time(&stock["updatedAt"]), "{stock}");
    let audit = web.get("/api/audit?sku=console&limit=4").await;
    let events: Vec<_> = audit["entries"].as_array().expect("entries").iter().map(|entry| &entry["event"]).collect();
    assert_eq!(events, ["release", "confirm", "hold", "hold"], "the newest first: {audit}");
    assert_eq!(web.get("/v1/shop").await["skus"][0], stock);
    assert_eq!(web.get("/v1/shop/console/audit").await["entries"].as_array().map(Vec::len), Some(5));

    for verb in ["confirm", "release"] {
        let (status, refused) = web.post(&format!("{}/{verb}", path(&other)), &json!({})).await;
        assert_eq!((status, &refused["message"]), (409, &json!("Reservation is not active")), "{refused}");
    }
    for body in [wish("c3", 8), json!({"cartId": "c3", "sku": "unseeded", "quantity": 1, "ttlSeconds": 60})] {
        let (status, refused) = web.post("/api/reservations/hold", &body).await;
        assert_eq!((status, &refused["message"]), (409, &json!("Insufficient inventory")), "{refused}");
    }
}

#[tokio::test]
async fn what_is_said_twice_is_done_once() {
    let (web, _stop) = shop().await;
    web.done("/api/inventory/seed", &json!({"sku": "console", "quantity": 10})).await;
    let (key, body) = ([("Idempotency-Key", "order-1")], wish("c1", 3).to_string());
    let (status, first) = web.ask("POST", "/api/reservations/hold", &key, &body).await;
    assert_eq!(status, 200, "{first}");
    assert_eq!(web.ask("POST", "/api/reservations/hold", &key, &body).await, (200, first));
    let (status, other) = web.ask("POST", "/api/reservations/hold", &key, &wish("c1", 4).to_string()).await;
    assert!(status == 409 && other.contains("key_taken"), "{other}");
    let restock = under("order-2", json!({"quantity": 5}));
    let stock = web.done("/v1/shop/console/restock", &restock).await;
    assert_eq!((&stock["total"], &stock["reserved"]), (&json!(15), &json!(3)));
    assert_eq!(web.done("/v1/shop/console/restock", &restock).await, stock);
    web.refused("/v1/shop/console/restock", &json!({"quantity": 5, "reason": "x"}), (400, "bad_request")).await;
    web.refused("/v1/shop/console/restock", &json!({"quantity": 5, "key": "k"}), (400, "bad_request")).await;
    let seed = |more: Value| {
        let mut seed = json!({"sku": "console", "quantity": 2});
        seed.as_object_mut().expect("a map").extend(more.as_object().expect("a map").clone());
        seed
    };
    web.refused("/api/inventory/seed", &seed(json!({})), (409, "holds_open")).await;
    let anew = web.done("/api/inventory/seed", &seed(json!({"force": true}))).await;
    assert_eq!((&anew["available"], &anew["reserved"]), (&json!(2), &json!(0)));
    let told = web.get("/v1/shop/console/audit?limit=1").await;
    assert_eq!(told["entries"][0]["reason"], "development", "who did it");
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_at_the_edge() {
    let (web, _stop) = shop().await;
    web.done("/api/inventory/seed", &json!({"sku": "console", "quantity": 10})).await;
    let bad =
        [json!(0), json!(-1), json!(1.5), json!(1e308), json!("3"), json!(null), json!(9_007_199_254_740_992_u64)];
    for number in &bad {
        for (path, body) in [
            ("/api/reservations/hold", wish("c1", number.clone())),
            ("/api/reservations/hold", json!({"cartId": "c", "sku": "console", "quantity": 1, "ttlSeconds": number})),
            ("/api/inventory/seed", json!({"sku": "console", "quantity": number})),
            ("/v1/shop/console/restock", under("k", json!({"quantity": number}))),
        ] {
            let (status, refused) = web.post(path, &body).await;
            assert_eq!(status, 400, "{path} {body}: {refused}");
        }
    }
    let too_long = json!({"cartId": "c", "sku": "console", "quantity": 1, "ttlSeconds": 3_601});
    web.refused("/api/reservations/hold", &too_long, (400, "bad_request")).await;
    for sku in ["x:active", "{tag}", "", "a b"] {
        web.refused("/api/inventory/seed", &json!({"sku": sku, "quantity": 1}), (400, "bad_request")).await;
    }
    for (path, status) in [
        ("/api/inventory/nothing", 404),
        ("/api/inventory/x:active", 400),
        ("/api/reservations/nothing", 404),
        ("/api/reservations/0199d3a4-0000-7000-8000-000000000000", 404),
        ("/api/audit?limit=0", 400),
        ("/api/audit?limit=-1", 400),
        ("/api/audit?limit=many", 400),
        ("/api/audit?limit=1001", 400),
        ("/api/audit?sku=x:active", 400),
    ] {
        assert_eq!(web.ask("GET", path, &[], "").await.0, status, "{path}");
    }
    let audit = json!({"sku": "audit", "quantity": 1});
    assert_eq!(web.done("/api/inventory/seed", &audit).await["available"], 1, "a SKU that is named like a key");
    assert_eq!(web.get("/api/inventory/console").await["available"], 10, "nothing was changed");
}
