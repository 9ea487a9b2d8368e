//! Every kind of write is done once, whenever the server is killed: before it has answered, and right behind the answer.

use super::key;
use holdall_harness::{
    child::{Server, Site},
    client::Client,
    http::Asker,
    redis::Redis,
};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::sleep;

/// Something to be done once.
struct Write {
    path: String,
    body: Value,
    /// What is refused under the same key: another path or another body.
    other: (String, Value),
}

/// Where the writes are tried.
struct Scene {
    site: Site,
    key: String,
    in_the_game: bool,
    server: Option<Server>,
    anna: Option<Client>,
    writes: usize,
    _redis: Option<Redis>,
}

impl Scene {
    async fn begin(redis: Option<Redis>, in_the_game: bool) -> Self {
        let site = Site::new().knob("limits.linger_ms", 100);
        let site = match &redis {
            Some(redis) => site.on(&redis.url()),
            None => site,
        };
        let key = key(&site, "operate", "olga").await;
        let server = site.start().await;
        for name in ["anna", "bob"] {
            drop(Client::enter(server.game, name).await);
        }
        let mut scene = Self { site, key, in_the_game, server: Some(server), anna: None, writes: 0, _redis: redis };
        scene.begin_again().await;
        scene
    }

    fn olga(&self) -> Asker {
        self.server.as_ref().expect("it runs").asker(Some(&self.key))
    }

    /// Kills the server and starts it again.
    async fn begin_again(&mut self) {
        self.anna = None;
        self.server.take().expect("it runs").kill().await;
        let server = self.site.start().await;
        if self.in_the_game {
            self.anna = Some(Client::enter(server.game, "anna").await);
        }
        self.server = Some(server);
    }

    /// Says it, and does not live to hear the answer; says it until it is answered; dies again; and hears the same.
    async fn twice_killed(&mut self, write: Write) -> Value {
        let Write { path, body, other } = write;
        self.writes += 1;
        let key = format!("order-{}", self.writes);
        let headers = [("Idempotency-Key", key.as_str())];
        let (text, other_text) = (body.to_string(), other.1.to_string());
        let unheard = self.olga().begin("POST", &path, &headers, &text).await;
        // Sometimes before it is done, sometimes after it.
        sleep(Duration::from_millis(self.writes as u64 % 4)).await;
        self.begin_again().await;
        drop(unheard);
        let first = self.olga().ask("POST", &path, &headers, &text).await;
        assert_eq!(first.0, 200, "{path} {text}: {}", first.1);
        self.begin_again().await;
        let again = self.olga().ask("POST", &path, &headers, &text).await;
        assert_eq!(again, first, "{path} {text}: the first answer");
        let refused = self.olga().ask("POST", &other.0, &headers, &other_text).await;
        assert!(refused.0 == 409 && refused.1.contains("key_taken"), "{} {other_text}: {refused:?}", other.0);
        serde_json::from_str(&first.1).expect("JSON")
    }

    /// The same on a player, where another body is one with another reason.
    async fn order(&mut self, verb: &str, mut body: Value) -> Value {
        let path = format!("/v1/players/anna/{verb}");
        body["reason"] = json!("ticket 4711");
        let mut other = body.clone();
        other["reason"] = json!("ticket 4712");
        self.twice_killed(Write { path: path.clone(), body, other: (path, other) }).await
    }

    async fn count(&self, player: &str, item: &str) -> u64 {
        self.olga().get(&format!("/v1/players/{player}/items/{item}")).await["count"].as_u64().expect("a number")
    }
}

