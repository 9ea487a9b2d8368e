//! The settings that say where players rest.

use super::setting::Word;
use std::{borrow::Cow, fmt};

/// The address of a store: none is the embedded one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StoreUrl(Option<String>);

impl StoreUrl {
    /// The address of a Redis, password included; `None` for the embedded store.
    #[must_use]
    pub fn redis(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

impl Word for StoreUrl {
    const TAKES: &'static str =
        "\"\" for a file in the data directory, or an address such as \"redis://127.0.0.1:6379\"";

    fn read(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self(None));
        }
        let rest = text.strip_prefix("redis://").or_else(|| text.strip_prefix("rediss://")).unwrap_or_default();
        let host = rest.rsplit('@').next().unwrap_or_default();
        // Not repeated: there may be a password in it.
        if host.is_empty() || host.starts_with([':', '/']) || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(format!("must be {}", <Self as Word>::TAKES));
        }
        Ok(Self(Some(text.to_owned())))
    }

    /// Without the password.
    fn written(&self) -> Cow<'_, str> {
        let Some(url) = &self.0 else { return "".into() };
        let parts = url.split_once("://").and_then(|(scheme, rest)| Some((scheme, rest.rsplit_once('@')?)));
        match parts {
            Some((scheme, (credentials, host))) => {
                let user = credentials.split(':').next().unwrap_or_default();
                format!("{scheme}://{user}:***@{host}").into()
            }
            None => url.into(),
        }
    }
}

/// Without the password.
impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            None => f.write_str("embedded"),
            Some(_) => f.write_str(&self.written()),
        }
    }
}

/// The name of a realm: part of every key in a Redis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RealmName(String);

impl RealmName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Word for RealmName {
    const TAKES: &'static str = "1 to 64 of A-Z a-z 0-9 _ -";

    fn read(text: &str) -> Result<Self, String> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        if (1..=64).contains(&text.len()) && text.bytes().all(fits) {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!("must be {}, not {text:?}", <Self as Word>::TAKES))
        }
    }

    fn written(&self) -> Cow<'_, str> {
        self.as_str().into()
    }
}
