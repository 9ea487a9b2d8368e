//! The shop: what players ask of it, and a stall that sells, on either store.

use crate::{
    child::{PATIENCE, Server, Site},
    client::{Client, item},
    command::holdall,
    http::Asker,
    redis::Redis,
};
use holdall_protocol::{
    action::{self, Action, Quantity},
    ids::{ReservationId, SkuId},
    message::{Answered, Hold, HoldState, Price, ShopEntry},
};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::{
    net::TcpStream,
    time::{sleep, timeout},
};

/// What is for sale where a test says nothing else: swords that few may have, ore for two currencies, bread for nothing,
/// something for carts alone, two things that are not open, and one that is named like a key of the store.
pub const GOODS: &str = r#"
[[sku]]
id = "sword"
stock = 10
item = "iron_sword"
price = { gold = 100 }
limit_per_player = 4

[[sku]]
id = "ore"
stock = 100
item = "ore"
price = { gold = 5, gems = 1 }

[[sku]]
id = "bread"
stock = 100
item = "bread"
price = { }

[[sku]]
id = "carts"
stock = 100

[[sku]]
id = "early"
stock = 5
item = "ore"
price = { }
opens_at = "2999-01-01T00:00:00Z"

[[sku]]
id = "late"
stock = 5
item = "ore"
price = { }
closes_at = "2001-01-01T00:00:00Z"

[[sku]]
id = "audit"
stock = 5
item = "ore"
price = { }
"#;

/// Asks what is for sale.
#[must_use]
pub const fn list() -> Action {
    Action::ShopList(action::ShopList {})
}

/// Holds units for as long as the server likes.
///
/// # Panics
/// When `sku` is none.
#[must_use]
pub fn hold(sku: &str, quantity: u64) -> Action {
    let (sku, quantity) = (SkuId::new(sku).expect("a SKU"), Quantity::new(quantity));
    Action::ShopHold(action::ShopHold { sku, quantity, ttl_seconds: None })
}

/// Holds units for so many seconds.
///
/// # Panics
/// When `sku` is none.
#[must_use]
pub fn hold_for(sku: &str, quantity: u64, seconds: u64) -> Action {
    let (sku, quantity) = (SkuId::new(sku).expect("a SKU"), Quantity::new(quantity));
    Action::ShopHold(action::ShopHold { sku, quantity, ttl_seconds: Some(Quantity::new(seconds)) })
}

/// Pays for a hold.
#[must_use]
pub const fn confirm(hold: &Hold) -> Action {
    Action::ShopConfirm(action::ShopConfirm { reservation: hold.reservation })
}

/// Gives a hold back.
#[must_use]
pub const fn release(hold: &Hold) -> Action {
    Action::ShopRelease(action::ShopRelease { reservation: hold.reservation })
}

/// A price in one currency.
#[must_use]
pub fn price(currency: &str, amount: u64) -> Price {
    Price { currency: item(currency), amount }
}

impl Client {
    /// Asks for something that is done to a hold; how it stands then.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn held(&mut self, action: Action) -> Hold {
        *self.apply(action).await.hold.expect("the reply tells of the hold")
    }

    /// What the shop says of one thing.
    ///
    /// # Panics
    /// When it is not for sale.
    pub async fn entry(&mut self, sku: &str) -> ShopEntry {
        let Answered::Shop(entries) = self.question(list()).await else { panic!("no list") };
        let found = entries.into_iter().find(|entry| entry.sku.as_str() == sku);
        found.unwrap_or_else(|| panic!("{sku} is not for sale"))
    }

    /// Waits until it is told that a hold has ended without its doing; how.
    ///
    /// # Panics
    /// When the connection ends instead.
    pub async fn until_hold_ends(&mut self, reservation: ReservationId) -> HoldState {
        loop {
            if let Some(told) = self.holds.iter().find(|told| told.reservation == reservation) {
                return told.state;
            }
            self.message().await;
        }
    }
}

