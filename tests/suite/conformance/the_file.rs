//! What only the store in a file promises.

use super::*;
use std::{path::Path, time::Duration};

/// The thread of an earlier handle may still be closing the file.
pub(super) async fn open(path: &Path, boot: u64) -> Embedded {
    for _ in 0..200 {
        if let Ok(store) = Embedded::open(path, 1 << 20, Node { boot, ..node() }) {
            return store;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the file does not open again");
}

#[tokio::test]
async fn is_found_as_it_was_left_when_it_is_opened_again() {
    let dir = TempDir::new();
    let path = dir.path().join("store.redb");
    let store = open(&path, 1).await;
    let owner = acquire(&store, "p").await.owner;
    let kept = PlayerWrite {
        entries: Bytes::from_static(b"entry"),
        ..placing(write("p", &owner, 0, 3), &[("b:0", Some("kept"))])
    };
    let kept = batch(vec![kept]);
    assert_eq!(store.commit(kept.clone(), Life::default()).await, Outcome::Applied);
    drop(store);
    let store = open(&path, 2).await;
    assert_eq!(store.commit(kept, Life::default()).await, Outcome::Already);
    assert_eq!(revisions(&store, &[id("p")]).await, [Revision::new(3)]);
    assert_eq!(
        store.commit(batch(vec![write("p", &owner, 3, 4)]), Life::default()).await,
        Outcome::Applied,
        "the token stands until the player is loaded again"
    );
    let loaded = acquire(&store, "p").await;
    assert_eq!((loaded.revision, things(&loaded)), (Revision::new(4), pairs(&[("b:0", "kept")])));
    assert_eq!(loaded.recent, [Bytes::from_static(b"entry")]);
    assert!(loaded.owner.epoch() > owner.epoch() && loaded.owner != owner);
}

#[tokio::test]
async fn is_refused_to_a_second_handle() {
    let dir = TempDir::new();
    let path = dir.path().join("store.redb");
    let store = open(&path, 1).await;
    assert!(Embedded::open(&path, 1 << 20, node()).is_err(), "one process at a time");
    assert_eq!(acquire(&store, "p").await.revision, Revision::ZERO, "the first is not disturbed");
}

#[tokio::test]
async fn that_is_no_store_is_refused_and_left_alone() {
    let dir = TempDir::new();
    let path = dir.path().join("store.redb");
    let text = b"this is somebody's diary, and not a store at all".repeat(200);
    std::fs::write(&path, &text).expect("a file can be written");
    assert!(Embedded::open(&path, 1 << 20, node()).is_err());
    assert_eq!(std::fs::read(&path).expect("it is still there"), text);
}
