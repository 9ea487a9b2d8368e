//! Claims of several nodes on one store: each stands as long as its token can write, and no longer.

use super::{
    acquire, act, batch,
    claims::{claim, to_be_claimed},
    columns, conformance, id, state, write,
};
use crate::conformance::{node, on};
use holdall_harness::redis::Redis;
use holdall_server::store::{
    Life, Node, Outcome, Store,
    memory::Shelf,
    stock::{Act, State, Swept},
};
use std::{any::Any, sync::Arc, time::Duration};
use tokio::time::sleep;

/// As long as the lease of [`on`].
const LEASE: Duration = Duration::from_secs(2);

/// Two nodes' handles on one store.
struct Nodes {
    here: Arc<dyn Store>,
    there: Arc<dyn Store>,
}

fn there() -> Node {
    Node { id: "there".to_owned(), boot: 7 }
}

async fn memory() -> (Box<Nodes>, Box<dyn Any>) {
    let shelf = Shelf::default();
    shelf.set_lease(LEASE);
    let (here, there) = (Arc::new(shelf.open(node())), Arc::new(shelf.open(there())));
    (Box::new(Nodes { here, there }), Box::new(()))
}

async fn redis() -> (Box<Nodes>, Box<dyn Any>) {
    let redis = Redis::run().await;
    let (here, there) = (Arc::new(on(&redis, node()).await), Arc::new(on(&redis, there()).await));
    (Box::new(Nodes { here, there }), Box::new(redis))
}

conformance! {
    a_claim_stands_while_its_node_lives_and_is_undone_when_it_has_died
    a_claim_is_undone_when_its_node_has_signed_off
    several_nodes_sweep_a_hold_once;
    memory
    redis
}

async fn owner_of(store: &dyn Store, player: &str) -> Option<holdall_server::store::Owner> {
    store.standings(vec![id(player)]).await.expect("the store answers").headers.remove(0).owner
}

async fn a_claim_stands_while_its_node_lives_and_is_undone_when_it_has_died(nodes: &Nodes) {
    let (here, there) = (&*nodes.here, &*nodes.there);
    let (made, owner, good) = to_be_claimed(here).await;
    act(here, Act::Claim(good.clone())).await.expect("it is active");
    // As long as it renews its lease, it may still pay.
    for _ in 0..3 {
        sleep(LEASE / 2).await;
        here.renew(Life::default()).await.expect("the store answers");
        there.renew(Life::default()).await.expect("the store answers");
        assert_eq!(there.sweep().await, Ok(Swept::default()), "it is not this node's to tell");
        assert_eq!(here.sweep().await, Ok(Swept { claims: vec![good.clone()], ..Swept::default() }));
    }
    sleep(LEASE + LEASE / 2).await;
    there.renew(Life::default()).await.expect("the store answers");
    assert_eq!(there.sweep().await, Ok(Swept { undone: 1, ..Swept::default() }));
    assert_eq!((state(there, made).await, columns(there, "s").await), (State::Active, [8, 2, 0, 1]));
    assert_eq!(owner_of(there, "p").await, None, "what it had is nobody's");
    here.renew(Life::default()).await.expect("the store answers");
    let late = here.commit(batch(vec![write("p", &owner, 1, 2)]), Life::default()).await;
    assert_eq!(late, Outcome::Fenced { players: vec![id("p")] });
}

async fn a_claim_is_undone_when_its_node_has_signed_off(nodes: &Nodes) {
    let (here, there) = (&*nodes.here, &*nodes.there);
    let (made, _, good) = to_be_claimed(here).await;
    act(here, Act::Claim(good)).await.expect("it is active");
    here.resign().await;
    assert_eq!(there.sweep().await, Ok(Swept { undone: 1, ..Swept::default() }));
    assert_eq!((state(there, made).await, owner_of(there, "p").await), (State::Active, None));
    let next = acquire(there, "p").await.owner;
    let again = claim(made, "p", &next);
    act(there, Act::Claim(again.clone())).await.expect("it is active");
    assert_eq!(there.sweep().await, Ok(Swept { claims: vec![again], ..Swept::default() }));
}

async fn several_nodes_sweep_a_hold_once(nodes: &Nodes) {
    use super::{cart, held, hold, seeded};
    let (here, there) = (&*nodes.here, &*nodes.there);
    for name in ["s", "t", "u"] {
        seeded(here, name, 10).await;
        held(here, hold(name, cart("c"), 3, Duration::ZERO)).await;
    }
    let sweeps = [here.sweep(), there.sweep(), here.sweep(), there.sweep()];
    let swept = futures_util::future::join_all(sweeps).await;
    assert_eq!(swept.into_iter().map(|swept| swept.expect("the store answers").expired).sum::<u64>(), 3);
    for name in ["s", "t", "u"] {
        assert_eq!(columns(there, name).await, [10, 0, 0, 0]);
    }
}
