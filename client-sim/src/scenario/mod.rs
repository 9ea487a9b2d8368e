//! One run: what it is made of, what its bots share, and its course from the first connection to the closed books.
//!
//! Called by the command line and by tests. Knows nothing of messages.

mod play;
mod world;

use crate::mix::Weights;
use holdall_protocol::frame::Subprotocol;
pub use play::{run, run_watched};
use std::{str::FromStr, time::Duration};
pub(crate) use world::World;

/// Where the server is: `ws://host:port/path`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    text: String,
    address: String,
}

impl Url {
    /// The whole of it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Host and port.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }
}

impl FromStr for Url {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let rest = text.strip_prefix("ws://").ok_or("it must begin with ws://")?;
        let host = rest.split_once('/').map_or(rest, |(host, _)| host);
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let address = if has_port { host.to_owned() } else { format!("{host}:80") };
        if host.is_empty() { Err("it names no host".to_owned()) } else { Ok(Self { text: text.to_owned(), address }) }
    }
}

/// What makes a bot act.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Load {
    /// Each bot acts, reads the reply, and acts again this long after it acted first.
    ThinkTime(Duration),
    /// All bots together act so many times a second, replies or not. Latencies count from when a request was due.
    Rate(f64),
    /// Each bot keeps so many requests in flight and never thinks.
    Depth(usize),
}

/// What a run is made of.
#[derive(Debug, Clone)]
pub struct Options {
    /// The server.
    pub url: Url,
    /// How many bots; their players are `bot-1` and so on.
    pub bots: usize,
    /// How long they play, from when all are in.
    pub duration: Duration,
    /// What makes them act.
    pub load: Load,
    /// What they do.
    pub mix: Weights,
    /// The same seed makes every bot choose alike.
    pub seed: u64,
    /// The encoding they speak.
    pub subprotocol: Subprotocol,
    /// Bots let in a second.
    pub connect_rate: u32,
    /// Mean time after which a bot cuts its own connection and comes back; never when absent.
    pub churn: Option<Duration>,
    /// Mean time that a bot stays away when the mix lets it leave.
    pub away: Duration,
    /// The server's process on this machine, to measure what it costs.
    pub server_pid: Option<u32>,
    /// How long a bot tries to come back before it is a violation.
    pub give_up: Duration,
    /// How long a reply, or any progress of a join, may take while the connection stands, before it is a violation.
    pub patience: Duration,
}

impl Options {
    /// The defaults: a bit of everything, 200 ms of thought, seed 1.
    #[must_use]
    pub const fn new(url: Url, bots: usize, duration: Duration) -> Self {
        Self {
            url,
            bots,
            duration,
            load: Load::ThinkTime(Duration::from_millis(200)),
            mix: Weights::DEFAULT,
            seed: 1,
            subprotocol: Subprotocol::Msgpack,
            connect_rate: 500,
            churn: None,
            away: Duration::from_secs(15),
            server_pid: None,
            give_up: Duration::from_secs(30),
            patience: Duration::from_secs(30),
        }
    }
}

/// What the bots are at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// They come in.
    Join,
    /// They act.
    Play,
    /// They act no more, end their trades and wait for their last replies.
    Drain,
    /// Everybody is in the game and takes what waits in the inboxes.
    Collect,
    /// Nobody's request is under way: each compares its mirror with a last snapshot.
    Prove,
    /// They took too long to drain or prove.
    Abort,
}
