//! A proxy for bytes that stands between a server and its Redis, or between clients and servers, and fails on demand.
//!
//! It looks into the bytes only to lose replies: then both sides must speak the protocol of Redis, in the clear.

use crate::resp;
use parking_lot::Mutex;
use rand::{Rng as _, SeedableRng as _, rngs::SmallRng, seq::IndexedRandom as _};
use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::{JoinHandle, JoinSet},
    time::sleep,
};

/// What happens to bytes on their way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// They pass.
    Open,
    /// They pass, each piece this much later.
    Slow(Duration),
    /// Of so many replies one is lost, at random: the command was carried out, the reply does not pass, and the connection
    /// is cut.
    LosingReplies {
        /// One in how many.
        one_in: u32,
    },
    /// They wait, also those of new connections. When the way opens they pass, however late, and even where who sent them
    /// has hung up: as over a network that was down.
    Held,
    /// They are lost. When the way opens, the connections that lost something are cut.
    Swallowed,
}

/// A proxy that listens. Dropped, it cuts everything.
pub struct Proxy {
    /// Where it listens.
    pub address: SocketAddr,
    shared: Arc<Shared>,
    listener: JoinHandle<()>,
}

struct Shared {
    upstreams: Mutex<Vec<SocketAddr>>,
    /// Both sides speak the protocol of Redis, in the clear.
    redis: bool,
    way: watch::Sender<Way>,
    /// Raised to cut everything that is open.
    cuts: watch::Sender<u64>,
    disguise: Mutex<Option<(Vec<u8>, Vec<u8>)>>,
    rng: Mutex<SmallRng>,
    /// Lost replies by the name of their command.
    lost: Mutex<BTreeMap<String, u64>>,
}

impl Proxy {
    /// Stands before a Redis. The same seed makes the same choices.
    ///
    /// # Panics
    /// When it cannot listen.
    pub async fn before_redis(redis: SocketAddr, seed: u64) -> Self {
        Self::start(vec![redis], true, seed).await
    }

    /// Stands before servers of whatever protocol, and leads each connection to one of them, at random.
    ///
    /// # Panics
    /// When it cannot listen.
    pub async fn before(servers: Vec<SocketAddr>, seed: u64) -> Self {
        Self::start(servers, false, seed).await
    }

    async fn start(upstreams: Vec<SocketAddr>, redis: bool, seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let shared = Arc::new(Shared {
            upstreams: Mutex::new(upstreams),
            redis,
            way: watch::Sender::new(Way::Open),
            cuts: watch::Sender::new(0),
            disguise: Mutex::new(None),
            rng: Mutex::new(SmallRng::seed_from_u64(seed)),
            lost: Mutex::new(BTreeMap::new()),
        });
        let listener = tokio::spawn(listen(listener, Arc::clone(&shared)));
        Self { address, shared, listener }
    }

    /// Leads new connections to these from now on.
    pub fn lead_to(&self, servers: Vec<SocketAddr>) {
        *self.shared.upstreams.lock() = servers;
    }

    /// What happens to bytes from now on.
    ///
    /// # Panics
    /// When it shall lose replies and does not know what a reply is.
    pub fn set(&self, way: Way) {
        assert!(self.shared.redis || !matches!(way, Way::LosingReplies { .. }), "it stands before no Redis");
        self.shared.way.send_replace(way);
    }

