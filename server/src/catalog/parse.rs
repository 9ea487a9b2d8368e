//! Reading `items.toml`: every fault of it at once, each with its line.

use super::{
    Catalog, Definition, Kind, Rarity, STACK_MAX, WEIGHT_MAX,
    fields::{Fields, Shape},
    nature::Nature,
};
use crate::config::{
    Faults, Settings,
    document::{Document, Wrong},
    setting::{Setting, Thousandths},
};
use holdall_protocol::{
    NUMBER_MAX,
    ids::{ItemId, SlotId},
    message::ItemDefinition,
};
use std::{collections::BTreeMap, num::NonZeroU32, ops::Range, sync::Arc};
use toml::de::{DeTable, DeValue};

/// Every key that an `[[item]]` can have.
const KEYS: [&str; 15] = [
    "id",
    "name",
    "description",
    "kind",
    "rarity",
    "max_stack",
    "weight",
    "tradeable",
    "sellable",
    "base_value",
    "icon_url",
    "slots",
    "two_handed",
    "attributes",
    "renamed_from",
];
const NAME_BYTES_MAX: usize = 128;
const DESCRIPTION_BYTES_MAX: usize = 1_024;
const ICON_URL_BYTES_MAX: usize = 512;

/// One `[[item]]` as it was read.
struct Entry {
    span: Range<usize>,
    definition: Definition,
}

impl Catalog {
    /// Reads the text of an `items.toml`, as the first catalogue of this process. `name` is what its faults call it.
    ///
    /// # Errors
    /// Everything that is wrong with it, each with its line.
    pub fn parse(text: &str, name: &str, settings: &Settings) -> Result<Self, Faults> {
        let mut faults = Faults::default();
        let document = Document::read(name, text, &mut faults);
        let mut wrong = Vec::new();
        let entries = entries(document.root(), settings, &mut wrong);
        unique(&document, &entries, &mut wrong);
        for wrong in wrong {
            faults.push(document.fault(&wrong.span, wrong.what));
        }
        faults.unless_any(())?;
        Ok(Self::of(entries))
    }

    /// The catalogue of entries without fault.
    fn of(entries: Vec<Entry>) -> Self {
        let mut definitions: Vec<Definition> = entries.into_iter().map(|entry| entry.definition).collect();
        for definition in &mut definitions {
            definition.renamed_from.sort();
        }
        let told = |definition| {
            let Definition { id, wire, renamed_from, .. }: &Definition = definition;
            (id, (&**wire, renamed_from))
        };
        let canonical: BTreeMap<_, _> = definitions.iter().map(told).collect();
        let bytes = serde_json::to_vec(&canonical).expect("a definition is texts, numbers and finite floats");
        let hash = format!("{:016x}", xxhash_rust::xxh3::xxh3_64(&bytes));
        Self::new(1, hash, definitions)
    }
}

/// Every item of the document that could be read.
fn entries(root: &DeTable<'_>, settings: &Settings, wrong: &mut Vec<Wrong>) -> Vec<Entry> {
    for key in root.keys().filter(|key| key.get_ref() != "item") {
        wrong.push(Wrong::new(key, format!("there is no {:?} here: every item begins with [[item]]", key.get_ref())));
    }
    let Some(items) = root.get("item") else { return Vec::new() };
    let DeValue::Array(items) = items.get_ref() else {
        wrong.push(Wrong::new(items, "items are a list: write [[item]], with two brackets"));
        return Vec::new();
    };
    const SHAPE: Shape<'_> = Shape { a: "an item", write: "[[item]]", keys: &KEYS };
    items.iter().filter_map(|item| entry(&mut Fields::open(item, &SHAPE, wrong)?, item.span(), settings)).collect()
}

/// One item. What is wrong is kept in `fields`; `None` where too little is left to go on with.
fn entry(fields: &mut Fields<'_, '_>, span: Range<usize>, settings: &Settings) -> Option<Entry> {
    let id = fields.required::<ItemId>("id");
    let name = required_text(fields, "name", NAME_BYTES_MAX);
    let description = fields.text("description", DESCRIPTION_BYTES_MAX);
    let icon_url = fields.text("icon_url", ICON_URL_BYTES_MAX);
    if !fields.has("kind") {
        fields.required::<String>("kind");
    }
    let kind = fields.word("kind", &Kind::ALL, Kind::as_str);
    let rarity = fields.word("rarity", &Rarity::ALL, Rarity::as_str).unwrap_or(Rarity::Common);
    let max_stack = max_stack(fields);
    let weight = weight(fields);
    let base_value = fields.optional::<u64>("base_value").unwrap_or(0);
    if base_value > NUMBER_MAX {
        fields.fault("base_value", format_args!("must be from 0 to {NUMBER_MAX}, not {base_value}"));
    }
    let attributes = fields.attributes(settings.limits.attributes_max, settings.limits.attribute_bytes_max);
    let renamed_from = fields.optional::<Vec<ItemId>>("renamed_from").unwrap_or_default();
    let slots = slots(fields, settings);
    let two_handed = fields.optional::<bool>("two_handed").unwrap_or(false);
    // A quest item is bound to its quest unless its entry says otherwise; money is never sold.
    let tradeable = fields.optional::<bool>("tradeable").unwrap_or(kind != Some(Kind::Quest));
    let sellable =
        fields.optional::<bool>("sellable").unwrap_or(kind != Some(Kind::Quest) && kind != Some(Kind::Currency));
    let (id, kind) = (id?, kind?);
    of_kind(fields, kind);
    if two_handed {
        both_hands(fields, &slots, &settings.equipment.hands);
    }
    let wire = Arc::new(ItemDefinition {
        id: id.clone(),
        name,
        description,
        kind: kind.as_str().to_owned(),
        rarity: rarity.as_str().to_owned(),
        max_stack: max_stack.get(),
        weight,
        tradeable,
        sellable,
        base_value,
        icon_url,
        slots: slots.clone(),
        two_handed,
        attributes: attributes.clone(),
    });
    let nature = Nature::with(id.clone(), attributes);
    #[rustfmt::skip]
    let definition = Definition {
        id, renamed_from, kind, rarity, max_stack, weight, tradeable, sellable, base_value, slots, two_handed, nature, wire,
    };
    Some(Entry { span, definition })
}

