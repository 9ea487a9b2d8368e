//! The reload of settings and catalogue: its route, what is told of one, and what it needs of the server.

use super::{Operator, answers::Failure, extract::Query};
use axum::{Json, extract::State, http::StatusCode};
use holdall_protocol::ids::{ItemId, SkuId};
use serde::{Deserialize, Serialize};
use std::fmt::{self, Display};
use tokio::task::spawn_blocking;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

/// Whoever can read settings and catalogue again. Both ways read files and look at every loaded player, and block meanwhile.
pub trait Reload: Send + Sync {
    /// Says what a reload would do.
    ///
    /// # Errors
    /// [`NotReloaded`].
    fn look(&self) -> Result<Report, NotReloaded>;

    /// Reloads, whole.
    ///
    /// # Errors
    /// [`NotReloaded`]; nothing has changed.
    fn reload(&self) -> Result<Report, NotReloaded>;
}

/// Why nothing is reloaded; each line names its place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotReloaded {
    /// Everything that is wrong with the files.
    #[error("{}", .0.join("\n"))]
    Faults(Vec<String>),
    /// Everything that has changed and is read at the start only.
    #[error("{}", .0.join("\n"))]
    NeedsRestart(Vec<String>),
}

/// What a reload does, or has done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Report {
    /// Whether it is only what would be.
    pub dry_run: bool,
    /// The version of the catalogue that is then in force: one more than before, unless nothing is different.
    pub version: u64,
    /// The hash of that catalogue.
    pub hash: String,
    /// Knobs that stand otherwise.
    pub knobs: Vec<Knob>,
    /// What is different in the catalogue.
    pub items: Items,
    /// What is different in the shop.
    pub shop: Skus,
    /// Players who were looked at: those in this server's memory.
    pub loaded_players: usize,
    /// What of theirs is frozen from then on.
    pub freezing: Vec<Freezing>,
    /// What of theirs is frozen no longer.
    pub thawing: Vec<Thawing>,
}

/// A knob that stands otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Knob {
    /// `section.name`.
    pub knob: String,
    /// What it was, as TOML.
    pub before: String,
    /// What it is.
    pub after: String,
}

/// What is different in a catalogue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Items {
    /// New ones.
    pub added: Vec<ItemId>,
    /// Those that are gone.
    pub removed: Vec<ItemId>,
    /// Those that have another id.
    pub renamed: Vec<Renamed>,
    /// Those whose definition is another.
    pub changed: Vec<Changed>,
}

/// An item that has another id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Renamed {
    /// Its earlier id.
    pub from: ItemId,
    /// Its later one.
    pub to: ItemId,
}

/// An item whose definition is another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Changed {
    /// Which.
    pub item: ItemId,
    /// What of it, as `items.toml` names it.
    pub fields: Vec<String>,
}

/// What is different in a shop. Units that the store has are as they were.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Skus {
    /// New ones.
    pub added: Vec<SkuId>,
    /// Those that players can hold no longer; holds that are open stand.
    pub removed: Vec<SkuId>,
    /// Those that are another.
    pub changed: Vec<ChangedSku>,
}

/// A SKU that is another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChangedSku {
    /// Which.
    pub sku: SkuId,
    /// What of it, as `shop.toml` names it.
    pub fields: Vec<String>,
}

/// What freezes of an item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Freezing {
    /// Which.
    pub item: ItemId,
    /// Why.
    pub why: Why,
    /// Loaded players who have it.
    pub players: usize,
    /// Their stacks (or balances).
    pub stacks: usize,
}

/// Why something freezes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// The item is removed.
    Removed,
    /// The stack exceeds the new maximum.
    TooLarge,
    /// The item becomes a currency, or is none any more.
    OtherKind,
    /// The equipment slot is removed.
    NoSlot,
}

/// What thaws of an item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Thawing {
    /// Which.
    pub item: ItemId,
    /// Loaded players who have it.
    pub players: usize,
    /// Their stacks (or balances).
    pub stacks: usize,
}

