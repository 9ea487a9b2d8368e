//! What is read from a store before anybody plays with it: what cannot be understood is refused and left alone, what no
//! longer fits is kept, what is harmlessly wrong is set right.

use crate::conformance::{acquire, batch, id, node, write};
use bytes::Bytes;
use holdall_harness::{rules, simulation::session_options};
use holdall_protocol::{
    close::Close,
    frame::Subprotocol,
    ids::{InstanceId, ItemId, Place, PlayerId, Revision, SessionId},
};
use holdall_server::{
    clock::{Clock, Dice},
    engine::change::{Content, Nature, Stack},
    journal::{Ack, Journal, Options as JournalOptions},
    ledger::entry::Asked,
    replication::outbox::{Frame, Kind, Outbox},
    roster::{LoadError, Options, Roster, allowance::Quotas, remembered::Fate, retention::Retention},
    schema,
    session::{
        Sessions,
        token::{self, Verifier},
    },
    store::{
        Life, Outcome, PlayerWrite, Store,
        memory::{Row, Shelf},
    },
};
use proptest::{collection::vec, prelude::*};
use std::{collections::BTreeMap, num::NonZeroU32, sync::Arc, time::Duration};
use tokio::{
    sync::{Notify, watch},
    time::sleep,
};

const NOW: u64 = 1_800_000_000_000;

fn stack(instance: u128, item: &str, quantity: u32, acquired_at: u64) -> Bytes {
    schema::OURS.to_bytes(&Content::Stack(Stack {
        instance: InstanceId::new(uuid::Uuid::from_u128(instance)),
        nature: Nature::plain(ItemId::new(item).expect("an item id")),
        quantity: NonZeroU32::new(quantity).expect("not zero"),
        acquired_at,
    }))
}

/// A player as somebody stored it, and given up.
async fn stored(shelf: &Shelf, player: &str, schema: u32, places: Vec<(String, Bytes)>, entries: Bytes) {
    let store = shelf.open(node());
    let owner = acquire(&store, player).await.owner;
    let places = places.into_iter().map(|(place, value)| (place.into(), Some(value))).collect();
    let write = PlayerWrite {
        schema,
        readable_by: schema,
        content: 0,
        places,
        entries,
        release: true,
        ..write(player, &owner, 0, 1)
    };
    assert_eq!(store.commit(batch(vec![write]), Life::default()).await, Outcome::Applied);
}

fn roster(shelf: &Shelf) -> Arc<Roster> {
    let store: Arc<dyn Store> = Arc::new(shelf.open(node()));
    let clock = Clock::Runtime { start_ms: NOW, origin: tokio::time::Instant::now() };
    let options = JournalOptions { ack: Ack::Durable, pending_bytes_max: 1 << 20 };
    let journal = Arc::new(Journal::new(store.clone(), options, clock, Dice::from_seed(1)));
    Roster::new(journal, store, Arc::new(rules()), (clock, Dice::from_seed(2)), bounds())
}

fn bounds() -> Options {
    let some = |n| NonZeroU32::new(n).expect("not zero");
    Options {
        linger: Duration::from_secs(60),
        resume_bytes_max: 4_096,
        outbox_bytes_max: 6_000,
        quotas: Quotas::new((some(50), some(50)), (some(600), some(50)), (some(600), some(50))),
        chain: &schema::OURS,
        inbox_max: 100,
        inbox_time: Duration::from_secs(60),
        retention: Retention { entries_max: 10_000, time_max: None },
    }
}

/// What lies in the store, but for who may write it.
fn at_rest(shelf: &Shelf) -> BTreeMap<PlayerId, Row> {
    shelf.rows().into_iter().map(|(player, row)| (player, Row { owner: None, epoch: 0, ..row })).collect()
}

fn a_runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime")
}

