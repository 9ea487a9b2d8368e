//! What every store promises about limited stock: the deeds, one by one and refused, and what a key and a time are worth.

mod claims;
mod looks;
mod nodes;
mod races;
mod the_file;

use super::{Made, acquire, batch, born, conformance, id, write};
use bytes::Bytes;
use claims::{
    a_claim_gives_way_to_the_next_owners, a_claim_is_the_owners_and_the_holders, a_claim_stands_while_its_token_does,
    a_claimed_hold_is_left_alone, a_hold_that_cannot_be_paid_for_writes_nothing,
    a_purchase_moves_the_stock_together_with_its_player, a_purchase_needs_no_claim_that_the_store_has_lost,
    a_taken_back_claim_leaves_the_hold_as_it_would_be,
};
use holdall_protocol::{
    NUMBER_MAX,
    ids::{CartId, OrderKey, PlayerId, ReservationId, SkuId},
};
use holdall_server::store::{
    Store,
    stock::{Act, Deed, DeedKey, Done, Hold, Holder, Known, Reservation, State, Stock, StockError},
};
use looks::{
    a_book_and_its_audit_can_be_put_elsewhere, a_sku_may_be_named_like_anything, holds_are_found_in_every_state,
    the_audit_tells_every_change_newest_first, what_runs_out_does_so_by_itself_whatever_lets_go_of_it,
};
use races::{
    five_hundred_at_once_hold_exactly_what_there_is, of_two_ends_of_a_hold_exactly_one_comes,
    several_sweeps_free_a_hold_once,
};
use std::{
    num::{NonZeroU32, NonZeroU64},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};
use tokio::time::sleep;

/// Longer than any test.
const LONG: Duration = Duration::from_secs(3_600);
/// Over soon, and long enough for a slow disk to make a claim durable before.
const SHORT: Duration = Duration::from_secs(1);
/// After which it is over.
const PAST: Duration = Duration::from_millis(1_050);

conformance! {
    a_seeded_stock_is_all_available
    a_known_stock_is_seeded_again_as_asked
    a_restock_adds_available_units
    a_hold_moves_units_until_it_is_confirmed_or_released
    what_does_not_exist_is_told
    more_than_is_available_is_not_held
    a_holder_has_only_so_many_open_holds
    a_player_has_only_so_many_units
    a_hold_that_has_come_to_its_end_is_over
    a_players_hold_is_not_confirmed_like_a_carts
    a_hold_runs_out_though_nobody_sweeps
    a_hold_of_no_time_runs_out_at_once
    numbers_at_their_ends_stay_exact
    the_same_deed_under_a_key_is_done_once
    a_refusal_leaves_its_key_as_good_as_new
    a_deed_and_an_order_never_share_a_key
    a_load_brings_the_players_open_holds
    a_claim_is_the_owners_and_the_holders
    a_claimed_hold_is_left_alone
    a_claim_stands_while_its_token_does
    a_claim_gives_way_to_the_next_owners
    a_taken_back_claim_leaves_the_hold_as_it_would_be
    a_purchase_moves_the_stock_together_with_its_player
    a_purchase_needs_no_claim_that_the_store_has_lost
    a_hold_that_cannot_be_paid_for_writes_nothing
    the_audit_tells_every_change_newest_first
    what_runs_out_does_so_by_itself_whatever_lets_go_of_it
    a_sku_may_be_named_like_anything
    a_book_and_its_audit_can_be_put_elsewhere
    holds_are_found_in_every_state
    five_hundred_at_once_hold_exactly_what_there_is
    of_two_ends_of_a_hold_exactly_one_comes
    several_sweeps_free_a_hold_once;
    memory
    embedded
    redis
}

async fn memory() -> Made {
    super::memory().await
}

async fn embedded() -> Made {
    super::embedded().await
}

async fn redis() -> Made {
    super::redis().await
}

fn sku(text: &str) -> SkuId {
    SkuId::new(text).expect("a SKU")
}

fn cart(text: &str) -> Holder {
    Holder::Cart(CartId::new(text).expect("a cart id"))
}

fn player(text: &str) -> Holder {
    Holder::Player(id(text))
}

/// A number that nothing in this process had before.
fn new_uuid() -> uuid::Uuid {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    uuid::Uuid::from_u128(NEXT.fetch_add(1, Ordering::Relaxed).into())
}

