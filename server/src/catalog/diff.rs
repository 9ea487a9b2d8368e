//! What is different between two catalogues, for whoever is about to put one in the place of the other.

use super::{Catalog, Definition};
use holdall_protocol::ids::ItemId;
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
        attributes,
        wire,
    } = before;
    let differs = [
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
        ("attributes", *attributes != after.attributes),
        ("renamed_from", *renamed_from != after.renamed_from),
    ];
    differs.into_iter().filter(|(_, differs)| *differs).map(|(field, _)| field).collect()
}
