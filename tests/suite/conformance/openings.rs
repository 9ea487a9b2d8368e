//! A ledger's oldest items make room for an opening, in one step with a write.

use super::{acquire, batch, born, id, pairs, placing, things, write};
use bytes::Bytes;
use holdall_protocol::ids::Revision;
use holdall_server::store::{LedgerItem, Life, Opening, Outcome, PlayerWrite, Store, Stored};

/// Ledger items of the player in these tests: several pages of every store.
const ITEMS: u64 = 600;

fn item(revision: u64) -> LedgerItem {
    (Revision::new(revision), Bytes::from(format!("entry {revision}")))
}

fn items(revisions: impl Iterator<Item = u64>) -> Vec<LedgerItem> {
    revisions.map(item).collect()
}

/// A player who is at a revision, with an item for each from some revision on.
async fn brought(store: &dyn Store, player: &str, stored: impl FnOnce(&mut Stored), ledger: Vec<LedgerItem>) {
    let owner = born(store, "model").await;
    let release = PlayerWrite { release: true, ..write("model", &owner, 1, 1) };
    assert_eq!(store.commit(batch(vec![release]), Life::default()).await, Outcome::Applied);
    let mut model = store.peek(id("model")).await.expect("it can be read").expect("it is there");
    (model.revision, model.writer) = (Revision::new(ITEMS), None);
    stored(&mut model);
    assert_eq!(store.import(id(player), model, ledger).await, Ok(()));
}

/// The same with all items from birth on.
async fn long(store: &dyn Store, player: &str) {
    brought(store, player, |_| {}, items(1..=ITEMS)).await;
}

/// The whole ledger, page by page.
async fn ledger(store: &dyn Store, player: &str) -> Vec<LedgerItem> {
    let (mut all, mut mark) = (Vec::new(), None);
    loop {
        let page = store.ledger(id(player), mark).await.expect("it can be read");
        all.extend(page.items);
        mark = page.next;
        if mark.is_none() {
            return all;
        }
    }
}

/// An opening for the first pages of a ledger.
async fn opening(store: &dyn Store, player: &str, pages: usize) -> Opening {
    let mut opening = Opening { revision: Revision::ZERO, mark: String::new(), content: Bytes::new() };
    for n in 0..pages {
        let from = (n > 0).then(|| opening.mark.clone());
        let page = store.ledger(id(player), from).await.expect("it can be read");
        opening.revision = page.items.last().expect("a full page").0;
        opening.mark = page.next.expect("more pages");
    }
    opening.content = Bytes::from(format!("what was at {}", opening.revision));
    opening
}

/// The opening, and then the items from the next revision on.
fn opened(opening: &Opening, until: u64) -> Vec<LedgerItem> {
    let first = (opening.revision, opening.content.clone());
    [first].into_iter().chain(items(opening.revision.get() + 1..=until)).collect()
}

fn with(write: PlayerWrite, opening: &Opening) -> PlayerWrite {
    PlayerWrite { opening: Some(opening.clone()), ..write }
}

/// That every verb tells of the same ledger.
async fn expect(store: &dyn Store, player: &str, opening: &Opening, until: u64) {
    let items = opened(opening, until);
    assert_eq!(ledger(store, player).await, items);
    let stored = store.peek(id(player)).await.expect("it can be read").expect("it is there");
    assert_eq!((stored.opened, stored.revision), (opening.revision, Revision::new(until)));
    let together = store.together(vec![id(player)]).await.expect("the store answers").remove(0);
    let whole = together.expect("it can be read").expect("it is there");
    assert_eq!((whole.stored, whole.ledger), (stored, items));
}

