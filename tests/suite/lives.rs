//! The journal and a store that is restarted, taken over or away: what was acknowledged is sent again, what is another's
//! by now is dropped, and nothing happens twice.

use crate::conformance::{acquire, batch, id, node, write};
use holdall_protocol::ids::{PlayerId, Revision, Seq};
use holdall_server::{
    clock::{Clock, Dice},
    journal::{
        Ack, Committed, Health, Held, Journal, Options, Watcher,
        pending::{Due, Pending, Side},
    },
    schema,
    store::{
        Node, Origin, Outcome, Owner, PlayerWrite, Store,
        memory::{Fault, Memory, Shelf},
    },
};
use parking_lot::Mutex;
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use tokio::time::{Instant, sleep};

/// Holds what it is told to hold, and remembers what it is told.
#[derive(Default)]
struct Holder {
    held: Mutex<Vec<Held>>,
    lost: Mutex<Vec<PlayerId>>,
}

impl Watcher for Holder {
    fn durable(&self, committed: &[Committed]) {
        for Committed { player, revision, .. } in committed {
            for held in self.held.lock().iter_mut().filter(|held| held.player == *player) {
                held.durable = *revision;
            }
        }
    }

    fn held(&self) -> Vec<Held> {
        self.held.lock().clone()
    }

    fn lost(&self, players: &[PlayerId]) {
        self.held.lock().retain(|held| !players.contains(&held.player));
        self.lost.lock().extend_from_slice(players);
    }
}

/// One process's journal on a shelf.
struct Desk {
    shelf: Shelf,
    store: Arc<Memory>,
    journal: Arc<Journal>,
    holder: Arc<Holder>,
}

impl Desk {
    fn new() -> Self {
        let shelf = Shelf::default();
        let store = Arc::new(shelf.open(node()));
        let clock = Clock::Runtime { start_ms: 0, origin: Instant::now() };
        let options = Options { ack: Ack::Durable, pending_bytes_max: 1 << 20 };
        let journal = Arc::new(Journal::new(store.clone(), options, clock, Dice::from_seed(1)));
        let holder = Arc::new(Holder::default());
        journal.set_watcher(holder.clone());
        Self { shelf, store, journal, holder }
    }

    async fn load(&self, player: &str) -> Owner {
        let owner = acquire(&*self.store, player).await.owner;
        let (origin, durable) = (Origin::default(), Revision::ZERO);
        let held = Held { player: id(player), owner: owner.clone(), origin, durable };
        self.holder.held.lock().push(held);
        owner
    }

    fn push(&self, player: &str, owner: &Owner, revision: u64) {
        let player = id(player);
        self.journal.push(&[side(&player, owner, revision)], true);
    }

    fn run(&self) {
        let journal = self.journal.clone();
        tokio::spawn(async move { journal.run().await });
    }

    async fn look(&self) {
        self.journal.doubt();
        self.journal.sure().await;
    }

    /// Another process takes a player that this one gave up to be taken.
    async fn taken_by_another(&self, player: &str) -> Owner {
        self.store.resign().await;
        let other = self.shelf.open(Node { id: "there".to_owned(), boot: 2 });
        other.acquire(id(player), self.shelf.life()).await.expect("it may be taken").owner
    }

    /// Where a player is in the store, and how many batches its ledger holds.
    fn at(&self, player: &str) -> (u64, usize) {
        self.shelf.rows().get(&id(player)).map_or((0, 0), |row| (row.revision.get(), row.ledger.len()))
    }

    fn lost(&self) -> Vec<PlayerId> {
        self.holder.lost.lock().clone()
    }
}

/// A record of a player who was loaded unborn.
fn side<'a>(player: &'a PlayerId, owner: &'a Owner, revision: u64) -> Side<'a> {
    static UNBORN: Origin = Origin { revision: Revision::ZERO, writer: None };
    let (revision, seq, form) = (Revision::new(revision), Seq::new(revision), schema::OURS.form());
    Side {
        player,
        owner,
        origin: &UNBORN,
        revision,
        seq,
        content: 1,
        form,
        restamps: true,
        changes: &[],
        entry: &[1],
        effects: None,
    }
}

