//! A connection's bytes between its socket and the WebSocket library: one system call for all there is to read, one for all
//! there is to write, and no memory while nothing is on its way.
//!
//! The library keeps a buffer of its own for each direction as long as a connection lives, as large as it ever was. With this
//! below it, those may be a few hundred bytes: thousands of players mostly stand still.

use std::{
    cell::RefCell,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes that one read takes from a socket at most.
const READ_BYTES_MAX: usize = 4_096;

/// Bytes that wait to be written; past it, whoever writes waits for the socket.
const UNWRITTEN_BYTES_MAX: usize = 16_384;

thread_local! {
    /// What was just read: the library takes most of it at once.
    static JUST_READ: RefCell<[u8; READ_BYTES_MAX]> = const { RefCell::new([0; READ_BYTES_MAX]) };
}

/// Bytes of which some are dealt with.
#[derive(Debug, Default)]
struct Backlog {
    bytes: Vec<u8>,
    done: usize,
}

impl Backlog {
    fn rest(&self) -> &[u8] {
        self.bytes.get(self.done..).unwrap_or_default()
    }

    /// So many more are dealt with. Nothing is kept of what all is.
    fn advance(&mut self, bytes: usize) {
        self.done = self.done.saturating_add(bytes);
        if self.rest().is_empty() {
            *self = Self::default();
        }
    }

    /// Moves the rest to the front, where what is dealt with was.
    fn compact(&mut self) {
        self.bytes.drain(..self.done);
        self.done = 0;
    }
}

/// A socket with buffers that are there while something is in them. It takes a write whole, also one of several parts, or
/// nothing of it.
#[derive(Debug)]
pub(super) struct Buffered<IO> {
    io: IO,
    unread: Backlog,
    unwritten: Backlog,
}

impl<IO> Buffered<IO> {
    pub(super) fn new(io: IO) -> Self {
        Self { io, unread: Backlog::default(), unwritten: Backlog::default() }
    }
}

impl<IO: AsyncWrite + Unpin> Buffered<IO> {
    /// Writes all that waits.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.unwritten.rest().is_empty() {
            match ready!(Pin::new(&mut self.io).poll_write(cx, self.unwritten.rest()))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                bytes => self.unwritten.advance(bytes),
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Buffered<IO> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.unread.rest().is_empty() {
            return JUST_READ.with_borrow_mut(|just_read| {
                let mut read = ReadBuf::new(just_read);
                ready!(Pin::new(&mut this.io).poll_read(cx, &mut read))?;
                let (now, later) = read.filled().split_at(buf.remaining().min(read.filled().len()));
                buf.put_slice(now);
                if !later.is_empty() {
                    this.unread.bytes = later.to_vec();
                }
                Poll::Ready(Ok(()))
            });
        }
        let rest = this.unread.rest();
        let now = rest.get(..buf.remaining()).unwrap_or(rest);
        buf.put_slice(now);
        let taken = now.len();
        this.unread.advance(taken);
        Poll::Ready(Ok(()))
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Buffered<IO> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.unwritten.rest().len() >= UNWRITTEN_BYTES_MAX {
            ready!(self.poll_drain(cx))?;
        }
        // A socket that takes some of it again and again, and never all: what it has taken would stay.
        if self.unwritten.done >= UNWRITTEN_BYTES_MAX {
            self.unwritten.compact();
        }
        let before = self.unwritten.bytes.len();
        self.unwritten.bytes.reserve(parts.iter().map(|part| part.len()).sum());
        for part in parts {
            self.unwritten.bytes.extend_from_slice(part);
        }
        Poll::Ready(Ok(self.unwritten.bytes.len().saturating_sub(before)))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_drain(cx))?;
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_drain(cx))?;
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    #[tokio::test]
    async fn what_was_read_at_once_comes_in_pieces_and_nothing_stays() {
        let (mut far, near) = duplex(1 << 16);
        let mut near = Buffered::new(near);
        let sent: Vec<u8> = (0..=255).cycle().take(10_000).collect();
        far.write_all(&sent).await.unwrap();
        let mut read = vec![0; sent.len()];
        for piece in read.chunks_mut(7) {
            near.read_exact(piece).await.unwrap();
        }
        assert_eq!(read, sent);
        assert_eq!((near.unread.bytes.capacity(), near.unread.done), (0, 0));
        drop(far);
        assert_eq!(near.read(&mut read).await.unwrap(), 0, "the end is told");
    }

    #[tokio::test]
    async fn a_write_of_several_parts_is_taken_whole() {
        let (mut far, near) = duplex(100);
        let mut near = Buffered::new(near);
        assert!(near.is_write_vectored(), "nobody falls back to writing part by part");
        let (head, body) = ([1; 3], [2; 500]);
        let parts = [IoSlice::new(&head), IoSlice::new(&body)];
        assert_eq!(near.write_vectored(&parts).await.unwrap(), 503);
        let mut read = [0; 503];
        let (flushed, arrived) = tokio::join!(near.flush(), far.read_exact(&mut read));
        flushed.unwrap();
        arrived.unwrap();
        assert_eq!(read.split_at(3), (&head[..], &body[..]));
    }

    #[tokio::test]
    async fn what_is_written_leaves_with_a_flush_in_order_also_through_a_narrow_socket() {
        let (mut far, near) = duplex(100);
        let mut near = Buffered::new(near);
        let sent: Vec<u8> = (0..=255).cycle().take(100_000).collect();
        let writing = async {
            for piece in sent.chunks(33) {
                near.write_all(piece).await.unwrap();
            }
            assert!(
                near.unwritten.rest().len() <= UNWRITTEN_BYTES_MAX + 33,
                "a reader that does not read is waited for"
            );
            near.flush().await.unwrap();
            assert_eq!((near.unwritten.bytes.capacity(), near.unwritten.done), (0, 0));
            near.shutdown().await.unwrap();
        };
        let mut read = Vec::new();
        let (_, all) = tokio::join!(writing, far.read_to_end(&mut read));
        assert_eq!((all.unwrap(), read), (sent.len(), sent));
    }

    #[tokio::test]
    async fn a_reader_who_is_always_a_little_behind_costs_no_more_than_one_who_does_not_read() {
        let (mut far, near) = duplex(100);
        let mut near = Buffered::new(near);
        let writing = async {
            let mut most = 0;
            for _ in 0..1_000 {
                near.write_all(&[7; 1_000]).await.unwrap();
                most = most.max(near.unwritten.bytes.capacity());
            }
            near.shutdown().await.unwrap();
            most
        };
        let mut read = Vec::new();
        let (most, all) = tokio::join!(writing, far.read_to_end(&mut read));
        assert_eq!(all.unwrap(), 1_000_000);
        assert!(most <= 4 * UNWRITTEN_BYTES_MAX, "{most} bytes of memory");
    }
}
