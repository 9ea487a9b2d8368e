//! A Redis that answers and takes nothing: out of memory, unable to save, a replica, loading; and one that forgets scripts and
//! cuts connections.

use super::stage::{LEASE_RAN_OUT, NOT_LOADED, RESTARTED, Stage, expect_no_ack, lane, until_healthy};
use holdall_harness::{
    bots::expect_in_order,
    client::{Client, grant},
    redis::Redis,
    resp::Reply,
};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How a Redis comes to refuse every write.
#[derive(Debug, Clone, Copy)]
enum Refusal {
    OutOfMemory,
    CannotSave,
    IsReplica,
    IsLoading,
}

impl Refusal {
    /// How its error begins.
    const fn code(self) -> &'static str {
        match self {
            Self::OutOfMemory => "OOM ",
            Self::CannotSave => "MISCONF ",
            Self::IsReplica => "READONLY ",
            Self::IsLoading => "LOADING ",
        }
    }

    async fn begin(self, redis: &mut Redis) {
        match self {
            Self::OutOfMemory => drop(redis.tell(&["CONFIG", "SET", "maxmemory", "1"]).await),
            Self::CannotSave => {
                redis.tell(&["CONFIG", "SET", "save", "3600 1"]).await;
                redis.tell(&["CONFIG", "SET", "dir", "/proc"]).await;
                redis.tell(&["BGSAVE"]).await;
            }
            // Of somebody who is not there: it keeps what it has.
            Self::IsReplica => drop(redis.tell(&["REPLICAOF", "127.0.0.1", "1"]).await),
            Self::IsLoading => {
                redis.kill_and_launch_slowly().await;
            }
        }
        let begun = Instant::now();
        while !matches!(redis.try_ask(&["SET", "probe", "1"]).await, Ok(Reply::Error(error)) if error.starts_with(self.code()))
        {
            assert!(begun.elapsed() < Duration::from_secs(10), "it does not refuse as {self:?}");
            sleep(Duration::from_millis(5)).await;
        }
    }

    async fn end(self, redis: &mut Redis) {
        match self {
            Self::OutOfMemory => drop(redis.tell(&["CONFIG", "SET", "maxmemory", "0"]).await),
            Self::CannotSave => {
                let dir = redis.dir().to_str().expect("a path that is text").to_owned();
                redis.tell(&["CONFIG", "SET", "dir", &dir]).await;
                redis.tell(&["CONFIG", "SET", "save", ""]).await;
            }
            Self::IsReplica => drop(redis.tell(&["REPLICAOF", "NO", "ONE"]).await),
            Self::IsLoading => redis.until_ready().await,
        }
    }
}

/// Bots play while Redis refuses everything for a second.
async fn refused(refusal: Refusal) {
    let stage = Stage::new(1).await.allow(&[LEASE_RAN_OUT, NOT_LOADED]);
    let mut stage = match refusal {
        Refusal::OutOfMemory | Refusal::CannotSave => stage,
        // It comes back under another name, and could have lost something.
        Refusal::IsReplica | Refusal::IsLoading => stage.allow(&[RESTARTED]),
    };
    let server = stage.start().await;
    let mut asker = Client::enter(server.game, "asker").await;
    asker.apply(grant("ore", 1)).await;
    let bots = stage.play(&server, Duration::from_secs(4));
    sleep(Duration::from_secs(1)).await;
    refusal.begin(&mut stage.redis).await;
    asker.send(grant("ore", 1)).await;
    if let Refusal::IsLoading = refusal {
        expect_no_ack(&mut asker, Duration::from_millis(300)).await;
    } else {
        let before = stage.redis.tell(&["DEBUG", "DIGEST"]).await;
        expect_no_ack(&mut asker, Duration::from_secs(1)).await;
        assert_eq!(stage.redis.tell(&["DEBUG", "DIGEST"]).await, before, "nothing was written, not even in part");
    }
    refusal.end(&mut stage.redis).await;
    let healthy = until_healthy(&server).await;
    println!("{refusal:?}: healthy after {healthy:?}");
    expect_in_order(&bots.await.expect("the bots do not panic"));
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_out_of_memory_takes_nothing_and_nothing_is_acknowledged() {
    let _lane = lane().await;
    refused(Refusal::OutOfMemory).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_cannot_save_takes_nothing_and_nothing_is_acknowledged() {
    let _lane = lane().await;
    refused(Refusal::CannotSave).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_became_a_replica_takes_nothing_and_nothing_is_acknowledged() {
    let _lane = lane().await;
    refused(Refusal::IsReplica).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_is_loading_takes_nothing_and_nothing_is_acknowledged() {
    let _lane = lane().await;
    refused(Refusal::IsLoading).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn forgotten_scripts_and_cut_connections_lose_nothing() {
    let _lane = lane().await;
    let mut stage = Stage::new(1).await;
    let server = stage.start().await;
    let bots = stage.play(&server, Duration::from_secs(4));
    let mut cut = 0;
    while !bots.is_finished() {
        sleep(Duration::from_millis(100)).await;
        stage.redis.tell(&["SCRIPT", "FLUSH"]).await;
        match stage.redis.tell(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]).await {
            Reply::Integer(connections) => cut += connections,
            other => panic!("{other}"),
        }
    }
    let told_again = stage.redis.info("cmdstat_eval").await;
    println!("{cut} connections cut, scripts told again: {told_again}");
    assert!(cut > 40, "each time those that there were");
    expect_in_order(&bots.await.expect("the bots do not panic"));
    assert_eq!(server.stop().await, Some(0));
}