#[tokio::test]
async fn a_batch_of_which_nobody_is_dropped_stays_the_same_batch() {
    let (mut pending, now, owner) = (Pending::default(), Instant::now(), Owner::stored("x"));
    let [a, b, c] = ["a", "b", "c"].map(id);
    for player in [&a, &b] {
        pending.push(&[side(player, &owner, 1)], Due::AtOnce, now);
    }
    let sent = pending.take(now, batch(Vec::new()).id, 0).expect("it is due").batch;
    pending.push(&[side(&c, &owner, 1)], Due::AtOnce, now);
    let left =
        pending.drop_players(&BTreeSet::from([c.clone()]), batch(Vec::new()).id).expect("it is still on its way");
    assert_eq!(left.batch, sent, "what became of it may not be known");
    assert!(!pending.holds(&c));
    let left = pending.drop_players(&BTreeSet::from([a]), batch(Vec::new()).id).expect("the rest goes on");
    assert_ne!(left.batch.id, sent.id);
    assert_eq!(left.batch.players, sent.players[1..]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_whose_outcome_is_unknown_at_a_restart_happens_once() {
    for lost in [0, 1] {
        let desk = Desk::new();
        let owner = desk.load("p").await;
        desk.shelf.set_faults(Box::new(|_| Fault::DropAnswer));
        desk.push("p", &owner, 1);
        desk.run();
        sleep(Duration::from_millis(1)).await;
        assert_eq!(desk.at("p"), (1, 1), "it was written, and nobody was told");
        desk.shelf.lose_last(lost);
        desk.shelf.set_faults(Box::new(|_| Fault::None));
        desk.journal.settled(&id("p")).await;
        assert_eq!((desk.at("p"), desk.lost()), ((1, 1), Vec::new()), "{lost} lost");
        assert_eq!(desk.journal.life(), desk.shelf.life());
    }
}

#[tokio::test(start_paused = true)]
async fn an_owner_whom_the_store_forgot_is_the_owner_again_and_loses_nothing() {
    let desk = Desk::new();
    let owner = desk.load("p").await;
    desk.run();
    for revision in 1..=3 {
        desk.push("p", &owner, revision);
        desk.journal.settled(&id("p")).await;
    }
    desk.shelf.lose_last(4);
    assert!(desk.shelf.rows().is_empty(), "not even the takeover is left");
    // An answer that gets lost on the way is no reason to give anybody up.
    let mut verbs = 0;
    desk.shelf.set_faults(Box::new(move |_| {
        verbs += 1;
        if verbs % 2 == 1 { Fault::DropAnswer } else { Fault::None }
    }));
    desk.look().await;
    assert_eq!((desk.at("p"), desk.lost()), ((3, 3), Vec::new()));
    assert_eq!(desk.shelf.rows()[&id("p")].owner, Some(owner));
}

#[tokio::test(start_paused = true)]
async fn a_forgotten_owner_whose_player_was_taken_since_drops_it() {
    let desk = Desk::new();
    let owner = desk.load("p").await;
    desk.run();
    desk.push("p", &owner, 1);
    desk.journal.settled(&id("p")).await;
    desk.shelf.lose_last(2);
    let other = desk.taken_by_another("p").await;
    assert!(other.epoch() > owner.epoch(), "an epoch is never given twice, in no life");
    desk.look().await;
    assert_eq!((desk.at("p"), desk.lost()), ((0, 0), vec![id("p")]));
    assert_eq!(desk.shelf.rows()[&id("p")].owner, Some(other));
}

#[tokio::test(start_paused = true)]
async fn what_was_lost_is_not_put_on_the_same_number_of_another_history() {
    let desk = Desk::new();
    let there = desk.shelf.open(Node { id: "there".to_owned(), boot: 2 });
    let earlier = acquire(&there, "p").await.owner;
    there.resign().await;
    let owner = desk.load("p").await;
    desk.run();
    desk.push("p", &owner, 1);
    desk.journal.settled(&id("p")).await;
    // The first batch is too old to be sent again by now.
    sleep(Duration::from_secs(61)).await;
    desk.push("p", &owner, 2);
    desk.journal.settled(&id("p")).await;
    desk.shelf.lose_last(3);
    let revived = batch(vec![PlayerWrite { release: true, ..write("p", &earlier, 0, 1) }]);
    assert_eq!(there.commit(revived, desk.shelf.life()).await, Outcome::Applied, "the takeover is forgotten, too");
    desk.look().await;
    assert_eq!((desk.at("p").0, desk.lost()), (1, vec![id("p")]));
    assert_eq!(desk.shelf.rows()[&id("p")].writer, Some(earlier));
}

#[tokio::test(start_paused = true)]
async fn who_cannot_be_healed_takes_along_whom_it_dealt_with_and_nobody_else() {
    let desk = Desk::new();
    let [a, b, c] = ["a", "b", "c"].map(id);
    let [of_a, of_b, of_c] = [desk.load("a").await, desk.load("b").await, desk.load("c").await];
    desk.journal.push(&[side(&a, &of_a, 1), side(&b, &of_b, 1)], true);
    desk.push("c", &of_c, 1);
    desk.run();
    desk.journal.settled(&c).await;
    assert_eq!([desk.at("a"), desk.at("b"), desk.at("c")], [(1, 1); 3], "all in one batch");
    desk.shelf.lose_last(1);
    desk.taken_by_another("a").await;
    desk.look().await;
    assert_eq!([desk.at("a"), desk.at("b"), desk.at("c")], [(0, 0), (0, 0), (1, 1)]);
    assert_eq!(desk.lost(), [a, b]);
    // What was given up stays so: a later audit leaves a new load of the player alone.
    desk.holder.lost.lock().clear();
    desk.shelf.lose_last(0);
    desk.look().await;
    assert_eq!(desk.lost(), []);
}

#[tokio::test(start_paused = true)]
async fn what_was_in_one_batch_with_a_fenced_player_goes_on_without_it() {
    let desk = Desk::new();
    let [a, b] = [desk.load("a").await, desk.load("b").await];
    desk.push("a", &a, 1);
    desk.push("b", &b, 1);
    desk.taken_by_another("a").await;
    desk.run();
    desk.journal.settled(&id("b")).await;
    assert_eq!([desk.at("a"), desk.at("b")], [(0, 0), (1, 1)]);
    assert_eq!(desk.lost(), [id("a")]);
}

#[tokio::test(start_paused = true)]
async fn while_the_store_is_away_nothing_new_is_taken_and_then_it_is_again() {
    let desk = Desk::new();
    let owner = desk.load("p").await;
    desk.run();
    desk.shelf.set_faults(Box::new(|_| Fault::Unavailable));
    assert!(desk.journal.has_room(), "nobody has noticed");
    desk.push("p", &owner, 1);
    sleep(Duration::from_millis(100)).await;
    assert_eq!(*desk.journal.health().borrow(), Health::Away);
    assert!(!desk.journal.has_room(), "its reply could not leave");
    desk.shelf.set_faults(Box::new(|_| Fault::None));
    desk.journal.settled(&id("p")).await;
    assert!(desk.journal.has_room() && *desk.journal.health().borrow() == Health::Good);
    assert_eq!(desk.at("p"), (1, 1));
}
