//! What could not be saved before a stop: kept whole or not at all, and applied once however often it is replayed.

use crate::conformance::{acquire, batch, id, node, placing, write};
use holdall_harness::server::TempDir;
use holdall_protocol::ids::Revision;
use holdall_server::{
    journal::{
        pending::{Flight, Group},
        spool::{self, Replayed},
    },
    store::{
        Batch, Life, Outcome, PlayerWrite, Store,
        memory::{Fault, Memory, Shelf},
    },
};
use smallvec::smallvec;
use std::sync::Arc;

const HOME: &str = "memory";

/// Three batches as a stop leaves them: two players, tied, then one of them alone, then both given up.
async fn left_behind(store: &dyn Store) -> Vec<Flight> {
    let (a, b) = (acquire(store, "a").await.owner, acquire(store, "b").await.owner);
    let release = |write: PlayerWrite| PlayerWrite { release: true, ..write };
    let batches = [
        batch(vec![
            placing(write("a", &a, 0, 1), &[("b:0", Some("1"))]),
            placing(write("b", &b, 0, 1), &[("b:0", Some("1"))]),
        ]),
        batch(vec![placing(write("a", &a, 1, 2), &[("b:0", Some("2"))])]),
        batch(vec![release(placing(write("a", &a, 2, 3), &[("b:0", Some("3"))])), release(write("b", &b, 1, 1))]),
    ];
    batches.into_iter().map(tied).collect()
}

/// A batch whose players all belong together.
fn tied(batch: Arc<Batch>) -> Flight {
    let groups = vec![batch.players.iter().map(|write| write.player.clone()).collect()];
    Flight { batch, groups: Arc::new(groups) }
}

/// A batch of which everybody stands alone.
fn loose(batch: Arc<Batch>) -> Flight {
    let groups = batch.players.iter().map(|write| smallvec![write.player.clone()]).collect();
    Flight { batch, groups: Arc::new(groups) }
}

fn bytes(flights: &[Flight]) -> Vec<(Batch, Vec<Group>)> {
    flights.iter().map(|flight| ((*flight.batch).clone(), flight.groups.to_vec())).collect()
}

fn all_applied(replayed: &Replayed) {
    assert!(replayed.refused.is_empty(), "{:?}", replayed.refused);
    assert_eq!(replayed.applied, 3);
}

fn shop() -> (Shelf, Memory) {
    let shelf = Shelf::default();
    let store = shelf.open(node());
    (shelf, store)
}

#[tokio::test]
async fn is_read_back_as_it_was_written() {
    let (_, store) = shop();
    let dir = TempDir::new();
    let file = dir.path().join("spool");
    assert!(spool::read(&file, HOME).expect("no file is no spool").is_empty());
    let flights = left_behind(&store).await;
    spool::write(&file, HOME, &flights).expect("it can be written");
    assert_eq!(bytes(&spool::read(&file, HOME).expect("it can be read")), bytes(&flights));
    spool::write(&file, HOME, &flights[..1]).expect("it can be replaced");
    assert_eq!(bytes(&spool::read(&file, HOME).expect("it can be read")), bytes(&flights[..1]));
    let other = spool::read(&file, "another realm").expect_err("it is not meant for another store").to_string();
    assert!(other.contains(HOME) && other.contains("another realm"), "{other}");
    assert_eq!(std::fs::read_dir(dir.path()).expect("the directory").count(), 1, "nothing lies about");
}

#[tokio::test]
async fn a_damaged_file_is_refused_whole() {
    let (_, store) = shop();
    let dir = TempDir::new();
    let file = dir.path().join("spool");
    spool::write(&file, HOME, &left_behind(&store).await).expect("it can be written");
    let whole = std::fs::read(&file).expect("it is there");
    for at in 0..whole.len() {
        for flip in [1, 0x80, 0xff] {
            let mut damaged = whole.clone();
            damaged[at] ^= flip;
            std::fs::write(&file, damaged).expect("it can be damaged");
            assert!(spool::read(&file, HOME).is_err(), "byte {at} flipped by {flip:#x}");
        }
        std::fs::write(&file, &whole[..at]).expect("it can be cut");
        assert!(spool::read(&file, HOME).is_err(), "cut after {at} bytes");
    }
    std::fs::write(&file, [&whole[..], &[0]].concat()).expect("it can grow");
    assert!(spool::read(&file, HOME).is_err(), "a byte too many");
}

