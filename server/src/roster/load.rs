//! Loading: the right to write, the stored places, and every value checked before anybody plays with it.
//!
//! A load runs as a task of its own: a client that goes away while it runs changes nothing about it.

use super::{
    Roster,
    allowance::Allowance,
    cell::{Cell, Rarely, Seat, Stage},
    holds::Terms,
    remembered::Remembered,
    upgrade::{Plan, Unrecorded},
};
use crate::{
    engine::{
        change::{Change, Changes, Content},
        moment::Moment,
        player::Player,
    },
    ledger::{codec, past::Opening},
    replication::{feed::Feed, snapshot},
    store::{AcquireError, Loaded},
    telemetry::metrics::labels::Load,
};
use holdall_protocol::{
    frame::Subprotocol,
    ids::{Incarnation, PlayerId, Revision, Seq},
    message::Hold,
};
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, sleep, timeout_at};

/// How long a login waits for another process to give the player up, or for the store to be looked at.
const HAND_OVER_TIME_MAX: Duration = Duration::from_secs(2);
/// A letter may be lost.
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(500);
/// Between two looks whether the player was given up.
const PAUSE_FIRST: Duration = Duration::from_millis(2);
const PAUSE_LONGEST: Duration = Duration::from_millis(50);

/// A time of acquisition this far ahead of the clock is a fault, not a clock that is a little off.
const FUTURE_MS: u64 = 24 * 60 * 60 * 1000;

/// Why a player is not in the game.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// Another process has the player.
    #[error("the player is on another server process")]
    Elsewhere,
    /// The store is away: later.
    #[error("the store is away")]
    StoreAway,
    /// What is stored cannot be read; it was left as it is.
    #[error("the stored player cannot be read: {0}")]
    Unreadable(String),
}

impl From<&LoadError> for Load {
    fn from(error: &LoadError) -> Self {
        match error {
            LoadError::Elsewhere => Self::Elsewhere,
            LoadError::StoreAway => Self::StoreAway,
            LoadError::Unreadable(_) => Self::Unreadable,
        }
    }
}

/// What a load does about a player whom another process has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IfHeld {
    /// Asks for it, and waits a little.
    Ask,
    /// Leaves it there.
    Leave,
}

impl Roster {
    /// Brings a player into the game, or waits for whoever is doing so already, or for its last save.
    ///
    /// # Errors
    /// [`LoadError`]; nothing was changed.
    pub async fn load(self: &Arc<Self>, player: &PlayerId) -> Result<Arc<Cell>, LoadError> {
        self.load_or(player, IfHeld::Ask).await
    }

    pub(super) async fn load_or(self: &Arc<Self>, player: &PlayerId, if_held: IfHeld) -> Result<Arc<Cell>, LoadError> {
        loop {
            let mut first = false;
            let new = || {
                first = true;
                Cell::loading(player.clone(), Allowance::new(self.options.read().quotas), self.metrics.clone())
            };
            let cell = self.cells.entry(player.clone()).or_insert_with(new).value().clone();
            let changed = cell.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if first {
                tokio::spawn(self.clone().fill(cell.clone(), if_held));
            }
            let gone = match &cell.lock().stage {
                Stage::Ready(_) => return Ok(cell.clone()),
                Stage::Failed(error) => return Err(error.clone()),
                Stage::Gone => true,
                Stage::Loading | Stage::Draining => false,
            };
            // It may have gone between the look into the map and now, and then nobody would ever wake us.
            if gone {
                self.forget(&cell);
                continue;
            }
            changed.await;
            // A failure is told to everybody who waited for this load, though the cell has left the map.
            if let Stage::Failed(error) = &cell.lock().stage {
                return Err(error.clone());
            }
        }
    }

