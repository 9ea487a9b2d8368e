//! What is for sale in limited numbers: reading `shop.toml`, every fault of it at once.

use super::{
    Catalog, Kind,
    fields::{Fields, Shape},
};
use crate::{
    clock,
    config::{
        Faults,
        document::{Document, Wrong, described},
        fault::did_you_mean,
    },
};
use holdall_protocol::{
    NUMBER_MAX,
    ids::{ItemId, SkuId},
};
use std::{
    collections::BTreeMap,
    num::{NonZeroU32, NonZeroU64},
};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

const KEYS: [&str; 7] = ["id", "stock", "item", "price", "limit_per_player", "opens_at", "closes_at"];

/// Everything that the shop has, by SKU.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Shop {
    skus: BTreeMap<SkuId, Sku>,
}

/// One thing for sale in limited numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sku {
    /// Its id.
    pub id: SkuId,
    /// Units that it begins with, where the store does not know it.
    pub stock: u64,
    /// What players get for it; none where it is only for carts.
    pub offer: Option<Offer>,
    /// Units that one player may hold and buy in all.
    pub limit_per_player: Option<NonZeroU32>,
    /// From when on players can hold it, in milliseconds since 1970.
    pub opens_at: Option<u64>,
    /// Until when, likewise.
    pub closes_at: Option<u64>,
}

/// What a player pays for one unit, and gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The item, under its present id.
    pub item: ItemId,
    /// The currencies, each once, under their present ids.
    pub price: Vec<(ItemId, NonZeroU64)>,
}

impl Sku {
    /// Whether players can hold it at this time.
    #[must_use]
    pub fn is_open(&self, now: u64) -> bool {
        self.opens_at.is_none_or(|opens| now >= opens) && self.closes_at.is_none_or(|closes| now < closes)
    }
}

impl Shop {
    /// Reads the text of a `shop.toml`. `name` is what its faults call it.
    ///
    /// # Errors
    /// Everything that is wrong with it, each with its line.
    pub fn parse(text: &str, name: &str, catalog: &Catalog) -> Result<Self, Faults> {
        let mut faults = Faults::default();
        let document = Document::read(name, text, &mut faults);
        let mut wrong = Vec::new();
        let mut shop = Self::default();
        for (whole, sku) in entries(document.root(), catalog, &mut wrong) {
            let id = sku.id.clone();
            if shop.skus.insert(id.clone(), sku).is_some() {
                wrong.push(Wrong::new(whole, format!("the SKU {id} is there already: give this one another id")));
            }
        }
        for wrong in wrong {
            faults.push(document.fault(&wrong.span, wrong.what));
        }
        faults.unless_any(shop)
    }

    /// One SKU.
    #[must_use]
    pub fn get(&self, sku: &SkuId) -> Option<&Sku> {
        self.skus.get(sku)
    }

    /// How many SKUs there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.skus.len()
    }

    /// Whether nothing is for sale.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.skus.is_empty()
    }

    /// All SKUs, in byte order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = &Sku> {
        self.skus.values()
    }
}

fn entries<'a, 't>(
    root: &'a DeTable<'t>,
    catalog: &Catalog,
    wrong: &mut Vec<Wrong>,
) -> Vec<(&'a Spanned<DeValue<'t>>, Sku)> {
    for key in root.keys().filter(|key| key.get_ref() != "sku") {
        wrong.push(Wrong::new(key, format!("there is no {:?} here: every SKU begins with [[sku]]", key.get_ref())));
    }
    let Some(skus) = root.get("sku") else { return Vec::new() };
    let DeValue::Array(skus) = skus.get_ref() else {
        wrong.push(Wrong::new(skus, "SKUs are a list: write [[sku]], with two brackets"));
        return Vec::new();
    };
    const SHAPE: Shape<'_> = Shape { a: "a SKU", write: "[[sku]]", keys: &KEYS };
    let read = |whole| Some((whole, entry(&mut Fields::open(whole, &SHAPE, wrong)?, catalog)?));
    skus.iter().filter_map(read).collect()
}