fn new_id() -> ReservationId {
    ReservationId::new(new_uuid())
}

fn units(number: u64) -> NonZeroU64 {
    NonZeroU64::new(number).expect("some")
}

fn seed(text: &str, quantity: u64, known: Known) -> Act {
    Act::Seed { sku: sku(text), quantity, known }
}

fn restock(text: &str, quantity: u64) -> Act {
    Act::Restock { sku: sku(text), quantity: units(quantity) }
}

/// A hold without bounds.
fn hold(text: &str, holder: Holder, quantity: u64, time: Duration) -> Hold {
    let terms = match holder {
        Holder::Player(_) => Bytes::from_static(b"\0terms\xff"),
        Holder::Cart(_) => Bytes::new(),
    };
    let (id, sku, quantity) = (new_id(), sku(text), units(quantity));
    Hold { id, sku, holder, quantity, time, terms, holds_max: u32::MAX, units_max: None }
}

const fn confirm(reservation: ReservationId) -> Act {
    Act::Confirm { reservation }
}

const fn release(reservation: ReservationId) -> Act {
    Act::Release { reservation, of: None }
}

async fn act(store: &dyn Store, act: Act) -> Result<Done, StockError> {
    store.stock(Deed { act, key: None, why: None }).await
}

async fn act_under(store: &dyn Store, key: &DeedKey, act: Act) -> Result<Done, StockError> {
    store.stock(Deed { act, key: Some(key.clone()), why: None }).await
}

/// Seeds a SKU that is new.
async fn seeded(store: &dyn Store, text: &str, quantity: u64) {
    let done = act(store, seed(text, quantity, Known::Reset)).await;
    assert!(matches!(&done, Ok(Done::Stock(stock)) if stock.available == quantity), "{done:?}");
}

/// Makes a hold that is not refused.
async fn held(store: &dyn Store, hold: Hold) -> Reservation {
    reservation_of(act(store, Act::Hold(hold)).await)
}

fn reservation_of(done: Result<Done, StockError>) -> Reservation {
    match done {
        Ok(Done::Reservation(reservation)) => reservation,
        other => panic!("{other:?}"),
    }
}

/// A stock that is there; its columns always add up.
async fn stock(store: &dyn Store, text: &str) -> Stock {
    let stocks = store.stocks(vec![sku(text)]).await.expect("the store answers");
    let [Some(stock)] = &stocks[..] else { panic!("{stocks:?}") };
    assert_eq!(stock.available + stock.reserved + stock.confirmed, stock.total, "{stock:?}");
    stock.clone()
}

/// Units available, reserved and confirmed, and how many holds are open.
async fn columns(store: &dyn Store, text: &str) -> [u64; 4] {
    let stock = stock(store, text).await;
    [stock.available, stock.reserved, stock.confirmed, stock.holds]
}

/// Where a hold is that is there.
async fn state(store: &dyn Store, reservation: ReservationId) -> State {
    store.reservation(reservation).await.expect("the store answers").expect("it is there").state
}

async fn a_seeded_stock_is_all_available(store: &dyn Store) {
    assert_eq!(store.skus().await, Ok(Vec::new()));
    let Ok(Done::Stock(done)) = act(store, seed("sword", 7, Known::Leave)).await else { panic!("a stock") };
    assert_eq!((done.sku.as_str(), done.total, done.available, done.holds), ("sword", 7, 7, 0));
    assert!(done.updated_at > 1_600_000_000_000, "{done:?}");
    assert_eq!(stock(store, "sword").await, done);
    seeded(store, "none", 0).await;
    assert_eq!(store.skus().await, Ok(vec![sku("none"), sku("sword")]));
    let all = store.stocks(vec![sku("no"), sku("sword"), sku("none"), sku("sword")]).await.expect("the store answers");
    let totals: Vec<_> = all.iter().map(|stock| stock.as_ref().map(|stock| stock.total)).collect();
    assert_eq!(totals, [None, Some(7), Some(0), Some(7)]);
    assert_eq!(store.stocks(Vec::new()).await, Ok(Vec::new()));
}

