//! What every store promises, checked on each of them by the same tests.

mod answers;
mod openings;
mod stocks;
mod the_file;

use answers::{
    a_batch_that_is_refused_answers_nothing, the_first_answer_under_a_key_stays,
    what_an_order_was_answered_is_kept_with_its_effect,
};
use bytes::Bytes;
use holdall_harness::{redis::Redis, server::TempDir};
use holdall_protocol::{
    NUMBER_MAX,
    ids::{PlayerId, Revision, Seq},
};
use holdall_server::store::{
    Batch, BatchId, Door, Found, GiftId, InboxChange, Life, Loaded, Node, Outcome, Owner, PlayerWrite, Preferences,
    Store,
    embedded::Embedded,
    memory::Shelf,
    redis::{Options, Redis as RedisStore},
};
use openings::{
    a_batch_that_is_refused_lets_nothing_of_a_ledger_go, an_import_brings_the_opening,
    an_opening_comes_with_a_write_that_makes_no_revision_and_another_one_after_it,
    an_opening_replaces_the_items_up_to_its_mark_together_with_a_write,
};
use std::{
    any::Any,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// A store to try, and what must live as long as it does.
type Made = (Arc<dyn Store>, Box<dyn Any>);

pub(crate) fn node() -> Node {
    Node { id: "here".to_owned(), boot: 1 }
}

async fn memory() -> Made {
    (Arc::new(Shelf::default().open(node())), Box::new(()))
}

async fn embedded() -> Made {
    let dir = TempDir::new();
    let store = Embedded::open(&dir.path().join("store.redb"), 1 << 20, node()).expect("a new file opens");
    (Arc::new(store), Box::new(dir))
}

async fn redis() -> Made {
    let redis = Redis::run().await;
    (Arc::new(on(&redis, node()).await), Box::new(redis))
}

/// A node's handle on a real Redis.
pub(crate) async fn on(redis: &Redis, node: Node) -> RedisStore {
    on_realm(redis, node, "conformance").await
}

/// The same on one of its realms.
pub(crate) async fn on_realm(redis: &Redis, node: Node, realm: &str) -> RedisStore {
    let options = Options {
        url: redis.url(),
        password: None,
        ca_cert: None,
        realm: realm.to_owned(),
        lease: Duration::from_secs(2),
        known_world: None,
        new_world: false,
        fresh_world: "world".to_owned(),
    };
    RedisStore::open(options, node).await.expect("a Redis that runs can be opened")
}

pub(crate) fn id(text: &str) -> PlayerId {
    PlayerId::new(text).expect("a player id")
}

/// A write from one revision to another that touches nothing.
pub(crate) fn write(player: &str, owner: &Owner, base: u64, revision: u64) -> PlayerWrite {
    PlayerWrite {
        player: id(player),
        owner: owner.clone(),
        base: Revision::new(base),
        revision: Revision::new(revision),
        seq: Seq::new(revision),
        schema: 1,
        content: 1,
        saved_at: 1_800_000_000_000,
        places: Vec::new(),
        entries: Bytes::new(),
        release: false,
        readable_by: 1,
        inbox: Vec::new(),
        preferences: None,
        follows: None,
        answers: Vec::new(),
        opening: None,
        purchases: Vec::new(),
        restamps: true,
    }
}

/// The same, which sets or empties places.
pub(crate) fn placing(write: PlayerWrite, places: &[(&str, Option<&str>)]) -> PlayerWrite {
    let bytes = |value: &str| Bytes::copy_from_slice(value.as_bytes());
    let places = places.iter().map(|(place, value)| ((*place).into(), value.map(bytes))).collect();
    PlayerWrite { places, ..write }
}

pub(crate) fn batch(players: Vec<PlayerWrite>) -> Arc<Batch> {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let id = BatchId::new(uuid::Uuid::from_u128(NEXT.fetch_add(1, Ordering::Relaxed).into()));
    Arc::new(Batch { id, players })
}

async fn revisions(store: &dyn Store, players: &[PlayerId]) -> Vec<Revision> {
    let standings = store.standings(players.to_vec()).await.expect("the store answers");
    standings.headers.into_iter().map(|header| header.revision).collect()
}

pub(crate) async fn acquire(store: &dyn Store, player: &str) -> Loaded {
    store.acquire(id(player), Life::default()).await.expect("nobody else has the player")
}

fn things(loaded: &Loaded) -> Vec<(String, String)> {
    let text = |value: &Bytes| String::from_utf8(value.to_vec()).expect("text was written");
    let mut things: Vec<_> = loaded.places.iter().map(|(place, value)| (place.clone(), text(value))).collect();
    things.sort();
    things
}

fn pairs(places: &[(&str, &str)]) -> Vec<(String, String)> {
    places.iter().map(|(place, value)| ((*place).to_owned(), (*value).to_owned())).collect()
}

async fn an_unknown_player_is_owned_at_revision_0(store: &dyn Store) {
    let loaded = acquire(store, "new").await;
    assert_eq!((loaded.revision, loaded.seq, loaded.schema), (Revision::ZERO, Seq::ZERO, 0));
    assert!(loaded.places.is_empty() && loaded.recent.is_empty());
    assert_eq!(revisions(store, &[id("new"), id("other")]).await, [Revision::ZERO; 2]);
}

async fn what_is_written_is_read_back(store: &dyn Store) {
    let owner = acquire(store, "p").await.owner;
    let mut first =
        placing(write("p", &owner, 0, 1), &[("b:0", Some("one")), ("b:1", Some("two")), ("w:gold", Some("3"))]);
    first.entries = Bytes::from_static(b"first");
    assert_eq!(store.commit(batch(vec![first]), Life::default()).await, Outcome::Applied);
    let mut second = placing(write("p", &owner, 1, 4), &[("b:0", None), ("b:1", Some("new")), ("b:9", None)]);
    second.entries = Bytes::from_static(b"second");
    (second.schema, second.readable_by, second.content) = (7, 6, 9);
    assert_eq!(store.commit(batch(vec![second]), Life::default()).await, Outcome::Applied);
    let loaded = acquire(store, "p").await;
    assert_eq!(things(&loaded), pairs(&[("b:1", "new"), ("w:gold", "3")]));
    assert_eq!((loaded.revision, loaded.seq), (Revision::new(4), Seq::new(4)));
    assert_eq!((loaded.schema, loaded.readable_by, loaded.content), (7, 6, 9));
    assert_eq!(loaded.recent, [Bytes::from_static(b"first"), Bytes::from_static(b"second")]);
    assert_eq!(revisions(store, &[id("q"), id("p")]).await, [Revision::ZERO, Revision::new(4)]);
}

async fn a_batch_in_which_one_player_is_fenced_writes_nothing(store: &dyn Store) {
    let one = acquire(store, "one").await.owner;
    let stale = acquire(store, "other").await.owner;
    let taken_over = acquire(store, "other").await.owner;
    assert_ne!(stale, taken_over);
    for players in [[("one", &one), ("other", &stale)], [("other", &stale), ("one", &one)]] {
        let writes = players.map(|(player, owner)| placing(write(player, owner, 0, 1), &[("b:0", Some("x"))]));
        let fenced = Outcome::Fenced { players: vec![id("other")] };
        assert_eq!(store.commit(batch(writes.into()), Life::default()).await, fenced);
    }
    for player in ["one", "other"] {
        let loaded = acquire(store, player).await;
        assert_eq!((loaded.revision, loaded.places.len()), (Revision::ZERO, 0), "{player}");
    }
}

async fn the_same_batch_again_is_answered_already_and_changes_nothing(store: &dyn Store) {
    let (a, b) = (acquire(store, "a").await.owner, acquire(store, "b").await.owner);
    let first = batch(vec![
        placing(write("a", &a, 0, 1), &[("b:0", Some("first"))]),
        placing(write("b", &b, 0, 1), &[("b:0", Some("first"))]),
    ]);
    assert_eq!(store.commit(first.clone(), Life::default()).await, Outcome::Applied);
    assert_eq!(store.commit(first.clone(), Life::default()).await, Outcome::Already);
    let second = batch(vec![placing(write("b", &b, 1, 2), &[("b:0", Some("second"))])]);
    assert_eq!(store.commit(second.clone(), Life::default()).await, Outcome::Applied);
    assert_eq!(
        store.commit(first.clone(), Life::default()).await,
        Outcome::Already,
        "one of its players has not moved on"
    );
    assert_eq!(store.commit(second, Life::default()).await, Outcome::Already);
    // A takeover afterwards does not undo that it happened.
    acquire(store, "a").await;
    assert_eq!(store.commit(first, Life::default()).await, Outcome::Already, "already outranks fenced");
    assert_eq!(things(&acquire(store, "a").await), pairs(&[("b:0", "first")]));
    assert_eq!(things(&acquire(store, "b").await), pairs(&[("b:0", "second")]));
}

async fn only_the_newest_owner_writes(store: &dyn Store) {
    let first = acquire(store, "p").await.owner;
    let second = acquire(store, "p").await.owner;
    assert!(second.epoch() > first.epoch());
    let fenced = Outcome::Fenced { players: vec![id("p")] };
    assert_eq!(store.commit(batch(vec![write("p", &first, 0, 1)]), Life::default()).await, fenced);
    assert_eq!(store.commit(batch(vec![write("p", &second, 0, 1)]), Life::default()).await, Outcome::Applied);
    assert_eq!(store.commit(batch(vec![write("p", &first, 1, 2)]), Life::default()).await, fenced);
    assert_eq!(
        store.commit(batch(vec![write("never_loaded", &second, 0, 1)]), Life::default()).await,
        Outcome::Fenced { players: vec![id("never_loaded")] }
    );
}

async fn revisions_that_disagree_write_nothing(store: &dyn Store) {
    let owner = acquire(store, "p").await.owner;
    let calm = acquire(store, "calm").await.owner;
    assert_eq!(store.commit(batch(vec![write("p", &owner, 0, 5)]), Life::default()).await, Outcome::Applied);
    for (base, outcome) in [
        (4, Outcome::Conflict { players: vec![id("p")] }),
        (6, Outcome::Regressed { players: vec![id("p")] }),
        (0, Outcome::Conflict { players: vec![id("p")] }),
    ] {
        let writes = vec![
            placing(write("calm", &calm, 0, 1), &[("b:0", Some("x"))]),
            placing(write("p", &owner, base, 9), &[("b:0", Some("x"))]),
        ];
        assert_eq!(store.commit(batch(writes), Life::default()).await, outcome);
    }
    assert_eq!(revisions(store, &[id("p"), id("calm")]).await, [Revision::new(5), Revision::ZERO]);
    assert!(acquire(store, "p").await.places.is_empty());
}

async fn a_takeover_outranks_a_regression_and_a_regression_a_conflict(store: &dyn Store) {
    let stale = acquire(store, "stale").await.owner;
    acquire(store, "stale").await;
    let (ahead, behind) = (acquire(store, "ahead").await.owner, acquire(store, "behind").await.owner);
    assert_eq!(store.commit(batch(vec![write("ahead", &ahead, 0, 3)]), Life::default()).await, Outcome::Applied);
    let (ahead, behind) = (write("ahead", &ahead, 1, 2), write("behind", &behind, 5, 6));
    let all = vec![ahead.clone(), behind.clone(), write("stale", &stale, 0, 1)];
    assert_eq!(store.commit(batch(all), Life::default()).await, Outcome::Fenced { players: vec![id("stale")] });
    assert_eq!(
        store.commit(batch(vec![ahead, behind]), Life::default()).await,
        Outcome::Regressed { players: vec![id("behind")] }
    );
}

async fn a_release_ends_the_ownership_with_the_last_save(store: &dyn Store) {
    let owner = acquire(store, "p").await.owner;
    let last = PlayerWrite { release: true, ..placing(write("p", &owner, 0, 1), &[("b:0", Some("kept"))]) };
    let last = batch(vec![last]);
    assert_eq!(store.commit(last.clone(), Life::default()).await, Outcome::Applied);
    assert_eq!(store.commit(last.clone(), Life::default()).await, Outcome::Already);
    let fenced = Outcome::Fenced { players: vec![id("p")] };
    assert_eq!(store.commit(batch(vec![write("p", &owner, 1, 2)]), Life::default()).await, fenced, "it was given up");
    let next = acquire(store, "p").await;
    assert!(next.owner.epoch() > owner.epoch());
    assert_eq!((next.revision, things(&next)), (Revision::new(1), pairs(&[("b:0", "kept")])));
    // A release that brings nothing new.
    let idle = PlayerWrite { release: true, ..write("p", &next.owner, 1, 1) };
    assert_eq!(store.commit(batch(vec![idle]), Life::default()).await, Outcome::Applied);
    assert!(acquire(store, "p").await.owner.epoch() > next.owner.epoch());
}

async fn a_write_goes_on_from_the_history_that_it_names_and_from_no_other(store: &dyn Store) {
    let follows = |writer: &Owner, write| PlayerWrite { follows: Some(writer.clone()), ..write };
    let (first, calm) = (acquire(store, "p").await, acquire(store, "calm").await.owner);
    assert_eq!(first.writer, None, "nobody wrote revision 0");
    assert_eq!(store.commit(batch(vec![write("p", &first.owner, 0, 1)]), Life::default()).await, Outcome::Applied);
    let next = acquire(store, "p").await;
    assert_eq!(next.writer, Some(first.owner.clone()));
    let other = Owner::new(&node(), 77);
    let strange = vec![write("calm", &calm, 0, 1), follows(&other, write("p", &next.owner, 1, 2))];
    let conflict = Outcome::Conflict { players: vec![id("p")] };
    assert_eq!(store.commit(batch(strange), Life::default()).await, conflict, "the same number of another history");
    assert_eq!(revisions(store, &[id("p"), id("calm")]).await, [Revision::new(1), Revision::ZERO]);
    let idle = PlayerWrite { release: true, ..follows(&next.owner, write("p", &next.owner, 4, 4)) };
    for write in [
        follows(&first.owner, write("p", &next.owner, 1, 2)),
        PlayerWrite { restamps: false, ..follows(&next.owner, write("p", &next.owner, 2, 3)) },
        // As earlier builds wrote it.
        write("p", &next.owner, 3, 4),
        idle,
    ] {
        assert_eq!(store.commit(batch(vec![write]), Life::default()).await, Outcome::Applied);
    }
    let standings = store.standings(vec![id("p")]).await.expect("the store answers");
    assert_eq!(standings.headers[0].writer, Some(next.owner.clone()));
    let stored = store.peek(id("p")).await.expect("the store answers").expect("the player is there");
    assert_eq!((stored.schema, stored.content, stored.writer.as_ref()), (1, 1, Some(&next.owner)), "as it was");
    store.import(id("copy"), stored, Vec::new()).await.expect("it is new");
    for player in ["p", "copy"] {
        assert_eq!(acquire(store, player).await.writer, Some(next.owner.clone()), "a release wrote no revision");
    }
}

async fn the_newest_64_entries_at_least_are_read_back_in_order(store: &dyn Store) {
    let owner = acquire(store, "p").await.owner;
    for revision in 1..=300_u64 {
        let entry = Bytes::from(format!("entry {revision}"));
        let write = PlayerWrite { entries: entry, ..write("p", &owner, revision - 1, revision) };
        assert_eq!(store.commit(batch(vec![write]), Life::default()).await, Outcome::Applied);
    }
    let recent = acquire(store, "p").await.recent;
    assert!(recent.len() >= 64, "{}", recent.len());
    let first = 300 - recent.len() + 1;
    let expected: Vec<Bytes> = (first..=300).map(|revision| Bytes::from(format!("entry {revision}"))).collect();
    assert_eq!(recent, expected);
}

async fn numbers_around_2_to_the_53_and_beyond_stay_exact(store: &dyn Store) {
    for (at, number) in [NUMBER_MAX - 1, NUMBER_MAX, NUMBER_MAX + 1, NUMBER_MAX + 2].into_iter().enumerate() {
        let player = format!("p{at}");
        let owner = acquire(store, &player).await.owner;
        let mut write = write(&player, &owner, 0, number);
        (write.saved_at, write.schema, write.content) = (number, u32::MAX, u32::MAX);
        assert_eq!(store.commit(batch(vec![write]), Life::default()).await, Outcome::Applied);
        let loaded = acquire(store, &player).await;
        assert_eq!((loaded.revision.get(), loaded.seq.get()), (number, number));
        assert_eq!((loaded.schema, loaded.content), (u32::MAX, u32::MAX));
        // One more or less is another revision.
        let off = PlayerWrite { base: Revision::new(number - 1), ..self::write(&player, &loaded.owner, 0, number + 1) };
        assert_eq!(
            store.commit(batch(vec![off]), Life::default()).await,
            Outcome::Conflict { players: vec![id(&player)] }
        );
    }
}

async fn players_whose_ids_begin_alike_share_nothing(store: &dyn Store) {
    let longest = "z".repeat(64);
    let ids = ["a", "a-", "a_", "aa", "a0", "A", "-", "_", "--", "b", "0", "Z", "z", &longest[..63], &longest];
    for (at, player) in ids.iter().enumerate() {
        let owner = acquire(store, player).await.owner;
        let place = format!("b:{at}");
        let mut write = placing(write(player, &owner, 0, 1), &[(&place, Some(player)), ("b:999", Some(player))]);
        write.entries = Bytes::copy_from_slice(player.as_bytes());
        assert_eq!(store.commit(batch(vec![write]), Life::default()).await, Outcome::Applied);
    }
    for (at, player) in ids.iter().enumerate() {
        let loaded = acquire(store, player).await;
        assert_eq!(things(&loaded), pairs(&[(&format!("b:{at}"), player), ("b:999", player)]), "{player}");
        assert_eq!(loaded.recent, [Bytes::copy_from_slice(player.as_bytes())], "{player}");
    }
}

async fn values_are_any_bytes(store: &dyn Store) {
    let owner = acquire(store, "p").await.owner;
    let values = [Bytes::new(), Bytes::from_static(&[0, 255, 1, 0]), Bytes::from(vec![7; 100_000])];
    let places = values.iter().enumerate().map(|(at, value)| (format!("b:{at}").into(), Some(value.clone()))).collect();
    let write = PlayerWrite { places, ..write("p", &owner, 0, 1) };
    assert_eq!(store.commit(batch(vec![write]), Life::default()).await, Outcome::Applied);
    let mut read = acquire(store, "p").await.places;
    read.sort();
    assert_eq!(read.into_iter().map(|(_, value)| value).collect::<Vec<_>>(), values);
}

async fn verbs_at_the_same_time_agree_on_one_owner(store: &dyn Store) {
    let answers = futures_util::future::join_all((0..50).map(|_| store.acquire(id("p"), Life::default()))).await;
    let owners: Vec<Owner> = answers.into_iter().map(|answer| answer.expect("it is there").owner).collect();
    let writes = owners.iter().map(|owner| store.commit(batch(vec![write("p", owner, 0, 1)]), Life::default()));
    let outcomes = futures_util::future::join_all(writes).await;
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Outcome::Applied).count(), 1, "{outcomes:?}");
}

