//! One run: what it is made of, what its bots share, and its course from the first connection to the closed books.
//!
//! Called by the command line and by tests. Knows nothing of messages.

mod file;
mod play;
mod world;

pub use crate::url::Url;
use crate::{duration, mix::Weights, operator::Operator, token::Tokens};
pub use file::{BOTS_MAX, BUILT_IN, Faults, Scenario, share_of};
use holdall_protocol::frame::Subprotocol;
pub use play::{run, run_watched};
use serde::{Deserialize, Serialize, Serializer};
use std::time::Duration;
pub(crate) use world::World;

/// What makes a bot act.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Load {
    /// Each bot acts, reads the reply, and acts again this long after it acted first.
    ThinkTime(#[serde(serialize_with = "duration::serialize")] Duration),
    /// All bots together act so many times a second, replies or not. Latencies count from when a request was due.
    Rate(f64),
    /// Each bot keeps so many requests in flight and never thinks.
    Depth(usize),
}

/// Checks a rate.
///
/// # Errors
/// What is wrong with it, in words.
pub fn rate_of(number: f64) -> Result<f64, String> {
    if number.is_finite() && number > 0.0 { Ok(number) } else { Err("a rate is a number above 0".to_owned()) }
}

/// Everybody leaves and comes back at once, again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Storm {
    /// From one leave to the next.
    #[serde(with = "duration")]
    pub every: Duration,
    /// How long they stay away.
    #[serde(with = "duration")]
    pub away: Duration,
}

/// What a run is made of.
#[derive(Debug, Clone, Serialize)]
pub struct Options {
    /// The scenario that set what the command line did not.
    pub scenario: Option<String>,
    /// The server.
    #[serde(serialize_with = "url")]
    pub url: Url,
    /// How many bots, those that are no players included. The players are `bot-1` and so on.
    pub bots: usize,
    /// How long they play, from when all are in.
    #[serde(serialize_with = "duration::serialize")]
    pub duration: Duration,
    /// What makes them act.
    pub load: Load,
    /// What they do.
    pub mix: Weights,
    /// The same seed makes every bot choose alike.
    pub seed: u64,
    /// The encoding they speak.
    #[serde(serialize_with = "subprotocol")]
    pub subprotocol: Subprotocol,
    /// Bots let in a second.
    pub connect_rate: u32,
    /// Mean time after which a bot cuts its own connection and comes back; never when absent.
    #[serde(serialize_with = "duration::optional::serialize")]
    pub churn: Option<Duration>,
    /// Mean time that a bot stays away when the mix lets it leave.
    #[serde(serialize_with = "duration::serialize")]
    pub away: Duration,
    /// Everybody leaves and comes back at once, again and again; never when absent.
    pub storm: Option<Storm>,
    /// The share of the bots that read nothing for a while, again and again. What others give, they give to one of these.
    pub slow_readers: f64,
    /// For about how long, and how long they read between.
    #[serde(serialize_with = "duration::serialize")]
    pub slow_pause: Duration,
    /// The share of the bots that are no players and do what the server must refuse.
    pub abusers: f64,
    /// How they prove who they are.
    #[serde(skip)]
    pub tokens: Tokens,
    /// Who tops them up, where the server does not grant by itself.
    #[serde(serialize_with = "operator")]
    pub operator: Option<Operator>,
    /// The server's process on this machine, to measure what it costs.
    pub server_pid: Option<u32>,
    /// How long a bot tries to come back before it is a violation.
    #[serde(serialize_with = "duration::serialize")]
    pub give_up: Duration,
    /// How long a reply, or any progress of a join, may take while the connection stands, before it is a violation.
    #[serde(serialize_with = "duration::serialize")]
    pub patience: Duration,
}

impl Options {
    /// The default of [`Self::connect_rate`].
    pub const CONNECT_RATE: u32 = 500;
    /// The default of [`Self::away`].
    pub const AWAY: Duration = Duration::from_secs(15);
    /// The default of [`Self::slow_pause`].
    pub const SLOW_PAUSE: Duration = Duration::from_secs(4);

    /// The defaults: a bit of everything, 200 ms of thought, seed 1.
    #[must_use]
    pub const fn new(url: Url, bots: usize, duration: Duration) -> Self {
        Self {
            scenario: None,
            url,
            bots,
            duration,
            load: Load::ThinkTime(Duration::from_millis(200)),
            mix: Weights::DEFAULT,
            seed: 1,
            subprotocol: Subprotocol::Msgpack,
            connect_rate: Self::CONNECT_RATE,
            churn: None,
            away: Self::AWAY,
            storm: None,
            slow_readers: 0.0,
            slow_pause: Self::SLOW_PAUSE,
            abusers: 0.0,
            tokens: Tokens::Development,
            operator: None,
            server_pid: None,
            give_up: Duration::from_secs(30),
            patience: Duration::from_secs(30),
        }
    }

    /// How many of the bots are no players.
    #[must_use]
    pub fn abusers(&self) -> usize {
        part(self.abusers, self.bots)
    }

    /// How many of the bots are players.
    #[must_use]
    pub fn players(&self) -> usize {
        self.bots - self.abusers()
    }

    /// Whether this player is one of those who do not read all the time: they are spread evenly over all.
    pub(crate) fn reads_slowly(&self, number: usize) -> bool {
        part(self.slow_readers, number + 1) > part(self.slow_readers, number)
    }
}

/// A share of a number, rounded down; the share is from 0 to 1.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is from 0 to the number")]
fn part(share: f64, of: usize) -> usize {
    ((share * of as f64).floor() as usize).min(of)
}

fn url<S: Serializer>(url: &Url, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(url.as_str())
}

fn operator<S: Serializer>(operator: &Option<Operator>, to: S) -> Result<S::Ok, S::Error> {
    operator.as_ref().map(Operator::address).serialize(to)
}

fn subprotocol<S: Serializer>(subprotocol: &Subprotocol, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(subprotocol.as_str())
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