async fn a_known_stock_is_seeded_again_as_asked(store: &dyn Store) {
    seeded(store, "s", 10).await;
    let sold = held(store, hold("s", cart("c"), 4, LONG)).await;
    act(store, confirm(sold.id)).await.expect("it is active");
    let before = stock(store, "s").await;
    assert_eq!(act(store, seed("s", 99, Known::Leave)).await, Ok(Done::Stock(before)));
    let open = held(store, hold("s", player("p"), 1, LONG)).await;
    let other = held(store, hold("s", cart("d"), 2, LONG)).await;
    let with_holds = act(store, seed("s", 5, Known::Reset)).await;
    assert_eq!(with_holds, Err(StockError::HoldsOpen { holds: 2 }));
    assert_eq!(columns(store, "s").await, [3, 3, 4, 2]);
    act(store, seed("s", 5, Known::Force)).await.expect("nobody is paying");
    assert_eq!(columns(store, "s").await, [5, 0, 0, 0]);
    for released in [open.id, other.id] {
        assert_eq!(state(store, released).await, State::Released);
        assert_eq!(act(store, confirm(released)).await, Err(StockError::NotActive(State::Released)));
    }
    let bounded = Hold { units_max: NonZeroU32::new(5), ..hold("s", player("p"), 5, LONG) };
    let again = held(store, bounded).await;
    act(store, release(again.id)).await.expect("it is active");
    act(store, seed("s", 6, Known::Reset)).await.expect("no holds are open");
    assert_eq!(columns(store, "s").await, [6, 0, 0, 0]);
}

async fn a_restock_adds_available_units(store: &dyn Store) {
    seeded(store, "s", 2).await;
    held(store, hold("s", cart("c"), 1, LONG)).await;
    let Ok(Done::Stock(done)) = act(store, restock("s", 5)).await else { panic!("a stock") };
    assert_eq!((done.total, done.available, done.reserved), (7, 6, 1));
    assert_eq!(columns(store, "s").await, [6, 1, 0, 1]);
}

async fn a_hold_moves_units_until_it_is_confirmed_or_released(store: &dyn Store) {
    seeded(store, "s", 10).await;
    let asked = hold("s", player("p"), 3, LONG);
    let made = held(store, asked.clone()).await;
    assert_eq!(
        (made.id, &made.sku, &made.holder, made.quantity),
        (asked.id, &asked.sku, &asked.holder, asked.quantity)
    );
    assert_eq!((made.state, &made.terms), (State::Active, &asked.terms));
    assert_eq!((made.expires_at - made.created_at, made.updated_at), (3_600_000, made.created_at));
    assert_eq!(store.reservation(made.id).await, Ok(Some(made.clone())));
    assert_eq!(columns(store, "s").await, [7, 3, 0, 1]);
    let of_cart = held(store, hold("s", cart("c"), 2, LONG)).await;
    assert_eq!(columns(store, "s").await, [5, 5, 0, 2]);
    let confirmed = reservation_of(act(store, confirm(of_cart.id)).await);
    let updated_at = confirmed.updated_at;
    assert_eq!(confirmed, Reservation { state: State::Confirmed, updated_at, ..of_cart });
    assert_eq!(columns(store, "s").await, [5, 3, 2, 1]);
    let released = reservation_of(act(store, release(made.id)).await);
    assert_eq!((released.id, released.state), (made.id, State::Released));
    assert_eq!(columns(store, "s").await, [8, 0, 2, 0]);
}

async fn what_does_not_exist_is_told(store: &dyn Store) {
    assert_eq!(act(store, restock("s", 1)).await, Err(StockError::NoSuchSku));
    assert_eq!(act(store, Act::Hold(hold("s", cart("c"), 1, LONG))).await, Err(StockError::NoSuchSku));
    assert_eq!(act(store, confirm(new_id())).await, Err(StockError::NoSuchReservation));
    assert_eq!(act(store, release(new_id())).await, Err(StockError::NoSuchReservation));
    assert_eq!(store.reservation(new_id()).await, Ok(None));
    assert_eq!(store.stock_book(sku("s")).await, Ok(None));
    seeded(store, "s", 3).await;
    let (of_player, of_cart) =
        (held(store, hold("s", player("p"), 1, LONG)).await, held(store, hold("s", cart("p"), 1, LONG)).await);
    for (reservation, of) in [(of_player.id, "other"), (of_cart.id, "p")] {
        let others = Act::Release { reservation, of: Some(id(of)) };
        assert_eq!(act(store, others).await, Err(StockError::NoSuchReservation));
    }
    act(store, Act::Release { reservation: of_player.id, of: Some(id("p")) }).await.expect("it is p's");
}

