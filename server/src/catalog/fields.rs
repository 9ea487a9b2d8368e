//! One `[[item]]` as it was typed: fields taken by name, what is wrong with each kept for the end.

use crate::config::{
    document::{Wrong, described, unknown_keys},
    fault::did_you_mean,
    setting::Setting,
};
use holdall_protocol::{
    attribute::{Attributes, Float, Integer, Value},
    ids::AttributeKey,
};
use std::collections::BTreeMap;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

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

/// The fields of one item.
pub(super) struct Fields<'a, 't> {
    item: &'a Spanned<DeValue<'t>>,
    table: &'a DeTable<'t>,
    wrong: &'a mut Vec<Wrong>,
}

impl<'a, 't> Fields<'a, 't> {
    /// Opens an item; what is not one, and every unknown key, is wrong.
    pub(super) fn open(item: &'a Spanned<DeValue<'t>>, wrong: &'a mut Vec<Wrong>) -> Option<Self> {
        let DeValue::Table(table) = item.get_ref() else {
            wrong.push(Wrong::new(
                item,
                format!("an item is a table, not {}: write [[item]]", described(item.get_ref())),
            ));
            return None;
        };
        unknown_keys(table, &KEYS, "an item", wrong);
        Some(Self { item, table, wrong })
    }

    /// Whether the item has this key.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Something wrong with a field; with the item itself where it has no such field.
    pub(super) fn fault(&mut self, key: &str, what: impl std::fmt::Display) {
        let at = self.table.get(key).unwrap_or(self.item);
        self.wrong.push(Wrong::new(at, format!("{key} {what}")));
    }

    /// A field that may be absent; `None` also when it is there and wrong.
    pub(super) fn optional<T: Setting>(&mut self, key: &str) -> Option<T> {
        match T::from_toml(self.table.get(key)?) {
            Ok(read) => Some(read),
            Err(more) => {
                self.wrong
                    .extend(more.into_iter().map(|wrong| Wrong { what: format!("{key} {}", wrong.what), ..wrong }));
                None
            }
        }
    }

    /// A field that must be there.
    pub(super) fn required<T: Setting>(&mut self, key: &str) -> Option<T> {
        if !self.has(key) {
            self.fault(key, format_args!("is missing: every item needs one ({})", T::TAKES));
        }
        self.optional(key)
    }

    /// A text of a bounded length.
    pub(super) fn text(&mut self, key: &str, bytes_max: usize) -> String {
        let text: String = self.optional(key).unwrap_or_default();
        if text.len() > bytes_max {
            self.fault(key, format_args!("is {} bytes long: shorten it to {bytes_max}", text.len()));
        }
        text
    }

    /// One of some words.
    pub(super) fn word<T: Copy>(&mut self, key: &str, all: &[T], as_str: fn(T) -> &'static str) -> Option<T> {
        let typed: String = self.optional(key)?;
        let found = all.iter().find(|word| as_str(**word) == typed);
        if found.is_none() {
            let words: Vec<&str> = all.iter().map(|word| as_str(*word)).collect();
            let hint = did_you_mean(&typed, words.iter().copied());
            self.fault(key, format_args!("must be one of {}, not {typed:?}{hint}", words.join(", ")));
        }
        found.copied()
    }

    /// The attributes: TOML's own types are theirs.
    pub(super) fn attributes(&mut self, count_max: usize, bytes_max: usize) -> Attributes {
        let Some(value) = self.table.get("attributes") else { return Attributes::default() };
        let DeValue::Table(table) = value.get_ref() else {
            self.fault("attributes", "must be a table, such as { durability = 80 }");
            return Attributes::default();
        };
        let mut pairs = BTreeMap::new();
        for (key, value) in table {
            let name = key.get_ref();
            let id = AttributeKey::new(name).map_err(|bad| self.wrong.push(Wrong::new(key, bad.to_string())));
            let read = attribute(value).map_err(|what| {
                self.wrong.push(Wrong::new(value, format!("the attribute {name}: {what}")));
            });
            if let (Ok(id), Ok(read)) = (id, read) {
                pairs.insert(id, read);
            }
        }
        let attributes = Attributes::new(pairs);
        if table.len() > count_max {
            let count = table.len();
            self.fault("attributes", format_args!("are {count}, limits.attributes_max is {count_max}: take some away"));
        }
        if attributes.bytes() > bytes_max {
            let bytes = attributes.bytes();
            let limit = format_args!("limits.attribute_bytes_max is {bytes_max}");
            self.fault("attributes", format_args!("come to {bytes} bytes, {limit}: shorten them"));
        }
        attributes
    }
}

/// One attribute's value.
fn attribute(value: &Spanned<DeValue<'_>>) -> Result<Value, String> {
    match value.get_ref() {
        DeValue::Boolean(yes) => Ok(Value::Bool(*yes)),
        DeValue::String(text) => Ok(Value::String(text.as_ref().into())),
        DeValue::Integer(number) => {
            let wide = i64::from_str_radix(number.as_str(), number.radix()).unwrap_or(i64::MAX);
            Integer::new(wide).map(Value::Integer).map_err(|bad| bad.to_string())
        }
        DeValue::Float(number) => {
            let float = number.as_str().parse().unwrap_or(f64::NAN);
            Float::new(float).map(Value::Float).map_err(|bad| bad.to_string())
        }
        DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => Err(format!(
            "must be true or false, a whole number, a number with a fraction or a text, not {}",
            described(value.get_ref())
        )),
    }
}
