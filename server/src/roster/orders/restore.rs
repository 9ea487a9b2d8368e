//! What setting a player back would come to: read from the store, judged by the engine, told as a report.

use super::{
    OrderError,
    report::{Others, Restored, foreign_accounts},
};
use crate::{
    engine::{
        moment::Moment,
        restore::{Between, Since, Step, Things, Undo},
    },
    ledger::{
        codec::Page,
        entry::Reason,
        past::{self, Book, Lost, Now, Past},
    },
    roster::{Roster, cell::Cell, upgrade::Plan},
    schema::Stamp,
    store::Whole,
};
use holdall_protocol::ids::{PlayerId, Revision};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How a player is to be set back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wish {
    /// To which moment.
    pub to: To,
    /// Whether also what passed between the player and others is undone, on this player's side alone.
    #[serde(default)]
    pub allow_duplicates: bool,
}

/// An earlier moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum To {
    /// When the player was at this revision.
    Revision(Revision),
    /// This time, in milliseconds since 1970.
    At(u64),
}

/// What it would come to.
pub(super) struct Planned {
    /// All that the player would have.
    pub(super) things: Things,
    pub(super) report: Restored,
}

impl Roster {
    /// What setting a player back would change. Nothing is written, and nobody is loaded.
    ///
    /// # Errors
    /// [`super::OrderError`].
    pub async fn preview_restore(&self, player: &PlayerId, wish: &Wish) -> Result<Restored, OrderError> {
        let here = self.find(player);
        let planned = match &here {
            Some(cell) => self.plan_restore(cell, wish).await?,
            None => None,
        };
        match planned {
            Some(planned) => Ok(planned.report),
            None => Ok(self.plan_stored(player, wish).await?.report),
        }
    }

    /// For a player in the game, at a revision that is durable. `None` where the player has left it.
    pub(super) async fn plan_restore(&self, cell: &Cell, wish: &Wish) -> Result<Option<Planned>, OrderError> {
        let Some(revision) = cell.lock().seat().map(|seat| seat.revision) else { return Ok(None) };
        self.journal.hurry(&cell.id);
        if !self.is_durable(cell, revision).await {
            return Ok(None);
        }
        self.plan_stored(&cell.id, wish).await.map(Some)
    }

    async fn plan_stored(&self, player: &PlayerId, wish: &Wish) -> Result<Planned, OrderError> {
        let found = self.store.together(vec![player.clone()]).await?.pop();
        let whole = found.transpose().map_err(OrderError::Unreadable)?.flatten();
        let whole = whole.filter(|whole| whole.stored.revision > Revision::ZERO).ok_or(OrderError::NoSuchPlayer)?;
        self.plan(player, &whole, wish)
    }

    fn plan(&self, player: &PlayerId, whole: &Whole, wish: &Wish) -> Result<Planned, OrderError> {
        let rules = self.rules();
        let mut dice = self.dice.clone();
        let mut moment = Moment::new(self.clock.now_ms(), &mut dice);
        let stored = &whole.stored;
        let at_rest = Plan::of(&stored.into(), self.chain(), &rules, &mut moment);
        let at_rest = at_rest.map_err(OrderError::Unreadable)?;
        if at_rest.content != stored.content {
            return Err(OrderError::Impossible(
                "the player has yet to take content steps, which cannot be undone: migrate first, then restore to what \
                 came of it"
                    .to_owned(),
            ));
        }
        let Book { opening, pages, unreadable } = Book::read(self.chain(), &whole.ledger);
        if let Some((_, error)) = unreadable.into_iter().next() {
            return Err(OrderError::Unreadable(error));
        }
        let to = wish.to.revision(&pages, stored.revision, self.clock.now_ms())?;
        let stamp = Stamp::stored(stored.schema, stored.readable_by);
        let now = Now { revision: stored.revision, stamp, places: &stored.places };
        let past = Past::of(self.chain(), now, opening, pages).map_err(lost)?;
        let (since, others) = since(past, to, player)?;
        let undo = if wish.allow_duplicates { Undo::All } else { Undo::Own };
        let player_now = &at_rest.player;
        let things = since.undone(player_now, undo, &rules, &mut moment);
        let things = things.map_err(|refusal| OrderError::Impossible(refusal.to_string()))?;
        let report = Restored::new(player, (stored.revision, to), (player_now, &things), (others, undo));
        Ok(Planned { things, report })
    }
}

impl To {
    /// Which revision of the player's is meant.
    fn revision(self, pages: &[Page], newest: Revision, now: u64) -> Result<Revision, OrderError> {
        let impossible = |why: String| Err(OrderError::Impossible(why));
        match self {
            Self::Revision(Revision::ZERO) => impossible("a player is born with revision 1".to_owned()),
            Self::Revision(wanted) if wanted > newest => {
                impossible(format!("revision {wanted} lies in the future: the player is at {newest}"))
            }
            Self::Revision(wanted) => Ok(wanted),
            Self::At(time) if time > now => impossible("the time lies in the future".to_owned()),
            Self::At(time) => match (pages.iter().rev().find(|page| page.at <= time), pages.first()) {
                (Some(page), _) => Ok(page.revision),
                (None, Some(first)) if first.revision == Revision::ZERO.next() => {
                    impossible("the player was born later".to_owned())
                }
                (None, first) => Err(no_longer_kept(first.map(|first| first.revision))),
            },
        }
    }
}

/// What there was then, what happened since, and what of it was between the player and others.
fn since(mut past: Past, to: Revision, player: &PlayerId) -> Result<(Since, Vec<Others>), OrderError> {
    let (mut steps, mut others) = (Vec::new(), Vec::new());
    while past.revision() > to {
        let undone = past.next().unwrap_or(Err(Lost::Torn { wanted: past.revision(), found: None }));
        let past::Step { page, changes } = undone.map_err(lost)?;
        if page.reason == Reason::Migration.as_str() {
            return Err(OrderError::Impossible(format!(
                "content steps were taken at revision {}, and cannot be undone: it can be restored to that one or later",
                page.revision
            )));
        }
        let between = between(&page, player);
        if between == Between::Others && !changes.is_empty() {
            others.push(Others::of(&page, &changes, player));
        }
        steps.push(Step { changes, between });
    }
    steps.reverse();
    others.reverse();
    Ok((Since { then: past.things().clone(), steps }, others))
}

fn between(page: &Page, player: &PlayerId) -> Between {
    let foreign = foreign_accounts(page, player).next().is_some();
    if foreign || page.partner.is_some() || page.gift.is_some() {
        Between::Others
    } else if page.reason == Reason::Restore.as_str() {
        Between::Restored
    } else {
        Between::Nobody
    }
}

fn lost(lost: Lost) -> OrderError {
    match lost {
        Lost::Torn { wanted, found: None } => no_longer_kept(Some(wanted.next())),
        Lost::Torn { .. } | Lost::Unreadable { .. } => OrderError::Unreadable(lost.to_string()),
    }
}

fn no_longer_kept(oldest: Option<Revision>) -> OrderError {
    let oldest =
        oldest.map_or_else(|| "none is there".to_owned(), |oldest| format!("the oldest made revision {oldest}"));
    OrderError::Impossible(format!("the ledger's entries of that time are no longer kept: {oldest}"))
}
