//! The routes that look at players and at what they can have.

use super::{
    Operator,
    answers::Failure,
    extract::{Path, Query},
};
use crate::{
    catalog::Rules,
    engine::{change::Content, player::Player},
    roster::view::{self, Source},
    upkeep::{
        history::{self, History},
        inspect::{self, Held, Inspection},
    },
};
use axum::{Json, extract::State};
use holdall_protocol::{
    NUMBER_MAX,
    ids::{ItemId, Place, PlayerId, Revision},
    message::{ItemDefinition, Stats},
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

/// Entries of a history that are told where nobody says how many.
const HISTORY_ENTRIES: usize = 100;

/// Every route.
pub(super) fn routes() -> OpenApiRouter<Operator> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(show))
        .routes(routes!(stats))
        .routes(routes!(item))
        .routes(routes!(stored))
        .routes(routes!(past))
        .routes(routes!(catalogue))
        .routes(routes!(definition))
}

/// From where on a list goes.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Mark {
    /// What the page before named as `next`.
    #[param(pattern = "^[A-Za-z0-9_-]{1,64}$")]
    mark: Option<String>,
}

/// Some of the players.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Listed {
    /// In no order; one who comes or goes while the list is read may be missed, and one may be named twice.
    pub players: Vec<PlayerId>,
    /// What to ask for next, as `mark`; nothing at the end.
    pub next: Option<String>,
}

/// Players of the store, page by page.
#[utoipa::path(get, path = "/v1/players", tag = "players", params(Mark), responses((status = 200, body = Listed)))]
async fn list(State(operator): State<Operator>, Query(Mark { mark }): Query<Mark>) -> Result<Json<Listed>, Failure> {
    if let Some(mark) = &mark {
        PlayerId::new(mark).map_err(|_| Failure::bad_request("the mark is none that a page named"))?;
    }
    let page = operator.roster.store().players(mark).await?;
    Ok(Json(Listed { players: page.items, next: page.next }))
}

/// Where a look found the player, and when that was.
#[derive(Debug, Serialize, ToSchema)]
struct Seen {
    /// Who.
    player: PlayerId,
    /// `memory`: in the game in this process, as it is now. `elsewhere`: in the game in another process, which has saved it
    /// for this. `store`: at rest, or in another process that does not answer and may be ahead of this.
    source: &'static str,
    /// The revision that this shows.
    revision: Revision,
    /// The revision up to which it is durable.
    durable: Revision,
    /// Whether a client is connected, as far as that is known.
    connected: bool,
}

/// Everything that a player has.
#[derive(Debug, Serialize, ToSchema)]
struct Snapshot {
    #[serde(flatten)]
    seen: Seen,
    /// Every place that is not empty.
    places: Vec<Held>,
    /// Places whose content no longer fits the catalogue: it can be moved, and revoked.
    frozen: Vec<Place>,
}

/// The figures of a player's inventory.
#[derive(Debug, Serialize, ToSchema)]
struct Figures {
    #[serde(flatten)]
    seen: Seen,
    #[serde(flatten)]
    stats: Stats,
}

/// One item, and where a player has it.
#[derive(Debug, Serialize, ToSchema)]
struct Item {
    #[serde(flatten)]
    seen: Seen,
    /// Which.
    item: ItemId,
    /// Units in bag and equipment, or the balance.
    count: u64,
    /// The places that hold it.
    places: Vec<Held>,
}

impl Seen {
    fn new(player: PlayerId, seen: view::Seen) -> Self {
        let source = match seen.source {
            Source::Memory => "memory",
            Source::Elsewhere => "elsewhere",
            Source::Store => "store",
        };
        let view::Seen { revision, durable, connected, source: _ } = seen;
        Self { player, source, revision, durable, connected }
    }
}

/// Asks something of a player's things.
async fn look<T>(
    operator: &Operator,
    player: PlayerId,
    ask: impl Fn(&Player, &Rules) -> T,
) -> Result<(Seen, T), Failure> {
    let found = operator.roster.view(&player, ask).await?;
    let (seen, answer) = found.ok_or_else(|| Failure::no_player(&player))?;
    Ok((Seen::new(player, seen), answer))
}

fn held(places: impl IntoIterator<Item = (Place, Content)>) -> Vec<Held> {
    places.into_iter().map(Held::from).collect()
}

/// Everything that a player has, as it is now.
#[utoipa::path(get, path = "/v1/players/{player}", tag = "players", params(("player" = PlayerId, Path)),
    responses((status = 200, body = Snapshot), (status = 404), (status = 422)))]
