//! Stocks in Redis: every deed is one call of one script, and so is every look that lets go of what has run out.

mod reply;

use super::{
    Inner, Redis, damaged_or_away,
    keys::Keys,
    link::{Failure, Live},
    millis,
    reply::{bytes, list, stream_item, text},
    script::{self, Call},
};
use crate::store::{
    ANSWERS_KEPT, Answer, Batch, Page, ReadError,
    stock::{
        Act, AuditEntry, Claim, Deed, Done, Event, Hold, Known, Reservation, Stock, StockBook, StockError, Stocks,
        Swept, Tally,
    },
};
use holdall_protocol::{
    NUMBER_MAX,
    ids::{PlayerId, ReservationId, SkuId},
};
use redis::{Value, cmd};
pub(super) use reply::open_holds;

/// Stocks, or holds, that are looked at in one call, so that nobody waits long.
const PER_CALL: usize = 128;

/// The purchases of a batch, behind the answers to its orders, as `commit.lua` reads them.
pub(super) fn add_purchases(call: &mut Call, keys: &Keys, batch: &Batch) {
    if batch.players.iter().all(|write| write.purchases.is_empty()) {
        return;
    }
    call.keys.extend([keys.stocks_begin(), keys.reservations_begin(), keys.holds_begin(), keys.stock_audit()]);
    for (writer, write) in (1..).zip(&batch.players) {
        for purchase in &write.purchases {
            call.number(writer).bytes(write.player.as_str()).bytes(write.owner.as_str());
            call.bytes(&purchase.reservation.to_string()).bytes(purchase.sku.as_str());
        }
    }
}

/// What the script needs for an act, behind its verb.
fn add_act(call: &mut Call, act: &Act) {
    match act {
        Act::Seed { sku, quantity, known } => {
            let there = match known {
                Known::Leave => "leave",
                Known::Reset => "reset",
                Known::Force => "force",
            };
            call.bytes(sku.as_str()).number(*quantity).number(NUMBER_MAX).bytes(there);
        }
        Act::Restock { sku, quantity } => {
            call.bytes(sku.as_str()).number(quantity.get()).number(NUMBER_MAX);
        }
        Act::Hold(hold) => add_hold(call, hold),
        Act::Confirm { reservation } => {
            call.bytes(&reservation.to_string());
        }
        Act::Release { reservation, of } => {
            call.bytes(&reservation.to_string()).bytes(of.as_ref().map_or("", PlayerId::as_str));
        }
        Act::Claim(Claim { reservation, id, player, owner }) => {
            call.bytes(&reservation.to_string()).bytes(player.as_str()).bytes(&id.uuid().to_string());
            call.bytes(owner.as_str());
        }
        Act::Unclaim { reservation, claim } => {
            call.bytes(&reservation.to_string()).bytes(&claim.uuid().to_string());
        }
    }
}

fn add_hold(call: &mut Call, hold: &Hold) {
    call.bytes(hold.sku.as_str()).bytes(&hold.id.to_string()).bytes(&hold.holder.to_string());
    call.number(hold.quantity.get()).number(millis(hold.time)).bytes(&hold.terms).number(hold.holds_max.into());
    call.bytes(&hold.units_max.map(|max| max.to_string()).unwrap_or_default());
}

const fn verb_of(act: &Act) -> &'static str {
    match act {
        Act::Seed { .. } => "seed",
        Act::Restock { .. } => "restock",
        Act::Hold(_) => "hold",
        Act::Confirm { .. } => "confirm",
        Act::Release { .. } => "release",
        Act::Claim(_) => "claim",
        Act::Unclaim { .. } => "unclaim",
    }
}

impl Inner {
    /// What every call of `stock.lua` begins with.
    fn stock_call(&self, verb: &'static str) -> Call {
        let keys = &self.keys;
        let mut call = Call::default();
        call.keys.extend([keys.stocks_begin(), keys.reservations_begin(), keys.holds_begin(), keys.players_begin()]);
        call.keys.extend([keys.stock_audit(), keys.skus(), keys.world()]);
        call.bytes(&self.world).bytes(verb);
        call
    }

