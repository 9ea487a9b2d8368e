//! One `[[item]]`, or one step of a migration, as it was typed: fields taken by name, what is wrong with each kept for the
//! end.

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

/// What kind of table is read, in words.
pub(super) struct Shape<'a> {
    /// With its article: "an item".
    pub(super) a: &'a str,
    /// How one is written.
    pub(super) write: &'a str,
    /// Every key that it can have.
    pub(super) keys: &'a [&'a str],
}

/// The fields of one table.
pub(super) struct Fields<'a, 't> {
    whole: &'a Spanned<DeValue<'t>>,
    table: &'a DeTable<'t>,
    a: &'a str,
    wrong: &'a mut Vec<Wrong>,
}

impl<'a, 't> Fields<'a, 't> {
    /// Opens a table; what is not one, and every unknown key, is wrong.
    pub(super) fn open(whole: &'a Spanned<DeValue<'t>>, shape: &Shape<'a>, wrong: &'a mut Vec<Wrong>) -> Option<Self> {
        let Shape { a, write, keys } = shape;
        let DeValue::Table(table) = whole.get_ref() else {
            let what = format!("{a} is a table, not {}: write {write}", described(whole.get_ref()));
            wrong.push(Wrong::new(whole, what));
            return None;
        };
        unknown_keys(table, keys, a, wrong);
        Some(Self { whole, table, a, wrong })
    }

    /// Whether the table has this key.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// What was typed for a key.
    pub(super) fn value(&self, key: &str) -> Option<&DeValue<'t>> {
        self.table.get(key).map(Spanned::get_ref)
    }

    /// Something wrong with a field; with the table itself where it has no such field.
    pub(super) fn fault(&mut self, key: &str, what: impl std::fmt::Display) {
        let at = self.table.get(key).unwrap_or(self.whole);
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
            self.missing(key, T::TAKES);
        }
        self.optional(key)
    }

    /// A field that must be there is not.
    pub(super) fn missing(&mut self, key: &str, takes: &str) {
        let a = self.a;
        self.fault(key, format_args!("is missing: {a} needs one ({takes})"));
    }

    /// One attribute's value, which must be there: TOML's own types are theirs.
    pub(super) fn attribute(&mut self, key: &str) -> Option<Value> {
        let Some(value) = self.table.get(key) else {
            self.missing(key, ATTRIBUTE_TAKES);
            return None;
        };
        attribute(value).map_err(|what| self.wrong.push(Wrong::new(value, format!("{key} {what}")))).ok()
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

const ATTRIBUTE_TAKES: &str = "true or false, a whole number, a number with a fraction or a text";

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
        DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => {
            Err(format!("must be {ATTRIBUTE_TAKES}, not {}", described(value.get_ref())))
        }
    }
}
