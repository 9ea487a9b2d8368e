//! Strict reading of what clients send: maps only, every field at most once, unknown fields ignored.
//!
//! Derived deserialisers also accept an array in place of a struct; one request must have one shape.

use serde::Deserialize;

/// A type that may stand as a field of a [`body!`].
pub(crate) trait Field<'de>: Deserialize<'de> {
    /// What an absent field means; `None` where it must be there.
    fn absent() -> Option<Self> {
        None
    }
}

impl<'de, T: Deserialize<'de>> Field<'de> for Option<T> {
    fn absent() -> Option<Self> {
        Some(None)
    }
}

impl<'de, T: Deserialize<'de>> Field<'de> for Vec<T> {}

macro_rules! fields {
    ($($type:ty),*) => { $(impl<'de> $crate::strict::Field<'de> for $type {})* };
}
pub(crate) use fields;

fields!(bool, u16, u64, String);

/// Declares a struct that a client sends, with its strict deserialiser.
macro_rules! body {
    ($(#[$doc:meta])* pub struct $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, serde::Serialize)]
        pub struct $name { $($(#[$field_doc])* pub $field: $type,)* }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                struct Fields;
                impl<'de> serde::de::Visitor<'de> for Fields {
                    type Value = $name;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str(concat!("a map: ", stringify!($name)))
                    }

                    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut access: A) -> Result<$name, A::Error> {
                        $(let mut $field: Option<$type> = None;)*
                        while let Some(key) = access.next_key::<$crate::strict::Key>()? {
                            match key.as_str() {
                                $(stringify!($field) => {
                                    if $field.replace(access.next_value()?).is_some() {
                                        return Err(serde::de::Error::duplicate_field(stringify!($field)));
                                    }
                                })*
                                _ => { access.next_value::<serde::de::IgnoredAny>()?; }
                            }
                        }
                        Ok($name {
                            $($field: match $field.or_else(<$type as $crate::strict::Field>::absent) {
                                Some(value) => value,
                                None => return Err(serde::de::Error::missing_field(stringify!($field))),
                            },)*
                        })
                    }
                }
                d.deserialize_map(Fields)
            }
        }
    };
}
pub(crate) use body;

/// A map key of a message: short text, without an allocation.
pub(crate) struct Key {
    bytes: [u8; Key::LONGEST],
    len: usize,
}

impl Key {
    const LONGEST: usize = 32;

    /// The key; longer ones than any of ours read as an empty text, which is nobody's name.
    pub(crate) fn as_str(&self) -> &str {
        self.bytes.get(..self.len).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default()
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Name;
        impl serde::de::Visitor<'_> for Name {
            type Value = Key;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a text key")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Key, E> {
                let mut key = Key { bytes: [0; Key::LONGEST], len: 0 };
                if let Some(room) = key.bytes.get_mut(..text.len()) {
                    room.copy_from_slice(text.as_bytes());
                    key.len = text.len();
                }
                Ok(key)
            }
        }
        d.deserialize_str(Name)
    }
}