/// The `n`th gift.
pub(crate) fn gift(n: u128) -> GiftId {
    GiftId::new(uuid::Uuid::from_u128(n))
}

/// The same, which puts into and takes out of inboxes.
pub(crate) fn passing(write: PlayerWrite, steps: &[(&str, u128, Option<&str>)]) -> PlayerWrite {
    let step = |(owner, n, content): &(&str, u128, Option<&str>)| InboxChange {
        owner: id(owner),
        gift: gift(*n),
        content: content.map(|content| Bytes::copy_from_slice(content.as_bytes())),
    };
    PlayerWrite { inbox: steps.iter().map(step).collect(), ..write }
}

pub(crate) async fn waiting(store: &dyn Store, player: &str) -> Vec<(GiftId, String)> {
    let waiting = store.inbox(id(player)).await.expect("the inbox can be read");
    waiting.into_iter().map(|(gift, content)| (gift, String::from_utf8(content.to_vec()).expect("text"))).collect()
}

async fn born(store: &dyn Store, player: &str) -> Owner {
    let owner = acquire(store, player).await.owner;
    assert_eq!(store.commit(batch(vec![write(player, &owner, 0, 1)]), Life::default()).await, Outcome::Applied);
    owner
}

async fn what_anybody_puts_into_an_inbox_waits_until_its_owner_takes_it(store: &dyn Store) {
    let (giver, taker) = (born(store, "giver").await, born(store, "taker").await);
    assert!(!acquire(store, "nobody").await.has_mail);
    let put = passing(write("giver", &giver, 1, 2), &[("taker", 2, Some("two")), ("taker", 1, Some("one"))]);
    let put = batch(vec![put]);
    assert_eq!(store.commit(put.clone(), Life::default()).await, Outcome::Applied);
    let both = [(gift(1), "one".to_owned()), (gift(2), "two".to_owned())];
    assert_eq!(waiting(store, "taker").await, both, "the oldest first");
    assert_eq!(store.commit(put, Life::default()).await, Outcome::Already);
    let take = batch(vec![passing(write("taker", &taker, 1, 2), &[("taker", 1, None), ("giver", 3, Some("back"))])]);
    assert_eq!(store.commit(take.clone(), Life::default()).await, Outcome::Applied);
    assert_eq!(store.commit(take, Life::default()).await, Outcome::Already);
    assert_eq!(waiting(store, "taker").await, both[1..]);
    assert_eq!(waiting(store, "giver").await, [(gift(3), "back".to_owned())]);
    assert!(acquire(store, "taker").await.has_mail);
    let stored = store.peek(id("taker")).await.expect("it can be read").expect("it is there");
    assert_eq!(stored.inbox, [(gift(2), Bytes::from_static(b"two"))]);
}

