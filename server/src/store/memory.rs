//! The reference store: the contract in a map, with faults on demand.
//!
//! Used by tests and the simulation, never by a running server. Several handles, one a node, share one [`Shelf`].

mod answers;
mod loss;
mod nodes;
mod row;
mod shop;

use super::{
    AcquireError, Answer, Batch, Door, Found, Header, INBOX_READ_MAX, KeptAnswer, LedgerItem, Letter, Life, Loaded,
    Node, Outcome, Owner, Page, PlayerWrite, ReadError, Renewal, Standing, Standings, Store, Stored, Waiting,
    stock::Tally,
};
use crate::clock::Clock;
use bytes::Bytes;
use holdall_protocol::ids::{OrderKey, PlayerId, Revision};
pub use loss::Partners;
use loss::{Losses, Undo};
use nodes::Nodes;
pub use nodes::Reach;
use parking_lot::Mutex;
pub use row::Row;
use shop::Shop;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use tokio::{sync::Notify, time::Instant};

/// What may go wrong with one verb.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// It takes this long before it runs.
    Delay(Duration),
    /// It never runs, and no answer comes.
    DropRequest,
    /// It runs, and no answer comes.
    DropAnswer,
    /// It is refused before anything is written.
    Unavailable,
}

/// Decides the fault of each verb, by name.
pub type Faults = Box<dyn FnMut(&'static str) -> Fault + Send>;

struct State {
    rows: BTreeMap<PlayerId, Row>,
    /// What to go back to for each write, newest last.
    undo: Vec<Undo>,
    losses: Losses,
    /// Stands for the store's clock in the epochs that it gives: it goes on where writes are lost.
    ticks: u64,
    nodes: Nodes,
    letters: BTreeMap<String, Vec<Letter>>,
    posted: Arc<Notify>,
    shop: Arc<Shop>,
    /// Stands for the store's clock in all that has a time.
    clock: Clock,
    faults: Faults,
    broken_rules: BrokenRules,
}

/// Rules of the contract that a test breaks on purpose, to show that it would notice.
#[derive(Debug, Clone, Copy, Default)]
pub struct BrokenRules {
    /// Writes whatever the base revision and its writer say.
    pub skip_base_check: bool,
    /// Takes gifts that are not there.
    pub take_what_is_missing: bool,
    /// Writes every batch without its last player.
    pub drop_one_player: bool,
    /// Says that it wrote these, and does not.
    pub forgets: Option<fn(&PlayerWrite) -> bool>,
    /// Tells nodes of a longer lease than it gives them.
    pub promise_longer_lease: bool,
    /// Loses writes without beginning a new life.
    pub hide_losses: bool,
    /// Confirms holds that are paid for, and writes nothing of the payment.
    pub sell_for_nothing: bool,
    /// Does a deed again that is said again.
    pub forget_deeds: bool,
}

/// The shared state behind all handles.
#[derive(Clone)]
pub struct Shelf(Arc<Mutex<State>>);

impl Default for Shelf {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(State {
            rows: BTreeMap::new(),
            undo: Vec::new(),
            losses: Losses::default(),
            ticks: 0,
            nodes: Nodes::default(),
            letters: BTreeMap::new(),
            shop: Arc::default(),
            clock: shop::clock(),
            posted: Arc::default(),
            faults: Box::new(|_| Fault::None),
            broken_rules: BrokenRules::default(),
        })))
    }
}

impl Shelf {
    /// A node's handle; signs this boot of it on.
    #[must_use]
    pub fn open(&self, node: Node) -> Memory {
        self.0.lock().nodes.sign_on(&node);
        Memory { shelf: self.clone(), node, tally: Tally::default() }
    }

    /// Sets who decides the faults from now on.
    pub fn set_faults(&self, faults: Faults) {
        self.0.lock().faults = faults;
    }

    /// Says how long nodes own their players after a sign of life; before the first is opened. Without, for ever.
    pub fn set_lease(&self, lease: Duration) {
        self.0.lock().nodes.lease = Some(lease);
    }

    /// Says what time it is on the shelf.
    pub fn set_clock(&self, clock: Clock) {
        self.0.lock().clock = clock;
    }

