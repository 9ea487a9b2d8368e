//! What is dirty, on its way into the store: what a batch holds, and when it leaves.

use crate::conformance::{acquire, batch, id, node};
use holdall_protocol::ids::{ItemId, Place, PlayerId, Revision, Seq};
use holdall_server::{
    clock::{Clock, Dice},
    engine::change::{Change, Content},
    journal::{
        Ack, Committed, Held, Journal, Options, Watcher,
        pending::{BATCH_BYTES_MAX, BATCH_PLAYERS_MAX, Due, Flight, Pending, Side},
    },
    schema,
    store::{
        Origin, Owner, Store,
        memory::{Fault, Shelf},
    },
};
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, sleep};

struct Nobody;

impl Watcher for Nobody {
    fn durable(&self, _: &[Committed]) {}
    fn held(&self) -> Vec<Held> {
        Vec::new()
    }
    fn lost(&self, _: &[PlayerId]) {}
}

fn gold() -> Place {
    Place::Balance(ItemId::new("gold").expect("an item id"))
}

fn sets(place: Place, amount: u64) -> Change {
    Change { place, before: None, after: Some(Content::Amount(amount)) }
}

/// One record of a player who was loaded unborn; `entry` is also what it brings.
fn side<'a>(player: &'a PlayerId, owner: &'a Owner, revision: u64, changes: &'a [Change], entry: &'a [u8]) -> Side<'a> {
    static UNBORN: Origin = Origin { revision: Revision::ZERO, writer: None };
    Side {
        player,
        owner,
        origin: &UNBORN,
        revision: Revision::new(revision),
        seq: Seq::new(revision),
        form: schema::OURS.form(),
        content: 1,
        restamps: true,
        changes,
        entry,
        effects: None,
    }
}

fn take(pending: &mut Pending, now: Instant) -> Option<Flight> {
    let flight = pending.take(now, batch(Vec::new()).id, 0);
    pending.flight = None;
    flight
}