#[tokio::test]
async fn replayed_twice_applies_once() {
    let (shelf, store) = shop();
    let batches = left_behind(&store).await;
    all_applied(&spool::replay(&store, Life::default(), batches.clone()).await.expect("the store is there"));
    let rows = shelf.rows();
    all_applied(&spool::replay(&store, Life::default(), batches.clone()).await.expect("the store is there"));
    assert_eq!(shelf.rows(), rows);
    let loaded = acquire(&store, "a").await;
    assert_eq!((loaded.revision, &loaded.places[0].1[..]), (Revision::new(3), &b"3"[..]));
}

#[tokio::test]
async fn a_replay_cut_short_anywhere_and_repeated_applies_everything() {
    for fails_at in 0..3 {
        for fault in [Fault::Unavailable, Fault::DropRequest, Fault::DropAnswer] {
            let (shelf, store) = shop();
            let batches = left_behind(&store).await;
            let mut commits = 0;
            shelf.set_faults(Box::new(move |_| {
                commits += 1;
                if commits == fails_at + 1 { fault } else { Fault::None }
            }));
            spool::replay(&store, Life::default(), batches.clone()).await.expect_err("it is cut short");
            all_applied(&spool::replay(&store, Life::default(), batches.clone()).await.expect("the store is back"));
        }
    }
}

#[tokio::test]
async fn what_belongs_to_another_owner_now_is_reported_and_the_rest_applied() {
    let (shelf, store) = shop();
    let batches = left_behind(&store).await;
    let other = acquire(&store, "other").await.owner;
    let batches = [batches, vec![tied(batch(vec![write("other", &other, 0, 1)]))]].concat();
    // Somebody else loads `b` and goes as far as the spool does.
    let taken = acquire(&store, "b").await.owner;
    assert_eq!(store.commit(batch(vec![write("b", &taken, 0, 7)]), Life::default()).await, Outcome::Applied);
    let replayed = spool::replay(&store, Life::default(), batches.clone()).await.expect("the store is there");
    assert_eq!(replayed.applied, 1);
    let refused: Vec<&Batch> = replayed.refused.iter().map(|(batch, _)| batch).collect();
    assert_eq!(
        refused,
        batches[..3].iter().map(|flight| &*flight.batch).collect::<Vec<_>>(),
        "in the order of the spool"
    );
    assert_eq!(replayed.refused[0].1, Outcome::Fenced { players: vec![id("b")] });
    let rows = shelf.rows();
    assert_eq!(rows[&id("a")].revision, Revision::ZERO, "nothing of a tied player is written");
    assert_eq!(rows[&id("b")].revision, Revision::new(7));
}

#[tokio::test]
async fn whoever_stands_alone_does_not_fall_with_one_who_was_taken_over() {
    let (shelf, store) = shop();
    let players = ["a", "b", "c", "d", "e"];
    let mut owners = Vec::new();
    for player in players {
        owners.push(acquire(&store, player).await.owner);
    }
    let of =
        |base: u64| players.iter().zip(&owners).map(|(player, owner)| write(player, owner, base, base + 1)).collect();
    let mut first = loose(batch(of(0)));
    // One exchange: `c` and `d` stand or fall together.
    let groups = [smallvec![id("a")], smallvec![id("b")], smallvec![id("c"), id("d")], smallvec![id("e")]];
    first.groups = Arc::new(groups.into());
    let flights = vec![first, loose(batch(of(1)))];
    for taken in ["b", "d"] {
        let owner = acquire(&store, taken).await.owner;
        assert_eq!(store.commit(batch(vec![write(taken, &owner, 0, 9)]), Life::default()).await, Outcome::Applied);
    }
    // However often it is repeated, and wherever it was cut short.
    for _ in 0..3 {
        let replayed = spool::replay(&store, Life::default(), flights.clone()).await.expect("the store is there");
        let refused: Vec<Vec<&str>> = replayed
            .refused
            .iter()
            .map(|(batch, _)| batch.players.iter().map(|write| write.player.as_str()).collect())
            .collect();
        assert_eq!(refused, [vec!["b"], vec!["c", "d"], vec!["b"], vec!["d"], vec!["c"]]);
        let revisions: Vec<u64> = shelf.rows().values().map(|row| row.revision.get()).collect();
        assert_eq!(revisions, [2, 9, 0, 9, 2]);
    }
}
