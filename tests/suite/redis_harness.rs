//! The harness's own Redis does what tests rely on: it dies, comes back, forgets and stands still when told.

use holdall_harness::{
    redis::Redis,
    resp::{Connection, Reply, command, end_of_value, name_of},
};
use std::{path::Path, time::Duration};
use tokio::time::timeout;

#[tokio::test]
async fn what_it_acknowledged_is_there_after_a_kill() {
    let mut redis = Redis::run().await;
    let (address, run) = (redis.address(), redis.info("run_id").await);
    for n in 1..=100 {
        assert_eq!(redis.tell(&["INCR", "n"]).await, Reply::Integer(n));
    }
    redis.kill().await;
    assert!(Connection::open(redis.address()).await.is_err(), "it is gone");
    redis.start().await;
    assert_eq!(redis.address(), address);
    assert_ne!(redis.info("run_id").await, run, "it is another process");
    assert_eq!(redis.tell(&["GET", "n"]).await.text(), "100");
    redis.stop().await;
}

#[tokio::test]
async fn put_back_it_has_lost_exactly_what_came_since() {
    let mut redis = Redis::run().await;
    redis.tell(&["HSET", "kept", "f", "1"]).await;
    let image = redis.image();
    redis.tell(&["HSET", "kept", "f", "2"]).await;
    redis.tell(&["SET", "lost", "1"]).await;
    redis.kill().await;
    redis.put_back(&image);
    redis.start().await;
    let fields = redis.tell(&["HGETALL", "kept"]).await;
    assert_eq!(fields.array(), [Reply::Bulk("f".to_owned()), Reply::Bulk("1".to_owned())]);
    assert_eq!(redis.tell(&["GET", "lost"]).await, Reply::Nil);
}

#[tokio::test]
async fn paused_it_says_nothing_and_resumed_it_answers() {
    let redis = Redis::run().await;
    let mut connection = Connection::open(redis.address()).await.expect("it listens");
    redis.pause();
    let mut asked = std::pin::pin!(connection.ask(&["PING"]));
    assert!(timeout(Duration::from_millis(200), &mut asked).await.is_err(), "it stands still");
    redis.resume();
    assert_eq!(asked.await.expect("it answers").text(), "PONG");
}

#[tokio::test]
async fn it_has_a_password_and_a_port_for_tls_when_told() {
    let keys = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/keys");
    let redis = Redis::new().password("secret").tls(&keys.join("tls.cert.pem"), &keys.join("tls.key.pem"));
    let redis = redis.running().await;
    assert_eq!(redis.tell(&["PING"]).await.text(), "PONG");
    assert_eq!(redis.url(), format!("redis://:secret@{}", redis.address()));
    let mut stranger = Connection::open(redis.address()).await.expect("it listens");
    let refused = stranger.ask(&["GET", "n"]).await.expect("an answer");
    assert!(matches!(&refused, Reply::Error(text) if text.starts_with("NOAUTH")), "{refused}");
    let port = redis.tls_url().rsplit_once(':').expect("a port").1.parse().expect("a number");
    let mut clear = Connection::open(([127, 0, 0, 1], port).into()).await.expect("it listens");
    assert!(clear.ask(&["PING"]).await.is_err(), "the other port takes nothing in the clear");
}

#[tokio::test]
async fn it_writes_every_command_to_its_disk_and_evicts_nothing_unless_told_otherwise() {
    let setting = async |redis: &Redis, name| redis.tell(&["CONFIG", "GET", name]).await.array()[1].text().to_owned();
    let redis = Redis::run().await;
    for (name, value) in [("appendonly", "yes"), ("appendfsync", "always"), ("maxmemory-policy", "noeviction")] {
        assert_eq!(setting(&redis, name).await, value);
    }
    let other = Redis::new().set("appendfsync", "everysec").set("maxmemory-policy", "allkeys-lru").running().await;
    assert_eq!(setting(&other, "appendfsync").await, "everysec");
    assert_eq!(setting(&other, "maxmemory-policy").await, "allkeys-lru");
    assert_ne!(redis.address(), other.address());
}

#[test]
fn every_value_of_the_protocol_ends_where_it_ends() {
    let values = [
        "+OK\r\n",
        "-ERR no\r\n",
        ":-5\r\n",
        "$0\r\n\r\n",
        "$-1\r\n",
        "*-1\r\n",
        "_\r\n",
        "#t\r\n",
        ",1.5\r\n",
        "$4\r\n\r\n\r\n\r\n",
        "*2\r\n$1\r\na\r\n*1\r\n:1\r\n",
        "%1\r\n+a\r\n*2\r\n:1\r\n:2\r\n",
        ">2\r\n+a\r\n+b\r\n",
        "|1\r\n+a\r\n+b\r\n:7\r\n",
    ];
    for value in values {
        for cut in 0..value.len() {
            assert_eq!(end_of_value(&value.as_bytes()[..cut]), None, "{value:?} cut at {cut}");
        }
        let longer = format!("{value}+next\r\n");
        assert_eq!(end_of_value(longer.as_bytes()), Some(value.len()), "{value:?}");
    }
    assert_eq!(name_of(&command(&["hset", "k", "f", "v"])), "HSET");
}
