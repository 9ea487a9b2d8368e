//! What metrics are told apart by.

use super::series::Label;
use holdall_protocol::{
    action::{Action, Asked},
    close::Close,
    code::Code,
    message,
};

/// Labels whose values are listed.
macro_rules! labels {
    ($($(#[$doc:meta])* $name:ident = $label:literal { $($(#[$value_doc:meta])* $value:ident = $text:literal,)* })*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Copy, PartialEq, Eq)]
            pub enum $name { $($(#[$value_doc])* $value,)* }

            impl $name {
                const TEXTS: &'static [&'static str] = &[$($text),*];
            }

            impl Label for $name {
                const NAME: &'static str = $label;
                const COUNT: usize = Self::TEXTS.len();

                fn index(&self) -> usize {
                    *self as usize
                }

                fn value(index: usize) -> &'static str {
                    Self::TEXTS.get(index).copied().unwrap_or_default()
                }
            }
        )*
    };
}

labels! {
    /// What asked too often.
    Hurried = "of" {
        /// A request, of whatever kind.
        Request = "request",
        /// A login.
        Login = "login",
        /// A ping or pong.
        Control = "control",
    }
    /// With what a session began.
    Joining = "with" {
        /// All of the inventory, because the client had nothing of it.
        Snapshot = "snapshot",
        /// Only what the client had missed.
        Resume = "resume",
    }
    /// Why a client was sent all of its inventory although it had had it before.
    Resync = "reason" {
        /// It asked.
        Asked = "asked",
        /// It came back to another load of the player than it had left.
        Reloaded = "reloaded",
        /// It came back too late: what it had missed was no longer kept.
        Forgotten = "forgotten",
        /// It read so slowly that its deltas were let go.
        Slow = "slow_reader",
    }
    /// What a frame to a client holds.
    Content = "content" {
        /// All of an inventory.
        Snapshot = "snapshot",
        /// One revision.
        Delta = "delta",
        /// Anything else: refusals, answers, welcomes, steps of trades.
        Other = "other",
    }
    /// What the store said to a batch, each try counted.
    CommitAnswer = "answer" {
        /// Written.
        Applied = "applied",
        /// Written by an earlier try.
        Already = "already",
        /// Players belong to another owner by now.
        Fenced = "fenced",
        /// The store holds another history of players.
        Conflict = "conflict",
        /// The store has lost what it had acknowledged.
        Regressed = "regressed",
        /// The store was restarted.
        Restarted = "restarted",
        /// No answer: sent again, because nobody knows.
        Unknown = "unknown",
        /// Refused before anything was written: sent again later.
        Unavailable = "unavailable",
        /// It will never take anything any more.
        Broken = "broken",
    }
    /// How the load of a player ended.
    Load = "result" {
        /// In the game.
        Loaded = "loaded",
        /// Another process has the player and did not give it up in time.
        Elsewhere = "elsewhere",
        /// The store did not answer.
        StoreAway = "store_away",
        /// What is stored cannot be read or brought forward; it was left alone.
        Unreadable = "unreadable",
    }
    /// To what a stored player was brought forward at its load.
    Migration = "to" {
        /// A newer record format, its things unchanged.
        Format = "format",
        /// A newer content step.
        Content = "content",
    }
    /// A station of a gift.
    Gift = "step" {
        /// From hand to hand.
        Given = "given",
        /// Into the inbox of a player who was not here.
        Left = "left",
        /// Out of the inbox.
        Taken = "taken",
        /// Back to the giver's inbox, because it did not fit for too long.
        Returned = "returned",
    }
    /// How a trade ended.
    TradeEnding = "end" {
        /// Everything changed hands.
        Settled = "settled",
        /// The invite was declined.
        Declined = "declined",
        /// One of the two ended it.
        Cancelled = "cancelled",
        /// Nothing changed for too long, or the invite was not answered.
        Expired = "expired",
        /// One of the two was away for too long.
        Disconnected = "disconnected",
        /// One of the two is no longer served here.
        Lost = "lost",
        /// The server stopped.
        Stopped = "stopped",
    }
    /// Why a connection did not become a WebSocket.
    Refusal = "reason" {
        /// The server has as many as it may have.
        Full = "full",
        /// Its address has.
        AddressFull = "address_full",
        /// Over a bound, and too many are being refused already: cut without an answer.
        Dropped = "dropped",
        /// It belongs to a web page of a stranger.
        Origin = "origin",
        /// It asked for something else than the game, or in another protocol.
        Request = "request",
        /// No TLS came about.
        Tls = "tls",
        /// It was too slow.
        Timeout = "timeout",
    }
    /// A lock that others wait for.
    Lock = "lock" {
        /// One player's.
        Player = "player",
        /// The journal's pending set.
        Journal = "journal",
        /// The desk of trades.
        Desk = "desk",
    }
}

impl From<message::TradeEnd> for TradeEnding {
    fn from(end: message::TradeEnd) -> Self {
        match end {
            message::TradeEnd::Declined => Self::Declined,
            message::TradeEnd::Cancelled => Self::Cancelled,
            message::TradeEnd::Expired => Self::Expired,
            message::TradeEnd::Disconnected => Self::Disconnected,
            message::TradeEnd::Lost => Self::Lost,
            message::TradeEnd::Stopped => Self::Stopped,
        }
    }
}

/// How a request was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    /// Done: applied, or answered where it was a question.
    Done,
    /// It had been answered before, and that answer was sent again.
    Repeated,
    /// Not done, for this reason.
    Refused(Code),
}

impl Label for Reply {
    const NAME: &'static str = "result";
    const COUNT: usize = Code::ALL.len() + 2;

    fn index(&self) -> usize {
        match self {
            Self::Done => 0,
            Self::Repeated => 1,
            Self::Refused(code) => *code as usize + 2,
        }
    }

    fn value(index: usize) -> &'static str {
        match index {
            0 => "done",
            1 => "repeated",
            _ => Code::ALL.get(index - 2).map_or("", |code| code.as_str()),
        }
    }
}

/// What was asked for, by its name on the wire; `unknown` is all that has none.
impl Label for Asked {
    const NAME: &'static str = "action";
    const COUNT: usize = Action::NAMES.len() + 1;

    fn index(&self) -> usize {
        match self {
            Self::Known(action) => action.index(),
            Self::Unknown => Action::NAMES.len(),
        }
    }

    fn value(index: usize) -> &'static str {
        Action::NAMES.get(index).copied().unwrap_or("unknown")
    }
}

/// Why a connection ended: what the client was told, or `gone` where it went by itself.
impl Label for Option<Close> {
    const NAME: &'static str = "close";
    const COUNT: usize = Close::ALL.len() + 1;

    fn index(&self) -> usize {
        self.map_or(Close::ALL.len(), |close| close as usize)
    }

    fn value(index: usize) -> &'static str {
        Close::ALL.get(index).map_or("gone", |close| close.as_str())
    }
}
