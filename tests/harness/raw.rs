//! A client that writes its WebSocket frames by hand, so that it can write wrong ones.

use holdall_protocol::{
    close::Close,
    frame::Subprotocol,
    message::{ClientMessage, Hello, ServerMessage, Snapshot, Welcome},
};
use std::{net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// Guards against hangs only.
const PATIENCE: Duration = Duration::from_secs(20);

/// The first byte of a whole text frame.
pub const TEXT: u8 = 0x81;
/// The first byte of a whole binary frame.
pub const BINARY: u8 = 0x82;
/// The first byte of a ping.
pub const PING: u8 = 0x89;
/// The first byte of a close.
pub const CLOSE: u8 = 0x88;

/// What was heard.
#[derive(Debug, Clone, PartialEq)]
pub enum Heard {
    /// A message of the protocol.
    Message(Box<ServerMessage>),
    /// A ping or a pong.
    Control,
    /// The server's last word.
    Close(Close, String),
    /// The connection is over.
    Gone,
}

/// One connection.
pub struct Raw {
    tcp: TcpStream,
    subprotocol: Subprotocol,
    unread: Vec<u8>,
}

impl Raw {
    /// Connects and shakes hands.
    ///
    /// # Panics
    /// When the server does not agree.
    pub async fn open(game: SocketAddr, subprotocol: Subprotocol) -> Self {
        let mut tcp = TcpStream::connect(game).await.expect("the server listens");
        let head = format!(
            "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: {}\r\n\r\n",
            subprotocol.as_str()
        );
        tcp.write_all(head.as_bytes()).await.expect("the server reads");
        let mut raw = Self { tcp, subprotocol, unread: Vec::new() };
        let end = loop {
            if let Some(end) = raw.unread.windows(4).position(|window| window == b"\r\n\r\n") {
                break end;
            }
            assert!(raw.fill().await, "the server hung up on a handshake");
        };
        assert!(raw.unread.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&raw.unread));
        raw.unread.drain(..end + 4);
        raw
    }

    /// Connects, says hello as a player of a development server, and hears welcome and snapshot.
    ///
    /// # Panics
    /// When it is not welcome.
    pub async fn join(game: SocketAddr, subprotocol: Subprotocol, player: &str) -> (Self, Welcome, Snapshot) {
        let mut raw = Self::open(game, subprotocol).await;
        raw.send(&hello(&format!("dev:{player}"))).await;
        let welcome = match raw.message().await {
            ServerMessage::Welcome(welcome) => *welcome,
            other => panic!("no welcome: {other:?}"),
        };
        let snapshot = match raw.message().await {
            ServerMessage::Snapshot(snapshot) => snapshot,
            other => panic!("no snapshot: {other:?}"),
        };
        (raw, welcome, snapshot)
    }

    /// Sends bytes as they are; false where the server has hung up.
    pub async fn bytes(&mut self, bytes: &[u8]) -> bool {
        matches!(timeout(PATIENCE, self.tcp.write_all(bytes)).await, Ok(Ok(())))
    }

    /// Sends a masked frame with this first byte.
    pub async fn frame(&mut self, first: u8, payload: &[u8]) -> bool {
        self.bytes(&frame(first, payload)).await
    }

    /// Sends a payload in a whole frame of the agreed kind.
    pub async fn payload(&mut self, payload: &[u8]) -> bool {
        let first = match self.subprotocol {
            Subprotocol::Json => TEXT,
            Subprotocol::Msgpack => BINARY,
        };
        self.frame(first, payload).await
    }

    /// Sends a message.
    pub async fn send(&mut self, message: &ClientMessage) -> bool {
        let mut payload = Vec::new();
        self.subprotocol.encode(message, &mut payload);
        self.payload(&payload).await
    }

    /// The next frame.
    ///
    /// # Panics
    /// When nothing comes, or something that a server must not send.
    pub async fn hear(&mut self) -> Heard {
        loop {
            if let Some((first, payload)) = self.take_frame() {
                return match first {
                    TEXT | BINARY => {
                        let message = self.subprotocol.decode_server(&payload).expect("the server sends messages");
                        Heard::Message(Box::new(message))
                    }
                    CLOSE => {
                        let (code, reason) = payload.split_first_chunk::<2>().expect("a close has a code");
                        let close = Close::from_number(u16::from_be_bytes(*code)).expect("a close code of ours");
                        let reason = String::from_utf8(reason.to_vec()).expect("a reason is text");
                        assert!(reason.starts_with(close.as_str()), "{close}: {reason}");
                        Heard::Close(close, reason)
                    }
                    0x89 | 0x8a => Heard::Control,
                    other => panic!("a server does not send {other:#x}"),
                };
            }
            if !self.fill().await {
                return Heard::Gone;
            }
        }
    }

    /// The next message.
    ///
    /// # Panics
    /// When the connection ends instead.
    pub async fn message(&mut self) -> ServerMessage {
        loop {
            match self.hear().await {
                Heard::Message(message) => return *message,
                Heard::Control => {}
                end => panic!("no message but {end:?}"),
            }
        }
    }

    /// How it ends, whatever comes before.
    pub async fn end(&mut self) -> Heard {
        loop {
            match self.hear().await {
                Heard::Message(_) | Heard::Control => {}
                end => return end,
            }
        }
    }

    /// The code of the next frame; `None` where that is no close, or there is none.
    pub async fn goodbye(&mut self) -> Option<u16> {
        loop {
            if let Some((first, payload)) = self.take_frame() {
                let (code, _) = payload.split_first_chunk::<2>().filter(|_| first == CLOSE)?;
                return Some(u16::from_be_bytes(*code));
            }
            if !self.fill().await {
                return None;
            }
        }
    }

    async fn fill(&mut self) -> bool {
        let read = timeout(PATIENCE, self.tcp.read_buf(&mut self.unread)).await.expect("the server is alive");
        read.is_ok_and(|bytes| bytes > 0)
    }

    fn take_frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let [first, second, ..] = *self.unread.as_slice() else { return None };
        let (head, len) = match second {
            126 => (4, usize::from(u16::from_be_bytes(*self.unread.get(2..)?.first_chunk()?))),
            127 => (10, usize::try_from(u64::from_be_bytes(*self.unread.get(2..)?.first_chunk()?)).ok()?),
            short => (2, usize::from(short)),
        };
        let payload = self.unread.get(head..head + len)?.to_vec();
        self.unread.drain(..head + len);
        Some((first, payload))
    }
}

/// A hello with a token.
#[must_use]
pub fn hello(token: &str) -> ClientMessage {
    ClientMessage::Hello(Hello { token: token.to_owned(), resume: None, client: None })
}

/// The bytes of a masked frame. The mask is zeros, so that the payload stands as it is.
#[must_use]
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = head(first, payload.len() as u64);
    bytes.extend_from_slice(payload);
    bytes
}

/// The head of a masked frame that claims to be so long.
#[must_use]
pub fn head(first: u8, len: u64) -> Vec<u8> {
    let mut bytes = vec![first];
    match (u8::try_from(len), u16::try_from(len)) {
        (Ok(short @ 0..126), _) => bytes.push(0x80 | short),
        (_, Ok(medium)) => {
            bytes.push(0x80 | 126);
            bytes.extend_from_slice(&medium.to_be_bytes());
        }
        _ => {
            bytes.push(0x80 | 127);
            bytes.extend_from_slice(&len.to_be_bytes());
        }
    }
    bytes.extend_from_slice(&[0; 4]);
    bytes
}
