//! A player's hold is paid for in two steps: a claim, and a write of the player of which the purchase is part.

use super::{
    LONG, PAST, SHORT, acquire, act, batch, born, cart, columns, confirm, held, hold, id, looks::expect_counted,
    player, release, seed, seeded, sku, state, write,
};
use crate::conformance::placing;
use holdall_protocol::ids::{PlayerId, ReservationId, Revision};
use holdall_server::store::{
    Life, Outcome, Owner, PlayerWrite, Store,
    stock::{Act, Claim, ClaimId, Done, Known, Purchase, State, StockError, Swept},
};
use tokio::time::sleep;

pub(super) fn attempt() -> ClaimId {
    ClaimId::new(super::new_uuid())
}

pub(super) fn claim(reservation: ReservationId, player: &str, owner: &Owner) -> Claim {
    Claim { reservation, id: attempt(), player: id(player), owner: owner.clone() }
}

/// A hold of two of ten, its player's token, and the claim that is not yet made.
pub(super) async fn to_be_claimed(store: &dyn Store) -> (ReservationId, Owner, Claim) {
    seeded(store, "s", 10).await;
    let owner = born(store, "p").await;
    let made = held(store, hold("s", player("p"), 2, LONG)).await.id;
    let claim = claim(made, "p", &owner);
    (made, owner, claim)
}

fn buying(write: PlayerWrite, reservations: &[ReservationId]) -> PlayerWrite {
    let purchase = |reservation: &ReservationId| Purchase { reservation: *reservation, sku: sku("s") };
    PlayerWrite { purchases: reservations.iter().map(purchase).collect(), ..placing(write, &[("b:0", Some("bought"))]) }
}

async fn revision(store: &dyn Store, player: &str) -> u64 {
    let player: Vec<PlayerId> = vec![id(player)];
    let standings = store.standings(player).await.expect("the store answers");
    standings.headers[0].revision.get()
}

pub(super) async fn a_claim_is_the_owners_and_the_holders(store: &dyn Store) {
    let (made, owner, good) = to_be_claimed(store).await;
    let stranger = born(store, "q").await;
    let missing = Act::Claim(claim(super::new_id(), "p", &owner));
    assert_eq!(act(store, missing).await, Err(StockError::NoSuchReservation));
    let others = Act::Claim(claim(made, "q", &stranger));
    assert_eq!(act(store, others).await, Err(StockError::NoSuchReservation));
    let of_cart = held(store, hold("s", cart("p"), 1, LONG)).await.id;
    assert_eq!(act(store, Act::Claim(claim(of_cart, "p", &owner))).await, Err(StockError::NoSuchReservation));
    // Of another load: two players' tokens may well be equal.
    let elsewhere = Owner::stored("elsewhere:0000000000000001:1");
    assert_eq!(act(store, Act::Claim(claim(made, "p", &elsewhere))).await, Err(StockError::NotOwner));
    let claimed = act(store, Act::Claim(good.clone())).await;
    let Ok(Done::Reservation(reservation)) = &claimed else { panic!("{claimed:?}") };
    assert_eq!((reservation.id, reservation.state), (made, State::Claimed));
    assert_eq!(act(store, Act::Claim(good)).await, claimed, "the same attempt may claim again");
    assert_eq!(act(store, Act::Claim(claim(made, "p", &owner))).await, Err(StockError::Claimed), "another may not");
    assert_eq!(columns(store, "s").await, [7, 3, 0, 2]);
    let mut holds = acquire(store, "p").await.holds;
    assert_eq!(holds.pop().map(|hold| (hold.id, hold.state)), Some((made, State::Claimed)));
}

pub(super) async fn a_claimed_hold_is_left_alone(store: &dyn Store) {
    seeded(store, "s", 10).await;
    let owner = born(store, "p").await;
    let made = held(store, hold("s", player("p"), 2, SHORT)).await.id;
    let late = held(store, hold("s", player("p"), 1, SHORT)).await.id;
    act(store, Act::Claim(claim(made, "p", &owner))).await.expect("it is active");
    sleep(PAST).await;
    let too_late = act(store, Act::Claim(claim(late, "p", &owner))).await;
    assert_eq!(too_late, Err(StockError::NotActive(State::Expired)));
    assert_eq!(act(store, confirm(made)).await, Err(StockError::Claimed));
    assert_eq!(act(store, release(made)).await, Err(StockError::Claimed));
    assert_eq!(act(store, seed("s", 1, Known::Force)).await, Err(StockError::Claimed));
    assert_eq!(act(store, seed("s", 1, Known::Reset)).await, Err(StockError::HoldsOpen { holds: 1 }));
    assert_eq!(store.sweep().await.map(|swept| (swept.expired, swept.undone)), Ok((0, 0)));
    assert_eq!((state(store, made).await, columns(store, "s").await), (State::Claimed, [8, 2, 0, 1]));
}

