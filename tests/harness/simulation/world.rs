//! Nodes, misfortune, and the order of events.

use super::{audit, client::Client};
use holdall_protocol::{ids::PlayerId, message::Durability};
use holdall_server::{
    catalog::Rules,
    clock::{Clock, Dice},
    journal::{Ack, Journal, Options as JournalOptions},
    roster::{Options as RosterOptions, Roster, allowance::Quotas},
    schema::OURS,
    session::{Options as SessionOptions, Sessions, token},
    store::{
        Node, Store,
        memory::{BrokenRules, Fault, Shelf},
    },
};
use rand::{Rng, SeedableRng, rngs::SmallRng};
use std::{num::NonZeroU32, sync::Arc, time::Duration};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep},
};

/// A rule that is broken on purpose, to show that the simulation notices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sabotage {
    /// The store writes whatever the base revision says.
    SkipBaseCheck,
    /// Replies leave before their change is durable.
    ReplyEarly,
    /// The store leaves one player of a group out.
    DropOnePlayer,
}

/// What to simulate.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Decides everything.
    pub seed: u64,
    /// How many events.
    pub steps: u32,
    /// How many players.
    pub players: u32,
    /// What to break.
    pub sabotage: Option<Sabotage>,
}

impl Plan {
    /// The usual size.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { seed, steps: 250, players: 5, sabotage: None }
    }
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Report {
    /// What happened, in order.
    pub trace: Vec<String>,
    /// What must never happen and did.
    pub violations: Vec<String>,
    /// Acknowledged effects.
    pub acked: usize,
    /// Batches refused because of a takeover, lost writes, kills: how rough it was.
    pub misfortunes: usize,
}

/// One server process.
pub(super) struct NodeState {
    pub(super) node: Node,
    pub(super) sessions: Arc<Sessions>,
    writer: JoinHandle<()>,
    _stop: watch::Sender<bool>,
    /// When its lease comes back, while it has run out.
    expired_until: Option<Instant>,
}

/// Everything.
pub(super) struct World {
    plan: Plan,
    pub(super) random: SmallRng,
    pub(super) shelf: Shelf,
    rules: Arc<Rules>,
    pub(super) nodes: Vec<NodeState>,
    boots: u64,
    pub(super) report: Report,
    /// Until when the store is known to be behind what was delivered.
    pub(super) behind: bool,
    clock: Clock,
}

const LINGER: Duration = Duration::from_millis(800);

impl World {
    pub(super) fn new(plan: Plan) -> Self {
        let shelf = Shelf::default();
        shelf.break_rules(BrokenRules {
            skip_base_check: plan.sabotage == Some(Sabotage::SkipBaseCheck),
            drop_one_player: plan.sabotage == Some(Sabotage::DropOnePlayer),
        });
        let clock = Clock::Runtime { start_ms: 1_800_000_000_000, origin: Instant::now() };
        let mut world = Self {
            plan,
            random: SmallRng::seed_from_u64(plan.seed),
            shelf,
            rules: Arc::new(crate::rules()),
            nodes: Vec::new(),
            boots: 0,
            report: Report::default(),
            behind: false,
            clock,
        };
        for name in ["a", "b"] {
            let state = world.boot(name);
            world.nodes.push(state);
        }
        world
    }

