//! Limited stock into another store: each SKU in one step with its holds, everybody's units and its audit.

use super::{Compared, Copied, CopyError, Side, add, at};
use crate::{
    store::{
        ReadError, Store,
        stock::{AuditEntry, Reservation, State, StockBook},
    },
    upkeep::whole_audit,
};
use holdall_protocol::ids::SkuId;
use std::collections::{BTreeMap, BTreeSet};

/// All that there is of a SKU.
#[derive(Debug, PartialEq)]
struct Sku {
    book: StockBook,
    closed: Vec<Reservation>,
    audit: Vec<AuditEntry>,
}

/// Holds that have come to their end, in order of their ids.
type Closed = BTreeMap<SkuId, Vec<Reservation>>;

async fn closed(store: &dyn Store) -> Result<Closed, ReadError> {
    let (mut closed, mut mark) = (Closed::new(), None);
    loop {
        let page = store.holds(mark).await?;
        for hold in page.items.into_iter().filter(|hold| !hold.state.is_open()) {
            closed.entry(hold.sku.clone()).or_default().push(hold);
        }
        mark = page.next;
        if mark.is_none() {
            break;
        }
    }
    for holds in closed.values_mut() {
        holds.sort_by_key(|hold| hold.id);
        holds.dedup();
    }
    Ok(closed)
}

async fn whole(store: &dyn Store, sku: &SkuId, closed: &mut Closed) -> Result<Option<Sku>, ReadError> {
    let Some(book) = store.stock_book(sku.clone()).await? else { return Ok(None) };
    let audit = whole_audit(store, sku).await?;
    Ok(Some(Sku { book, closed: closed.remove(sku).unwrap_or_default(), audit }))
}

/// Copies every SKU of `from` that is not in `to`.
pub(super) async fn copy(from: &dyn Store, to: &dyn Store, copied: &mut Copied) -> Result<(), CopyError> {
    let skus = from.skus().await.map_err(at(Side::Source))?;
    let mut of_all = closed(from).await.map_err(at(Side::Source))?;
    for sku in skus {
        let Sku { book, closed, audit } = match whole(from, &sku, &mut of_all).await {
            Ok(Some(whole)) => whole,
            Ok(None) => continue,
            Err(ReadError::Unreadable(why)) => {
                copied.unreadable_skus.push((sku, why));
                continue;
            }
            Err(error) => return Err(at(Side::Source)(error)),
        };
        let (holds, entries) = (book.open.len().saturating_add(closed.len()), audit.len());
        match to.import_stock(book, closed, audit).await {
            Ok(()) => {
                add(&mut copied.skus, 1);
                add(&mut copied.holds, holds);
                add(&mut copied.audit_entries, entries);
            }
            Err(ReadError::Exists) => add(&mut copied.skus_there, 1),
            Err(error) => return Err(at(Side::Target)(error)),
        }
    }
    Ok(())
}

/// Reads every SKU back from both and compares it.
pub(super) async fn compare(from: &dyn Store, to: &dyn Store, compared: &mut Compared) -> Result<(), CopyError> {
    let (sources, targets) = (from.skus().await.map_err(at(Side::Source))?, to.skus().await.map_err(at(Side::Target))?);
    let mut closed_in_source = closed(from).await.map_err(at(Side::Source))?;
    let mut closed_in_target = closed(to).await.map_err(at(Side::Target))?;
    let all: BTreeSet<SkuId> = sources.into_iter().chain(targets).collect();
    for sku in all {
        let source = whole(from, &sku, &mut closed_in_source).await;
        let target = whole(to, &sku, &mut closed_in_target).await;
        let what = match (source, target) {
            (Ok(Some(source)), Ok(Some(target))) => unequal(source, &target).map(str::to_owned),
            (Ok(Some(_)), Ok(None)) => Some("is missing in the target".to_owned()),
            (Ok(None), Ok(_)) => Some("is in the target alone".to_owned()),
            (Err(ReadError::Unreadable(why)), _) => Some(format!("cannot be read in the source: {why}")),
            (_, Err(ReadError::Unreadable(why))) => Some(format!("cannot be read in the target: {why}")),
            (Err(error), _) => return Err(at(Side::Source)(error)),
            (_, Err(error)) => return Err(at(Side::Target)(error)),
        };
        match what {
            None => add(&mut compared.equal_skus, 1),
            Some(what) => compared.differences.push(format!("SKU {sku} {what}")),
        }
    }
    Ok(())
}

fn unequal(mut source: Sku, target: &Sku) -> Option<&'static str> {
    // Nobody in the target knows of whoever was paying.
    for hold in &mut source.book.open {
        hold.state = State::Active;
    }
    if source.audit != target.audit {
        return Some("has another audit");
    }
    if source.book != target.book {
        return Some("has another stock, other open holds or other units of players");
    }
    (source.closed != target.closed).then_some("has other closed holds")
}
