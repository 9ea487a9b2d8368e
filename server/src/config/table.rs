//! The table of knobs: one line each, with its doc, type, default and range. The settings, their checks and the shipped
//! `config/holdall.toml` all come from it.

use super::{
    kinds::{Ack, Algorithm, KitLine, Level, LogFormat, SignIn, WebOrigin},
    load::Reader,
    realm::{RealmName, StoreUrl},
    setting::{Setting, Thousandths},
};
use holdall_protocol::ids::{ItemId, SlotId};
use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

/// A knob as the manual and the messages describe it.
#[derive(Debug)]
pub struct Knob {
    /// Its section in the config file.
    pub section: &'static str,
    /// What the section is about.
    pub about: &'static str,
    /// Its name within the section.
    pub name: &'static str,
    /// `section.name`.
    pub path: &'static str,
    /// What it does, line by line.
    pub doc: &'static [&'static str],
    /// The range of a number, as `1..=10`.
    pub range: Option<&'static str>,
    /// What the shipped config file sets instead of the default, as TOML.
    pub shipped: Option<&'static str>,
}

/// Turns the table into structs, into [`KNOBS`], and into the way to read it all.
macro_rules! knobs {
    ($(#[doc = $about:literal] $section:ident: $type:ident {
        $($(#[doc = $doc:literal])* $name:ident: $kind:ty = $default:expr $(, in $range:expr)? $(, shipped $shipped:literal)?;)*
    })*) => {
        /// Everything an operator can turn, section by section.
        #[derive(Debug, Clone, PartialEq)]
        pub struct Settings { $(#[doc = $about] pub $section: $type,)* }

        $(#[doc = $about]
        #[derive(Debug, Clone, PartialEq)]
        pub struct $type { $($(#[doc = $doc])* pub $name: $kind,)* })*

        /// Every knob, in the order of the config file.
        pub const KNOBS: &[Knob] = &[$($(Knob {
            section: stringify!($section),
            about: $about,
            name: stringify!($name),
            path: concat!(stringify!($section), ".", stringify!($name)),
            doc: &[$($doc),*],
            range: knobs!(@text $($range)?),
            shipped: knobs!(@literal $($shipped)?),
        },)*)*];

        impl Settings {
            /// Asks `reader` for every knob.
            pub(super) fn read(reader: &mut Reader<'_>) -> Self {
                Self { $($section: $type { $($name: {
                    let path = concat!(stringify!($section), ".", stringify!($name));
                    let within = |_value: &$kind| knobs!(@within _value $($range)?);
                    reader.knob::<$kind>(path, stringify!($default), within)
                },)* },)* }
            }

            /// Every knob's value as TOML, in the order of [`KNOBS`].
            #[must_use]
            pub fn values(&self) -> Vec<String> {
                vec![$($(self.$section.$name.to_toml(),)*)*]
            }
        }
    };
    (@text) => { None };
    (@text $range:expr) => { Some(stringify!($range)) };
    (@literal) => { None };
    (@literal $literal:literal) => { Some($literal) };
    (@within $value:ident) => { true };
    (@within $value:ident $range:expr) => { ($range).contains($value) };
}

knobs! {
    /// Where the server listens and keeps its things.
    server: Server {
        /// Address and port for game clients (ws://ADDRESS/ws). Port 0 takes a free one.
        listen: SocketAddr = "127.0.0.1:7777";
        /// Address and port for operators: health, metrics and the operator API. Keep it off the internet.
        operator_listen: SocketAddr = "127.0.0.1:7780";
        /// Directory of this process's own files: the embedded store, the node id, the spool. Made if it is not there.
        data_dir: PathBuf = "data", shipped "\"../data\"";
        /// File with the operators' API keys (their hashes), which `holdall key` writes; "" is operator-keys.json in the data
        /// directory. Read again when it changes.
        operator_keys_file: Option<PathBuf> = "";
        /// Threads that serve clients; 0 is one a core.
        worker_threads: usize = 0, in 0..=1_024;
        /// Web pages that may connect, as browsers name them: `["https://play.example.com"]`. A client that is no browser
        /// sends no Origin and always may; while this is empty, pages on this machine (localhost, 127.0.0.1, `[::1]`) may.
        origins: Vec<WebOrigin> = [];
        /// Proxies in front of the server, as addresses without ports. From these only, the last address in
        /// X-Forwarded-For that is not itself such a proxy counts as the client's.
        trusted_proxies: Vec<IpAddr> = [];
        /// Certificate chain (PEM) to serve wss:// instead of ws://. Needs tls_key_file as well.
        tls_cert_file: Option<PathBuf> = "";
        /// Private key (PEM) of the certificate.
        tls_key_file: Option<PathBuf> = "";
    }

    /// How players prove who they are.
    auth: Auth {
        /// "development": `dev:<player-id>` is believed, and the server listens on loopback only. "jwt": signed tokens.
        mode: SignIn = "development";
        /// How tokens are signed: "HS256", "EdDSA", "RS256" or "ES256". Others are refused.
        algorithm: Algorithm = "HS256";
        /// File with the key that checks tokens: for HS256 the secret itself (32 bytes or more), otherwise the public key
        /// (PEM).
        key_file: Option<PathBuf> = "";
        /// The `aud` that a token must carry.
        audience: String = "";
        /// The claim that holds the player id.
        player_claim: String = "sub";
        /// Seconds that clocks may differ when a token's times are checked.
        leeway_seconds: u64 = 5, in 0..=10;
    }

    /// What exists in the game.
    catalog: CatalogFile {
        /// The items.
        items_file: PathBuf = "items.toml";
        /// The steps that change what players already have, taken once by each player when it is loaded. May be absent.
        migrations_file: PathBuf = "migrations.toml";
        /// What is for sale in limited numbers. May be absent.
        shop_file: PathBuf = "shop.toml";
    }

    /// Bags, and selling out of them.
    inventory: Inventory {
        /// Slots of a bag; 0 is as many as there can be, 10000.
        max_slots: u16 = 100, in 0..=10_000;
        /// What a player can carry, in the units of the items' weights, with up to three decimals; 0 is no bound.
        max_weight: Thousandths = 0;
        /// What a sold item brings, in thousandths of its base value: 500 is half.
        sell_rate: u64 = 500, in 0..=1_000;
        /// The currency it is paid in.
        sell_currency: ItemId = "gold";
    }

    /// What players wear and wield.
    equipment: Equipment {
        /// Every equipment slot there is, in the order clients show them.
        slots: Vec<SlotId> = ["head", "chest", "legs", "feet", "hands", "main_hand", "off_hand", "ring_1", "ring_2", "necklace"];
        /// The two slots that a two-handed item holds: it sits in the first and keeps the second empty.
        hands: [SlotId; 2] = ["main_hand", "off_hand"];
    }

    /// What a new player starts with.
    new_player: NewPlayer {
        /// Items and currencies, granted once, when the player is born.
        kit: Vec<KitLine> = [], shipped "[
    { item = \"gold\", quantity = 100 },
    { item = \"iron_sword\", quantity = 1 },
    { item = \"leather_cap\", quantity = 1 },
    { item = \"health_potion\", quantity = 5 },
    { item = \"bread\", quantity = 10 },
]";
    }

    /// Where players rest, and how changes become durable.
    store: Store {
        /// Where: "" is a file in the data directory. "redis://HOST:PORT", or "rediss://…" for TLS, with a user and a database
        /// number where needed, is a Redis (7.0 or later, or Valkey) that several servers may share.
        url: StoreUrl = "";
        /// File with the password of that Redis.
        password_file: Option<PathBuf> = "";
        /// Certificate (PEM) of the authority that vouches for that Redis, where this machine does not know it.
        ca_file: Option<PathBuf> = "";
        /// Which world in that Redis: servers with the same realm share their players.
        realm: RealmName = "main";
        /// Milliseconds that a server keeps its players after its last sign of life to that Redis. When it dies, others take
        /// them after so long; when Redis is away for so long, it serves nobody until it is back.
        lease_ms: u64 = 10_000, in 500..=600_000;
        /// "durable": a reply leaves after the commit that holds its change. "applied": replies leave at once and a crash
        /// loses up to autosave_interval_ms of each player's last changes (never half a change; what touches two players
        /// is always durable).
        ack: Ack = "durable";
        /// With ack = "applied", milliseconds after its first unsaved change that a player is saved.
        autosave_interval_ms: u64 = 30_000, in 10..=3_600_000;
        /// Bytes of changes that may wait for the store; past it, new changes are refused as store_unavailable.
        pending_bytes_max: usize = 67_108_864, in 65_536..=17_179_869_184;
        /// Bytes of memory in which the embedded store keeps what it read.
        cache_bytes: usize = 67_108_864, in 1_048_576..=68_719_476_736;
    }

    /// How long the ledger keeps what happened. What goes makes room for an opening balance; `holdall ledger export` keeps it.
    ledger: Ledger {
        /// Entries of one player that are kept at least. Some time after there are half as many again while the player
        /// is loaded, the older ones go; the last 64 never.
        entries_max: u64 = 10_000, in 64..=10_000_000;
        /// Days after which entries go even where there are fewer, some hundreds at a time; 0: never.
        days_max: u64 = 0, in 0..=36_500;
    }
    /// What one client, and all of them together, may ask for.
    limits: Limits {
        /// Connections in all. At start the limit of open files is raised to fit, or this is lowered and the log says so.
        connections_max: usize = 20_000, in 1..=1_000_000;
        /// Connections from one address. Loopback is exempt.
        connections_per_address_max: usize = 200, in 1..=1_000_000;
        /// Milliseconds for the HTTP (and TLS) handshake, and as many again for the hello.
        hello_deadline_ms: u64 = 5_000, in 50..=60_000;
        /// Milliseconds without a byte from the client, after which it is closed.
        idle_timeout_ms: u64 = 60_000, in 100..=3_600_000;
        /// Milliseconds of silence after which the server pings; below idle_timeout_ms.
        ping_interval_ms: u64 = 20_000, in 50..=3_600_000;
        /// Milliseconds that a player stays loaded after its connection ended, so that it can resume.
        linger_ms: u64 = 30_000, in 0..=3_600_000;
        /// Bytes in one frame from a client; a longer one closes the connection.
        frame_bytes_max: usize = 16_384, in 256..=1_048_576;
        /// Bytes waiting for one client, past which its deltas collapse into one later snapshot.
        outbox_bytes_max: usize = 262_144, in 4_096..=67_108_864;
        /// Milliseconds that a client may stay past outbox_bytes_max before it is closed as slow.
        slow_reader_grace_ms: u64 = 10_000, in 50..=600_000;
        /// Bytes of replies and deltas kept for each loaded player, for resumes and repeated requests.
        resume_bytes_max: usize = 16_384, in 0..=16_777_216;
        /// Requests of one client between their arrival and their reply; past it, reading stops.
        in_flight_max: usize = 64, in 1..=1_024;
        /// Bytes in which the messages of each connection are put together, at first; it grows to the longest.
        read_buffer_bytes: usize = 256, in 256..=1_048_576;
        /// Bytes of the kernel's send buffer of each connection: what it swallows for a client that does not read.
        send_buffer_bytes: usize = 65_536, in 4_096..=16_777_216;
        /// Actions a second of one player, over all its connections.
        actions_per_second: u32 = 10, in 1..=1_000_000;
        /// Actions that a rested player may do at once.
        actions_burst: u32 = 10, in 1..=1_000_000;
        /// Gifts a minute of one player; each is an action as well.
        gifts_per_minute: u32 = 30, in 1..=1_000_000;
        /// Gifts that a rested player may make at once.
        gifts_burst: u32 = 5, in 1..=1_000_000;
        /// Requests refused for their rate, without one served between, after which the connection is closed.
        excess_max: u32 = 100, in 1..=1_000_000;
        /// Lines in one gift.
        gift_items_max: usize = 16, in 1..=64;
        /// Gifts that wait for one player who is not in the game or has no room. More are refused.
        inbox_max: usize = 100, in 1..=200;
        /// Days after which a gift that still has no room goes back to whoever gave it, the next time its receiver plays.
        inbox_days: u64 = 30, in 0..=3_650;
        /// Lines in one trade offer, items and currencies together.
        offer_lines_max: usize = 16, in 1..=64;
        /// Milliseconds after which an invite to trade that nobody answered is void.
        invite_expiry_ms: u64 = 30_000, in 50..=600_000;
        /// Milliseconds after its last change that an open trade is closed.
        trade_expiry_ms: u64 = 300_000, in 50..=3_600_000;
        /// Invites to trade that a player may send in a minute.
        invites_per_minute: usize = 20, in 1..=10_000;
        /// Those among them to one and the same player.
        invites_per_pair_per_minute: usize = 5, in 1..=10_000;
        /// Invites to trade that may wait for one player's answer.
        incoming_invites_max: usize = 8, in 1..=1_000;
        /// Seconds for which a player holds something in the shop, where the client does not say.
        hold_seconds: u64 = 120, in 1..=3_600;
        /// Holds in the shop that one player may have open.
        holds_max: u32 = 8, in 1..=64;
        /// Units in one hold.
        hold_units_max: u64 = 1_000, in 1..=1_000_000;
        /// Holds that a player may make in a minute; each is an action as well.
        holds_per_minute: u32 = 30, in 1..=1_000_000;
        /// Holds that a rested player may make at once.
        holds_burst: u32 = 5, in 1..=1_000_000;
        /// Attributes on one stack.
        attributes_max: usize = 32, in 0..=256;
        /// Bytes of all attributes on one stack, keys and values.
        attribute_bytes_max: usize = 1_024, in 0..=65_536;
        /// Seconds that a stopping server gives to finish what is in flight and to save.
        drain_seconds: u64 = 10, in 1..=600;
    }

    /// What the server says while it runs.
    log: Log {
        /// "text" for people, "json" for machines.
        format: LogFormat = "text";
        /// The least serious line that is written: "error", "warn", "info", "debug" or "trace".
        level: Level = "info";
    }
}
