//! Stocks in Redis where they differ from the others: keys that somebody else wrote, scripts that are forgotten, more than one
//! call may let go of; and, measured on demand, what a deed costs Redis.

use crate::conformance::{acquire, batch, id, node, on, write};
use bytes::Bytes;
use holdall_harness::redis::Redis;
use holdall_protocol::ids::{CartId, OrderKey, ReservationId, SkuId};
use holdall_server::store::{
    Life, Outcome, Owner, PlayerWrite, ReadError, Store,
    redis::Redis as RedisStore,
    stock::{Act, Claim, ClaimId, Deed, DeedKey, Done, Hold, Holder, Known, Purchase, StockError, Stocks as _},
};
use std::{num::NonZeroU64, time::Duration};

const REALM: &str = "holdall:{conformance}:";

fn sku() -> SkuId {
    SkuId::new("s").expect("a SKU")
}

fn numbered(number: u128) -> ReservationId {
    ReservationId::new(uuid::Uuid::from_u128(number))
}

fn hold(number: u128, holder: Holder, time: Duration) -> Act {
    let quantity = NonZeroU64::MIN;
    let (id, terms) = (numbered(number), Bytes::from_static(b"terms"));
    Act::Hold(Hold { id, sku: sku(), holder, quantity, time, terms, holds_max: u32::MAX, units_max: None })
}

fn of_player() -> Holder {
    Holder::Player(id("p"))
}

fn of_cart() -> Holder {
    Holder::Cart(CartId::new("c").expect("a cart id"))
}

const LONG: Duration = Duration::from_secs(3_600);

fn key() -> DeedKey {
    DeedKey::Order(OrderKey::new("key").expect("a key"))
}

async fn act(store: &RedisStore, act: Act) -> Result<Done, StockError> {
    store.stock(Deed { act, key: None, why: None }).await
}

async fn act_under_key(store: &RedisStore, act: Act) -> Result<Done, StockError> {
    store.stock(Deed { act, key: Some(key()), why: None }).await
}

/// A stock of 1,000 units, of which a player's claimed hold (1) and active hold (2) and a cart's hold (3) have one each.
async fn shop(store: &RedisStore) -> Owner {
    act(store, Act::Seed { sku: sku(), quantity: 1_000, known: Known::Reset }).await.expect("it is new");
    let owner = acquire(store, "p").await.owner;
    for (number, holder) in [(1, of_player()), (2, of_player()), (3, of_cart())] {
        act(store, hold(number, holder, LONG)).await.expect("there are units");
    }
    act(store, claim(1, &owner)).await.expect("it is active");
    owner
}

fn claim(number: u128, owner: &Owner) -> Act {
    let attempt = ClaimId::new(uuid::Uuid::from_u128(7));
    Act::Claim(Claim { reservation: numbered(number), id: attempt, player: id("p"), owner: owner.clone() })
}

fn buying(owner: &Owner, number: u128) -> PlayerWrite {
    PlayerWrite {
        purchases: vec![Purchase { reservation: numbered(number), sku: sku() }],
        entries: Bytes::from_static(b"entry"),
        ..write("p", owner, 0, 1)
    }
}

/// All that lies in a Redis, as text. What was added to a stream and taken back leaves it as it was.
async fn everything(redis: &Redis) -> String {
    const LOOK: &str = "local all = {} \
        for _, key in ipairs(redis.call('KEYS', '*')) do \
          local kind = redis.call('TYPE', key).ok \
          local is = kind == 'hash' and redis.call('HGETALL', key) or kind == 'set' and redis.call('SMEMBERS', key) \
            or kind == 'zset' and redis.call('ZRANGE', key, 0, -1, 'WITHSCORES') \
            or kind == 'stream' and redis.call('XRANGE', key, '-', '+') or redis.call('GET', key) \
          if kind ~= 'stream' or #is > 0 then all[#all + 1] = key .. cjson.encode(is) end \
        end \
        table.sort(all) return table.concat(all, '\\n')";
    redis.tell(&["EVAL", LOOK, "0"]).await.text().to_owned()
}

