//! Sockets: from a TCP connection to a WebSocket that a session serves.
//!
//! Owns the listener, TLS, the HTTP handshake and the bounds on connections. Called by `app`; hands each WebSocket to
//! [`Serve`](crate::session::Serve). Never reads a message, and knows no player.

mod admission;
mod buffered;
mod connection;
mod descriptors;
mod handshake;
mod listener;
mod tls;

pub use listener::{Bound, Bounds, bind};

use std::{
    io,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

/// The path of the game's WebSocket.
pub const GAME_PATH: &str = "/ws";

/// The gateway's settings.
#[derive(Debug, Clone)]
pub struct Options {
    /// Web pages that may connect, as `https://game.example`. Pages of this machine may too, and so may clients that
    /// are no browser: those send no origin.
    pub origins: Vec<String>,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpAddr>,
    /// Certificate and key; plain TCP when absent.
    pub tls: Option<TlsFiles>,
    /// Bytes in one message from a client.
    pub frame_bytes_max: usize,
    /// Connections in all.
    pub connections_max: usize,
    /// Connections from one address (IPv6: one /64 network); loopback is exempt.
    pub connections_per_address_max: usize,
    /// The longest time from the first byte of a connection to its WebSocket.
    pub hello_deadline: Duration,
    /// Bytes read from a socket at once; the buffer every idle connection keeps.
    pub read_buffer_bytes: usize,
    /// Bytes the kernel takes for a client that does not read.
    pub send_buffer_bytes: u32,
}

/// Where certificate and key lie, both PEM.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The certificate chain, the server's own first.
    pub cert_file: PathBuf,
    /// Its private key.
    pub key_file: PathBuf,
}

/// Why the gateway cannot open.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address from the settings.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// Certificate or key cannot be used.
    #[error("{setting} {}: {reason}", file.display())]
    Tls {
        /// The setting that names the file.
        setting: &'static str,
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}
