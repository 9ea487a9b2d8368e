//! Limited stock: each SKU adds up, its audit leads to it, and what players bought is what was confirmed for them.
//!
//! A SKU's stock, open holds and units are read at one moment, its audit after that, so that the audit may tell of more:
//! what happened since. Of what then seems wrong another look is taken, and a player is read again after the audit before
//! their purchase is missed.

use super::{
    fault::{Fault, Kind},
    one,
    player::Examined,
    replay::Replay,
};
use crate::{
    store::{
        ReadError, Store,
        stock::{AuditEntry, Event, Holder, Stock, StockBook},
    },
    upkeep::whole_audit,
};
use holdall_protocol::ids::{PlayerId, ReservationId, Revision, SkuId};
use std::collections::{BTreeMap, HashMap, HashSet};

/// Looks at a SKU that seems wrong while others write.
const LOOKS_MAX: usize = 5;
/// How far the clocks of a store and of whoever trims a ledger may be apart, in milliseconds.
const CLOCKS_APART_MS: u64 = 60_000;

/// An entry by which a player bought something.
#[derive(Debug, Clone)]
pub(super) struct Bought {
    pub(super) hold: ReservationId,
    pub(super) player: PlayerId,
    pub(super) revision: Revision,
}

/// What was looked at and what was found.
#[derive(Debug, Default)]
pub(super) struct Counted {
    pub(super) skus: u64,
    pub(super) holds: u64,
    pub(super) faults: Vec<Fault>,
}

/// A player's hold that was confirmed.
#[derive(Debug, Clone)]
struct Confirmed {
    sku: SkuId,
    player: PlayerId,
    at: u64,
}

type AllConfirmed = HashMap<ReservationId, Confirmed>;

/// Looks at every SKU, and at all that was bought by then. `quiet`: nobody writes meanwhile.
pub(super) async fn count(store: &dyn Store, bought: &[Bought], quiet: bool) -> Result<Counted, ReadError> {
    let (mut counted, mut confirmed) = (Counted::default(), AllConfirmed::new());
    for sku in store.skus().await? {
        counted.skus = counted.skus.saturating_add(1);
        match settled(store, &sku, quiet).await {
            Ok((audit, faults)) => {
                counted.faults.extend(faults);
                let made = audit.iter().filter(|entry| entry.event == Event::Hold).count();
                counted.holds = counted.holds.saturating_add(u64::try_from(made).unwrap_or(u64::MAX));
                confirmed.extend(audit.into_iter().filter_map(of_player));
            }
            Err(ReadError::Unreadable(why)) => {
                counted.faults.push(Fault::about_sku(Kind::UnreadableStock, &sku, why));
            }
            Err(error) => return Err(error),
        }
    }
    counted.faults.extend(unheld(bought, &confirmed));
    counted.faults.extend(unbought(store, bought, &confirmed).await?);
    Ok(counted)
}

fn of_player(entry: AuditEntry) -> Option<(ReservationId, Confirmed)> {
    match (entry.event, entry.holder, entry.reservation) {
        (Event::Confirm, Some(Holder::Player(player)), Some(id)) => {
            Some((id, Confirmed { sku: entry.sku, player, at: entry.at }))
        }
        _ => None,
    }
}

/// A SKU's audit, oldest first, and what is wrong with it at each of several looks.
async fn settled(store: &dyn Store, sku: &SkuId, quiet: bool) -> Result<(Vec<AuditEntry>, Vec<Fault>), ReadError> {
    let mut looks = if quiet { 1 } else { LOOKS_MAX };
    loop {
        let Some(book) = store.stock_book(sku.clone()).await? else { return Ok((Vec::new(), Vec::new())) };
        let audit = whole_audit(store, sku).await?;
        let faults = faults(&book, &audit, quiet);
        looks = looks.saturating_sub(1);
        if faults.is_empty() || looks == 0 {
            return Ok((audit, faults));
        }
    }
}

