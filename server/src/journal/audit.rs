//! Doubt: whether what is in memory is still this process's to write, and whether the store still has what it
//! acknowledged.
//!
//! Raised by the writer (the store was restarted, or is behind), by the roster (the lease had run out) and settled by the
//! writer alone, between two batches. What the store lost it is sent again, byte for byte; whoever cannot be proven is
//! dropped. Never a full image: it could bring back what a partner no longer gave.

use super::{
    Health, Journal,
    pending::Flight,
    writer::{Answered, Broken, PAUSE_FIRST, PAUSE_LONGEST},
};
use crate::store::{Answer, Batch, BatchId, Header, Life, Origin, Owner, PlayerWrite, ReadError, Standings};
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
    /// What that load found.
    pub origin: Origin,
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

impl Certainty {
    /// An audit begins; returns the doubts that it will settle.
    fn begin(&mut self) -> u64 {
        self.audits = self.audits.saturating_add(1);
        self.doubts
    }
}

/// The audit has to begin again: the store was restarted under it.
struct Again;

impl Journal {
    /// The life of the store for which everything in memory has been checked.
    #[must_use]
    pub fn life(&self) -> Life {
        self.certainty.lock().life
    }

    /// Asks for an audit.
    pub fn doubt(&self) {
        {
            let mut certainty = self.certainty.lock();
            certainty.doubts = certainty.doubts.saturating_add(1);
        }
        self.due.notify_one();
    }

    /// Waits until every doubt raised so far is settled.
    pub async fn sure(&self) {
        let doubts = self.certainty.lock().doubts;
        loop {
            let progress = self.progress.notified();
            tokio::pin!(progress);
            progress.as_mut().enable();
            if self.certainty.lock().settled >= doubts {
                return;
            }
            progress.await;
        }
    }

    /// How many audits have begun. A player who was being loaded meanwhile was not looked at.
    #[must_use]
    pub fn audits(&self) -> u64 {
        self.certainty.lock().audits
    }

    pub(super) fn is_doubtful(&self) -> bool {
        let certainty = self.certainty.lock();
        certainty.settled < certainty.doubts
    }

    /// Compares what the store holds with what is held here and with what it acknowledged, and sends it what it lost.
    /// Returns the players that must be dropped; from here on the store's new life is the known one. The doubt is settled
    /// only by [`Journal::settle`], once they are dropped.
    pub(super) async fn audit(&self) -> Result<Audited, Broken> {
        loop {
            let doubts = self.certainty.lock().begin();
            let held = self.watcher().held();
            let kept = self.kept.lock().flights();
            let flying = self.pending.lock().flight.clone().map(|flight| flight.batch);
            let batches = kept.iter().map(|flight| &flight.batch).chain(&flying);
            let written = batches.flat_map(|batch| batch.players.iter().map(|write| &write.player));
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
            self.certainty.lock().life = audit.life;
            return Ok(Audited { doubts, lost: audit.lost.into_iter().collect() });
        }
    }

    /// Everything has been checked, and whoever failed is gone.
    pub(super) fn settle(&self, audited: &Audited) {
        self.certainty.lock().settled = audited.doubts;
    }

    async fn standings(&self, players: Vec<PlayerId>) -> Standings {
        self.insist(|| self.store.standings(players.clone())).await
    }

    async fn reclaim(&self, player: &PlayerId, owner: &Owner, at: Revision, life: Life) -> bool {
        self.insist(|| self.store.reclaim(player.clone(), owner.clone(), at, life)).await
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
    /// Kept groups that nothing can be built on any more, each by a batch and its players.
    given_up: BTreeSet<(BatchId, PlayerId)>,
    /// Whose writes wait: they take gifts that another process has to put there again.
    early: BTreeSet<PlayerId>,
}

impl<'j> Audit<'j> {
    async fn begin(journal: &'j Journal, players: BTreeSet<PlayerId>) -> Self {
        let players: Vec<PlayerId> = players.into_iter().collect();
        let Standings { life, headers } = journal.standings(players.clone()).await;
        let stored = players.into_iter().zip(headers).collect();
        Self { journal, life, stored, lost: BTreeSet::new(), given_up: BTreeSet::new(), early: BTreeSet::new() }
    }

    fn stands(&self, player: &PlayerId) -> Header {
        self.stored.get(player).cloned().unwrap_or_default()
    }

    /// Sends again what is no longer there. What has to wait for others is tried as long as they may take.
    async fn heal(&mut self, kept: &[Flight]) -> Result<Result<(), Again>, Broken> {
        let mut patience = self.journal.patience();
        loop {
            if self.send_again(kept).await?.is_err() {
                return Ok(Err(Again));
            }
            let early = std::mem::take(&mut self.early);
            if early.is_empty() {
                return Ok(Ok(()));
            }
            if !patience.wait().await {
                tracing::error!(players = ?early, "what was to come first was not written again; dropped");
                self.lost.extend(early);
            }
        }
    }