    /// The same for a look, which keeps nothing.
    fn look_call(&self, verb: &'static str) -> Call {
        let mut call = self.stock_call(verb);
        call.bytes("").bytes("").bytes("");
        call
    }

    /// Calls `stock.lua` until it has let go of all that it must. Each call is a step of its own; the last one does what it was
    /// called for.
    async fn call_stock(&self, call: &Call) -> Result<reply::Said, Failure> {
        let live = self.looks.live().await?;
        loop {
            let (answer, happened) = reply::counted(call.run(&self.looks, &live, &script::STOCK).await?)?;
            for (event, times) in happened {
                self.tally.add(event, times);
            }
            match reply::said(answer)? {
                reply::Said::More => {}
                said => return Ok(said),
            }
        }
    }

    async fn deed(&self, deed: &Deed) -> Result<Done, StockError> {
        let mut call = self.stock_call(verb_of(&deed.act));
        if let Some(key) = &deed.key {
            call.keys.push(self.keys.answer(key));
        }
        call.bytes(&format!("{:016x}", deed.hash())).number(millis(ANSWERS_KEPT));
        call.bytes(&deed.why_told().unwrap_or_default());
        add_act(&mut call, &deed.act);
        let away = |failure: Failure| StockError::Unavailable(failure.to_string());
        match self.call_stock(&call).await.map_err(away)? {
            reply::Said::Ok(told) => reply::done(told).map_err(away)?.map_err(StockError::Unreadable),
            reply::Said::No(code, about) => Err(reply::refusal(&code, &about, &deed.act).map_err(away)?),
            other => Err(reply::read_error(other).into()),
        }
    }

    /// What a look answers.
    async fn told(&self, call: &Call) -> Result<Value, ReadError> {
        match self.call_stock(call).await? {
            reply::Said::Ok(told) => Ok(told),
            other => Err(reply::read_error(other)),
        }
    }

    async fn skus(&self) -> Result<Vec<SkuId>, ReadError> {
        let found = self.look(cmd("SMEMBERS").arg(self.keys.skus())).await.map_err(damaged_or_away)?;
        let mut skus = Vec::new();
        for sku in list(found)? {
            let sku = text(sku)?;
            skus.push(SkuId::new(&sku).map_err(|_| ReadError::Unreadable(format!("{sku:?} is no SKU")))?);
        }
        skus.sort();
        Ok(skus)
    }

    async fn stocks(&self, skus: &[SkuId]) -> Result<Vec<Option<Stock>>, ReadError> {
        let mut stocks = Vec::with_capacity(skus.len());
        for some in skus.chunks(PER_CALL) {
            let mut call = self.look_call("stocks");
            for sku in some {
                call.bytes(sku.as_str());
            }
            for told in list(self.told(&call).await?)? {
                let stock = reply::fields(told)?.map(|fields| reply::stock(&fields)).transpose();
                stocks.push(stock.map_err(ReadError::Unreadable)?);
            }
        }
        Ok(stocks)
    }

    async fn reservation(&self, id: ReservationId) -> Result<Option<Reservation>, ReadError> {
        let mut call = self.look_call("reservation");
        call.bytes(&id.to_string());
        reservation(self.told(&call).await?)
    }

    async fn stock_book(&self, sku: &SkuId) -> Result<Option<StockBook>, ReadError> {
        let mut call = self.look_call("book");
        call.bytes(sku.as_str());
        let mut parts = list(self.told(&call).await?)?.into_iter();
        let (Some(stock), Some(open), Some(units)) = (parts.next(), parts.next(), parts.next()) else {
            return Ok(None);
        };
        let Some(stock) = reply::fields(stock)? else { return Ok(None) };
        let stock = reply::stock(&stock).map_err(ReadError::Unreadable)?;
        let open: Result<Vec<_>, _> = list(open)?.into_iter().map(reservation).collect();
        let mut open: Vec<Reservation> = open?.into_iter().flatten().collect();
        open.sort_by_key(|hold| hold.id);
        let units = reply::units(units)?.map_err(ReadError::Unreadable)?;
        Ok(Some(StockBook { stock, open, units }))
    }

