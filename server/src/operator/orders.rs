//! The routes that change a player: each is an operator's order, done once under its key, wherever the player is.

use super::{
    Operator,
    answers::Failure,
    asking::Asking,
    extract::{Body, Path},
};
use crate::{
    clock::from_iso,
    engine::refusal::Refusal,
    roster::orders::{
        Act, Order,
        report::{Carried, Restored},
    },
    upkeep::restore::{self, Asked, Signed, To, Wish},
};
use axum::{
    Json,
    extract::{FromRef, FromRequestParts},
    http::{header::CONTENT_TYPE, request::Parts},
    response::{IntoResponse, Response},
};
use holdall_protocol::{
    NUMBER_MAX,
    action::{Quantity, Target},
    attribute::Attributes,
    ids::{AttributeKey, InstanceId, ItemId, OrderKey, PlayerId},
};
use serde::{Deserialize, Serialize};
use std::num::{NonZeroU32, NonZeroU64};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// Every route.
pub(super) fn routes() -> OpenApiRouter<Operator> {
    OpenApiRouter::new()
        .routes(routes!(grant))
        .routes(routes!(revoke))
        .routes(routes!(attributes))
        .routes(routes!(wallet))
        .routes(routes!(gift))
        .routes(routes!(kick))
        .routes(routes!(set_back))
}

/// Declares the body of an order: its own fields, the reason and the key.
macro_rules! orders {
    ($($(#[$doc:meta])* $name:ident { $($(#[$about:meta])* $field:ident: $kind:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Deserialize, ToSchema)]
        #[serde(deny_unknown_fields)]
        struct $name {
            $($(#[$about])* $field: $kind,)*
            /// Why; it is kept in the ledger.
            #[schema(min_length = 1, max_length = 500)]
            reason: String,
            /// The idempotency key, where no header names it.
            key: Option<OrderKey>,
        }
    )*};
}

orders! {
    /// Items, or money, out of nothing.
    Grant {
        /// The item, or the currency.
        item: ItemId,
        /// How many.
        quantity: Quantity,
        /// Instead of the catalogue's attributes of a new one.
        #[serde(default)]
        attributes: Option<Attributes>,
        /// Whether to give what fits and to tell the rest as `overflow`. Otherwise it is all or nothing.
        #[serde(default)]
        partial: bool,
    }
    /// Items to be taken away: of one stack, wherever it is, or of an item's stacks in the bag, from the highest slot down.
    Revoke {
        /// The item; or `instance`.
        item: Option<ItemId>,
        /// One stack; or `item`.
        instance: Option<InstanceId>,
        /// How many.
        quantity: Quantity,
    }
    /// Attributes of one stack, or of every stack of an item.
    Edit {
        /// The item; or `instance`.
        item: Option<ItemId>,
        /// One stack; or `item`.
        instance: Option<InstanceId>,
        /// What to set, such as `{"durability": {"float": 1.0}}`.
        #[serde(default)]
        set: Attributes,
        /// What to remove.
        #[serde(default)]
        remove: Vec<AttributeKey>,
    }
    /// Money to be paid in or taken out.
    Wallet {
        /// Which.
        currency: ItemId,
        /// How much to pay in; or `debit`.
        credit: Option<Quantity>,
        /// How much to take out; or `credit`.
        debit: Option<Quantity>,
    }
    /// Things of this player's that another one gets.
    Gift {
        /// Who gets them.
        to: PlayerId,
        /// What, each stack named once.
        items: Vec<GiftLine>,
    }
    /// The end of a session.
    Kick {
        /// Until when the player may not come back, in UTC, such as `2026-02-03T04:05:06Z`. A time that is over lets them in
        /// again; without one, nothing changes about it.
        until: Option<String>,
    }
}

/// Units of one bag stack.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct GiftLine {
    /// The stack.
    instance: InstanceId,
    /// How many of it.
    quantity: Quantity,
}

/// To when a player is to be set back.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Restore {
    /// To a revision, `{"revision": 41}`, or a time in milliseconds since 1970, `{"at": 1791000000000}`.
    pub to: To,
    /// Whether also what passed between the player and others is undone, on this player's side alone.
    #[serde(default)]
    pub allow_duplicates: bool,
    /// Whether only to say what would change. Then no reason and no key are needed.
    #[serde(default)]
    pub dry_run: bool,
    /// Why; it is kept in the ledger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The idempotency key, where no header names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<OrderKey>,
}

/// Whom an order is about, and who gives it: all that comes before its body.
struct Given {
    player: PlayerId,
    asking: Asking,
}

impl Given {
    async fn order(self, reason: String, key: Option<OrderKey>, act: Act) -> Result<Response, Failure> {
        let Self { player, asking } = self;
        let key = asking.needed_key(key)?;
        let order = Order { key, player, by: asking.by.name, why: reason.into(), act };
        let answer = asking.operator.roster.order(&order).await?;
        Ok(([(CONTENT_TYPE, "application/json")], answer).into_response())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Given
where
    Operator: FromRef<S>,
{
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let Path(player) = Path::from_request_parts(parts, state).await?;
        Ok(Self { player, asking: Asking::from_request_parts(parts, state).await? })
    }
}

/// A quantity of units or money.
fn many(quantity: Quantity) -> Result<NonZeroU64, Failure> {
    quantity.get().filter(|number| number.get() <= NUMBER_MAX).ok_or(Refusal::InvalidQuantity).map_err(Failure::from)
}

/// A quantity that a stack can have.
fn few(quantity: Quantity) -> Result<NonZeroU32, Failure> {
    many(quantity)?.try_into().map_err(|_| Refusal::InvalidQuantity.into())
}

fn target(item: Option<ItemId>, instance: Option<InstanceId>) -> Result<Target, Failure> {
    match (item, instance) {
        (Some(item), None) => Ok(Target::Item(item)),
        (None, Some(instance)) => Ok(Target::Instance(instance)),
        _ => Err(Failure::bad_request("name either an item or an instance")),
    }
}

/// Makes items, or money, for a player out of nothing.
#[utoipa::path(post, path = "/v1/players/{player}/grant", tag = "orders",
    params(("player" = PlayerId, Path), ("Idempotency-Key" = Option<OrderKey>, Header)), request_body = Grant,
    responses((status = 200, body = Carried), (status = 404), (status = 409), (status = 422), (status = 500)))]
