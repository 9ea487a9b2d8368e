//! Letters between the processes of one realm. Losing or repeating one is harmless: each asks for something that the
//! reader checks against what it holds.

use super::{
    Roster,
    cell::{Cell, Stage},
    orders::{Order, OrderError},
    trades::Departure,
};
use crate::store::Owner;
use holdall_protocol::{
    close::Close,
    ids::{OrderKey, PlayerId},
};
use serde::{Deserialize, Serialize};
use std::{convert::Infallible, sync::Arc, time::Duration};
use tokio::time::{Instant, sleep_until};
use uuid::Uuid;

/// A player that has just been loaded stays at least so long: two devices that keep logging in at two servers do not
/// make it fly back and forth.
const STAY_MIN: Duration = Duration::from_secs(1);

/// A letter from another process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Letter {
    /// Somebody logs in elsewhere: save and release this player, which you hold under this token.
    HandOver {
        /// Who.
        player: PlayerId,
        /// The token that the sender saw.
        owner: Owner,
        /// For how many milliseconds that login had been waiting when this was written.
        #[serde(default)]
        waited: u64,
    },
    /// Something was put into the inbox of this player, whom you have in the game.
    LookInTheInbox {
        /// Who.
        player: PlayerId,
    },
    /// Somebody looks at this player, whom you have in the game: save what is not in the store yet, and say so.
    Look {
        /// At whom.
        player: PlayerId,
        /// Which look.
        look: Uuid,
        /// The node that waits for it.
        asker: String,
    },
    /// All that the player had is in the store now.
    Looked {
        /// For which look.
        look: Uuid,
        /// Whether a client is connected.
        connected: bool,
    },
    /// An operator's order on a player whom you have in the game.
    Do {
        /// The order.
        order: Order,
        /// The node that waits for its answer.
        asker: String,
    },
    /// That order is not carried out. (When one is, its answer is in the store.)
    Refused {
        /// Under which key it was given.
        key: OrderKey,
        /// The hash of what was ordered.
        order: u64,
        /// Why.
        why: OrderError,
    },
}

impl Roster {
    /// Reads this node's letters, for ever. Run it once, as a task of its own.
    pub async fn read_letters(self: Arc<Self>) -> Infallible {
        loop {
            for letter in self.store.letters().await {
                match rmp_serde::from_slice(&letter.content) {
                    Ok(Letter::HandOver { player, owner, waited }) => {
                        let waited = Duration::from_millis(waited);
                        let login = letter.posted.checked_sub(waited).unwrap_or(letter.posted);
                        tokio::spawn(self.clone().hand_over(player, owner, login));
                    }
                    Ok(Letter::LookInTheInbox { player }) => self.look_in_inbox_of(&player),
                    Ok(Letter::Look { player, look, asker }) => {
                        tokio::spawn(self.clone().serve_look(player, look, asker));
                    }
                    Ok(Letter::Looked { look, connected }) => self.looks.heard(look, connected),
                    Ok(Letter::Do { order, asker }) => {
                        tokio::spawn(self.clone().serve_order(order, asker));
                    }
                    Ok(Letter::Refused { key, order, why }) => self.given.refused(key, order, why),
                    // A newer build may know more letters.
                    Err(error) => tracing::debug!(%error, "a letter that cannot be read was passed by"),
                }
            }
        }
    }

    /// Asks the owner's process to give a player up for a login that began here then.
    pub(super) async fn ask_for(&self, player: &PlayerId, owner: &Owner, began: Instant) {
        let waited = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.post(owner.node(), &Letter::HandOver { player: player.clone(), owner: owner.clone(), waited }).await;
    }

    /// Tells the owner's process that something waits for a player.
    pub(super) async fn tell_of_inbox(&self, player: PlayerId, owner: &Owner) {
        self.post(owner.node(), &Letter::LookInTheInbox { player }).await;
    }

    /// Asks the owner's process to save a player for a look.
    pub(super) async fn post_look(&self, owner: &Owner, player: &PlayerId, look: Uuid) {
        let asker = self.store.node().to_owned();
        self.post(owner.node(), &Letter::Look { player: player.clone(), look, asker }).await;
    }