/// What is wrong with one SKU.
fn faults(book: &StockBook, audit: &[AuditEntry], quiet: bool) -> Vec<Fault> {
    let sku = &book.stock.sku;
    let mut faults: Vec<Fault> = wrong_sums(book).map(|what| Fault::about_sku(Kind::WrongStock, sku, what)).collect();
    let mut replay = Replay::default();
    for entry in audit {
        // The book is of one moment, and what was written later is in the audit alone.
        if !quiet && entry.at >= book.stock.updated_at && is_right(&replay, book) {
            return faults;
        }
        if let Err(what) = replay.enter(entry) {
            let fault = Fault::about_sku(Kind::WrongAudit, sku, what);
            faults.push(Fault { reservation: entry.reservation, ..fault });
            return faults;
        }
    }
    if !replay.is(book) {
        let what = format!("the audit comes to {}; stored is {}", replay.told(), told(book));
        faults.push(Fault::about_sku(Kind::WrongAudit, sku, what));
    }
    for (player, right, found) in replay.wrong_units(book) {
        let what = format!("{right} were held or bought, and {found} are counted");
        faults.push(Fault::about_sku(Kind::WrongUnits, sku, what).with(&player));
    }
    faults
}

fn is_right(replay: &Replay, book: &StockBook) -> bool {
    replay.is(book) && replay.wrong_units(book).is_empty()
}

fn told(book: &StockBook) -> String {
    let Stock { total, available, reserved, confirmed, holds, .. } = book.stock;
    format!("{available} available, {reserved} reserved by {holds} holds, {confirmed} confirmed, {total} in all")
}

/// What in the stock contradicts itself or its open holds.
fn wrong_sums(book: &StockBook) -> impl Iterator<Item = String> {
    let Stock { total, available, reserved, confirmed, holds, .. } = book.stock;
    let columns = u128::from(available).saturating_add(reserved.into()).saturating_add(confirmed.into());
    let sum = (columns != u128::from(total)).then(|| format!("its columns do not add up: {}", told(book)));
    let held = book.open.iter().fold(0_u128, |sum, hold| sum.saturating_add(hold.quantity.get().into()));
    let open = u64::try_from(book.open.len()).unwrap_or(u64::MAX);
    let same = (held, open) == (u128::from(reserved), holds);
    let off = (!same).then(|| format!("{reserved} are reserved by {holds} holds, and {open} are open with {held}"));
    sum.into_iter().chain(off)
}

/// Purchases without a hold that was confirmed for their player, and holds that were bought twice.
fn unheld(bought: &[Bought], confirmed: &AllConfirmed) -> Vec<Fault> {
    let (mut faults, mut seen) = (Vec::new(), HashSet::new());
    for Bought { hold, player, revision } in bought {
        let what = match confirmed.get(hold) {
            Some(confirmed) if confirmed.player == *player => None,
            Some(confirmed) => Some(format!("what it bought was confirmed for {}", confirmed.player)),
            None => Some("what it bought was never confirmed".to_owned()),
        };
        let fault = |kind, what: String| Fault::new(kind, player, what).at(*revision).about_hold(*hold);
        faults.extend(what.map(|what| fault(Kind::PurchaseWithoutHold, what)));
        if !seen.insert(hold) {
            faults.push(fault(Kind::BoughtTwice, "another entry bought it, too".to_owned()));
        }
    }
    faults
}

/// Confirmed holds that their players have no entry of, though their ledgers go back so far.
async fn unbought(store: &dyn Store, bought: &[Bought], confirmed: &AllConfirmed) -> Result<Vec<Fault>, ReadError> {
    let known: HashSet<ReservationId> = bought.iter().map(|bought| bought.hold).collect();
    let mut missed: BTreeMap<&PlayerId, Vec<(&ReservationId, &Confirmed)>> = BTreeMap::new();
    for (id, confirmed) in confirmed.iter().filter(|(id, _)| !known.contains(id)) {
        missed.entry(&confirmed.player).or_default().push((id, confirmed));
    }
    let mut faults = Vec::new();
    for (player, holds) in missed {
        let examined = one(store, player.clone()).await?;
        for (id, confirmed) in holds.into_iter().filter(|(id, confirmed)| should_tell(&examined, **id, confirmed.at)) {
            let what = "it was confirmed, and no entry of the player's bought it";
            faults.push(Fault::about_sku(Kind::HoldWithoutPurchase, &confirmed.sku, what).with(player).about_hold(*id));
        }
    }
    Ok(faults)
}

/// Whether a player's ledger should have the purchase of a hold that was confirmed then, and has not.
fn should_tell(examined: &Examined, hold: ReservationId, at: u64) -> bool {
    let trimmed = examined.begin.revision > Revision::ZERO && examined.begin.at.saturating_add(CLOCKS_APART_MS) >= at;
    // Of a ledger that cannot be read that is said already.
    let unreadable =
        examined.faults.iter().any(|fault| matches!(fault.kind, Kind::UnreadableEntry | Kind::UnreadablePlayer));
    !trimmed && !unreadable && !examined.bought.iter().any(|(id, _)| *id == hold)
}
