//! The operator port's listener: HTTP/1.1 with every wait bounded.

use super::{Operator, answers::Failure, routes};
use axum::{
    Router,
    extract::Request,
    http::StatusCode,
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use std::{io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::{sleep, timeout},
};

/// Connections at once; more wait to be accepted.
const CONNECTIONS_MAX: usize = 128;
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

impl Bound {
    /// Answers until `stop` turns true, then finishes what is under way, for at most two seconds.
    pub async fn run(self, operator: Operator, mut stop: watch::Receiver<bool>) {
        let router = routes::router(operator).layer(from_fn(bounded));
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            let accepted = tokio::select! {
                accepted = accept(&self.listener, &places) => accepted,
                _ = stop.wait_for(|stop| *stop) => break,
            };
            match accepted {
                Ok((tcp, place)) => {
                    tokio::spawn(connection(tcp, router.clone(), stop.clone(), place));
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept connections on the operator port");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        let everyone = u32::try_from(CONNECTIONS_MAX).expect("a small constant");
        let _ = timeout(STOP_TIMEOUT, places.acquire_many(everyone)).await;
    }
}

async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.expect("the semaphore is never closed");
    let (tcp, _) = listener.accept().await?;
    Ok((tcp, place))
}

async fn connection(tcp: TcpStream, router: Router, mut stop: watch::Receiver<bool>, place: OwnedSemaphorePermit) {
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(tcp), TowerToHyperService::new(router));
    let mut serving = pin!(serving);
    let ended = tokio::select! {
        ended = serving.as_mut() => Some(ended),
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
    drop(place);
}

/// An answer that takes too long is one, too.
async fn bounded(request: Request, next: Next) -> Response {
    timeout(ANSWER_TIMEOUT, next.run(request)).await.unwrap_or_else(|_| {
        Failure::new(StatusCode::SERVICE_UNAVAILABLE, "timeout", "the server did not answer in time").into_response()
    })
}
