//! The routes of what is for sale in limited numbers: for carts that are not players (a web shop, a launcher) in camel case
//! under `/api`, and for operators under `/v1`.

use super::{
    Operator,
    answers::Failure,
    asking::Asking,
    extract::{Body, Path, Query},
};
use crate::{
    clock::iso,
    roster::orders::REASON_CHARS_MAX,
    store::stock::{Act, AuditEntry, Deed, DeedKey, Done, Hold, Holder, Known, Reservation, Stock, StockError, Why},
};
use axum::{Json, extract::State, http::StatusCode};
use holdall_protocol::{
    NUMBER_MAX,
    action::Quantity,
    ids::{CartId, OrderKey, ReservationId, SkuId},
};
use serde::{Deserialize, Serialize};
use std::{num::NonZeroU64, ops::RangeInclusive, time::Duration};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

/// For how many seconds a cart can hold something.
const HOLD_SECONDS: RangeInclusive<u64> = 1..=3_600;
/// Open holds of one cart.
const HOLDS_MAX: u32 = 100;
/// Entries of an audit that are told where nobody says how many, and at most.
const AUDIT_ENTRIES: u16 = 100;
const AUDIT_ENTRIES_MAX: u16 = 1_000;

/// Every route.
pub(super) fn routes() -> OpenApiRouter<Operator> {
    OpenApiRouter::new()
        .routes(routes!(seed))
        .routes(routes!(inventory))
        .routes(routes!(hold))
        .routes(routes!(reservation))
        .routes(routes!(confirm))
        .routes(routes!(release))
        .routes(routes!(audit))
        .routes(routes!(list))
        .routes(routes!(restock))
        .routes(routes!(audit_of))
}

/// A SKU's units.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Inventory {
    sku: SkuId,
    /// Free to be held.
    available: u64,
    /// In holds that are open.
    reserved: u64,
    /// Gone for good.
    confirmed: u64,
    /// All of them.
    total: u64,
    /// How many holds are open.
    active_reservations: u64,
    /// When it changed last, in UTC with milliseconds.
    updated_at: String,
}

impl From<Stock> for Inventory {
    fn from(stock: Stock) -> Self {
        let Stock { sku, total, available, reserved, confirmed, holds, updated_at } = stock;
        let updated_at = iso(updated_at);
        Self { sku, available, reserved, confirmed, total, active_reservations: holds, updated_at }
    }
}

/// A hold. Times are in UTC with milliseconds.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Reservation)]
struct Held {
    reservation_id: ReservationId,
    /// The cart; a player's hold has `player:` and the player's id.
    cart_id: String,
    sku: SkuId,
    quantity: u64,
    /// `active`, `confirmed`, `released` or `expired`.
    state: &'static str,
    expires_at: String,
    created_at: String,
    updated_at: String,
}

impl From<Reservation> for Held {
    fn from(reservation: Reservation) -> Self {
        let Reservation { id, sku, holder, quantity, state, expires_at, created_at, updated_at, terms: _ } =
            reservation;
        Self {
            reservation_id: id,
            cart_id: cart(&holder),
            sku,
            quantity: quantity.get(),
            state: state.told(),
            expires_at: iso(expires_at),
            created_at: iso(created_at),
            updated_at: iso(updated_at),
        }
    }
}

/// No cart's id has a colon in it.
fn cart(holder: &Holder) -> String {
    match holder {
        Holder::Cart(cart) => cart.to_string(),
        Holder::Player(_) => holder.to_string(),
    }
}

/// One change of a stock.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Audited {
    /// `seed`, `restock`, `hold`, `confirm`, `release` or `expired`.
    event: &'static str,
    sku: SkuId,
    reservation_id: Option<ReservationId>,
    cart_id: Option<String>,
    quantity: u64,
    /// The hold's state afterwards: `active`, `confirmed`, `released` or `expired`.
    state: Option<&'static str>,
    /// Whose API key it was, under which idempotency key, and why: `olga (r-1): second delivery`.
    reason: Option<String>,
    /// When, in UTC with milliseconds.
    at: String,
}