    /// Cuts every open connection; new ones are welcome.
    pub fn cut(&self) {
        self.shared.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Shows `to` in every reply of Redis that says `from`.
    ///
    /// # Panics
    /// When they differ in length: the lengths that the protocol tells would be wrong.
    pub fn disguise(&self, from: &str, to: &str) {
        assert!(self.shared.redis && from.len() == to.len(), "a disguise has the size of what it hides");
        *self.shared.disguise.lock() = Some((from.as_bytes().to_vec(), to.as_bytes().to_vec()));
    }

    /// Replies lost so far, by the name of their command.
    #[must_use]
    pub fn lost(&self) -> BTreeMap<String, u64> {
        self.shared.lost.lock().clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

async fn listen(listener: TcpListener, shared: Arc<Shared>) {
    let mut tunnels = JoinSet::new();
    loop {
        let client = listener.accept().await.expect("a listener accepts").0;
        tunnels.spawn(tunnel(client, Arc::clone(&shared)));
        while tunnels.try_join_next().is_some() {}
    }
}

/// One connection, until it is over or cut.
async fn tunnel(client: TcpStream, shared: Arc<Shared>) {
    let mut cuts = shared.cuts.subscribe();
    tokio::select! {
        () = connect_and_pass(client, &shared) => {}
        _ = cuts.changed() => {}
    }
}

async fn connect_and_pass(client: TcpStream, shared: &Shared) {
    // Behind a way that is down nobody is reached.
    let mut way = shared.way.subscribe();
    way.wait_for(|way| *way != Way::Held).await.expect("the proxy outlives its tunnels");
    let upstream = *shared.upstreams.lock().choose(&mut *shared.rng.lock()).expect("somebody to lead to");
    let Ok(server) = TcpStream::connect(upstream).await else { return };
    for side in [&client, &server] {
        side.set_nodelay(true).expect("a connected socket takes options");
    }
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let asked = Mutex::new(VecDeque::new());
    let requests = Direction::new(from_client, to_server, shared).pass_requests(&asked);
    let replies = Direction::new(from_server, to_client, shared).pass_replies(&asked);
    tokio::select! {
        End::Cut = requests => {}
        // The server ends a connection, also one that its client has hung up on.
        _ = replies => {}
    }
}

/// Names of commands that have no reply yet.
type Asked = Mutex<VecDeque<String>>;

/// How a direction of a connection ended.
enum End {
    /// Who sent has hung up.
    HungUp,
    /// The whole connection is to be cut.
    Cut,
}

/// One direction of a connection.
struct Direction<'a> {
    from: OwnedReadHalf,
    to: OwnedWriteHalf,
    shared: &'a Shared,
    way: watch::Receiver<Way>,
}

impl<'a> Direction<'a> {
    fn new(from: OwnedReadHalf, to: OwnedWriteHalf, shared: &'a Shared) -> Self {
        Self { from, to, shared, way: shared.way.subscribe() }
    }

    async fn pass_requests(mut self, asked: &Asked) -> End {
        let mut unread = Vec::new();
        loop {
            let piece = match self.next_piece().await {
                Ok(piece) => piece,
                Err(End::HungUp) => {
                    let _ = self.to.shutdown().await;
                    return End::HungUp;
                }
                Err(End::Cut) => return End::Cut,
            };
            if self.shared.redis {
                unread.extend_from_slice(&piece);
                while let Some(end) = resp::end_of_value(&unread) {
                    let command: Vec<u8> = unread.drain(..end).collect();
                    asked.lock().push_back(resp::name_of(&command));
                }
            }
            // A server that is gone is seen by the other direction.
            let _ = self.to.write_all(&piece).await;
        }
    }

    async fn pass_replies(mut self, asked: &Asked) -> End {
        let mut unread = Vec::new();
        loop {
            let piece = match self.next_piece().await {
                Ok(piece) => piece,
                Err(end) => return end,
            };
            if !self.shared.redis {
                // A client that is gone loses what it is told: what it asked for may still be on its way.
                let _ = self.to.write_all(&piece).await;
                continue;
            }
            unread.extend_from_slice(&piece);
            while let Some(end) = resp::end_of_value(&unread) {
                let reply: Vec<u8> = unread.drain(..end).collect();
                // A push answers nothing.
                let command = if reply.first() == Some(&b'>') { None } else { asked.lock().pop_front() };
                if command.is_some_and(|command| self.shared.loses(command)) {
                    return End::Cut;
                }
                let _ = self.to.write_all(&self.shared.disguised(reply)).await;
            }
        }
    }

    /// The next bytes, when it is time for them to pass.
    async fn next_piece(&mut self) -> Result<Vec<u8>, End> {
        let mut piece = vec![0; 16 * 1024];
        // A connection that is broken has ended too.
        let len = self.from.read(&mut piece).await.unwrap_or(0);
        piece.truncate(len);
        let mut lost = false;
        loop {
            let way = *self.way.borrow_and_update();
            match way {
                Way::Swallowed => lost = true,
                _ if lost => return Err(End::Cut),
                Way::Held => {}
                Way::Slow(delay) => {
                    sleep(delay).await;
                    break;
                }
                Way::Open | Way::LosingReplies { .. } => break,
            }
            self.way.changed().await.expect("the proxy outlives its tunnels");
        }
        if piece.is_empty() { Err(End::HungUp) } else { Ok(piece) }
    }
}

impl Shared {
    /// Whether the reply to this command is lost.
    fn loses(&self, command: String) -> bool {
        let Way::LosingReplies { one_in } = *self.way.borrow() else { return false };
        let loses = self.rng.lock().random_ratio(1, one_in);
        if loses {
            *self.lost.lock().entry(command).or_default() += 1;
        }
        loses
    }

    fn disguised(&self, reply: Vec<u8>) -> Vec<u8> {
        let Some((from, to)) = &*self.disguise.lock() else { return reply };
        let mut reply = reply;
        while let Some(at) = reply.windows(from.len()).position(|window| window == from) {
            reply[at..at + from.len()].copy_from_slice(to);
        }
        reply
    }
}
