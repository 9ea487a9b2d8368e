//! The log: text for people or JSON for machines, on standard error, its level changeable while the server runs.

use std::{io::IsTerminal as _, sync::Arc};
use tracing::Metadata;
use tracing_subscriber::{
    filter::{LevelFilter, filter_fn},
    layer::SubscriberExt as _,
    reload,
    util::SubscriberInitExt as _,
};

/// Reads and changes the level.
#[derive(Clone)]
pub struct LogLevel(Arc<dyn Control>);

trait Control: Send + Sync {
    fn set(&self, level: LevelFilter) -> Result<(), String>;
    fn get(&self) -> String;
}

impl<S: 'static> Control for reload::Handle<LevelFilter, S> {
    fn set(&self, level: LevelFilter) -> Result<(), String> {
        self.reload(level).map_err(|error| error.to_string())
    }

    fn get(&self) -> String {
        self.clone_current().map_or_else(|| "unknown".to_owned(), |level| level.to_string())
    }
}

impl LogLevel {
    /// Starts the process's log. The second call in one process changes nothing but the level it returns.
    #[must_use]
    pub fn start(level: &str, json: bool) -> Self {
        let (filter, handle) = reload::Layer::new(parse(level).unwrap_or(LevelFilter::INFO));
        let registry = tracing_subscriber::registry().with(filter).with(filter_fn(ours_or_serious));
        let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false);
        // Somebody's own subscriber (a test's) stays.
        let _ = if json {
            registry.with(lines.json().flatten_event(true)).try_init()
        } else {
            registry.with(lines.with_ansi(std::io::stderr().is_terminal())).try_init()
        };
        Self(Arc::new(handle))
    }

    /// The level in force.
    #[must_use]
    pub fn get(&self) -> String {
        self.0.get()
    }

    /// Sets the least serious level that is written.
    ///
    /// # Errors
    /// What a level can be, when `level` is none.
    pub fn set(&self, level: &str) -> Result<(), String> {
        self.0.set(parse(level)?)
    }
}

/// Libraries may speak of trouble only: below that they print what goes over the wire, and with it sign-in tokens.
fn ours_or_serious(event: &Metadata<'_>) -> bool {
    event.target().starts_with("holdall") || *event.level() <= tracing::Level::WARN
}

fn parse(level: &str) -> Result<LevelFilter, String> {
    match level {
        "error" => Ok(LevelFilter::ERROR),
        "warn" => Ok(LevelFilter::WARN),
        "info" => Ok(LevelFilter::INFO),
        "debug" => Ok(LevelFilter::DEBUG),
        "trace" => Ok(LevelFilter::TRACE),
        _ => Err("level must be error, warn, info, debug or trace".to_owned()),
    }
}

impl std::fmt::Debug for LogLevel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("LogLevel").field(&self.get()).finish()
    }
}
