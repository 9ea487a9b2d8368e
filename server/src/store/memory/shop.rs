//! Stocks on the shelf: plain lists, which are searched.

use super::{Memory, Node, Shelf, State, answers, read};
use crate::{
    clock::Clock,
    store::{
        Answer, KeptAnswer, Owner, Page, PlayerWrite, ReadError,
        stock::{
            AuditEntry, Deed, Done, Holder, Reservation, State as HoldState, Stock, StockBook, StockError, Stocks,
            Swept, Tally,
            book::{self, Book, Moment, Row},
        },
    },
};
use bytes::Bytes;
use holdall_protocol::ids::{OrderKey, PlayerId, ReservationId, SkuId};
use std::{collections::BTreeMap, sync::Arc};
use tokio::time::Instant;

/// All stocks, as one value: what is lost of it is replaced as a whole.
#[derive(Debug, Clone, Default)]
pub(super) struct Shop {
    stocks: BTreeMap<SkuId, Stock>,
    holds: BTreeMap<ReservationId, Row>,
    units: BTreeMap<(SkuId, PlayerId), u64>,
    /// The newest last.
    audit: Vec<AuditEntry>,
    kept: BTreeMap<String, (u64, Done)>,
}

impl Shop {
    /// The answer to a deed, for whoever takes it for one to an order.
    pub(super) fn answer(&self, key: &OrderKey) -> Option<KeptAnswer> {
        let (order, done) = self.kept.get(key.as_str())?;
        let bytes = serde_json::to_vec(done).expect("it serialises into memory");
        Some(KeptAnswer { key: key.clone(), order: *order, bytes: Bytes::from(bytes) })
    }

    /// A player's open holds, the oldest first.
    pub(super) fn holds_of(&self, player: &PlayerId) -> Vec<Reservation> {
        let holder = Holder::Player(player.clone());
        let open = self.holds.values().map(|row| &row.reservation).filter(|hold| hold.state.is_open());
        let mut holds: Vec<Reservation> = open.filter(|hold| hold.holder == holder).cloned().collect();
        holds.sort_by_key(|hold| (hold.created_at, hold.id));
        holds
    }

    fn of(&self, sku: &SkuId, state: HoldState) -> Vec<&Reservation> {
        let all = self.holds.values().map(|row| &row.reservation);
        let mut holds: Vec<&Reservation> = all.filter(|hold| hold.sku == *sku && hold.state == state).collect();
        holds.sort_by_key(|hold| (hold.expires_at, hold.id));
        holds
    }
}

/// The time of a shelf: it moves on with tokio's clock.
pub(super) fn clock() -> Clock {
    Clock::Runtime { start_ms: Clock::System.now_ms(), origin: Instant::now() }
}

impl State {
    /// Changes stocks in one step that can be lost. A look that changes nothing is no write.
    fn change_shop<T>(&mut self, node: &Node, change: impl FnOnce(&mut Self, u64) -> T) -> T {
        let (before, now) = (self.shop.clone(), self.clock.now_ms());
        let changed = change(self, now);
        if !Arc::ptr_eq(&before, &self.shop) {
            self.remember_shop(node, before);
        }
        changed
    }

    fn shop(&mut self) -> &mut Shop {
        Arc::make_mut(&mut self.shop)
    }

    /// Whether all holds that are paid for are there to be paid for.
    pub(super) fn can_pay(&self, write: &PlayerWrite) -> bool {
        let payer = (&write.player, &write.owner);
        write.purchases.iter().all(|purchase| book::is_payable(self, payer, purchase) == Ok(true))
    }

    pub(super) fn pay(&mut self, write: &PlayerWrite) {
        let now = self.clock.now_ms();
        for purchase in &write.purchases {
            book::pay(self, purchase, now).expect("it was looked at in the same step");
        }
    }

    fn sweep(&mut self, node: &Node, moment: Moment<'_>) -> Swept {
        let skus: Vec<SkuId> = self.shop.stocks.keys().cloned().collect();
        let mut swept = Swept::default();
        for sku in &skus {
            let claims = self.of_claims(sku);
            let standing: Vec<Owner> = claims.into_iter().filter(|owner| self.may_still_write(node, owner)).collect();
            let looks = (|owner: &Owner| standing.contains(owner), |owner: &Owner| owner.is_of(node));
            swept.add(book::sweep(self, sku, moment, looks).expect("a shelf does not fail"));
        }
        swept
    }

    fn of_claims(&self, sku: &SkuId) -> Vec<Owner> {
        let rows = self.shop.holds.values().filter(|row| row.reservation.sku == *sku);
        rows.filter_map(|row| row.claim.as_ref().map(|(_, owner)| owner.clone())).collect()
    }

    /// Whether whoever has this token may still write under it, as [`Shelf::acquire`] sees it.
    fn may_still_write(&self, node: &Node, owner: &Owner) -> bool {
        if owner.node() == node.id { owner.is_of(node) } else { !self.nodes.may_be_taken_from(owner.node()) }
    }

