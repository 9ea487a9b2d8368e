//! The settings' own types: choices between words, web origins, and lines of the starting kit.

use super::{
    document::{Wrong, unknown_keys},
    fault::did_you_mean,
    setting::{Setting, Word, must_be},
};
use holdall_protocol::{NUMBER_MAX, ids::ItemId};
use std::{borrow::Cow, num::NonZeroU64};
use toml::{Spanned, de::DeValue};

/// Declares a choice between words.
macro_rules! choice {
    ($(#[doc = $doc:literal])* $name:ident, $takes:literal { $($(#[doc = $each:literal])* $variant:ident = $word:literal,)* }) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[doc = $each])* $variant,)* }

        impl $name {
            /// As it is written in the config.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }

        impl Word for $name {
            const TAKES: &'static str = $takes;

            fn read(text: &str) -> Result<Self, String> {
                match text {
                    $($word => Ok(Self::$variant),)*
                    _ => Err(format!("must be {}, not {text:?}{}", $takes, did_you_mean(text, [$($word),*]))),
                }
            }

            fn written(&self) -> Cow<'_, str> {
                self.as_str().into()
            }
        }
    };
}

choice! {
    /// How players prove who they are.
    SignIn, "\"development\" or \"jwt\"" {
        /// They do not: `dev:<player-id>` is believed, on loopback only.
        Development = "development",
        /// By a signed token.
        Jwt = "jwt",
    }
}

choice! {
    /// How tokens are signed.
    Algorithm, "\"HS256\", \"EdDSA\", \"RS256\" or \"ES256\"" {
        /// A secret shared with the signer.
        Hs256 = "HS256",
        /// An Ed25519 key pair.
        EdDsa = "EdDSA",
        /// An RSA key pair.
        Rs256 = "RS256",
        /// A P-256 key pair.
        Es256 = "ES256",
    }
}

choice! {
    /// When a reply may leave.
    Ack, "\"durable\" or \"applied\"" {
        /// After the commit that holds its change.
        Durable = "durable",
        /// At once; the change is saved soon after.
        Applied = "applied",
    }
}

choice! {
    /// How log lines look.
    LogFormat, "\"text\" or \"json\"" {
        /// For people.
        Text = "text",
        /// One JSON object a line.
        Json = "json",
    }
}

choice! {
    /// The least serious log line that is written.
    Level, "\"error\", \"warn\", \"info\", \"debug\" or \"trace\"" {
        /// Something failed and somebody should act.
        Error = "error",
        /// Something is odd.
        Warn = "warn",
        /// What an operator wants to see.
        Info = "info",
        /// What a developer wants to see.
        Debug = "debug",
        /// Everything.
        Trace = "trace",
    }
}

/// Where a browser's page came from, as its `Origin` header says: `https://play.example.com`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebOrigin(String);

impl WebOrigin {
    /// As the header spells it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Word for WebOrigin {
    const TAKES: &'static str = "an origin without a path, such as \"https://play.example.com\"";

    fn read(text: &str) -> Result<Self, String> {
        let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or_default();
        // Browsers send the host in lower case and without a path; anything else would silently never match.
        let fits = |byte: u8| byte.is_ascii_graphic() && !byte.is_ascii_uppercase() && !b"/?#@\\*".contains(&byte);
        if !host.is_empty() && host.bytes().all(fits) {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!("must be {}, in lower case, not {text:?}", <Self as Word>::TAKES))
        }
    }

    fn written(&self) -> Cow<'_, str> {
        self.as_str().into()
    }
}

/// One line of the starting kit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KitLine {
    /// An item, or a currency.
    pub item: ItemId,
    /// How many, at most 2^53 − 1.
    pub quantity: NonZeroU64,
}

impl Setting for KitLine {
    const TAKES: &'static str = "{ item = \"gold\", quantity = 100 }";

    fn from_toml(value: &Spanned<DeValue<'_>>) -> Result<Self, Vec<Wrong>> {
        let DeValue::Table(table) = value.get_ref() else { return Err(must_be::<Self>(value)) };
        let mut wrong = Vec::new();
        unknown_keys(table, &["item", "quantity"], "a line of the kit", &mut wrong);
        let item = match table.get("item").map(ItemId::from_toml) {
            Some(item) => item.map_err(|more| wrong.extend(more)).ok(),
            None => {
                wrong.push(Wrong::new(value, "a line of the kit needs an item: { item = \"gold\", quantity = 100 }"));
                None
            }
        };
        let quantity = match table.get("quantity") {
            Some(value) => u64::from_toml(value).and_then(|number| {
                let quantity = NonZeroU64::new(number).filter(|quantity| quantity.get() <= NUMBER_MAX);
                quantity.ok_or_else(|| vec![Wrong::new(value, format!("quantity must be from 1 to {NUMBER_MAX}"))])
            }),
            None => Ok(NonZeroU64::MIN),
        };
        let quantity = quantity.map_err(|more| wrong.extend(more)).ok();
        match (item, quantity) {
            (Some(item), Some(quantity)) if wrong.is_empty() => Ok(Self { item, quantity }),
            _ => Err(wrong),
        }
    }

    fn to_toml(&self) -> String {
        format!("{{ item = {}, quantity = {} }}", self.item.to_toml(), self.quantity)
    }
}
