//! One player's connection, from `hello` to its close.
//!
//! Owns the loop between a socket and a cell: reads what is there, lets `request` judge it, writes what may leave. Called by
//! `gateway` with a WebSocket that is up. Never holds a player's lock across an await.

mod dedupe;
mod frames;
mod hello;
mod inquiry;
pub mod leave;
mod reload;
mod request;
mod sent;
mod shop;
pub mod token;
mod trade;
mod turn;

pub use hello::Join;
pub use inquiry::{Answer, Inquiry, Known};
pub use request::Heard;

use crate::{
    market::{
        shop_desk::{self, ShopDesk},
        trade_desk::{self, TradeDesk},
    },
    replication::{outbox::Frame, snapshot},
    roster::{Roster, cell::Cell},
    telemetry::metrics::labels::Resync,
};
use holdall_protocol::{
    close::Close,
    frame::Subprotocol,
    ids::SessionId,
    message::{Durability, ServerMessage},
};
use std::{net::IpAddr, sync::Arc, time::Duration};
use token::Verifier;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
};
use tokio_tungstenite::WebSocketStream;
use turn::Turn;

/// What the gateway calls once a WebSocket is up.
pub trait Serve: Send + Sync + 'static {
    /// Serves one connection; returns when it is over.
    fn serve<IO: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
        self: &Arc<Self>,
        socket: Box<WebSocketStream<IO>>,
        subprotocol: Subprotocol,
        peer: IpAddr,
    ) -> impl Future<Output = ()> + Send;
}

/// The bounds of a session.
#[derive(Debug, Clone)]
pub struct Options {
    /// Bytes in one frame from a client, as told in `welcome`; the gateway enforces it.
    pub frame_bytes_max: u32,
    /// Requests whose replies have not been written yet; at this many reading stops.
    pub in_flight_max: u32,
    /// Requests a second, as told in `welcome`.
    pub actions_per_second: u32,
    /// Requests at once, as told in `welcome`.
    pub actions_burst: u32,
    /// How long a connection may take to say hello.
    pub hello_deadline: Duration,
    /// How long nothing may be heard.
    pub idle_timeout: Duration,
    /// How long nothing is heard before the client is pinged.
    pub ping_interval: Duration,
    /// How long a write may wait for a client that does not read.
    pub slow_reader_grace: Duration,
    /// Excess requests in a row before the connection is closed.
    pub excess_max: u32,
    /// The bounds of trades.
    pub trades: trade_desk::Options,
    /// The bounds of the shop.
    pub shop: shop_desk::Options,
}

/// All that the sessions of a process share.
pub struct Sessions {
    roster: Arc<Roster>,
    desk: Arc<TradeDesk>,
    shop: Arc<ShopDesk>,
    verifier: Verifier,
    options: watch::Sender<Arc<Options>>,
    in_force: InForce,
    /// True once the server stops: nobody joins any more.
    stopping: watch::Receiver<bool>,
}

/// Tells what an acknowledgement promises now.
pub type InForce = Arc<dyn Fn() -> Durability + Send + Sync>;

/// Why a session ends: what the client is told, `None` when it has gone by itself.
type End = Option<(Close, String)>;

impl Sessions {
    /// Sessions over a roster.
    #[must_use]
    pub fn new(
        roster: Arc<Roster>,
        verifier: Verifier,
        options: Options,
        in_force: InForce,
        stopping: watch::Receiver<bool>,
    ) -> Self {
        let desk = TradeDesk::new(roster.clone(), options.trades);
        let shop = ShopDesk::new(roster.clone(), options.shop);
        Self { roster, desk, shop, verifier, options: watch::Sender::new(Arc::new(options)), in_force, stopping }
    }

    /// Queues the snapshot that stands for deltas that were too many to keep for this session.
    pub fn queue_snapshot(&self, cell: &Cell, session: SessionId) {
        let mut inner = cell.lock();
        let rules = self.roster.rules();
        let Some(seat) = inner.seat() else { return };
        let gate = self.roster.gate(seat);
        let snapshot = snapshot::of(&seat.player, seat.revision, seat.checksum, &rules);
        self.roster.metrics.resyncs.inc(&Resync::Slow);
        inner.settle_collapsed(session, gate, || Frame::Message(Box::new(ServerMessage::Snapshot(snapshot))));
    }

    /// Where these sessions' players trade. Somebody has to run it.
    #[must_use]
    pub const fn desk(&self) -> &Arc<TradeDesk> {
        &self.desk
    }

    /// Where these sessions' players buy. Somebody has to run it.
    #[must_use]
    pub const fn shop(&self) -> &Arc<ShopDesk> {
        &self.shop
    }

    /// The players of these sessions.
    #[must_use]
    pub const fn roster(&self) -> &Arc<Roster> {
        &self.roster
    }
}

impl Serve for Sessions {
    async fn serve<IO: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
        self: &Arc<Self>,
        mut socket: Box<WebSocketStream<IO>>,
        subprotocol: Subprotocol,
        peer: IpAddr,
    ) {
        // The greeting's state is large and short-lived: boxed, it does not weigh on the connection's whole life.
        let greeting = Box::pin(self.greet(&mut socket, subprotocol, peer));
        let end = {
            let mut greeted = greeting.await.map(|join| Turn::new(self, join, &mut socket, subprotocol));
            // Looked at where it is: what is moved keeps its old place in the task as well.
            match &mut greeted {
                Ok(turn) => turn.play().await,
                Err(end) => end.take(),
            }
        };
        self.roster.metrics.connections_closed.inc(&end.as_ref().map(|(why, _)| *why));
        match end {
            Some((why, reason)) => {
                tracing::debug!(%peer, close = %why, %reason, "connection closed");
                leave::close(*socket, why, &reason).await;
            }
            None => leave::answer(*socket).await,
        }
    }
}
