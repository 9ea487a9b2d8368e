//! Work on a whole store or on a player at rest: looking, telling, copying, bringing forward, setting back, proving.
//!
//! Called by `cli` on a store that it has opened, and by `operator` inside a running server. What cannot be read is
//! reported and left as it is.

pub mod copy;
pub mod history;
pub mod inspect;
pub mod migrate;
pub mod restore;
pub mod verify;

use crate::store::{ReadError, Store, Whole};
use holdall_protocol::ids::PlayerId;

/// Every player of a store, once, in order.
///
/// # Errors
/// [`ReadError`]: the store does not answer.
pub async fn all_players(store: &dyn Store) -> Result<Vec<PlayerId>, ReadError> {
    let (mut all, mut mark) = (Vec::new(), None);
    loop {
        let page = store.players(mark).await?;
        all.extend(page.items);
        mark = page.next;
        if mark.is_none() {
            break;
        }
    }
    all.sort_unstable();
    all.dedup();
    Ok(all)
}

/// A player and its ledger from the first entry to the last; `None` where there is none.
async fn whole(store: &dyn Store, player: &PlayerId) -> Result<Option<Whole>, ReadError> {
    let Some(stored) = store.peek(player.clone()).await? else { return Ok(None) };
    let (mut ledger, mut mark) = (Vec::new(), None);
    loop {
        let page = store.ledger(player.clone(), mark).await?;
        ledger.extend(page.items);
        mark = page.next;
        if mark.is_none() {
            return Ok(Some(Whole { stored, ledger }));
        }
    }
}