pub(super) async fn an_opening_replaces_the_items_up_to_its_mark_together_with_a_write(store: &dyn Store) {
    long(store, "p").await;
    long_of_another(store, "pp").await;
    let owner = acquire(store, "p").await.owner;
    assert_eq!(acquire(store, "new").await.opened, Revision::ZERO);
    let opening = opening(store, "p", 2).await;
    let mut write = placing(write("p", &owner, ITEMS, ITEMS + 1), &[("b:0", Some("ore"))]);
    write.entries = item(ITEMS + 1).1;
    let batch = batch(vec![with(write, &opening)]);
    assert_eq!(store.commit(batch.clone(), Life::default()).await, Outcome::Applied);
    expect(store, "p", &opening, ITEMS + 1).await;
    assert_eq!(store.commit(batch, Life::default()).await, Outcome::Already);
    expect(store, "p", &opening, ITEMS + 1).await;
    assert_eq!(ledger(store, "pp").await, items(1..=ITEMS), "whose id begins alike has their own");
    let loaded = acquire(store, "p").await;
    assert_eq!((loaded.opened, things(&loaded)), (opening.revision, pairs(&[("b:0", "ore")])));
    assert_eq!(loaded.recent.last(), Some(&item(ITEMS + 1).1));
}

/// A second player of the same kind.
async fn long_of_another(store: &dyn Store, player: &str) {
    let model = store.peek(id("p")).await.expect("it can be read").expect("it is there");
    assert_eq!(store.import(id(player), model, items(1..=ITEMS)).await, Ok(()));
}

pub(super) async fn an_opening_comes_with_a_write_that_makes_no_revision_and_another_one_after_it(store: &dyn Store) {
    long(store, "p").await;
    let owner = acquire(store, "p").await.owner;
    let first = opening(store, "p", 1).await;
    let nothing = with(write("p", &owner, ITEMS, ITEMS), &first);
    let nothing = batch(vec![nothing]);
    assert_eq!(store.commit(nothing.clone(), Life::default()).await, Outcome::Applied);
    assert_eq!(store.commit(nothing, Life::default()).await, Outcome::Already);
    expect(store, "p", &first, ITEMS).await;
    let more = PlayerWrite { entries: item(ITEMS + 1).1, ..write("p", &owner, ITEMS, ITEMS + 1) };
    assert_eq!(store.commit(batch(vec![more]), Life::default()).await, Outcome::Applied);
    expect(store, "p", &first, ITEMS + 1).await;
    let second = opening(store, "p", 1).await;
    assert!(second.revision > first.revision);
    let release = PlayerWrite { release: true, ..with(write("p", &owner, ITEMS + 1, ITEMS + 1), &second) };
    assert_eq!(store.commit(batch(vec![release]), Life::default()).await, Outcome::Applied);
    expect(store, "p", &second, ITEMS + 1).await;
    assert_eq!(acquire(store, "p").await.opened, second.revision);
}

pub(super) async fn a_batch_that_is_refused_lets_nothing_of_a_ledger_go(store: &dyn Store) {
    long(store, "p").await;
    let stale = acquire(store, "p").await.owner;
    let owner = acquire(store, "p").await.owner;
    let other = born(store, "other").await;
    acquire(store, "other").await;
    let opening = opening(store, "p", 1).await;
    let mine = with(write("p", &owner, ITEMS, ITEMS), &opening);
    for (players, fenced) in [
        (vec![with(write("p", &stale, ITEMS, ITEMS), &opening)], "p"),
        (vec![mine, write("other", &other, 1, 2)], "other"),
    ] {
        let fenced = Outcome::Fenced { players: vec![id(fenced)] };
        assert_eq!(store.commit(batch(players), Life::default()).await, fenced);
    }
    let conflict = Outcome::Conflict { players: vec![id("p")] };
    let late = with(write("p", &owner, ITEMS - 1, ITEMS), &opening);
    assert_eq!(store.commit(batch(vec![late]), Life::default()).await, conflict);
    assert_eq!(ledger(store, "p").await, items(1..=ITEMS));
    assert_eq!(acquire(store, "p").await.opened, Revision::ZERO);
}

pub(super) async fn an_import_brings_the_opening(store: &dyn Store) {
    let opening = Opening {
        revision: Revision::new(ITEMS - 10),
        mark: String::new(),
        content: Bytes::from_static(b"\x00 what was"),
    };
    brought(store, "p", |stored| stored.opened = opening.revision, opened(&opening, ITEMS)).await;
    expect(store, "p", &opening, ITEMS).await;
    let loaded = acquire(store, "p").await;
    assert_eq!((loaded.opened, loaded.recent.last()), (opening.revision, Some(&item(ITEMS).1)));
}