#[tokio::test]
async fn a_key_that_is_something_else_is_told_and_left_alone() {
    let seed = |known| Act::Seed { sku: sku(), quantity: 5, known };
    for (damaged, acts) in [
        ("stock:s", vec![hold(9, of_cart(), LONG), Act::Confirm { reservation: numbered(3) }, seed(Known::Leave)]),
        ("stock:s:active", vec![hold(9, of_cart(), LONG), Act::Release { reservation: numbered(2), of: None }]),
        ("stock:s:claims", vec![seed(Known::Force)]),
        ("stock:s:holders", vec![hold(9, of_player(), LONG), Act::Release { reservation: numbered(2), of: None }]),
        ("stock:s:audit", vec![hold(9, of_cart(), LONG), Act::Confirm { reservation: numbered(3) }]),
        ("stock-audit", vec![hold(9, of_cart(), LONG), Act::Confirm { reservation: numbered(3) }]),
        ("skus", vec![Act::Seed { sku: SkuId::new("t").expect("a SKU"), quantity: 5, known: Known::Reset }]),
        (
            "reservation:00000000-0000-0000-0000-000000000003",
            vec![Act::Confirm { reservation: numbered(3) }, hold(3, of_cart(), LONG)],
        ),
        ("holds:player:p", vec![hold(9, of_player(), LONG), Act::Release { reservation: numbered(2), of: None }]),
        ("holds:cart:c", vec![hold(9, of_cart(), LONG), Act::Confirm { reservation: numbered(3) }]),
        ("idem:key", vec![hold(9, of_cart(), LONG)]),
    ] {
        let redis = Redis::run().await;
        let store = on(&redis, node()).await;
        let owner = shop(&store).await;
        let name = format!("{REALM}{damaged}");
        redis.tell(&["DEL", &name]).await;
        redis.tell(&["SET", &name, "diary"]).await;
        let before = everything(&redis).await;
        for act in acts {
            let refused = act_under_key(&store, act.clone()).await;
            assert!(matches!(refused, Err(StockError::Unreadable(_))), "{damaged}: {act:?}: {refused:?}");
            assert_eq!(everything(&redis).await, before, "{damaged}: {act:?}");
        }
        if ["stock:s", "stock:s:audit", "stock-audit"].contains(&damaged) {
            let outcome = store.commit(batch(vec![buying(&owner, 1)]), Life::default()).await;
            assert_eq!(outcome.refused(), [id("p")], "{damaged}");
            assert_eq!(everything(&redis).await, before, "{damaged}: a batch");
        }
        let loaded = acquire(&store, "p").await;
        assert!(loaded.owner.epoch() > owner.epoch(), "{damaged}: it keeps nobody from playing");
    }
}

#[tokio::test]
async fn a_number_or_a_state_that_is_none_is_told_and_left_alone() {
    for (key, field, value) in [
        ("stock:s", "available", "-1"),
        ("stock:s", "available", "1e3"),
        ("stock:s", "total", "9007199254740993"),
        ("stock:s", "reserved", "4"),
        ("stock:s:holders", "p", "many"),
        ("reservation:00000000-0000-0000-0000-000000000002", "quantity", ""),
        ("reservation:00000000-0000-0000-0000-000000000002", "state", "sold"),
        ("reservation:00000000-0000-0000-0000-000000000002", "state", "claimed"),
        ("reservation:00000000-0000-0000-0000-000000000002", "holder", "nobody"),
        ("reservation:00000000-0000-0000-0000-000000000002", "quantity", "4"),
    ] {
        let redis = Redis::run().await;
        let store = on(&redis, node()).await;
        shop(&store).await;
        redis.tell(&["HSET", &format!("{REALM}{key}"), field, value]).await;
        let before = everything(&redis).await;
        let refused = act(&store, Act::Release { reservation: numbered(2), of: None }).await;
        assert!(matches!(refused, Err(StockError::Unreadable(_))), "{key} {field} {value}: {refused:?}");
        assert_eq!(everything(&redis).await, before, "{key} {field} {value}");
    }
}

#[tokio::test]
async fn a_stock_that_is_damaged_keeps_no_other_one_from_being_swept() {
    let redis = Redis::run().await;
    let store = on(&redis, node()).await;
    shop(&store).await;
    let other = SkuId::new("a").expect("a SKU");
    act(&store, Act::Seed { sku: other.clone(), quantity: 5, known: Known::Reset }).await.expect("it is new");
    redis.tell(&["SET", &format!("{REALM}stock:s:active"), "diary"]).await;
    let Act::Hold(short) = hold(9, of_cart(), Duration::ZERO) else { panic!("a hold") };
    act(&store, Act::Hold(Hold { sku: other, ..short })).await.expect("there are units");
    assert_eq!(store.sweep().await.map(|swept| swept.expired), Ok(1));
    assert!(matches!(store.stocks(vec![sku()]).await, Err(ReadError::Unreadable(_))));
}

