//! One player's connection, from `hello` to its close.

pub mod leave;
pub mod token;

use holdall_protocol::frame::Subprotocol;
use std::{net::IpAddr, sync::Arc};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;

/// What the gateway calls once a WebSocket is up.
pub trait Serve: Send + Sync + 'static {
    /// Serves one connection; returns when it is over.
    fn serve<IO: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
        self: &Arc<Self>,
        socket: WebSocketStream<IO>,
        subprotocol: Subprotocol,
        peer: IpAddr,
    ) -> impl Future<Output = ()> + Send;
}