async fn a_batch_that_is_refused_leaves_every_inbox_alone(store: &dyn Store) {
    let (giver, other) = (born(store, "giver").await, born(store, "other").await);
    acquire(store, "other").await;
    let put = passing(write("giver", &giver, 1, 2), &[("taker", 1, Some("one"))]);
    let fenced = Outcome::Fenced { players: vec![id("other")] };
    assert_eq!(store.commit(batch(vec![put, write("other", &other, 1, 2)]), Life::default()).await, fenced);
    let late = passing(write("giver", &giver, 0, 1), &[("taker", 1, Some("one"))]);
    let conflict = Outcome::Conflict { players: vec![id("giver")] };
    assert_eq!(store.commit(batch(vec![late]), Life::default()).await, conflict);
    assert_eq!(waiting(store, "taker").await, []);
}

async fn a_gift_that_is_not_there_is_not_taken(store: &dyn Store) {
    let (giver, taker) = (born(store, "giver").await, born(store, "taker").await);
    let early = Outcome::Regressed { players: vec![id("taker")] };
    let take = |n| passing(write("taker", &taker, 1, 2), &[("taker", n, None)]);
    assert_eq!(store.commit(batch(vec![take(1)]), Life::default()).await, early);
    let put = passing(write("giver", &giver, 1, 2), &[("taker", 1, Some("one"))]);
    assert_eq!(
        store.commit(batch(vec![put.clone(), take(1)]), Life::default()).await,
        early,
        "it is put in the same step"
    );
    assert_eq!(store.commit(batch(vec![put]), Life::default()).await, Outcome::Applied, "nothing was written before");
    assert_eq!(store.commit(batch(vec![take(2)]), Life::default()).await, early, "another one is there");
    assert_eq!(store.commit(batch(vec![take(1)]), Life::default()).await, Outcome::Applied);
    assert_eq!(waiting(store, "taker").await, []);
}