impl From<AuditEntry> for Audited {
    fn from(entry: AuditEntry) -> Self {
        let AuditEntry { event, sku, reservation, holder, quantity, state, why, at } = entry;
        Self {
            event: event.as_str(),
            sku,
            reservation_id: reservation,
            cart_id: holder.as_ref().map(cart),
            quantity,
            state: state.map(|state| state.told()),
            reason: why.map(|why| why.as_ref().to_owned()),
            at: iso(at),
        }
    }
}

/// Changes of stocks, the newest first.
#[derive(Debug, Serialize, ToSchema)]
struct Audit {
    entries: Vec<Audited>,
}

impl From<StockError> for Failure {
    fn from(error: StockError) -> Self {
        let (status, code) = match error {
            StockError::NoSuchSku | StockError::NoSuchReservation => (StatusCode::NOT_FOUND, "not_found"),
            StockError::Insufficient { .. } => {
                return Self::new(StatusCode::CONFLICT, "insufficient_stock", "Insufficient inventory");
            }
            StockError::NotActive(_) | StockError::Claimed => {
                return Self::new(StatusCode::CONFLICT, "reservation_not_active", "Reservation is not active");
            }
            StockError::Players => (StatusCode::CONFLICT, "players_reservation"),
            StockError::TooManyHolds { .. } | StockError::TooManyUnits { .. } => {
                (StatusCode::CONFLICT, "limit_exceeded")
            }
            StockError::HoldsOpen { .. } => (StatusCode::CONFLICT, "holds_open"),
            StockError::TooLarge => (StatusCode::BAD_REQUEST, "invalid_quantity"),
            StockError::KeyTaken => (StatusCode::CONFLICT, "key_taken"),
            StockError::NotOwner | StockError::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "store_unavailable"),
            StockError::Unreadable(_) => (StatusCode::UNPROCESSABLE_ENTITY, "unreadable"),
        };
        Self::new(status, code, error.to_string())
    }
}

/// A deed under the key that is said, if one is, and why.
fn deed(asking: &Asking, key: Option<OrderKey>, reason: Option<String>, act: Act) -> Result<Deed, Failure> {
    let reason = reason.filter(|reason| !reason.trim().is_empty());
    if reason.as_ref().is_some_and(|reason| reason.chars().count() > REASON_CHARS_MAX) {
        return Err(Failure::bad_request(format!("a reason has at most {REASON_CHARS_MAX} characters")));
    }
    let why = Why { by: asking.by.name.clone(), reason: reason.map(Into::into) };
    Ok(Deed { act, key: asking.key(key)?.map(DeedKey::Order), why: Some(why) })
}

/// Does a deed. Its key may be an order's that this process has begun and the store does not know yet.
async fn done(asking: &Asking, deed: Deed) -> Result<Done, StockError> {
    let roster = &asking.operator.roster;
    let Some(DeedKey::Order(key)) = deed.key.clone() else { return roster.store().stock(deed).await };
    if !roster.order_keys.take(&key, deed.hash()) {
        return Err(StockError::KeyTaken);
    }
    let done = roster.store().stock(deed).await;
    if done.is_err() {
        roster.order_keys.give_back(&key);
    }
    done
}

fn told_stock(done: Done) -> Result<Json<Inventory>, Failure> {
    match done {
        Done::Stock(stock) => Ok(Json(stock.into())),
        Done::Reservation(_) => Err(other_answer()),
    }
}

fn told_hold(done: Done) -> Result<Json<Held>, Failure> {
    match done {
        Done::Reservation(reservation) => Ok(Json(reservation.into())),
        Done::Stock(_) => Err(other_answer()),
    }
}

/// What is kept under the key is no answer to this.
fn other_answer() -> Failure {
    StockError::KeyTaken.into()
}

/// So many units of a SKU.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Seed {
    sku: SkuId,
    quantity: Quantity,
    /// Whether holds that are open are released. Otherwise a SKU with open holds is left alone, and this is refused.
    #[serde(default)]
    force: bool,
    /// Why; it is kept in the audit.
    reason: Option<String>,
}

/// Begins a SKU anew, with so many units, all available.
#[utoipa::path(post, path = "/api/inventory/seed", tag = "shop", request_body = Seed,
    params(("Idempotency-Key" = Option<OrderKey>, Header)),
    responses((status = 200, body = Inventory), (status = 409), (status = 422)))]
