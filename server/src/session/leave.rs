//! The last words on a socket: a close frame that really arrives.
//!
//! Called by `session` when a connection is over, whoever ended it. Never decides why: the caller brings code and reason.

use futures_util::SinkExt as _;
use holdall_protocol::close::Close;
use std::{pin::Pin, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::{Instant, timeout, timeout_at},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::protocol::{CloseFrame, frame::coding::CloseCode},
};

/// How long a close may take: to leave past a client that does not read, and to be read by one that still sends.
const LEAVE_TIME_MAX: Duration = Duration::from_secs(2);
/// How long the answer to a client's close may take.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(1);
/// What is read and thrown away of a client that still sends; past it the connection is cut.
const DISCARD_BYTES_MAX: usize = 64 << 20;
/// Bytes of text that a close frame can carry beside its code.
const REASON_BYTES_MAX: usize = 123;

/// Sends what is queued and a close frame, whose text is the close's name and then `reason`; ends the connection.
///
/// A socket that is closed while unread bytes wait is reset by the kernel, and the reset overtakes the close frame.
/// So after the frame nothing more is written, and what still comes is read and thrown away until the client hangs
/// up, for at most two seconds. Works on a socket whose reading side has failed. The future lives on the heap, so
/// that it weighs nothing in the task of a connection that is still alive.
pub fn close<IO>(
    mut socket: WebSocketStream<IO>,
    close: Close,
    reason: &str,
) -> Pin<Box<dyn Future<Output = ()> + Send>>
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let frame = CloseFrame { code: CloseCode::from(close.number()), reason: text(close, reason).into() };
    Box::pin(async move {
        let deadline = Instant::now() + LEAVE_TIME_MAX;
        // Whether the frame could be sent does not matter: a client that is gone needs no reason.
        if !matches!(timeout_at(deadline, socket.close(Some(frame))).await, Ok(Ok(()))) {
            return;
        }
        let mut io = socket.into_inner();
        let _ = timeout_at(deadline, drain(&mut io)).await;
    })
}

/// Lets a client that has said goodbye hear it back, for at most a second: the library has queued the answer when it read the
/// goodbye. Whoever is gone without a word hears nothing. On the heap, as [`close`].
pub fn answer<IO>(mut socket: WebSocketStream<IO>) -> Pin<Box<dyn Future<Output = ()> + Send>>
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    Box::pin(async move {
        let answering = async {
            // The library lets go of what is below it once its own part is done.
            let _ = socket.flush().await;
            let _ = socket.get_mut().flush().await;
        };
        let _ = timeout(ANSWER_TIME_MAX, answering).await;
    })
}

/// Says that nothing more comes, then reads until the other side hangs up too.
async fn drain<IO: AsyncRead + AsyncWrite + Unpin>(io: &mut IO) {
    if io.shutdown().await.is_err() {
        return;
    }
    let mut discarded = 0;
    let mut scratch = vec![0; 2_048];
    while discarded < DISCARD_BYTES_MAX {
        match io.read(&mut scratch).await {
            Ok(0) | Err(_) => return,
            Ok(bytes) => discarded += bytes,
        }
    }
}

fn text(close: Close, reason: &str) -> String {
    let mut text = if reason.is_empty() { close.to_string() } else { format!("{close}: {reason}") };
    text.truncate(text.floor_char_boundary(REASON_BYTES_MAX));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        let text = text(Close::ProtocolError, &"ü".repeat(100));
        assert!(text.len() <= REASON_BYTES_MAX && text.starts_with("protocol_error: üü"), "{text}");
        assert_eq!(super::text(Close::Idle, ""), "idle");
    }
}
