//! What is compared with what, under which load: the names that people type and files bear.

use clap::ValueEnum;
use serde::Serialize;
use std::fmt;

/// A server that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// The bare echo server: the yardstick.
    Echo,
    /// Holdall on the embedded store; a reply leaves after its commit.
    EmbeddedDurable,
    /// Holdall on the embedded store; a reply leaves at once.
    EmbeddedApplied,
    /// Holdall on a Redis of its own; a reply leaves after its commit.
    RedisDurable,
    /// Holdall on a Redis of its own; a reply leaves at once.
    RedisApplied,
}

impl Target {
    /// All of them, in the order of a round.
    pub const ALL: [Self; 5] =
        [Self::Echo, Self::EmbeddedDurable, Self::EmbeddedApplied, Self::RedisDurable, Self::RedisApplied];

    /// Whether it needs a Redis.
    #[must_use]
    pub const fn on_redis(self) -> bool {
        matches!(self, Self::RedisDurable | Self::RedisApplied)
    }

    /// When its replies leave, as its config says it; nothing for echo, which has none.
    #[must_use]
    pub const fn ack(self) -> Option<&'static str> {
        match self {
            Self::Echo => None,
            Self::EmbeddedDurable | Self::RedisDurable => Some("durable"),
            Self::EmbeddedApplied | Self::RedisApplied => Some("applied"),
        }
    }
}

/// What is asked of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize)]
pub enum Load {
    /// 64 connections with one request in flight each.
    #[value(name = "64x1")]
    #[serde(rename = "64x1")]
    Shallow,
    /// 64 connections with eight requests in flight each.
    #[value(name = "64x8")]
    #[serde(rename = "64x8")]
    Deep,
    /// 20,000 requests a second over 500 connections, sent when they are due, whether replies came or not.
    #[serde(rename = "open")]
    Open,
    /// 5,000 players log in, stand idle and resume. Holdall with durable replies only.
    #[serde(rename = "players")]
    Players,
    /// Players with 10 stacks beside players with 1,000. Holdall with durable replies only.
    #[serde(rename = "bags")]
    Bags,
}

impl Load {
    /// All of them, in the order of a turn.
    pub const ALL: [Self; 5] = [Self::Shallow, Self::Deep, Self::Open, Self::Players, Self::Bags];

    /// Whether it is put on this target.
    #[must_use]
    pub fn suits(self, target: Target) -> bool {
        match self {
            Self::Shallow | Self::Deep | Self::Open => true,
            Self::Players | Self::Bags => target.ack() == Some("durable"),
        }
    }
}

fn named(f: &mut fmt::Formatter<'_>, value: &impl ValueEnum) -> fmt::Result {
    f.pad(value.to_possible_value().expect("no value is hidden").get_name())
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        named(f, self)
    }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        named(f, self)
    }
}