/// A SKU's units, as operators see them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Units {
    /// Free to be held.
    pub available: u64,
    /// In open holds.
    pub reserved: u64,
    /// Sold.
    pub confirmed: u64,
}

impl Units {
    /// So many of each.
    #[must_use]
    pub const fn of(available: u64, reserved: u64, confirmed: u64) -> Self {
        Self { available, reserved, confirmed }
    }

    fn told(stock: &Value) -> Self {
        let number = |field: &str| stock[field].as_u64().unwrap_or_else(|| panic!("{field} of {stock}"));
        let units = Self::of(number("available"), number("reserved"), number("confirmed"));
        let sum = units.available + units.reserved + units.confirmed;
        assert_eq!(sum, number("total"), "the units add up: {stock}");
        units
    }
}

impl Asker {
    /// A SKU's units, which add up.
    ///
    /// # Panics
    /// When they do not.
    pub async fn units(&self, sku: &str) -> Units {
        Units::told(&self.get(&format!("/api/inventory/{sku}")).await)
    }

    /// Every SKU with its units.
    ///
    /// # Panics
    /// When some do not add up.
    pub async fn all_units(&self) -> Vec<(String, Units)> {
        let shop = self.get("/v1/shop").await;
        let name = |stock: &Value| stock["sku"].as_str().expect("a SKU").to_owned();
        shop["skus"].as_array().expect("a list").iter().map(|stock| (name(stock), Units::told(stock))).collect()
    }

    /// Waits until a SKU's units are these.
    ///
    /// # Panics
    /// When they never are.
    pub async fn until_units(&self, sku: &str, wanted: Units) {
        let wait = async {
            while self.units(sku).await != wanted {
                sleep(Duration::from_millis(20)).await;
            }
        };
        if timeout(PATIENCE, wait).await.is_err() {
            panic!("{sku} has {:?} and never {wanted:?}", self.units(sku).await);
        }
    }

    /// Waits until the store knows a SKU.
    ///
    /// # Panics
    /// When it never does.
    pub async fn until_seeded(&self, sku: &str) {
        let wait = async {
            while !self.all_units().await.iter().any(|(known, _)| known == sku) {
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("{sku} is never seeded"));
    }

    /// What happened to a SKU, newest first: events and their holds. To look lets go of nothing.
    ///
    /// # Panics
    /// When an entry has no event.
    pub async fn events(&self, sku: &str) -> Vec<(String, Option<String>)> {
        let audit = self.get(&format!("/v1/shop/{sku}/audit?limit=1000")).await;
        let entry = |entry: &Value| {
            let event = entry["event"].as_str().expect("an event").to_owned();
            (event, entry["reservationId"].as_str().map(str::to_owned))
        };
        audit["entries"].as_array().expect("entries").iter().map(entry).collect()
    }

    /// Waits until so many events of this name have happened to a SKU; for which holds, newest first.
    ///
    /// # Panics
    /// When they never do, or more do.
    pub async fn until_events(&self, sku: &str, event: &str, count: usize) -> Vec<String> {
        let wait = async {
            loop {
                let events = self.events(sku).await;
                let those = events.into_iter().filter(|(name, _)| name == event).filter_map(|(_, hold)| hold);
                let those: Vec<String> = those.collect();
                if those.len() >= count {
                    return those;
                }
                sleep(Duration::from_millis(20)).await;
            }
        };
        let those = timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("{sku} never sees {count} times {event}"));
        assert_eq!(those.len(), count, "{event} of {sku}");
        those
    }

    /// Holds units for a cart, under an idempotency key; the answer's status and JSON.
    ///
    /// # Panics
    /// When the answer is no JSON.
    pub async fn hold_for_cart(&self, key: &str, sku: &str, quantity: u64, seconds: u64) -> (u16, Value) {
        let body = wish(sku, quantity, seconds).to_string();
        let (status, answer) = self.ask("POST", "/api/reservations/hold", &[("Idempotency-Key", key)], &body).await;
        (status, serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error}: {answer}")))
    }

