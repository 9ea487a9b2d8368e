//! A player as they are now, for whoever only looks: in memory where they are in the game here, else at rest.

use super::{Roster, upgrade::Plan};
use crate::{
    catalog::Rules,
    engine::{moment::Moment, player::Player},
    store::ReadError,
};
use holdall_protocol::ids::{PlayerId, Revision};

/// Where a look found a player.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// In the game, in this process.
    Memory,
    /// In the store. Where another process has the player in the game, that one may be ahead of it.
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
    /// Whether a client is connected to this process.
    pub connected: bool,
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
            None => self.view_at_rest(player, &ask).await,
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

    async fn view_at_rest<T>(
        &self,
        player: &PlayerId,
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
        let seen = Seen { source: Source::Store, revision, durable: revision, connected: false };
        Ok(Some((seen, ask(&things, &rules))))
    }
}