    fn boot(&mut self, name: &str) -> NodeState {
        self.boots += 1;
        let node = Node { id: name.to_owned(), boot: self.boots };
        let store: Arc<dyn Store> = Arc::new(self.shelf.open(node.clone()));
        let dice = Dice::from_seed(self.plan.seed.wrapping_mul(1_000).wrapping_add(self.boots));
        let ack = match self.plan.sabotage {
            Some(Sabotage::ReplyEarly) => Ack::Applied { interval: Duration::from_millis(50) },
            _ => Ack::Durable,
        };
        let options = JournalOptions { ack, pending_bytes_max: 20_000 };
        let journal = Arc::new(Journal::new(store.clone(), options, self.clock, dice.clone()));
        let some = |n| NonZeroU32::new(n).expect("not zero");
        let options = RosterOptions {
            inbox_max: 100,
            inbox_time: Duration::from_secs(60),
            linger: LINGER,
            resume_bytes_max: 4_096,
            outbox_bytes_max: 6_000,
            quotas: Quotas::new((some(50), some(50)), (some(600), some(50))),
            chain: &OURS,
        };
        let roster = Roster::new(journal.clone(), store, self.rules.clone(), (self.clock, dice), options);
        let (stop, stopping) = watch::channel(false);
        let sessions = Arc::new(Sessions::new(
            roster,
            token::Verifier::new(token::Options::Development).expect("development needs nothing"),
            session_options(),
            Arc::new(|| Durability { ack: "durable".into(), store: "memory".into(), promise: String::new() }),
            stopping,
        ));
        let writer = tokio::spawn(async move { journal.run().await });
        NodeState { node, sessions, writer, _stop: stop, expired_until: None }
    }

    pub(super) fn violation(&mut self, text: String) {
        self.trace(format!("VIOLATION {text}"));
        self.report.violations.push(text);
    }

    pub(super) fn trace(&mut self, text: String) {
        let at = self.clock.now_ms() - 1_800_000_000_000;
        self.report.trace.push(format!("{at:>7} {text}"));
    }

    pub(super) async fn play(mut self) -> Report {
        let mut clients: Vec<Client> = (0..self.plan.players)
            .map(|n| Client::new(PlayerId::new(&format!("p{n}")).expect("a player id")))
            .collect();
        for _ in 0..self.plan.steps {
            self.step(&mut clients).await;
            let pause = if self.random.random_ratio(1, 25) { 2_000 } else { 12 };
            sleep(Duration::from_millis(self.random.random_range(0..pause))).await;
            for client in &mut clients {
                client.pump(&mut self);
            }
            if !self.report.violations.is_empty() && self.plan.sabotage.is_none() {
                break;
            }
        }
        self.settle(&mut clients).await;
        self.report.acked = clients.iter().map(|client| client.acked.len()).sum();
        let rows = self.shelf.rows();
        for violation in audit::audit(&rows, &clients) {
            self.violation(violation);
        }
        self.report
    }

    async fn step(&mut self, clients: &mut [Client]) {
        self.revive();
        let at = self.random.random_range(0..clients.len());
        let names: Vec<PlayerId> = clients.iter().map(|client| client.id.clone()).collect();
        let client = &mut clients[at];
        match self.random.random_range(0..1000) {
            0..620 => client.act(self, &names),
            620..740 => client.connect(self),
            740..800 => client.disconnect(self),
            800..860 => client.repeat(self),
            860..940 => self.change_weather(),
            940..958 => self.expire(),
            958..970 => self.crash(clients),
            970..985 => self.lose_writes(clients).await,
            _ => client.connect_again(self),
        }
    }

    fn change_weather(&mut self) {
        let mut faults = SmallRng::seed_from_u64(self.random.random());
        let roughness = [0, 0, 3, 15, 40][self.random.random_range(0..5)];
        self.trace(format!("weather {roughness}"));
        self.shelf.set_faults(Box::new(move |_| {
            if faults.random_range(0..100) >= roughness {
                return Fault::Delay(Duration::from_micros(faults.random_range(50..3_000)));
            }
            match faults.random_range(0..4) {
                0 => Fault::DropRequest,
                1 => Fault::DropAnswer,
                2 => Fault::Unavailable,
                _ => Fault::Delay(Duration::from_millis(faults.random_range(1..400))),
            }
        }));
    }

    fn expire(&mut self) {
        let at = self.random.random_range(0..self.nodes.len());
        let back = Instant::now() + Duration::from_millis(self.random.random_range(100..4_000));
        self.nodes[at].expired_until = Some(back);
        let name = self.nodes[at].node.id.clone();
        self.shelf.expire(&name);
        self.report.misfortunes += 1;
        self.trace(format!("lease of {name} runs out"));
    }

