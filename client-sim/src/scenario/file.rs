//! Scenarios: a whole kind of load by a name, or from a file.
//!
//! The ones that go by a name are the files in `config/scenarios`, so that they can be copied and changed.

use super::{Load, Options, Storm, Url, rate_of};
use crate::{
    duration,
    mix::{self, Weights},
    preset::{self, PresetError},
};
use serde::{Deserialize, Deserializer, de::Error};
use std::{ops::RangeInclusive, time::Duration};

/// The scenarios that go by a name.
pub const BUILT_IN: [(&str, &str); 6] = [
    ("steady", include_str!("../../../config/scenarios/steady.toml")),
    ("login_storm", include_str!("../../../config/scenarios/login_storm.toml")),
    ("market_day", include_str!("../../../config/scenarios/market_day.toml")),
    ("flaky_network", include_str!("../../../config/scenarios/flaky_network.toml")),
    ("slow_readers", include_str!("../../../config/scenarios/slow_readers.toml")),
    ("abusers", include_str!("../../../config/scenarios/abusers.toml")),
];

/// The most bots of one run.
pub const BOTS_MAX: u32 = 1_000_000;

/// A kind of load: what a scenario file says.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// How many bots, those that are no players included.
    #[serde(deserialize_with = "bots")]
    pub bots: u32,
    /// How long they play once all are in.
    #[serde(with = "duration")]
    pub duration: Duration,
    /// Bots let in a second.
    #[serde(default = "connect_rate", deserialize_with = "at_least_one")]
    pub connect_rate: u32,
    /// What they do.
    #[serde(default = "default_mix", deserialize_with = "mix::name_or_table")]
    pub mix: Weights,
    /// What makes them act.
    #[serde(deserialize_with = "load")]
    pub load: Load,
    /// What goes wrong.
    #[serde(default)]
    pub faults: Faults,
}

/// What goes wrong in a scenario.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// Mean time after which a bot cuts its own connection and comes back.
    #[serde(with = "duration::optional")]
    pub churn: Option<Duration>,
    /// Mean time that a bot stays away when the mix lets it leave.
    #[serde(with = "duration")]
    pub away: Duration,
    /// Everybody leaves and comes back at once.
    pub storm: Option<Storm>,
    /// The share of the bots that read nothing for a while, again and again. What others give, they give to one of these.
    #[serde(deserialize_with = "share")]
    pub slow_readers: f64,
    /// For about how long, and how long they read between.
    #[serde(with = "duration")]
    pub slow_pause: Duration,
    /// The share of the bots that are no players.
    #[serde(deserialize_with = "share")]
    pub abusers: f64,
}

impl Default for Faults {
    fn default() -> Self {
        let (away, slow_pause) = (Options::AWAY, Options::SLOW_PAUSE);
        Self { churn: None, away, storm: None, slow_readers: 0.0, slow_pause, abusers: 0.0 }
    }
}

impl Scenario {
    /// The scenario of this name, or of this file.
    ///
    /// # Errors
    /// [`PresetError`] where it is neither: it tells the names, or the line of the file and what may stand there.
    pub fn named(name: &str) -> Result<Self, PresetError> {
        match BUILT_IN.iter().find(|(known, _)| *known == name) {
            Some((_, text)) => preset::parse(name, text),
            None => preset::read("scenario", &BUILT_IN.map(|(name, _)| name), name),
        }
    }

    /// What a run against a server is made of.
    #[must_use]
    pub fn options(self, name: &str, url: Url) -> Options {
        let Self { bots, duration, connect_rate, mix, load, faults } = self;
        let Faults { churn, away, storm, slow_readers, slow_pause, abusers } = faults;
        Options {
            scenario: Some(name.to_owned()),
            load,
            mix,
            connect_rate,
            churn,
            away,
            storm,
            slow_readers,
            slow_pause,
            abusers,
            ..Options::new(url, usize::try_from(bots).unwrap_or(usize::MAX), duration)
        }
    }
}

/// Reads what makes them act: one of the three.
fn load<'de, D: Deserializer<'de>>(from: D) -> Result<Load, D::Error> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct OneOf {
        #[serde(default, with = "duration::optional")]
        think_time: Option<Duration>,
        #[serde(default, deserialize_with = "rate")]
        rate: Option<f64>,
        #[serde(default, deserialize_with = "depth")]
        depth: Option<u32>,
    }

    let OneOf { think_time, rate, depth } = OneOf::deserialize(from)?;
    match (think_time, rate, depth) {
        (Some(pause), None, None) => Ok(Load::ThinkTime(pause)),
        (None, Some(rate), None) => Ok(Load::Rate(rate)),
        (None, None, Some(depth)) => Ok(Load::Depth(usize::try_from(depth).unwrap_or(usize::MAX))),
        _ => Err(D::Error::custom("a load is one of think_time, rate and depth")),
    }
}

fn rate<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    rate_of(f64::deserialize(from)?).map(Some).map_err(D::Error::custom)
}

fn depth<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u32>, D::Error> {
    within(1..=u32::from(u16::MAX), from).map(Some)
}

const fn connect_rate() -> u32 {
    Options::CONNECT_RATE
}

const fn default_mix() -> Weights {
    Weights::DEFAULT
}

/// Reads a share of the bots.
///
/// # Errors
/// What is wrong with it, in words.
pub fn share_of(number: f64) -> Result<f64, String> {
    if (0.0..=1.0).contains(&number) { Ok(number) } else { Err(format!("{number} is no share: it is from 0 to 1")) }
}

fn share<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    share_of(f64::deserialize(from)?).map_err(D::Error::custom)
}

fn bots<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    within(1..=BOTS_MAX, from)
}

fn at_least_one<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    within(1..=u32::MAX, from)
}

fn within<'de, D: Deserializer<'de>>(range: RangeInclusive<u32>, from: D) -> Result<u32, D::Error> {
    let number = u32::deserialize(from)?;
    let (least, most) = (range.start(), range.end());
    let wrong = || D::Error::custom(format!("{number} is not from {least} to {most}"));
    range.contains(&number).then_some(number).ok_or_else(wrong)
}
