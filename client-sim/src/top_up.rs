//! Topping up through the operator API: what bots run out of is ordered, and every order is accounted for.
//!
//! Started by `scenario`, asked by `bot`. The books believe the answers of the API, not what was seen to arrive: what came
//! without an order, or twice, does not add up.

use crate::{
    conservation::Tally,
    fault::Fault,
    metrics::Metrics,
    model::Totals,
    operator::{Answer, Client, Operator, Order},
};
use holdall_protocol::ids::{ItemId, PlayerId};
use rand::{Rng as _, SeedableRng as _, rngs::SmallRng};
use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{
    sync::{Mutex as Turn, mpsc},
    time::{Instant, sleep},
};

/// Orders that are under way at once, each on a connection of its own.
const WORKERS: usize = 8;

/// Orders that may wait; a bot that finds no room does something else.
const WAITING_MAX: usize = 1_024;

/// For how long an order is said again that has no answer.
const PERSISTENCE: Duration = Duration::from_secs(30);

/// From one try to the next.
const RETRY: Duration = Duration::from_millis(250);

/// One thing to order.
struct Wanted {
    player: PlayerId,
    item: ItemId,
    quantity: u64,
}

/// The shared desk at which bots order.
#[derive(Debug)]
pub(crate) struct TopUp {
    orders: mpsc::Sender<Wanted>,
    /// Ordered, and not answered for good yet.
    pending: AtomicUsize,
    /// The operator API does not take orders from us.
    closed: AtomicBool,
    done: AtomicU64,
    refused: AtomicU64,
    books: Mutex<Books>,
}

/// What was ordered.
#[derive(Debug, Default)]
struct Books {
    granted: Totals,
    /// Of which orders for it were never answered.
    doubtful: BTreeSet<ItemId>,
}

impl TopUp {
    /// Opens the desk; its workers end with it.
    pub(crate) fn open(operator: &Operator, seed: u64, metrics: &Arc<Metrics>) -> Arc<Self> {
        let (orders, wanted) = mpsc::channel(WAITING_MAX);
        let desk = Arc::new(Self {
            orders,
            pending: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            done: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            books: Mutex::default(),
        });
        // Never the same key in two runs, or the second one's orders would be taken for the first one's.
        let run = format!("sim-{seed:x}-{:x}", SmallRng::from_os_rng().random::<u64>());
        let (wanted, numbers) = (Arc::new(Turn::new(wanted)), Arc::new(AtomicU64::new(0)));
        for _ in 0..WORKERS {
            let worker = Worker {
                client: Client::new(operator.clone()),
                run: run.clone(),
                numbers: Arc::clone(&numbers),
                desk: Arc::downgrade(&desk),
                metrics: Arc::clone(metrics),
            };
            tokio::spawn(worker.work(Arc::clone(&wanted)));
        }
        desk
    }

    /// Orders something; false where there is no room, or no use.
    pub(crate) fn order(&self, player: &PlayerId, item: &ItemId, quantity: u64) -> bool {
        if self.closed.load(Relaxed) {
            return false;
        }
        self.pending.fetch_add(1, Relaxed);
        let sent = self.orders.try_send(Wanted { player: player.clone(), item: item.clone(), quantity }).is_ok();
        if !sent {
            self.pending.fetch_sub(1, Relaxed);
        }
        sent
    }

    /// Whether every order has its answer.
    pub(crate) fn is_settled(&self) -> bool {
        self.pending.load(Relaxed) == 0
    }

    /// Orders that were carried out, and that were not.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.done.load(Relaxed), self.refused.load(Relaxed))
    }

    /// Enters what was ordered in everybody's books, for what the server was seen to do by itself.
    pub(crate) fn settle(&self, books: &mut Tally) {
        let ordered = self.books();
        books.server = Totals::default();
        books.granted.add_all(&ordered.granted);
        ordered.doubtful.iter().for_each(|item| books.doubt(item));
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answered(&self, wanted: &Wanted, answer: Answer, metrics: &Metrics) {
        match answer {
            Answer::Done => {
                self.done.fetch_add(1, Relaxed);
                self.books().granted.add(&wanted.item, i128::from(wanted.quantity));
            }
            Answer::Refused => drop(self.refused.fetch_add(1, Relaxed)),
            Answer::NotAllowed(why) => {
                self.refused.fetch_add(1, Relaxed);
                if !self.closed.swap(true, Relaxed) {
                    metrics.violation(None, &Fault::TopUp(why));
                }
            }
            Answer::Unknown(why) => {
                self.books().doubtful.insert(wanted.item.clone());
                metrics.violation(Some(&wanted.player), &Fault::TopUp(why));
            }
        }
        self.pending.fetch_sub(1, Relaxed);
    }
}

/// Who carries orders to the operator API.
struct Worker {
    client: Client,
    run: String,
    numbers: Arc<AtomicU64>,
    desk: std::sync::Weak<TopUp>,
    metrics: Arc<Metrics>,
}

impl Worker {
    async fn work(mut self, wanted: Arc<Turn<mpsc::Receiver<Wanted>>>) {
        loop {
            let next = wanted.lock().await.recv().await;
            let Some(wanted) = next else { return };
            let answer = self.carry(&wanted).await;
            let Some(desk) = self.desk.upgrade() else { return };
            desk.answered(&wanted, answer, &self.metrics);
        }
    }

    /// Says an order until there is an answer.
    async fn carry(&mut self, wanted: &Wanted) -> Answer {
        let order = Order {
            key: format!("{}-{}", self.run, self.numbers.fetch_add(1, Relaxed)),
            player: wanted.player.to_string(),
            item: wanted.item.to_string(),
            quantity: wanted.quantity,
        };
        let begin = Instant::now();
        loop {
            match self.client.give(&order).await {
                Answer::Unknown(_) if begin.elapsed() < PERSISTENCE => sleep(RETRY).await,
                answer => return answer,
            }
        }
    }
}
