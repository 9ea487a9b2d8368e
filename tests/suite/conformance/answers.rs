//! What operators were answered is kept with the effect of their order.

use super::{acquire, batch, born, gift, id, passing, waiting, write};
use bytes::Bytes;
use holdall_protocol::ids::OrderKey;
use holdall_server::store::{KeptAnswer, Life, Outcome, PlayerWrite, Store};

/// The same, which answers orders.
fn answering(write: PlayerWrite, answers: &[(&str, u64, &str)]) -> PlayerWrite {
    let answers = answers.iter().map(|(key, order, answer)| kept(key, *order, answer)).collect();
    PlayerWrite { answers, ..write }
}

fn kept(key: &str, order: u64, answer: &str) -> KeptAnswer {
    KeptAnswer { key: order_key(key), order, bytes: Bytes::copy_from_slice(answer.as_bytes()) }
}

fn order_key(text: &str) -> OrderKey {
    OrderKey::new(text).expect("an order key")
}

async fn answer(store: &dyn Store, key: &str) -> Option<KeptAnswer> {
    store.answer(order_key(key)).await.expect("the store answers")
}

pub(super) async fn what_an_order_was_answered_is_kept_with_its_effect(store: &dyn Store) {
    assert_eq!(answer(store, "one").await, None);
    let owner = born(store, "p").await;
    let order = answering(write("p", &owner, 1, 3), &[("one", u64::MAX, "done \0 one"), ("two", 0, "")]);
    let order = batch(vec![order]);
    assert_eq!(store.commit(order.clone(), Life::default()).await, Outcome::Applied);
    assert_eq!(store.commit(order, Life::default()).await, Outcome::Already);
    assert_eq!(answer(store, "one").await, Some(kept("one", u64::MAX, "done \0 one")));
    assert_eq!(answer(store, "two").await, Some(kept("two", 0, "")));
    assert_eq!(answer(store, "on").await, None);
}

pub(super) async fn the_first_answer_under_a_key_stays(store: &dyn Store) {
    let (one, other) = (born(store, "one").await, born(store, "other").await);
    let first = answering(write("one", &one, 1, 2), &[("key", 1, "first")]);
    assert_eq!(store.commit(batch(vec![first]), Life::default()).await, Outcome::Applied);
    let second = answering(write("other", &other, 1, 2), &[("key", 2, "second"), ("its-own", 3, "third")]);
    assert_eq!(store.commit(batch(vec![second]), Life::default()).await, Outcome::Applied);
    assert_eq!(answer(store, "key").await, Some(kept("key", 1, "first")));
    assert_eq!(answer(store, "its-own").await, Some(kept("its-own", 3, "third")));
}

pub(super) async fn a_batch_that_is_refused_answers_nothing(store: &dyn Store) {
    let (one, other) = (born(store, "one").await, born(store, "other").await);
    acquire(store, "other").await;
    let fine = answering(passing(write("one", &one, 1, 2), &[("other", 1, Some("gift"))]), &[("key", 1, "done")]);
    let fenced = Outcome::Fenced { players: vec![id("other")] };
    assert_eq!(store.commit(batch(vec![fine.clone(), write("other", &other, 1, 2)]), Life::default()).await, fenced);
    assert_eq!(answer(store, "key").await, None);
    assert_eq!(store.commit(batch(vec![fine]), Life::default()).await, Outcome::Applied);
    assert_eq!(answer(store, "key").await, Some(kept("key", 1, "done")));
    assert_eq!(waiting(store, "other").await, [(gift(1), "gift".to_owned())]);
}
