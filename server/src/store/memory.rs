//! The reference store: the contract in a map, with faults on demand.
//!
//! Used by tests and the simulation, never by a running server. Several handles, one a node, share one [`Shelf`].

use super::{
    AcquireError, Answer, Batch, Door, GiftId, Header, INBOX_READ_MAX, LedgerItem, Life, Loaded, Node, Outcome, Owner,
    Page, PlayerWrite, Preferences, ReadError, Renewal, Standing, Standings, Store, Stored, Waiting,
};
use bytes::Bytes;
use holdall_protocol::ids::{PlayerId, Revision, Seq};
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use tokio::sync::Notify;

/// One player at rest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Row {
    /// The owner's token; `None` after a release.
    pub owner: Option<Owner>,
    /// The revision.
    pub revision: Revision,
    /// The last request number spent.
    pub seq: Seq,
    /// The last batch that wrote the player.
    pub batch: Option<super::BatchId>,
    /// The record format.
    pub schema: u32,
    /// The oldest format whose builds can read it.
    pub readable_by: u32,
    /// The content step.
    pub content: u32,
    /// When it was written last.
    pub saved_at: u64,
    /// The highest epoch ever given out.
    pub epoch: u64,
    /// The places.
    pub places: BTreeMap<String, Bytes>,
    /// The ledger, one item a batch.
    pub ledger: Vec<LedgerItem>,
    /// What the player has set.
    pub preferences: Preferences,
    /// What waits in the inbox.
    pub inbox: BTreeMap<GiftId, Bytes>,
}

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
    /// Rows as they were before each write, newest last: what a store that loses its last writes goes back to.
    undo: Vec<Vec<(PlayerId, Option<Row>)>>,
    life: u64,
    lease: Option<Duration>,
    /// Nodes whose lease has run out and who have not renewed it.
    dead: BTreeSet<String>,
    /// Nodes that cannot renew their lease.
    cut_off: BTreeSet<String>,
    letters: BTreeMap<String, Vec<Bytes>>,
    posted: Arc<Notify>,
    /// Boots that were killed: whatever they still send never arrives.
    killed: BTreeSet<(String, u64)>,
    faults: Faults,
    broken_rules: BrokenRules,
}

/// Rules of the contract that a test breaks on purpose, to show that it would notice.
#[derive(Debug, Clone, Copy, Default)]
pub struct BrokenRules {
    /// Writes whatever the base revision says.
    pub skip_base_check: bool,
    /// Writes every batch without its last player.
    pub drop_one_player: bool,
}

/// The shared state behind all handles.
#[derive(Clone)]
pub struct Shelf(Arc<Mutex<State>>);

impl Default for Shelf {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(State {
            rows: BTreeMap::new(),
            undo: Vec::new(),
            life: 0,
            lease: None,
            dead: BTreeSet::new(),
            cut_off: BTreeSet::new(),
            letters: BTreeMap::new(),
            posted: Arc::default(),
            killed: BTreeSet::new(),
            faults: Box::new(|_| Fault::None),
            broken_rules: BrokenRules::default(),
        })))
    }
}

impl Shelf {
    /// A node's handle.
    #[must_use]
    pub fn open(&self, node: Node) -> Memory {
        Memory { shelf: self.clone(), node }
    }

    /// Sets who decides the faults from now on.
    pub fn set_faults(&self, faults: Faults) {
        self.0.lock().faults = faults;
    }

    /// Says how long nodes own their players after a sign of life; before the first is opened. Without, for ever.
    pub fn set_lease(&self, lease: Duration) {
        self.0.lock().lease = Some(lease);
    }

    /// Breaks rules on purpose.
    pub fn break_rules(&self, rules: BrokenRules) {
        self.0.lock().broken_rules = rules;
    }

    /// Cuts a node off from its lease, which has run out: others may take its players, and it is told so when it is let
    /// through again by [`Shelf::revive`].
    pub fn expire(&self, node: &str) {
        let mut state = self.0.lock();
        state.dead.insert(node.to_owned());
        state.cut_off.insert(node.to_owned());
    }

    /// Kills one boot of a node, as kill -9 does: nothing it sends arrives any more, and it gets no answer.
    pub fn kill(&self, node: &Node) {
        self.0.lock().killed.insert((node.id.clone(), node.boot));
    }

    fn is_killed(&self, node: &Node) -> bool {
        self.0.lock().killed.contains(&(node.id.clone(), node.boot))
    }

    /// Lets a node renew its lease again.
    pub fn revive(&self, node: &str) {
        self.0.lock().cut_off.remove(node);
    }