async fn more_than_is_available_is_not_held(store: &dyn Store) {
    seeded(store, "s", 5).await;
    held(store, hold("s", cart("c"), 3, LONG)).await;
    let more = act(store, Act::Hold(hold("s", cart("d"), 3, LONG))).await;
    assert_eq!(more, Err(StockError::Insufficient { available: 2 }));
    assert_eq!(columns(store, "s").await, [2, 3, 0, 1]);
    held(store, hold("s", cart("d"), 2, LONG)).await;
    let nothing = act(store, Act::Hold(hold("s", cart("d"), 1, LONG))).await;
    assert_eq!(nothing, Err(StockError::Insufficient { available: 0 }));
}

async fn a_holder_has_only_so_many_open_holds(store: &dyn Store) {
    seeded(store, "s", 50).await;
    seeded(store, "t", 50).await;
    let bounded = |text: &str, holder| Hold { holds_max: 2, ..hold(text, holder, 1, LONG) };
    let first = held(store, bounded("s", cart("c"))).await;
    held(store, Hold { time: SHORT, ..bounded("t", player("c")) }).await;
    held(store, bounded("t", cart("c"))).await;
    let third = act(store, Act::Hold(bounded("s", cart("c")))).await;
    assert_eq!(third, Err(StockError::TooManyHolds { holds: 2 }), "on all SKUs together");
    assert_eq!(columns(store, "s").await, [49, 1, 0, 1]);
    held(store, bounded("s", player("c"))).await;
    act(store, confirm(first.id)).await.expect("it is active");
    held(store, bounded("s", cart("c"))).await;
}

async fn a_player_has_only_so_many_units(store: &dyn Store) {
    seeded(store, "s", 50).await;
    let bounded = |holder, quantity| Hold { units_max: NonZeroU32::new(5), ..hold("s", holder, quantity, LONG) };
    let first = held(store, bounded(player("p"), 3)).await;
    let more = act(store, Act::Hold(bounded(player("p"), 3))).await;
    assert_eq!(more, Err(StockError::TooManyUnits { units: 3, max: 5 }));
    held(store, bounded(player("p"), 2)).await;
    held(store, bounded(player("q"), 5)).await;
    held(store, bounded(cart("p"), 6)).await;
    act(store, release(first.id)).await.expect("it is active");
    held(store, Hold { time: SHORT, ..bounded(player("p"), 3) }).await;
    sleep(PAST).await;
    held(store, bounded(player("p"), 3)).await;
    let full = act(store, Act::Hold(bounded(player("p"), 1))).await;
    assert_eq!(full, Err(StockError::TooManyUnits { units: 5, max: 5 }));
    let book = store.stock_book(sku("s")).await.expect("the store answers").expect("it is there");
    assert_eq!(book.units, [(id("p"), 5), (id("q"), 5)]);
}

async fn a_hold_that_has_come_to_its_end_is_over(store: &dyn Store) {
    seeded(store, "s", 10).await;
    let confirmed = held(store, hold("s", cart("c"), 1, LONG)).await.id;
    let released = held(store, hold("s", cart("c"), 1, LONG)).await.id;
    let expired = held(store, hold("s", cart("c"), 1, SHORT)).await.id;
    act(store, confirm(confirmed)).await.expect("it is active");
    act(store, release(released)).await.expect("it is active");
    sleep(PAST).await;
    let ends = [(confirmed, State::Confirmed), (released, State::Released), (expired, State::Expired)];
    for (reservation, state) in ends {
        for again in [confirm(reservation), release(reservation)] {
            assert_eq!(act(store, again).await, Err(StockError::NotActive(state)));
        }
        assert_eq!(self::state(store, reservation).await, state);
    }
    assert_eq!(columns(store, "s").await, [9, 0, 1, 0]);
}

async fn a_players_hold_is_not_confirmed_like_a_carts(store: &dyn Store) {
    seeded(store, "s", 10).await;
    let made = held(store, hold("s", player("p"), 1, LONG)).await;
    assert_eq!(act(store, confirm(made.id)).await, Err(StockError::Players));
    assert_eq!(store.reservation(made.id).await, Ok(Some(made)));
}

