//! Attributes: typed facts about one stack, such as its durability or its maker's name.

use crate::{NUMBER_MAX, ids::AttributeKey};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser::SerializeMap};
use std::{collections::BTreeMap, fmt, sync::Arc};

/// One attribute's value, typed on the wire because JSON cannot tell 1 from 1.0: `{"float": 1.0}`.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = AttributeValue))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Value {
    /// `{"bool": true}`
    Bool(bool),
    /// `{"integer": 5}`, within ±(2^53 − 1).
    Integer(Integer),
    /// `{"float": 0.5}`, finite, never −0.
    Float(Float),
    /// `{"string": "…"}`
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    String(Arc<str>),
}

impl Value {
    /// The bytes this value counts for against the limit: 8 for a number, 1 for a bool, a string's length.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Self::Bool(_) => 1,
            Self::Integer(_) | Self::Float(_) => 8,
            Self::String(text) => text.len(),
        }
    }
}

/// A value that an attribute cannot hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadValue {
    /// Beyond ±(2^53 − 1).
    #[error("an integer attribute must lie within ±9007199254740991")]
    Integer,
    /// NaN, infinite, or −0.
    #[error("a float attribute must be finite and not -0")]
    Float,
    /// The same key twice in one map.
    #[error("an attribute key stands twice")]
    DuplicateKey,
}

/// An integer that survives any JSON reader.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Integer(i64);

impl Integer {
    /// # Errors
    /// [`BadValue::Integer`] beyond ±(2^53 − 1).
    pub const fn new(number: i64) -> Result<Self, BadValue> {
        if number.unsigned_abs() <= NUMBER_MAX { Ok(Self(number)) } else { Err(BadValue::Integer) }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }
}

impl<'de> Deserialize<'de> for Integer {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Self::new(i64::deserialize(d)?).map_err(de::Error::custom)
    }
}

/// A finite float with one bit pattern a value, so that equality and the checksum agree.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct Float(f64);

/// It is never NaN.
impl Eq for Float {}

impl Float {
    /// # Errors
    /// [`BadValue::Float`] for NaN, the infinities and −0.
    pub fn new(number: f64) -> Result<Self, BadValue> {
        let negative_zero = number == 0.0 && number.is_sign_negative();
        if number.is_finite() && !negative_zero { Ok(Self(number)) } else { Err(BadValue::Float) }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> f64 {
        self.0
    }
}

impl<'de> Deserialize<'de> for Float {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Self::new(f64::deserialize(d)?).map_err(de::Error::custom)
    }
}

/// The name that the schema has: by `Value` its generator understands anything.
#[cfg(feature = "openapi")]
type AttributeValue = Value;

/// A stack's attributes, in byte order of their keys. Immutable: a change makes a new set, so that two stacks never
/// share one. An empty set costs one null pointer.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(value_type = BTreeMap<String, AttributeValue>))]
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Attributes(Option<Arc<BTreeMap<AttributeKey, Value>>>);

impl Attributes {
    /// The set of these pairs.
    #[must_use]
    pub fn new(pairs: BTreeMap<AttributeKey, Value>) -> Self {
        Self(if pairs.is_empty() { None } else { Some(Arc::new(pairs)) })
    }

    /// No attribute at all.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |pairs| pairs.len())
    }

    /// One value.
    #[must_use]
    pub fn get(&self, key: &AttributeKey) -> Option<&Value> {
        self.0.as_ref()?.get(key)
    }

    /// All pairs, keys in byte order.
    pub fn iter(&self) -> impl Iterator<Item = (&AttributeKey, &Value)> {
        self.0.iter().flat_map(|pairs| pairs.iter())
    }

    /// A copy that can be changed.
    #[must_use]
    pub fn to_map(&self) -> BTreeMap<AttributeKey, Value> {
        self.0.as_ref().map(|pairs| (**pairs).clone()).unwrap_or_default()
    }

    /// Bytes of all keys and values, as the limit counts them.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.iter().map(|(key, value)| key.as_str().len().saturating_add(value.bytes())).sum()
    }
}

impl fmt::Debug for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl Serialize for Attributes {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut map = s.serialize_map(Some(self.len()))?;
        for (key, value) in self.iter() {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Attributes {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> de::Visitor<'de> for Pairs {
            type Value = Attributes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of attributes")
            }

            // Derived maps let the last of two equal keys win; here that would be a silent loss.
            fn visit_map<A: de::MapAccess<'de>>(self, mut access: A) -> Result<Attributes, A::Error> {
                let mut pairs = BTreeMap::new();
                while let Some((key, value)) = access.next_entry::<AttributeKey, Value>()? {
                    if pairs.insert(key, value).is_some() {
                        return Err(de::Error::custom(BadValue::DuplicateKey));
                    }
                }
                Ok(Attributes::new(pairs))
            }
        }
        d.deserialize_map(Pairs)
    }
}
