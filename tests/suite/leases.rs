//! Several processes on one store: who may serve a player, and how it changes hands.

use crate::conformance::id;
use bytes::Bytes;
use holdall_harness::rules;
use holdall_protocol::{
    close::Close,
    frame::Subprotocol,
    ids::{Revision, SessionId},
};
use holdall_server::{
    app::workshop::Workshop,
    clock::{Clock, Dice},
    config::Settings,
    journal::{Ack, Journal, Options as JournalOptions},
    replication::outbox::{Frame, Kind, Outbox},
    roster::{Options, Roster, allowance::Quotas, lease::Superseded, retention::Retention},
    schema,
    store::{
        AcquireError, Life, Node, Owner, Renewal, Store,
        memory::{Fault, Reach, Shelf},
    },
};
use std::{convert::Infallible, num::NonZeroU32, sync::Arc, time::Duration};
use tokio::{
    sync::Notify,
    task::JoinHandle,
    time::{Instant, sleep},
};

const LEASE: Duration = Duration::from_secs(1);

/// One process.
struct House {
    roster: Arc<Roster>,
    lease: JoinHandle<Result<Infallible, Superseded>>,
}

fn shelf() -> Shelf {
    let shelf = Shelf::default();
    shelf.set_lease(LEASE);
    shelf
}

fn node(name: &str, boot: u64) -> Node {
    Node { id: name.to_owned(), boot }
}

async fn house(shelf: &Shelf, name: &str, boot: u64) -> House {
    let store: Arc<dyn Store> = Arc::new(shelf.open(node(name, boot)));
    let clock = Clock::Runtime { start_ms: 0, origin: Instant::now() };
    let options = JournalOptions { ack: Ack::Durable, pending_bytes_max: 1 << 20 };
    let journal = Arc::new(Journal::new(store.clone(), options, clock, Dice::from_seed(boot)));
    let some = |n| NonZeroU32::new(n).expect("not zero");
    let options = Options {
        chain: &schema::OURS,
        linger: Duration::from_secs(600),
        resume_bytes_max: 4_096,
        outbox_bytes_max: 6_000,
        quotas: Quotas::new((some(50), some(50)), (some(600), some(50)), (some(600), some(50))),
        inbox_max: 100,
        inbox_time: Duration::from_secs(60),
        retention: Retention { entries_max: 10_000, time_max: None },
    };
    let roster = Roster::new(journal.clone(), store, Arc::new(rules()), (clock, Dice::from_seed(boot)), options);
    tokio::spawn(async move { journal.run().await });
    tokio::spawn(roster.clone().read_letters());
    let lease = tokio::spawn(roster.clone().keep_lease());
    sleep(Duration::from_millis(10)).await;
    assert!(roster.lease.is_held(), "the first renewal gives it");
    House { roster, lease }
}

