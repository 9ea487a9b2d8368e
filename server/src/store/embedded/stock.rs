//! Stocks, not yet.

use super::Embedded;
use crate::store::{
    Answer, Page, ReadError,
    stock::{AuditEntry, Deed, Done, Reservation, Stock, StockBook, StockError, Stocks, Swept},
};
use holdall_protocol::ids::{ReservationId, SkuId};

fn away<T: Send + 'static>() -> Answer<Result<T, ReadError>> {
    Box::pin(std::future::ready(Err(ReadError::Unavailable("not yet".to_owned()))))
}

impl Stocks for Embedded {
    fn stock(&self, _: Deed) -> Answer<Result<Done, StockError>> {
        Box::pin(std::future::ready(Err(StockError::Unavailable("not yet".to_owned()))))
    }
    fn sweep(&self) -> Answer<Result<Swept, ReadError>> {
        away()
    }
    fn skus(&self) -> Answer<Result<Vec<SkuId>, ReadError>> {
        away()
    }
    fn stocks(&self, _: Vec<SkuId>) -> Answer<Result<Vec<Option<Stock>>, ReadError>> {
        away()
    }
    fn reservation(&self, _: ReservationId) -> Answer<Result<Option<Reservation>, ReadError>> {
        away()
    }
    fn stock_audit(
        &self,
        _: Option<SkuId>,
        _: Option<String>,
        _: usize,
    ) -> Answer<Result<Page<AuditEntry>, ReadError>> {
        away()
    }
    fn stock_book(&self, _: SkuId) -> Answer<Result<Option<StockBook>, ReadError>> {
        away()
    }
    fn import_stock(&self, _: StockBook, _: Vec<Reservation>, _: Vec<AuditEntry>) -> Answer<Result<(), ReadError>> {
        away()
    }
    fn holds(&self, _: Option<String>) -> Answer<Result<Page<Reservation>, ReadError>> {
        away()
    }
}