async fn seed(asking: Asking, Body(body): Body<Seed>) -> Result<Json<Inventory>, Failure> {
    let Seed { sku, quantity, force, reason } = body;
    let known = if force { Known::Force } else { Known::Reset };
    let deed = deed(&asking, None, reason, Act::Seed { sku, quantity: units(quantity)?.get(), known })?;
    told_stock(done(&asking, deed).await?)
}

/// A SKU's units.
#[utoipa::path(get, path = "/api/inventory/{sku}", tag = "shop", params(("sku" = SkuId, Path)),
    responses((status = 200, body = Inventory), (status = 404), (status = 422)))]
async fn inventory(State(operator): State<Operator>, Path(sku): Path<SkuId>) -> Result<Json<Inventory>, Failure> {
    let found = operator.roster.store().stocks(vec![sku]).await?.pop().flatten();
    found.map(|stock| Json(stock.into())).ok_or_else(|| StockError::NoSuchSku.into())
}

/// What a cart wants to hold.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Wish {
    cart_id: CartId,
    sku: SkuId,
    quantity: Quantity,
    /// For how long: 1 to 3600.
    #[schema(value_type = u64, minimum = 1, maximum = 3600)]
    ttl_seconds: Quantity,
}

/// Reserves units for a cart, for a while.
#[utoipa::path(post, path = "/api/reservations/hold", tag = "shop", request_body = Wish,
    params(("Idempotency-Key" = Option<OrderKey>, Header)),
    responses((status = 200, body = Held), (status = 409), (status = 422)))]
async fn hold(asking: Asking, Body(body): Body<Wish>) -> Result<Json<Held>, Failure> {
    let Wish { cart_id, sku, quantity, ttl_seconds } = body;
    let seconds = ttl_seconds.get().map(NonZeroU64::get).filter(|seconds| HOLD_SECONDS.contains(seconds));
    let seconds = seconds.ok_or_else(|| {
        let (least, most) = (HOLD_SECONDS.start(), HOLD_SECONDS.end());
        Failure::bad_request(format!("ttlSeconds must be a whole number from {least} to {most}"))
    })?;
    let roster = &asking.operator.roster;
    let hold = Hold {
        id: ReservationId::new(roster.dice.clone().uuid(roster.clock.now_ms())),
        sku,
        holder: Holder::Cart(cart_id),
        quantity: units(quantity)?,
        time: Duration::from_secs(seconds),
        terms: bytes::Bytes::new(),
        holds_max: HOLDS_MAX,
        units_max: None,
    };
    let done = done(&asking, deed(&asking, None, None, Act::Hold(hold))?).await;
    told_hold(done.map_err(|error| match error {
        // To whoever wants to hold something, what nobody seeded is sold out.
        StockError::NoSuchSku => StockError::Insufficient { available: 0 },
        error => error,
    })?)
}

fn units(quantity: Quantity) -> Result<NonZeroU64, Failure> {
    let message = format!("quantity must be a whole number from 1 to {NUMBER_MAX}");
    let units = quantity.get().filter(|units| units.get() <= NUMBER_MAX);
    units.ok_or_else(|| Failure::new(StatusCode::BAD_REQUEST, "invalid_quantity", message))
}

/// A text that is no id is the id of nothing.
fn reservation_id(text: &str) -> Result<ReservationId, Failure> {
    Uuid::try_parse(text).map(ReservationId::new).map_err(|_| StockError::NoSuchReservation.into())
}

/// A hold.
#[utoipa::path(get, path = "/api/reservations/{id}", tag = "shop", params(("id" = ReservationId, Path)),
    responses((status = 200, body = Held), (status = 404), (status = 422)))]
async fn reservation(State(operator): State<Operator>, Path(id): Path<String>) -> Result<Json<Held>, Failure> {
    let found = operator.roster.store().reservation(reservation_id(&id)?).await?;
    found.map(|reservation| Json(reservation.into())).ok_or_else(|| StockError::NoSuchReservation.into())
}

/// Makes a cart's hold final: its units are gone. A player's is confirmed in the game.
#[utoipa::path(post, path = "/api/reservations/{id}/confirm", tag = "shop",
    params(("id" = ReservationId, Path), ("Idempotency-Key" = Option<OrderKey>, Header)),
    responses((status = 200, body = Held), (status = 404), (status = 409), (status = 422)))]
