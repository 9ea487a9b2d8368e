//! What a fault test plays on: a Redis, a proxy before it, and a server that knows only the proxy.

use holdall_client_sim::{Options, Report, scenario::Load};
use holdall_harness::{
    bots::{self, start_for_good},
    child::{PATIENCE, Server, Site},
    client::{Client, Heard},
    proxy::Proxy,
    redis::Redis,
};
use holdall_protocol::{frame::Subprotocol, message::ServerMessage};
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};
use tokio::{
    sync::{Mutex, MutexGuard},
    task::JoinHandle,
    time::sleep,
};

/// How long a server of these tests is believed to be alive after its last word.
pub(super) const LEASE: Duration = Duration::from_millis(1_500);

/// A load under which a batch is always on its way.
pub(super) const BUSY: Load = Load::Depth(8);

/// What a server says when Redis came back as another process.
pub(super) const RESTARTED: &str = "the store was restarted; what it holds is compared";
/// What it says when it could not renew its lease in time.
pub(super) const LEASE_RAN_OUT: &str = "the lease has run out";
/// What it says of players whom another server has taken.
pub(super) const TAKEN_OVER: &str = "players were taken over by another owner";
/// What it says of a player whom it could not load because Redis was away.
pub(super) const NOT_LOADED: &str = "a player could not be loaded";
/// What it says of a Redis that syncs less than always.
pub(super) const WEAK: &str = "this Redis promises less than it could";

/// Waits until no other fault test runs. With leases as short as these, a busy machine would be a fault of its own.
pub(super) async fn lane() -> MutexGuard<'static, ()> {
    static LANE: Mutex<()> = Mutex::const_new(());
    LANE.lock().await
}

/// A site whose players are kept in the Redis at this URL.
pub(super) fn site_on(url: &str) -> Site {
    Site::new().on(url).knob("store.lease_ms", LEASE.as_millis())
}

/// A Redis, a proxy and a site.
pub(super) struct Stage {
    pub(super) redis: Redis,
    pub(super) proxy: Proxy,
    pub(super) site: Site,
    seed: u64,
}

impl Stage {
    /// Over this Redis, which runs.
    pub(super) async fn over(redis: Redis, seed: u64) -> Self {
        println!("seed {seed}");
        let proxy = Proxy::before_redis(redis.address(), seed).await;
        let site = site_on(&redis.url_at(proxy.address));
        Self { redis, proxy, site, seed }
    }

    /// Over a Redis as a studio would run it.
    pub(super) async fn new(seed: u64) -> Self {
        Self::over(Redis::run().await, seed).await
    }

    /// Expects servers to warn of this.
    pub(super) fn allow(mut self, texts: &[&'static str]) -> Self {
        for text in texts {
            self.site = self.site.allow(text);
        }
        self
    }

    /// Starts the server.
    pub(super) async fn start(&mut self) -> Server {
        start_for_good(&mut self.site).await
    }

    /// Lets bots play on a server.
    pub(super) fn play(&self, server: &Server, length: Duration) -> JoinHandle<Report> {
        bots::play(self.bots(server, length))
    }

    /// Bots that would play on a server.
    pub(super) fn bots(&self, server: &Server, length: Duration) -> Options {
        bots::options(server.game, self.seed, length, BUSY)
    }
}

/// Waits until the server takes players again; how long that took.
pub(super) async fn until_healthy(server: &Server) -> Duration {
    let begun = Instant::now();
    loop {
        let (status, why) = server.operate("GET", "/readyz", "").await;
        if status == 200 {
            return begun.elapsed();
        }
        assert!(begun.elapsed() < PATIENCE, "it does not recover: {why}\n{}", server.log());
        sleep(Duration::from_millis(20)).await;
    }
}

/// Logs in, however often it takes; how long it took.
pub(crate) async fn enter_at_last(game: SocketAddr, player: &str) -> (Client, Duration) {
    let begun = Instant::now();
    loop {
        if let Some(client) = try_to_enter(game, player).await {
            return (client, begun.elapsed());
        }
        assert!(begun.elapsed() < PATIENCE, "{player} is never welcome");
        sleep(Duration::from_millis(20)).await;
    }
}

/// Says hello; nobody where the server is busy with the player.
pub(super) async fn try_to_enter(game: SocketAddr, player: &str) -> Option<Client> {
    let mut client = Client::open(game, Subprotocol::Msgpack).await;
    client.hello(&format!("dev:{player}"), None).await;
    match client.hear().await {
        Heard::Message(message) => assert!(matches!(*message, ServerMessage::Welcome(_)), "{message:?}"),
        Heard::Close(close, why) => {
            assert!(close.reconnect(), "{close}: {why}");
            return None;
        }
        Heard::Gone => return None,
    }
    client.expect_snapshot().await;
    Some(client)
}

/// Expects that nothing is acknowledged for so long; refusals may come, and the end of the connection.
pub(super) async fn expect_no_ack(client: &mut Client, length: Duration) {
    let until = Instant::now() + length;
    while let Some(left) = until.checked_duration_since(Instant::now()) {
        match client.hear_within(left).await {
            Some(Heard::Message(message)) => {
                assert!(!matches!(*message, ServerMessage::Applied(_)), "acknowledged: {message:?}");
            }
            Some(Heard::Close(..) | Heard::Gone) => sleep(left).await,
            None => return,
        }
    }
}