    /// Breaks rules on purpose.
    pub fn break_rules(&self, rules: BrokenRules) {
        self.0.lock().broken_rules = rules;
    }

    /// A copy of everything at rest.
    #[must_use]
    pub fn rows(&self) -> BTreeMap<PlayerId, Row> {
        self.0.lock().rows.clone()
    }

    fn commit(&self, node: &Node, batch: &Batch, life: Life) -> Outcome {
        let mut state = self.0.lock();
        if state.nodes.life != life.get() {
            return Outcome::Restarted;
        }
        if batch.players.iter().any(|write| state.rows.get(&write.player).and_then(|row| row.batch) == Some(batch.id)) {
            return Outcome::Already;
        }
        let standings: Vec<_> =
            batch.players.iter().map(|write| (write.player.clone(), state.standing(write))).collect();
        if let Some(refused) = Standing::verdict(&standings) {
            state.refused(batch);
            return refused;
        }
        let touched = touched(batch);
        state.remember(node, touched.iter().copied());
        let leave_out = usize::from(state.broken_rules.drop_one_player && batch.players.len() > 1);
        let forgets = state.broken_rules.forgets.unwrap_or(|_| false);
        for write in batch.players.iter().skip(leave_out).filter(|write| !forgets(write)) {
            if state.broken_rules.sell_for_nothing && !write.purchases.is_empty() {
                state.pay(write);
                continue;
            }
            state.rows.entry(write.player.clone()).or_default().write(write, batch);
            for change in &write.inbox {
                let inbox = &mut state.rows.entry(change.owner.clone()).or_default().inbox;
                match &change.content {
                    Some(content) => inbox.insert(change.gift, content.clone()),
                    None => inbox.remove(&change.gift),
                };
            }
            state.pay(write);
            state.keep_answers(write);
        }
        state.written(node, touched);
        Outcome::Applied
    }

    fn acquire(&self, node: &Node, player: &PlayerId, life: Life) -> Result<Loaded, AcquireError> {
        let mut state = self.0.lock();
        if state.nodes.life != life.get() {
            return Err(AcquireError::Restarted);
        }
        if !state.nodes.is_newest(node) {
            return Err(AcquireError::Unavailable("a later boot of this node has signed on".to_owned()));
        }
        if !state.nodes.is_settled(node) {
            return Err(AcquireError::Unsettled);
        }
        let held = state.rows.get(player).and_then(|row| row.owner.clone());
        if let Some(owner) = held
            && owner.node() != node.id
            && !state.nodes.may_be_taken_from(owner.node())
        {
            return Err(AcquireError::Held(owner));
        }
        state.remember(node, [player]);
        state.ticks = state.ticks.saturating_add(1);
        let ticks = state.ticks;
        let holds = state.shop.holds_of(player);
        let row = state.rows.entry(player.clone()).or_default();
        row.epoch = row.epoch.saturating_add(1).max(ticks);
        let owner = Owner::new(node, row.epoch);
        row.owner = Some(owner.clone());
        let loaded = Loaded {
            owner,
            revision: row.revision,
            seq: row.seq,
            schema: row.schema,
            readable_by: row.readable_by,
            content: row.content,
            places: row.places.iter().map(|(place, value)| (place.clone(), value.clone())).collect(),
            recent: row.ledger.iter().rev().take(64).rev().map(|(_, entries)| entries.clone()).collect(),
            preferences: row.preferences,
            has_mail: !row.inbox.is_empty(),
            opened: row.opened,
            writer: row.writer.clone(),
            holds,
        };
        state.written(node, [player]);
        Ok(loaded)
    }

    fn inbox(&self, player: &PlayerId) -> Vec<Waiting> {
        let state = self.0.lock();
        let inbox = state.rows.get(player).map(|row| row.inbox.iter()).into_iter().flatten();
        inbox.take(INBOX_READ_MAX).map(|(gift, content)| (*gift, content.clone())).collect()
    }