    /// Loses up to the last `count` writes, as a crashed store with lazy writes does, and lives on in another life. Returns
    /// how many were lost.
    pub fn lose_last(&self, count: usize) -> usize {
        let mut state = self.0.lock();
        state.life = state.life.saturating_add(1);
        for lost in 0..count {
            let Some(before) = state.undo.pop() else { return lost };
            for (player, row) in before {
                match row {
                    Some(row) => state.rows.insert(player, row),
                    None => state.rows.remove(&player),
                };
            }
        }
        count
    }

    /// Who wrote the last `count` times: owner and player, newest first.
    #[must_use]
    pub fn last_writers(&self, count: usize) -> Vec<(Option<Owner>, PlayerId)> {
        let state = self.0.lock();
        let last = state.undo.iter().rev().take(count).flatten();
        last.map(|(player, row)| (row.as_ref().and_then(|row| row.owner.clone()), player.clone())).collect()
    }

    /// A copy of everything at rest.
    #[must_use]
    pub fn rows(&self) -> BTreeMap<PlayerId, Row> {
        self.0.lock().rows.clone()
    }

    fn commit(&self, batch: &Batch, life: Life) -> Outcome {
        let mut state = self.0.lock();
        if state.life != life.get() {
            return Outcome::Restarted;
        }
        if batch.players.iter().any(|write| state.rows.get(&write.player).and_then(|row| row.batch) == Some(batch.id)) {
            return Outcome::Already;
        }
        let standings: Vec<_> =
            batch.players.iter().map(|write| (write.player.clone(), state.standing(write))).collect();
        if let Some(refused) = Standing::verdict(&standings) {
            return refused;
        }
        let before = touched(batch).into_iter().map(|player| (player.clone(), state.rows.get(player).cloned()));
        let before = before.collect();
        state.undo.push(before);
        let leave_out = usize::from(state.broken_rules.drop_one_player && batch.players.len() > 1);
        for write in batch.players.iter().skip(leave_out) {
            state.rows.entry(write.player.clone()).or_default().write(write, batch);
            for change in &write.inbox {
                let inbox = &mut state.rows.entry(change.owner.clone()).or_default().inbox;
                match &change.content {
                    Some(content) => inbox.insert(change.gift, content.clone()),
                    None => inbox.remove(&change.gift),
                };
            }
        }
        Outcome::Applied
    }

    fn acquire(&self, node: &Node, player: &PlayerId, life: Life) -> Result<Loaded, AcquireError> {
        let mut state = self.0.lock();
        if state.life != life.get() {
            return Err(AcquireError::Restarted);
        }
        let before = state.rows.get(player).cloned();
        let mut row = before.clone().unwrap_or_default();
        if let Some(owner) = &row.owner
            && owner.node() != node.id
            && !state.dead.contains(owner.node())
        {
            return Err(AcquireError::Held(owner.clone()));
        }
        row.epoch = row.epoch.saturating_add(1);
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
        };
        state.undo.push(vec![(player.clone(), before)]);
        state.rows.insert(player.clone(), row);
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
            owner: row.owner.filter(|owner| !state.dead.contains(owner.node())),
        }
    }

    fn standings(&self, players: &[PlayerId]) -> Standings {
        let state = self.0.lock();
        let header = |player: &PlayerId| {
            state.rows.get(player).map_or_else(Header::default, |row| Header {
                owner: row.owner.clone(),
                epoch: row.epoch,
                revision: row.revision,
            })
        };
        Standings { life: Life::new(state.life), headers: players.iter().map(header).collect() }
    }

    fn reclaim(&self, player: &PlayerId, owner: &Owner, life: Life) -> bool {
        let mut state = self.0.lock();
        let before = state.rows.get(player).cloned();
        let mut row = before.clone().unwrap_or_default();
        if state.life != life.get() || row.epoch >= owner.epoch() {
            return row.owner.as_ref() == Some(owner);
        }
        row.epoch = owner.epoch();
        row.owner = Some(owner.clone());
        state.undo.push(vec![(player.clone(), before)]);
        state.rows.insert(player.clone(), row);
        true
    }

    fn renew(&self, node: &Node) -> Result<Renewal, ReadError> {
        let mut state = self.0.lock();
        if state.cut_off.contains(&node.id) {
            return Err(told_to_fail());
        }
        let life = Life::new(state.life);
        Ok(if state.dead.remove(&node.id) { Renewal::Lapsed(life) } else { Renewal::Held(life) })
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
        };
        state.undo.push(vec![(player.clone(), None)]);
        state.rows.insert(player, row);
        Ok(())
    }
}

