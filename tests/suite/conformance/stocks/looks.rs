//! What there is to read of stocks: the audit, a SKU's book, holds; and names that look like something else.

use super::{
    LONG, PAST, SHORT, act, born, cart, claims::claim, columns, confirm, held, hold, id, player, release, restock,
    seed, seeded, sku, stock,
};
use holdall_protocol::ids::SkuId;
use holdall_server::store::{
    ReadError, Store,
    stock::{Act, AuditEntry, Deed, Event, Known, Reservation, State, StockBook, Why},
};
use std::collections::BTreeMap;
use tokio::time::sleep;

/// All of an audit, read in pieces of so many.
async fn audit(store: &dyn Store, of: Option<&str>, limit: usize) -> Vec<AuditEntry> {
    let (mut entries, mut mark) = (Vec::new(), None);
    loop {
        let page = store.stock_audit(of.map(sku), mark, limit).await.expect("the store answers");
        assert!(page.items.len() <= limit);
        entries.extend(page.items);
        mark = page.next;
        if mark.is_none() {
            return entries;
        }
    }
}

pub(super) async fn the_audit_tells_every_change_newest_first(store: &dyn Store) {
    assert_eq!(audit(store, None, 10).await, []);
    let why = Some(Why { by: "olga".into(), reason: Some("a sale".into()) });
    let begin = Deed { act: seed("s", 10, Known::Reset), key: None, why };
    store.stock(begin).await.expect("it is new");
    seeded(store, "other", 1).await;
    let sold = held(store, hold("s", cart("c"), 1, LONG)).await;
    act(store, confirm(sold.id)).await.expect("it is active");
    let back = held(store, hold("s", player("p"), 2, LONG)).await;
    act(store, release(back.id)).await.expect("it is active");
    let late = held(store, hold("s", cart("d"), 3, SHORT)).await;
    act(store, restock("other", 4)).await.expect("it is there");
    sleep(PAST).await;
    let swept = store.sweep().await.expect("the store answers");
    assert_eq!((swept.expired, swept.undone), (1, 0));
    let all = audit(store, None, 100).await;
    let of_hold = |event, hold: &Reservation, state| (event, "s", Some(hold.id), hold.quantity.get(), Some(state));
    let told =
        |entry: &AuditEntry| (entry.event, entry.sku.to_string(), entry.reservation, entry.quantity, entry.state);
    let expected = [
        of_hold(Event::Expired, &late, State::Expired),
        (Event::Restock, "other", None, 4, None),
        of_hold(Event::Hold, &late, State::Active),
        of_hold(Event::Release, &back, State::Released),
        of_hold(Event::Hold, &back, State::Active),
        of_hold(Event::Confirm, &sold, State::Confirmed),
        of_hold(Event::Hold, &sold, State::Active),
        (Event::Seed, "other", None, 1, None),
        (Event::Seed, "s", None, 10, None),
    ];
    let expected = expected.map(|(event, sku, hold, quantity, state)| (event, sku.to_owned(), hold, quantity, state));
    assert_eq!(all.iter().map(told).collect::<Vec<_>>(), expected);
    assert!(all.is_sorted_by_key(|entry| std::cmp::Reverse(entry.at)), "{all:?}");
    assert_eq!((all[8].why.as_deref(), all[7].why.as_deref()), (Some("olga: a sale"), None));
    expect_counted(store).await;
    assert_eq!((&all[0].holder, &all[3].holder, &all[1].holder), (&Some(cart("d")), &Some(player("p")), &None));
    let of_one: Vec<AuditEntry> = all.iter().filter(|entry| entry.sku == sku("s")).cloned().collect();
    for limit in [1, 3, 7, 100] {
        assert_eq!(audit(store, Some("s"), limit).await, of_one);
        assert_eq!(audit(store, None, limit).await, all);
    }
    assert_eq!(audit(store, Some("nothing"), 10).await, []);
}

pub(super) async fn what_runs_out_does_so_by_itself_whatever_lets_go_of_it(store: &dyn Store) {
    seeded(store, "s", 10).await;
    let late = held(store, hold("s", cart("c"), 3, SHORT)).await;
    sleep(PAST).await;
    let why = Some(Why { by: "olga".into(), reason: Some("more of it".into()) });
    store.stock(Deed { act: restock("s", 5), key: None, why }).await.expect("it is there");
    expect_counted(store).await;
    let all = audit(store, None, 100).await;
    let told: Vec<_> = all.iter().take(2).map(|entry| (entry.event, entry.reservation, entry.why.as_deref())).collect();
    assert_eq!(told, [(Event::Restock, None, Some("olga: more of it")), (Event::Expired, Some(late.id), None)]);
}

/// That a handle which alone has changed anything has counted all of it.
pub(super) async fn expect_counted(store: &dyn Store) {
    let all = audit(store, None, 100).await;
    for event in Event::ALL {
        let times = all.iter().filter(|entry| entry.event == event).count();
        assert_eq!(store.tally().of(event), u64::try_from(times).unwrap(), "{event:?}");
    }
}