async fn the_door_tells_what_a_giver_has_to_know(store: &dyn Store) {
    let door = |player: &str| store.door(id(player));
    let nobody = Door { exists: false, preferences: Preferences::default(), waiting: 0, owner: None };
    assert_eq!(door("nobody").await, Ok(nobody));
    let unborn = acquire(store, "unborn").await.owner;
    assert!(!door("unborn").await.expect("it can be read").exists, "taken, and never born");
    let giver = born(store, "giver").await;
    let mut write = passing(write("giver", &giver, 1, 2), &[("giver", 1, Some("one")), ("giver", 2, Some("two"))]);
    write.preferences = Some(Preferences::default().with(Some(false), None));
    assert_eq!(store.commit(batch(vec![write]), Life::default()).await, Outcome::Applied);
    let preferences = Preferences::default().with(Some(false), None);
    let here = Door { exists: true, preferences, waiting: 2, owner: Some(giver.clone()) };
    assert_eq!(door("giver").await, Ok(here.clone()));
    let release = PlayerWrite { release: true, ..self::write("giver", &giver, 2, 2) };
    assert_eq!(store.commit(batch(vec![release]), Life::default()).await, Outcome::Applied);
    assert_eq!(door("giver").await, Ok(Door { owner: None, ..here }));
    drop(unborn);
}

