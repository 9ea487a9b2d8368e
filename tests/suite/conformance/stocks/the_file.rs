//! What only the store in a file promises of stocks.

use super::{
    LONG, PAST, SHORT, act, born,
    claims::{attempt, claim},
    columns, held, hold, player, seeded, state,
};
use crate::conformance::the_file::open;
use holdall_harness::server::TempDir;
use holdall_server::store::stock::{Act, State, Stocks as _, Swept};
use redb::{Database, ReadableDatabase as _, TableHandle as _};
use std::path::Path;
use tokio::time::sleep;

#[tokio::test]
async fn a_claim_dies_with_its_process_and_a_look_is_enough_to_see_it() {
    let dir = TempDir::new();
    let path = dir.path().join("store.redb");
    let store = open(&path, 1).await;
    seeded(&store, "s", 10).await;
    seeded(&store, "t", 10).await;
    let owner = born(&store, "p").await;
    let run_out = held(&store, hold("s", player("p"), 2, SHORT)).await.id;
    let stands = held(&store, hold("t", player("p"), 3, LONG)).await.id;
    for made in [run_out, stands] {
        // A claim that comes too late is none; the hold has run out then.
        drop(act(&store, Act::Claim(claim(made, "p", &owner))).await);
    }
    drop(store);
    sleep(PAST).await;
    let store = open(&path, 2).await;
    assert_eq!((state(&store, run_out).await, columns(&store, "s").await), (State::Expired, [10, 0, 0, 0]));
    assert_eq!(store.sweep().await, Ok(Swept { undone: 1, ..Swept::default() }), "of the hold that stands");
    assert_eq!((state(&store, stands).await, columns(&store, "t").await), (State::Active, [7, 3, 0, 1]));
    assert_eq!(store.sweep().await, Ok(Swept::default()));
    let late = Act::Unclaim { reservation: stands, claim: attempt() };
    act(&store, late).await.expect("it is harmless");
}

/// Takes out what earlier builds did not know.
async fn age(path: &Path) {
    let database = loop {
        // The thread of the handle may still be closing the file.
        match Database::open(path) {
            Ok(database) => break database,
            Err(_) => sleep(PAST).await,
        }
    };
    let read = database.begin_read().expect("it can be read");
    let tables = read.list_tables().expect("it has tables");
    let write = database.begin_write().expect("it can be written");
    let known = ["players", "places", "ledger", "inbox", "answers", "answer_times", "meta"];
    let newer: Vec<_> = tables.filter(|table| !known.contains(&table.name())).collect();
    assert!(!newer.is_empty(), "this build knows more");
    for table in newer {
        write.delete_table(table).expect("it is there");
    }
    write.commit().expect("the disk works");
}

#[tokio::test]
async fn a_file_of_an_earlier_build_sells_too() {
    let dir = TempDir::new();
    let path = dir.path().join("store.redb");
    let store = open(&path, 1).await;
    born(&store, "p").await;
    drop(store);
    age(&path).await;
    let store = open(&path, 2).await;
    assert_eq!(store.skus().await, Ok(Vec::new()));
    seeded(&store, "s", 10).await;
    assert_eq!(columns(&store, "s").await, [10, 0, 0, 0]);
}