pub(super) async fn a_sku_may_be_named_like_anything(store: &dyn Store) {
    let names = ["audit", "stock", "stock-audit", "skus", "holds", "active", "player", "world", "0", "-", "_"];
    for name in names {
        seeded(store, name, 3).await;
    }
    for name in names {
        let made = held(store, hold(name, player("audit"), 1, LONG)).await;
        assert_eq!(columns(store, name).await, [2, 1, 0, 1], "{name}");
        assert_eq!(audit(store, Some(name), 10).await.len(), 2, "{name}");
        act(store, release(made.id)).await.expect("it is active");
        assert_eq!(columns(store, name).await, [3, 0, 0, 0], "{name}");
    }
    let mut sorted = names.map(sku).to_vec();
    sorted.sort();
    assert_eq!(store.skus().await, Ok(sorted));
    assert_eq!(audit(store, None, 5).await.len(), 3 * names.len());
}

async fn book(store: &dyn Store, name: &str) -> StockBook {
    store.stock_book(sku(name)).await.expect("the store answers").expect("it is there")
}

/// All holds there are, each once.
async fn holds(store: &dyn Store) -> BTreeMap<String, Reservation> {
    let (mut found, mut mark) = (BTreeMap::new(), None);
    loop {
        let page = store.holds(mark).await.expect("the store answers");
        found.extend(page.items.into_iter().map(|hold| (hold.id.to_string(), hold)));
        mark = page.next;
        if mark.is_none() {
            return found;
        }
    }
}

pub(super) async fn a_book_and_its_audit_can_be_put_elsewhere(store: &dyn Store) {
    seeded(store, "s", 20).await;
    let owner = born(store, "p").await;
    let active = held(store, hold("s", cart("c"), 1, LONG)).await;
    let claimed = held(store, hold("s", player("p"), 2, LONG)).await;
    let closed = held(store, hold("s", player("q"), 4, LONG)).await;
    act(store, Act::Claim(claim(claimed.id, "p", &owner))).await.expect("it is active");
    act(store, release(closed.id)).await.expect("it is active");
    held(store, hold("s", player("q"), 3, LONG)).await;
    let (read, entries) = (book(store, "s").await, audit(store, Some("s"), 100).await);
    assert_eq!((read.open.len(), &read.units), (3, &vec![(id("p"), 2), (id("q"), 3)]));
    assert!(read.open.is_sorted_by_key(|hold| hold.id));
    assert_eq!(read.stock, stock(store, "s").await);
    let renamed = |hold: Reservation| Reservation { id: super::new_id(), sku: sku("copy"), ..hold };
    let mut open: Vec<Reservation> = read.open.iter().cloned().map(renamed).collect();
    open.sort_by_key(|hold| hold.id);
    let closed = renamed(Reservation { state: State::Released, ..closed });
    let copy_sku = |entry: AuditEntry| AuditEntry { sku: sku("copy"), ..entry };
    let oldest_first: Vec<AuditEntry> = entries.iter().rev().cloned().map(copy_sku).collect();
    let mut copy = StockBook { open, ..read };
    copy.stock.sku = sku("copy");
    let put = |book: StockBook| store.import_stock(book, vec![closed.clone()], oldest_first.clone());
    assert_eq!(put(copy.clone()).await, Ok(()));
    assert_eq!(put(copy.clone()).await, Err(ReadError::Exists));
    for hold in &mut copy.open {
        hold.state = State::Active;
    }
    assert_eq!(book(store, "copy").await, copy, "nobody pays for what was copied");
    assert_eq!(store.reservation(closed.id).await, Ok(Some(closed.clone())));
    let of_copy: Vec<AuditEntry> = entries.into_iter().map(copy_sku).collect();
    assert_eq!(audit(store, Some("copy"), 2).await, of_copy);
    assert_eq!(audit(store, None, 100).await.len(), 2 * of_copy.len());
    let first = copy.open.first().expect("three are open");
    act(store, release(first.id)).await.expect("what was copied lives on");
    assert!(store.skus().await.expect("the store answers").contains(&SkuId::new("copy").expect("a SKU")));
    assert_eq!(super::state(store, active.id).await, State::Active, "what it was copied from is as it was");
}

pub(super) async fn holds_are_found_in_every_state(store: &dyn Store) {
    assert_eq!(holds(store).await.len(), 0);
    seeded(store, "s", 10_000).await;
    seeded(store, "t", 10).await;
    for _ in 0..300 {
        held(store, hold("s", cart("c"), 1, LONG)).await;
    }
    let of_player = held(store, hold("t", player("p"), 1, LONG)).await;
    let sold = held(store, hold("t", cart("c"), 1, LONG)).await;
    act(store, confirm(sold.id)).await.expect("it is active");
    let found = holds(store).await;
    assert_eq!(found.len(), 302);
    assert_eq!(found.get(&of_player.id.to_string()), Some(&of_player));
    assert_eq!(found.get(&sold.id.to_string()).map(|hold| hold.state), Some(State::Confirmed));
}