async fn orders(scene: &mut Scene) {
    let granted = scene.order("grant", json!({"item": "ore", "quantity": 30})).await;
    let ore = granted["places"][0]["after"]["instance"].clone();
    let rich = scene.order("wallet", json!({"currency": "gold", "credit": 70})).await;
    scene.order("wallet", json!({"currency": "gold", "debit": 30})).await;
    scene.order("restore", json!({"to": {"revision": rich["revision"]}})).await;
    scene.order("attributes", json!({"instance": ore, "set": {"mark": {"integer": 1}}})).await;
    scene.order("revoke", json!({"instance": ore, "quantity": 5})).await;
    scene.order("gift", json!({"to": "bob", "items": [{"instance": ore, "quantity": 4}]})).await;
    scene.order("kick", json!({})).await;
    assert_eq!((scene.count("anna", "ore").await, scene.count("anna", "gold").await), (21, 70));
    let told = scene.olga().get("/v1/players/anna/history?limit=1000").await;
    let orders = told["entries"].as_array().expect("entries").iter().filter(|entry| !entry["order"].is_null());
    let mut keys: Vec<&str> = orders.filter_map(|entry| entry["order"]["key"].as_str()).collect();
    keys.sort_unstable();
    assert_eq!(keys, (1..=8).map(|n| format!("order-{n}")).collect::<Vec<_>>(), "each once");
    let mut bob = Client::enter(scene.server.as_ref().expect("it runs").game, "bob").await;
    while bob.count("ore") < 4 {
        bob.until_revision(bob.revision() + 1).await;
    }
    bob.compare().await;
    assert_eq!(scene.count("bob", "ore").await, 4);
}

async fn deeds(scene: &mut Scene) {
    let (seed, hold) = ("/api/inventory/seed".to_owned(), "/api/reservations/hold".to_owned());
    let stock = |quantity: u64| json!({"sku": "console", "quantity": quantity});
    let wish = |quantity: u64| json!({"cartId": "c", "sku": "console", "quantity": quantity, "ttlSeconds": 3_600});
    scene.twice_killed(Write { path: seed.clone(), body: stock(10), other: (seed, stock(11)) }).await;
    let write = |quantity| Write { path: hold.clone(), body: wish(quantity), other: (hold.clone(), wish(9)) };
    let sold = scene.twice_killed(write(3)).await;
    let back = scene.twice_killed(write(2)).await;
    let path = |held: &Value, verb: &str| {
        format!("/api/reservations/{}/{verb}", held["reservationId"].as_str().expect("an id"))
    };
    for (held, verb, other) in [(&sold, "confirm", &back), (&back, "release", &sold)] {
        let other = (path(other, verb), json!({}));
        scene.twice_killed(Write { path: path(held, verb), body: json!({}), other }).await;
    }
    let more = "/v1/shop/console/restock".to_owned();
    let body = |reason: &str| json!({"quantity": 5, "reason": reason});
    let other = (more.clone(), body("another"));
    scene.twice_killed(Write { path: more, body: body("second delivery"), other }).await;
    let stock = scene.olga().get("/api/inventory/console").await;
    let units = ["total", "available", "reserved", "confirmed"].map(|which| stock[which].as_u64());
    assert_eq!(units, [15, 12, 0, 3].map(Some), "{stock}");
    let audit = scene.olga().get("/v1/shop/console/audit").await;
    let entries = audit["entries"].as_array().expect("entries");
    let told: Vec<_> = entries.iter().map(|entry| (&entry["event"], &entry["reason"])).collect();
    let expected = [
        ("restock", "olga (order-14): second delivery"),
        ("release", "olga (order-13)"),
        ("confirm", "olga (order-12)"),
        ("hold", "olga (order-11)"),
        ("hold", "olga (order-10)"),
        ("seed", "olga (order-9)"),
    ];
    let expected = expected.map(|(event, reason)| (json!(event), json!(reason)));
    assert_eq!(told, expected.iter().map(|(event, reason)| (event, reason)).collect::<Vec<_>>(), "each once");
}

async fn every_write(redis: Option<Redis>, in_the_game: bool) {
    let mut scene = Scene::begin(redis, in_the_game).await;
    orders(&mut scene).await;
    deeds(&mut scene).await;
    assert_eq!(scene.server.take().expect("it runs").stop().await, Some(0));
}

#[tokio::test]
async fn every_write_to_a_player_at_rest_is_done_once() {
    every_write(None, false).await;
}

#[tokio::test]
async fn every_write_to_a_player_in_the_game_is_done_once() {
    every_write(None, true).await;
}

#[tokio::test]
async fn every_write_to_a_player_at_rest_on_redis_is_done_once() {
    every_write(Some(Redis::run().await), false).await;
}

#[tokio::test]
async fn every_write_to_a_player_in_the_game_on_redis_is_done_once() {
    every_write(Some(Redis::run().await), true).await;
}
