//! What a load makes of a stored record: the newest format, and the content steps that the player has yet to take.
//!
//! [`Plan::of`] is pure and changes nothing, so that the same can be asked of any stored player. A load records what it
//! made in one revision, before anybody sees the player; a load that fails leaves the record as it is.

use super::{
    LoadError, Roster,
    cell::{Inner, Stage},
    load::IfHeld,
    record::{Half, Note},
};
use crate::{
    catalog::Rules,
    engine::{
        change::{Change, Changes, Content},
        migration::{self, Course},
        moment::Moment,
        player::Player,
    },
    ledger::entry::{Actor, Reason},
    schema::{Chain, Form, Stamp},
    store::{Loaded, Stored},
    telemetry::metrics::labels::Migration,
};
use bytes::Bytes;
use holdall_protocol::ids::{PlayerId, Revision};
use std::sync::Arc;

/// What of a stored player decides what a load makes of it.
#[derive(Debug, Clone, Copy)]
pub struct AtRest<'s> {
    revision: Revision,
    stamp: Stamp,
    content: u32,
    places: &'s [(String, Bytes)],
}

impl<'s> From<&'s Loaded> for AtRest<'s> {
    fn from(loaded: &'s Loaded) -> Self {
        let stamp = Stamp::stored(loaded.schema, loaded.readable_by);
        Self { revision: loaded.revision, stamp, content: loaded.content, places: &loaded.places }
    }
}

impl<'s> From<&'s Stored> for AtRest<'s> {
    fn from(stored: &'s Stored) -> Self {
        let stamp = Stamp::stored(stored.schema, stored.readable_by);
        Self { revision: stored.revision, stamp, content: stored.content, places: &stored.places }
    }
}

/// What a load would make of a stored player.
#[derive(Debug)]
pub struct Plan {
    /// The player as stored.
    pub player: Player,
    /// How the record is written from now on.
    pub form: Form,
    /// Whether it must be written whole, because it is in an older format.
    pub rewrite: bool,
    /// The content steps that the player has yet to take.
    pub course: Course,
    /// The content step that the player is at then.
    pub content: u32,
}

impl Plan {
    /// Reads a stored player. One who was never born has taken every step.
    ///
    /// # Errors
    /// Why it cannot be read, or why there is no way from its content to this build's.
    pub fn of(
        stored: &AtRest<'_>,
        chain: &'static Chain,
        rules: &Rules,
        moment: &mut Moment<'_>,
    ) -> Result<Self, String> {
        let (migrations, content) = (&rules.migrations, rules.migrations.newest());
        if stored.revision == Revision::ZERO {
            if !stored.places.is_empty() {
                return Err("it has things but no revision".to_owned());
            }
            let course = migration::course(&Player::empty(), &[], rules, moment);
            return Ok(Self { player: Player::empty(), form: chain.form(), rewrite: false, course, content });
        }
        let stamp = stored.stamp;
        // Also where nothing is stored that would tell: the next save would turn it into a record of this build's.
        chain.knows(stamp).map_err(|error| error.to_string())?;
        let mut places = Vec::with_capacity(stored.places.len());
        for (place, value) in stored.places {
            let (place, content) = chain.read(stamp, place, value).map_err(|error| error.to_string())?;
            places.push((place, shared(content, rules)));
        }
        let player = Player::from_places(places).map_err(|error| error.to_string())?;
        let steps = migrations.after(stored.content).map_err(|error| error.to_string())?;
        let course = migration::course(&player, steps, rules, moment);
        Ok(Self { player, form: chain.form().over(stamp), rewrite: chain.outgrew(stamp), course, content })
    }
}

/// The same content, what it is shared with the catalogue where that is the same: a thousand loaded swords then hold one
/// name.
fn shared(content: Content, rules: &Rules) -> Content {
    let Content::Stack(mut stack) = content else { return content };
    if let Some(definition) = rules.catalog.get(&stack.item) {
        if stack.nature == definition.nature {
            stack.nature = definition.nature.clone();
        } else if stack.item == definition.id {
            stack.item = definition.id.clone();
        }
    }
    Content::Stack(stack)
}

/// What a load has made of a player and nobody has recorded yet.
#[derive(Debug)]
pub(super) struct Unrecorded {
    /// What the content steps changed.
    pub(super) changes: Changes,
    /// Whether every place is written, and not only those.
    pub(super) rewrite: bool,
}

impl Unrecorded {
    /// `None` where the load changed nothing that is stored in places.
    pub(super) fn new(changes: Changes, rewrite: bool) -> Option<Self> {
        (rewrite || !changes.is_empty()).then_some(Self { changes, rewrite })
    }

    /// Every place that is written: those that changed, and with `rewrite` all that hold something.
    fn written(&self, player: &Player) -> Changes {
        let mut written = self.changes.clone();
        if self.rewrite {
            let all = player.places().map(|(place, content)| {
                let after = Some(content);
                Change { place, before: after.clone(), after }
            });
            written.list.retain(|change| change.after.is_none());
            written.list.extend(all);
        }
        written
    }
}

impl Roster {
    /// Takes a player whom nobody plays through a load and lets go of it again, so that its record is what a load makes of
    /// it. Whoever comes into the game meanwhile stays there; whom another process has is left to it.
    ///
    /// # Errors
    /// [`LoadError`]; nothing was changed.
    pub async fn bring_forward(self: &Arc<Self>, player: &PlayerId) -> Result<(), LoadError> {
        let cell = self.load_or(player, IfHeld::Leave).await?;
        self.unload(&cell, &mut cell.lock());
        loop {
            let changed = cell.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if !matches!(cell.lock().stage, Stage::Draining) {
                return Ok(());
            }
            changed.await;
        }
    }

    /// Records what the load made of a player, under the lock that lets it into the game.
    pub(super) fn record_load(&self, player: &PlayerId, inner: &mut Inner) {
        let seat = inner.seat().expect("the load has just finished under this lock");
        let Some(made) = seat.unrecorded.take() else { return };
        let reason = if made.changes.is_empty() { Reason::Upgrade } else { Reason::Migration };
        let to = if made.changes.is_empty() { Migration::Format } else { Migration::Content };
        self.metrics.migrations.inc(&to);
        tracing::debug!(%player, ?reason, places = made.changes.list.len(), "a player was brought forward");
        let written = made.written(&seat.player);
        let note = Note { actor: Actor::Server, reason, asked: None };
        self.record_written(Half { player, inner, changes: &made.changes, note }, &written);
    }
}
