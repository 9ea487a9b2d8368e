//! One connection: TLS if asked for, one HTTP request, then the session's WebSocket until it ends.
//!
//! Called by `listener`, one task a connection. What the handshake needs lives in a box of its own that is gone before
//! the session starts: a connection that only waits must be small.

use super::{
    Options,
    admission::{Admission, Place},
    buffered::Buffered,
    descriptors,
    handshake::{Answer, Policy, judge},
};
use crate::{
    session::Serve,
    telemetry::metrics::{Metrics, labels::Refusal},
};
use holdall_protocol::frame::Subprotocol;
use hyper::{Request, StatusCode, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use std::{
    future::{poll_fn, ready},
    net::IpAddr,
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    sync::{mpsc, watch},
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::protocol::{Role, WebSocketConfig},
};

/// The whole request head; the smallest that the HTTP library allows.
const HEAD_BYTES_MAX: usize = 8_192;
const HEADERS_MAX: usize = 64;
/// Pongs that the library keeps for a client that does not read them; past it, it keeps the newest alone.
const UNANSWERED_BYTES_MAX: usize = 16_384;
/// How long a refused client may take to read why.
const LINGER: Duration = Duration::from_secs(1);

/// What all connections share.
pub(super) struct Gate {
    pub(super) admission: Arc<Admission>,
    pub(super) policy: Policy,
    pub(super) tls: Option<TlsAcceptor>,
    hello_deadline: Mutex<Duration>,
    websocket: WebSocketConfig,
    metrics: Arc<Metrics>,
}

impl Gate {
    pub(super) fn new(
        options: &Options,
        connections_max: usize,
        tls: Option<TlsAcceptor>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            admission: Admission::new(connections_max, options.connections_per_address_max),
            policy: Policy::new(options),
            tls,
            hello_deadline: Mutex::new(options.hello_deadline),
            websocket: WebSocketConfig::default()
                .read_buffer_size(options.read_buffer_bytes)
                // Replies gather below it until the session flushes.
                .write_buffer_size(0)
                .max_write_buffer_size(UNANSWERED_BYTES_MAX)
                .max_message_size(Some(options.frame_bytes_max))
                .max_frame_size(Some(options.frame_bytes_max))
                .accept_unmasked_frames(false),
            metrics,
        }
    }

    /// Of these, what can change while it is open: how many may come in, and how long they may take.
    pub(super) fn set(&self, options: &Options) {
        let connections_max = descriptors::make_room(options.connections_max);
        self.admission.set_bounds(connections_max, options.connections_per_address_max);
        *self.hello_deadline.lock() = options.hello_deadline;
    }

    /// Counts a connection that does not become a WebSocket.
    pub(super) fn refused(&self, why: Refusal) {
        self.metrics.connections_refused.inc(&why);
    }
}

/// A WebSocket, and what the handshake told about it.
struct Upgraded<IO> {
    socket: Box<WebSocketStream<Buffered<IO>>>,
    subprotocol: Subprotocol,
    client: IpAddr,
    place: Place,
}

/// What a connection starts with.
pub(super) struct Arrival {
    pub(super) tcp: TcpStream,
    pub(super) peer: IpAddr,
    pub(super) place: Place,
    pub(super) stop: watch::Receiver<bool>,
    /// Held until it is over.
    pub(super) alive: mpsc::Sender<()>,
}

/// A connection over plain TCP. The future is put together by hand: arguments of an `async fn` keep their place in it to its
/// end, also where they were moved on.
pub(super) fn plain<S: Serve>(arrival: Arrival, gate: Arc<Gate>, serve: Arc<S>) -> impl Future<Output = ()> + Send {
    let alive = arrival.alive.clone();
    let handshake = Box::pin(within(arrival, gate, |tcp| ready(Some(tcp))));
    async move {
        let Some(Upgraded { socket, subprotocol, client, place }) = handshake.await else { return drop(alive) };
        serve.serve(socket, subprotocol, client).await;
        drop(place);
        drop(alive);
    }
}

/// A connection over TLS; a task of its own kind, so that plain ones do not pay for its size.
pub(super) fn encrypted<S: Serve>(
    arrival: Arrival,
    gate: Arc<Gate>,
    tls: TlsAcceptor,
    serve: Arc<S>,
) -> impl Future<Output = ()> + Send {
    let refusing = gate.clone();
    let open = async move |tcp| -> Option<TlsStream<TcpStream>> {
        let opened = tls.accept(tcp).await;
        let failed = opened.inspect_err(|error| {
            refusing.refused(Refusal::Tls);
            tracing::debug!(%error, "no TLS with a client");
        });
        failed.ok()
    };
    let alive = arrival.alive.clone();
    let handshake = Box::pin(within(arrival, gate, open));
    async move {
        let Some(Upgraded { socket, subprotocol, client, place }) = handshake.await else { return drop(alive) };
        serve.serve(socket, subprotocol, client).await;
        drop(place);
        drop(alive);
    }
}