    fn door(&self, player: &PlayerId) -> Door {
        let state = self.0.lock();
        let row = state.rows.get(player).cloned().unwrap_or_default();
        Door {
            exists: row.revision > Revision::ZERO,
            preferences: row.preferences,
            waiting: row.inbox.len(),
            owner: row.owner.filter(|owner| state.nodes.serves(owner)),
        }
    }

    fn standings(&self, players: &[PlayerId]) -> Standings {
        let state = self.0.lock();
        let headers = players.iter().map(|player| state.header(player)).collect();
        Standings { life: Life::new(state.nodes.life), headers }
    }

    fn reclaim(&self, node: &Node, (player, owner): (&PlayerId, &Owner), at: Revision, life: Life) -> bool {
        let mut state = self.0.lock();
        let row = state.rows.get(player).cloned().unwrap_or_default();
        if state.nodes.life != life.get() || row.revision != at || row.epoch >= owner.epoch() {
            return row.owner.as_ref() == Some(owner);
        }
        // Once the time for it is over, whoever the store knows as the owner may be serving the player.
        let another = row.owner.as_ref().is_some_and(|known| known.node() != node.id);
        if another && !state.nodes.is_time_to_reclaim() {
            state.losses.give_up(player);
            return false;
        }
        state.remember(node, [player]);
        state.rows.insert(player.clone(), Row { epoch: owner.epoch(), owner: Some(owner.clone()), ..row });
        state.written(node, [player]);
        true
    }

    fn renew(&self, node: &Node, checked: Life) -> Renewal {
        self.0.lock().nodes.renew(node, checked)
    }

    fn import(&self, player: PlayerId, stored: Stored, ledger: Vec<LedgerItem>) -> Result<(), ReadError> {
        let mut state = self.0.lock();
        if state.rows.contains_key(&player) {
            return Err(ReadError::Exists);
        }
        let Stored {
            owner: _,
            epoch,
            revision,
            seq,
            schema,
            readable_by,
            content,
            saved_at,
            places,
            preferences,
            inbox,
            writer,
            opened,
        } = stored;
        let (places, inbox) = (places.into_iter().collect(), inbox.into_iter().collect());
        let row = Row {
            owner: None,
            revision,
            seq,
            batch: None,
            schema,
            readable_by,
            content,
            saved_at,
            epoch,
            places,
            ledger,
            preferences,
            inbox,
            answers: Vec::new(),
            writer,
            opened,
        };
        state.rows.insert(player, row);
        Ok(())
    }
}

impl State {
    /// A node's letters. A fault of this verb loses them or lets them come a second time.
    fn hand_out(&mut self, node: &Node) -> Option<Vec<Letter>> {
        let letters = self.letters.remove(&node.id)?;
        match (self.faults)("letters") {
            Fault::None | Fault::Delay(_) | Fault::Unavailable => Some(letters),
            Fault::DropRequest => None,
            Fault::DropAnswer => {
                self.letters.insert(node.id.clone(), letters.clone());
                Some(letters)
            }
        }
    }

    fn header(&self, player: &PlayerId) -> Header {
        self.rows.get(player).map_or_else(Header::default, |row| Header {
            owner: row.owner.clone(),
            epoch: row.epoch,
            revision: row.revision,
            writer: row.writer.clone(),
        })
    }

    /// Whether every gift that is taken is there, and every hold that is paid for.
    fn has_all(&self, write: &PlayerWrite) -> bool {
        self.has_gifts(write) && self.can_pay(write)
    }

    fn has_gifts(&self, write: &PlayerWrite) -> bool {
        write.taken().all(|(owner, gift)| self.rows.get(owner).is_some_and(|row| row.inbox.contains_key(gift)))
    }

    fn standing(&self, write: &PlayerWrite) -> Standing {
        let gifts = self.broken_rules.take_what_is_missing || self.has_gifts(write);
        match Standing::of(write, &self.header(&write.player), gifts && self.can_pay(write)) {
            Standing::Conflict | Standing::Regressed if self.broken_rules.skip_base_check => Standing::Ready,
            standing => standing,
        }
    }
}

/// Every player of whom a batch writes something, once.
fn touched(batch: &Batch) -> BTreeSet<&PlayerId> {
    let owners = batch.players.iter().flat_map(|write| &write.inbox).map(|change| &change.owner);
    batch.players.iter().map(|write| &write.player).chain(owners).collect()
}