    async fn holds(&self, mark: Option<String>) -> Result<Page<Reservation>, ReadError> {
        let (keys, next) = self.scan(&format!("{}*", self.keys.reservations_begin()), mark).await?;
        let ids: Vec<ReservationId> = keys.iter().filter_map(|key| self.keys.reservation_of(key)).collect();
        let mut items = Vec::with_capacity(ids.len());
        for some in ids.chunks(PER_CALL) {
            let mut call = self.look_call("holds");
            for id in some {
                call.bytes(&id.to_string());
            }
            for told in list(self.told(&call).await?)? {
                items.extend(reservation(told)?);
            }
        }
        Ok(Page { items, next })
    }

    async fn stock_audit(
        &self,
        of: Option<SkuId>,
        mark: Option<String>,
        limit: usize,
    ) -> Result<Page<AuditEntry>, ReadError> {
        let stream = of.map_or_else(|| self.keys.stock_audit(), |sku| self.keys.stock(&sku, ":audit"));
        let from = mark.map_or_else(|| "+".to_owned(), |mark| format!("({mark}"));
        // One more than asked for tells whether there are more.
        let command = cmd("XREVRANGE").arg(stream).arg(from).arg("-").arg("COUNT").arg(limit.saturating_add(1)).clone();
        let mut found = list(self.look(&command).await.map_err(damaged_or_away)?)?;
        let more = found.len() > limit;
        found.truncate(limit);
        let (mut items, mut last) = (Vec::with_capacity(found.len()), None);
        for item in found {
            let (id, fields) = stream_item(item)?;
            items.push(reply::audit_entry(&fields).map_err(ReadError::Unreadable)?);
            last = Some(id);
        }
        Ok(Page { items, next: last.filter(|_| more) })
    }

    /// One SKU after the other. One that is damaged keeps no other one from being swept.
    async fn sweep(&self) -> Result<Swept, ReadError> {
        let mut swept = Swept::default();
        for sku in self.skus().await? {
            match self.sweep_one(&sku, &mut swept).await {
                Err(ReadError::Unreadable(why)) => tracing::warn!(%sku, why, "a stock cannot be swept"),
                done => done?,
            }
        }
        Ok(swept)
    }

    async fn sweep_one(&self, sku: &SkuId, swept: &mut Swept) -> Result<(), ReadError> {
        let live = self.looks.live().await?;
        let mut mark = "0".to_owned();
        loop {
            let claims =
                cmd("ZSCAN").arg(self.keys.stock(sku, ":claims")).arg(&mark).arg("COUNT").arg(PER_CALL).clone();
            let mut parts = list(self.looks.call(&live, &claims).await.map_err(damaged_or_away)?)?.into_iter();
            mark = text(parts.next().unwrap_or(Value::Nil))?;
            // Each with its score.
            let claimed = list(parts.next().unwrap_or(Value::Nil))?.into_iter().step_by(2);
            let claimed: Vec<String> = claimed.map(text).collect::<Result<_, _>>()?;
            let more = self.sweep_some(&live, sku, &claimed, swept).await?;
            if mark == "0" && !more {
                return Ok(());
            }
        }
    }

    /// Whether more may have run out.
    async fn sweep_some(
        &self,
        live: &Live,
        sku: &SkuId,
        claimed: &[String],
        swept: &mut Swept,
    ) -> Result<bool, ReadError> {
        let (keys, boot, run) = (&self.keys, format!("{:016x}", self.node.boot), self.shared.run(live.life));
        let mut call = Call::default();
        call.keys.extend([keys.stocks_begin(), keys.reservations_begin(), keys.holds_begin(), keys.players_begin()]);
        call.keys.extend([keys.node(""), keys.stock_audit(), keys.world()]);
        call.bytes(&self.world).bytes(&self.node.id).bytes(&boot).number(millis(self.lease)).bytes(&run);
        call.bytes(sku.as_str());
        for id in claimed {
            call.bytes(id);
        }
        let answered = list(call.run(&self.looks, live, &script::SWEEP).await?)?;
        let mut parts = answered.into_iter();
        let mut part = || parts.next().unwrap_or(Value::Nil);
        let verdict = text(part())?;
        if verdict != "ok" {
            return Err(reply::read_error(reply::not_ok(&verdict, part())?));
        }
        let expired = reply::count(part())?;
        self.tally.add(Event::Expired, expired);
        swept.expired = swept.expired.saturating_add(expired);
        swept.undone = swept.undone.saturating_add(reply::count(part())?);
        let more = bytes(part())? == "1";
        for claim in list(part())? {
            let claim = reply::claim(claim)?.map_err(ReadError::Unreadable)?;
            // A scan may name one twice.
            if !swept.claims.contains(&claim) {
                swept.claims.push(claim);
            }
        }
        Ok(more)
    }