fn required_text(fields: &mut Fields<'_, '_>, key: &str, bytes_max: usize) -> String {
    let text = fields.text(key, bytes_max);
    if !fields.has(key) {
        fields.missing(key, String::TAKES);
    } else if text.trim().is_empty() {
        fields.fault(key, "must be a text that is not empty");
    }
    text
}

fn max_stack(fields: &mut Fields<'_, '_>) -> NonZeroU32 {
    let Some(typed) = fields.optional::<u64>("max_stack") else { return NonZeroU32::MIN };
    match u32::try_from(typed).ok().and_then(NonZeroU32::new).filter(|max| max.get() <= STACK_MAX) {
        Some(max) => max,
        None => {
            fields.fault("max_stack", format_args!("must be from 1 (not stackable) to {STACK_MAX}, not {typed}"));
            NonZeroU32::MIN
        }
    }
}

fn weight(fields: &mut Fields<'_, '_>) -> u64 {
    let Thousandths(weight) = fields.optional("weight").unwrap_or_default();
    if weight > WEIGHT_MAX {
        let most = Thousandths(WEIGHT_MAX).to_toml();
        fields.fault("weight", format_args!("must be from 0 to {most}, not {}", Thousandths(weight).to_toml()));
    }
    weight
}

fn slots(fields: &mut Fields<'_, '_>, settings: &Settings) -> Vec<SlotId> {
    let slots = fields.optional::<Vec<SlotId>>("slots").unwrap_or_default();
    let known = &settings.equipment.slots;
    for (n, slot) in slots.iter().enumerate() {
        if !known.contains(slot) {
            let hint = crate::config::fault::did_you_mean(slot.as_str(), known.iter().map(SlotId::as_str));
            fields.fault("slots", format_args!("name {slot}, which is none of equipment.slots{hint}"));
        }
        if slots.iter().take(n).any(|before| before == slot) {
            fields.fault("slots", format_args!("name {slot} twice: take one away"));
        }
    }
    slots
}

/// What the kind of an item forbids.
fn of_kind(fields: &mut Fields<'_, '_>, kind: Kind) {
    let forbidden: &[&str] = match kind {
        Kind::Weapon | Kind::Armor => &[],
        Kind::Consumable | Kind::Material | Kind::Quest => &["slots", "two_handed"],
        Kind::Currency => &["slots", "two_handed", "max_stack", "weight", "attributes", "sellable"],
    };
    for key in forbidden.iter().filter(|key| fields.has(key)).collect::<Vec<_>>() {
        let why = match kind {
            Kind::Currency => "a currency is a balance of the wallet, not a thing",
            Kind::Weapon | Kind::Armor | Kind::Consumable | Kind::Material | Kind::Quest => {
                "only weapons and armor are equipped"
            }
        };
        fields.fault(key, format_args!("does not go with kind = \"{}\" ({why}): take it away", kind.as_str()));
    }
}

/// A two-handed item sits in the first hand, nowhere else.
fn both_hands(fields: &mut Fields<'_, '_>, slots: &[SlotId], [first, second]: &[SlotId; 2]) {
    if slots != std::slice::from_ref(first) {
        fields.fault(
            "two_handed",
            format_args!("items sit in {first} and keep {second} empty: write slots = [\"{first}\"]"),
        );
    }
}

/// Every id, and every former id, stands for one item only.
fn unique(document: &Document<'_>, entries: &[Entry], wrong: &mut Vec<Wrong>) {
    let mut fault = |entry: &Entry, what| wrong.push(Wrong { span: entry.span.clone(), what });
    let mut ids: BTreeMap<&ItemId, &Entry> = BTreeMap::new();
    for entry in entries {
        let id = &entry.definition.id;
        match ids.get(id) {
            Some(first) => {
                let line = document.line(&first.span);
                fault(entry, format!("the id {id} is taken by the item in line {line}: give this one another"));
            }
            None => {
                ids.insert(id, entry);
            }
        }
    }
    let mut former: BTreeMap<&ItemId, &ItemId> = BTreeMap::new();
    for entry in entries {
        for name in &entry.definition.renamed_from {
            if ids.contains_key(name) {
                fault(entry, format!("renamed_from names {name}, which is still an item: take one of them away"));
            } else if let Some(other) = former.insert(name, &entry.definition.id) {
                fault(entry, format!("renamed_from names {name}, which {other} has too: only one can be it"));
            }
        }
    }
}