    /// The same, without waiting for the answer.
    pub async fn begin_to_hold_for_cart(&self, key: &str, sku: &str, quantity: u64, seconds: u64) -> TcpStream {
        let body = wish(sku, quantity, seconds).to_string();
        self.begin("POST", "/api/reservations/hold", &[("Idempotency-Key", key)], &body).await
    }

    /// Does something to a hold: `confirm` or `release`; the answer's status and JSON.
    pub async fn to_hold(&self, verb: &str, reservation: impl std::fmt::Display) -> (u16, Value) {
        self.post(&format!("/api/reservations/{reservation}/{verb}"), &json!({})).await
    }
}

fn wish(sku: &str, quantity: u64, seconds: u64) -> Value {
    json!({"cartId": "cart", "sku": sku, "quantity": quantity, "ttlSeconds": seconds})
}

/// Where a shop is open: a site, and the Redis that it keeps its stock in, if it does.
pub struct Stall {
    /// The Redis; none where the stock is in the data directory.
    pub redis: Option<Redis>,
    /// The first process.
    pub site: Site,
}

impl Stall {
    /// In a data directory.
    #[must_use]
    pub fn on_a_file() -> Self {
        Self::over(None)
    }

    /// In a Redis.
    pub async fn on_redis() -> Self {
        Self::over(Some(Redis::run().await))
    }

    fn over(redis: Option<Redis>) -> Self {
        let site = site(redis.as_ref());
        let stall = Self { redis, site };
        stall.sell(GOODS);
        stall
    }

    /// The Redis.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn redis(&self) -> &Redis {
        self.redis.as_ref().expect("it is on Redis")
    }

    /// One more process on the same Redis, which sells the same.
    ///
    /// # Panics
    /// When there is no Redis.
    #[must_use]
    pub fn another(&self) -> Site {
        let shop = self.site.dir().join("shop.toml");
        site(Some(self.redis())).knob("catalog.shop_file", shop.display())
    }

    /// Sets `section.name`.
    #[must_use]
    pub fn knob(mut self, path: &str, value: impl ToString) -> Self {
        self.site.turn(path, value);
        self
    }

    /// Writes what is for sale at the next start or reload.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn sell(&self, goods: &str) {
        std::fs::write(self.site.dir().join("shop.toml"), goods).expect("a file of the test");
    }

    /// Starts the server.
    pub async fn start(&self) -> Server {
        self.site.start().await
    }

    /// Expects that everything can be proven.
    pub async fn verify(&self) {
        match &self.redis {
            Some(redis) => holdall(self.site.dir(), &["verify", "--store", &redis.url()]).await,
            None => holdall(self.site.dir(), &["verify", "--data-dir", "data"]).await,
        }
        .expect(0, &["no faults"]);
    }

    /// Everything that happened to a player.
    pub async fn history(&self, player: &str) -> Value {
        match &self.redis {
            Some(redis) => holdall(self.site.dir(), &["history", player, "--json", "--store", &redis.url()]).await,
            None => holdall(self.site.dir(), &["history", player, "--json", "--data-dir", "data"]).await,
        }
        .json()
    }

    /// Stops the server in good order, and expects that everything can be proven.
    ///
    /// # Panics
    /// When it does not stop in good order.
    pub async fn close(&self, server: Server) {
        assert_eq!(server.stop().await, Some(0));
        self.verify().await;
    }
}

/// Players leave the memory soon, and may hold as often as they like.
fn site(redis: Option<&Redis>) -> Site {
    let site = Site::new().knob("limits.linger_ms", 500);
    let site = site.knob("limits.holds_per_minute", 1_000_000).knob("limits.holds_burst", 1_000_000);
    let shop = site.dir().join("shop.toml");
    let site = site.knob("catalog.shop_file", shop.display());
    match redis {
        Some(redis) => site.on(&redis.url()).knob("store.lease_ms", 3_000),
        None => site,
    }
}
