//! Reading the settings: defaults < file < environment < flags, every fault at once, and where each value came from.

use super::{
    document::{Document, unknown_keys},
    fault::{Fault, Faults, did_you_mean},
    relations,
    setting::Setting,
    table::{KNOBS, Settings},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::{Path, PathBuf},
};
use toml::{Spanned, de::DeValue};

/// What every environment variable of ours starts with.
const PREFIX: &str = "HOLDALL_";

/// A knob set on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flag {
    /// As it was typed: `--listen`.
    pub flag: &'static str,
    /// The knob it sets: `server.listen`.
    pub path: &'static str,
    /// To what.
    pub text: String,
}

impl Flag {
    /// A knob as it was typed.
    #[must_use]
    pub fn new(flag: &'static str, path: &'static str, text: &str) -> Self {
        Self { flag, path, text: text.to_owned() }
    }
}

/// Where settings can come from, besides their defaults.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sources {
    /// The config file.
    pub file: Option<PathBuf>,
    /// The environment. What does not start with `HOLDALL_` is left alone.
    pub environment: Vec<(String, String)>,
    /// The command line.
    pub flags: Vec<Flag>,
}

/// Where one value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The knob's own default.
    Default,
    /// The config file.
    File {
        /// Its name.
        name: String,
        /// The line.
        line: usize,
    },
    /// An environment variable, by its name.
    Environment(String),
    /// A flag, by its name.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { name, line } => write!(f, "{name}:{line}"),
            Self::Environment(name) => f.write_str(name),
            Self::Flag(name) => f.write_str(name),
        }
    }
}

/// Settings that were read and checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The values.
    pub settings: Settings,
    /// The config file they were read from.
    pub file: Option<PathBuf>,
    origins: BTreeMap<&'static str, Origin>,
    /// Knobs whose value could not be used; they stand at their default.
    bad: BTreeSet<&'static str>,
}

impl Default for Loaded {
    /// Every knob at its default.
    fn default() -> Self {
        Self { settings: Settings::default(), file: None, origins: BTreeMap::new(), bad: BTreeSet::new() }
    }
}

impl Default for Settings {
    fn default() -> Self {
        let mut reader = Reader::default();
        let settings = Self::read(&mut reader);
        assert!(reader.faults.is_empty(), "a default is not a valid value: {}", reader.faults);
        settings
    }
}

impl Loaded {
    /// Where the value of `path` (`server.listen`) came from.
    #[must_use]
    pub fn origin(&self, path: &str) -> &Origin {
        self.origins.get(path).unwrap_or(&Origin::Default)
    }

    /// Whether every value whose path starts with `prefix` could be used as it was typed.
    #[must_use]
    pub fn is_sound(&self, prefix: &str) -> bool {
        !self.bad.iter().any(|path| path.starts_with(prefix))
    }

    /// A fault of the value of `path`, placed where the value came from.
    #[must_use]
    pub fn fault(&self, path: &str, what: impl fmt::Display) -> Fault {
        at(self.origin(path), format!("{path}: {what}"))
    }
}

/// A fault at an origin.
fn at(origin: &Origin, what: String) -> Fault {
    match origin {
        Origin::Default => Fault { place: "default settings".to_owned(), line: None, what },
        Origin::File { name, line } => Fault { place: name.clone(), line: Some(*line), what },
        Origin::Environment(name) => Fault { place: name.clone(), line: None, what },
        Origin::Flag(name) => Fault { place: (*name).to_owned(), line: None, what },
    }
}

impl Settings {
    /// Reads and checks all of it. A file that is named must exist.
    ///
    /// # Errors
    /// Everything that is wrong, each with its file and line, environment variable or flag.
    pub fn load(sources: &Sources) -> Result<Loaded, Faults> {
        let (loaded, faults) = Self::survey(sources);
        faults.unless_any(loaded)
    }

    /// Reads and checks all of it, and goes on past faults with the default, so that what the settings name can be
    /// looked at as well. Nothing may run on a survey that has faults.
    #[must_use]
    pub fn survey(sources: &Sources) -> (Loaded, Faults) {
        let mut faults = Faults::default();
        let mut text = String::new();
        let mut name = String::new();
        if let Some(path) = &sources.file {
            name = path.display().to_string();
            match std::fs::read_to_string(path) {
                Ok(read) => text = read,
                Err(error) => {
                    let what = format!("the config file cannot be read: {error}");
                    faults.push(Fault { place: name.clone(), line: None, what });
                }
            }
        }
        // Without a file the empty text stands for it.
        let document = Document::read(&name, &text, &mut faults);
        let mut reader = Reader { base: sources.file.as_deref().and_then(Path::parent), faults, ..Reader::default() };
        reader.take_file(&document, &name);
        reader.take_environment(&sources.environment);
        for flag in &sources.flags {
            reader.values.insert(flag.path, (Origin::Flag(flag.flag), Typed::Text(&flag.text)));
        }
        let settings = Self::read(&mut reader);
        let Reader { mut faults, values, bad, .. } = reader;
        let origins = values.into_iter().map(|(path, (origin, _))| (path, origin)).collect();
        let loaded = Loaded { settings, file: sources.file.clone(), origins, bad };
        relations::check(&loaded, &mut faults);
        (loaded, faults)
    }
}