#[tokio::test(start_paused = true)]
async fn a_command_begins_with_its_lease_held() {
    let shelf = shelf();
    let mut workshop = Workshop::new(&Settings::default(), rules(), Arc::new(shelf.open(node("command", 1))));
    assert!(!workshop.roster.lease.is_held());
    workshop.start().await.expect("started");
    assert!(workshop.roster.lease.is_held(), "an order would be refused without it");
    workshop.close().await;
    assert!(!shelf.is_alive("command"));
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_held_until_it_runs_out_and_not_by_an_earlier_boot() {
    let shelf = shelf();
    let first = shelf.open(node("a", 1));
    sleep(LEASE / 2).await;
    assert_eq!(first.renew(Life::default()).await, Ok(Renewal::Held(Life::default())));
    sleep(LEASE).await;
    assert_eq!(first.renew(Life::default()).await, Ok(Renewal::Lapsed(Life::default())));
    let second = shelf.open(node("a", 2));
    assert_eq!(first.renew(Life::default()).await, Ok(Renewal::Superseded));
    assert_eq!(second.renew(Life::default()).await, Ok(Renewal::Held(Life::default())));
    assert!(matches!(first.acquire(id("p"), Life::default()).await, Err(AcquireError::Unavailable(_))));
}

#[tokio::test(start_paused = true)]
async fn a_process_of_which_a_later_boot_signs_on_ends() {
    let shelf = shelf();
    let first = house(&shelf, "a", 1).await;
    let _second = house(&shelf, "a", 2).await;
    assert_eq!(first.lease.await.expect("no panic"), Err(Superseded));
}

#[tokio::test(start_paused = true)]
async fn a_player_is_handed_over_to_who_asks() {
    let shelf = shelf();
    let (a, b) = (house(&shelf, "a", 1).await, house(&shelf, "b", 2).await);
    a.roster.load(&id("p")).await.expect("it is free");
    b.roster.load(&id("p")).await.expect("it is given up");
    assert!(a.roster.find(&id("p")).is_none());
}

#[tokio::test(start_paused = true)]
async fn devices_that_keep_logging_in_move_a_player_once_a_second_at_most() {
    let shelf = shelf();
    let houses = [house(&shelf, "a", 1).await, house(&shelf, "b", 2).await];
    let (begun, mut moves) = (Instant::now(), 0);
    while begun.elapsed() < Duration::from_secs(20) {
        houses[moves % 2].roster.load(&id("p")).await.expect("it is given up in the end");
        moves += 1;
    }
    assert!((10..=21).contains(&moves), "{moves} moves in 20 seconds");
}

#[tokio::test(start_paused = true)]
async fn a_process_that_was_stopped_past_its_lease_says_nothing_and_forgets_whom_it_lost() {
    let shelf = shelf();
    let (a, b) = (house(&shelf, "a", 1).await, house(&shelf, "b", 2).await);
    let cell = a.roster.load(&id("p")).await.expect("it is free");
    let session = SessionId::new(uuid::Uuid::from_u128(1));
    {
        let mut inner = cell.lock();
        inner.join(session, Outbox::new(Subprotocol::Json, 10_000), Arc::new(Notify::new()));
        inner.tell(Revision::ZERO, Kind::Reply, Frame::Encoded(Bytes::from_static(b"{}")));
    }
    shelf.isolate("a", Reach::Waits);
    sleep(LEASE * 2).await;
    b.roster.load(&id("p")).await.expect("its owner seems dead");
    let mut told = Vec::new();
    let taken = a.roster.take_ready(&cell, session, &mut told);
    assert!(told.is_empty() && taken.closing == Some(Close::StoreUnavailable), "{told:?} {taken:?}");
    shelf.reunite("a");
    sleep(LEASE).await;
    assert!(a.roster.lease.is_held() && a.roster.find(&id("p")).is_none());
    let counted = |roster: &Roster| (roster.metrics.leases_lost.get() > 0, roster.metrics.players_dropped.get());
    assert_eq!((counted(&a.roster), counted(&b.roster)), ((true, 1), (false, 0)), "leases lost and players dropped");
    assert!(b.roster.find(&id("p")).is_some());
}

#[tokio::test(start_paused = true)]
async fn in_a_new_life_nobody_is_given_a_player_before_every_live_process_has_looked() {
    let shelf = shelf();
    let a = house(&shelf, "a", 1).await;
    let b = shelf.open(node("b", 2));
    a.roster.load(&id("p")).await.expect("it is free");
    shelf.lose_last(100);
    assert!(shelf.rows().is_empty(), "the store knows of no owner");
    assert_eq!(b.acquire(id("p"), shelf.life()).await, Err(AcquireError::Unsettled));
    sleep(LEASE / 2).await;
    assert!(matches!(b.acquire(id("p"), shelf.life()).await, Err(AcquireError::Held(owner)) if owner.node() == "a"));
}

#[tokio::test(start_paused = true)]
async fn who_is_silent_for_a_lease_of_a_new_life_cannot_take_anything_back() {
    let shelf = shelf();
    let a = house(&shelf, "a", 1).await;
    let b = shelf.open(node("b", 2));
    a.roster.load(&id("p")).await.expect("it is free");
    shelf.isolate("a", Reach::Waits);
    shelf.lose_last(100);
    sleep(LEASE * 2).await;
    let taken = b.acquire(id("p"), shelf.life()).await.expect("nobody has said anything");
    shelf.reunite("a");
    sleep(LEASE * 3).await;
    assert!(a.roster.lease.is_held() && a.roster.find(&id("p")).is_none());
    assert_eq!(shelf.rows()[&id("p")].owner, Some(taken.owner));
}

/// The renewal is answered in the life in which the player was taken, and the look around in the next one, which has forgotten
/// it.
#[tokio::test(start_paused = true)]
async fn who_comes_back_into_a_new_life_serves_nobody_while_others_may_take_back() {
    let shelf = shelf();
    let (a, b) = (house(&shelf, "a", 1).await, house(&shelf, "b", 2).await);
    a.roster.load(&id("p")).await.expect("it is free");
    shelf.isolate("a", Reach::Waits);
    sleep(LEASE * 2).await;
    b.roster.load(&id("p")).await.expect("its owner seems dead");
    let late = Duration::from_millis(20);
    shelf.set_faults(Box::new(move |verb| if verb == "standings" { Fault::Delay(late) } else { Fault::None }));
    shelf.reunite("a");
    sleep(late / 2).await;
    shelf.lose_last(1);
    assert_eq!(shelf.rows()[&id("p")].owner.as_ref().map(Owner::node), Some("a"), "who took it is forgotten");
    let back = Instant::now();
    while !a.roster.lease.is_held() {
        assert!(back.elapsed() < LEASE * 10, "it is served again in the end");
        sleep(Duration::from_millis(5)).await;
    }
    assert!(a.roster.find(&id("p")).is_none() && b.roster.find(&id("p")).is_some());
    assert_eq!(shelf.rows()[&id("p")].owner.as_ref().map(Owner::node), Some("b"), "it was taken back");
}

/// A load may be given up while its question is still on its way, and arrive after the next one.
#[tokio::test(start_paused = true)]
async fn a_player_under_a_token_that_its_process_has_outrun_can_still_move() {
    let shelf = shelf();
    let (a, b) = (house(&shelf, "a", 1).await, house(&shelf, "b", 2).await);
    a.roster.load(&id("p")).await.expect("it is free");
    shelf.open(node("a", 1)).acquire(id("p"), Life::default()).await.expect("the late question");
    b.roster.load(&id("p")).await.expect("it is given up");
    assert!(a.roster.find(&id("p")).is_none());
}
