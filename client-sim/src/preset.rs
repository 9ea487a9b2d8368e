//! What goes by a name or by a file: scenarios and mixes are looked up here.
//!
//! Called by `mix` and `scenario`. Says what is allowed whenever something is not.

use serde::de::DeserializeOwned;
use std::path::Path;

/// A name or file that is of no use.
#[derive(Debug, thiserror::Error)]
pub enum PresetError {
    /// Neither a name nor a readable file.
    #[error("no {what} is called {name:?} (there are {known}), and no such file can be read: {source}")]
    Unknown {
        /// What was looked for.
        what: &'static str,
        /// What was asked for.
        name: String,
        /// The names there are.
        known: String,
        /// Why the file could not be read.
        source: std::io::Error,
    },
    /// Not what it should be.
    #[error("{name}: {source}")]
    Malformed {
        /// The file.
        name: String,
        /// What is wrong with it, and in which line.
        source: Box<toml::de::Error>,
    },
}

/// Reads a file, for a name that is none of those `known`.
///
/// # Errors
/// [`PresetError`] where there is no such file, or it holds something else.
pub fn read<T: DeserializeOwned>(what: &'static str, known: &[&str], name: &str) -> Result<T, PresetError> {
    let text = std::fs::read_to_string(Path::new(name)).map_err(|source| {
        let known = known.join(", ");
        PresetError::Unknown { what, name: name.to_owned(), known, source }
    })?;
    parse(name, &text)
}

/// Reads a file's text.
///
/// # Errors
/// [`PresetError::Malformed`] where it holds something else.
pub fn parse<T: DeserializeOwned>(name: &str, text: &str) -> Result<T, PresetError> {
    toml::from_str(text).map_err(|source| PresetError::Malformed { name: name.to_owned(), source: Box::new(source) })
}
