//! What a load makes of a stored record: the newest format, and the content steps that the player has yet to take.
//!
//! [`Plan::of`] is pure and changes nothing, so that the same can be asked of any stored player. A load records what it
//! made in one revision, before anybody sees the player; a load that fails leaves the record as it is.

use super::{
    Roster,
    cell::Inner,
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
    store::Loaded,
};
use holdall_protocol::ids::{PlayerId, Revision};

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
    pub fn of(loaded: &Loaded, chain: &'static Chain, rules: &Rules, moment: &mut Moment<'_>) -> Result<Self, String> {
        let (migrations, content) = (&rules.migrations, rules.migrations.newest());
        if loaded.revision == Revision::ZERO {
            if !loaded.places.is_empty() {
                return Err("it has things but no revision".to_owned());
            }
            let course = migration::course(&Player::empty(), &[], rules, moment);
            return Ok(Self { player: Player::empty(), form: chain.form(), rewrite: false, course, content });
        }
        let stamp = Stamp::stored(loaded.schema, loaded.readable_by);
        // Also where nothing is stored that would tell: the next save would turn it into a record of this build's.
        chain.knows(stamp).map_err(|error| error.to_string())?;
        let mut places = Vec::with_capacity(loaded.places.len());
        for (place, value) in &loaded.places {
            let (place, content) = chain.read(stamp, place, value).map_err(|error| error.to_string())?;
            places.push((place, shared(content, rules)));
        }
        let player = Player::from_places(places).map_err(|error| error.to_string())?;
        let steps = migrations.after(loaded.content).map_err(|error| error.to_string())?;
        let course = migration::course(&player, steps, rules, moment);
        Ok(Self { player, form: chain.form().over(stamp), rewrite: chain.outgrew(stamp), course, content })
    }
}

/// The same content, its texts and attributes shared with the catalogue where they are equal: a thousand loaded swords
/// then hold one name.
fn shared(content: Content, rules: &Rules) -> Content {
    let Content::Stack(mut stack) = content else { return content };
    if let Some(definition) = rules.catalog.get(&stack.item) {
        if stack.item == definition.id {
            stack.item = definition.id.clone();
        }
        if stack.attributes == definition.attributes {
            stack.attributes = definition.attributes.clone();
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
    /// Records what the load made of a player, under the lock that lets it into the game.
    pub(super) fn record_load(&self, player: &PlayerId, inner: &mut Inner) {
        let seat = inner.seat().expect("the load has just finished under this lock");
        let Some(made) = seat.unrecorded.take() else { return };
        let reason = if made.changes.is_empty() { Reason::Upgrade } else { Reason::Migration };
        tracing::debug!(%player, ?reason, places = made.changes.list.len(), "a player was brought forward");
        let written = made.written(&seat.player);
        let note = Note { actor: Actor::Server, reason, asked: None };
        self.record_written(Half { player, inner, changes: &made.changes, note }, &written);
    }
}