    /// Once through what was kept, in order. A group that no longer fits takes its players with it; those that merely were
    /// in one batch with it have nothing to do with it.
    async fn send_again(&mut self, kept: &[Flight]) -> Result<Result<(), Again>, Broken> {
        for flight in kept {
            loop {
                let writes = self.missing(flight).await;
                if writes.is_empty() {
                    break;
                }
                let batch = Batch { id: self.journal.new_batch_id(self.journal.clock.now_ms()), players: writes };
                let batch = Arc::new(batch);
                let written = batch.players.iter().map(|write| write.player.clone());
                match self.journal.answer(&batch, self.life).await? {
                    Answered::Durable => {
                        self.stored.extend(written.zip(batch.players.iter().map(Header::after)));
                        break;
                    }
                    Answered::Restarted => return Ok(Err(Again)),
                    // Somebody was faster: then these do not fit, and the rest is looked at once more.
                    Answered::Lost(taken) => self.lost.extend(taken),
                    // They are where they should be, so that only a gift can be missing.
                    Answered::Regressed(early) => self.early.extend(early),
                }
            }
        }
        Ok(Ok(()))
    }

    /// The writes of a batch that the store has lost and that still fit.
    async fn missing(&mut self, flight: &Flight) -> Vec<PlayerWrite> {
        let mut missing = Vec::new();
        if flight.batch.players.iter().all(|write| self.stands(&write.player).has(write)) {
            return missing;
        }
        let of: BTreeMap<&PlayerId, &PlayerWrite> =
            flight.batch.players.iter().map(|write| (&write.player, write)).collect();
        for group in &*flight.groups {
            let writes: Vec<&PlayerWrite> = group.iter().filter_map(|player| of.get(player).copied()).collect();
            if writes.iter().all(|write| self.stands(&write.player).has(write)) {
                continue;
            }
            if group.iter().any(|player| self.early.contains(player)) {
                // What comes later waits, too.
                self.early.extend(group.iter().cloned());
            } else if self.fits(&writes).await {
                missing.extend(writes.into_iter().cloned());
            } else {
                self.lost.extend(group.iter().cloned());
                self.given_up.extend(group.iter().map(|player| (flight.batch.id, player.clone())));
            }
        }
        missing
    }

    async fn fits(&mut self, writes: &[&PlayerWrite]) -> bool {
        let based = |write: &&PlayerWrite| {
            let stored = self.stands(&write.player);
            stored.revision == write.base && stored.may_be_by(write.follows.as_ref())
        };
        if !writes.iter().all(|write| based(write) && !self.lost.contains(&write.player)) {
            return false;
        }
        for write in writes {
            if !self.owned(&write.player, &write.owner).await {
                return false;
            }
        }
        true
    }

    async fn hold(&mut self, held: &Held) {
        let stored = self.stands(&held.player);
        // Where the token was forgotten, what is stored above its revisions is not its work.
        let known =
            stored.revision == held.durable || (stored.revision > held.durable && stored.epoch >= held.owner.epoch());
        let ours = stored.may_be_by(held.origin.writer_of(stored.revision, &held.owner));
        // Of somebody who is lost nothing must be taken back either.
        let sound = known && ours && !self.lost.contains(&held.player);
        if !sound || !self.owned(&held.player, &held.owner).await {
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
        let again = self.journal.reclaim(player, owner, stored.revision, self.life).await;
        if again {
            let header = Header { owner: Some(owner.clone()), epoch: owner.epoch(), ..stored };
            self.stored.insert(player.clone(), header);
        }
        again
    }
}

impl Header {
    /// Whether a write that was acknowledged is still there. Not where its very token was forgotten, or another's stands
    /// beside its revision: then another history has grown as long.
    fn has(&self, write: &PlayerWrite) -> bool {
        let there =
            self.revision > write.revision || (self.revision == write.revision && self.may_be_by(writer(write)));
        there && self.epoch >= write.owner.epoch()
    }

    /// The header that a write leaves behind.
    fn after(write: &PlayerWrite) -> Self {
        let owner = (!write.release).then(|| write.owner.clone());
        Self { owner, epoch: write.owner.epoch(), revision: write.revision, writer: writer(write).cloned() }
    }
}

/// The token beside the revision that a write leaves behind, where it is known.
fn writer(write: &PlayerWrite) -> Option<&Owner> {
    if write.advances() { Some(&write.owner) } else { write.follows.as_ref() }
}
