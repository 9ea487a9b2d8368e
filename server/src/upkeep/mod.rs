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

use crate::store::{ReadError, Store, Whole, stock::AuditEntry};
use holdall_protocol::ids::{PlayerId, SkuId};

/// Audit entries that are read at once.
const AUDIT_PAGE: usize = 1_000;

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

/// The whole audit of a SKU, oldest first.
async fn whole_audit(store: &dyn Store, sku: &SkuId) -> Result<Vec<AuditEntry>, ReadError> {
    let (mut audit, mut mark) = (Vec::new(), None);
    loop {
        let page = store.stock_audit(Some(sku.clone()), mark, AUDIT_PAGE).await?;
        audit.extend(page.items);
        mark = page.next;
        if mark.is_none() {
            audit.reverse();
            return Ok(audit);
        }
    }
}