    fn stock_book(&self, sku: &SkuId) -> Option<StockBook> {
        let stock = self.shop.stocks.get(sku)?.clone();
        let all = self.shop.holds.values().map(|row| &row.reservation);
        let open = all.filter(|hold| hold.sku == *sku && hold.state.is_open()).cloned().collect();
        let units = self.shop.units.iter().filter(|((of, _), _)| of == sku);
        let units = units.map(|((_, player), units)| (player.clone(), *units)).collect();
        Some(StockBook { stock, open, units })
    }

    fn import_stock(
        &mut self,
        book: StockBook,
        closed: Vec<Reservation>,
        audit: Vec<AuditEntry>,
    ) -> Result<(), ReadError> {
        let StockBook { stock, open, units } = book;
        if self.shop.stocks.contains_key(&stock.sku) {
            return Err(ReadError::Exists);
        }
        let shop = self.shop();
        for (player, units) in units {
            shop.units.insert((stock.sku.clone(), player), units);
        }
        shop.stocks.insert(stock.sku.clone(), stock);
        // Whoever was paying is not known here.
        let open = open.into_iter().map(|hold| Reservation { state: HoldState::Active, ..hold });
        for reservation in open.chain(closed) {
            shop.holds.insert(reservation.id, Row { reservation, claim: None });
        }
        shop.audit.extend(audit);
        Ok(())
    }
}

impl Book for State {
    type Error = StockError;

    fn stock(&self, sku: &SkuId) -> Result<Option<Stock>, StockError> {
        Ok(self.shop.stocks.get(sku).cloned())
    }

    fn set_stock(&mut self, stock: &Stock) -> Result<(), StockError> {
        self.shop().stocks.insert(stock.sku.clone(), stock.clone());
        Ok(())
    }

    fn hold(&self, id: ReservationId) -> Result<Option<Row>, StockError> {
        Ok(self.shop.holds.get(&id).cloned())
    }

    fn set_hold(&mut self, row: &Row) -> Result<(), StockError> {
        self.shop().holds.insert(row.reservation.id, row.clone());
        Ok(())
    }

    fn due(&self, sku: &SkuId, now: u64) -> Result<Vec<ReservationId>, StockError> {
        let active = self.shop.of(sku, HoldState::Active).into_iter();
        Ok(active.filter(|hold| hold.expires_at <= now).map(|hold| hold.id).collect())
    }

    fn active(&self, sku: &SkuId) -> Result<Vec<ReservationId>, StockError> {
        Ok(self.shop.of(sku, HoldState::Active).into_iter().map(|hold| hold.id).collect())
    }

    fn claimed(&self, sku: &SkuId) -> Result<Vec<ReservationId>, StockError> {
        Ok(self.shop.of(sku, HoldState::Claimed).into_iter().map(|hold| hold.id).collect())
    }

    fn holds_of(&self, holder: &Holder) -> Result<u64, StockError> {
        let holds = self.shop.holds.values().map(|row| &row.reservation);
        let open = holds.filter(|hold| hold.holder == *holder && hold.state.is_open()).count();
        Ok(u64::try_from(open).unwrap_or(u64::MAX))
    }

    fn units(&self, sku: &SkuId, player: &PlayerId) -> Result<u64, StockError> {
        Ok(self.shop.units.get(&(sku.clone(), player.clone())).copied().unwrap_or(0))
    }

    fn set_units(&mut self, sku: &SkuId, player: &PlayerId, units: u64) -> Result<(), StockError> {
        let key = (sku.clone(), player.clone());
        match units {
            0 => self.shop().units.remove(&key),
            _ => self.shop().units.insert(key, units),
        };
        Ok(())
    }

    fn forget_units(&mut self, sku: &SkuId) -> Result<(), StockError> {
        self.shop().units.retain(|(of, _), _| of != sku);
        Ok(())
    }

    fn add_audit(&mut self, entry: AuditEntry) -> Result<(), StockError> {
        self.shop().audit.push(entry);
        Ok(())
    }

    fn kept(&self, key: &str) -> Result<Option<(u64, Option<Done>)>, StockError> {
        let of_order = || answers::find(&self.rows, key).map(|answer| (answer.order, None));
        let of_deed = self.shop.kept.get(key).map(|(hash, done)| (*hash, Some(done.clone())));
        Ok(of_deed.or_else(of_order))
    }

    fn keep(&mut self, key: &str, hash: u64, done: &Done, _: u64) -> Result<(), StockError> {
        if !self.broken_rules.forget_deeds {
            self.shop().kept.insert(key.to_owned(), (hash, done.clone()));
        }
        Ok(())
    }

    fn owner(&self, player: &PlayerId) -> Result<Option<Owner>, StockError> {
        Ok(self.rows.get(player).and_then(|row| row.owner.clone()))
    }