pub(super) async fn a_claim_stands_while_its_token_does(store: &dyn Store) {
    let (made, owner, good) = to_be_claimed(store).await;
    seeded(store, "t", 1).await;
    act(store, Act::Claim(good.clone())).await.expect("it is active");
    assert_eq!(store.sweep().await, Ok(Swept { expired: 0, undone: 0, claims: vec![good] }));
    let next = acquire(store, "p").await.owner;
    assert_eq!(store.sweep().await, Ok(Swept { expired: 0, undone: 1, claims: Vec::new() }));
    assert_eq!((state(store, made).await, columns(store, "s").await), (State::Active, [8, 2, 0, 1]));
    assert_eq!(act(store, Act::Claim(claim(made, "p", &owner))).await, Err(StockError::NotOwner));
    let header = store.standings(vec![id("p")]).await.expect("the store answers").headers.remove(0);
    assert_eq!(header.owner, Some(next.clone()), "who has replaced it stays");
    let again = claim(made, "p", &next);
    act(store, Act::Claim(again.clone())).await.expect("it is active");
    let release = PlayerWrite { release: true, ..write("p", &next, 1, 1) };
    assert_eq!(store.commit(batch(vec![release]), Life::default()).await, Outcome::Applied);
    assert_eq!(store.sweep().await.map(|swept| swept.undone), Ok(1));
    assert_eq!(state(store, made).await, State::Active);
    assert_eq!(store.sweep().await, Ok(Swept::default()));
}

pub(super) async fn a_claim_gives_way_to_the_next_owners(store: &dyn Store) {
    let (made, _, good) = to_be_claimed(store).await;
    act(store, Act::Claim(good.clone())).await.expect("it is active");
    let next = acquire(store, "p").await.owner;
    act(store, Act::Claim(claim(made, "p", &next))).await.expect("who claimed it can pay no more");
    act(store, Act::Unclaim { reservation: made, claim: good.id }).await.expect("it is there");
    assert_eq!((state(store, made).await, columns(store, "s").await), (State::Claimed, [8, 2, 0, 1]));
    let paid = buying(write("p", &next, 1, 2), &[made]);
    assert_eq!(store.commit(batch(vec![paid]), Life::default()).await, Outcome::Applied);
    assert_eq!(state(store, made).await, State::Confirmed);

    let late = held(store, hold("s", player("p"), 1, SHORT)).await.id;
    act(store, Act::Claim(claim(late, "p", &next))).await.expect("it is active");
    sleep(PAST).await;
    let last = acquire(store, "p").await.owner;
    let too_late = act(store, Act::Claim(claim(late, "p", &last))).await;
    assert_eq!(too_late, Err(StockError::NotActive(State::Expired)));
    assert_eq!(columns(store, "s").await, [8, 0, 2, 0]);
}

pub(super) async fn a_taken_back_claim_leaves_the_hold_as_it_would_be(store: &dyn Store) {
    let (made, owner, good) = to_be_claimed(store).await;
    let back = |reservation, claim| Act::Unclaim { reservation, claim };
    assert_eq!(act(store, back(super::new_id(), good.id)).await, Err(StockError::NoSuchReservation));
    act(store, Act::Claim(good.clone())).await.expect("it is active");
    let others = super::reservation_of(act(store, back(made, attempt())).await);
    assert_eq!(others.state, State::Claimed, "another attempt's claim is not its");
    for _ in 0..2 {
        assert_eq!(super::reservation_of(act(store, back(made, good.id)).await).state, State::Active);
    }
    act(store, release(made)).await.expect("it is active");
    assert_eq!(super::reservation_of(act(store, back(made, good.id)).await).state, State::Released);
    let short = held(store, hold("s", player("p"), 1, SHORT)).await.id;
    let second = claim(short, "p", &owner);
    act(store, Act::Claim(second.clone())).await.expect("it is active");
    sleep(PAST).await;
    assert_eq!(super::reservation_of(act(store, back(short, second.id)).await).state, State::Expired);
    assert_eq!(columns(store, "s").await, [10, 0, 0, 0]);
}