async fn a_hold_runs_out_though_nobody_sweeps(store: &dyn Store) {
    seeded(store, "s", 3).await;
    seeded(store, "t", 3).await;
    for time in [SHORT, SHORT] {
        held(store, hold("s", player("p"), 1, time)).await;
    }
    let last = held(store, hold("s", cart("c"), 1, SHORT)).await;
    let other = held(store, hold("t", cart("c"), 1, SHORT)).await;
    sleep(PAST).await;
    let all = held(store, hold("s", cart("d"), 3, LONG)).await;
    assert_eq!(columns(store, "s").await, [0, 3, 0, 1]);
    assert_eq!(state(store, last.id).await, State::Expired);
    assert_eq!(state(store, other.id).await, State::Expired, "as one looks at it");
    assert_eq!(columns(store, "t").await, [3, 0, 0, 0]);
    act(store, confirm(all.id)).await.expect("it is active");
    act(store, seed("s", 1, Known::Reset)).await.expect("no holds are open");
}

async fn a_hold_of_no_time_runs_out_at_once(store: &dyn Store) {
    seeded(store, "s", 1).await;
    let made = held(store, hold("s", cart("c"), 1, Duration::ZERO)).await;
    assert_eq!((made.state, made.expires_at), (State::Active, made.created_at));
    assert_eq!(act(store, confirm(made.id)).await, Err(StockError::NotActive(State::Expired)));
    held(store, hold("s", cart("c"), 1, Duration::ZERO)).await;
    assert_eq!(columns(store, "s").await, [1, 0, 0, 0]);
}

async fn numbers_at_their_ends_stay_exact(store: &dyn Store) {
    for quantity in [NUMBER_MAX + 1, u64::MAX] {
        assert_eq!(act(store, seed("s", quantity, Known::Force)).await, Err(StockError::TooLarge));
    }
    assert_eq!(store.skus().await, Ok(Vec::new()));
    seeded(store, "s", NUMBER_MAX - 1).await;
    let made = held(store, hold("s", player("p"), NUMBER_MAX - 2, Duration::MAX)).await;
    assert!(made.expires_at >= NUMBER_MAX, "{made:?}");
    assert_eq!(columns(store, "s").await, [1, NUMBER_MAX - 2, 0, 1]);
    for quantity in [2, u64::MAX] {
        assert_eq!(act(store, restock("s", quantity)).await, Err(StockError::TooLarge));
        let more = act(store, Act::Hold(hold("s", cart("c"), quantity, LONG))).await;
        assert_eq!(more, Err(StockError::Insufficient { available: 1 }));
    }
    act(store, restock("s", 1)).await.expect("it fits just so");
    assert_eq!(columns(store, "s").await, [2, NUMBER_MAX - 2, 0, 1]);
    let bounded = Hold { units_max: NonZeroU32::new(u32::MAX), ..hold("s", player("p"), 1, LONG) };
    let full = act(store, Act::Hold(bounded)).await;
    assert_eq!(full, Err(StockError::TooManyUnits { units: NUMBER_MAX - 2, max: u32::MAX }));
    let key = DeedKey::Request(id("p"), holdall_protocol::ids::Seq::new(u64::MAX), u64::MAX);
    let released = act_under(store, &key, release(made.id)).await;
    assert_eq!(act_under(store, &key, release(made.id)).await, released);
    assert_eq!(reservation_of(released).quantity, units(NUMBER_MAX - 2));
}

fn order_key(text: &str) -> OrderKey {
    OrderKey::new(text).expect("a key")
}