/// The route.
pub(super) fn routes() -> OpenApiRouter<Operator> {
    OpenApiRouter::new().routes(routes!(answer))
}

/// How a reload is to be done.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// Whether it is only told what would be.
    #[serde(default)]
    dry_run: bool,
}

/// Reads settings, catalogue and shop again, whole or not at all, or says what that would change.
#[utoipa::path(post, path = "/v1/reload", tag = "process", params(Wanted),
    responses((status = 200, body = Report), (status = 409), (status = 500)))]
async fn answer(
    State(Operator { reload, .. }): State<Operator>,
    Query(Wanted { dry_run }): Query<Wanted>,
) -> Result<Json<Report>, Failure> {
    let done = spawn_blocking(move || if dry_run { reload.look() } else { reload.reload() }).await;
    let fault = |_| Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", "a fault in the server");
    done.map_err(fault)?.map(Json).map_err(|error| {
        let code = match error {
            NotReloaded::Faults(_) => "faults",
            NotReloaded::NeedsRestart(_) => "needs_restart",
        };
        Failure::new(StatusCode::CONFLICT, code, error.to_string())
    })
}

impl Report {
    /// Whether nothing is different.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        let Items { added, removed, renamed, changed } = &self.items;
        let same_items = added.is_empty() && removed.is_empty() && renamed.is_empty() && changed.is_empty();
        let Skus { added, removed, changed } = &self.shop;
        self.knobs.is_empty() && same_items && added.is_empty() && removed.is_empty() && changed.is_empty()
    }
}

impl Display for Report {
    /// For people, a line each.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return writeln!(f, "nothing is different");
        }
        for Knob { knob, before, after } in &self.knobs {
            writeln!(f, "{knob}: {before} -> {after}")?;
        }
        let Items { added, removed, renamed, changed } = &self.items;
        added.iter().try_for_each(|item| writeln!(f, "item {item}: added"))?;
        removed.iter().try_for_each(|item| writeln!(f, "item {item}: removed"))?;
        renamed.iter().try_for_each(|Renamed { from, to }| writeln!(f, "item {from}: now {to}"))?;
        changed.iter().try_for_each(|Changed { item, fields }| writeln!(f, "item {item}: {}", fields.join(", ")))?;
        let Skus { added, removed, changed } = &self.shop;
        added.iter().try_for_each(|sku| writeln!(f, "shop {sku}: added"))?;
        removed.iter().try_for_each(|sku| writeln!(f, "shop {sku}: removed"))?;
        changed.iter().try_for_each(|ChangedSku { sku, fields }| writeln!(f, "shop {sku}: {}", fields.join(", ")))?;
        self.freezing.iter().try_for_each(|freezing| writeln!(f, "{freezing}"))?;
        for Thawing { item, players, stacks } in &self.thawing {
            writeln!(
                f,
                "{} of {} no longer frozen: {item}",
                count(*stacks, "stack"),
                count(*players, "loaded player")
            )?;
        }
        let (loaded, verb) =
            (count(self.loaded_players, "loaded player"), if self.dry_run { "would be" } else { "is" });
        writeln!(f, "{loaded} looked at; catalogue version {}, hash {}, {verb} in force", self.version, self.hash)
    }
}

impl Display for Freezing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { item, why, players, stacks } = self;
        let (players, stacks) = (count(*players, "loaded player"), count(*stacks, "stack"));
        match why {
            Why::Removed => write!(f, "{players} with the removed item {item}: {stacks} frozen"),
            Why::TooLarge => write!(f, "{stacks} of {item} beyond the new maximum, of {players}: frozen"),
            Why::OtherKind => write!(f, "{players} with {item}, which was or becomes a currency: {stacks} frozen"),
            Why::NoSlot => write!(f, "{players} with {item} in an equipment slot that goes: {stacks} frozen"),
        }
    }
}

fn count(number: usize, of: &str) -> String {
    let mut text = format!("{number} {of}");
    if number != 1 {
        text.push('s');
    }
    text
}