pub(super) async fn a_purchase_moves_the_stock_together_with_its_player(store: &dyn Store) {
    let (made, owner, good) = to_be_claimed(store).await;
    let second = held(store, hold("s", player("p"), 3, LONG)).await.id;
    act(store, Act::Claim(good)).await.expect("it is active");
    act(store, Act::Claim(claim(second, "p", &owner))).await.expect("it is active");
    let other = born(store, "q").await;
    let both = batch(vec![write("q", &other, 1, 2), buying(write("p", &owner, 1, 2), &[made, second])]);
    assert_eq!(store.commit(both.clone(), Life::default()).await, Outcome::Applied);
    assert_eq!(columns(store, "s").await, [5, 0, 5, 0]);
    expect_counted(store).await;
    assert_eq!(store.commit(both, Life::default()).await, Outcome::Already);
    assert_eq!(columns(store, "s").await, [5, 0, 5, 0]);
    for bought in [made, second] {
        assert_eq!(state(store, bought).await, State::Confirmed);
        assert_eq!(act(store, release(bought)).await, Err(StockError::NotActive(State::Confirmed)));
    }
    assert_eq!(store.sweep().await, Ok(Swept::default()));
    let loaded = acquire(store, "p").await;
    assert_eq!((loaded.revision, loaded.places.len(), loaded.holds.len()), (Revision::new(2), 1, 0));
    let book = store.stock_book(sku("s")).await.expect("the store answers").expect("it is there");
    assert_eq!(book.units, [(id("p"), 5)], "what is bought still counts");
}

pub(super) async fn a_purchase_needs_no_claim_that_the_store_has_lost(store: &dyn Store) {
    seeded(store, "s", 10).await;
    let owner = born(store, "p").await;
    let made = held(store, hold("s", player("p"), 2, SHORT)).await.id;
    sleep(PAST).await;
    // Its time is over, and nobody has looked: whoever claimed it before the store lost the claim has it still.
    let bought = buying(write("p", &owner, 1, 2), &[made]);
    assert_eq!(store.commit(batch(vec![bought]), Life::default()).await, Outcome::Applied);
    assert_eq!((state(store, made).await, columns(store, "s").await), (State::Confirmed, [8, 0, 2, 0]));
}

pub(super) async fn a_hold_that_cannot_be_paid_for_writes_nothing(store: &dyn Store) {
    let (made, owner, good) = to_be_claimed(store).await;
    let (other, of_cart) = (born(store, "q").await, held(store, hold("s", cart("p"), 1, LONG)).await.id);
    let gone = held(store, hold("s", player("p"), 1, LONG)).await.id;
    act(store, release(gone)).await.expect("it is active");
    let regressed = |player: &str| Outcome::Regressed { players: vec![id(player)] };
    for not_theirs in [gone, of_cart, super::new_id()] {
        let both = vec![write("q", &other, 1, 2), buying(write("p", &owner, 1, 2), &[made, not_theirs])];
        assert_eq!(store.commit(batch(both), Life::default()).await, regressed("p"));
    }
    let others = batch(vec![buying(write("q", &other, 1, 2), &[made])]);
    assert_eq!(store.commit(others, Life::default()).await, regressed("q"), "it is another's");
    seeded(store, "t", 5).await;
    let wrong = Purchase { reservation: made, sku: sku("t") };
    let wrong = PlayerWrite { purchases: vec![wrong], ..write("p", &owner, 1, 2) };
    assert_eq!(store.commit(batch(vec![wrong]), Life::default()).await, regressed("p"), "it is on another SKU");
    act(store, Act::Claim(good)).await.expect("it is active");
    let next = acquire(store, "p").await.owner;
    let late = batch(vec![buying(write("p", &owner, 1, 2), &[made])]);
    assert_eq!(store.commit(late, Life::default()).await, Outcome::Fenced { players: vec![id("p")] });
    let replaced = batch(vec![buying(write("p", &next, 1, 2), &[made])]);
    assert_eq!(store.commit(replaced.clone(), Life::default()).await, regressed("p"), "another token's claim");
    assert_eq!((revision(store, "p").await, revision(store, "q").await), (1, 1));
    assert_eq!(store.sweep().await.map(|swept| swept.undone), Ok(1));
    assert_eq!(columns(store, "s").await, [7, 3, 0, 2]);
    assert_eq!(store.commit(replaced, Life::default()).await, Outcome::Applied);
    assert_eq!(columns(store, "s").await, [7, 1, 2, 1]);
}