    fn disown(&mut self, player: &PlayerId) -> Result<(), StockError> {
        if let Some(row) = self.rows.get_mut(player) {
            row.owner = None;
        }
        // As with any takeover: what its owner had yet to write again, it cannot.
        self.losses.give_up(player);
        Ok(())
    }
}

/// Part of a list that is named by where it begins.
fn page<T: Clone>(list: impl Iterator<Item = T>, mark: Option<&str>, limit: usize) -> Page<T> {
    let from = mark.and_then(|mark| mark.parse().ok()).unwrap_or(0_usize);
    let mut items: Vec<T> = list.skip(from).take(limit.saturating_add(1)).collect();
    let more = items.len() > limit;
    items.truncate(limit);
    Page { items, next: more.then(|| from.saturating_add(limit).to_string()) }
}

/// Holds on one page.
const HOLDS_PER_PAGE: usize = 256;

impl Shelf {
    /// A copy of every hold, open or not.
    #[must_use]
    pub fn reservations(&self) -> BTreeMap<ReservationId, Reservation> {
        let state = self.0.lock();
        state.shop.holds.iter().map(|(id, row)| (*id, row.reservation.clone())).collect()
    }

    fn audit(&self, of: Option<&SkuId>, mark: Option<&str>, limit: usize) -> Page<AuditEntry> {
        let state = self.0.lock();
        let newest_first = state.shop.audit.iter().rev().filter(|entry| of.is_none_or(|sku| entry.sku == *sku));
        page(newest_first.cloned(), mark, limit)
    }

    fn holds(&self, mark: Option<&str>) -> Page<Reservation> {
        let state = self.0.lock();
        page(state.shop.holds.values().map(|row| row.reservation.clone()), mark, HOLDS_PER_PAGE)
    }
}

impl Stocks for Memory {
    fn stock(&self, deed: Deed) -> Answer<Result<Done, StockError>> {
        let (node, tally) = (self.node.clone(), self.tally.clone());
        let answer = self.faulty("stock", move |shelf| {
            shelf.0.lock().change_shop(&node, |state, now| book::run(state, &deed, Moment { now, tally: &tally }))
        });
        Box::pin(async move { read(answer).await? })
    }

    fn sweep(&self) -> Answer<Result<Swept, ReadError>> {
        let (node, tally) = (self.node.clone(), self.tally.clone());
        read(self.faulty("sweep", move |shelf| {
            shelf.0.lock().change_shop(&node, |state, now| state.sweep(&node, Moment { now, tally: &tally }))
        }))
    }

    fn tally(&self) -> &Tally {
        &self.tally
    }

    fn skus(&self) -> Answer<Result<Vec<SkuId>, ReadError>> {
        read(self.faulty("skus", |shelf| shelf.0.lock().shop.stocks.keys().cloned().collect()))
    }

    fn stocks(&self, skus: Vec<SkuId>) -> Answer<Result<Vec<Option<Stock>>, ReadError>> {
        let (node, tally) = (self.node.clone(), self.tally.clone());
        read(self.faulty("stocks", move |shelf| {
            shelf.0.lock().change_shop(&node, |state, now| {
                state.sweep(&node, Moment { now, tally: &tally });
                skus.iter().map(|sku| state.shop.stocks.get(sku).cloned()).collect()
            })
        }))
    }

    fn reservation(&self, id: ReservationId) -> Answer<Result<Option<Reservation>, ReadError>> {
        let (node, tally) = (self.node.clone(), self.tally.clone());
        read(self.faulty("reservation", move |shelf| {
            shelf.0.lock().change_shop(&node, |state, now| {
                state.sweep(&node, Moment { now, tally: &tally });
                state.shop.holds.get(&id).map(|row| row.reservation.clone())
            })
        }))
    }

    fn stock_audit(
        &self,
        of: Option<SkuId>,
        mark: Option<String>,
        limit: usize,
    ) -> Answer<Result<Page<AuditEntry>, ReadError>> {
        read(self.faulty("stock_audit", move |shelf| shelf.audit(of.as_ref(), mark.as_deref(), limit)))
    }

    fn stock_book(&self, sku: SkuId) -> Answer<Result<Option<StockBook>, ReadError>> {
        read(self.faulty("stock_book", move |shelf| shelf.0.lock().stock_book(&sku)))
    }

    fn import_stock(
        &self,
        book: StockBook,
        closed: Vec<Reservation>,
        audit: Vec<AuditEntry>,
    ) -> Answer<Result<(), ReadError>> {
        let answer = self.faulty("import_stock", move |shelf| shelf.0.lock().import_stock(book, closed, audit));
        Box::pin(async move { read(answer).await? })
    }

    fn holds(&self, mark: Option<String>) -> Answer<Result<Page<Reservation>, ReadError>> {
        read(self.faulty("holds", move |shelf| shelf.holds(mark.as_deref())))
    }
}
