//! Reading `migrations.toml`: every fault of it at once, each with its line.

use super::{Migrations, Of, Rate, Step, StepKind};
use crate::{
    catalog::{
        Catalog, Kind,
        fields::{Fields, Shape},
    },
    config::{
        Faults, Settings,
        document::{Document, Wrong},
        fault::did_you_mean,
    },
};
use holdall_protocol::{
    NUMBER_MAX,
    attribute::Attributes,
    ids::{AttributeKey, ItemId},
};
use std::{collections::BTreeMap, num::NonZeroU64, ops::Range};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// A way to write a step: its key, the keys of its table, and how that is read.
struct Verb {
    name: &'static str,
    keys: &'static [&'static str],
    read: fn(&mut Fields<'_, '_>, &Settings) -> Option<StepKind>,
}

const VERBS: [Verb; 8] = [
    Verb { name: "rename", keys: &["from", "to"], read: rename },
    Verb { name: "merge", keys: &["from", "to"], read: merge },
    Verb { name: "default_attribute", keys: &["item", "key", "value"], read: default_attribute },
    Verb { name: "rename_attribute", keys: &["item", "from", "to"], read: rename_attribute },
    Verb { name: "drop_attribute", keys: &["item", "key"], read: drop_attribute },
    Verb { name: "item_to_currency", keys: &["item", "currency", "take", "give"], read: item_to_currency },
    Verb { name: "currency_to_item", keys: &["currency", "item", "take", "give"], read: currency_to_item },
    Verb { name: "convert_currency", keys: &["from", "to", "take", "give"], read: convert_currency },
];

/// Every key that a `[[step]]` can have: its number, and one of the verbs.
const KEYS: [&str; 9] = [
    "number",
    "rename",
    "merge",
    "default_attribute",
    "rename_attribute",
    "drop_attribute",
    "item_to_currency",
    "currency_to_item",
    "convert_currency",
];

/// One `[[step]]` as it was read, with where it stands; what could not be read is absent.
struct Entry {
    number: Option<(Range<usize>, u32)>,
    kind: Option<(Range<usize>, StepKind)>,
}

impl Migrations {
    /// Reads the text of a `migrations.toml` that goes with a catalogue. `name` is what its faults call it.
    ///
    /// # Errors
    /// Everything that is wrong with it, each with its line.
    pub fn parse(text: &str, name: &str, settings: &Settings, catalog: &Catalog) -> Result<Self, Faults> {
        let mut faults = Faults::default();
        let document = Document::read(name, text, &mut faults);
        let mut wrong = Vec::new();
        let entries = entries(document.root(), settings, &mut wrong);
        contiguous(&entries, &mut wrong);
        targets(&entries, catalog, &mut wrong);
        for wrong in wrong {
            faults.push(document.fault(&wrong.span, wrong.what));
        }
        faults.unless_any(())?;
        let steps = entries.into_iter().filter_map(|entry| {
            let ((_, number), (_, kind)) = entry.number.zip(entry.kind)?;
            Some(Step { number, kind })
        });
        Ok(Self(steps.collect()))
    }
}

fn entries(root: &DeTable<'_>, settings: &Settings, wrong: &mut Vec<Wrong>) -> Vec<Entry> {
    for key in root.keys().filter(|key| key.get_ref() != "step") {
        wrong.push(Wrong::new(key, format!("there is no {:?} here: every step begins with [[step]]", key.get_ref())));
    }
    let Some(steps) = root.get("step") else { return Vec::new() };
    let DeValue::Array(steps) = steps.get_ref() else {
        wrong.push(Wrong::new(steps, "steps are a list: write [[step]], with two brackets"));
        return Vec::new();
    };
    steps.iter().map(|step| entry(step, settings, wrong)).collect()
}

