//! Doubt: whether what is in memory is still this process's to write, and whether the store still has what it
//! acknowledged.
//!
//! Raised by the writer (the store was restarted, or is behind), by the roster (the lease had run out) and settled by the
//! writer alone, between two batches. What the store lost it is sent again, byte for byte; whoever cannot be proven is
//! dropped. Never a full image: it could bring back what a partner no longer gave.

use super::{
    Health, Journal,
    writer::{Answered, Broken, PAUSE_FIRST, PAUSE_LONGEST},
};
use crate::store::{Answer, Batch, BatchId, Header, Life, Owner, PlayerWrite, ReadError, Standings};
use holdall_protocol::ids::{PlayerId, Revision};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use tokio::time::sleep;

/// A player in memory, as far as an audit cares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Who.
    pub player: PlayerId,
    /// The token under which it was loaded.
    pub owner: Owner,
    /// The revision that is known to be durable.
    pub durable: Revision,
}

/// For which life of the store everything has been checked, and whether there is a newer doubt.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Certainty {
    life: Life,
    doubts: u64,
    settled: u64,
    /// Audits begun.
    audits: u64,
}

/// The audit has to begin again: the store was restarted under it.
struct Again;

impl Journal {
    /// The life of the store for which everything in memory has been checked.
    #[must_use]
    pub fn life(&self) -> Life {
        self.certainty.borrow().life
    }

    /// Asks for an audit.
    pub fn doubt(&self) {
        self.certainty.send_modify(|certainty| certainty.doubts = certainty.doubts.saturating_add(1));
        self.due.notify_one();
    }

    /// Waits until every doubt raised so far is settled.
    pub async fn sure(&self) {
        let doubts = self.certainty.borrow().doubts;
        // The sender lives as long as the journal.
        let _ = self.certainty.subscribe().wait_for(|certainty| certainty.settled >= doubts).await;
    }

    /// How many audits have begun. A player who was being loaded meanwhile was not looked at.
    #[must_use]
    pub fn audits(&self) -> u64 {
        self.certainty.borrow().audits
    }

    pub(super) fn is_doubtful(&self) -> bool {
        let certainty = self.certainty.borrow();
        certainty.settled < certainty.doubts
    }

    /// Compares what the store holds with what is held here and with what it acknowledged, and sends it what it lost.
    /// Returns the players that must be dropped; from here on the store's new life is the known one. The doubt is settled
    /// only by [`Journal::settle`], once they are dropped.
    pub(super) async fn audit(&self) -> Result<Audited, Broken> {
        loop {
            self.certainty.send_modify(|certainty| certainty.audits = certainty.audits.saturating_add(1));
            let doubts = self.certainty.borrow().doubts;
            let held = self.watcher().held();
            let kept: Vec<Arc<Batch>> = self.kept.lock().batches.iter().map(|(_, batch, _)| batch.clone()).collect();
            let flying = self.pending.lock().flight.clone().map(|flight| flight.batch);
            let written = kept.iter().chain(&flying).flat_map(|batch| batch.players.iter().map(|write| &write.player));
            let players: BTreeSet<PlayerId> = held.iter().map(|held| &held.player).chain(written).cloned().collect();
            let mut audit = Audit::begin(self, players).await;
            if audit.heal(&kept).await?.is_err() {
                continue;
            }
            for held in &held {
                audit.hold(held).await;
            }
            // Whoever is still behind the batch that is on its way lost more than was kept.
            for write in flying.iter().flat_map(|batch| &batch.players) {
                if audit.stands(&write.player).revision < write.base {
                    audit.lost.insert(write.player.clone());
                }
            }
            // What was refused to us in a life that has ended meanwhile proves nothing.
            if !audit.lost.is_empty() && self.standings(Vec::new()).await.life != audit.life {
                continue;
            }
            // The players of these are gone; whoever loads one of them again has nothing to do with what they did.
            self.kept.lock().forget(&audit.given_up);
            self.certainty.send_modify(|certainty| certainty.life = audit.life);
            return Ok(Audited { doubts, lost: audit.lost.into_iter().collect() });
        }
    }

    /// Everything has been checked, and whoever failed is gone.
    pub(super) fn settle(&self, audited: &Audited) {
        self.certainty.send_modify(|certainty| certainty.settled = audited.doubts);
    }