/// One node's handle on the shelf.
pub struct Memory {
    shelf: Shelf,
    node: Node,
    tally: Tally,
}

impl Memory {
    /// Runs a verb under the next fault.
    fn faulty<T: Send + 'static>(
        &self,
        verb: &'static str,
        run: impl FnOnce(&Shelf) -> T + Send + 'static,
    ) -> Answer<Result<T, Fault>> {
        let (shelf, node) = (self.shelf.clone(), self.node.clone());
        Box::pin(async move {
            let fault = (shelf.0.lock().faults)(verb);
            if let Fault::Delay(time) = fault {
                tokio::time::sleep(time).await;
            }
            if shelf.reached_by(&node).await.is_err() {
                return Err(Fault::DropRequest);
            }
            match fault {
                Fault::None | Fault::Delay(_) => Ok(run(&shelf)),
                Fault::DropAnswer => {
                    run(&shelf);
                    Err(fault)
                }
                Fault::DropRequest | Fault::Unavailable => Err(fault),
            }
        })
    }
}

fn told_to_fail() -> ReadError {
    ReadError::Unavailable("the memory store was told to fail".to_owned())
}

/// What a verb without outcomes of its own answers.
fn read<T: Send + 'static>(answer: Answer<Result<T, Fault>>) -> Answer<Result<T, ReadError>> {
    Box::pin(async move { answer.await.map_err(|_| told_to_fail()) })
}

impl Store for Memory {
    fn commit(&self, batch: Arc<Batch>, life: Life) -> Answer<Outcome> {
        let (node, tally) = (self.node.clone(), self.tally.clone());
        let commit = move |shelf: &Shelf| tally.with_purchases(&batch, shelf.commit(&node, &batch, life));
        let answer = self.faulty("commit", commit);
        Box::pin(async move {
            match answer.await {
                Ok(outcome) => outcome,
                Err(Fault::Unavailable) => Outcome::Unavailable { retry_after: Duration::ZERO },
                Err(_) => Outcome::Unknown,
            }
        })
    }

    fn acquire(&self, player: PlayerId, life: Life) -> Answer<Result<Loaded, AcquireError>> {
        let node = self.node.clone();
        let answer = self.faulty("acquire", move |shelf| shelf.acquire(&node, &player, life));
        Box::pin(async move {
            answer.await.unwrap_or_else(|_| Err(AcquireError::Unavailable("the memory store was told to fail".into())))
        })
    }

    fn inbox(&self, player: PlayerId) -> Answer<Result<Vec<Waiting>, ReadError>> {
        read(self.faulty("inbox", move |shelf| shelf.inbox(&player)))
    }

    fn door(&self, player: PlayerId) -> Answer<Result<Door, ReadError>> {
        read(self.faulty("door", move |shelf| shelf.door(&player)))
    }

    fn answer(&self, key: OrderKey) -> Answer<Result<Option<KeptAnswer>, ReadError>> {
        read(self.faulty("answer", move |shelf| shelf.0.lock().answer(&key)))
    }

    fn standings(&self, players: Vec<PlayerId>) -> Answer<Result<Standings, ReadError>> {
        read(self.faulty("standings", move |shelf| shelf.standings(&players)))
    }

    fn reclaim(&self, player: PlayerId, owner: Owner, at: Revision, life: Life) -> Answer<Result<bool, ReadError>> {
        let node = self.node.clone();
        read(self.faulty("reclaim", move |shelf| shelf.reclaim(&node, (&player, &owner), at, life)))
    }

    fn lease(&self) -> Option<Duration> {
        let state = self.shelf.0.lock();
        let factor = if state.broken_rules.promise_longer_lease { 8 } else { 1 };
        state.nodes.lease.map(|lease| lease.saturating_mul(factor))
    }

    fn renew(&self, checked: Life) -> Answer<Result<Renewal, ReadError>> {
        let node = self.node.clone();
        read(self.faulty("renew", move |shelf| shelf.renew(&node, checked)))
    }