fn entry(step: &Spanned<DeValue<'_>>, settings: &Settings, wrong: &mut Vec<Wrong>) -> Entry {
    const SHAPE: Shape = Shape { a: "a step", write: "[[step]]", keys: &KEYS };
    let mut entry = Entry { number: None, kind: None };
    let Some(mut fields) = Fields::open(step, &SHAPE, wrong) else { return entry };
    let number = fields.required::<u64>("number").and_then(|number| {
        let narrow = u32::try_from(number).ok().filter(|number| *number > 0);
        if narrow.is_none() {
            fields.fault("number", format_args!("must be from 1 to {}, not {number}", u32::MAX));
        }
        narrow
    });
    let DeValue::Table(table) = step.get_ref() else { return entry };
    let at = |key: &str| table.get(key).map_or_else(|| step.span(), Spanned::span);
    entry.number = number.map(|number| (at("number"), number));
    let written: Vec<&Verb> = VERBS.iter().filter(|verb| table.contains_key(verb.name)).collect();
    match written.as_slice() {
        [verb] => {
            let value = table.get(verb.name).unwrap_or(step);
            let a = format!("a {}", verb.name);
            let write = format!("{} = {{ … }}", verb.name);
            let shape = Shape { a: &a, write: &write, keys: verb.keys };
            let kind = Fields::open(value, &shape, wrong).and_then(|mut fields| (verb.read)(&mut fields, settings));
            entry.kind = kind.map(|kind| (value.span(), kind));
        }
        [] => {
            let verbs: Vec<&str> = VERBS.iter().map(|verb| verb.name).collect();
            wrong.push(Wrong::new(step, format!("a step does something: give it one of {}", verbs.join(", "))));
        }
        [_, second, ..] => {
            let what = format!("{} is a second thing to do: make it a step of its own", second.name);
            wrong.push(Wrong { span: at(second.name), what });
        }
    }
    entry
}

fn rename(fields: &mut Fields<'_, '_>, _: &Settings) -> Option<StepKind> {
    let (from, to) = (fields.required::<ItemId>("from"), fields.required::<ItemId>("to"));
    let (from, to) = (from?, to?);
    different(fields, &from, &to)?;
    Some(StepKind::Rename { from: vec![from], to })
}

fn merge(fields: &mut Fields<'_, '_>, _: &Settings) -> Option<StepKind> {
    let (from, to) = (fields.required::<Vec<ItemId>>("from"), fields.required::<ItemId>("to"));
    let (from, to) = (from?, to?);
    if from.is_empty() {
        fields.fault("from", "is empty: name what is merged");
    }
    for (n, id) in from.iter().enumerate() {
        if from.iter().take(n).any(|before| before == id) {
            fields.fault("from", format_args!("names {id} twice: take one away"));
        }
        different(fields, id, &to);
    }
    Some(StepKind::Rename { from, to })
}

fn default_attribute(fields: &mut Fields<'_, '_>, settings: &Settings) -> Option<StepKind> {
    let (of, key) = (of(fields), fields.required::<AttributeKey>("key"));
    let value = fields.attribute("value");
    let (of, key, value) = (of?, key?, value?);
    let (bytes, max) =
        (Attributes::new(BTreeMap::from([(key.clone(), value.clone())])).bytes(), settings.limits.attribute_bytes_max);
    if bytes > max {
        fields.fault("value", format_args!("comes to {bytes} bytes, limits.attribute_bytes_max is {max}: shorten it"));
    }
    Some(StepKind::DefaultAttribute { of, key, value })
}

fn rename_attribute(fields: &mut Fields<'_, '_>, _: &Settings) -> Option<StepKind> {
    let of = of(fields);
    let (from, to) = (fields.required::<AttributeKey>("from"), fields.required::<AttributeKey>("to"));
    let (of, from, to) = (of?, from?, to?);
    different(fields, &from, &to)?;
    Some(StepKind::RenameAttribute { of, from, to })
}

fn drop_attribute(fields: &mut Fields<'_, '_>, _: &Settings) -> Option<StepKind> {
    let (of, key) = (of(fields), fields.required::<AttributeKey>("key"));
    Some(StepKind::DropAttribute { of: of?, key: key? })
}

fn item_to_currency(fields: &mut Fields<'_, '_>, _: &Settings) -> Option<StepKind> {
    let (item, currency) = (fields.required::<ItemId>("item"), fields.required::<ItemId>("currency"));
    let rate = rate(fields);
    Some(StepKind::ItemToCurrency { item: item?, currency: currency?, rate: rate? })
}

fn currency_to_item(fields: &mut Fields<'_, '_>, _: &Settings) -> Option<StepKind> {
    let (currency, item) = (fields.required::<ItemId>("currency"), fields.required::<ItemId>("item"));
    let rate = rate(fields);
    Some(StepKind::CurrencyToItem { currency: currency?, item: item?, rate: rate? })
}

fn convert_currency(fields: &mut Fields<'_, '_>, _: &Settings) -> Option<StepKind> {
    let (from, to) = (fields.required::<ItemId>("from"), fields.required::<ItemId>("to"));
    let rate = rate(fields);
    let (from, to, rate) = (from?, to?, rate?);
    different(fields, &from, &to)?;
    Some(StepKind::ConvertCurrency { from, to, rate })
}

