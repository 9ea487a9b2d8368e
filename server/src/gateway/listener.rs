//! The listening socket and its accept loop.
//!
//! Called by `app`: [`bind`] first, so that a bad address or certificate stops the start, then [`Bound::run`].

use super::{
    Error, Options,
    connection::{self, Arrival, Gate},
    descriptors, tls,
};
use crate::{
    session::Serve,
    telemetry::metrics::{Metrics, labels::Refusal},
};
use std::{io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{mpsc, watch},
    time::sleep,
};

/// Connections that the kernel completes before we accept them.
const BACKLOG: u32 = 1_024;
const BACKOFF_MIN: Duration = Duration::from_millis(5);
const BACKOFF_MAX: Duration = Duration::from_secs(1);

/// A gateway that listens but does not accept yet.
pub struct Bound {
    /// The address really bound, where the settings said port 0.
    pub addr: SocketAddr,
    listener: TcpListener,
    gate: Arc<Gate>,
}

/// The bounds of a gateway that may be running already.
#[derive(Clone)]
pub struct Bounds(Arc<Gate>);

impl Bounds {
    /// Of these options, puts in force what can change while the gateway is open: how many connections may come in, and how
    /// long a handshake may take.
    pub fn set(&self, options: &Options) {
        self.0.set(options);
    }
}

/// Opens the listening socket, reads certificate and key, and raises the file-descriptor limit.
///
/// # Errors
/// [`Error`], for the operator.
pub fn bind(address: SocketAddr, options: &Options, metrics: &Arc<Metrics>) -> Result<Bound, Error> {
    let tls = options.tls.as_ref().map(tls::acceptor).transpose()?;
    let connections_max = descriptors::make_room(options.connections_max);
    let (listener, addr) =
        listen(address, options.send_buffer_bytes).map_err(|source| Error::Listen { address, source })?;
    let gate = Gate::new(options, connections_max, tls, metrics.clone());
    Ok(Bound { addr, listener, gate: Arc::new(gate) })
}

/// Accepted sockets inherit the send buffer of the listening one.
fn listen(address: SocketAddr, send_buffer_bytes: u32) -> io::Result<(TcpListener, SocketAddr)> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.set_send_buffer_size(send_buffer_bytes)?;
    socket.bind(address)?;
    let listener = socket.listen(BACKLOG)?;
    let addr = listener.local_addr()?;
    Ok((listener, addr))
}

impl Bound {
    /// Its bounds, to be changed while it runs.
    #[must_use]
    pub fn bounds(&self) -> Bounds {
        Bounds(Arc::clone(&self.gate))
    }

    /// Accepts until `stop` turns true. Then the address is closed at once, handshakes under way are cut, and it
    /// returns when `serve` has ended the last of its connections.
    pub async fn run<S: Serve>(self, serve: Arc<S>, mut stop: watch::Receiver<bool>) {
        let Self { listener, gate, .. } = self;
        // Every connection holds a sender; when the last one is gone, so is the last connection.
        let (alive, mut all_gone) = mpsc::channel::<()>(1);
        let handshake_stop = stop.clone();
        let mut backoff = BACKOFF_MIN;
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = stop.wait_for(|stop| *stop) => break,
            };
            match accepted {
                Ok((tcp, peer)) => {
                    backoff = BACKOFF_MIN;
                    start(tcp, peer, &gate, &serve, (alive.clone(), handshake_stop.clone()));
                }
                Err(error) if is_of_one_client(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, pause = ?backoff, "cannot accept connections");
                    sleep(backoff).await;
                    backoff = (backoff * 2).min(BACKOFF_MAX);
                }
            }
        }
        drop((listener, alive));
        all_gone.recv().await;
    }
}

/// Gives the connection its place and its task, or drops it.
fn start<S: Serve>(
    tcp: TcpStream,
    peer: SocketAddr,
    gate: &Arc<Gate>,
    serve: &Arc<S>,
    (alive, stop): (mpsc::Sender<()>, watch::Receiver<bool>),
) {
    let peer = peer.ip().to_canonical();
    let Some(mut place) = gate.admission.enter() else { return gate.refused(Refusal::Dropped) };
    // A proxy's connections are counted for its clients, once their request has named them.
    if !gate.policy.trusts(peer) && !place.count_for(peer) {
        return gate.refused(Refusal::Dropped);
    }
    // Without it only latency suffers.
    let _ = tcp.set_nodelay(true);
    let arrival = Arrival { tcp, peer, place, stop };
    let (gate, serve) = (Arc::clone(gate), Arc::clone(serve));
    match gate.tls.clone() {
        None => tokio::spawn(holding(alive, connection::plain(arrival, gate, serve))),
        Some(tls) => tokio::spawn(holding(alive, connection::encrypted(arrival, gate, tls, serve))),
    };
}

/// Holds on to something until the connection is over.
async fn holding(alive: mpsc::Sender<()>, connection: impl Future<Output = ()>) {
    connection.await;
    drop(alive);
}

/// The client went away between the kernel's accept and ours: no reason to pause.
fn is_of_one_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}
