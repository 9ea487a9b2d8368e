//! The types a setting can have: each reads itself from TOML and from plain text, and writes itself as TOML.

use super::document::{Wrong, described};
use holdall_protocol::{
    NUMBER_MAX,
    ids::{AttributeKey, BadId, ItemId, SkuId, SlotId},
};
use std::{
    borrow::Cow,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
};
use toml::{Spanned, de::DeValue};

/// A type that a knob, or a field of a catalogue, can have.
pub trait Setting: Sized {
    /// What it takes, after "must be".
    const TAKES: &'static str;

    /// Reads it from a config file.
    ///
    /// # Errors
    /// All that is wrong with it.
    fn from_toml(value: &Spanned<DeValue<'_>>) -> Result<Self, Vec<Wrong>>;

    /// Reads it from the environment or a flag, where there are no quotes and no types.
    ///
    /// # Errors
    /// What is wrong with it.
    fn from_text(text: &str) -> Result<Self, String> {
        let value = DeValue::parse(text).map_err(|_| format!("must be {}", Self::TAKES))?;
        Self::from_toml(&value).map_err(joined)
    }

    /// As it would stand in a config file.
    fn to_toml(&self) -> String;

    /// Makes a relative path start at `base`. What is no path stays.
    fn resolve(&mut self, _base: &Path) {}
}

/// All that is wrong, on one line.
fn joined(wrong: Vec<Wrong>) -> String {
    wrong.into_iter().map(|wrong| wrong.what).collect::<Vec<_>>().join("; ")
}

/// `must be X, not Y`, as the one fault of `value`.
pub(super) fn must_be<T: Setting>(value: &Spanned<DeValue<'_>>) -> Vec<Wrong> {
    vec![Wrong::new(value, format!("must be {}, not {}", T::TAKES, described(value.get_ref())))]
}

/// A text that stands in quotes in a config file and without them elsewhere.
pub(super) trait Word: Sized {
    /// What it takes, after "must be".
    const TAKES: &'static str;
    /// Reads it; the error says what is wrong.
    fn read(text: &str) -> Result<Self, String>;
    /// Writes it, without quotes.
    fn written(&self) -> Cow<'_, str>;
    /// Makes a relative path start at `base`.
    fn rebase(&mut self, _base: &Path) {}
}

impl<W: Word> Setting for W {
    const TAKES: &'static str = W::TAKES;

    fn from_toml(value: &Spanned<DeValue<'_>>) -> Result<Self, Vec<Wrong>> {
        let DeValue::String(text) = value.get_ref() else { return Err(must_be::<Self>(value)) };
        W::read(text).map_err(|what| vec![Wrong::new(value, what)])
    }

    fn from_text(text: &str) -> Result<Self, String> {
        W::read(text)
    }

    fn to_toml(&self) -> String {
        toml::Value::String(self.written().into_owned()).to_string()
    }

    fn resolve(&mut self, base: &Path) {
        self.rebase(base);
    }
}

impl Word for String {
    const TAKES: &'static str = "a text";

    fn read(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }

    fn written(&self) -> Cow<'_, str> {
        self.into()
    }
}

impl Word for PathBuf {
    const TAKES: &'static str = "a path";

    fn read(text: &str) -> Result<Self, String> {
        if text.is_empty() { Err("must be a path, not empty".to_owned()) } else { Ok(text.into()) }
    }

    fn written(&self) -> Cow<'_, str> {
        self.to_string_lossy()
    }

    fn rebase(&mut self, base: &Path) {
        *self = base.join(&*self);
    }
}

impl Word for Option<PathBuf> {
    const TAKES: &'static str = "a path, or \"\" for none";

    fn read(text: &str) -> Result<Self, String> {
        Ok(if text.is_empty() { None } else { Some(text.into()) })
    }

    fn written(&self) -> Cow<'_, str> {
        self.as_ref().map_or_else(|| "".into(), |path| path.to_string_lossy())
    }

    fn rebase(&mut self, base: &Path) {
        if let Some(path) = self {
            path.rebase(base);
        }
    }
}

impl Word for SocketAddr {
    const TAKES: &'static str = "an address and a port, such as \"127.0.0.1:7777\"";

    fn read(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| format!("must be {}, not {text:?}", <Self as Word>::TAKES))
    }

    fn written(&self) -> Cow<'_, str> {
        self.to_string().into()
    }
}

impl Word for IpAddr {
    const TAKES: &'static str = "an address without a port, such as \"10.0.0.1\"";

    fn read(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| format!("must be {}, not {text:?}", <Self as Word>::TAKES))
    }

    fn written(&self) -> Cow<'_, str> {
        self.to_string().into()
    }
}

/// What is wrong with an id, without the kind of id in front: the key has said that.
fn without_name(bad: &BadId) -> String {
    let text = bad.to_string();
    text.find("must be").and_then(|at| text.get(at..)).unwrap_or(&text).to_owned()
}

/// Ids are read by their own rule.
macro_rules! id_words {
    ($($id:ident, $takes:literal;)*) => {
        $(impl Word for $id {
            const TAKES: &'static str = $takes;

            fn read(text: &str) -> Result<Self, String> {
                Self::new(text).map_err(|bad| without_name(&bad))
            }

            fn written(&self) -> Cow<'_, str> {
                self.as_str().into()
            }
        })*
    };
}

