//! Operators' orders among several processes on a store that loses letters and answers: each is carried out once.

use crate::conformance::id;
use futures_util::future::join_all;
use holdall_harness::{client::item, rules};
use holdall_protocol::{
    action::Target,
    ids::{OrderKey, Revision},
};
use holdall_server::{
    clock::{Clock, Dice},
    engine::{self, action::Action, change::Changes, moment::Moment},
    journal::{Ack, Journal, Options as JournalOptions},
    ledger::{
        codec::{self, Page},
        entry::{Actor, Reason},
    },
    roster::{
        Options, Roster,
        allowance::Quotas,
        orders::{Act, Order, OrderError, To, Wish, report::Restored},
        record::{Half, Note},
        retention::Retention,
    },
    schema,
    store::{
        Node, Store,
        memory::{Fault, Shelf},
    },
};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use std::{
    num::{NonZeroU32, NonZeroU64},
    sync::Arc,
    time::Duration,
};
use tokio::time::{Instant, sleep, timeout};

pub(crate) const LEASE: Duration = Duration::from_secs(1);
/// Guards against hangs only.
const PATIENCE: Duration = Duration::from_secs(60);

/// One process, with short lingers so that players come and go.
async fn house(shelf: &Shelf, name: &str, ack: Ack) -> Arc<Roster> {
    house_that_keeps(Retention { entries_max: 10_000, time_max: None }, shelf, name, ack).await
}

/// The same, which keeps so much of ledgers.
pub(crate) async fn house_that_keeps(retention: Retention, shelf: &Shelf, name: &str, ack: Ack) -> Arc<Roster> {
    let store: Arc<dyn Store> = Arc::new(shelf.open(Node { id: name.to_owned(), boot: 1 }));
    let clock = Clock::Runtime { start_ms: 1_800_000_000_000, origin: Instant::now() };
    let journal_options = JournalOptions { ack, pending_bytes_max: 1 << 20 };
    let dice = Dice::from_seed(name.len() as u64);
    let journal = Arc::new(Journal::new(store.clone(), journal_options, clock, dice.clone()));
    let some = |n| NonZeroU32::new(n).expect("not zero");
    let options = Options {
        chain: &schema::OURS,
        linger: Duration::from_millis(700),
        resume_bytes_max: 4_096,
        outbox_bytes_max: 6_000,
        quotas: Quotas::new((some(50), some(50)), (some(600), some(50)), (some(600), some(50))),
        inbox_max: 100,
        inbox_time: Duration::from_secs(60),
        retention,
    };
    let roster = Roster::new(journal.clone(), store, Arc::new(rules()), (clock, dice), options);
    tokio::spawn(async move { journal.run().await });
    tokio::spawn(roster.clone().read_letters());
    tokio::spawn(roster.clone().keep_lease());
    while !roster.lease.is_held() {
        sleep(Duration::from_millis(10)).await;
    }
    roster
}

/// The player does something, as far as they are in the game here.
pub(crate) fn does(roster: &Arc<Roster>, action: &Action) {
    let Some(cell) = roster.find(&id("anna")) else { return };
    let mut inner = cell.lock();
    let Some(seat) = inner.seat() else { return };
    let (mut dice, mut changes) = (roster.dice.clone(), Changes::default());
    let mut moment = Moment::new(roster.clock.now_ms(), &mut dice);
    let done = engine::apply(&mut seat.player, action, &roster.rules(), &mut moment, &mut changes);
    if done.is_ok() && !changes.is_empty() {
        let note = Note { actor: Actor::Server, reason: Reason::Drop, asked: None };
        roster.record(Half { player: &cell.id, inner: &mut inner, changes: &changes, note }, false);
    }
}

pub(crate) fn grant(units: u64) -> Action {
    let quantity = NonZeroU64::new(units).expect("not zero");
    Action::Grant { item: item("ore"), quantity, attributes: None, partial: false }
}

fn drop_one() -> Action {
    Action::Drop { target: Target::Item(item("ore")), quantity: NonZeroU32::MIN }
}

fn order(key: &str, revision: u64) -> Order {
    let wish = Wish { to: To::Revision(Revision::new(revision)), allow_duplicates: false };
    let key = OrderKey::new(key).expect("a key");
    Order { key, player: id("anna"), by: "olga".into(), why: "a test".into(), act: Act::Restore(wish) }
}

/// Gives the order until it is answered, to one process and another.
async fn insist(houses: &[Arc<Roster>], order: &Order) -> Restored {
    for attempt in 0..200 {
        match houses[attempt % houses.len()].order(order).await {
            Ok(answer) => return serde_json::from_slice(&answer).expect("a report"),
            Err(OrderError::Busy | OrderError::StoreAway) => sleep(Duration::from_millis(50)).await,
            Err(error) => panic!("{error}"),
        }
    }
    panic!("{order:?} is never answered")
}

/// All entries that the store has of the player.
fn pages(shelf: &Shelf) -> Vec<Page> {
    let rows = shelf.rows();
    let ledger = rows.get(&id("anna")).map_or(&[][..], |row| &row.ledger);
    ledger.iter().flat_map(|(_, entries)| codec::read(entries).expect("entries")).collect()
}

