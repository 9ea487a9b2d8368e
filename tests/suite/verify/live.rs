//! `verify` while people play: what is read at different moments is no fault.

use super::said;
use holdall_client_sim::scenario::Load;
use holdall_harness::{
    bots,
    child::{Server, Site},
    client::{Client, grant},
    command::holdall,
    redis::Redis,
    trade::{accept, offer, open},
};
use std::time::Duration;
use tokio::{sync::watch, task::JoinHandle};

/// How long they play.
const PLAY: Duration = Duration::from_secs(6);

/// Two who swap their swords again and again, until they are told to stop; how often they did.
fn traders(server: &Server, names: [&'static str; 2], stop: watch::Receiver<bool>) -> JoinHandle<u32> {
    let game = server.game;
    tokio::spawn(async move {
        let mut anna = Client::enter(game, names[0]).await;
        let mut bert = Client::enter(game, names[1]).await;
        for client in [&mut anna, &mut bert] {
            client.apply(grant("iron_sword", 1)).await;
            client.apply(grant("ore", 40)).await;
        }
        let mut swaps = 0;
        while !*stop.borrow() {
            let trade = open(&mut anna, &mut bert).await;
            let (annas, berts) = (anna.stack("iron_sword").1.instance, bert.stack("iron_sword").1.instance);
            let ore = anna.stack("ore").1.instance;
            anna.step(offer(trade, &[(annas, 1), (ore, 1)], &[])).await;
            bert.told().await;
            let both = bert.step(offer(trade, &[(berts, 1)], &[])).await;
            anna.told().await;
            bert.step(accept(trade, both.offer_revision)).await;
            anna.told().await;
            anna.apply(accept(trade, both.offer_revision)).await;
            anna.told_settled(trade).await;
            bert.told_settled(trade).await;
            bert.until_revision(anna.revision()).await;
            std::mem::swap(&mut anna, &mut bert);
            swaps += 1;
        }
        swaps
    })
}

async fn nothing_is_wrong_while_people_play(sites: &[Site], at: &[&str]) {
    let mut servers = Vec::new();
    for site in sites {
        servers.push(site.start().await);
    }
    let (stop, stopped) = watch::channel(false);
    let mut options = bots::options(servers[0].game, 7, PLAY, Load::Depth(2));
    // Who comes back finds what was given meanwhile in the inbox.
    options.churn = Some(Duration::from_millis(300));
    options.mix.gift = 40;
    let bots = bots::play(options);
    let last = servers.last().expect("a server");
    let traders = [traders(last, ["tina", "tom"], stopped.clone()), traders(last, ["ulla", "udo"], stopped)];
    let command: Vec<&str> = ["verify", "--json"].iter().chain(at).copied().collect();
    let (mut rounds, mut exchanges, mut gifts) = (0, 0, 0);
    while !bots.is_finished() {
        let verified = said(&holdall(sites[0].dir(), &command).await);
        assert_eq!(verified.faults, [], "in round {rounds}");
        assert!(!verified.quiet, "servers are alive");
        (rounds, exchanges, gifts) = (rounds + 1, verified.exchanges, verified.gifts);
    }
    stop.send_replace(true);
    for traders in traders {
        assert!(traders.await.expect("they trade") > 0);
    }
    let report = bots.await.expect("the bots do not panic");
    bots::expect_in_order(&report);
    for server in servers {
        assert_eq!(server.stop().await, Some(0));
    }
    println!("{rounds} rounds, at the end {exchanges} halves of exchanges and {gifts} gifts through inboxes");
    assert!(rounds > 1 && exchanges > 0, "something was looked at, more than once");
    let verified = said(&holdall(sites[0].dir(), &command).await);
    assert_eq!(verified.faults, []);
    assert!(verified.quiet && verified.exchanges > exchanges);
}

fn lively() -> Site {
    Site::new().knob("limits.linger_ms", 0)
}

#[tokio::test]
async fn nothing_is_wrong_in_a_data_directory_while_people_play() {
    nothing_is_wrong_while_people_play(&[lively()], &["--data-dir", "data"]).await;
}

#[tokio::test]
async fn nothing_is_wrong_on_a_redis_while_people_play_on_two_servers() {
    let redis = Redis::run().await;
    let url = redis.url();
    let sites = [lively().on(&url), lively().on(&url)];
    nothing_is_wrong_while_people_play(&sites, &["--store", &url]).await;
}