id_words! {
    ItemId, "an item id";
    SlotId, "an equipment slot";
    AttributeKey, "an attribute's key";
    SkuId, "a SKU";
}

impl Setting for bool {
    const TAKES: &'static str = "true or false";

    fn from_toml(value: &Spanned<DeValue<'_>>) -> Result<Self, Vec<Wrong>> {
        value.get_ref().as_bool().ok_or_else(|| must_be::<Self>(value))
    }

    fn to_toml(&self) -> String {
        self.to_string()
    }
}

/// Whole numbers of every width.
macro_rules! whole {
    ($($type:ty),*) => { $(
        impl Setting for $type {
            const TAKES: &'static str = "a whole number";

            fn from_toml(value: &Spanned<DeValue<'_>>) -> Result<Self, Vec<Wrong>> {
                let DeValue::Integer(number) = value.get_ref() else { return Err(must_be::<Self>(value)) };
                Self::from_str_radix(number.as_str(), number.radix())
                    .map_err(|_| vec![Wrong::new(value, format!("must be from 0 to {}, not {number}", Self::MAX))])
            }

            fn to_toml(&self) -> String {
                self.to_string()
            }
        }
    )* };
}
whole!(u16, u32, u64, usize);

/// A decimal number with at most three decimals, kept as whole thousandths so that no sum ever rounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Thousandths(pub u64);

impl Thousandths {
    /// Reads digits with at most three decimals, below 2^53 thousandths.
    fn read(text: &str) -> Option<Self> {
        let (whole, fraction) = text.strip_prefix('+').unwrap_or(text).split_once('.').unwrap_or((text, ""));
        let fraction = fraction.trim_end_matches('0');
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !digits(whole) || !digits(fraction) || fraction.len() > 3 {
            return None;
        }
        let whole: u64 = whole.parse().ok()?;
        let fraction: u64 = format!("{fraction:0<3}").parse().ok()?;
        let sum = whole.checked_mul(1000)?.checked_add(fraction)?;
        (sum <= NUMBER_MAX).then_some(Self(sum))
    }
}

impl Setting for Thousandths {
    const TAKES: &'static str = "a number from 0 to 9007199254740.991 with at most three decimals";

    fn from_toml(value: &Spanned<DeValue<'_>>) -> Result<Self, Vec<Wrong>> {
        let text = match value.get_ref() {
            DeValue::Integer(number) if number.radix() == 10 => number.as_str(),
            DeValue::Float(number) => number.as_str(),
            DeValue::Integer(_)
            | DeValue::String(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_)
            | DeValue::Table(_) => return Err(must_be::<Self>(value)),
        };
        Self::read(text)
            .ok_or_else(|| vec![Wrong::new(value, format!("must be {}, not {text}", <Self as Setting>::TAKES))])
    }

    fn to_toml(&self) -> String {
        let (whole, fraction) = (self.0 / 1000, self.0 % 1000);
        if fraction == 0 {
            return whole.to_string();
        }
        format!("{whole}.{fraction:03}").trim_end_matches('0').to_owned()
    }
}

impl<T: Setting> Setting for Vec<T> {
    const TAKES: &'static str = "a list";

    fn from_toml(value: &Spanned<DeValue<'_>>) -> Result<Self, Vec<Wrong>> {
        let DeValue::Array(elements) = value.get_ref() else { return Err(must_be::<Self>(value)) };
        let mut wrong = Vec::new();
        let mut list = Self::new();
        for element in elements.iter() {
            match T::from_toml(element) {
                Ok(read) => list.push(read),
                Err(more) => wrong.extend(more),
            }
        }
        if wrong.is_empty() { Ok(list) } else { Err(wrong) }
    }

    /// A TOML list, or its elements separated by commas.
    fn from_text(text: &str) -> Result<Self, String> {
        if text.trim_start().starts_with('[') {
            let value = DeValue::parse(text).map_err(|_| format!("must be {}", Self::TAKES))?;
            return Self::from_toml(&value).map_err(joined);
        }
        text.split(',').map(str::trim).filter(|element| !element.is_empty()).map(T::from_text).collect()
    }

    fn to_toml(&self) -> String {
        let elements: Vec<String> = self.iter().map(T::to_toml).collect();
        format!("[{}]", elements.join(", "))
    }

    fn resolve(&mut self, base: &Path) {
        self.iter_mut().for_each(|element| element.resolve(base));
    }
}

impl<T: Setting> Setting for [T; 2] {
    const TAKES: &'static str = "a list of two";

    fn from_toml(value: &Spanned<DeValue<'_>>) -> Result<Self, Vec<Wrong>> {
        Self::try_from(Vec::from_toml(value)?).map_err(|_| vec![Wrong::new(value, "must be a list of two")])
    }

    fn from_text(text: &str) -> Result<Self, String> {
        Self::try_from(Vec::from_text(text)?).map_err(|_| "must be a list of two".to_owned())
    }

    fn to_toml(&self) -> String {
        let [first, second] = self;
        format!("[{}, {}]", first.to_toml(), second.to_toml())
    }
}
