//! A bare echo server over the same library and buffers: the yardstick for every figure of cost.
//!
//! One task a connection; whatever was read in one wake-up is answered with one flush. Called by `main`. Knows no message.

use crate::socket::buffers;
use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};
use std::io;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::{
    WebSocketStream, accept_async_with_config,
    tungstenite::{Error, Message},
};

/// Echoes to everybody who connects, for ever.
///
/// # Errors
/// When the listener fails for good.
pub async fn serve(listener: TcpListener) -> io::Result<()> {
    loop {
        match listener.accept().await {
            Ok((socket, _)) => {
                tokio::spawn(connection(socket));
            }
            // The client went away while it waited, or descriptors ran out for a moment.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => return Err(error),
        }
    }
}

async fn connection(socket: TcpStream) {
    if socket.set_nodelay(true).is_err() {
        return;
    }
    if let Ok(stream) = accept_async_with_config(socket, Some(buffers())).await {
        // However it ends, there is nobody to tell.
        let _ = echo(stream).await;
    }
}

async fn echo(mut stream: WebSocketStream<TcpStream>) -> Result<(), Error> {
    while let Some(message) = stream.next().await {
        let mut next = Some(message?);
        while let Some(message) = next.take() {
            if let Message::Binary(_) | Message::Text(_) = message {
                stream.feed(message).await?;
            }
            next = stream.next().now_or_never().flatten().transpose()?;
        }
        stream.flush().await?;
    }
    Ok(())
}
