//! A player as they are now, for whoever only looks: in memory where they are in the game here, else in the store. One who
//! is in the game in another process is saved by that one first, which gets a letter (`roster::mail`).

use super::{Roster, upgrade::Plan};
use crate::{
    catalog::Rules,
    engine::{moment::Moment, player::Player},
    store::ReadError,
};
use holdall_protocol::ids::{PlayerId, Revision};
use parking_lot::Mutex;
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::{sync::oneshot, time::timeout};
use uuid::Uuid;

/// How long another process is waited for.
const LOOK_TIME_MAX: Duration = Duration::from_secs(2);

/// Where a look found a player.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// In the game, in this process.
    Memory,
    /// In the game, in another process, which has saved the player for this look.
    Elsewhere,
    /// In the store. Where another process has the player in the game and has not answered, that one may be ahead of it.
    Store,
}

/// When a look found a player.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Where.
    pub source: Source,
    /// At which revision.
    pub revision: Revision,
    /// Up to which revision it is durable.
    pub durable: Revision,
    /// Whether a client is connected, as far as that is known.
    pub connected: bool,
}

/// Looks at players of other processes, until those have answered.
#[derive(Debug, Default)]
pub(super) struct Looks(Mutex<HashMap<Uuid, oneshot::Sender<bool>>>);

impl Looks {
    /// Takes note of another process's answer, if anybody still waits for it.
    pub(super) fn heard(&self, look: Uuid, connected: bool) {
        if let Some(waits) = self.0.lock().remove(&look) {
            // Whoever waited may just have given up.
            let _ = waits.send(connected);
        }
    }
}

impl Roster {
    /// Asks something of a player's things; `None` where there is no such player. Nobody is loaded for it. The question is
    /// asked under the player's lock.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn view<T>(
        &self,
        player: &PlayerId,
        ask: impl Fn(&Player, &Rules) -> T,
    ) -> Result<Option<(Seen, T)>, ReadError> {
        match self.view_here(player, &ask) {
            Some(seen) => Ok(Some(seen)),
            None => {
                let connected = self.saved_elsewhere(player).await;
                self.view_stored(player, connected, &ask).await
            }
        }
    }

    fn view_here<T>(&self, player: &PlayerId, ask: impl Fn(&Player, &Rules) -> T) -> Option<(Seen, T)> {
        let cell = self.find(player)?;
        let mut inner = cell.lock();
        let (durable, connected) = (inner.durable(), inner.has_links());
        let seat = inner.seat().filter(|seat| seat.revision > Revision::ZERO)?;
        let seen = Seen { source: Source::Memory, revision: seat.revision, durable, connected };
        Some((seen, ask(&seat.player, &self.rules())))
    }

    /// Has the process that has the player save them; whether a client is connected to it. `None` where no other process has
    /// them, or none answers.
    async fn saved_elsewhere(&self, player: &PlayerId) -> Option<bool> {
        let door = self.store.door(player.clone()).await.ok()?;
        let owner = door.owner.filter(|owner| owner.node() != self.store.node())?;
        let look = self.dice.clone().uuid(self.clock.now_ms());
        let (waits, answer) = oneshot::channel();
        self.looks.0.lock().insert(look, waits);
        self.post_look(&owner, player, look).await;
        let answer = timeout(LOOK_TIME_MAX, answer).await;
        self.looks.0.lock().remove(&look);
        answer.ok()?.ok()
    }

    /// Saves a player at whom another process looks, and says so.
    pub(super) async fn serve_look(self: Arc<Self>, player: PlayerId, look: Uuid, asker: String) {
        let Some(cell) = self.find(&player) else { return };
        let found = {
            let mut inner = cell.lock();
            let connected = inner.has_links();
            inner.seat().map(|seat| (seat.revision, connected))
        };
        let Some((revision, connected)) = found else { return };
        self.journal.hurry(&player);
        if self.is_durable(&cell, revision).await {
            self.post_looked(&asker, look, connected).await;
        }
    }

    async fn view_stored<T>(
        &self,
        player: &PlayerId,
        elsewhere: Option<bool>,
        ask: impl Fn(&Player, &Rules) -> T,
    ) -> Result<Option<(Seen, T)>, ReadError> {
        let stored = self.store.peek(player.clone()).await?.filter(|stored| stored.revision > Revision::ZERO);
        let Some(stored) = stored else { return Ok(None) };
        let (rules, mut dice) = (self.rules(), self.dice.clone());
        let mut moment = Moment::new(self.clock.now_ms(), &mut dice);
        let plan = Plan::of(&(&stored).into(), self.options().chain, &rules, &mut moment);
        let Plan { player: mut things, course, .. } = plan.map_err(ReadError::Unreadable)?;
        // As the next load will see it; a content step that cannot be taken leaves what is there.
        if let Ok(changes) = &course.outcome {
            things.absorb(changes);
        }
        let revision = stored.revision;
        let source = if elsewhere.is_some() { Source::Elsewhere } else { Source::Store };
        let seen = Seen { source, revision, durable: revision, connected: elsewhere.unwrap_or(false) };
        Ok(Some((seen, ask(&things, &rules))))
    }
}
