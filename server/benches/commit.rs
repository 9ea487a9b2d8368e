//! What it costs to make actions durable: their way into the pending set, a batch taken out of it, and the store's commit.
//!
//! `cargo bench -p holdall-server --bench commit`. The stores are those in memory, in a file of the temporary directory
//! and, where `HOLDALL_REDIS_URL` names one, on a Redis, in a realm of its own that stays behind.

mod playing;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use holdall_protocol::ids::{PlayerId, Revision, Seq};
use holdall_server::{
    engine::change::Change,
    journal::pending::{Due, Flight, Pending, Side},
    schema,
    store::{
        BatchId, Life, Node, Origin, Outcome, Owner, Store,
        embedded::Embedded,
        memory::Shelf,
        redis::{Options, Redis},
    },
};
use playing::{HOT, Playing};
use std::{
    path::PathBuf,
    sync::{Arc, LazyLock},
    time::Duration,
};
use tokio::{
    runtime::{Builder, Runtime},
    time::Instant,
};
use uuid::Uuid;

/// Players of a batch: one, and as many as act at the same time under load.
const PLAYERS: [usize; 2] = [1, 64];

/// Records of each of them in a batch of several.
const DEPTH: u64 = 8;

/// Bytes of the ledger entry of an action.
const ENTRY: [u8; 90] = [7; 90];

/// What an action of each kind changes.
static CHANGES: LazyLock<Vec<Vec<Change>>> =
    LazyLock::new(|| HOT.iter().map(|(_, actions)| Playing::new(50, *actions).next().to_vec()).collect());

/// One who acts again and again.
struct Actor {
    player: PlayerId,
    owner: Owner,
    origin: Origin,
    revision: Revision,
}

impl Actor {
    fn new(number: usize) -> Self {
        let player = PlayerId::new(&format!("player-{number}")).expect("a player id");
        let origin = Origin { revision: Revision::ZERO, writer: None };
        Self { player, owner: Owner::stored("node:1:1"), origin, revision: Revision::ZERO }
    }

    /// Puts the next record into the pending set.
    fn act(&mut self, pending: &mut Pending, now: Instant) {
        self.revision = self.revision.next();
        let kind = usize::try_from(self.revision.get()).expect("a small number") % CHANGES.len();
        let side = Side {
            player: &self.player,
            owner: &self.owner,
            origin: &self.origin,
            revision: self.revision,
            seq: Seq::new(self.revision.get()),
            form: schema::OURS.form(),
            content: 1,
            // As in a server: the first record of a load says what all of them bear.
            restamps: self.revision == self.origin.revision.next(),
            changes: CHANGES.get(kind).expect("a kind of action"),
            entry: &ENTRY,
            effects: None,
        };
        pending.push(&[side], Due::AtOnce, now);
    }
}

/// Several of them, and what waits of theirs.
struct Crowd {
    actors: Vec<Actor>,
    pending: Pending,
    now: Instant,
    batches: u128,
}

impl Crowd {
    fn new(players: usize) -> Self {
        let actors = (0..players).map(Actor::new).collect();
        Self { actors, pending: Pending::default(), now: Instant::now(), batches: 0 }
    }

    /// Everybody acts once.
    fn act(&mut self) {
        for actor in &mut self.actors {
            actor.act(&mut self.pending, self.now);
        }
    }

    /// Everything that waits, as one batch.
    fn take(&mut self) -> Flight {
        self.batches += 1;
        let id = BatchId::new(Uuid::from_u128(self.batches));
        let flight = self.pending.take(self.now, id, 1_700_000_000_000).expect("something waits");
        self.pending.flight = None;
        flight
    }
}

fn merge(c: &mut Criterion) {
    for players in PLAYERS {
        let mut group = c.benchmark_group(format!("pending set, {players} players"));
        let actions = u64::try_from(players).expect("a small number");
        group.throughput(Throughput::Elements(actions));
        let mut crowd = Crowd::new(players);
        group.bench_function("push to nothing, and take", |b| {
            b.iter(|| {
                crowd.act();
                crowd.take()
            });
        });
        group.throughput(Throughput::Elements(actions * DEPTH));
        group.bench_function(format!("push {DEPTH} times"), |b| {
            b.iter_batched_ref(
                || Crowd::new(players),
                |crowd| (0..DEPTH).for_each(|_| crowd.act()),
                BatchSize::SmallInput,
            );
        });
        group.finish();
    }
}

/// Commits what everybody did, batch after batch.
fn commits(c: &mut Criterion, runtime: &Runtime, store: &dyn Store) {
    let life = Life::default();
    for players in PLAYERS {
        let mut crowd = Crowd::new(players);
        for actor in &mut crowd.actors {
            let loaded = runtime.block_on(store.acquire(actor.player.clone(), life)).expect("nobody else has them");
            (actor.origin, actor.revision) = (loaded.origin(), loaded.revision);
            actor.owner = loaded.owner;
        }
        for depth in [1, DEPTH] {
            let mut group = c.benchmark_group(format!("commit, {}", store.name()));
            group.throughput(Throughput::Elements(u64::try_from(players).expect("a small number") * depth));
            group.bench_function(format!("{players} players, {depth} actions each"), |b| {
                b.iter_custom(|batches| {
                    let mut took = Duration::ZERO;
                    for _ in 0..batches {
                        (0..depth).for_each(|_| crowd.act());
                        let batch = crowd.take().batch;
                        let begun = Instant::now();
                        let outcome = runtime.block_on(store.commit(batch, life));
                        took += begun.elapsed();
                        assert!(matches!(outcome, Outcome::Applied), "{outcome:?}");
                    }
                    took
                });
            });
            group.finish();
        }
    }
}

/// A file that goes away with its value.
struct File(PathBuf);

impl Drop for File {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.0) {
            eprintln!("{}: {error}", self.0.display());
        }
    }
}

fn stores(c: &mut Criterion) {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime can be built");
    let node = || Node { id: "bench".to_owned(), boot: u64::from(std::process::id()) };
    commits(c, &runtime, &Shelf::default().open(node()));

    let file = File(std::env::temp_dir().join(format!("holdall-bench-{}.redb", std::process::id())));
    let embedded = Embedded::open(&file.0, 64 << 20, node()).expect("a new file opens");
    commits(c, &runtime, &embedded);

    let Ok(url) = std::env::var("HOLDALL_REDIS_URL") else { return };
    let options = Options {
        url,
        password: None,
        ca_cert: None,
        realm: format!("bench-{}", std::process::id()),
        lease: Duration::from_secs(600),
        known_world: None,
        new_world: false,
        fresh_world: "bench".to_owned(),
    };
    let redis = runtime.block_on(Redis::open(options, node())).expect("the Redis at HOLDALL_REDIS_URL answers");
    let store: Arc<dyn Store> = Arc::new(redis);
    commits(c, &runtime, &*store);
}

criterion_group!(benches, merge, stores);
criterion_main!(benches);