    async fn standings(&self, players: Vec<PlayerId>) -> Standings {
        self.insist(|| self.store.standings(players.clone())).await
    }

    async fn reclaim(&self, player: &PlayerId, owner: &Owner, life: Life) -> bool {
        self.insist(|| self.store.reclaim(player.clone(), owner.clone(), life)).await
    }

    /// Asks until there is an answer.
    async fn insist<T>(&self, ask: impl Fn() -> Answer<Result<T, ReadError>>) -> T {
        let mut pause = PAUSE_FIRST;
        loop {
            match ask().await {
                Ok(answer) => {
                    self.set_health(Health::Good);
                    return answer;
                }
                Err(error) => {
                    self.set_health(Health::Away);
                    tracing::debug!(%error, "an audit gets no answer; asking again");
                    sleep(pause).await;
                    pause = pause.saturating_mul(2).min(PAUSE_LONGEST);
                }
            }
        }
    }
}

/// The end of an audit.
pub(super) struct Audited {
    doubts: u64,
    /// Whom to drop.
    pub(super) lost: Vec<PlayerId>,
}

/// An audit under way.
struct Audit<'j> {
    journal: &'j Journal,
    life: Life,
    stored: BTreeMap<PlayerId, Header>,
    lost: BTreeSet<PlayerId>,
    /// Kept batches that nothing can be built on any more.
    given_up: Vec<BatchId>,
}

impl<'j> Audit<'j> {
    async fn begin(journal: &'j Journal, players: BTreeSet<PlayerId>) -> Self {
        let players: Vec<PlayerId> = players.into_iter().collect();
        let Standings { life, headers } = journal.standings(players.clone()).await;
        let stored = players.into_iter().zip(headers).collect();
        Self { journal, life, stored, lost: BTreeSet::new(), given_up: Vec::new() }
    }

    fn stands(&self, player: &PlayerId) -> Header {
        self.stored.get(player).cloned().unwrap_or_default()
    }

    /// Sends again, in order, what is no longer there. A batch that no longer fits as a whole takes its players with it.
    async fn heal(&mut self, kept: &[Arc<Batch>]) -> Result<Result<(), Again>, Broken> {
        for batch in kept {
            if batch.players.iter().all(|write| self.stands(&write.player).revision >= write.revision) {
                continue;
            }
            if self.fits(batch).await {
                match self.journal.answer(batch, self.life).await? {
                    Answered::Durable => {
                        self.stored
                            .extend(batch.players.iter().map(|write| (write.player.clone(), Header::after(write))));
                        continue;
                    }
                    Answered::Restarted => return Ok(Err(Again)),
                    Answered::Regressed | Answered::Lost(_) => {}
                }
            }
            self.lost.extend(batch.players.iter().map(|write| write.player.clone()));
            self.given_up.push(batch.id);
        }
        Ok(Ok(()))
    }

    async fn fits(&mut self, batch: &Batch) -> bool {
        let based = |write: &PlayerWrite| self.stands(&write.player).revision == write.base;
        if !batch.players.iter().all(|write| based(write) && !self.lost.contains(&write.player)) {
            return false;
        }
        for write in &batch.players {
            if !self.owned(&write.player, &write.owner).await {
                return false;
            }
        }
        true
    }

    async fn hold(&mut self, held: &Held) {
        if self.stands(&held.player).revision < held.durable || !self.owned(&held.player, &held.owner).await {
            self.lost.insert(held.player.clone());
        }
    }

    /// Whether the token is the owner's. A token that the store forgot it had given is given again; one that a later owner
    /// has replaced is not.
    async fn owned(&mut self, player: &PlayerId, owner: &Owner) -> bool {
        let stored = self.stands(player);
        if stored.owner.as_ref() == Some(owner) {
            return true;
        }
        if stored.epoch >= owner.epoch() {
            return false;
        }
        let again = self.journal.reclaim(player, owner, self.life).await;
        if again {
            let header = Header { owner: Some(owner.clone()), epoch: owner.epoch(), ..stored };
            self.stored.insert(player.clone(), header);
        }
        again
    }
}

impl Header {
    /// The header that a write leaves behind.
    fn after(write: &PlayerWrite) -> Self {
        let owner = (!write.release).then(|| write.owner.clone());
        Self { owner, epoch: write.owner.epoch(), revision: write.revision }
    }
}
