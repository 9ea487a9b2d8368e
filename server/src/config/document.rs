//! A TOML file as it was typed: every value knows its line, and reading goes on past a fault.

use super::fault::{Fault, Faults, did_you_mean};
use std::ops::Range;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// Something wrong with a value, and where in the text it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// The bytes of the text that are wrong.
    pub span: Range<usize>,
    /// What is wrong, and what to do.
    pub what: String,
}

impl Wrong {
    /// One thing wrong with `at`.
    pub fn new<T>(at: &Spanned<T>, what: impl Into<String>) -> Self {
        Self { span: at.span(), what: what.into() }
    }
}

/// A named TOML text, taken apart.
#[derive(Debug)]
pub struct Document<'t> {
    name: &'t str,
    text: &'t str,
    root: DeTable<'t>,
}

impl<'t> Document<'t> {
    /// Takes `text` apart. Faults of its syntax go to `faults`; what could be read is kept, so that its other faults
    /// are found as well.
    pub fn read(name: &'t str, text: &'t str, faults: &mut Faults) -> Self {
        let (root, errors) = DeTable::parse_recoverable(text);
        let document = Self { name, text, root: root.into_inner() };
        for error in errors {
            let span = error.span().unwrap_or_default();
            faults.push(document.fault(&span, format!("not TOML: {}", error.message().replace('\n', ", "))));
        }
        document
    }

    /// The outermost table.
    #[must_use]
    pub const fn root(&self) -> &DeTable<'t> {
        &self.root
    }

    /// The line on which a span starts, counted from 1.
    #[must_use]
    pub fn line(&self, span: &Range<usize>) -> usize {
        let before = self.text.as_bytes().iter().take(span.start);
        before.filter(|byte| **byte == b'\n').count() + 1
    }

    /// A fault at a span of this text.
    #[must_use]
    pub fn fault(&self, span: &Range<usize>, what: impl Into<String>) -> Fault {
        Fault { place: self.name.to_owned(), line: Some(self.line(span)), what: what.into() }
    }
}

/// Reports every key of `table` that is not `known`.
pub fn unknown_keys(table: &DeTable<'_>, known: &[&str], of: &str, wrong: &mut Vec<Wrong>) {
    for key in table.keys().filter(|key| !known.contains(&key.get_ref().as_ref())) {
        let name = key.get_ref();
        let hint = did_you_mean(name, known.iter().copied());
        wrong.push(Wrong::new(key, format!("{of} has no key {name:?}{hint}")));
    }
}

/// What a value is, with its article, for "must be … , not …".
#[must_use]
pub const fn described(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