async fn expect_refused(shelf: &Shelf, player: &str) {
    stored(shelf, "calm", schema::CURRENT, vec![("b:0".into(), stack(1, "iron_sword", 1, NOW))], Bytes::new()).await;
    let (before, roster) = (at_rest(shelf), roster(shelf));
    let refused = roster.load(&id(player)).await;
    assert!(matches!(refused, Err(LoadError::Unreadable(_))), "{refused:?}");
    roster.load(&id("calm")).await.expect("others are not concerned");
    assert_eq!(at_rest(shelf), before, "what is refused is left as it is");
}

#[tokio::test]
async fn a_record_of_a_newer_format_is_refused_also_where_it_holds_nothing() {
    for places in [vec![], vec![("b:0".to_owned(), stack(2, "iron_sword", 1, NOW))]] {
        let shelf = Shelf::default();
        stored(&shelf, "newer", schema::CURRENT + 1, places, Bytes::new()).await;
        expect_refused(&shelf, "newer").await;
    }
}

#[tokio::test]
async fn what_cannot_be_one_player_is_refused() {
    let sword = || stack(2, "iron_sword", 1, NOW);
    let amount = |amount| schema::OURS.to_bytes(&Content::Amount(amount));
    for places in [
        vec![("b:0", sword()), ("b:1", sword())],
        vec![("b:0", amount(5))],
        vec![("b:65535", sword())],
        vec![("b:0", Bytes::from_static(b"\xc1"))],
        vec![("b:0", sword().slice(..5))],
        vec![("nowhere", sword())],
        vec![(&*Place::Balance(ItemId::new("gold").expect("an item id")).to_string(), amount(1 << 53))],
    ] {
        let shelf = Shelf::default();
        let places = places.into_iter().map(|(place, value)| (place.to_owned(), value)).collect();
        stored(&shelf, "broken", schema::CURRENT, places, Bytes::new()).await;
        expect_refused(&shelf, "broken").await;
    }
}

#[tokio::test]
async fn a_stack_that_no_longer_fits_the_catalogue_is_kept_frozen() {
    let shelf = Shelf::default();
    let places = vec![("b:0".into(), stack(1, "long_gone", 3, NOW)), ("b:1".into(), stack(2, "iron_sword", 77, NOW))];
    stored(&shelf, "p", schema::CURRENT, places, Bytes::new()).await;
    let (before, roster) = (at_rest(&shelf), roster(&shelf));
    let cell = roster.load(&id("p")).await.expect("it loads");
    let mut inner = cell.lock();
    let player = &inner.seat().expect("it is in the game").player;
    assert_eq!(player.frozen(&roster.rules()), [Place::Bag(0), Place::Bag(1)]);
    assert_eq!(player.places().count(), 2);
    assert_eq!(at_rest(&shelf), before);
}

#[tokio::test]
async fn a_time_of_acquisition_in_the_future_is_set_right_once() {
    let shelf = Shelf::default();
    let places = vec![
        ("b:0".into(), stack(1, "iron_sword", 1, NOW + 48 * 3_600_000)),
        ("b:1".into(), stack(2, "iron_sword", 1, NOW + 1_000)),
    ];
    stored(&shelf, "p", schema::CURRENT, places, Bytes::new()).await;
    let roster = roster(&shelf);
    let cell = roster.load(&id("p")).await.expect("it loads");
    let mut inner = cell.lock();
    let seat = inner.seat().expect("it is in the game");
    let repaired = seat.repair(NOW).expect("one stack is wrong");
    assert_eq!(repaired.list.len(), 1, "a clock that is a little off is no fault: {repaired:?}");
    assert!(
        matches!(seat.player.at(&Place::Bag(0)), Some(Content::Stack(stack)) if stack.acquired_at.abs_diff(NOW) < 1_000)
    );
    assert_eq!(seat.repair(NOW), None);
}

/// That such a request had no effect would be a guess, and whoever believes it does the same once more.
#[tokio::test]
async fn of_a_ledger_that_is_gone_nothing_is_said_about_earlier_requests() {
    let shelf = Shelf::default();
    stored(&shelf, "p", schema::CURRENT, vec![], Bytes::new()).await;
    let cell = roster(&shelf).load(&id("p")).await.expect("it loads");
    let mut inner = cell.lock();
    let seat = inner.seat().expect("it is in the game");
    assert_eq!(seat.fate(Asked { seq: seat.seq, hash: 0 }), Fate::Forgotten);
}

