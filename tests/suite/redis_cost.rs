//! What the Redis store costs Redis: calls and bytes, and, measured on demand, time.

use crate::conformance::{acquire, batch, id, node, on, placing, write};
use bytes::Bytes;
use holdall_harness::redis::Redis;
use holdall_server::store::{Batch, Life, Outcome, Owner, Store};
use std::sync::Arc;

/// About the size of a stored stack, and of a ledger entry for one change.
const STACK: &str = "0123456789abcdef ore 12 1800000000000 {}";
const ENTRY: &[u8] = &[7; 90];

/// Players with a full bag of so many slots, and their tokens.
async fn loaded(store: &dyn Store, name: &str, players: usize, slots: usize) -> Vec<(String, Owner)> {
    let places: Vec<String> = (0..slots).map(|slot| format!("b:{slot}")).collect();
    let mut loaded = Vec::new();
    for n in 0..players {
        let player = format!("{name}-{n}");
        let owner = acquire(store, &player).await.owner;
        let full: Vec<_> = places.iter().map(|place| (place.as_str(), Some(STACK))).collect();
        let born = placing(write(&player, &owner, 0, 1), &full);
        assert_eq!(store.commit(batch(vec![born]), Life::default()).await, Outcome::Applied);
        loaded.push((player, owner));
    }
    loaded
}

/// One changed slot and one ledger entry for each of these players.
fn one_slot_each(players: &[(String, Owner)], base: u64) -> Arc<Batch> {
    let writes = players.iter().map(|(player, owner)| {
        let mut write = placing(write(player, owner, base, base + 1), &[("b:3", Some(STACK))]);
        write.entries = Bytes::from_static(ENTRY);
        write
    });
    batch(writes.collect())
}

async fn number(redis: &Redis, name: &str) -> f64 {
    redis.info(name).await.parse().unwrap_or_else(|_| panic!("{name} is a number"))
}

/// Seconds of CPU that this Redis has used.
async fn cpu(redis: &Redis) -> f64 {
    number(redis, "used_cpu_user").await + number(redis, "used_cpu_sys").await
}

async fn calls(redis: &Redis, command: &str) -> u64 {
    let stat = redis.info(&format!("cmdstat_{command}")).await;
    let calls = stat.strip_prefix("calls=").and_then(|rest| rest.split(',').next());
    calls.and_then(|calls| calls.parse().ok()).unwrap_or(0)
}

#[tokio::test]
async fn a_batch_is_one_call_and_a_changed_slot_one_field() {
    let redis = Redis::run().await;
    let store = on(&redis, node()).await;
    let players = loaded(&store, "player", 16, 1_000).await;
    redis.tell(&["CONFIG", "RESETSTAT"]).await;
    let before = number(&redis, "total_net_input_bytes").await;
    for base in 1..=10 {
        assert_eq!(store.commit(one_slot_each(&players, base), Life::default()).await, Outcome::Applied);
    }
    let bytes = number(&redis, "total_net_input_bytes").await - before;
    assert_eq!(calls(&redis, "evalsha").await, 10, "one script call a batch");
    assert_eq!(calls(&redis, "hset").await, 160, "and in it one write of fields a player");
    assert_eq!(calls(&redis, "xadd").await, 160, "and one ledger item");
    assert_eq!(calls(&redis, "hmget").await, 160, "and one look at its header");
    let each = bytes / 160.0;
    assert!(each < 600.0, "of a bag of 1,000 slots {each} bytes were sent for one changed slot");
    let rest = store.peek(id("player-0")).await.expect("it can be read").expect("it is there").places.len();
    assert_eq!(rest, 1_000, "the others are still there");
}

/// Prints the table for the note: Redis's time for a batch by its size, with `appendfsync everysec`.
#[tokio::test]
#[ignore = "a measurement: cargo test --release -p holdall-tests --test suite -- --ignored --nocapture costs_redis"]
async fn what_a_batch_costs_redis() {
    let redis = Redis::new().set("appendfsync", "everysec").running().await;
    let store = on(&redis, node()).await;
    for size in [1_usize, 16, 128] {
        let players = loaded(&store, &format!("of-{size}"), size, 50).await;
        redis.tell(&["CONFIG", "RESETSTAT"]).await;
        let before = cpu(&redis).await;
        let rounds = 40_000 / size as u64;
        for base in 1..=rounds {
            assert_eq!(store.commit(one_slot_each(&players, base), Life::default()).await, Outcome::Applied);
        }
        let each = (cpu(&redis).await - before) * 1e6 / (rounds * size as u64) as f64;
        let script = redis.info("cmdstat_evalsha").await;
        println!("{size:>4} players a batch: {each:.2} µs of Redis CPU a change; the script: {script}");
    }
}
