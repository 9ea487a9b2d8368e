//! Stocks in the file: deeds and sweeps on the writer thread, reads of the last commit.
//!
//! A read that would show a hold as open whose time is over lets the writer sweep first; every other one waits for nobody.

mod snapshot;
mod tables;

pub(super) use tables::{Counter, Failure, Shop};

use super::{Embedded, Tables};
use crate::{
    clock::Clock,
    store::{
        Answer, Node, Owner, Page, PlayerWrite, ReadError,
        stock::{
            AuditEntry, Deed, Done, Reservation, State, Stock, StockBook, StockError, Stocks, Swept, Tally,
            book::{self, Book as _, Moment, Row},
        },
    },
};
use holdall_protocol::ids::{ReservationId, SkuId};
use redb::ReadableTable as _;
use snapshot::Snapshot;

/// Now, in milliseconds since 1970: the store's clock is the machine's.
fn now() -> u64 {
    Clock::System.now_ms()
}

/// A whole SKU to be put where there is none.
struct Import {
    book: StockBook,
    closed: Vec<Reservation>,
    /// The oldest first.
    audit: Vec<AuditEntry>,
}

impl Tables<'_> {
    fn deed(&mut self, deed: &Deed, tally: &Tally) -> Result<Result<Done, StockError>, redb::Error> {
        Failure::sort(book::run(&mut self.counter()?, deed, Moment { now: now(), tally }))
    }

    /// Sweeps all of these SKUs, also where one of them cannot be swept.
    fn sweep(&mut self, node: &Node, skus: &[SkuId], tally: &Tally) -> Result<Result<Swept, ReadError>, redb::Error> {
        let (moment, mut swept, mut damaged) = (Moment { now: now(), tally }, Swept::default(), None);
        for sku in skus {
            // The file is open in this process alone, so that every token of another boot is dead.
            let stands = (|owner: &Owner| owner.is_of(node), |_: &Owner| true);
            match Failure::sort(book::sweep(&mut self.counter()?, sku, moment, stands))? {
                Ok(of_one) => swept.add(of_one),
                Err(error) => damaged = Some(ReadError::Unreadable(format!("{sku}: {error}"))),
            }
        }
        Ok(damaged.map_or(Ok(swept), Err))
    }

    /// Whether all holds that are paid for are there to be paid for. What cannot be read is not.
    pub(super) fn can_pay(&mut self, write: &PlayerWrite) -> Result<bool, redb::Error> {
        for purchase in &write.purchases {
            let payable = book::is_payable(&self.counter()?, (&write.player, &write.owner), purchase);
            if !Failure::sort(payable)?.unwrap_or(false) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    pub(super) fn pay(&mut self, write: &PlayerWrite) -> Result<(), redb::Error> {
        for purchase in &write.purchases {
            Failure::sort(book::pay(&mut self.counter()?, purchase, now()))?
                // Two purchases of one write that each were payable and are not together: only a damaged stock has them.
                .map_err(|error| redb::Error::Corrupted(format!("a hold that is paid for: {error}")))?;
        }
        Ok(())
    }
}

impl Tables<'_> {
    fn import_stock(&mut self, import: &Import) -> Result<Result<(), ReadError>, redb::Error> {
        let Import { book: StockBook { stock, open, units }, closed, audit } = import;
        let mut counter = self.counter()?;
        if counter.shop.stocks.get(stock.sku.as_str())?.is_some() {
            return Ok(Err(ReadError::Exists));
        }
        let mut put = || {
            counter.set_stock(stock)?;
            for (player, units) in units {
                counter.set_units(&stock.sku, player, *units)?;
            }
            // Whoever was paying is not known here.
            let open = open.iter().map(|hold| Reservation { state: State::Active, ..hold.clone() });
            for reservation in open.chain(closed.iter().cloned()) {
                counter.set_hold(&Row { reservation, claim: None })?;
            }
            audit.iter().try_for_each(|entry| counter.add_audit(entry.clone()))
        };
        let unreadable = |error: StockError| ReadError::Unreadable(error.to_string());
        Ok(Failure::sort(put())?.map_err(unreadable))
    }
}