fn names(flight: &Flight) -> Vec<String> {
    let mut names: Vec<_> = flight.batch.players.iter().map(|write| write.player.to_string()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn the_last_image_of_a_place_wins_and_entries_stand_one_behind_the_other() {
    let (mut pending, now, owner, p) = (Pending::default(), Instant::now(), Owner::stored("x"), id("p"));
    for revision in 1..=40 {
        let entry = [u8::try_from(revision).expect("small")];
        let other = Place::Balance(ItemId::new(&format!("c{revision}")).expect("an item id"));
        let changes = [sets(gold(), revision), sets(other, 1)];
        pending.push(&[side(&p, &owner, revision, &changes, &entry)], Due::AtOnce, now);
    }
    let gone = [Change { place: Place::Bag(3), before: Some(Content::Amount(1)), after: None }];
    pending.push(&[side(&p, &owner, 41, &gone, &[41])], Due::AtOnce, now);
    let flight = take(&mut pending, now).expect("it is due");
    let [write] = &flight.batch.players[..] else { panic!("one player: {flight:?}") };
    assert_eq!((write.base, write.revision, write.seq), (Revision::ZERO, Revision::new(41), Seq::new(41)));
    assert_eq!(&write.entries[..], (1..=41).collect::<Vec<u8>>());
    assert_eq!(write.places.len(), 42);
    let at = |place: &Place| write.places.iter().find(|(at, _)| *at == place.to_string()).expect("touched").1.clone();
    assert_eq!(at(&gold()), Some(schema::OURS.to_bytes(&Content::Amount(40))));
    assert_eq!(at(&Place::Bag(3)), None);
    assert!(pending.is_empty() && pending.bytes() == 0);
}

#[tokio::test]
async fn groups_are_tied_through_common_partners() {
    let (mut pending, now, owner) = (Pending::default(), Instant::now(), Owner::stored("x"));
    let [a, b, c, d, e] = ["a", "b", "c", "d", "e"].map(id);
    let later = Due::Within(Duration::from_secs(60));
    let mut push = |pairs: &[(&PlayerId, u64)], due| {
        let sides: Vec<_> = pairs.iter().map(|(player, revision)| side(player, &owner, *revision, &[], &[1])).collect();
        pending.push(&sides, due, now);
    };
    push(&[(&a, 1), (&b, 1)], later);
    push(&[(&c, 1), (&d, 1)], later);
    push(&[(&e, 1)], later);
    push(&[(&b, 2), (&c, 2)], later);
    push(&[(&d, 2)], Due::AtOnce);
    let flight = take(&mut pending, now).expect("one of them is due");
    assert_eq!(names(&flight), ["a", "b", "c", "d"], "whoever is tied goes along");
    assert_eq!(flight.groups.len(), 1);
    assert!(pending.holds(&e) && take(&mut pending, now).is_none());
    assert_eq!(names(&take(&mut pending, now + Duration::from_secs(60)).expect("its time has come")), ["e"]);
}

#[tokio::test]
async fn a_group_that_is_too_large_goes_alone_and_whole() {
    let (mut pending, now, owner) = (Pending::default(), Instant::now(), Owner::stored("x"));
    let first = id("first");
    pending.push(&[side(&first, &owner, 1, &[], &[1])], Due::AtOnce, now);
    let crowd: Vec<PlayerId> = (0..=BATCH_PLAYERS_MAX).map(|n| id(&format!("p{n}"))).collect();
    for (n, player) in crowd.iter().enumerate().skip(1) {
        let hub = side(&crowd[0], &owner, n as u64, &[], &[1]);
        pending.push(&[hub, side(player, &owner, 1, &[], &[1])], Due::AtOnce, now);
    }
    let heavy = id("heavy");
    pending.push(&[side(&heavy, &owner, 1, &[], &vec![1; BATCH_BYTES_MAX + 1])], Due::AtOnce, now);
    let last = id("last");
    pending.push(&[side(&last, &owner, 1, &[], &[1])], Due::AtOnce, now);
    let sizes: Vec<usize> = std::iter::from_fn(|| take(&mut pending, now)).map(|flight| names(&flight).len()).collect();
    assert_eq!(sizes, [1, BATCH_PLAYERS_MAX + 1, 1, 1]);
}

/// A journal over a memory store, with one player.
async fn journal(ack: Ack, pending_bytes_max: usize) -> (Shelf, Arc<Journal>, Owner) {
    let shelf = Shelf::default();
    let store: Arc<dyn Store> = Arc::new(shelf.open(node()));
    let owner = acquire(&*store, "p").await.owner;
    let clock = Clock::Runtime { start_ms: 0, origin: Instant::now() };
    let journal = Arc::new(Journal::new(store, Options { ack, pending_bytes_max }, clock, Dice::from_seed(1)));
    journal.set_watcher(Arc::new(Nobody));
    (shelf, journal, owner)
}

fn run(journal: &Arc<Journal>) {
    let journal = journal.clone();
    tokio::spawn(async move { journal.run().await });
}

fn revision(shelf: &Shelf) -> u64 {
    shelf.rows()[&id("p")].revision.get()
}

#[tokio::test(start_paused = true)]
async fn an_autosave_comes_when_the_interval_has_passed_since_the_first_change() {
    let (shelf, journal, owner) = journal(Ack::Applied { interval: Duration::from_secs(10) }, 1 << 20).await;
    run(&journal);
    let p = id("p");
    journal.push(&[side(&p, &owner, 1, &[], &[1])], false);
    sleep(Duration::from_secs(6)).await;
    journal.push(&[side(&p, &owner, 2, &[], &[1])], false);
    sleep(Duration::from_millis(3_900)).await;
    assert_eq!(revision(&shelf), 0, "not yet");
    sleep(Duration::from_millis(200)).await;
    assert_eq!(revision(&shelf), 2, "later changes go along");
    journal.push(&[side(&p, &owner, 3, &[], &[1])], true);
    sleep(Duration::from_millis(100)).await;
    assert_eq!(revision(&shelf), 3, "what must not wait does not");
}

#[tokio::test(start_paused = true)]
async fn past_the_memory_bound_there_is_no_room_until_the_store_has_taken_it() {
    let (shelf, journal, owner) = journal(Ack::Durable, 1_000).await;
    assert!(journal.has_room());
    journal.push(&[side(&id("p"), &owner, 1, &[], &[1; 1_000])], false);
    assert!(!journal.has_room());
    assert_eq!(journal.pending_bytes(), 1_000);
    run(&journal);
    journal.settled(&id("p")).await;
    assert!(journal.has_room());
    assert_eq!((journal.pending_bytes(), revision(&shelf)), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_flush_does_not_wait_for_the_autosave_and_gives_up_when_its_patience_ends() {
    let (shelf, journal, owner) = journal(Ack::Applied { interval: Duration::from_secs(3_600) }, 1 << 20).await;
    run(&journal);
    journal.push(&[side(&id("p"), &owner, 1, &[], &[1])], false);
    assert!(journal.flush(Duration::from_secs(5)).await);
    assert_eq!(revision(&shelf), 1);
    shelf.set_faults(Box::new(|_| Fault::Unavailable));
    journal.push(&[side(&id("p"), &owner, 2, &[], &[1])], false);
    assert!(!journal.flush(Duration::from_secs(5)).await);
    shelf.set_faults(Box::new(|_| Fault::None));
    assert!(journal.flush(Duration::from_secs(5)).await);
    assert_eq!(revision(&shelf), 2);
}

#[tokio::test(start_paused = true)]
async fn what_is_left_is_taken_in_the_order_in_which_it_must_be_written() {
    let (shelf, journal, owner) = journal(Ack::Durable, 1 << 20).await;
    shelf.set_faults(Box::new(|_| Fault::Unavailable));
    let writer = tokio::spawn({
        let journal = journal.clone();
        async move { journal.run().await }
    });
    let p = id("p");
    journal.push(&[side(&p, &owner, 1, &[], &[1])], false);
    sleep(Duration::from_millis(100)).await;
    journal.push(&[side(&p, &owner, 2, &[], &[1])], false);
    journal.release(&side(&p, &owner, 2, &[], &[]));
    writer.abort();
    let _ = writer.await;
    let flights = journal.take_all();
    let first = |flight: &Flight| (flight.batch.players[0].base.get(), flight.batch.players[0].release);
    let bases: Vec<_> = flights.iter().map(first).collect();
    assert_eq!(bases, [(0, false), (1, true)], "first what was on its way");
    assert!(journal.take_all().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_oldest_change_ages_until_it_is_durable_also_on_its_way() {
    let (shelf, journal, owner) = journal(Ack::Applied { interval: Duration::from_secs(10) }, 1 << 20).await;
    assert_eq!(journal.oldest_dirty(), Duration::ZERO);
    shelf.set_faults(Box::new(|_| Fault::Unavailable));
    run(&journal);
    let p = id("p");
    journal.push(&[side(&p, &owner, 1, &[], &[1])], false);
    sleep(Duration::from_secs(6)).await;
    journal.push(&[side(&p, &owner, 2, &[], &[1])], false);
    assert_eq!(journal.oldest_dirty(), Duration::from_secs(6), "later changes do not make it younger");
    sleep(Duration::from_secs(20)).await;
    assert_eq!((journal.oldest_dirty(), journal.pending_bytes()), (Duration::from_secs(26), 0), "it is on its way");
    shelf.set_faults(Box::new(|_| Fault::None));
    journal.settled(&p).await;
    assert_eq!(journal.oldest_dirty(), Duration::ZERO);
}