    async fn import_stock(
        &self,
        book: &StockBook,
        closed: &[Reservation],
        audit: &[AuditEntry],
    ) -> Result<(), ReadError> {
        let (keys, sku) = (&self.keys, &book.stock.sku);
        let mut call = Call::default();
        call.keys.extend(["", ":active", ":holders", ":audit"].map(|behind| keys.stock(sku, behind)));
        call.keys.extend([keys.stock_audit(), keys.skus()]);
        call.bytes(sku.as_str());
        reply::add_stock(&mut call, &book.stock);
        call.number(u64::try_from(book.units.len().saturating_mul(2)).unwrap_or(u64::MAX));
        for (player, units) in &book.units {
            call.bytes(player.as_str()).number(*units);
        }
        for hold in book.open.iter().chain(closed) {
            call.keys.push(format!("{}{}", keys.reservations_begin(), hold.id));
            call.keys.push(format!("{}{}", keys.holds_begin(), hold.holder));
            reply::add_hold(&mut call, hold);
        }
        for entry in audit {
            reply::add_entry(&mut call, entry);
        }
        let live = self.looks.live().await?;
        let mut parts = list(call.run(&self.looks, &live, &script::IMPORT_STOCK).await?)?.into_iter();
        let mut part = || parts.next().unwrap_or(Value::Nil);
        match text(part())?.as_str() {
            "ok" => Ok(()),
            "exists" => Err(ReadError::Exists),
            verdict => Err(reply::read_error(reply::not_ok(verdict, part())?)),
        }
    }
}

/// A hold as a look tells it, if it is there.
fn reservation(told: Value) -> Result<Option<Reservation>, ReadError> {
    let fields = reply::fields(told)?;
    fields.map(|fields| reply::reservation(&fields)).transpose().map_err(ReadError::Unreadable)
}

impl Stocks for Redis {
    fn stock(&self, deed: Deed) -> Answer<Result<Done, StockError>> {
        self.verb(|redis| async move { redis.deed(&deed).await })
    }

    fn sweep(&self) -> Answer<Result<Swept, ReadError>> {
        self.verb(|redis| async move { redis.sweep().await })
    }

    fn tally(&self) -> &Tally {
        &self.0.tally
    }

    fn skus(&self) -> Answer<Result<Vec<SkuId>, ReadError>> {
        self.verb(|redis| async move { redis.skus().await })
    }

    fn stocks(&self, skus: Vec<SkuId>) -> Answer<Result<Vec<Option<Stock>>, ReadError>> {
        self.verb(|redis| async move { redis.stocks(&skus).await })
    }

    fn reservation(&self, id: ReservationId) -> Answer<Result<Option<Reservation>, ReadError>> {
        self.verb(move |redis| async move { redis.reservation(id).await })
    }

    fn stock_audit(
        &self,
        of: Option<SkuId>,
        mark: Option<String>,
        limit: usize,
    ) -> Answer<Result<Page<AuditEntry>, ReadError>> {
        self.verb(move |redis| async move { redis.stock_audit(of, mark, limit).await })
    }

    fn stock_book(&self, sku: SkuId) -> Answer<Result<Option<StockBook>, ReadError>> {
        self.verb(|redis| async move { redis.stock_book(&sku).await })
    }

    fn import_stock(
        &self,
        book: StockBook,
        closed: Vec<Reservation>,
        audit: Vec<AuditEntry>,
    ) -> Answer<Result<(), ReadError>> {
        self.verb(|redis| async move { redis.import_stock(&book, &closed, &audit).await })
    }

    fn holds(&self, mark: Option<String>) -> Answer<Result<Page<Reservation>, ReadError>> {
        self.verb(|redis| async move { redis.holds(mark).await })
    }
}
