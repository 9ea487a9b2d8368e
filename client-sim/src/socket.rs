//! One WebSocket to the server: messages in, messages out, and why it ended.
//!
//! Called by `bot` and `abuse`, and by `compare` for a bare one. Small buffers, because thousands of these live in one
//! process. Never retries.

use crate::{stream::Stream, url::Url};
use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};
use holdall_protocol::{
    close::Close,
    frame::Subprotocol,
    message::{ClientMessage, ServerMessage},
};
use std::{io, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpSocket, TcpStream, lookup_host},
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{
        Error, Message,
        client::IntoClientRequest as _,
        error::ProtocolError,
        http::{HeaderValue, Response, StatusCode},
        protocol::{CloseFrame, WebSocketConfig},
    },
};

/// The buffers of every socket of this program, on both ends of `echo`.
pub(crate) fn buffers() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(4096)
        .write_buffer_size(4096)
        .max_write_buffer_size(1 << 20)
        .max_message_size(Some(8 << 20))
        .max_frame_size(Some(8 << 20))
}

/// The longest a connection may take to come up.
const CONNECT_DEADLINE: Duration = Duration::from_secs(10);

/// Bytes that the kernel is told to keep where it has little room.
const NARROW: u32 = 4_096;

/// How much the kernel keeps of what was not read yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Room {
    /// As much as it likes.
    Usual,
    /// As little as it lets itself be told, so that who does not read is soon noticed.
    Narrow,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    /// Worth another try.
    #[error("{0}")]
    Later(String),
    /// The server has no room.
    #[error("{0}")]
    Full(String),
    /// The server said no, and will again.
    #[error("{0}")]
    Never(String),
}

/// What a socket has to tell.
#[derive(Debug)]
pub(crate) enum Event {
    /// A message.
    Message(Box<ServerMessage>),
    /// A frame that is no message.
    Malformed(String),
    /// A named end.
    Closed(Close),
    /// An end without a name.
    Cut,
}

/// A frame that need not be a message.
#[derive(Debug)]
pub(crate) enum Throw {
    /// Of MessagePack's kind.
    Binary(Vec<u8>),
    /// Of JSON's kind.
    Text(String),
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Socket {
    stream: WebSocketStream<Stream>,
    subprotocol: Subprotocol,
}

impl Socket {
    /// Connects and agrees on the subprotocol.
    pub(crate) async fn connect(url: &Url, subprotocol: Subprotocol, room: Room) -> Result<Self, ConnectError> {
        let opening = async { upgrade(url, reach(url, room).await?, Some(subprotocol)).await };
        Ok(Self { stream: in_time(opening).await?, subprotocol })
    }

    /// Writes a message into the buffer; [`Self::flush`] sends it.
    pub(crate) async fn feed(&mut self, message: &ClientMessage) -> Result<(), Error> {
        let mut frame = Vec::with_capacity(160);
        self.subprotocol.encode(message, &mut frame);
        let frame = match self.subprotocol {
            Subprotocol::Msgpack => Message::Binary(frame.into()),
            Subprotocol::Json => {
                let text = String::from_utf8(frame).expect("a JSON encoder writes UTF-8");
                Message::Text(text.into())
            }
        };
        self.stream.feed(frame).await
    }

    /// Writes anything into the buffer.
    pub(crate) async fn throw(&mut self, frame: Throw) -> Result<(), Error> {
        self.stream
            .feed(match frame {
                Throw::Binary(bytes) => Message::Binary(bytes.into()),
                Throw::Text(text) => Message::Text(text.into()),
            })
            .await
    }

    /// Sends what was written.
    pub(crate) async fn flush(&mut self) -> Result<(), Error> {
        self.stream.flush().await
    }

    /// Waits for something to happen. Cancel safe.
    pub(crate) async fn next(&mut self) -> Event {
        loop {
            let frame = self.stream.next().await;
            if let Some(event) = self.event(frame) {
                return event;
            }
        }
    }

    /// What has happened already.
    pub(crate) fn ready(&mut self) -> Option<Event> {
        loop {
            let frame = self.stream.next().now_or_never()?;
            if let Some(event) = self.event(frame) {
                return Some(event);
            }
        }
    }

    /// Says goodbye; whether it is heard does not matter.
    pub(crate) async fn close(mut self) {
        let _ = timeout(Duration::from_secs(1), self.stream.close(None)).await;
    }

    fn event(&self, frame: Option<Result<Message, Error>>) -> Option<Event> {
        match frame {
            Some(Ok(Message::Binary(bytes))) => Some(self.message(Subprotocol::Msgpack, &bytes)),
            Some(Ok(Message::Text(text))) => Some(self.message(Subprotocol::Json, text.as_bytes())),
            Some(Ok(Message::Close(frame))) => Some(closed(frame.as_ref())),
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => None,
            Some(Err(_)) | None => Some(Event::Cut),
        }
    }

