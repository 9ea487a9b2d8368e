//! The protocol of Redis, as far as a harness needs it: commands, replies, and where each ends in a stream of bytes.

use std::{fmt, io, net::SocketAddr};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// A reply of Redis (RESP2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// A status, as `OK`.
    Simple(String),
    /// An error, its code first.
    Error(String),
    /// An integer.
    Integer(i64),
    /// A string; bytes that are no text are replaced.
    Bulk(String),
    /// Nothing.
    Nil,
    /// Several.
    Array(Vec<Self>),
}

impl Reply {
    /// Its text.
    ///
    /// # Panics
    /// When it is no text.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Simple(text) | Self::Bulk(text) => text,
            other => panic!("no text but {other:?}"),
        }
    }

    /// Its elements.
    ///
    /// # Panics
    /// When it has none.
    #[must_use]
    pub fn array(&self) -> &[Self] {
        match self {
            Self::Array(elements) => elements,
            other => panic!("no array but {other:?}"),
        }
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Simple(text) | Self::Error(text) | Self::Bulk(text) => f.write_str(text),
            Self::Integer(number) => write!(f, "{number}"),
            Self::Nil => f.write_str("(nil)"),
            Self::Array(elements) => elements.iter().try_for_each(|element| writeln!(f, "{element}")),
        }
    }
}

/// One connection to a Redis.
pub struct Connection {
    tcp: TcpStream,
    unread: Vec<u8>,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// When nobody listens there.
    pub async fn open(address: SocketAddr) -> io::Result<Self> {
        Ok(Self { tcp: TcpStream::connect(address).await?, unread: Vec::new() })
    }

    /// Sends a command and reads its reply.
    ///
    /// # Errors
    /// When the connection ends first.
    pub async fn ask(&mut self, words: &[&str]) -> io::Result<Reply> {
        self.tcp.write_all(&command(words)).await?;
        loop {
            if let Some((reply, end)) = read(&self.unread, 0) {
                self.unread.drain(..end);
                return Ok(reply);
            }
            if self.tcp.read_buf(&mut self.unread).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

/// A command as it goes over the wire.
#[must_use]
pub fn command(words: &[&str]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n{word}\r\n", word.len()).as_bytes());
    }
    bytes
}

/// The reply that begins at `at`, and where it ends; `None` where more bytes are needed.
fn read(bytes: &[u8], at: usize) -> Option<(Reply, usize)> {
    let (kind, line, next) = line(bytes, at)?;
    let number = || line.parse::<i64>().expect("a length or an integer");
    Some(match kind {
        b'+' => (Reply::Simple(line), next),
        b'-' => (Reply::Error(line), next),
        b':' => (Reply::Integer(number()), next),
        b'$' => match usize::try_from(number()) {
            Ok(len) => {
                let text = bytes.get(next..next + len + 2)?;
                (Reply::Bulk(String::from_utf8_lossy(&text[..len]).into_owned()), next + len + 2)
            }
            Err(_) => (Reply::Nil, next),
        },
        b'*' => match usize::try_from(number()) {
            Ok(len) => {
                let (mut elements, mut next) = (Vec::new(), next);
                for _ in 0..len {
                    let (element, end) = read(bytes, next)?;
                    elements.push(element);
                    next = end;
                }
                (Reply::Array(elements), next)
            }
            Err(_) => (Reply::Nil, next),
        },
        other => panic!("Redis does not say {:?}", char::from(other)),
    })
}

/// The end of the value that begins with these bytes, in RESP2 or RESP3; `None` where more bytes are needed.
///
/// # Panics
/// When the bytes are not the protocol's.
#[must_use]
pub fn end_of_value(bytes: &[u8]) -> Option<usize> {
    let (mut at, mut left) = (0, 1_usize);
    while left > 0 {
        left -= 1;
        let (kind, line, next) = line(bytes, at)?;
        at = next;
        let len = || usize::try_from(line.parse::<i64>().expect("a length")).unwrap_or(0);
        match kind {
            b'$' | b'=' | b'!' if line != "-1" => at += len() + 2,
            b'*' | b'~' | b'>' => left += len(),
            b'%' => left += 2 * len(),
            // An attribute stands before the value that it belongs to.
            b'|' => left += 2 * len() + 1,
            b'+' | b'-' | b':' | b'_' | b'#' | b',' | b'(' | b'$' => {}
            other => panic!("the protocol has no type {:?}", char::from(other)),
        }
    }
    (at <= bytes.len()).then_some(at)
}

/// The first word of the command that is the whole of these bytes, in capitals.
#[must_use]
pub fn name_of(command: &[u8]) -> String {
    match read(command, 0) {
        Some((Reply::Array(words), _)) => words.first().map(|word| word.text().to_uppercase()).unwrap_or_default(),
        _ => String::new(),
    }
}

/// The first byte of a line, the rest of it, and where the next begins.
fn line(bytes: &[u8], at: usize) -> Option<(u8, String, usize)> {
    let rest = bytes.get(at..)?;
    let len = rest.windows(2).position(|pair| pair == b"\r\n")?;
    let (kind, line) = rest[..len].split_first().expect("a line says what it is");
    Some((*kind, String::from_utf8_lossy(line).into_owned(), at + len + 2))
}
