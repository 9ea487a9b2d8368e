//! The operators' listeners, a port and a local socket: HTTP/1.1 with every wait bounded.

use super::{
    Operator,
    answers::Failure,
    control::Control,
    places::{Place, Places},
    routes, socket,
};
use axum::{
    Router,
    extract::Request,
    http::StatusCode,
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
};
use hyper::{
    server::conn::http1,
    service::{Service as _, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    pin::pin,
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    sync::watch,
    time::{sleep, timeout},
};

/// Connections at once.
const CONNECTIONS_MAX: u16 = 128;
/// For a request's head to arrive, and for a kept-alive connection to send its next.
const HEAD_TIMEOUT: Duration = Duration::from_secs(15);
/// For a route to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// For requests under way when the server stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// An operator port that listens but does not answer yet.
#[derive(Debug)]
pub struct Bound {
    /// The address really bound, where the settings said port 0.
    pub addr: SocketAddr,
    listener: TcpListener,
}

/// Opens the listening socket.
///
/// # Errors
/// What the system said to the address.
pub async fn bind(address: SocketAddr) -> io::Result<Bound> {
    let listener = TcpListener::bind(address).await?;
    Ok(Bound { addr: listener.local_addr()?, listener })
}

/// A control socket that listens but does not answer yet. The file goes away with it.
#[derive(Debug)]
pub struct BoundSocket {
    listener: UnixListener,
    file: PathBuf,
}

/// Opens the control socket in a data directory, which the caller has to itself: a file that is there already belonged
/// to a process that is dead.
///
/// # Errors
/// What the system said.
pub fn bind_socket(directory: &Path) -> io::Result<BoundSocket> {
    let listener = socket::bind(directory)?;
    Ok(BoundSocket { listener, file: directory.join(socket::NAME) })
}

impl Bound {
    /// Answers until `stop` turns true, then finishes what is under way, for at most two seconds.
    pub async fn run(self, operator: Operator, stop: watch::Receiver<bool>) {
        serve(&self.listener, routes::port(operator), stop).await;
    }
}

impl BoundSocket {
    /// Answers the port's routes and those of [`super::control`], as long as the port would.
    pub async fn run(self, operator: Operator, control: Control, stop: watch::Receiver<bool>) {
        serve(&self.listener, routes::socket(operator, control), stop).await;
    }
}

impl Drop for BoundSocket {
    fn drop(&mut self) {
        // The next start replaces one that stays.
        let _ = std::fs::remove_file(&self.file);
    }
}

/// Where connections come from.
trait Door {
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;
    fn accept(&self) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

impl Door for TcpListener {
    type Stream = TcpStream;
    async fn accept(&self) -> io::Result<TcpStream> {
        Self::accept(self).await.map(|(stream, _)| stream)
    }
}

impl Door for UnixListener {
    type Stream = UnixStream;
    async fn accept(&self) -> io::Result<UnixStream> {
        Self::accept(self).await.map(|(stream, _)| stream)
    }
}

async fn serve(door: &impl Door, router: Router, mut stop: watch::Receiver<bool>) {
    let router = router.layer(from_fn(bounded));
    let places = Places::new(CONNECTIONS_MAX);
    loop {
        let accepted = tokio::select! {
            accepted = accept(door, &places) => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        match accepted {
            Ok((stream, place)) => {
                tokio::spawn(connection(stream, router.clone(), stop.clone(), place));
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept operators' connections");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    let _ = timeout(STOP_TIMEOUT, places.all_free()).await;
}

async fn accept<D: Door>(door: &D, places: &Arc<Places>) -> io::Result<(D::Stream, Arc<Place>)> {
    let stream = door.accept().await?;
    Ok((stream, places.take().await))
}

async fn connection(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    router: Router,
    mut stop: watch::Receiver<bool>,
    place: Arc<Place>,
) {
    let (answers, kept) = (TowerToHyperService::new(router), Arc::clone(&place));
    let answers = service_fn(move |request| {
        let (busy, answer) = (kept.busy(), answers.call(request));
        async move {
            let answer = answer.await;
            drop(busy);
            answer
        }
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), answers);
    let mut serving = pin!(serving);
    let ended = tokio::select! {
        ended = serving.as_mut() => Some(ended),
        () = place.needed() => return,
        _ = stop.wait_for(|stop| *stop) => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "an operator's connection broke");
    }
}

/// An answer that takes too long is one, too.
async fn bounded(request: Request, next: Next) -> Response {
    timeout(ANSWER_TIMEOUT, next.run(request)).await.unwrap_or_else(|_| {
        Failure::new(StatusCode::SERVICE_UNAVAILABLE, "timeout", "the server did not answer in time").into_response()
    })
}