    fn message(&self, came_as: Subprotocol, bytes: &[u8]) -> Event {
        if came_as != self.subprotocol {
            return Event::Malformed(format!(
                "a {} frame on a {} connection",
                came_as.as_str(),
                self.subprotocol.as_str()
            ));
        }
        match self.subprotocol.decode_server(bytes) {
            Ok(message) => Event::Message(Box::new(message)),
            Err(error) => Event::Malformed(error.to_string()),
        }
    }
}

/// An answer that is no WebSocket, in words.
fn said(response: &Response<Option<Vec<u8>>>) -> String {
    let body = response.body().as_deref().map(String::from_utf8_lossy).unwrap_or_default();
    format!("HTTP {}: {}", response.status(), body.trim())
}

/// Opens a bare WebSocket over TCP alone; with a subprotocol the server has to agree on it.
pub(crate) async fn open(
    url: &Url,
    subprotocol: Option<Subprotocol>,
) -> Result<WebSocketStream<TcpStream>, ConnectError> {
    let opening = async { upgrade(url, connect(url, Room::Usual).await.map_err(later)?, subprotocol).await };
    in_time(opening).await
}

/// Looks whether a server is there that would play.
///
/// # Errors
/// What is in the way, in words.
pub async fn knock(url: &Url, subprotocol: Subprotocol) -> Result<(), String> {
    match Socket::connect(url, subprotocol, Room::Usual).await {
        Ok(socket) => {
            socket.close().await;
            Ok(())
        }
        // Somebody is there, and may have room when bots come.
        Err(ConnectError::Full(_)) => Ok(()),
        Err(ConnectError::Later(why)) => Err(format!("nobody answers at {}: {why}", url.as_str())),
        Err(ConnectError::Never(why)) => Err(format!("nobody can play at {}: {why}", url.as_str())),
    }
}

async fn in_time<T>(opening: impl Future<Output = Result<T, ConnectError>>) -> Result<T, ConnectError> {
    timeout(CONNECT_DEADLINE, opening).await.map_err(|elapsed| ConnectError::Later(elapsed.to_string()))?
}

fn later(error: io::Error) -> ConnectError {
    ConnectError::Later(error.to_string())
}

async fn connect(url: &Url, room: Room) -> io::Result<TcpStream> {
    let tcp = match room {
        Room::Usual => TcpStream::connect(url.address()).await,
        Room::Narrow => connect_narrow(url).await,
    }?;
    tcp.set_nodelay(true)?;
    Ok(tcp)
}

/// A connection for which the kernel keeps next to nothing that was not read.
async fn connect_narrow(url: &Url) -> io::Result<TcpStream> {
    let unknown = || io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    let address = lookup_host(url.address()).await?.next().ok_or_else(unknown)?;
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_recv_buffer_size(NARROW)?;
    socket.connect(address).await
}

/// The way to the server, with TLS where its address asks for it.
async fn reach(url: &Url, room: Room) -> Result<Stream, ConnectError> {
    let tcp = connect(url, room).await.map_err(later)?;
    let Some(tls) = url.tls() else { return Ok(Stream::Plain(tcp)) };
    match tls.greet(tcp).await {
        Ok(stream) => Ok(Stream::Tls(Box::new(stream))),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Err(ConnectError::Never(error.to_string())),
        Err(error) => Err(later(error)),
    }
}

async fn upgrade<S: AsyncRead + AsyncWrite + Unpin>(
    url: &Url,
    stream: S,
    subprotocol: Option<Subprotocol>,
) -> Result<WebSocketStream<S>, ConnectError> {
    let mut request = url.as_str().into_client_request().map_err(|error| ConnectError::Never(error.to_string()))?;
    if let Some(subprotocol) = subprotocol {
        let name = HeaderValue::from_static(subprotocol.as_str());
        request.headers_mut().insert("Sec-WebSocket-Protocol", name);
    }
    match client_async_with_config(request, stream, Some(buffers())).await {
        Ok((stream, _)) => Ok(stream),
        Err(Error::Http(response))
            if matches!(response.status(), StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) =>
        {
            Err(ConnectError::Full(said(&response)))
        }
        Err(Error::Http(response)) if response.status().is_client_error() => Err(ConnectError::Never(said(&response))),
        Err(Error::Protocol(ProtocolError::HttparseError(_))) => {
            let instead = if url.tls().is_none() { ": perhaps it is at wss://" } else { "" };
            Err(ConnectError::Never(format!("what answers there speaks no HTTP{instead}")))
        }
        Err(error) => Err(ConnectError::Later(error.to_string())),
    }
}

fn closed(frame: Option<&CloseFrame>) -> Event {
    frame.and_then(|frame| Close::from_number(u16::from(frame.code))).map_or(Event::Cut, Event::Closed)
}
