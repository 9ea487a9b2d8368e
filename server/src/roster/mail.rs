//! Letters between the processes of one realm. Losing or repeating one is harmless: each asks for something that the
//! reader checks against what it holds.

use super::{
    Roster,
    cell::{Cell, Stage},
};
use crate::store::Owner;
use holdall_protocol::{close::Close, ids::PlayerId};
use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, sleep_until};

/// A player that has just been loaded stays at least so long: two devices that keep logging in at two servers do not
/// make it fly back and forth.
const STAY_MIN: Duration = Duration::from_secs(1);

/// A letter from another process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Letter {
    /// Somebody logs in elsewhere: save and release this player, which you hold under this token.
    HandOver {
        /// Who.
        player: PlayerId,
        /// The token that the sender saw.
        owner: Owner,
    },
}

impl Roster {
    /// Reads this node's letters, for ever. Run it once, as a task of its own.
    pub async fn read_letters(self: Arc<Self>) {
        loop {
            for letter in self.store.letters().await {
                match rmp_serde::from_slice(&letter) {
                    Ok(Letter::HandOver { player, owner }) => {
                        tokio::spawn(self.clone().hand_over(player, owner));
                    }
                    // A newer build may know more letters.
                    Err(error) => tracing::debug!(%error, "a letter that cannot be read was passed by"),
                }
            }
        }
    }

    /// Asks the owner's process to give a player up.
    pub(super) async fn ask_for(&self, player: &PlayerId, owner: &Owner) {
        let letter = Letter::HandOver { player: player.clone(), owner: owner.clone() };
        let letter = rmp_serde::to_vec_named(&letter).expect("a letter serialises into memory");
        if let Err(error) = self.store.post(owner.node().to_owned(), letter.into()).await {
            tracing::debug!(%player, %error, "a letter could not be posted");
        }
    }

    async fn hand_over(self: Arc<Self>, player: PlayerId, owner: Owner) {
        let Some(cell) = self.find(&player) else {
            return self.give_up_unknown(&player, &owner).await;
        };
        let since = match &cell.lock().stage {
            Stage::Ready(seat) if seat.owner == owner => Some(seat.since),
            Stage::Ready(seat) if seat.owner.epoch() < owner.epoch() => None,
            Stage::Ready(_) | Stage::Loading | Stage::Draining | Stage::Gone | Stage::Failed(_) => return,
        };
        match since {
            Some(since) => {
                sleep_until(since.checked_add(STAY_MIN).unwrap_or_else(Instant::now)).await;
                self.give_up(&cell, Some(&owner));
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
    /// token, or whatever it is now; a player who has a connection is never given up without a token.
    fn give_up(&self, cell: &Cell, token: Option<&Owner>) {
        let mut inner = cell.lock();
        let asked_for = match (&inner.stage, token) {
            (Stage::Ready(seat), Some(token)) => seat.owner == *token,
            (Stage::Ready(_), None) => !inner.has_links(),
            (Stage::Loading | Stage::Draining | Stage::Gone | Stage::Failed(_), _) => false,
        };
        if asked_for {
            inner.close(Close::Replaced);
            self.drain(cell, &mut inner);
        }
    }
}
