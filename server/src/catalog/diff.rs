//! What is different between two catalogues, or two shops, for whoever is about to put one in the place of the other.

use super::{
    Catalog, Definition,
    shop::{Offer, Shop, Sku},
};
use holdall_protocol::ids::{ItemId, SkuId};
use std::collections::HashSet;

/// All that is different, each list in byte order of the ids.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Diff {
    /// Items that the earlier one does not have under any id.
    pub added: Vec<ItemId>,
    /// Items that the later one does not have under any id.
    pub removed: Vec<ItemId>,
    /// Items that have another id in the later one: the earlier id, and the later.
    pub renamed: Vec<(ItemId, ItemId)>,
    /// Items of both whose definition is another.
    pub changed: Vec<Changed>,
}

/// An item whose definition is another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// Its later id.
    pub item: ItemId,
    /// What of it differs, as `items.toml` names it.
    pub fields: Vec<&'static str>,
}

impl Diff {
    /// What is different in `later`.
    #[must_use]
    pub fn between(earlier: &Catalog, later: &Catalog) -> Self {
        let mut diff = Self::default();
        let mut kept = HashSet::new();
        for before in earlier.iter() {
            let Some(after) = later.get(&before.id) else {
                diff.removed.push(before.id.clone());
                continue;
            };
            kept.insert(&after.id);
            if after.id != before.id {
                diff.renamed.push((before.id.clone(), after.id.clone()));
            }
            let fields = fields(before, after);
            if !fields.is_empty() {
                diff.changed.push(Changed { item: after.id.clone(), fields });
            }
        }
        let new = later.iter().filter(|after| !kept.contains(&after.id));
        diff.added = new.map(|after| after.id.clone()).collect();
        diff
    }

    /// Whether nothing is.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.renamed.is_empty() && self.changed.is_empty()
    }
}

/// All that is different between two shops, each list in byte order of the ids.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ShopDiff {
    /// SKUs that the earlier one does not have.
    pub added: Vec<SkuId>,
    /// SKUs that the later one does not have.
    pub removed: Vec<SkuId>,
    /// SKUs of both that are another, and what of them differs, as `shop.toml` names it.
    pub changed: Vec<(SkuId, Vec<&'static str>)>,
}

impl ShopDiff {
    /// What is different in `later`.
    #[must_use]
    pub fn between(earlier: &Shop, later: &Shop) -> Self {
        let ids = |of: &Shop, without: &Shop| {
            of.iter().map(|sku| sku.id.clone()).filter(|id| without.get(id).is_none()).collect()
        };
        let both = earlier.iter().filter_map(|before| Some((before, later.get(&before.id)?)));
        let changed = both.map(|(before, after)| (before.id.clone(), differing(before, after)));
        Self {
            added: ids(later, earlier),
            removed: ids(earlier, later),
            changed: changed.filter(|(_, fields)| !fields.is_empty()).collect(),
        }
    }

    /// Whether nothing is.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }
}

fn differing(before: &Sku, after: &Sku) -> Vec<&'static str> {
    let Sku { id: _, stock, offer, limit_per_player, opens_at, closes_at } = before;
    let item = |offer: &Option<Offer>| offer.as_ref().map(|offer| offer.item.clone());
    let price = |offer: &Option<Offer>| offer.as_ref().map(|offer| offer.price.clone());
    named([
        ("stock", *stock != after.stock),
        ("item", item(offer) != item(&after.offer)),
        ("price", price(offer) != price(&after.offer)),
        ("limit_per_player", *limit_per_player != after.limit_per_player),
        ("opens_at", *opens_at != after.opens_at),
        ("closes_at", *closes_at != after.closes_at),
    ])
}

/// Without a field that another definition could have and nobody is told of: this is all of one.
fn fields(before: &Definition, after: &Definition) -> Vec<&'static str> {
    let Definition {
        id: _,
        renamed_from,
        kind,
        rarity,
        max_stack,
        weight,
        tradeable,
        sellable,
        base_value,
        slots,
        two_handed,
        nature,
        wire,
    } = before;
    named([
        ("name", wire.name != after.wire.name),
        ("description", wire.description != after.wire.description),
        ("kind", *kind != after.kind),
        ("rarity", *rarity != after.rarity),
        ("max_stack", *max_stack != after.max_stack),
        ("weight", *weight != after.weight),
        ("tradeable", *tradeable != after.tradeable),
        ("sellable", *sellable != after.sellable),
        ("base_value", *base_value != after.base_value),
        ("icon_url", wire.icon_url != after.wire.icon_url),
        ("slots", *slots != after.slots),
        ("two_handed", *two_handed != after.two_handed),
        ("attributes", nature.attributes != after.nature.attributes),
        ("renamed_from", *renamed_from != after.renamed_from),
    ])
}

fn named<const N: usize>(fields: [(&'static str, bool); N]) -> Vec<&'static str> {
    fields.into_iter().filter(|(_, differs)| *differs).map(|(field, _)| field).collect()
}
