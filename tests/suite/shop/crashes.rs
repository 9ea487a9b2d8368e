//! Purchases under way when a server is killed or stopped, or a player logs in again: all of it is done, or the hold stands.

use super::{LATE, behind_a_proxy, customer, entries_of, on_both_stores};
use crate::faults::stage::enter_at_last;
use holdall_harness::{
    child::{PATIENCE, Server, Site},
    client::{Client, Heard},
    proxy::{Proxy, Way},
    redis::Redis,
    resp::Reply,
    shop::{Stall, Units, confirm, hold, hold_for},
};
use holdall_protocol::{
    action::Action,
    close::Close,
    code::Code,
    frame::Subprotocol,
    message::{Hold, HoldState, ServerMessage},
};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use std::time::{Duration, Instant};
use tokio::time::sleep;

on_both_stores! {
    purchases_under_way_when_the_server_ends_are_done_or_stand_whoever_returns
    a_purchase_under_way_at_a_second_login_is_done_once
}

/// Many swords for many.
const SWORDS: &str = "[[sku]]\nid = \"sword\"\nstock = 100\nitem = \"iron_sword\"\nprice = { gold = 100 }\n";

/// Players who have asked to pay, and whose answers nobody has read.
async fn payers(server: &Server, round: usize, seconds: u64) -> Vec<(String, Hold)> {
    let mut payers = Vec::new();
    for n in 0..12 {
        let name = format!("p{round}-{n}");
        let mut client = customer(server, &name, 100).await;
        let held = client.held(hold_for("sword", 1, seconds)).await;
        payers.push((name, client, held));
    }
    let mut named = Vec::new();
    for (name, mut client, held) in payers {
        client.send(confirm(&held)).await;
        // The connection stays open until the server dies.
        tokio::spawn(async move { client.end().await });
        named.push((name, held));
    }
    named
}

/// Pays, however often it has to be said; whether the hold was still there to be paid for.
pub(crate) async fn pay_at_last(client: &mut Client, action: Action) -> bool {
    let begun = Instant::now();
    loop {
        match client.ask(action.clone()).await {
            ServerMessage::Applied(_) => return true,
            ServerMessage::Refused(refused) if refused.code == Code::ReservationNotActive => {
                return false;
            }
            ServerMessage::Refused(refused) if refused.retry_after_ms.is_some() => {
                sleep(Duration::from_millis(50)).await;
            }
            other => panic!("{action:?}: {other:?}"),
        }
        assert!(begun.elapsed() < PATIENCE, "it is never paid for");
    }
}

/// How many swords these have; each has paid for theirs.
async fn swords(server: &Server, payers: &[(String, Hold)]) -> u64 {
    let mut swords = 0;
    for (name, _) in payers {
        let mut client = Client::enter(server.game, name).await;
        let has = client.count("iron_sword");
        assert_eq!((client.count("gold"), has <= 1), (100 - 100 * has, true), "{name} paid for what {name} has");
        client.compare().await;
        swords += has;
    }
    swords
}

async fn purchases_under_way_when_the_server_ends_are_done_or_stand_whoever_returns(stall: Stall) {
    stall.sell(SWORDS);
    let mut rng = StdRng::seed_from_u64(5);
    let (mut server, mut all) = (stall.start().await, Vec::new());
    for round in 0..5 {
        let payers = payers(&server, round, 4).await;
        sleep(Duration::from_micros(rng.random_range(0..20_000))).await;
        if round < 4 {
            server.kill().await;
        } else {
            assert_eq!(server.stop().await, Some(0));
        }
        server = stall.start().await;
        // Half of them come back and want their swords; the others are never seen again before all is over.
        let (back, _) = payers.split_at(payers.len() / 2);
        let mut paid = 0;
        for (name, held) in back {
            let mut client = Client::enter(server.game, name).await;
            let had = client.count("iron_sword");
            let pays = pay_at_last(&mut client, confirm(held)).await;
            assert!(!(pays && had == 1), "{name} was charged twice");
            paid += u64::from(pays);
        }
        println!("round {round}: {paid} of {} paid after the end", back.len());
        all.extend(payers);
    }
    let shop = server.asker(None);
    let begun = Instant::now();
    while shop.units("sword").await.reserved > 0 {
        assert!(begun.elapsed() < PATIENCE, "holds of players who never return are never let go of");
        sleep(Duration::from_millis(50)).await;
    }
    let sold = shop.units("sword").await.confirmed;
    stall.verify().await;
    assert_eq!(swords(&server, &all).await, sold);
    assert_eq!(shop.units("sword").await, Units::of(100 - sold, 0, sold));
    stall.close(server).await;
}