async fn what_a_player_has_set_stays_until_it_is_set_again(store: &dyn Store) {
    let owner = born(store, "p").await;
    assert_eq!(acquire(store, "other").await.preferences, Preferences::default());
    let odd = Preferences::stored(0x8000_0000).with(None, Some(false));
    let set = PlayerWrite { preferences: Some(odd), ..write("p", &owner, 1, 2) };
    assert_eq!(store.commit(batch(vec![set]), Life::default()).await, Outcome::Applied);
    assert_eq!(store.commit(batch(vec![write("p", &owner, 2, 3)]), Life::default()).await, Outcome::Applied);
    let loaded = acquire(store, "p").await;
    assert_eq!(loaded.preferences, odd, "also the bits that this build does not know");
    let back = PlayerWrite { preferences: Some(Preferences::default()), ..write("p", &loaded.owner, 3, 4) };
    assert_eq!(store.commit(batch(vec![back]), Life::default()).await, Outcome::Applied);
    assert_eq!(acquire(store, "p").await.preferences, Preferences::default());
}

async fn of_a_very_full_inbox_the_oldest_are_read(store: &dyn Store) {
    let owner = born(store, "p").await;
    let steps: Vec<_> = (1..=300).rev().map(|n| ("p", n, Some("x"))).collect();
    let write = passing(write("p", &owner, 1, 2), &steps);
    assert_eq!(store.commit(batch(vec![write]), Life::default()).await, Outcome::Applied);
    let read: Vec<_> = waiting(store, "p").await.into_iter().map(|(gift, _)| gift).collect();
    assert_eq!(read, (1..=256).map(gift).collect::<Vec<_>>());
    assert_eq!(store.door(id("p")).await.expect("it can be read").waiting, 300);
    assert_eq!(store.peek(id("p")).await.expect("it can be read").expect("it is there").inbox.len(), 300);
}