fn faults(seed: u64) -> impl FnMut(&'static str) -> Fault + Send + 'static {
    let mut random = StdRng::seed_from_u64(seed);
    move |verb| match (verb, random.random_range(0..6)) {
        ("post" | "letters", 0 | 1) | ("answer" | "together" | "door", 0) => Fault::DropRequest,
        ("letters", 2 | 3) | ("commit" | "acquire", 0 | 1) => Fault::DropAnswer,
        (_, 4) => Fault::Delay(Duration::from_millis(random.random_range(1..40))),
        _ => Fault::None,
    }
}

async fn carried_out_once(seed: u64, ack: Ack) {
    let shelf = Shelf::default();
    shelf.set_lease(LEASE);
    let houses = [house(&shelf, "a", ack).await, house(&shelf, "bb", ack).await];
    houses[1].load(&id("anna")).await.expect("nobody else has her");
    does(&houses[1], &grant(60));
    does(&houses[1], &grant(30));
    while pages(&shelf).len() < 2 {
        houses[1].journal.flush(LEASE).await;
    }
    shelf.set_faults(Box::new(faults(seed)));
    let players: Vec<_> = houses
        .iter()
        .cloned()
        .map(|house| {
            tokio::spawn(async move {
                for _ in 0..40 {
                    does(&house, &drop_one());
                    sleep(Duration::from_millis(30)).await;
                }
            })
        })
        .collect();
    for (key, revision) in [("one", 2), ("two", 1)] {
        let order = order(key, revision);
        let (one, other) = tokio::join!(insist(&houses, &order), insist(&houses[1..], &order));
        assert_eq!(one, other, "seed {seed}: whoever is asked");
        assert_eq!(insist(&houses, &order).await, one, "seed {seed}: and later");
        let made: Vec<_> = pages(&shelf).into_iter().filter(|page| page.reason == "restore").collect();
        let done: Vec<_> =
            made.iter().filter(|page| page.ordered.as_ref().is_some_and(|by| by.key == order.key)).collect();
        let [page] = done[..] else { panic!("seed {seed}: {} times", done.len()) };
        assert_eq!((Some(page.revision), page.actor.as_str()), (one.revision, "operator:olga"), "seed {seed}");
        let ore = one.totals.iter().find(|total| total.item == item("ore"));
        assert!(ore.is_none_or(|ore| ore.after == if revision == 2 { 90 } else { 60 }), "seed {seed}: {ore:?}");
    }
    for player in players {
        player.await.expect("no panic");
    }
}

#[tokio::test(start_paused = true)]
async fn an_order_is_carried_out_once_whatever_is_lost() {
    for seed in 0..20 {
        carried_out_once(seed, Ack::Durable).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_order_is_carried_out_once_where_players_are_saved_now_and_then() {
    for seed in 0..10 {
        carried_out_once(seed, Ack::Applied { interval: Duration::from_secs(5) }).await;
    }
}

#[tokio::test(start_paused = true)]
async fn another_order_under_the_same_key_is_refused_wherever_it_is_given() {
    let shelf = Shelf::default();
    shelf.set_lease(LEASE);
    let houses = [house(&shelf, "a", Ack::Durable).await, house(&shelf, "bb", Ack::Durable).await];
    houses[1].load(&id("anna")).await.expect("nobody else has her");
    does(&houses[1], &grant(60));
    does(&houses[1], &grant(30));
    houses[1].journal.settled(&id("anna")).await;
    insist(&houses, &order("key", 1)).await;
    for house in &houses {
        assert_eq!(house.order(&order("key", 2)).await, Err(OrderError::KeyTaken));
        let other_words = Order { why: "other words".into(), ..order("key", 1) };
        assert_eq!(house.order(&other_words).await, Err(OrderError::KeyTaken));
        let nobody = Order { player: id("nobody"), ..order("another", 1) };
        assert_eq!(house.order(&nobody).await, Err(OrderError::NoSuchPlayer));
    }
    assert_eq!(shelf.rows().len(), 1, "nobody is made of an order on them");
}

#[tokio::test(start_paused = true)]
async fn of_orders_on_several_players_under_one_key_at_once_one_is_carried_out() {
    let shelf = Shelf::default();
    shelf.set_lease(LEASE);
    let house = house(&shelf, "a", Ack::Durable).await;
    let mut orders = Vec::new();
    for player in ["anna", "bert", "carl", "dora", "emil"].map(id) {
        house.load(&player).await.expect("nobody else has them");
        let (item, quantity) = (item("ore"), NonZeroU64::MIN);
        let act = Act::Grant { item, quantity, attributes: None, partial: false };
        orders.push(Order { player, act, ..order("key", 1) });
    }
    let give_all = async || {
        let answers = join_all(orders.iter().map(|order| house.order(order)));
        timeout(PATIENCE, answers).await.expect("each is answered")
    };
    let (done, refused): (Vec<_>, Vec<_>) = give_all().await.into_iter().partition(Result::is_ok);
    assert_eq!((done.len(), refused), (1, vec![Err(OrderError::KeyTaken); 4]));
    let again = give_all().await;
    assert_eq!(again.iter().filter(|answer| **answer == done[0]).count(), 1, "it was acknowledged");
}