    async fn fill(self: Arc<Self>, cell: Arc<Cell>, if_held: IfHeld) {
        let begun = Instant::now();
        self.journal.settled(&cell.id).await;
        loop {
            let seat = match self.acquire(&cell.id, if_held).await {
                Ok((loaded, audits)) => {
                    let has_mail = loaded.has_mail;
                    self.read(&cell.id, loaded).map(|seat| (seat, audits, has_mail))
                }
                Err(error) => Err(error),
            };
            match seat {
                Ok((seat, audits, has_mail)) => {
                    let mut inner = cell.lock();
                    // The process may have come to its end meanwhile.
                    if !matches!(inner.stage, Stage::Loading) {
                        return;
                    }
                    // An audit that began meanwhile has not looked at this player.
                    if self.journal.audits() != audits {
                        continue;
                    }
                    inner.loaded(seat);
                    self.count_load(begun, Load::Loaded);
                    self.record_load(&cell.id, &mut inner);
                    if inner.inbox.is_asked_for() || has_mail {
                        self.look_in_inbox(&cell, &mut inner);
                    }
                    if let Stage::Ready(seat) = &inner.stage {
                        self.shorten_ledger(&cell, seat);
                    }
                    let visits = inner.visits;
                    drop(inner);
                    cell.changed.notify_waiters();
                    // Whoever asked may be gone by now.
                    return self.linger(cell, visits);
                }
                Err(error) => {
                    if let LoadError::Unreadable(reason) = &error {
                        tracing::error!(player = %cell.id, %reason, "a stored player was refused and left alone");
                    }
                    self.count_load(begun, Load::from(&error));
                    cell.lock().stage = Stage::Failed(error);
                    return self.forget(&cell);
                }
            }
        }
    }

    fn count_load(&self, begun: Instant, load: Load) {
        self.metrics.loads.inc(&load);
        self.metrics.load_seconds.took(begun.elapsed());
    }

    /// Takes the right to write a player. One who is elsewhere is asked for, and waited for while its process is likely to
    /// answer; a store that was restarted is looked at first. Also tells how many audits had begun before.
    async fn acquire(&self, player: &PlayerId, if_held: IfHeld) -> Result<(Loaded, u64), LoadError> {
        let deadline = Instant::now().checked_add(HAND_OVER_TIME_MAX).unwrap_or_else(Instant::now);
        let (mut pause, mut ask_again) = (PAUSE_FIRST, Instant::now());
        let (began, mut failed) = (Instant::now(), false);
        loop {
            let now = Instant::now();
            let audits = self.journal.audits();
            match self.store.acquire(player.clone(), self.journal.life()).await {
                Ok(loaded) => return Ok((loaded, audits)),
                Err(AcquireError::Held(_)) if if_held == IfHeld::Leave || now >= deadline => {
                    return Err(LoadError::Elsewhere);
                }
                Err(AcquireError::Held(owner)) => {
                    if now >= ask_again {
                        self.ask_for(player, &owner, began).await;
                        ask_again = now.checked_add(ASK_AGAIN_AFTER).unwrap_or(now);
                    }
                    sleep(pause).await;
                    pause = pause.saturating_mul(2).min(PAUSE_LONGEST);
                }
                Err(AcquireError::Restarted | AcquireError::Unsettled) if now >= deadline => {
                    return Err(LoadError::StoreAway);
                }
                Err(AcquireError::Unsettled) => {
                    sleep(pause).await;
                    pause = pause.saturating_mul(2).min(PAUSE_LONGEST);
                }
                Err(AcquireError::Restarted) => {
                    self.journal.doubt();
                    if timeout_at(deadline, self.journal.sure()).await.is_err() {
                        return Err(LoadError::StoreAway);
                    }
                }
                // A connection that was cut, or an answer that was lost: worth a second try, and no more.
                Err(AcquireError::Unavailable(_)) if !failed => {
                    failed = true;
                    sleep(pause).await;
                }
                Err(AcquireError::Unavailable(error)) => {
                    tracing::warn!(%player, %error, "a player could not be loaded");
                    return Err(LoadError::StoreAway);
                }
                Err(AcquireError::Unreadable(error)) => return Err(LoadError::Unreadable(error)),
            }
        }
    }