async fn show(State(operator): State<Operator>, Path(player): Path<PlayerId>) -> Result<Json<Snapshot>, Failure> {
    let all = |things: &Player, rules: &Rules| (things.places().collect::<Vec<_>>(), things.frozen(rules));
    let (seen, (places, frozen)) = look(&operator, player, all).await?;
    Ok(Json(Snapshot { seen, places: held(places), frozen }))
}

/// Slots, weight, units and value of what a player has.
#[utoipa::path(get, path = "/v1/players/{player}/stats", tag = "players", params(("player" = PlayerId, Path)),
    responses((status = 200, body = Figures), (status = 404), (status = 422)))]
async fn stats(State(operator): State<Operator>, Path(player): Path<PlayerId>) -> Result<Json<Figures>, Failure> {
    let (seen, stats) = look(&operator, player, Player::stats).await?;
    Ok(Json(Figures { seen, stats }))
}

/// How many of an item, or how much of a currency, a player has, and where.
#[utoipa::path(get, path = "/v1/players/{player}/items/{item}", tag = "players",
    params(("player" = PlayerId, Path), ("item" = ItemId, Path)),
    responses((status = 200, body = Item), (status = 404), (status = 422)))]
async fn item(
    State(operator): State<Operator>,
    Path((player, item)): Path<(PlayerId, ItemId)>,
) -> Result<Json<Item>, Failure> {
    let count = |things: &Player, rules: &Rules| (things.count(&item, rules), things.find(&item, rules));
    let (seen, (count, places)) = look(&operator, player, count).await?;
    Ok(Json(Item { seen, item, count, places: held(places) }))
}

/// A player as the store has it, with what waits for them and the last of the ledger. What is only in memory is not in it.
#[utoipa::path(get, path = "/v1/players/{player}/stored", tag = "players", params(("player" = PlayerId, Path)),
    responses((status = 200, body = Inspection), (status = 404), (status = 422)))]
async fn stored(State(operator): State<Operator>, Path(player): Path<PlayerId>) -> Result<Json<Inspection>, Failure> {
    let found = inspect::look(operator.roster.store(), &player).await?;
    found.map(Json).ok_or_else(|| Failure::no_player(&player))
}

/// What happened to a player, entry by entry, as far as the store has it.
#[utoipa::path(get, path = "/v1/players/{player}/history", tag = "players",
    params(("player" = PlayerId, Path), history::Wanted),
    responses((status = 200, body = History), (status = 404), (status = 422)))]
async fn past(
    State(operator): State<Operator>,
    Path(player): Path<PlayerId>,
    Query(wanted): Query<history::Wanted>,
) -> Result<Json<History>, Failure> {
    let from = [wanted.revision.map(Revision::get), wanted.at];
    if from.into_iter().flatten().any(|number| number > NUMBER_MAX) {
        return Err(Failure::bad_request(format!("a revision and a time are numbers up to {NUMBER_MAX}")));
    }
    let limit = wanted.limit.or(Some(HISTORY_ENTRIES));
    let wanted = history::Wanted { limit, ..wanted };
    let told = history::tell(operator.roster.store(), &player, &wanted).await?;
    told.map(Json).ok_or_else(|| Failure::no_player(&player))
}

/// The catalogue in force.
#[derive(Debug, Serialize, ToSchema)]
struct Catalogue {
    /// Which of this process: 1 at its start, one more at every reload.
    version: u64,
    /// The hash of its content: equal on every server that read the same definitions.
    hash: String,
    /// Every item, in the order of their ids.
    #[schema(value_type = Vec<ItemDefinition>)]
    items: Vec<Arc<ItemDefinition>>,
}

/// The catalogue in force.
#[utoipa::path(get, path = "/v1/catalogue", tag = "catalogue", responses((status = 200, body = Catalogue)))]
async fn catalogue(State(operator): State<Operator>) -> Json<Catalogue> {
    let catalog = &operator.roster.rules().catalog;
    let items = catalog.iter().map(|definition| definition.wire.clone()).collect();
    Json(Catalogue { version: catalog.version(), hash: catalog.hash().to_owned(), items })
}

/// One item of the catalogue, also under an id that it had before.
#[utoipa::path(get, path = "/v1/catalogue/{item}", tag = "catalogue", params(("item" = ItemId, Path)),
    responses((status = 200, body = ItemDefinition), (status = 404)))]
async fn definition(
    State(operator): State<Operator>,
    Path(item): Path<ItemId>,
) -> Result<Json<Arc<ItemDefinition>>, Failure> {
    let rules = operator.roster.rules();
    let found = rules.catalog.get(&item).map(|definition| Json(definition.wire.clone()));
    found.ok_or_else(|| Failure::not_found(format!("there is no item {item} in the catalogue")))
}
