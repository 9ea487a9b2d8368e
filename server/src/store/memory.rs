//! The reference store: the contract in a map, with faults on demand.
//!
//! Used by tests and the simulation, never by a running server. Several handles, one a node, share one [`Shelf`].

use super::{AcquireError, Answer, Batch, Loaded, Node, Outcome, Owner, PlayerWrite, Standing, Store};
use bytes::Bytes;
use holdall_protocol::ids::{PlayerId, Revision, Seq};
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

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
    /// The highest epoch ever given out.
    pub epoch: u64,
    /// The places.
    pub places: BTreeMap<String, Bytes>,
    /// The ledger, one item a batch.
    pub ledger: Vec<Bytes>,
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
    /// Rows as they were before each commit, newest last: what a store that loses its last writes goes back to. Empty
    /// lists stand for acquisitions: nothing before one is lost, because its loss would only fence its owner.
    undo: Vec<Vec<(PlayerId, Option<Row>)>>,
    /// Nodes whose lease has run out.
    dead: BTreeSet<String>,
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
            dead: BTreeSet::new(),
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

    /// Breaks rules on purpose.
    pub fn break_rules(&self, rules: BrokenRules) {
        self.0.lock().broken_rules = rules;
    }

    /// Says that a node's lease has run out: others may take its players.
    pub fn expire(&self, node: &str) {
        self.0.lock().dead.insert(node.to_owned());
    }

    /// Kills one boot of a node, as kill -9 does: nothing it sends arrives any more, and it gets no answer.
    pub fn kill(&self, node: &Node) {
        self.0.lock().killed.insert((node.id.clone(), node.boot));
    }

    fn is_killed(&self, node: &Node) -> bool {
        self.0.lock().killed.contains(&(node.id.clone(), node.boot))
    }

    /// Says that a node is alive again.
    pub fn revive(&self, node: &str) {
        self.0.lock().dead.remove(node);
    }

    /// Loses up to the last `count` commits, none from before an acquisition, as a crashed store with lazy writes does.
    /// Returns how many were lost.
    pub fn lose_last(&self, count: usize) -> usize {
        let mut state = self.0.lock();
        for lost in 0..count {
            let Some(before) = state.undo.pop_if(|before| !before.is_empty()) else { return lost };
            for (player, row) in before {
                match row {
                    Some(row) => state.rows.insert(player, row),
                    None => state.rows.remove(&player),
                };
            }
        }
        count
    }

    /// Who wrote the last `count` commits, none from before an acquisition: owner and player, newest first.
    #[must_use]
    pub fn last_writers(&self, count: usize) -> Vec<(Option<Owner>, PlayerId)> {
        let state = self.0.lock();
        let last = state.undo.iter().rev().take(count).take_while(|before| !before.is_empty());
        let players =
            last.flatten().map(|(player, row)| (row.as_ref().and_then(|row| row.owner.clone()), player.clone()));
        players.collect()
    }

    /// A copy of everything at rest.
    #[must_use]
    pub fn rows(&self) -> BTreeMap<PlayerId, Row> {
        self.0.lock().rows.clone()
    }

    fn commit(&self, batch: &Batch) -> Outcome {
        let mut state = self.0.lock();
        if batch.players.iter().any(|write| state.rows.get(&write.player).and_then(|row| row.batch) == Some(batch.id)) {
            return Outcome::Already;
        }
        let standings: Vec<_> =
            batch.players.iter().map(|write| (write.player.clone(), state.standing(write))).collect();
        if let Some(refused) = Standing::verdict(&standings) {
            return refused;
        }
        let before = batch.players.iter().map(|write| (write.player.clone(), state.rows.get(&write.player).cloned()));
        let before = before.collect();
        state.undo.push(before);
        let leave_out = usize::from(state.broken_rules.drop_one_player && batch.players.len() > 1);
        for write in batch.players.iter().skip(leave_out) {
            state.rows.entry(write.player.clone()).or_default().write(write, batch);
        }
        Outcome::Applied
    }

    fn acquire(&self, node: &Node, player: &PlayerId) -> Result<Loaded, AcquireError> {
        let mut state = self.0.lock();
        let dead = state.dead.clone();
        let row = state.rows.entry(player.clone()).or_default();
        if let Some(owner) = &row.owner {
            let holder = owner.as_str().split(':').next().unwrap_or_default();
            if holder != node.id && !dead.contains(holder) {
                return Err(AcquireError::Held(holder.to_owned()));
            }
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
            recent: row.ledger.iter().rev().take(64).rev().cloned().collect(),
        };
        state.undo.push(Vec::new());
        Ok(loaded)
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
    fn write(&mut self, write: &PlayerWrite, batch: &Batch) {
        self.revision = write.revision;
        self.seq = write.seq;
        self.schema = write.schema;
        self.readable_by = write.readable_by;
        self.content = write.content;
        self.batch = Some(batch.id);
        for (place, value) in &write.places {
            match value {
                Some(value) => self.places.insert(place.clone(), value.clone()),
                None => self.places.remove(place),
            };
        }
        if !write.entries.is_empty() {
            self.ledger.push(write.entries.clone());
        }
        if write.release {
            self.owner = None;
        }
    }
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

impl Store for Memory {
    fn commit(&self, batch: Arc<Batch>) -> Answer<Outcome> {
        let answer = self.faulty("commit", move |shelf| shelf.commit(&batch));
        Box::pin(async move {
            match answer.await {
                Ok(outcome) => outcome,
                Err(Fault::Unavailable) => Outcome::Unavailable { retry_after: Duration::ZERO },
                Err(_) => Outcome::Unknown,
            }
        })
    }

    fn acquire(&self, player: PlayerId) -> Answer<Result<Loaded, AcquireError>> {
        let node = self.node.clone();
        let answer = self.faulty("acquire", move |shelf| shelf.acquire(&node, &player));
        Box::pin(async move {
            answer.await.unwrap_or_else(|_| Err(AcquireError::Unavailable("the memory store was told to fail".into())))
        })
    }

    fn revisions(&self, players: Vec<PlayerId>) -> Answer<Result<Vec<Revision>, String>> {
        let answer = self.faulty("revisions", move |shelf| {
            let state = shelf.0.lock();
            players.iter().map(|player| state.rows.get(player).map_or(Revision::ZERO, |row| row.revision)).collect()
        });
        Box::pin(async move { answer.await.map_err(|_| "the memory store was told to fail".to_owned()) })
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