async fn a_purchase_under_way_at_a_second_login_is_done_once(stall: Stall) {
    stall.sell(SWORDS);
    let server = stall.start().await;
    let shop = server.asker(None);
    let mut rng = StdRng::seed_from_u64(6);
    let mut anna = customer(&server, "anna", 2_000).await;
    let mut late = 0;
    for round in 1..=20 {
        let held = anna.held(hold("sword", 1)).await;
        let mut other = Client::open(server.game, Subprotocol::Msgpack).await;
        anna.send(confirm(&held)).await;
        sleep(Duration::from_micros(rng.random_range(0..1_500))).await;
        other.hello("dev:anna", None).await;
        other.expect_welcome().await;
        other.expect_snapshot().await;
        late += u64::from(pay_at_last(&mut other, confirm(&held)).await);
        let (rest, end) = anna.rest().await;
        assert!(matches!(end, Heard::Close(Close::Replaced, _)), "{end:?}");
        assert!(rest.len() <= 2, "{rest:?}");
        assert_eq!((other.count("gold"), other.count("iron_sword")), (2_000 - 100 * round, round));
        assert_eq!(shop.units("sword").await, Units::of(100 - round, 0, round), "round {round}");
        other.compare().await;
        anna = other;
    }
    println!("{late} of 20 were paid by the second login");
    stall.close(server).await;
}

/// Anna was paying when her process was killed: her hold is claimed, and nothing was committed.
struct Killed {
    /// Whose first process has not run yet.
    stall: Stall,
    /// The killed one.
    victim: Site,
    /// What she was paying for.
    held: Hold,
    _proxy: Proxy,
}

impl Killed {
    /// Redis answers late, so that the process is killed before it hears of its claim. The hold is made for so many seconds.
    async fn between_claim_and_commit(seconds: u64) -> Self {
        let (stall, victim, proxy) = behind_a_proxy().await;
        let redis = stall.redis();
        let server = victim.start().await;
        let mut anna = customer(&server, "anna", 100).await;
        let held = anna.held(hold_for("sword", 1, seconds)).await;
        proxy.set(LATE);
        anna.send(confirm(&held)).await;
        until_claimed(redis, 1).await;
        server.kill().await;
        proxy.set(Way::Open);
        assert_eq!(claims(redis).await, 1, "the claim stands");
        Self { stall, victim, held, _proxy: proxy }
    }

    /// She comes back to this process and pays.
    async fn expect_paid_for_on(self, server: Server) {
        let (mut anna, _) = enter_at_last(server.game, "anna").await;
        assert_eq!((&anna.welcome().holds, anna.count("gold")), (&vec![self.held.clone()], 100));
        assert_eq!(anna.held(confirm(&self.held)).await.state, HoldState::Confirmed);
        assert_eq!((anna.count("gold"), anna.count("iron_sword")), (0, 1));
        assert_eq!(server.asker(None).units("sword").await, Units::of(9, 0, 1));
        anna.compare().await;
        self.stall.close(server).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_claim_of_a_killed_process_is_undone_by_another_though_its_player_never_returns() {
    let killed = Killed::between_claim_and_commit(8).await;
    let server = killed.stall.start().await;
    let shop = server.asker(None);
    assert_eq!(shop.units("sword").await, Units::of(9, 1, 0));
    until_claimed(killed.stall.redis(), 0).await;
    shop.until_units("sword", Units::of(10, 0, 0)).await;
    assert_eq!(shop.until_events("sword", "expired", 1).await, [killed.held.reservation.to_string()]);
    killed.stall.close(server).await;
    let history = killed.stall.history("anna").await;
    assert_eq!(entries_of(&history, &killed.held).len(), 1, "she held it, and no more: {history}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_claim_of_a_killed_process_is_undone_by_its_successor_and_the_hold_can_be_paid_for() {
    let killed = Killed::between_claim_and_commit(600).await;
    let server = killed.victim.start().await;
    until_claimed(killed.stall.redis(), 0).await;
    assert_eq!(server.asker(None).units("sword").await, Units::of(9, 1, 0));
    killed.expect_paid_for_on(server).await;
}

/// She has a new owner before anybody has swept.
#[tokio::test(flavor = "multi_thread")]
async fn who_returns_to_a_claim_of_a_dead_process_pays_at_once() {
    let killed = Killed::between_claim_and_commit(600).await;
    let server = killed.victim.start().await;
    killed.expect_paid_for_on(server).await;
}

async fn claims(redis: &Redis) -> i64 {
    match redis.tell(&["ZCARD", "holdall:{main}:stock:sword:claims"]).await {
        Reply::Integer(claims) => claims,
        other => panic!("no number but {other:?}"),
    }
}

async fn until_claimed(redis: &Redis, wanted: i64) {
    let begun = Instant::now();
    while claims(redis).await != wanted {
        assert!(begun.elapsed() < PATIENCE, "never {wanted} claims");
        sleep(Duration::from_millis(1)).await;
    }
}