/// A value as it was typed.
#[derive(Debug, Clone, Copy)]
enum Typed<'t> {
    /// In the config file.
    Toml(&'t Document<'t>, &'t Spanned<DeValue<'t>>),
    /// In the environment or on the command line.
    Text(&'t str),
}

/// Values by knob, from the least to the most particular source: the last one stands.
#[derive(Debug, Default)]
pub(super) struct Reader<'t> {
    /// Where relative paths of the file, and of defaults beside it, start.
    base: Option<&'t Path>,
    values: BTreeMap<&'static str, (Origin, Typed<'t>)>,
    faults: Faults,
    /// Knobs whose value could not be used.
    bad: BTreeSet<&'static str>,
}

impl<'t> Reader<'t> {
    fn take_file(&mut self, document: &'t Document<'t>, name: &str) {
        let mut wrong = Vec::new();
        let sections: Vec<&str> = KNOBS.iter().map(|knob| knob.section).collect();
        unknown_keys(document.root(), &sections, "the config", &mut wrong);
        for (section, value) in document.root().iter().filter(|(key, _)| sections.contains(&key.get_ref().as_ref())) {
            let section = section.get_ref();
            let DeValue::Table(table) = value.get_ref() else {
                self.faults.push(document.fault(&value.span(), format!("{section} is a section: write [{section}]")));
                continue;
            };
            let knobs: Vec<_> = KNOBS.iter().filter(|knob| knob.section == section.as_ref()).collect();
            let names: Vec<&str> = knobs.iter().map(|knob| knob.name).collect();
            unknown_keys(table, &names, &format!("[{section}]"), &mut wrong);
            for knob in knobs {
                if let Some(value) = table.get(knob.name) {
                    let origin = Origin::File { name: name.to_owned(), line: document.line(&value.span()) };
                    self.values.insert(knob.path, (origin, Typed::Toml(document, value)));
                }
            }
        }
        for wrong in wrong {
            self.faults.push(document.fault(&wrong.span, wrong.what));
        }
    }

    fn take_environment(&mut self, environment: &'t [(String, String)]) {
        let names: Vec<String> = KNOBS.iter().map(variable).collect();
        for (name, text) in environment.iter().filter(|(name, _)| name.starts_with(PREFIX)) {
            match KNOBS.iter().zip(&names).find(|(_, known)| *known == name) {
                Some((knob, _)) => {
                    self.values.insert(knob.path, (Origin::Environment(name.clone()), Typed::Text(text)));
                }
                None => {
                    // Never its value: somebody may have put a secret there.
                    let hint = did_you_mean(name, names.iter().map(String::as_str));
                    let what = format!("there is no such setting{hint} (settings are {PREFIX}SECTION__KNOB)");
                    self.faults.push(Fault { place: name.clone(), line: None, what });
                }
            }
        }
    }

    /// The value of one knob. What cannot be used is a fault, and the default stands in for it, so that reading goes on.
    pub(super) fn knob<T: Setting>(
        &mut self,
        path: &'static str,
        default: &'static str,
        within: impl Fn(&T) -> bool,
    ) -> T {
        let origin = self.values.get(path).map(|(origin, _)| origin.clone());
        let read = match self.values.get(path).map(|(_, typed)| *typed) {
            None => None,
            Some(Typed::Text(text)) => Some(T::from_text(text).map_err(|what| vec![(None, what)])),
            Some(Typed::Toml(document, value)) => Some(T::from_toml(value).map_err(|wrong| {
                wrong.into_iter().map(|wrong| (Some(document.line(&wrong.span)), wrong.what)).collect()
            })),
        };
        let read = read.map(|read| {
            let range = KNOBS.iter().find(|knob| knob.path == path).and_then(|knob| knob.range);
            read.and_then(|value| {
                let outside = || vec![(None, format!("must be {}, not {}", in_words(range), value.to_toml()))];
                if within(&value) { Ok(value) } else { Err(outside()) }
            })
        });
        let origin = origin.unwrap_or(Origin::Default);
        let from_file = matches!(origin, Origin::Default | Origin::File { .. });
        let mut value = match read {
            Some(Ok(value)) => value,
            Some(Err(wrong)) => {
                self.bad.insert(path);
                for (line, what) in wrong {
                    let fault = at(&origin, format!("{path}: {what}"));
                    self.faults.push(Fault { line: line.or(fault.line), ..fault });
                }
                of_default(default)
            }
            None => of_default(default),
        };
        if let Some(base) = self.base.filter(|_| from_file) {
            value.resolve(base);
        }
        value
    }
}

/// The table's default as a value.
fn of_default<T: Setting>(default: &str) -> T {
    let value = DeValue::parse(default).expect("a default is TOML: the tests read them all");
    T::from_toml(&value).expect("a default is valid: the tests read them all")
}

/// The environment variable of a knob.
fn variable(knob: &super::Knob) -> String {
    format!("{PREFIX}{}__{}", knob.section.to_uppercase(), knob.name.to_uppercase())
}

/// A range for people.
pub(super) fn in_words(range: Option<&str>) -> String {
    let range = range.unwrap_or("").replace('_', "");
    match range.split_once("..=") {
        Some((from, to)) => format!("from {from} to {to}"),
        None => range,
    }
}
