//! Limited stock is proven: each SKU by its audit, and what players bought by what was confirmed for them.

use super::{
    picture::{id, open},
    said,
};
use crate::{
    conformance::{acquire, batch, node, write},
    inspect::close,
};
use bytes::Bytes;
use holdall_harness::{command::holdall, server::TempDir};
use holdall_protocol::ids::{CartId, PlayerId, ReservationId, Revision, SkuId};
use holdall_server::{
    ledger::{
        codec,
        entry::{Actor, Entry, Reason},
        past::Opening,
    },
    schema::OURS,
    store::{
        Life, Outcome, PlayerWrite, Store, Whole,
        memory::Shelf,
        stock::{Act, AuditEntry, Deed, Event, Hold, Holder, Known, Purchase, Reservation, StockBook, Stocks as _},
    },
    upkeep::verify::{By, Fault, Kind, Verified, verify},
};
use std::{
    collections::BTreeMap,
    num::{NonZeroU32, NonZeroU64},
    path::Path,
    time::Duration,
};

/// Later than any entry of a test.
const LATER: u64 = 4_000_000_000_000;

fn sku() -> SkuId {
    SkuId::new("sword").expect("a SKU")
}

fn hold_id(n: u128) -> ReservationId {
    ReservationId::new(uuid::Uuid::from_u128(n))
}

fn units(n: u64) -> NonZeroU64 {
    NonZeroU64::new(n).expect("some")
}

const CARTS: u128 = 1;
const RELEASED: u128 = 2;
const BOUGHT: u128 = 3;
const OPEN: u128 = 4;

fn entry(revision: u64, reason: Reason, hold: Option<ReservationId>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let player = id("anna");
    let entry = Entry {
        player: &player,
        revision: Revision::new(revision),
        at: 1,
        actor: Actor::Server,
        reason,
        asked: None,
        partner: None,
        waits: None,
        ordered: None,
        hold,
        changes: &[],
        form: OURS.form(),
    };
    codec::write(&entry, &mut bytes, &mut Vec::new());
    bytes
}

/// A SKU of which a cart bought some, another one gave some back and anna bought one and holds three more; and anna.
#[derive(Debug, Clone)]
pub(crate) struct Sold {
    book: StockBook,
    closed: Vec<Reservation>,
    audit: Vec<AuditEntry>,
    anna: Whole,
}

impl Sold {
    /// Does it all on a new shelf.
    pub(crate) async fn play() -> Self {
        let store = Shelf::default().open(node());
        let anna = acquire(&store, "anna").await.owner;
        let cart = || Holder::Cart(CartId::new("cart").expect("a cart"));
        let hold = |n, holder, quantity| {
            Act::Hold(Hold {
                id: hold_id(n),
                sku: sku(),
                holder,
                quantity: units(quantity),
                time: Duration::from_secs(3_600),
                terms: Bytes::from_static(b"terms"),
                holds_max: 9,
                units_max: NonZeroU32::new(9),
            })
        };
        for act in [
            Act::Seed { sku: sku(), quantity: 10, known: Known::Leave },
            hold(CARTS, cart(), 2),
            Act::Confirm { reservation: hold_id(CARTS) },
            hold(RELEASED, cart(), 1),
            Act::Release { reservation: hold_id(RELEASED), of: None },
            Act::Restock { sku: sku(), quantity: units(5) },
            hold(BOUGHT, Holder::Player(id("anna")), 1),
            hold(OPEN, Holder::Player(id("anna")), 3),
        ] {
            store.stock(Deed { act, key: None, why: None }).await.expect("it can be done");
        }
        let entries = [entry(1, Reason::Born, None), entry(2, Reason::Buy, Some(hold_id(BOUGHT)))].concat();
        let bought = PlayerWrite {
            entries: Bytes::from(entries),
            purchases: vec![Purchase { reservation: hold_id(BOUGHT), sku: sku() }],
            release: true,
            ..write("anna", &anna, 0, 2)
        };
        assert_eq!(store.commit(batch(vec![bought]), Life::default()).await, Outcome::Applied);
        Self::of(&store).await
    }

    /// What a store has of it.
    pub(crate) async fn of(store: &dyn Store) -> Self {
        let book = store.stock_book(sku()).await.expect("it can be read").expect("it is there");
        let holds = store.holds(None).await.expect("it can be read").items;
        let closed = holds.into_iter().filter(|hold| !hold.state.is_open()).collect();
        let mut audit = store.stock_audit(Some(sku()), None, 100).await.expect("it can be read").items;
        audit.reverse();
        let anna = store.together(vec![id("anna")]).await.expect("it can be read").remove(0);
        Self { book, closed, audit, anna: anna.expect("it can be read").expect("she is there") }
    }

    pub(crate) async fn put_into(&self, store: &dyn Store) {
        let Self { book, closed, audit, anna } = self.clone();
        store.import_stock(book, closed, audit).await.expect("it is taken");
        store.import(id("anna"), anna.stored, anna.ledger).await.expect("it is taken");
    }

    async fn put_into_new(&self, data: &Path) {
        std::fs::create_dir_all(data).expect("a directory");
        std::fs::write(data.join("node"), "0123456789abcdef\n").expect("a file");
        let store = open(data);
        self.put_into(&store).await;
        close(store, data).await;
    }

    /// Without the audit entry of an event of a hold.
    fn forget(&mut self, hold: u128, event: Event) {
        let before = self.audit.len();
        self.audit.retain(|entry| (entry.reservation, entry.event) != (Some(hold_id(hold)), event));
        assert_eq!(self.audit.len() + 1, before, "one entry goes");
    }

