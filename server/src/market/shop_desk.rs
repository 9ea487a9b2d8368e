//! The desk of the shop: what players want of the store, the claims of those who pay, and the watch over holds.
//!
//! Stocks and holds are in the store and change there. The desk asks on a player's behalf, without a lock; what a hold costs and
//! brings is judged and recorded under the player's lock by whoever asked (`session::shop`). It lets go of claims that nobody will
//! pay for, tells players whose holds have ended, and takes its turn at sweeping, as every process does.

use crate::{
    catalog::Rules,
    roster::{
        Roster,
        cell::Cell,
        holds::{Held, Terms},
    },
    store::{
        Life, ReadError,
        stock::{
            Act, Claim, ClaimId, Deed, DeedKey, Done, Hold, Holder, Known, Purchase, Reservation, Stock, StockError,
            Why,
        },
    },
};
use arc_swap::Guard;
use holdall_protocol::{
    ids::{PlayerId, ReservationId, Revision, Seq, SkuId},
    message::{self, HoldState},
};
use parking_lot::{Mutex, RwLock};
use std::{
    collections::HashSet,
    num::{NonZeroU32, NonZeroU64},
    sync::Arc,
    time::Duration,
};
use tokio::time::{Instant, sleep};

/// Between two looks for holds that have ended.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Between two sweeps.
const SWEEP_EVERY: Duration = Duration::from_secs(1);
/// After a look that got no answer.
const AWAY_PAUSE: Duration = Duration::from_secs(1);
/// How long an attempt to pay waits for an earlier one to be taken back.
const CLAIM_TIME_MAX: Duration = Duration::from_secs(1);
/// How long a deed is said again of which no answer comes.
const LOST_TIME_MAX: Duration = Duration::from_secs(3);
const PAUSE_FIRST: Duration = Duration::from_millis(10);
const PAUSE_LONGEST: Duration = Duration::from_secs(1);

/// The bounds of the shop.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// How long a hold lasts where the client does not say.
    pub hold_time: Duration,
    /// Open holds of one player, at most.
    pub holds_max: u32,
    /// Units in one hold, at most.
    pub units_max: u64,
}

/// A hold that a player wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// The request that asks for it.
    pub seq: Seq,
    /// On what.
    pub sku: SkuId,
    /// Units.
    pub quantity: NonZeroU64,
    /// For how long.
    pub time: Duration,
    /// What it will cost and bring.
    pub terms: Terms,
    /// Units that a player may have of it in all.
    pub limit_per_player: Option<NonZeroU32>,
}

/// The desk.
pub struct ShopDesk {
    roster: Arc<Roster>,
    options: RwLock<Options>,
    /// The rules whose shop the store knows, and in which of its lives: one that lost writes may have lost what was put into it.
    stocked: Mutex<Option<(Arc<Rules>, Life)>>,
    /// Attempts to pay that are under way in this process.
    paying: Mutex<HashSet<ClaimId>>,
}

/// A claimed hold. Unless it is paid for, the claim is taken back when this is dropped.
pub struct Paying {
    desk: Arc<ShopDesk>,
    cell: Arc<Cell>,
    claim: Claim,
    told: message::Hold,
    /// The revision that pays for it.
    paid: Mutex<Option<Revision>>,
}

impl Paying {
    /// How the hold stands, with what it costs and brings.
    #[must_use]
    pub const fn told(&self) -> &message::Hold {
        &self.told
    }

    /// What the record that pays for it says of it.
    #[must_use]
    pub fn paid_for(&self) -> Held {
        let told = message::Hold { state: HoldState::Confirmed, ..self.told.clone() };
        let purchase = Purchase { reservation: self.claim.reservation, sku: told.sku.clone() };
        Held { told, purchase: Some(purchase) }
    }

    /// That record has been made: the claim ends with it, whatever becomes of it.
    pub fn spend(&self, revision: Revision) {
        *self.paid.lock() = Some(revision);
    }
}

impl Drop for Paying {
    fn drop(&mut self) {
        // Without a runtime the process is ending: the next start knows that nobody pays any more.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let (desk, cell, claim, paid) = (self.desk.clone(), self.cell.clone(), self.claim.clone(), *self.paid.lock());
        runtime.spawn(async move {
            match paid {
                Some(revision) => drop(desk.roster.is_durable(&cell, revision).await),
                None => desk.take_back(&claim).await,
            }
            desk.paying.lock().remove(&claim.id);
        });
    }
}

impl ShopDesk {
    /// A desk for the players of a roster.
    #[must_use]
    pub fn new(roster: Arc<Roster>, options: Options) -> Arc<Self> {
        Arc::new(Self { roster, options: RwLock::new(options), stocked: Mutex::default(), paying: Mutex::default() })
    }

    /// The bounds of the shop.
    #[must_use]
    pub fn options(&self) -> Options {
        *self.options.read()
    }

    /// Other bounds, from now on. Holds that are open keep their time.
    pub fn set_options(&self, options: Options) {
        *self.options.write() = options;
    }