    fn revive(&mut self) {
        for state in &mut self.nodes {
            if state.expired_until.is_some_and(|back| Instant::now() >= back) {
                state.expired_until = None;
                self.shelf.revive(&state.node.id);
            }
        }
    }

    fn crash(&mut self, clients: &mut [Client]) {
        let at = self.random.random_range(0..self.nodes.len());
        let node = self.nodes[at].node.clone();
        self.trace(format!("kill {} boot {}", node.id, node.boot));
        self.report.misfortunes += 1;
        self.shelf.kill(&node);
        self.nodes[at].writer.abort();
        for client in clients.iter_mut() {
            client.server_died(&node);
        }
        self.shelf.revive(&node.id);
        self.nodes[at] = self.boot(&node.id);
    }

    /// The store loses its last writes. Only where on each node that wrote them somebody is still connected and knows of
    /// the newest of them, because it is by such a player's next write that a node learns of the loss; and only while
    /// nobody logs in, because a load of what is left, before the node knows, would fence what could heal it.
    async fn lose_writes(&mut self, clients: &mut [Client]) {
        let count = self.random.random_range(1..6);
        let lost = self.shelf.last_writers(count);
        let node_of = |owner: &str| owner.split(':').take(2).collect::<Vec<_>>().join(":");
        let witnesses: Vec<PlayerId> =
            clients.iter().filter(|client| client.knows_the_newest(self)).map(|client| client.id.clone()).collect();
        let told = lost.iter().all(|(owner, _)| {
            owner.as_ref().is_some_and(|owner| {
                let node = node_of(owner.as_str());
                let alive = self.nodes.iter().any(|state| {
                    format!("{}:{:016x}", state.node.id, state.node.boot) == node && state.expired_until.is_none()
                });
                alive
                    && lost.iter().any(|(other, player)| {
                        witnesses.contains(player)
                            && other.as_ref().is_some_and(|other| node_of(other.as_str()) == node)
                    })
            })
        });
        if lost.is_empty() || !told || clients.iter().any(Client::is_joining) {
            return;
        }
        let lost_count = self.shelf.lose_last(count);
        self.report.misfortunes += 1;
        self.trace(format!("the store loses {lost_count} commits of {lost:?}"));
        self.behind = true;
        self.shelf.set_faults(Box::new(|_| Fault::None));
        let names: Vec<PlayerId> = lost.iter().map(|(_, player)| player.clone()).collect();
        for client in clients.iter_mut().filter(|client| names.contains(&client.id)) {
            client.touch(self);
        }
        sleep(Duration::from_millis(700)).await;
        for client in clients.iter_mut() {
            client.pump(self);
        }
        self.behind = false;
    }

    /// Fair weather until everything is at rest.
    async fn settle(&mut self, clients: &mut [Client]) {
        self.trace("fair weather".to_owned());
        self.shelf.set_faults(Box::new(|_| Fault::None));
        for state in &mut self.nodes {
            state.expired_until = None;
            self.shelf.revive(&state.node.id);
        }
        for _ in 0..20 {
            sleep(Duration::from_millis(300)).await;
            for client in clients.iter_mut() {
                client.pump(self);
            }
        }
        for client in clients.iter_mut() {
            client.expect_all_answered(self);
            client.disconnect(self);
        }
        sleep(LINGER * 4).await;
        for at in 0..self.nodes.len() {
            let roster = self.nodes[at].sessions.roster().clone();
            if roster.loaded() > 0 {
                self.violation(format!("{} players stay loaded for ever", roster.loaded()));
            }
            if roster.journal.pending_bytes() > 0 {
                self.violation("something stays pending for ever".to_owned());
            }
        }
    }
}

fn session_options() -> SessionOptions {
    SessionOptions {
        frame_bytes_max: 16_384,
        in_flight_max: 64,
        actions_per_second: 50,
        actions_burst: 50,
        hello_deadline: Duration::from_secs(5),
        idle_timeout: Duration::from_secs(60),
        ping_interval: Duration::from_secs(20),
        slow_reader_grace: Duration::from_secs(10),
        excess_max: 1_000,
    }
}