    fn read(&self, player: &PlayerId, loaded: Loaded) -> Result<Box<Seat>, LoadError> {
        let unreadable = |reason: String| LoadError::Unreadable(reason);
        let now = self.clock.now_ms();
        let rules = self.rules();
        let mut dice = self.dice.clone();
        let plan = Plan::of(&(&loaded).into(), self.chain(), &rules, &mut Moment::new(now, &mut dice));
        let Plan { player: mut things, form, rewrite, course, content } = plan.map_err(unreadable)?;
        let changes = course.outcome.map_err(|stuck| unreadable(stuck.to_string()))?;
        let checksum = snapshot::checksum(&things);
        things.absorb(&changes);
        let unrecorded = Unrecorded::new(changes, rewrite);
        if unrecorded.is_some() && !self.journal.has_room() {
            return Err(LoadError::StoreAway);
        }
        let frozen = things.frozen(&rules);
        if !frozen.is_empty() {
            tracing::warn!(%player, ?frozen, "stacks that no longer fit the catalogue were kept, frozen");
        }
        let applied = remembered(&loaded).map_err(unreadable)?;
        let incarnation = Incarnation::new(dice.uuid(now));
        let holds: Vec<Hold> = loaded.holds.iter().filter_map(|hold| Terms::told(hold).ok()).collect();
        for hold in &holds {
            self.watch_hold(hold.expires_at, hold.reservation, player);
        }
        let mut rare = Rarely::default();
        if !holds.is_empty() {
            rare.holds = holds;
        }
        Ok(Box::new(Seat {
            origin: loaded.origin(),
            owner: loaded.owner,
            since: Instant::now(),
            player: things,
            revision: loaded.revision,
            seq: loaded.seq,
            form,
            content,
            incarnation,
            checksum,
            shared: loaded.revision,
            feed: Feed::new(Subprotocol::Msgpack, self.options.read().resume_bytes_max),
            applied,
            preferences: loaded.preferences,
            stamped: None,
            restamps: true,
            opened: loaded.opened,
            unrepaired: true,
            unrecorded,
            rare,
        }))
    }
}

/// The newest requests that took effect, as the newest ledger entries tell.
fn remembered(loaded: &Loaded) -> Result<Remembered, String> {
    let mut pages = Vec::new();
    for bytes in loaded.recent.iter().filter(|bytes| !Opening::is(bytes)) {
        pages.append(&mut codec::read(bytes)?);
    }
    // Entries that nobody asked for (gifts received) take the place of older ones that somebody did: only where the
    // entries reach back to birth is it known that there was nothing before them. Of a ledger that is gone nothing is.
    let oldest = pages.first().map_or(loaded.revision.next(), |oldest| oldest.revision);
    let whole_life = oldest == Revision::ZERO.next();
    let applied: Vec<_> = pages.into_iter().filter_map(|page| Some((page.asked?, page.revision))).collect();
    let mut remembered = Remembered::since(match applied.first() {
        _ if whole_life => Seq::ZERO,
        Some((asked, _)) => asked.seq,
        None => loaded.seq.next(),
    });
    for (asked, revision) in applied {
        remembered.remember(asked, revision);
    }
    remembered.shrink();
    Ok(remembered)
}

/// Values that are wrong but harmless to set right: a time of acquisition in the future.
pub(super) fn repairs(player: &Player, now: u64) -> Option<Changes> {
    let wrong = player.places().filter_map(|(place, content)| match content {
        Content::Stack(stack) if stack.acquired_at > now.saturating_add(FUTURE_MS) => Some((place, stack)),
        Content::Stack(_) | Content::Amount(_) => None,
    });
    let list: Vec<Change> = wrong
        .map(|(place, before)| {
            let mut after = before.clone();
            after.acquired_at = now;
            Change { place, before: Some(Content::Stack(before)), after: Some(Content::Stack(after)) }
        })
        .collect();
    (!list.is_empty()).then(|| Changes { list, ..Changes::default() })
}