async fn an_import_brings_the_inbox_and_what_was_set(store: &dyn Store) {
    let owner = born(store, "p").await;
    let steps: Vec<_> = (1..=3).map(|n| ("p", n, Some("x"))).collect();
    let mut write = passing(write("p", &owner, 1, 2), &steps);
    (write.release, write.preferences) = (true, Some(Preferences::default().with(Some(false), Some(false))));
    assert_eq!(store.commit(batch(vec![write]), Life::default()).await, Outcome::Applied);
    let stored = store.peek(id("p")).await.expect("it can be read").expect("it is there");
    assert_eq!((stored.inbox.len(), stored.preferences.bits()), (3, 3));
    let ledger = vec![(Revision::new(2), Bytes::from_static(b"entry"))];
    assert_eq!(store.import(id("copy"), stored.clone(), ledger).await, Ok(()));
    assert_eq!(store.peek(id("copy")).await, Ok(Some(stored)));
    assert_eq!(acquire(store, "copy").await.recent, [Bytes::from_static(b"entry")]);
}

async fn players_read_together_are_those_that_are_there(store: &dyn Store) {
    let owner = born(store, "p").await;
    let mut first = passing(placing(write("p", &owner, 1, 2), &[("b:0", Some("one"))]), &[("q", 2, Some("b"))]);
    first.entries = Bytes::from_static(b"first");
    let mut second = passing(write("p", &owner, 2, 5), &[("p", 9, Some("z")), ("p", 1, Some("a"))]);
    second.entries = Bytes::from_static(b"second");
    for write in [first, second] {
        assert_eq!(store.commit(batch(vec![write]), Life::default()).await, Outcome::Applied);
    }
    born(store, "q").await;
    let read = store.together(vec![id("q"), id("nobody"), id("p")]).await.expect("the store answers");
    let [Ok(Some(q)), Ok(None), Ok(Some(p))] = &read[..] else { panic!("{read:?}") };
    for (player, whole) in [("p", p), ("q", q)] {
        let stored = store.peek(id(player)).await.expect("it can be read").expect("it is there");
        let ledger = store.ledger(id(player), None).await.expect("it can be read").items;
        assert_eq!((&whole.stored, &whole.ledger), (&stored, &ledger));
    }
    assert_eq!((p.ledger.len(), p.stored.inbox.len(), q.stored.inbox.len()), (2, 2, 1));
    assert_eq!(store.together(Vec::new()).await, Ok(Vec::new()));
}

