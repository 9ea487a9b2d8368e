//! Nodes, misfortune, and the order of events.

use super::{
    audit,
    cart::Cart,
    client::Client,
    shop::{self, Told},
    stopped::Switch,
};
use holdall_protocol::{close::Close, ids::PlayerId, message::Durability};
use holdall_server::{
    catalog::Rules,
    clock::{Clock, Dice},
    journal::{Ack, Journal, Options as JournalOptions},
    market::{shop_desk, trade_desk},
    roster::{
        Options as RosterOptions, Roster,
        allowance::{Invites, Quotas},
        retention::Retention,
    },
    schema::OURS,
    session::{Options as SessionOptions, Sessions, token},
    store::{
        Node, Store,
        memory::{BrokenRules, Fault, Reach, Shelf},
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
    /// The store takes gifts that are not there.
    TakeWhatIsMissing,
    /// The store leaves one player of a group out.
    DropOnePlayer,
    /// A trade is settled for the side that accepts last, and the other one is forgotten.
    ForgetASide,
    /// Nodes serve past their lease.
    IgnoreLease,
    /// The store says nothing of having lost something, and so nobody looks.
    SkipAudit,
    /// Holds are confirmed, and their players neither pay nor get anything.
    SellForNothing,
    /// What is said again to the shop is done again.
    ForgetDeeds,
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
    /// What they do.
    pub repertoire: Repertoire,
    /// What to break.
    pub sabotage: Option<Sabotage>,
}

/// What players do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repertoire {
    /// A few actions, as in the runs that found what the oldest remembered seeds stand for.
    Narrow,
    /// Every action there is.
    Wide,
    /// The same, and mostly trades.
    MarketDay,
    /// The same, and mostly in the shop.
    Shopping,
}

impl Repertoire {
    /// Whether there is a shop.
    const fn sells(self) -> bool {
        match self {
            Self::Narrow => false,
            Self::Wide | Self::MarketDay | Self::Shopping => true,
        }
    }
}

impl Plan {
    /// The usual size.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { seed, steps: 250, players: 5, repertoire: Repertoire::Wide, sabotage: None }
    }

    /// Few players, who trade.
    #[must_use]
    pub const fn market_day(seed: u64) -> Self {
        Self { repertoire: Repertoire::MarketDay, players: 3, ..Self::new(seed) }
    }

    /// Players and carts who want the same units.
    #[must_use]
    pub const fn shopping(seed: u64) -> Self {
        Self { repertoire: Repertoire::Shopping, players: 4, ..Self::new(seed) }
    }

    /// The same with few actions.
    #[must_use]
    pub const fn narrow(seed: u64) -> Self {
        Self { repertoire: Repertoire::Narrow, ..Self::new(seed) }
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
    /// Sides of trades that settled, as far as they were told.
    pub exchanged: usize,
    /// Gifts that were told to come out of an inbox.
    pub delivered: usize,
    /// Holds that players were told to have paid for.
    pub bought: usize,
    /// Nodes cut off, stopped and killed, and losses of the store's: how rough it was.
    pub misfortunes: usize,
    /// Players who got back what the store had lost.
    pub healed: usize,
    /// Players of whom something was lost that nobody could send again.
    pub hopeless: usize,
}

/// One server process.
pub(super) struct NodeState {
    pub(super) node: Node,
    pub(super) sessions: Arc<Sessions>,
    pub(super) switch: Switch,
    tasks: Vec<JoinHandle<()>>,
    _stop: watch::Sender<bool>,
    /// When it is reached again, while it is not.
    away_until: Option<Instant>,
}

/// Everything.
pub(super) struct World {
    pub(super) plan: Plan,
    pub(super) random: SmallRng,
    pub(super) shelf: Shelf,
    rules: Arc<Rules>,
    pub(super) nodes: Vec<NodeState>,
    boots: u64,
    carts: Vec<Cart>,
    pub(super) told: Told,
    /// How often the store has lost something.
    pub(super) losses: usize,
    pub(super) report: Report,
    clock: Clock,
}