/// The handshake under its deadline. A client that is too slow, and one that comes while the server stops, is cut.
async fn within<IO, F>(arrival: Arrival, gate: Arc<Gate>, open: impl FnOnce(TcpStream) -> F) -> Option<Upgraded<IO>>
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Future<Output = Option<IO>>,
{
    let Arrival { tcp, peer, place, mut stop, alive: _ } = arrival;
    let hello_deadline = *gate.hello_deadline.lock();
    let opened = async { http(open(tcp).await?, peer, place, &gate).await };
    tokio::select! {
        done = timeout(hello_deadline, opened) => done.inspect_err(|_| {
            gate.refused(Refusal::Timeout);
            tracing::debug!(%peer, "closed a connection: no WebSocket within the hello deadline");
        }).ok().flatten(),
        _ = stop.wait_for(|stop| *stop) => None,
    }
}

/// Reads one request, answers it, and takes the bare socket back.
async fn http<IO>(io: IO, peer: IpAddr, place: Place, gate: &Gate) -> Option<Upgraded<IO>>
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    // Filled by the one call of the service: the place, and what was agreed.
    let place = Mutex::new(Some(place));
    let agreed = Mutex::new(None);
    let service = service_fn(|request: Request<Incoming>| {
        let answer = answer(&request, peer, gate, &place, &agreed);
        ready(answer.map(|answer| *answer).map_err(|Dropped| std::io::Error::other("too many refusals at once")))
    });
    let mut connection = http1::Builder::new()
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .serve_connection(TokioIo::new(io), service);
    if let Err(error) = poll_fn(|cx| connection.poll_without_shutdown(cx)).await {
        if error.is_parse() {
            gate.refused(Refusal::Request);
        }
        // Where there is something to say to it, the library has said it.
        tracing::debug!(%peer, %error, "no HTTP request from a client");
    }
    let parts = connection.into_parts();
    let (mut io, early) = (parts.io.into_inner(), parts.read_buf.to_vec());
    let place = place.into_inner();
    let Some((subprotocol, client)) = agreed.into_inner() else {
        linger(&mut io).await;
        return None;
    };
    let io = Buffered::new(io);
    let socket = WebSocketStream::from_partially_read(io, early, Role::Server, Some(gate.websocket)).await;
    Some(Upgraded { socket: Box::new(socket), subprotocol, client, place: place? })
}

/// The connection is not even worth an answer.
struct Dropped;

fn answer(
    request: &Request<Incoming>,
    peer: IpAddr,
    gate: &Gate,
    place: &Mutex<Option<Place>>,
    agreed: &Mutex<Option<(Subprotocol, IpAddr)>>,
) -> Result<Answer, Dropped> {
    let client = gate.policy.client(peer, request.headers());
    let standing = {
        let mut place = place.lock();
        let place = place.as_mut().ok_or(Dropped)?;
        if !place.count_for(client) {
            gate.refused(Refusal::Dropped);
            return Err(Dropped);
        }
        place.standing()
    };
    match judge(request, standing, &gate.policy) {
        Ok((subprotocol, answer)) => {
            *agreed.lock() = Some((subprotocol, client));
            Ok(answer)
        }
        Err(answer) => {
            gate.refused(reason(answer.status()));
            tracing::debug!(%client, status = %answer.status(), path = request.uri().path(), "refused a handshake");
            Ok(answer)
        }
    }
}

/// Why a handshake was refused that is answered with this status.
fn reason(status: StatusCode) -> Refusal {
    match status {
        StatusCode::SERVICE_UNAVAILABLE => Refusal::Full,
        StatusCode::TOO_MANY_REQUESTS => Refusal::AddressFull,
        StatusCode::FORBIDDEN => Refusal::Origin,
        _ => Refusal::Request,
    }
}

/// Lets the client read its answer: closing with its bytes unread would reset the connection and take the answer back.
async fn linger<IO: AsyncRead + AsyncWrite + Unpin>(io: &mut IO) {
    let drained = async {
        io.shutdown().await?;
        let mut scratch = vec![0; 4_096];
        while io.read(&mut scratch).await? > 0 {}
        std::io::Result::Ok(())
    };
    let _ = timeout(LINGER, drained).await;
}