async fn players_read_together_are_of_one_moment(store: &dyn Store) {
    let (one, other) = (born(store, "one").await, born(store, "other").await);
    let writes = async {
        for at in 1..60 {
            let both = batch(vec![write("one", &one, at, at + 1), write("other", &other, at, at + 1)]);
            assert_eq!(store.commit(both, Life::default()).await, Outcome::Applied);
        }
    };
    let looks = async {
        loop {
            let read = store.together(vec![id("one"), id("other")]).await.expect("the store answers");
            let at = |found: &Found| found.as_ref().ok().and_then(|whole| Some(whole.as_ref()?.stored.revision.get()));
            let (one, other) = (at(&read[0]), at(&read[1]));
            assert_eq!(one, other);
            if one == Some(60) {
                return;
            }
        }
    };
    futures_util::future::join(writes, looks).await;
}

/// Every promise as a test of each store.
macro_rules! conformance {
    ($($promise:ident)*; $($store:ident)*) => {
        conformance!(@ [$($promise)*] $($store)*);
    };
    (@ $promises:tt $($store:ident)*) => { $(conformance!(# $store $promises);)* };
    (# $store:ident [$($promise:ident)*]) => {
        mod $store {
            $(#[tokio::test]
            async fn $promise() {
                let (store, _alive) = super::$store().await;
                super::$promise(&*store).await;
            })*
        }
    };
}
use conformance;

conformance! {
    an_unknown_player_is_owned_at_revision_0
    what_is_written_is_read_back
    a_batch_in_which_one_player_is_fenced_writes_nothing
    the_same_batch_again_is_answered_already_and_changes_nothing
    only_the_newest_owner_writes
    revisions_that_disagree_write_nothing
    a_takeover_outranks_a_regression_and_a_regression_a_conflict
    a_release_ends_the_ownership_with_the_last_save
    a_write_goes_on_from_the_history_that_it_names_and_from_no_other
    the_newest_64_entries_at_least_are_read_back_in_order
    numbers_around_2_to_the_53_and_beyond_stay_exact
    players_whose_ids_begin_alike_share_nothing
    values_are_any_bytes
    verbs_at_the_same_time_agree_on_one_owner
    what_anybody_puts_into_an_inbox_waits_until_its_owner_takes_it
    a_batch_that_is_refused_leaves_every_inbox_alone
    a_gift_that_is_not_there_is_not_taken
    the_door_tells_what_a_giver_has_to_know
    what_a_player_has_set_stays_until_it_is_set_again
    of_a_very_full_inbox_the_oldest_are_read
    an_import_brings_the_inbox_and_what_was_set
    what_an_order_was_answered_is_kept_with_its_effect
    the_first_answer_under_a_key_stays
    a_batch_that_is_refused_answers_nothing
    an_opening_replaces_the_items_up_to_its_mark_together_with_a_write
    an_opening_comes_with_a_write_that_makes_no_revision_and_another_one_after_it
    a_batch_that_is_refused_lets_nothing_of_a_ledger_go
    an_import_brings_the_opening
    players_read_together_are_those_that_are_there
    players_read_together_are_of_one_moment;
    memory
    embedded
    redis
}