/// One SKU. What is wrong is kept in `fields`; `None` where too little is left to go on with.
fn entry(fields: &mut Fields<'_, '_>, catalog: &Catalog) -> Option<Sku> {
    let id = fields.required::<SkuId>("id");
    let stock = fields.required::<u64>("stock");
    if let Some(stock) = stock.filter(|stock| *stock > NUMBER_MAX) {
        fields.fault("stock", format_args!("must be from 0 to {NUMBER_MAX}, not {stock}"));
    }
    let offer = offer(fields, catalog);
    let limit_per_player = fields.optional::<u64>("limit_per_player").and_then(|typed| {
        let limit = u32::try_from(typed).ok().and_then(NonZeroU32::new);
        if limit.is_none() {
            fields.fault("limit_per_player", format_args!("must be from 1 to {}, not {typed}", u32::MAX));
        }
        limit
    });
    let (opens_at, closes_at) = (time(fields, "opens_at"), time(fields, "closes_at"));
    if opens_at.zip(closes_at).is_some_and(|(opens, closes)| closes <= opens) {
        fields.fault("closes_at", "is not after opens_at: nobody could ever hold it");
    }
    Some(Sku { id: id?, stock: stock?, offer, limit_per_player, opens_at, closes_at })
}

/// Item and price, which go together.
fn offer(fields: &mut Fields<'_, '_>, catalog: &Catalog) -> Option<Offer> {
    let item = fields.optional::<ItemId>("item");
    match (fields.has("item"), fields.has("price")) {
        (true, false) => fields.missing("price", "a table, such as { gold = 500 }; { } is for nothing"),
        (false, true) => fields.missing("item", "the item that players get for the price"),
        (true, true) | (false, false) => {}
    }
    let item = item.and_then(|item| known(fields, "item", &item, catalog))?;
    Some(Offer { item, price: price(fields, catalog)? })
}

fn price(fields: &mut Fields<'_, '_>, catalog: &Catalog) -> Option<Vec<(ItemId, NonZeroU64)>> {
    let typed = match fields.value("price")? {
        DeValue::Table(table) => {
            table.iter().map(|(currency, amount)| (currency.get_ref().to_string(), amount.clone()))
        }
        other => {
            let what = format!("must be a table, such as {{ gold = 500 }}, not {}", described(other));
            fields.fault("price", what);
            return None;
        }
    };
    let mut price = Vec::new();
    for (name, amount) in typed.collect::<Vec<_>>() {
        let number = match amount.get_ref() {
            DeValue::Integer(number) => u64::from_str_radix(number.as_str(), number.radix()).ok(),
            _ => None,
        };
        let number = number.filter(|number| *number <= NUMBER_MAX).and_then(NonZeroU64::new);
        if number.is_none() {
            fields.fault("price", format_args!("of {name} must be a whole number from 1 to {NUMBER_MAX}"));
        }
        let currency = ItemId::new(&name).map_err(|bad| fields.fault("price", format_args!("in {name}: {bad}"))).ok();
        let currency = currency.and_then(|currency| known(fields, "price", &currency, catalog));
        if let Some(money) = currency.as_ref().and_then(|currency| catalog.get(currency))
            && money.kind != Kind::Currency
        {
            let kind = money.kind.as_str();
            fields.fault("price", format_args!("is in {name}, which is of kind {kind}: name a currency"));
        }
        if let (Some(currency), Some(number)) = (currency, number) {
            if price.iter().any(|(named, _)| *named == currency) {
                fields.fault("price", format_args!("names {currency} twice, once under a former id"));
            }
            price.push((currency, number));
        }
    }
    Some(price)
}

/// An item's present id.
fn known(fields: &mut Fields<'_, '_>, key: &str, item: &ItemId, catalog: &Catalog) -> Option<ItemId> {
    let found = catalog.get(item).map(|definition| definition.id.clone());
    if found.is_none() {
        let hint = did_you_mean(item.as_str(), catalog.iter().map(|known| known.id.as_str()));
        fields.fault(key, format_args!("names {item}, which the catalogue does not have{hint}"));
    }
    found
}

/// A time in UTC: TOML's own, or a text.
fn time(fields: &mut Fields<'_, '_>, key: &str) -> Option<u64> {
    let text = match fields.value(key)? {
        DeValue::Datetime(time) => time.to_string(),
        DeValue::String(text) => text.to_string(),
        other => described(other).to_owned(),
    };
    let time = clock::from_iso(&text);
    if time.is_none() {
        fields.fault(key, format_args!("must be a time in UTC, such as 2026-12-24T18:00:00Z, not {text}"));
    }
    time
}
