//! kill -9 of the giver's or the receiver's process at any moment: what was given is there once, in one of three places.

use holdall_client_sim::model::Mirror;
use holdall_harness::{
    bots::start_for_good,
    child::{PATIENCE, Server, Site},
    client::{Client, Heard, gift, grant, seq_of},
    command::holdall,
    redis::Redis,
};
use holdall_protocol::{action::Action, frame::Subprotocol, ids::InstanceId, message::ServerMessage};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    time::{Duration, Instant},
};
use tokio::time::sleep;

const LEASE_MS: u64 = 1_500;
const SWORDS: u64 = 60;

/// Logs in, however often it takes.
async fn enter_at_last(game: SocketAddr, player: &str) -> Client {
    let begun = Instant::now();
    loop {
        if let Some(client) = try_to_enter(game, player).await {
            return client;
        }
        assert!(begun.elapsed() < PATIENCE, "{player} is never welcome");
        sleep(Duration::from_millis(20)).await;
    }
}

async fn try_to_enter(game: SocketAddr, player: &str) -> Option<Client> {
    drop(tokio::net::TcpStream::connect(game).await.ok()?);
    let mut client = Client::open(game, Subprotocol::Msgpack).await;
    client.hello(&format!("dev:{player}"), None).await;
    for _ in 0..2 {
        match client.hear().await {
            Heard::Message(_) => {}
            Heard::Close(..) | Heard::Gone => return None,
        }
    }
    Some(client)
}

fn swords(mirror: &Mirror) -> Vec<InstanceId> {
    mirror
        .bag_from(0)
        .filter(|(_, stack)| stack.item.as_str() == "iron_sword")
        .map(|(_, stack)| stack.instance)
        .collect()
}

/// Gives swords away one after the other until the connection ends; how many were acknowledged.
async fn give_away(mut anna: Client) -> u64 {
    let wishes: Vec<Action> = swords(anna.mirror()).into_iter().map(|sword| gift("bert", sword, 1)).collect();
    let asked = wishes.len();
    anna.send_all(wishes).await;
    let (mut answered, mut acked) = (0, 0);
    while answered < asked {
        let Some(Heard::Message(message)) = anna.hear_within(PATIENCE).await else { break };
        answered += usize::from(seq_of(&message).is_some());
        acked += u64::from(matches!(*message, ServerMessage::Applied(_)));
    }
    acked
}

/// Every sword that bert or anna has or that waits for bert, and how often.
async fn everywhere(url: &str, dir: &std::path::Path, players: [&Client; 2]) -> BTreeMap<String, u32> {
    let mut found = BTreeMap::new();
    for client in players {
        for sword in swords(client.mirror()) {
            *found.entry(sword.to_string()).or_default() += 1;
        }
    }
    for player in ["anna", "bert"] {
        let shown = holdall(dir, &["inspect", player, "--store", url, "--json"]).await.json();
        for stack in
            shown["inbox"].as_array().into_iter().flatten().flat_map(|gift| gift["stacks"].as_array()).flatten()
        {
            *found.entry(stack["instance"].as_str().expect("an instance").to_owned()).or_default() += 1;
        }
    }
    found
}

/// Which process is killed.
#[derive(Debug, Clone, Copy)]
enum Victim {
    Giver,
    Receiver,
    Both,
}

/// One round: gifts from one process to the other while one of them is killed.
async fn round(victim: Victim, seed: u64) {
    println!("{victim:?}, seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let redis = Redis::run().await;
    let site = || Site::new().on(&redis.url()).knob("store.lease_ms", LEASE_MS).allow("the lease has run out");
    let (mut one, mut other) = (site(), site());
    let (mut here, mut there) = (start_for_good(&mut one).await, start_for_good(&mut other).await);
    let mut anna = Client::enter(here.game, "anna").await;
    anna.apply(grant("iron_sword", SWORDS)).await;
    let bert = Client::enter(there.game, "bert").await;
    let giving = tokio::spawn(give_away(anna));
    let hearing = tokio::spawn(async move {
        let mut bert = bert;
        while let Heard::Message(_) = bert.hear().await {
            if swords(bert.mirror()).len() as u64 == SWORDS {
                break;
            }
        }
    });
    sleep(Duration::from_millis(rng.random_range(0..40))).await;
    if matches!(victim, Victim::Giver | Victim::Both) {
        here = again(here, &one).await;
    }
    if matches!(victim, Victim::Receiver | Victim::Both) {
        there = again(there, &other).await;
    }
    let acked = giving.await.expect("no panic");
    hearing.abort();
    let anna = enter_at_last(here.game, "anna").await;
    let bert = at_rest(there.game, &anna).await;
    let found = everywhere(&redis.url(), one.dir(), [&anna, &bert]).await;
    assert_eq!(found.len() as u64, SWORDS, "{found:?}");
    assert!(found.values().all(|times| *times == 1), "a sword is in two places: {found:?}");
    let (kept, got) = (swords(anna.mirror()).len() as u64, swords(bert.mirror()).len() as u64);
    println!("{acked} acknowledged, {got} arrived, {kept} kept");
    assert!(got >= acked, "what was acknowledged has arrived: {got} of {acked}");
    assert_eq!(got + kept, SWORDS);
    assert_eq!((here.stop().await, there.stop().await), (Some(0), Some(0)));
}

async fn again(server: Server, site: &Site) -> Server {
    server.kill().await;
    site.start().await
}

/// Bert, once all that anna no longer has is in his hands.
async fn at_rest(game: SocketAddr, anna: &Client) -> Client {
    let gone = SWORDS - swords(anna.mirror()).len() as u64;
    let mut bert = enter_at_last(game, "bert").await;
    while (swords(bert.mirror()).len() as u64) < gone {
        bert.message().await;
    }
    bert.compare().await;
    bert
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_given_while_a_process_is_killed_arrives_once() {
    for (victim, seed) in [(Victim::Giver, 1), (Victim::Receiver, 2), (Victim::Both, 3)] {
        round(victim, seed).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "as long as it is given: tests/run --long"]
async fn what_is_given_while_processes_are_killed_again_and_again_arrives_once() {
    holdall_harness::bots::again_and_again(async |seed| {
        let victim = [Victim::Giver, Victim::Receiver, Victim::Both][(seed % 3) as usize];
        round(victim, seed).await;
    })
    .await;
}