/// One item, or `"*"` for every one.
fn of(fields: &mut Fields<'_, '_>) -> Option<Of> {
    if fields.value("item").is_some_and(|value| value.as_str() == Some("*")) {
        return Some(Of::Every);
    }
    fields.required::<ItemId>("item").map(Of::Item)
}

/// How much becomes how much; one for one where nothing is said.
fn rate(fields: &mut Fields<'_, '_>) -> Option<Rate> {
    let (take, give) = (amount(fields, "take"), amount(fields, "give"));
    Some(Rate { take: take?, give: give? })
}

fn amount(fields: &mut Fields<'_, '_>, key: &str) -> Option<NonZeroU64> {
    if !fields.has(key) {
        return Some(NonZeroU64::MIN);
    }
    let typed = fields.optional::<u64>(key)?;
    let amount = NonZeroU64::new(typed).filter(|amount| amount.get() <= NUMBER_MAX);
    if amount.is_none() {
        fields.fault(key, format_args!("must be from 1 to {NUMBER_MAX}, not {typed}"));
    }
    amount
}

fn different<T: PartialEq + std::fmt::Display>(fields: &mut Fields<'_, '_>, from: &T, to: &T) -> Option<()> {
    if from == to {
        fields.fault("to", format_args!("is {to} as well as from: nothing would change"));
        return None;
    }
    Some(())
}

/// Each number is one more than the one before.
fn contiguous(entries: &[Entry], wrong: &mut Vec<Wrong>) {
    for pair in entries.windows(2) {
        let [Entry { number: Some((_, before)), .. }, Entry { number: Some((span, number)), .. }] = pair else {
            continue;
        };
        let expected = before.saturating_add(1);
        if *number != expected {
            let what = format!("number must be {expected}, one more than the step before, not {number}");
            wrong.push(Wrong { span: span.clone(), what });
        }
    }
}

/// What a step's target must be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Needs {
    Anything,
    Currency,
    /// Known now: it is asked how large its stacks may be.
    Item,
}

/// Every step leads to what the catalogue knows, or to what a later step leads on from.
fn targets(entries: &[Entry], catalog: &Catalog, wrong: &mut Vec<Wrong>) {
    for (n, entry) in entries.iter().enumerate() {
        let Some((span, kind)) = &entry.kind else { continue };
        let Some((id, needs)) = target(kind) else { continue };
        let later = entries.iter().skip(n.saturating_add(1)).filter_map(|later| later.kind.as_ref());
        let mut fault = |what: String| wrong.push(Wrong { span: span.clone(), what });
        match catalog.get(id).map(|definition| definition.kind) {
            None if needs != Needs::Item && later.flat_map(|(_, kind)| sources(kind)).any(|source| source == id) => {}
            None => {
                let hint = did_you_mean(id.as_str(), catalog.iter().map(|known| known.id.as_str()));
                fault(format!("the catalogue has no item {id}{hint}"));
            }
            Some(kind) => match (needs, kind == Kind::Currency) {
                (Needs::Currency, false) => {
                    fault(format!("{id} is of kind {}, not currency: name a currency", kind.as_str()));
                }
                (Needs::Item, true) => fault(format!("{id} is a currency: name an item")),
                (Needs::Anything, _) | (Needs::Currency, true) | (Needs::Item, false) => {}
            },
        }
    }
}

const fn target(kind: &StepKind) -> Option<(&ItemId, Needs)> {
    match kind {
        StepKind::Rename { to, .. } => Some((to, Needs::Anything)),
        StepKind::DefaultAttribute { of, .. }
        | StepKind::RenameAttribute { of, .. }
        | StepKind::DropAttribute { of, .. } => match of {
            Of::Item(item) => Some((item, Needs::Anything)),
            Of::Every => None,
        },
        StepKind::ItemToCurrency { currency, .. } => Some((currency, Needs::Currency)),
        StepKind::CurrencyToItem { item, .. } => Some((item, Needs::Item)),
        StepKind::ConvertCurrency { to, .. } => Some((to, Needs::Currency)),
    }
}

/// The ids that a step takes away from.
fn sources(kind: &StepKind) -> &[ItemId] {
    match kind {
        StepKind::Rename { from, .. } => from,
        StepKind::ItemToCurrency { item: id, .. }
        | StepKind::CurrencyToItem { currency: id, .. }
        | StepKind::ConvertCurrency { from: id, .. } => std::slice::from_ref(id),
        StepKind::DefaultAttribute { .. } | StepKind::RenameAttribute { .. } | StepKind::DropAttribute { .. } => &[],
    }
}