    /// These stocks, in the order asked for.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn stocks(&self, skus: Vec<SkuId>) -> Result<Vec<Option<Stock>>, ReadError> {
        self.roster.store().stocks(skus).await
    }

    /// Makes a hold for a loaded player, who is known to have it from then on, whether anybody still waits or not.
    ///
    /// # Errors
    /// [`StockError`].
    pub async fn hold(self: Arc<Self>, cell: Arc<Cell>, wish: Wish) -> Result<message::Hold, StockError> {
        let Wish { seq, sku, quantity, time, terms, limit_per_player } = wish;
        let id = ReservationId::new(self.new_id());
        let holder = Holder::Player(cell.id.clone());
        let (holds_max, units_max, terms) = (self.options().holds_max, limit_per_player, terms.to_bytes());
        let act = Act::Hold(Hold { id, sku, holder, quantity, time, terms, holds_max, units_max });
        let mut hold = self.ask(&cell, act, seq).await?;
        if hold.id != id {
            // It was made before a crash that took its record. Since then it may have ended.
            hold = self.roster.store().reservation(hold.id).await?.ok_or(StockError::NoSuchReservation)?;
            if !hold.state.is_open() {
                return Err(StockError::NotActive(hold.state));
            }
        }
        self.note(&cell, &hold)
    }

    /// Gives a loaded player's hold back, likewise.
    ///
    /// # Errors
    /// [`StockError`].
    pub async fn release(
        self: Arc<Self>,
        cell: Arc<Cell>,
        reservation: ReservationId,
        seq: Seq,
    ) -> Result<message::Hold, StockError> {
        let act = Act::Release { reservation, of: Some(cell.id.clone()) };
        let released = self.ask(&cell, act, seq).await?;
        self.note(&cell, &released)
    }

    /// Asks for what a player's request wants: once, however often it comes. The answer may be one that was given before.
    async fn ask(&self, cell: &Cell, act: Act, seq: Seq) -> Result<Reservation, StockError> {
        let key = Some(DeedKey::Request(cell.id.clone(), seq, act.hash()));
        reservation(self.do_once(Deed { act, key, why: None }).await?)
    }

    /// A loaded player is known to have a hold from now on, or to have it no more.
    fn note(&self, cell: &Cell, hold: &Reservation) -> Result<message::Hold, StockError> {
        let told = told(hold)?;
        if let Some(seat) = cell.lock().seat() {
            self.roster.note_hold(&cell.id, seat, &told);
        }
        Ok(told)
    }

    /// Does a deed that has a key. Where the answer is lost it is said again, so that nobody has a hold and does not know of it.
    async fn do_once(&self, deed: Deed) -> Result<Done, StockError> {
        let (begun, mut pause) = (Instant::now(), PAUSE_FIRST);
        loop {
            match self.roster.store().stock(deed.clone()).await {
                Err(StockError::Unavailable(_)) if begun.elapsed() < LOST_TIME_MAX => sleep(pause).await,
                answered => return answered,
            }
            pause = pause.saturating_mul(2);
        }
    }

    /// Claims a loaded player's hold, so that it can be paid for.
    ///
    /// # Errors
    /// [`StockError`].
    pub async fn claim(self: Arc<Self>, cell: Arc<Cell>, reservation: ReservationId) -> Result<Paying, StockError> {
        let Some(owner) = cell.lock().seat().map(|seat| seat.owner.clone()) else { return Err(StockError::NotOwner) };
        let claim = Claim { reservation, id: ClaimId::new(self.new_id()), player: cell.id.clone(), owner };
        self.paying.lock().insert(claim.id);
        match self.try_claim(&claim).await.and_then(|hold| told(&hold)) {
            Ok(told) => Ok(Paying { desk: self.clone(), cell, claim, told, paid: Mutex::new(None) }),
            Err(error) => {
                // What got no answer may have happened.
                if let StockError::Unavailable(_) | StockError::Unreadable(_) = error {
                    self.take_back(&claim).await;
                }
                self.paying.lock().remove(&claim.id);
                Err(error)
            }
        }
    }

    async fn try_claim(&self, claim: &Claim) -> Result<Reservation, StockError> {
        let (begun, mut pause) = (Instant::now(), PAUSE_FIRST);
        loop {
            let act = Act::Claim(claim.clone());
            match self.roster.store().stock(Deed { act, key: None, why: None }).await {
                // An earlier attempt of this player's, which is being taken back.
                Err(StockError::Claimed) if begun.elapsed() < CLAIM_TIME_MAX => {
                    sleep(pause).await;
                    pause = pause.saturating_mul(2);
                }
                answered => return answered.and_then(reservation),
            }
        }
    }

    /// Takes a claim back, however long that takes.
    async fn take_back(&self, claim: &Claim) {
        let mut pause = PAUSE_FIRST;
        loop {
            let act = Act::Unclaim { reservation: claim.reservation, claim: claim.id };
            match self.roster.store().stock(Deed { act, key: None, why: None }).await {
                Err(StockError::Unavailable(_)) => sleep(pause).await,
                Ok(_) | Err(_) => return,
            }
            pause = pause.saturating_mul(2).min(PAUSE_LONGEST);
        }
    }

    fn new_id(&self) -> uuid::Uuid {
        self.roster.dice.clone().uuid(self.roster.clock.now_ms())
    }

    /// Puts into the store what the shop in force has and the store does not know. What it knows stays as it is.
    ///
    /// # Errors
    /// [`StockError`]: not all of it is there.
    pub async fn stock_up(&self) -> Result<(), StockError> {
        let (rules, life) = (self.roster.rules(), self.roster.journal.life());
        if self.stocked.lock().as_ref().is_some_and(|(known, of)| Arc::ptr_eq(known, &rules) && *of == life) {
            return Ok(());
        }
        let mut all = Ok(());
        for sku in rules.shop.iter() {
            let act = Act::Seed { sku: sku.id.clone(), quantity: sku.stock, known: Known::Leave };
            let why = Some(Why { by: "shop.toml".into(), reason: None });
            match self.roster.store().stock(Deed { act, key: None, why }).await {
                Ok(Done::Stock(stock)) if stock.total != sku.stock => {
                    let (total, configured) = (stock.total, sku.stock);
                    tracing::info!(sku = %sku.id, total, configured, "the stock differs from shop.toml and stays as it is");
                }
                Ok(_) => {}
                Err(error @ StockError::Unavailable(_)) => return Err(error),
                // One that is damaged keeps no other one from being sold.
                Err(error) => all = Err(error),
            }
        }
        if all.is_ok() {
            *self.stocked.lock() = Some((Guard::into_inner(rules), life));
        }
        all
    }

    /// Watches over holds, for ever.
    pub async fn run(self: Arc<Self>) {
        let mut swept = Instant::now();
        loop {
            sleep(LOOK_EVERY).await;
            self.look_at_due_holds().await;
            if swept.elapsed() < SWEEP_EVERY {
                continue;
            }
            swept = Instant::now();
            if let Err(error) = self.stock_up().await {
                tracing::debug!(%error, "what is new in the shop is not for sale yet");
            }
            self.sweep().await;
        }
    }

    async fn look_at_due_holds(&self) {
        let mut away = false;
        for (id, player) in self.roster.holds_due() {
            if !away {
                away = self.look_at(id, &player).await.is_err();
            }
            if away {
                self.look_again(id, &player, AWAY_PAUSE);
            }
        }
    }

    fn look_again(&self, id: ReservationId, player: &PlayerId, after: Duration) {
        let after = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
        self.roster.watch_hold(self.roster.clock.now_ms().saturating_add(after), id, player);
    }

    /// Tells a player whose hold has ended.
    async fn look_at(&self, id: ReservationId, player: &PlayerId) -> Result<(), ReadError> {
        let Some(cell) = self.roster.find(player) else { return Ok(()) };
        let known =
            cell.lock().seat().and_then(|seat| seat.holds().iter().find(|hold| hold.reservation == id).cloned());
        let Some(known) = known else { return Ok(()) };
        let state = match self.roster.store().reservation(id).await {
            Ok(Some(hold)) if hold.state.is_open() => {
                // The store's clock is behind ours, or somebody is paying.
                self.look_again(id, player, LOOK_EVERY);
                return Ok(());
            }
            Ok(Some(hold)) => Terms::state(hold.state),
            Ok(None) => HoldState::Expired,
            // Another look would find the same, and keep all that come after it from being looked at.
            Err(ReadError::Unreadable(why)) => {
                tracing::error!(%player, hold = %id, %why, "a hold cannot be read: its player is not told of its end");
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let mut inner = cell.lock();
        if inner.seat().is_some_and(|seat| seat.holds().contains(&known)) {
            self.roster.tell_hold(&mut inner, message::Hold { state, ..known });
        }
        Ok(())
    }

    async fn sweep(&self) {
        let swept = match self.roster.store().sweep().await {
            Ok(swept) => swept,
            Err(error) => return tracing::debug!(%error, "the holds could not be swept"),
        };
        for claim in swept.claims {
            let is_paying = self.paying.lock().contains(&claim.id) || self.roster.journal.holds(&claim.player);
            if !is_paying {
                self.take_back(&claim).await;
            }
        }
    }
}

/// The hold that an answer is about.
fn reservation(done: Done) -> Result<Reservation, StockError> {
    match done {
        Done::Reservation(hold) => Ok(hold),
        Done::Stock(stock) => Err(StockError::Unreadable(format!("a hold on {} was answered by the stock", stock.sku))),
    }
}

/// A hold as its player is told of it.
fn told(hold: &Reservation) -> Result<message::Hold, StockError> {
    Terms::told(hold).map_err(|why| StockError::Unreadable(format!("the terms of hold {}: {why}", hold.id)))
}