/// A connection that was replaced may outlive the newer one, and speak another subprotocol than the feed does by then.
#[tokio::test]
async fn a_replaced_connection_is_told_nothing_new() {
    let shelf = Shelf::default();
    stored(&shelf, "p", schema::CURRENT, vec![], Bytes::new()).await;
    let roster = roster(&shelf);
    let cell = roster.load(&id("p")).await.expect("it loads");
    let session = |n| SessionId::new(uuid::Uuid::from_u128(n));
    let mut inner = cell.lock();
    inner.join(session(1), Outbox::new(Subprotocol::Json, 10_000), Arc::new(Notify::new()));
    inner.join(session(2), Outbox::new(Subprotocol::Msgpack, 10_000), Arc::new(Notify::new()));
    drop(inner);
    roster.part(&cell, session(2));
    let mut inner = cell.lock();
    inner.push(Revision::ZERO, Kind::Delta, Frame::Encoded(Bytes::from_static(b"\x81")));
    drop(inner);
    let mut told = Vec::new();
    let taken = roster.take_ready(&cell, session(1), &mut told);
    assert!(told.is_empty() && taken.closing == Some(Close::Replaced), "{told:?} {taken:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_load_or_are_refused_and_stay_as_they_are(
        places in vec((prop_oneof!["b:[0-9]{1,3}", ".{0,12}"], vec(any::<u8>(), 0..60)), 0..4),
        entries in vec(any::<u8>(), 0..60),
        format in 0..4_u32,
    ) {
        a_runtime().block_on(async {
            let shelf = Shelf::default();
            let places = places.into_iter().map(|(place, value)| (place, value.into())).collect();
            stored(&shelf, "wild", format, places, entries.into()).await;
            let (before, roster) = (at_rest(&shelf), roster(&shelf));
            let loaded = roster.load(&id("wild")).await;
            assert!(matches!(loaded, Ok(_) | Err(LoadError::Unreadable(_))));
            assert_eq!(at_rest(&shelf), before);
        });
    }
}

#[tokio::test(start_paused = true)]
async fn a_shorter_linger_takes_hold_of_whoever_lingers_already() {
    let roster = roster(&Shelf::default());
    let journal = roster.journal.clone();
    tokio::spawn(async move { journal.run().await });
    for player in ["first", "second"] {
        roster.load(&id(player)).await.expect("nobody else has them");
    }
    sleep(Duration::from_secs(20)).await;
    assert!(["first", "second"].iter().all(|player| roster.find(&id(player)).is_some()), "they linger for a minute");
    roster.put_in_force(rules(), Options { linger: Duration::from_secs(25), ..bounds() }, |_, _| {});
    sleep(Duration::from_secs(10)).await;
    assert!(["first", "second"].iter().all(|player| roster.find(&id(player)).is_none()), "and are saved sooner");
}

/// A link whose session never began is parted by nobody, and would keep its player loaded for ever.
#[tokio::test(start_paused = true)]
async fn a_fault_in_a_greeting_leaves_nobody_connected() {
    let roster = roster(&Shelf::default());
    let journal = roster.journal.clone();
    tokio::spawn(async move { journal.run().await });
    let (_stop, stopping) = watch::channel(false);
    let verifier = Verifier::new(token::Options::Development).expect("development needs nothing");
    let faulty = Arc::new(|| panic!("a fault of ours"));
    let sessions = Sessions::new(roster.clone(), verifier, session_options(), faulty, stopping);
    let join = tokio::spawn(async move { sessions.join(&id("p"), Subprotocol::Json, None).await.map(drop) });
    assert!(join.await.is_err_and(|fault| fault.is_panic()));
    let cell = roster.find(&id("p")).expect("it lingers");
    assert!(!cell.lock().has_links());
    sleep(Duration::from_secs(61)).await;
    assert!(roster.find(&id("p")).is_none(), "and is let go of, as anybody who is alone");
}
