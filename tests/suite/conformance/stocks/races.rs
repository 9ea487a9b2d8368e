//! Many at once: nobody oversells, nobody is refused for the crowd, and every hold comes to one end.

use super::{LONG, act, born, cart, claims::claim, columns, confirm, held, hold, player, release, seeded, state};
use futures_util::future::{join, join_all};
use holdall_server::store::{
    Store,
    stock::{Act, Done, State, StockError},
};
use std::time::Duration;
use tokio::time::sleep;

/// Over while somebody else is about to end it.
const FLEETING: Duration = Duration::from_millis(20);

pub(super) async fn five_hundred_at_once_hold_exactly_what_there_is(store: &dyn Store) {
    seeded(store, "s", 100).await;
    let holds = (0..500).map(|n| act(store, Act::Hold(hold("s", cart(&format!("c-{n}")), 1, LONG))));
    let answers = join_all(holds).await;
    let held = answers.iter().filter(|answer| answer.is_ok()).count();
    assert_eq!(held, 100);
    let refused = answers.into_iter().filter_map(Result::err);
    for refusal in refused {
        assert_eq!(refusal, StockError::Insufficient { available: 0 });
    }
    assert_eq!(columns(store, "s").await, [0, 100, 0, 100]);
}

/// One way for a hold to come to its end, or to be on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Confirm,
    Release,
    Expire,
    Claim,
}

/// Whether this end came.
async fn end(store: &dyn Store, end: End, (reservation, claim): (holdall_protocol::ids::ReservationId, Act)) -> bool {
    let done = match end {
        End::Confirm => act(store, confirm(reservation)).await,
        End::Release => act(store, release(reservation)).await,
        End::Claim => act(store, claim).await,
        End::Expire => {
            let swept = store.sweep().await.expect("the store answers");
            return swept.expired == 1;
        }
    };
    matches!(done, Ok(Done::Reservation(_)))
}

pub(super) async fn of_two_ends_of_a_hold_exactly_one_comes(store: &dyn Store) {
    seeded(store, "s", 10).await;
    let owner = born(store, "p").await;
    let (all, mut sold) = ([End::Confirm, End::Release, End::Expire, End::Claim], 0);
    for (n, (one, other)) in all.into_iter().flat_map(|one| all.map(|other| (one, other))).enumerate() {
        let pair = [one, other];
        if pair.contains(&End::Confirm) && pair.contains(&End::Claim) {
            // A player's hold is not confirmed so, and a cart's not claimed.
            continue;
        }
        let time = if pair.contains(&End::Expire) { FLEETING } else { LONG };
        let holder = if pair.contains(&End::Claim) { player("p") } else { cart("c") };
        let made = held(store, hold("s", holder, 1, time)).await.id;
        // Just when it runs out, or a little before or after.
        let around = if time == FLEETING { 17 + u64::try_from(n % 6).expect("small") } else { 0 };
        sleep(Duration::from_millis(around)).await;
        let claims = [claim(made, "p", &owner), claim(made, "p", &owner)];
        let [first, second] = claims.clone().map(|claim| (made, Act::Claim(claim)));
        let (one, other) = join(end(store, one, first), end(store, other, second)).await;
        let came = u8::from(one) + u8::from(other);
        assert!(came == 1 || (came == 0 && time == FLEETING), "{pair:?}: {came} of them came");
        sleep(Duration::from_millis(if time == FLEETING { 30 } else { 0 })).await;
        let came = state(store, made).await;
        let expected = pair.map(|end| match end {
            End::Confirm => State::Confirmed,
            End::Release => State::Released,
            End::Expire => State::Expired,
            End::Claim => State::Claimed,
        });
        assert!(expected.contains(&came), "{pair:?} came to {came:?}");
        let confirmed = u64::from(came == State::Confirmed);
        sold += confirmed;
        let open = u64::from(came == State::Claimed);
        assert_eq!(columns(store, "s").await, [10 - sold - open, open, sold, open], "{pair:?} came to {came:?}");
        for claim in claims {
            let back = Act::Unclaim { reservation: made, claim: claim.id };
            act(store, back).await.expect("it is harmless");
        }
        let _ended_by_now_or_not = act(store, release(made)).await;
        assert_eq!(columns(store, "s").await, [10 - sold, 0, sold, 0], "{pair:?}");
    }
    assert!(sold > 0, "a confirmation came at least where nothing else could");
}

pub(super) async fn several_sweeps_free_a_hold_once(store: &dyn Store) {
    seeded(store, "s", 1_000).await;
    seeded(store, "t", 1_000).await;
    for n in 0..40 {
        held(store, hold(if n % 2 == 0 { "s" } else { "t" }, cart(&format!("c-{n}")), 3, Duration::ZERO)).await;
    }
    held(store, hold("s", player("p"), 5, Duration::ZERO)).await;
    let before = stocks_freed(store).await;
    let sweeps = join_all((0..8).map(|_| store.sweep())).await;
    let swept: u64 = sweeps.into_iter().map(|swept| swept.expect("the store answers").expired).sum();
    assert_eq!(before + swept, 41, "each hold once, however many sweep");
    assert_eq!((columns(store, "s").await, columns(store, "t").await), ([1_000, 0, 0, 0], [1_000, 0, 0, 0]));
}

/// Holds that later holds on the same SKU have let go already.
async fn stocks_freed(store: &dyn Store) -> u64 {
    let entries = store.stock_audit(None, None, 10_000).await.expect("the store answers").items;
    let expired = entries.iter().filter(|entry| entry.state == Some(State::Expired)).count();
    u64::try_from(expired).expect("few")
}
