//! The control socket's file: both its ends, whatever the length of the path, and for its owner alone.

use rustix::{
    io::{FdFlags, fcntl_setfd},
    net::{AddressFamily, SocketAddrUnix, SocketType},
};
use std::{
    fs::{File, Permissions},
    io,
    os::{
        fd::AsRawFd as _,
        unix::{self, fs::PermissionsExt as _},
    },
    path::{Path, PathBuf},
};
use tokio::net::{UnixListener, UnixStream};

/// The file in the data directory.
pub(super) const NAME: &str = "control.sock";
/// Bytes of a path that every system takes as a socket's address.
const PATH_BYTES_MAX: usize = 100;
/// Connections that wait to be accepted.
const BACKLOG: i32 = 128;

/// Listens in `directory`. A file that is there is replaced.
pub(super) fn bind(directory: &Path) -> io::Result<UnixListener> {
    match std::fs::remove_file(directory.join(NAME)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let address = Address::of(directory)?;
    let socket = rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None)?;
    fcntl_setfd(&socket, FdFlags::CLOEXEC)?;
    rustix::net::bind(&socket, &SocketAddrUnix::new(&address.path)?)?;
    // Nobody can connect before it listens, so that the mode is in force for the first one too.
    std::fs::set_permissions(&address.path, Permissions::from_mode(0o600))?;
    rustix::net::listen(&socket, BACKLOG)?;
    let listener = unix::net::UnixListener::from(socket);
    listener.set_nonblocking(true)?;
    UnixListener::from_std(listener)
}

/// Connects to whoever listens in `directory`.
pub(super) async fn connect(directory: &Path) -> io::Result<UnixStream> {
    let address = Address::of(directory)?;
    UnixStream::connect(&address.path).await
}

/// A path that is short enough to be a socket's address.
struct Address {
    path: PathBuf,
    /// What the path goes through, where it is not the real one.
    _through: Option<File>,
}

impl Address {
    fn of(directory: &Path) -> io::Result<Self> {
        let path = directory.join(NAME);
        if path.as_os_str().len() <= PATH_BYTES_MAX {
            return Ok(Self { path, _through: None });
        }
        let through = File::open(directory)?;
        let short = PathBuf::from(format!("/proc/self/fd/{}", through.as_raw_fd()));
        if !short.exists() {
            let message = format!("{} is too long for a socket on this system", path.display());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        Ok(Self { path: short.join(NAME), _through: Some(through) })
    }
}