const LINGER: Duration = Duration::from_millis(800);
const LEASE: Duration = Duration::from_secs(1);

impl World {
    pub(super) fn new(plan: Plan) -> Self {
        let shelf = Shelf::default();
        shelf.set_lease(LEASE);
        shelf.set_partners(audit::partners_in);
        shelf.break_rules(BrokenRules {
            skip_base_check: plan.sabotage == Some(Sabotage::SkipBaseCheck),
            take_what_is_missing: plan.sabotage == Some(Sabotage::TakeWhatIsMissing),
            drop_one_player: plan.sabotage == Some(Sabotage::DropOnePlayer),
            forgets: (plan.sabotage == Some(Sabotage::ForgetASide)).then_some(audit::other_half_in),
            promise_longer_lease: plan.sabotage == Some(Sabotage::IgnoreLease),
            hide_losses: plan.sabotage == Some(Sabotage::SkipAudit),
            sell_for_nothing: plan.sabotage == Some(Sabotage::SellForNothing),
            forget_deeds: plan.sabotage == Some(Sabotage::ForgetDeeds),
        });
        let clock = Clock::Runtime { start_ms: 1_800_000_000_000, origin: Instant::now() };
        shelf.set_clock(clock);
        let sells = plan.repertoire.sells();
        let mut world = Self {
            plan,
            random: SmallRng::seed_from_u64(plan.seed),
            shelf,
            rules: Arc::new(if sells { shop::rules(0) } else { crate::rules() }),
            nodes: Vec::new(),
            boots: 0,
            carts: if sells { ["one", "two"].map(Cart::new).into() } else { Vec::new() },
            told: Told::default(),
            losses: 0,
            report: Report::default(),
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
        let roster = Roster::new(journal.clone(), store, self.rules.clone(), (self.clock, dice), roster_options());
        let switch = Switch::default();
        let (stop, stopping) = watch::channel(false);
        let sessions = Arc::new(Sessions::new(
            roster.clone(),
            token::Verifier::new(token::Options::Development).expect("development needs nothing"),
            session_options(),
            Arc::new(|| Durability { ack: "durable".into(), store: "memory".into(), promise: String::new() }),
            stopping,
        ));
        let mut tasks = vec![
            tokio::spawn(switch.clone().run(async move { journal.run().await })),
            tokio::spawn(switch.clone().run({
                let roster = roster.clone();
                async move {
                    let Err(superseded) = roster.keep_lease().await;
                    panic!("every boot of a node is the newest until it is killed: {superseded:?}");
                }
            })),
            tokio::spawn(switch.clone().run({
                let roster = roster.clone();
                async move { match roster.read_letters().await {} }
            })),
            tokio::spawn(switch.clone().run({
                let desk = sessions.desk().clone();
                async move { match desk.run().await {} }
            })),
        ];
        if self.plan.repertoire.sells() {
            tasks.push(tokio::spawn(switch.clone().run(sessions.shop().clone().run())));
        }
        NodeState { node, sessions, switch, tasks, _stop: stop, away_until: None }
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
        self.open_the_shop().await;
        for _ in 0..self.plan.steps {
            self.step(&mut clients).await;
            let pause = if self.random.random_ratio(1, 25) { 2_000 } else { 12 };
            sleep(Duration::from_millis(self.random.random_range(0..pause))).await;
            self.pump(&mut clients);
            if !self.report.violations.is_empty() && self.plan.sabotage.is_none() {
                break;
            }
        }
        self.settle(&mut clients).await;
        self.report.acked = clients.iter().map(|client| client.acked.len()).sum();
        self.report.healed = self.shelf.healed();
        self.report.hopeless = clients.iter().filter(|client| self.shelf.is_hopeless(&client.id)).count();
        let mut violations = audit::audit(&self.shelf, &clients);
        violations.extend(self.told.audit(&self.shelf));
        violations.extend(audit::proof(&self.shelf, self.rules.shop.iter().count()).await);
        for violation in violations {
            self.violation(violation);
        }
        self.report
    }

    /// As every start does, before anybody comes.
    async fn open_the_shop(&self) {
        self.nodes[0].sessions.shop().stock_up().await.expect("the weather is fair");
    }

    /// Everybody takes what they are told.
    fn pump(&mut self, clients: &mut [Client]) {
        for client in clients {
            client.pump(self);
        }
        self.each_cart(Cart::pump);
    }

    fn each_cart(&mut self, mut deal: impl FnMut(&mut Cart, &mut Self)) {
        let mut carts = std::mem::take(&mut self.carts);
        for cart in &mut carts {
            deal(cart, self);
        }
        self.carts = carts;
    }

    async fn step(&mut self, clients: &mut [Client]) {
        self.reunite(Instant::now());
        let shops = if self.plan.repertoire == Repertoire::Shopping { 6 } else { 20 };
        if self.plan.repertoire.sells() && self.random.random_ratio(1, shops) {
            return self.deal();
        }
        let at = self.random.random_range(0..clients.len());
        let names: Vec<PlayerId> = clients.iter().map(|client| client.id.clone()).collect();
        let place = clients[at].place();
        let is_near = |other: &&Client| place.is_some() && other.place() == place && other.id != names[at];
        let near: Vec<PlayerId> = clients.iter().filter(is_near).map(|other| other.id.clone()).collect();
        let client = &mut clients[at];
        match self.random.random_range(0..1000) {
            0..600 => client.act(self, &names, &near),
            600..620 => client.ask_on_an_old_device(self),
            620..740 => client.connect(self),
            740..800 => client.disconnect(self),
            800..860 => client.repeat(self),
            860..940 => self.change_weather(),
            940..950 => self.isolate(),
            950..960 => self.crash(clients),
            960..980 => self.lose_writes(),
            _ => client.connect_again(self),
        }
    }

    /// Something happens in the shop that no player does.
    fn deal(&mut self) {
        match self.random.random_range(0..12) {
            0 => {
                let at = self.random.random_range(0..self.nodes.len());
                let dearer = self.random.random_range(0..4);
                self.trace(format!("{} is dearer by {dearer}", self.nodes[at].node.id));
                let sessions = self.nodes[at].sessions.clone();
                sessions.put_in_force(shop::rules(dearer), roster_options(), session_options());
            }
            1 => self.each_cart(Cart::restock),
            _ => self.each_cart(Cart::step),
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

    /// A node is cut off, or stopped, for less or for longer than its lease.
    fn isolate(&mut self) {
        let at = self.random.random_range(0..self.nodes.len());
        let back = Instant::now() + Duration::from_millis(self.random.random_range(100..4_000));
        let reach = if self.random.random() { Reach::Fails } else { Reach::Waits };
        let state = &mut self.nodes[at];
        state.away_until = Some(back);
        if reach == Reach::Waits {
            state.switch.stop();
        }
        self.shelf.isolate(&state.node.id, reach);
        self.report.misfortunes += 1;
        let name = state.node.id.clone();
        self.trace(format!("{name} is isolated: {reach:?}"));
    }

    /// Whoever's time has come is back.
    fn reunite(&mut self, now: Instant) {
        for at in 0..self.nodes.len() {
            let state = &mut self.nodes[at];
            if state.away_until.is_some_and(|back| now >= back) {
                state.away_until = None;
                state.switch.go_on();
                self.shelf.reunite(&state.node.id);
                let name = state.node.id.clone();
                self.trace(format!("{name} is back"));
            }
        }
    }

    /// Whether a process runs; one that was replaced by a later boot does not.
    pub(super) fn runs(&self, node: &Node) -> bool {
        self.nodes.iter().any(|state| state.node == *node && !state.switch.is_stopped())
    }

    fn crash(&mut self, clients: &mut [Client]) {
        let at = self.random.random_range(0..self.nodes.len());
        let node = self.nodes[at].node.clone();
        self.trace(format!("kill {} boot {}", node.id, node.boot));
        self.report.misfortunes += 1;
        self.shelf.kill(&node);
        for task in &self.nodes[at].tasks {
            task.abort();
        }
        for client in clients.iter_mut() {
            client.server_died(&node);
        }
        self.each_cart(|cart, _| cart.server_died(&node));
        self.shelf.reunite(&node.id);
        self.nodes[at] = self.boot(&node.id);
    }

    fn lose_writes(&mut self) {
        let count = self.random.random_range(1..8);
        let holds = self.shelf.reservations();
        let lost = self.shelf.lose_last(count);
        self.told.lose(holds, &self.shelf);
        self.losses += 1;
        self.report.misfortunes += 1;
        self.trace(format!("the store loses writes of {lost:?}"));
    }

    /// Fair weather until everything is at rest.
    async fn settle(&mut self, clients: &mut [Client]) {
        self.trace("fair weather".to_owned());
        self.shelf.set_faults(Box::new(|_| Fault::None));
        self.reunite(Instant::now() + Duration::from_secs(3_600));
        self.wait(clients).await;
        self.everybody_moves(clients).await;
        for violation in audit::trades(clients).into_iter().chain(audit::holds(clients)) {
            self.violation(violation);
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
            let imbalances = roster.metrics.ledger_imbalances.get();
            if imbalances > 0 {
                self.violation(format!("{imbalances} records do not balance"));
            }
            if roster.journal.pending_bytes() > 0 {
                self.violation("something stays pending for ever".to_owned());
            }
        }
    }

    async fn wait(&mut self, clients: &mut [Client]) {
        for _ in 0..20 {
            sleep(Duration::from_millis(300)).await;
            self.pump(clients);
        }
    }

    /// A login at another node succeeds, and who was connected before is told that it was replaced.
    async fn everybody_moves(&mut self, clients: &mut [Client]) {
        let mut moved = Vec::new();
        for client in clients.iter_mut() {
            let (before, target) = (client.place(), self.random.random_range(0..self.nodes.len()));
            let target = self.nodes[target].node.clone();
            client.move_to(self, &target);
            moved.push((before, target));
        }
        self.wait(clients).await;
        for (client, (before, target)) in clients.iter_mut().zip(moved) {
            if client.place().as_ref() != Some(&target) {
                self.violation(format!("{} could not log in at {} in the end", client.id, target.id));
            }
            if before.is_some() && client.last_close != Some(Close::Replaced) {
                self.violation(format!("{}: replaced, and told {:?}", client.id, client.last_close));
            }
        }
    }
}

fn roster_options() -> RosterOptions {
    let some = |n| NonZeroU32::new(n).expect("not zero");
    RosterOptions {
        inbox_max: 100,
        inbox_time: Duration::from_secs(60),
        retention: Retention { entries_max: 10_000, time_max: None },
        linger: LINGER,
        resume_bytes_max: 4_096,
        outbox_bytes_max: 6_000,
        quotas: Quotas::new((some(50), some(50)), (some(600), some(50)), (some(600), some(50))),
        chain: &OURS,
    }
}

/// The bounds of its sessions.
#[must_use]
pub fn session_options() -> SessionOptions {
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
        trades: trade_desk::Options {
            invite_expiry: Duration::from_secs(5),
            trade_expiry: Duration::from_secs(20),
            invites: Invites { max: 100, per_pair_max: 50 },
            incoming_max: 4,
        },
        shop: shop_desk::Options { hold_time: Duration::from_secs(5), holds_max: 4, units_max: 10 },
    }
}