async fn confirm(asking: Asking, Path(id): Path<String>) -> Result<Json<Held>, Failure> {
    let deed = deed(&asking, None, None, Act::Confirm { reservation: reservation_id(&id)? })?;
    told_hold(done(&asking, deed).await?)
}

/// Gives a hold's units back.
#[utoipa::path(post, path = "/api/reservations/{id}/release", tag = "shop",
    params(("id" = ReservationId, Path), ("Idempotency-Key" = Option<OrderKey>, Header)),
    responses((status = 200, body = Held), (status = 404), (status = 409), (status = 422)))]
async fn release(asking: Asking, Path(id): Path<String>) -> Result<Json<Held>, Failure> {
    let deed = deed(&asking, None, None, Act::Release { reservation: reservation_id(&id)?, of: None })?;
    told_hold(done(&asking, deed).await?)
}

/// How much of an audit.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Limit {
    /// At most so many entries: 1 to 1000.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u16>,
}

/// How much of an audit, and of what.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Which {
    /// Of this SKU; of all without one.
    sku: Option<SkuId>,
    /// At most so many entries: 1 to 1000.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u16>,
}

async fn entries(operator: &Operator, sku: Option<SkuId>, limit: Option<u16>) -> Result<Json<Audit>, Failure> {
    let limit = limit.unwrap_or(AUDIT_ENTRIES);
    if !(1..=AUDIT_ENTRIES_MAX).contains(&limit) {
        return Err(Failure::bad_request(format!("limit must be a whole number from 1 to {AUDIT_ENTRIES_MAX}")));
    }
    let page = operator.roster.store().stock_audit(sku, None, limit.into()).await?;
    Ok(Json(Audit { entries: page.items.into_iter().map(Audited::from).collect() }))
}

/// What happened to one SKU, or to all, the newest first.
#[utoipa::path(get, path = "/api/audit", tag = "shop", params(Which), responses((status = 200, body = Audit), (status = 422)))]
async fn audit(
    State(operator): State<Operator>,
    Query(Which { sku, limit }): Query<Which>,
) -> Result<Json<Audit>, Failure> {
    entries(&operator, sku, limit).await
}

/// Every SKU.
#[derive(Debug, Serialize, ToSchema)]
struct Shop {
    /// In order.
    skus: Vec<Inventory>,
}

/// Every SKU, with its units.
#[utoipa::path(get, path = "/v1/shop", tag = "shop", responses((status = 200, body = Shop), (status = 422)))]
async fn list(State(operator): State<Operator>) -> Result<Json<Shop>, Failure> {
    let store = operator.roster.store();
    let stocks = store.stocks(store.skus().await?).await?;
    Ok(Json(Shop { skus: stocks.into_iter().flatten().map(Inventory::from).collect() }))
}

/// Units to be added.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Restock {
    quantity: Quantity,
    /// Why; it is kept in the audit.
    #[schema(min_length = 1, max_length = 500)]
    reason: String,
    /// The idempotency key, where no header names it.
    key: Option<OrderKey>,
}

/// Adds available units to a SKU.
#[utoipa::path(post, path = "/v1/shop/{sku}/restock", tag = "shop", request_body = Restock,
    params(("sku" = SkuId, Path), ("Idempotency-Key" = Option<OrderKey>, Header)),
    responses((status = 200, body = Inventory), (status = 404), (status = 409), (status = 422)))]
async fn restock(
    asking: Asking,
    Path(sku): Path<SkuId>,
    Body(Restock { quantity, reason, key }): Body<Restock>,
) -> Result<Json<Inventory>, Failure> {
    if reason.trim().is_empty() {
        return Err(Failure::bad_request("a reason is needed"));
    }
    let key = asking.needed_key(key)?;
    let deed = deed(&asking, Some(key), Some(reason), Act::Restock { sku, quantity: units(quantity)? })?;
    told_stock(done(&asking, deed).await?)
}

/// What happened to one SKU, the newest first.
#[utoipa::path(get, path = "/v1/shop/{sku}/audit", tag = "shop", params(("sku" = SkuId, Path), Limit),
    responses((status = 200, body = Audit), (status = 422)))]
async fn audit_of(
    State(operator): State<Operator>,
    Path(sku): Path<SkuId>,
    Query(Limit { limit }): Query<Limit>,
) -> Result<Json<Audit>, Failure> {
    entries(&operator, Some(sku), limit).await
}