impl State {
    fn standing(&self, write: &PlayerWrite) -> Standing {
        let row = self.rows.get(&write.player);
        let owner = row.and_then(|row| row.owner.as_ref()).map(Owner::as_str);
        let revision = row.map_or(Revision::ZERO, |row| row.revision);
        match Standing::of(write, owner, revision) {
            Standing::Conflict | Standing::Regressed if self.broken_rules.skip_base_check => Standing::Ready,
            standing => standing,
        }
    }
}

impl Row {
    fn stored(&self) -> Stored {
        Stored {
            owner: self.owner.clone(),
            epoch: self.epoch,
            revision: self.revision,
            seq: self.seq,
            schema: self.schema,
            readable_by: self.readable_by,
            content: self.content,
            saved_at: self.saved_at,
            places: self.places.iter().map(|(place, value)| (place.clone(), value.clone())).collect(),
            preferences: self.preferences,
            inbox: self.inbox.iter().map(|(gift, content)| (*gift, content.clone())).collect(),
        }
    }

    fn write(&mut self, write: &PlayerWrite, batch: &Batch) {
        self.revision = write.revision;
        self.seq = write.seq;
        self.schema = write.schema;
        self.readable_by = write.readable_by;
        self.content = write.content;
        self.saved_at = write.saved_at;
        self.batch = Some(batch.id);
        self.preferences = write.preferences.unwrap_or(self.preferences);
        for (place, value) in &write.places {
            match value {
                Some(value) => self.places.insert(place.clone(), value.clone()),
                None => self.places.remove(place),
            };
        }
        if !write.entries.is_empty() {
            self.ledger.push((write.revision, write.entries.clone()));
        }
        if write.release {
            self.owner = None;
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
            if shelf.is_killed(&node) {
                return std::future::pending().await;
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
        let answer = self.faulty("commit", move |shelf| shelf.commit(&batch, life));
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

    fn standings(&self, players: Vec<PlayerId>) -> Answer<Result<Standings, ReadError>> {
        read(self.faulty("standings", move |shelf| shelf.standings(&players)))
    }

    fn reclaim(&self, player: PlayerId, owner: Owner, life: Life) -> Answer<Result<bool, ReadError>> {
        read(self.faulty("reclaim", move |shelf| shelf.reclaim(&player, &owner, life)))
    }

    fn lease(&self) -> Option<Duration> {
        self.shelf.0.lock().lease
    }

    fn renew(&self) -> Answer<Result<Renewal, ReadError>> {
        let node = self.node.clone();
        let answer = self.faulty("renew", move |shelf| shelf.renew(&node));
        Box::pin(async move { answer.await.unwrap_or_else(|_| Err(told_to_fail())) })
    }

    fn resign(&self) -> Answer<()> {
        let node = self.node.id.clone();
        let answer = self.faulty("resign", move |shelf| shelf.0.lock().dead.insert(node));
        Box::pin(async move {
            // Whoever resigns has nothing left to do about a failure.
            let _ = answer.await;
        })
    }

    fn post(&self, node: String, letter: Bytes) -> Answer<Result<(), ReadError>> {
        read(self.faulty("post", move |shelf| {
            let mut state = shelf.0.lock();
            state.letters.entry(node).or_default().push(letter);
            state.posted.notify_waiters();
        }))
    }

    fn letters(&self) -> Answer<Vec<Bytes>> {
        let (shelf, node) = (self.shelf.clone(), self.node.clone());
        Box::pin(async move {
            loop {
                let posted = shelf.0.lock().posted.clone();
                let posted = posted.notified();
                tokio::pin!(posted);
                posted.as_mut().enable();
                if shelf.is_killed(&node) {
                    return std::future::pending().await;
                }
                if let Some(letters) = shelf.0.lock().letters.remove(&node.id) {
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

    fn import(&self, player: PlayerId, stored: Stored, ledger: Vec<LedgerItem>) -> Answer<Result<(), ReadError>> {
        let answer = self.faulty("import", move |shelf| shelf.import(player, stored, ledger));
        Box::pin(async move { answer.await.unwrap_or_else(|_| Err(told_to_fail())) })
    }

    fn alive(&self) -> Answer<Result<Vec<String>, ReadError>> {
        let node = self.node.id.clone();
        read(self.faulty("alive", move |shelf| {
            let state = shelf.0.lock();
            let owners = state.rows.values().filter_map(|row| row.owner.as_ref()).map(|owner| owner.node().to_owned());
            let owners: BTreeSet<String> = owners.filter(|owner| *owner != node).collect();
            owners.difference(&state.dead).cloned().collect()
        }))
    }

    fn may_regress(&self) -> bool {
        true
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