impl Embedded {
    fn look_at_stocks<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Snapshot) -> Result<T, Failure<ReadError>> + Send + 'static,
    ) -> Answer<Result<T, ReadError>> {
        self.look_through(Snapshot::open, |file| Failure::sort(look(file)))
    }

    fn sweep_these(&self, skus: Vec<SkuId>) -> Answer<Result<Swept, ReadError>> {
        let tally = self.tally.clone();
        self.ask(move |tables, node| tables.sweep(node, &skus, &tally), |error| Err(ReadError::Unavailable(error)))
    }

    /// Looks for something and for SKUs that have to be swept before it is shown; then they are, and it looks again.
    fn look_swept<T: Send + 'static>(
        &self,
        look: impl Fn(&Snapshot, &Node, u64) -> Result<(T, Vec<SkuId>), Failure<ReadError>> + Clone + Send + 'static,
    ) -> Answer<Result<T, ReadError>> {
        let (store, now) = (self.clone(), now());
        let look_now = move || {
            let (look, node) = (look.clone(), store.node.clone());
            store.look_at_stocks(move |file| look(file, &node, now))
        };
        let (store, first) = (self.clone(), look_now());
        Box::pin(async move {
            let (found, due) = first.await?;
            if due.is_empty() {
                return Ok(found);
            }
            store.sweep_these(due).await?;
            Ok(look_now().await?.0)
        })
    }
}

impl Stocks for Embedded {
    fn stock(&self, deed: Deed) -> Answer<Result<Done, StockError>> {
        let tally = self.tally.clone();
        self.ask(move |tables, _| tables.deed(&deed, &tally), |error| Err(StockError::Unavailable(error)))
    }

    fn tally(&self) -> &Tally {
        &self.tally
    }

    fn sweep(&self) -> Answer<Result<Swept, ReadError>> {
        let (store, now) = (self.clone(), now());
        let unswept = self.look_at_stocks(move |file| file.unswept(now));
        Box::pin(async move {
            let skus = unswept.await?;
            if skus.is_empty() { Ok(Swept::default()) } else { store.sweep_these(skus).await }
        })
    }

    fn skus(&self) -> Answer<Result<Vec<SkuId>, ReadError>> {
        self.look_at_stocks(Snapshot::skus)
    }

    fn stocks(&self, skus: Vec<SkuId>) -> Answer<Result<Vec<Option<Stock>>, ReadError>> {
        self.look_swept(move |file, node, now| {
            let (mut found, mut due) = (Vec::with_capacity(skus.len()), Vec::new());
            for sku in &skus {
                found.push(file.stock(sku)?);
                due.extend(file.is_due(node, sku, now)?.then(|| sku.clone()));
            }
            Ok((found, due))
        })
    }

    fn reservation(&self, id: ReservationId) -> Answer<Result<Option<Reservation>, ReadError>> {
        self.look_swept(move |file, node, now| {
            let Some(hold) = file.reservation(id)? else { return Ok((None, Vec::new())) };
            let due = hold.state.is_open() && hold.expires_at <= now && file.is_due(node, &hold.sku, now)?;
            let due = due.then(|| hold.sku.clone());
            Ok((Some(hold), due.into_iter().collect()))
        })
    }

    fn stock_audit(
        &self,
        of: Option<SkuId>,
        mark: Option<String>,
        limit: usize,
    ) -> Answer<Result<Page<AuditEntry>, ReadError>> {
        self.look_at_stocks(move |file| file.audit(of.as_ref(), mark.as_deref(), limit))
    }

    fn stock_book(&self, sku: SkuId) -> Answer<Result<Option<StockBook>, ReadError>> {
        self.look_at_stocks(move |file| file.book(&sku))
    }

    fn import_stock(
        &self,
        book: StockBook,
        closed: Vec<Reservation>,
        audit: Vec<AuditEntry>,
    ) -> Answer<Result<(), ReadError>> {
        let import = Import { book, closed, audit };
        self.ask(move |tables, _| tables.import_stock(&import), |error| Err(ReadError::Unavailable(error)))
    }

    fn holds(&self, mark: Option<String>) -> Answer<Result<Page<Reservation>, ReadError>> {
        self.look_at_stocks(move |file| file.holds(mark.as_deref()))
    }
}