async fn the_same_deed_under_a_key_is_done_once(store: &dyn Store) {
    let of_order = |text: &str| DeedKey::Order(order_key(text));
    let first = act_under(store, &of_order("seed"), seed("s", 10, Known::Reset)).await;
    let keys = [of_order("p"), DeedKey::Request(id("p"), holdall_protocol::ids::Seq::new(1), 7)];
    let mut answers = Vec::new();
    for key in &keys {
        // The terms are not part of what is asked for, and the second asking's id is never used.
        let made = act_under(store, key, Act::Hold(hold("s", player("p"), 2, LONG))).await;
        let again = act_under(store, key, Act::Hold(hold("s", player("p"), 2, LONG))).await;
        assert_eq!(again, made);
        answers.push((key, reservation_of(made)));
    }
    assert_eq!(columns(store, "s").await, [6, 4, 0, 2]);
    assert_eq!(act_under(store, &of_order("seed"), seed("s", 10, Known::Reset)).await, first, "as it was then");
    let other_seed = act_under(store, &of_order("seed"), seed("s", 11, Known::Reset)).await;
    assert_eq!(other_seed, Err(StockError::KeyTaken));
    for (key, made) in answers {
        act(store, release(made.id)).await.expect("it is active");
        let again = act_under(store, key, Act::Hold(hold("s", player("p"), 2, LONG))).await;
        assert_eq!(reservation_of(again), made, "as it was answered first, though it is released by now");
        let other = act_under(store, key, Act::Hold(hold("s", player("p"), 3, LONG))).await;
        assert_eq!(other, Err(StockError::KeyTaken));
        assert_eq!(act_under(store, key, release(made.id)).await, Err(StockError::KeyTaken));
    }
    assert_eq!(columns(store, "s").await, [10, 0, 0, 0]);
}

async fn a_refusal_leaves_its_key_as_good_as_new(store: &dyn Store) {
    let key = DeedKey::Order(order_key("key"));
    seeded(store, "s", 1).await;
    let refused = act_under(store, &key, Act::Hold(hold("s", cart("c"), 2, LONG))).await;
    assert_eq!(refused, Err(StockError::Insufficient { available: 1 }));
    assert_eq!(store.answer(order_key("key")).await, Ok(None));
    act(store, restock("s", 1)).await.expect("it is there");
    let done = act_under(store, &key, Act::Hold(hold("s", cart("c"), 2, LONG))).await;
    assert_eq!(reservation_of(done).quantity, units(2));
}

async fn a_deed_and_an_order_never_share_a_key(store: &dyn Store) {
    use holdall_server::store::{KeptAnswer, Life, Outcome, PlayerWrite};
    let answer = |text: &str| KeptAnswer { key: order_key(text), order: 7, bytes: Bytes::from_static(b"done") };
    let owner = born(store, "p").await;
    let ordered = PlayerWrite { answers: vec![answer("order")], ..write("p", &owner, 1, 2) };
    assert_eq!(store.commit(batch(vec![ordered]), Life::default()).await, Outcome::Applied);
    let begin = seed("s", 1, Known::Reset);
    let taken = act_under(store, &DeedKey::Order(order_key("order")), begin.clone()).await;
    assert_eq!(taken, Err(StockError::KeyTaken));
    assert_eq!(store.skus().await, Ok(Vec::new()));
    let deed = Deed { act: begin.clone(), key: Some(DeedKey::Order(order_key("deed"))), why: None };
    let done = store.stock(deed.clone()).await;
    let kept = store.answer(order_key("deed")).await.expect("the store answers").expect("something is kept");
    assert_eq!((kept.key, kept.order), (order_key("deed"), deed.hash()));
    // An order under the same key changes nothing about the deed's answer.
    let late = PlayerWrite { answers: vec![answer("deed")], ..write("p", &owner, 2, 3) };
    assert_eq!(store.commit(batch(vec![late]), Life::default()).await, Outcome::Applied);
    assert_eq!(act_under(store, &DeedKey::Order(order_key("deed")), begin).await, done);
}

async fn a_load_brings_the_players_open_holds(store: &dyn Store) {
    assert_eq!(acquire(store, "p").await.holds, []);
    seeded(store, "s", 10).await;
    seeded(store, "t", 10).await;
    let mut open = Vec::new();
    for text in ["s", "t", "s"] {
        open.push(held(store, hold(text, player("p"), 1, LONG)).await);
    }
    let gone = held(store, hold("s", player("p"), 1, LONG)).await;
    act(store, release(gone.id)).await.expect("it is active");
    held(store, hold("s", player("pq"), 1, LONG)).await;
    held(store, hold("s", cart("p"), 1, LONG)).await;
    open.sort_by_key(|hold| (hold.created_at, hold.id));
    assert_eq!(acquire(store, "p").await.holds, open);
    let players = store.players(None).await.expect("the store answers").items;
    assert!(players.iter().all(|player: &PlayerId| player.as_str() == "p"), "holds are no players: {players:?}");
}
