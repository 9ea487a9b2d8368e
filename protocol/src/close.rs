//! Close codes: why a connection ended, and whether to come back.

macro_rules! closes {
    ($($variant:ident = $number:literal, $name:literal, $meaning:literal;)*) => {
        /// Why the server closed a connection. The code is the WebSocket close code, the reason text starts with
        /// the name. 4000 to 4499: reconnect, with backoff. 4500 to 4999: do not, until a person changed something.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Close {
            $(#[doc = $meaning] $variant,)*
        }

        impl Close {
            /// Every close code, in the order of the reference.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The name with which the reason text starts.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// The WebSocket close code.
            #[must_use]
            pub const fn number(self) -> u16 {
                match self { $(Self::$variant => $number),* }
            }

            /// One sentence for the reference.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning),* }
            }

            /// The close behind a WebSocket close code.
            #[must_use]
            pub fn from_number(number: u16) -> Option<Self> {
                Self::ALL.iter().copied().find(|close| close.number() == number)
            }
        }
    };
}

closes! {
    Restart = 4000, "restart", "The server stops or restarts; everything acknowledged is saved.";
    Moved = 4001, "moved", "The player is now served by another process.";
    Slow = 4002, "slow", "The client did not read what was sent for too long.";
    TokenExpired = 4003, "token_expired", "The sign-in token has expired; fetch a new one.";
    Idle = 4004, "idle", "Nothing was heard for too long, not even a pong.";
    Reload = 4005, "reload", "The server dropped its unsaved copy of the player; what was acknowledged is safe.";
    Full = 4006, "full", "The server has no room for another connection.";
    StoreUnavailable = 4007, "store_unavailable", "The player could not be loaded because the store is away.";
    RateLimited = 4008, "rate_limited", "Too many requests for too long.";
    PlayerBusy = 4009, "player_busy", "The player is just being loaded, saved or moved.";
    Replaced = 4500, "replaced", "The same player signed in elsewhere; the newest login wins.";
    Unauthorized = 4501, "unauthorized", "The sign-in token was not accepted.";
    Kicked = 4502, "kicked", "An operator closed the session.";
    ProtocolError = 4503, "protocol_error", "The client sent something this protocol does not allow.";
    FrameTooLarge = 4504, "frame_too_large", "A frame was longer than `frame_bytes_max`.";
    HelloTimeout = 4505, "hello_timeout", "No hello came in time.";
    PlayerRefused = 4506, "player_refused", "The stored player could not be read; an operator must look at it.";
}

impl Close {
    /// Whether a client should connect again by itself.
    #[must_use]
    pub const fn reconnect(self) -> bool {
        self.number() < 4500
    }
}

impl std::fmt::Display for Close {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