#[tokio::test]
async fn scripts_that_redis_has_forgotten_are_told_again() {
    let redis = Redis::run().await;
    let store = on(&redis, node()).await;
    let owner = shop(&store).await;
    redis.tell(&["SCRIPT", "FLUSH"]).await;
    act(&store, hold(9, of_cart(), LONG)).await.expect("there are units");
    redis.tell(&["SCRIPT", "FLUSH"]).await;
    assert_eq!(store.sweep().await.map(|swept| swept.claims.len()), Ok(1));
    redis.tell(&["SCRIPT", "FLUSH"]).await;
    assert_eq!(store.commit(batch(vec![buying(&owner, 1)]), Life::default()).await, Outcome::Applied);
}

#[tokio::test]
async fn more_holds_than_one_call_may_let_go_of_run_out_all_the_same() {
    let redis = Redis::run().await;
    let store = on(&redis, node()).await;
    act(&store, Act::Seed { sku: sku(), quantity: 600, known: Known::Reset }).await.expect("it is new");
    for round in 0..2 {
        // Each of them lets go of those before it: they run out together only where they are put in together.
        let soon = Duration::from_millis(1_500);
        let holds = (0..300_u128).map(|n| act(&store, hold(1_000 * (round + 1) + n, of_player(), soon)));
        for made in futures_util::future::join_all(holds).await {
            made.expect("there are units");
        }
        tokio::time::sleep(Duration::from_millis(1_600)).await;
        if round == 0 {
            let all = Act::Seed { sku: sku(), quantity: 600, known: Known::Reset };
            act(&store, all).await.expect("no hold is open any more");
        } else {
            assert_eq!(store.sweep().await.map(|swept| swept.expired), Ok(300));
        }
    }
    let book = store.stock_book(sku()).await.expect("Redis answers").expect("it is there");
    assert_eq!((book.stock.available, book.stock.holds, book.units.len()), (600, 0, 0));
}

#[tokio::test]
async fn an_emptied_redis_is_sold_nothing_from() {
    let redis = Redis::run().await;
    let store = on(&redis, node()).await;
    redis.tell(&["FLUSHALL"]).await;
    let refused = act(&store, Act::Seed { sku: sku(), quantity: 5, known: Known::Reset }).await;
    assert!(matches!(refused, Err(StockError::Unavailable(_))), "{refused:?}");
}

/// Prints what the script calls since the last time cost this Redis.
async fn per_call(redis: &Redis, what: &str) {
    println!("{what}: {}", redis.info("cmdstat_evalsha").await);
    redis.tell(&["CONFIG", "RESETSTAT"]).await;
}

/// Prints the figures for the note, with `appendfsync everysec`.
#[tokio::test]
#[ignore = "a measurement: cargo test --release -p holdall-tests --test suite -- --ignored --nocapture a_deed_costs_redis"]
async fn what_a_deed_costs_redis() {
    let redis = Redis::new().set("appendfsync", "everysec").running().await;
    let store = on(&redis, node()).await;
    act(&store, Act::Seed { sku: sku(), quantity: 100_000, known: Known::Reset }).await.expect("it is new");
    let owner = acquire(&store, "p").await.owner;
    redis.tell(&["CONFIG", "RESETSTAT"]).await;
    for number in 1..=5_000 {
        act(&store, hold(number, of_player(), LONG)).await.expect("there are units");
    }
    per_call(&redis, "a hold").await;
    for number in 1..=5_000 {
        act(&store, claim(number, &owner)).await.expect("it is active");
    }
    per_call(&redis, "a claim").await;
    for number in 1..=5_000_u64 {
        let bought = PlayerWrite {
            purchases: buying(&owner, number.into()).purchases,
            ..write("p", &owner, number - 1, number)
        };
        assert_eq!(store.commit(batch(vec![bought]), Life::default()).await, Outcome::Applied);
    }
    per_call(&redis, "a write that buys").await;
    for number in 5_001..=10_000_u64 {
        let plain = write("p", &owner, number - 1, number);
        assert_eq!(store.commit(batch(vec![plain]), Life::default()).await, Outcome::Applied);
    }
    per_call(&redis, "a write that buys nothing").await;
}