async fn grant(given: Given, Body(body): Body<Grant>) -> Result<Response, Failure> {
    let Grant { item, quantity, attributes, partial, reason, key } = body;
    given.order(reason, key, Act::Grant { item, quantity: many(quantity)?, attributes, partial }).await
}

/// Takes items of a player's away, frozen ones too, never in part.
#[utoipa::path(post, path = "/v1/players/{player}/revoke", tag = "orders",
    params(("player" = PlayerId, Path), ("Idempotency-Key" = Option<OrderKey>, Header)), request_body = Revoke,
    responses((status = 200, body = Carried), (status = 404), (status = 409), (status = 422), (status = 500)))]
async fn revoke(given: Given, Body(body): Body<Revoke>) -> Result<Response, Failure> {
    let Revoke { item, instance, quantity, reason, key } = body;
    given.order(reason, key, Act::Revoke { target: target(item, instance)?, quantity: few(quantity)? }).await
}

/// Sets and removes attributes of a player's things.
#[utoipa::path(post, path = "/v1/players/{player}/attributes", tag = "orders",
    params(("player" = PlayerId, Path), ("Idempotency-Key" = Option<OrderKey>, Header)), request_body = Edit,
    responses((status = 200, body = Carried), (status = 404), (status = 409), (status = 422), (status = 500)))]
async fn attributes(given: Given, Body(body): Body<Edit>) -> Result<Response, Failure> {
    let Edit { item, instance, set, remove, reason, key } = body;
    let set = set.to_map().into_iter().collect();
    given.order(reason, key, Act::Attributes { target: target(item, instance)?, set, remove }).await
}

/// Pays money into a player's wallet, or takes it out.
#[utoipa::path(post, path = "/v1/players/{player}/wallet", tag = "orders",
    params(("player" = PlayerId, Path), ("Idempotency-Key" = Option<OrderKey>, Header)), request_body = Wallet,
    responses((status = 200, body = Carried), (status = 404), (status = 409), (status = 422), (status = 500)))]
async fn wallet(given: Given, Body(body): Body<Wallet>) -> Result<Response, Failure> {
    let Wallet { currency, credit, debit, reason, key } = body;
    let act = match (credit, debit) {
        (Some(amount), None) => Act::Credit { currency, amount: many(amount)? },
        (None, Some(amount)) => Act::Debit { currency, amount: many(amount)? },
        _ => return Err(Failure::bad_request("say either how much to credit or how much to debit")),
    };
    given.order(reason, key, act).await
}

/// Gives things of a player's to another one, through their inbox: they have them as soon as they play, and at once if they
/// do. The rules of gifts hold.
#[utoipa::path(post, path = "/v1/players/{player}/gift", tag = "orders",
    params(("player" = PlayerId, Path), ("Idempotency-Key" = Option<OrderKey>, Header)), request_body = Gift,
    responses((status = 200, body = Carried), (status = 404), (status = 409), (status = 422), (status = 500)))]
async fn gift(given: Given, Body(body): Body<Gift>) -> Result<Response, Failure> {
    let Gift { to, items, reason, key } = body;
    let items = items.into_iter().map(|line| Ok((line.instance, few(line.quantity)?)));
    given.order(reason, key, Act::Gift { to, items: items.collect::<Result<_, Failure>>()? }).await
}

/// Closes a player's session, wherever it is, and keeps them out for a while if asked to.
#[utoipa::path(post, path = "/v1/players/{player}/kick", tag = "orders",
    params(("player" = PlayerId, Path), ("Idempotency-Key" = Option<OrderKey>, Header)), request_body = Kick,
    responses((status = 200, body = Carried), (status = 404), (status = 409), (status = 422), (status = 500)))]
async fn kick(given: Given, Body(body): Body<Kick>) -> Result<Response, Failure> {
    let Kick { until, reason, key } = body;
    let until = until.map(|text| {
        let bad = || Failure::bad_request(format!("{text:?} is no time in UTC: write it as 2026-02-03T04:05:06Z"));
        from_iso(&text).ok_or_else(bad)
    });
    given.order(reason, key, Act::Kick { until: until.transpose()? }).await
}

/// Sets a player back to an earlier revision, or says what that would change.
#[utoipa::path(post, path = "/v1/players/{player}/restore", tag = "orders",
    params(("player" = PlayerId, Path), ("Idempotency-Key" = Option<OrderKey>, Header)), request_body = Restore,
    responses((status = 200, body = Restored), (status = 404), (status = 409), (status = 422), (status = 500)))]
async fn set_back(Given { player, asking }: Given, Body(body): Body<Restore>) -> Result<Json<Restored>, Failure> {
    let Restore { to, allow_duplicates, dry_run, reason, key } = body;
    let order = if dry_run {
        None
    } else {
        let key = asking.needed_key(key)?;
        let by = asking.by.name.as_ref().to_owned();
        Some(Signed { key, by, reason: reason.unwrap_or_default() })
    };
    let asked = Asked { wish: Wish { to, allow_duplicates }, order };
    let done = restore::restore(&asking.operator.roster, &player, asked).await;
    Ok(Json(done?))
}
