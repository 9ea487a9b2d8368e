//! Everything at once: two servers, a Redis and the networks between them fail at random, while players hop to and fro.

use super::stage::{BUSY, LEASE_RAN_OUT, NOT_LOADED, RESTARTED, TAKEN_OVER, lane, site_on};
use holdall_client_sim::Options;
use holdall_harness::{
    bots::{self, again_and_again, expect_in_order, start_for_good},
    child::{Server, Site},
    proxy::{Proxy, Way},
    redis::Redis,
};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};
use tokio::time::sleep;

/// A server and its way to Redis.
struct Node {
    proxy: Proxy,
    site: Site,
    server: Server,
}

impl Node {
    async fn start(redis: &Redis, seed: u64) -> Self {
        let proxy = Proxy::before_redis(redis.address(), seed).await;
        let mut site = site_on(&redis.url_at(proxy.address));
        for text in [RESTARTED, LEASE_RAN_OUT, NOT_LOADED, TAKEN_OVER] {
            site = site.allow(text);
        }
        let server = start_for_good(&mut site).await;
        Self { proxy, site, server }
    }

    async fn kill(self) -> Self {
        self.server.kill().await;
        Self { server: self.site.start().await, ..self }
    }

    async fn restart(self) -> Self {
        assert_eq!(self.server.stop().await, Some(0), "everything could be saved");
        Self { server: self.site.start().await, ..self }
    }
}

/// Something goes wrong, and is over when this returns.
async fn strike(redis: &mut Redis, mut node: Node, rng: &mut StdRng) -> (&'static str, Node) {
    let moment = Duration::from_millis(rng.random_range(50..2_500));
    let during = async |way: Way| {
        node.proxy.set(way);
        sleep(moment).await;
        node.proxy.set(Way::Open);
    };
    let name = match rng.random_range(0..8) {
        0 => {
            node = node.kill().await;
            "server killed"
        }
        1 => {
            node = node.restart().await;
            "server stopped"
        }
        2 => {
            node.server.pause().await;
            sleep(moment).await;
            node.server.resume();
            "server paused"
        }
        3 => {
            redis.kill().await;
            redis.start().await;
            "Redis killed"
        }
        4 => {
            during(Way::LosingReplies { one_in: 20 }).await;
            "replies lost"
        }
        5 => {
            during(Way::Held).await;
            "network down"
        }
        6 => {
            during(Way::Swallowed).await;
            "network lossy"
        }
        _ => {
            node.proxy.cut();
            "connections cut"
        }
    };
    (name, node)
}

/// Bots hop between two servers while everything fails that can.
async fn storm(seed: u64, length: Duration) {
    println!("seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let mut redis = Redis::run().await;
    let mut nodes = vec![Node::start(&redis, seed).await, Node::start(&redis, !seed).await];
    let door = Proxy::before(nodes.iter().map(|node| node.server.game).collect(), seed).await;
    let churn = Some(Duration::from_secs(1));
    let bots = bots::play(Options { churn, ..bots::options(door.address, seed, length, BUSY) });
    let (begin, mut strikes) = (Instant::now(), BTreeMap::<_, u32>::new());
    while begin.elapsed() + Duration::from_secs(3) < length {
        sleep(Duration::from_millis(rng.random_range(100..800))).await;
        let node = nodes.swap_remove(rng.random_range(0..nodes.len()));
        let (name, node) = strike(&mut redis, node, &mut rng).await;
        nodes.push(node);
        *strikes.entry(name).or_default() += 1;
    }
    let report = bots.await.expect("the bots do not panic");
    println!("{strikes:?}; {} reconnects, {} effects asked for", report.reconnects, report.requests);
    expect_in_order(&report);
    for node in nodes {
        assert_eq!(node.server.stop().await, Some(0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_storm_nothing_is_lost_and_nothing_doubled() {
    let _lane = lane().await;
    storm(1, Duration::from_secs(12)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "as long as it is given: tests/run --long"]
async fn storm_after_storm_nothing_is_lost_and_nothing_doubled() {
    let _lane = lane().await;
    again_and_again(async |seed| storm(seed, Duration::from_secs(30)).await).await;
}