    /// Tells whoever looks that all is saved.
    pub(super) async fn post_looked(&self, asker: &str, look: Uuid, connected: bool) {
        self.post(asker, &Letter::Looked { look, connected }).await;
    }

    /// Asks the owner's process to carry an order out.
    pub(super) async fn post_order(&self, owner: &Owner, order: &Order) {
        let asker = self.store.node().to_owned();
        self.post(owner.node(), &Letter::Do { order: order.clone(), asker }).await;
    }

    /// Tells whoever asked that an order is not carried out.
    pub(super) async fn post_refusal(&self, asker: &str, order: &Order, why: OrderError) {
        self.post(asker, &Letter::Refused { key: order.key.clone(), order: order.hash(), why }).await;
    }

    async fn post(&self, node: &str, letter: &Letter) {
        let bytes = rmp_serde::to_vec_named(letter).expect("a letter serialises into memory");
        if let Err(error) = self.store.post(node.to_owned(), bytes.into()).await {
            tracing::debug!(?letter, %error, "a letter could not be posted");
        }
    }

    /// The newest login wins: one that came here after the one elsewhere had begun keeps the player.
    async fn hand_over(self: Arc<Self>, player: PlayerId, owner: Owner, login: Instant) {
        let Some(cell) = self.find(&player) else {
            return self.give_up_unknown(&player, &owner).await;
        };
        let since = {
            let inner = cell.lock();
            if !inner.yields_to(login) {
                return;
            }
            match &inner.stage {
                Stage::Ready(seat) if seat.owner == owner => Some(seat.since),
                Stage::Ready(seat) if seat.owner.epoch() < owner.epoch() => None,
                Stage::Ready(_) | Stage::Loading | Stage::Draining | Stage::Gone | Stage::Failed(_) => return,
            }
        };
        match since {
            Some(since) => {
                sleep_until(since.checked_add(STAY_MIN).unwrap_or_else(Instant::now)).await;
                self.give_up(&cell, Some((&owner, login)));
            }
            None => self.drop_outrun(&cell, &owner).await,
        }
    }

    /// The store says that this process has the player under a later token than it knows: an earlier load was given up, and
    /// its question arrived after all. What is in memory can never be written; the next letter finds it gone.
    async fn drop_outrun(&self, cell: &Arc<Cell>, owner: &Owner) {
        if !self.is_stored(&cell.id, owner).await {
            return;
        }
        let mut inner = cell.lock();
        if matches!(&inner.stage, Stage::Ready(seat) if seat.owner.epoch() < owner.epoch()) {
            inner.close(Close::Replaced);
            self.abandon(cell, &mut inner);
        }
    }

    async fn is_stored(&self, player: &PlayerId, owner: &Owner) -> bool {
        let standings = self.store.standings(vec![player.clone()]).await;
        standings.is_ok_and(|standings| standings.headers.iter().all(|header| header.owner.as_ref() == Some(owner)))
    }

    /// The store says that this process has the player, and it has not: the answer to a load was lost. Takes it, to give it
    /// up.
    async fn give_up_unknown(self: Arc<Self>, player: &PlayerId, owner: &Owner) {
        if self.is_stored(player, owner).await
            && let Ok(cell) = self.load(player).await
        {
            self.give_up(&cell, None);
        }
    }

    /// Saves and releases a player for somebody else; its client is told that a newer login replaced it. Only under this
    /// token and for a login that is newer, or, without them, only a player who has no connection.
    fn give_up(&self, cell: &Cell, asked_for: Option<(&Owner, Instant)>) {
        let mut inner = cell.lock();
        let gives_up = match (&inner.stage, asked_for) {
            (Stage::Ready(seat), Some((token, login))) => seat.owner == *token && inner.yields_to(login),
            (Stage::Ready(_), None) => !inner.has_links(),
            (Stage::Loading | Stage::Draining | Stage::Gone | Stage::Failed(_), _) => false,
        };
        if gives_up {
            inner.close(Close::Replaced);
            self.drain(cell, &mut inner, Departure::Lost);
        }
    }
}