    fn buy(&mut self, entries: &[Vec<u8>]) {
        let newest = u64::try_from(entries.len()).expect("a few") + 1;
        let bytes = [vec![entry(1, Reason::Born, None)], entries.to_vec()].concat().concat();
        self.anna.ledger = vec![(Revision::new(newest), Bytes::from(bytes))];
        self.anna.stored.revision = Revision::new(newest);
    }

    /// As if the entries up to the newest were no longer kept, which was made at this time.
    fn trim(&mut self, at: u64) {
        let opening = Opening { revision: Revision::new(2), at, things: BTreeMap::new() };
        self.anna.ledger = vec![(opening.revision, opening.write(OURS.form()))];
        self.anna.stored.opened = opening.revision;
    }

    async fn verified(&self) -> Verified {
        let store = Shelf::default().open(node());
        self.put_into(&store).await;
        verify(&store, By::Command, |_, _| ()).await.expect("the store answers")
    }
}

/// Something wrong: what it is called, how it comes about, and of what kind, on which hold and with whom it is found.
type Planted = (&'static str, fn(&mut Sold), Kind, Option<u128>, &'static [&'static str]);

const PLANTED: [Planted; 13] = [
    ("a doubled unit", |sold| sold.book.stock.available += 1, Kind::WrongStock, None, &[]),
    (
        "a unit out of nothing",
        |sold| {
            sold.book.stock.available += 1;
            sold.book.stock.total += 1;
        },
        Kind::WrongAudit,
        None,
        &[],
    ),
    ("a lost hold", |sold| sold.book.open.clear(), Kind::WrongStock, None, &[]),
    ("a hold that is not counted", |sold| sold.book.stock.holds = 0, Kind::WrongStock, None, &[]),
    ("a hold of more units", |sold| sold.book.open[0].quantity = units(4), Kind::WrongStock, None, &[]),
    (
        "a hold that is another's",
        |sold| sold.book.open[0].holder = Holder::Player(id("bert")),
        Kind::WrongAudit,
        None,
        &[],
    ),
    ("forgotten units", |sold| sold.book.units.clear(), Kind::WrongUnits, None, &["anna"]),
    ("units of somebody who has none", |sold| sold.book.units.push((id("bert"), 1)), Kind::WrongUnits, None, &["bert"]),
    ("no audit of a hold", |sold| sold.forget(CARTS, Event::Hold), Kind::WrongAudit, Some(CARTS), &[]),
    ("no audit of a release", |sold| sold.forget(RELEASED, Event::Release), Kind::WrongAudit, None, &[]),
    (
        "a purchase whose hold was never confirmed",
        |sold| sold.buy(&[entry(2, Reason::Buy, Some(hold_id(9)))]),
        Kind::PurchaseWithoutHold,
        Some(9),
        &["anna"],
    ),
    ("a confirmed hold that nobody bought", |sold| sold.buy(&[]), Kind::HoldWithoutPurchase, Some(BOUGHT), &["anna"]),
    (
        "a hold that was bought twice",
        |sold| {
            let buy = |revision| entry(revision, Reason::Buy, Some(hold_id(BOUGHT)));
            sold.buy(&[buy(2), buy(3)]);
        },
        Kind::BoughtTwice,
        Some(BOUGHT),
        &["anna"],
    ),
];

fn is((_, _, kind, hold, players): &Planted, fault: &Fault) -> bool {
    let players: Vec<PlayerId> = players.iter().map(|player| id(player)).collect();
    let named = fault.sku == Some(sku()) || fault.reservation.is_some();
    fault.kind == *kind
        && fault.players == players
        && hold.is_none_or(|n| fault.reservation == Some(hold_id(n)))
        && named
}

#[tokio::test]
async fn a_stock_in_order_is_proven() {
    let verified = Sold::play().await.verified().await;
    assert_eq!(verified.faults, []);
    assert_eq!((verified.skus, verified.holds, verified.players), (1, 4, 1));
}

#[tokio::test]
async fn each_wrong_stock_is_found_and_named() {
    let (sold, dir) = (Sold::play().await, TempDir::new());
    for (n, planted) in PLANTED.iter().enumerate() {
        let (name, plant, ..) = planted;
        let mut wrong = sold.clone();
        plant(&mut wrong);
        let found = wrong.verified().await.faults;
        assert!(found.iter().any(|fault| is(planted, fault)), "{name}: {found:#?}");

        let data = format!("data-{n}");
        wrong.put_into_new(&dir.path().join(&data)).await;
        let told = holdall(dir.path(), &["verify", "--data-dir", &data, "--json"]).await;
        assert_eq!(told.code, Some(1), "{name}: {told:?}");
        let found = said(&told).faults;
        assert!(found.iter().any(|fault| is(planted, fault)), "{name}: {found:#?}");
    }
}

#[tokio::test]
async fn a_purchase_of_which_the_entries_are_no_longer_kept_is_not_missed() {
    let mut sold = Sold::play().await;
    sold.trim(LATER);
    assert_eq!(sold.verified().await.faults, []);
    sold.trim(1);
    let found = sold.verified().await.faults;
    assert!(matches!(&found[..], [fault] if fault.kind == Kind::HoldWithoutPurchase), "{found:#?}");
}

#[tokio::test]
async fn people_are_told_of_a_wrong_stock_in_a_line() {
    let (mut sold, dir) = (Sold::play().await, TempDir::new());
    sold.book.stock.available += 1;
    sold.put_into_new(&dir.path().join("data")).await;
    let line = "FAULT wrong stock: SKU sword: its columns do not add up: 10 available, 3 reserved by 1 holds, 3 confirmed, 15 in all";
    holdall(dir.path(), &["verify", "--data-dir", "data"])
        .await
        .expect(1, &[line, "stocks     1, with 4 holds made on them"]);
}
