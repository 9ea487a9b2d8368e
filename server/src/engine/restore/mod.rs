//! Setting a player back: what they would have if, since an earlier moment, nothing had happened but what passed between
//! them and others.
//!
//! What was granted since goes, what was used up, dropped or sold comes back, and everything lies where it lay. What went to
//! others stays with them, and what came from others stays here. A stack comes back under its own id, because nobody else
//! can have it: what left for others never comes back under the id that it left with. Neither weight nor the size of the bag
//! is asked, so that nothing is destroyed for want of room.

mod trail;

use super::{
    change::{Change, Changes, Content, Stack},
    moment::Moment,
    player::Player,
    refusal::Refusal,
};
use crate::catalog::Rules;
use holdall_protocol::ids::Place;
use std::collections::BTreeMap;
use trail::Trail;

/// All that a player has, would have, or had.
pub type Things = BTreeMap<Place, Content>;

/// Between whom one revision moved things.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Between {
    /// In the player's own hands, or between them and nothing: granted, used up, dropped, sold.
    Nobody,
    /// The same, by setting the player back.
    Restored,
    /// Between the player and somebody else, who may have it still.
    Others,
}

/// One revision, as far as things moved in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// What changed.
    pub changes: Changes,
    /// Between whom.
    pub between: Between,
}

/// What of all that happened since is undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undo {
    /// What passed between the player and others is left alone.
    Own,
    /// That as well: what others have by now comes back too, as a copy under a new id, and what came from others goes.
    All,
}

/// An earlier moment, and all that happened since.
#[derive(Debug, Clone, PartialEq)]
pub struct Since {
    /// What the player had.
    pub then: Things,
    /// Every revision since, the oldest first.
    pub steps: Vec<Step>,
}

impl Since {
    /// What the player, who has all of `now`, would have.
    ///
    /// # Errors
    /// The bound that it would pass: of a balance, or of what any bag can hold.
    pub fn undone(&self, now: &Player, undo: Undo, rules: &Rules, moment: &mut Moment<'_>) -> Result<Things, Refusal> {
        let mut trail = Trail::new(&self.then);
        for Step { changes, between } in &self.steps {
            trail.follow(changes, *between, rules);
        }
        match undo {
            Undo::Own => trail.finish(now, rules, moment),
            Undo::All => Ok(self.copied(&trail, moment)),
        }
    }

    /// Exactly what there was then, other than the ids of what others have.
    fn copied(&self, trail: &Trail, moment: &mut Moment<'_>) -> Things {
        let mut things = self.then.clone();
        for content in things.values_mut() {
            if let Content::Stack(stack) = content
                && trail.is_elsewhere(stack.instance)
            {
                *stack = Stack { instance: moment.mint(), ..stack.clone() };
            }
        }
        things
    }
}

/// Gives a player exactly these things, and nothing else.
pub(super) fn set(player: &Player, things: &Things, out: &mut Changes) -> Result<(), Refusal> {
    let possible = Player::from_places(things.iter().map(|(place, content)| (place.clone(), content.clone())));
    possible.map_err(|_| Refusal::Malformed { what: "inventory", why: "is none that one player can have" })?;
    let mut places: Vec<Place> = player.places().map(|(place, _)| place).chain(things.keys().cloned()).collect();
    places.sort_unstable();
    places.dedup();
    for place in places {
        let (before, after) = (player.at(&place), things.get(&place).cloned());
        if before != after {
            out.list.push(Change { place, before, after });
        }
    }
    Ok(())
}