    fn resign(&self) -> Answer<()> {
        let node = self.node.clone();
        let answer = self.faulty("resign", move |shelf| shelf.0.lock().nodes.resign(&node));
        Box::pin(async move {
            // Whoever resigns has nothing left to do about a failure.
            let _ = answer.await;
        })
    }

    fn post(&self, node: String, letter: Bytes) -> Answer<Result<(), ReadError>> {
        read(self.faulty("post", move |shelf| {
            let mut state = shelf.0.lock();
            let letter = Letter { content: letter, posted: Instant::now() };
            state.letters.entry(node).or_default().push(letter);
            state.posted.notify_waiters();
        }))
    }

    fn letters(&self) -> Answer<Vec<Letter>> {
        let (shelf, node) = (self.shelf.clone(), self.node.clone());
        Box::pin(async move {
            loop {
                let posted = shelf.0.lock().posted.clone();
                let posted = posted.notified();
                tokio::pin!(posted);
                posted.as_mut().enable();
                if shelf.reached_by(&node).await.is_ok()
                    && let Some(letters) = shelf.0.lock().hand_out(&node)
                {
                    return letters;
                }
                posted.await;
            }
        })
    }

    fn players(&self, mark: Option<String>) -> Answer<Result<Page<PlayerId>, ReadError>> {
        read(self.faulty("players", move |shelf| {
            let state = shelf.0.lock();
            let after = state.rows.keys().filter(|player| mark.as_deref().is_none_or(|mark| player.as_str() > mark));
            let items: Vec<PlayerId> = after.take(PAGE).cloned().collect();
            let next = (items.len() == PAGE).then(|| items.last().map(ToString::to_string)).flatten();
            Page { items, next }
        }))
    }

    fn peek(&self, player: PlayerId) -> Answer<Result<Option<Stored>, ReadError>> {
        read(self.faulty("peek", move |shelf| shelf.0.lock().rows.get(&player).map(Row::stored)))
    }

    fn ledger(&self, player: PlayerId, mark: Option<String>) -> Answer<Result<Page<LedgerItem>, ReadError>> {
        read(self.faulty("ledger", move |shelf| {
            let from = mark.and_then(|mark| mark.parse().ok()).unwrap_or(0_usize);
            let state = shelf.0.lock();
            let ledger = state.rows.get(&player).map_or(&[][..], |row| &row.ledger);
            let items: Vec<LedgerItem> = ledger.iter().skip(from).take(PAGE).cloned().collect();
            let next = (items.len() == PAGE).then(|| from.saturating_add(PAGE).to_string());
            Page { items, next }
        }))
    }

    fn together(&self, players: Vec<PlayerId>) -> Answer<Result<Vec<Found>, ReadError>> {
        read(self.faulty("together", move |shelf| {
            let state = shelf.0.lock();
            players.iter().map(|player| Ok(state.rows.get(player).map(Row::whole))).collect()
        }))
    }

    fn import(&self, player: PlayerId, stored: Stored, ledger: Vec<LedgerItem>) -> Answer<Result<(), ReadError>> {
        let answer = self.faulty("import", move |shelf| shelf.import(player, stored, ledger));
        Box::pin(async move { answer.await.unwrap_or_else(|_| Err(told_to_fail())) })
    }

    fn alive(&self) -> Answer<Result<Vec<String>, ReadError>> {
        let node = self.node.id.clone();
        read(self.faulty("alive", move |shelf| {
            let state = shelf.0.lock();
            let owners = state.rows.values().filter_map(|row| row.owner.as_ref()).map(Owner::node);
            let others: BTreeSet<&str> = owners.filter(|owner| *owner != node).collect();
            others.into_iter().filter(|owner| state.nodes.is_alive(owner)).map(str::to_owned).collect()
        }))
    }

    fn may_regress(&self) -> bool {
        true
    }

    fn home(&self) -> String {
        "memory".to_owned()
    }

    fn node(&self) -> &str {
        &self.node.id
    }

    fn name(&self) -> &'static str {
        "memory"
    }

    fn promise(&self) -> String {
        "survives nothing: for tests".to_owned()
    }
}

/// Items of one page.
const PAGE: usize = 100;
