//! A well-behaved client over a real WebSocket: it numbers its requests, keeps its mirror, and checks the checksum of
//! every message against it.

use crate::child::PATIENCE;
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use holdall_client_sim::model::Mirror;
use holdall_protocol::{
    action::{self, Action, Asked, Quantity, Request, Target},
    close::Close,
    frame::Subprotocol,
    ids::{InstanceId, ItemId, Place, PlayerId, Seq},
    message::{
        Answered, Applied, ClientMessage, Delta, Hello, Hold, Refused, Reloaded, Resume, ServerMessage, Snapshot,
        Stack, Trade, Welcome,
    },
};
use std::{net::SocketAddr, time::Duration};
use tokio::{
    net::{TcpSocket, TcpStream},
    time::{Instant, timeout, timeout_at},
};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Message, client::IntoClientRequest as _, http::HeaderValue},
};

/// What was heard.
#[derive(Debug)]
pub enum Heard {
    /// A message of the protocol.
    Message(Box<ServerMessage>),
    /// The server's last word.
    Close(Close, String),
    /// The connection is over without one.
    Gone,
}

/// One connection of one player.
pub struct Client {
    socket: WebSocketStream<TcpStream>,
    subprotocol: Subprotocol,
    seq: u64,
    welcome: Option<Welcome>,
    mirror: Option<Mirror>,
    /// The last message's bytes.
    pub frame: Bytes,
    /// Deltas heard, oldest first.
    pub deltas: Vec<Delta>,
    /// Snapshots heard that were no answer.
    pub snapshots: Vec<Snapshot>,
    /// Steps of trades heard that were no answer, oldest first.
    pub trades: Vec<Trade>,
    /// Holds that ended by themselves.
    pub holds: Vec<Hold>,
    /// Reloads heard, oldest first.
    pub reloads: Vec<Reloaded>,
}

/// What a client that has hung up remembers.
pub struct Away {
    /// Where its mirror stands.
    pub standing: Resume,
    /// Its mirror.
    pub mirror: Mirror,
}

impl Client {
    /// Connects and shakes hands, and says nothing yet.
    ///
    /// # Panics
    /// When the server does not agree.
    pub async fn open(game: SocketAddr, subprotocol: Subprotocol) -> Self {
        let tcp = TcpStream::connect(game).await.expect("the server listens");
        Self::over(tcp, subprotocol).await
    }

    /// The same with a receive buffer so small that a client who does not read is soon felt.
    ///
    /// # Panics
    /// When the server does not agree.
    pub async fn open_narrow(game: SocketAddr, subprotocol: Subprotocol) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(2_304).expect("a small buffer");
        let tcp = socket.connect(game).await.expect("the server listens");
        Self::over(tcp, subprotocol).await
    }

    async fn over(tcp: TcpStream, subprotocol: Subprotocol) -> Self {
        let address = tcp.peer_addr().expect("it is connected");
        let mut request = format!("ws://{address}/ws").into_client_request().expect("a request");
        let name = HeaderValue::from_static(subprotocol.as_str());
        request.headers_mut().insert("Sec-WebSocket-Protocol", name);
        let shaken = timeout(PATIENCE, client_async(request, tcp)).await.expect("an answer in time");
        let (socket, _) = shaken.expect("the server agrees");
        let (deltas, snapshots, trades, reloads) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self {
            socket,
            subprotocol,
            seq: 0,
            welcome: None,
            mirror: None,
            frame: Bytes::new(),
            deltas,
            snapshots,
            trades,
            holds: Vec::new(),
            reloads,
        }
    }

    /// Joins a development server as `player`, and hears welcome and snapshot.
    ///
    /// # Panics
    /// When it is not welcome.
    pub async fn join(game: SocketAddr, subprotocol: Subprotocol, player: &str) -> Self {
        let mut client = Self::open(game, subprotocol).await;
        client.hello(&format!("dev:{player}"), None).await;
        client.expect_welcome().await;
        client.expect_snapshot().await;
        client
    }

    /// Joins in MessagePack.
    ///
    /// # Panics
    /// When it is not welcome.
    pub async fn enter(game: SocketAddr, player: &str) -> Self {
        Self::join(game, Subprotocol::Msgpack, player).await
    }

    /// Hangs up without a word, and keeps the mirror for a resume.
    ///
    /// # Panics
    /// When it has none.
    #[must_use]
    pub fn leave(self) -> Away {
        Away { standing: self.standing(), mirror: self.mirror.expect("it has a mirror") }
    }

    /// Says hello.
    pub async fn hello(&mut self, token: &str, resume: Option<Resume>) {
        let hello = Hello { token: token.to_owned(), resume, client: Some("suite".to_owned()) };
        self.say(&ClientMessage::Hello(hello)).await;
    }

    /// Hears the welcome.
    ///
    /// # Panics
    /// When something else comes.
    pub async fn expect_welcome(&mut self) {
        match self.hear().await {
            Heard::Message(message) => assert!(matches!(*message, ServerMessage::Welcome(_)), "{message:?}"),
            end => panic!("no welcome but {end:?}"),
        }
    }

    /// Hears a snapshot that is no answer.
    ///
    /// # Panics
    /// When something else comes.
    pub async fn expect_snapshot(&mut self) -> Snapshot {
        match self.message().await {
            ServerMessage::Snapshot(snapshot) => snapshot,
            other => panic!("no snapshot but {other:?}"),
        }
    }

    /// Where the mirror stands.
    ///
    /// # Panics
    /// When it has none yet.
    #[must_use]
    pub fn standing(&self) -> Resume {
        Resume { incarnation: self.welcome().incarnation, revision: self.mirror().revision().get() }
    }

    /// The welcome.
    ///
    /// # Panics
    /// When there was none yet.
    #[must_use]
    pub fn welcome(&self) -> &Welcome {
        self.welcome.as_ref().expect("it was welcomed")
    }

    /// The mirror.
    ///
    /// # Panics
    /// When it has none.
    #[must_use]
    pub fn mirror(&self) -> &Mirror {
        self.mirror.as_ref().expect("it has a mirror")
    }

    /// The revision of the mirror.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.mirror().revision().get()
    }

    /// The number of the last request.
    #[must_use]
    pub const fn seq(&self) -> u64 {
        self.seq
    }

    /// Units of an item, or a balance, as the mirror has it.
    #[must_use]
    pub fn count(&self, id: &str) -> u64 {
        self.mirror().count(&item(id))
    }

    /// The first bag stack of an item.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn stack(&self, id: &str) -> (u16, Stack) {
        let mut stacks = self.mirror().bag_from(0);
        let (slot, stack) = stacks.find(|(_, stack)| stack.item.as_str() == id).expect("a stack of it");
        (slot, stack.clone())
    }

    /// Sends a message.
    pub async fn say(&mut self, message: &ClientMessage) {
        let frame = self.encode(message);
        // A server that has hung up is heard, not felt.
        let _ = timeout(PATIENCE, self.socket.send(frame)).await.expect("the server reads");
    }

    fn encode(&self, message: &ClientMessage) -> Message {
        let mut bytes = Vec::new();
        self.subprotocol.encode(message, &mut bytes);
        match self.subprotocol {
            Subprotocol::Msgpack => Message::binary(bytes),
            Subprotocol::Json => Message::text(String::from_utf8(bytes).expect("JSON is text")),
        }
    }

    /// Sends the longest ping there is; false where the server has hung up.
    ///
    /// # Panics
    /// When the server neither reads nor hangs up.
    pub async fn ping(&mut self) -> bool {
        let ping = Message::Ping(vec![b'p'; 125].into());
        timeout(PATIENCE, self.socket.send(ping)).await.expect("the server reads or hangs up").is_ok()
    }

    /// Sends a request under the next number.
    pub async fn send(&mut self, action: Action) -> u64 {
        self.seq += 1;
        self.send_as(self.seq, action).await;
        self.seq
    }

    /// Sends a request under a number of its own.
    pub async fn send_as(&mut self, seq: u64, action: Action) {
        self.seq = self.seq.max(seq);
        self.say(&ClientMessage::request(Seq::new(seq), action)).await;
    }

    /// Sends several requests with one flush.
    pub async fn send_all(&mut self, actions: impl IntoIterator<Item = Action>) -> u64 {
        for action in actions {
            self.seq += 1;
            let message = self.encode(&ClientMessage::request(Seq::new(self.seq), action));
            let _ = timeout(PATIENCE, self.socket.feed(message)).await.expect("the server reads");
        }
        let _ = timeout(PATIENCE, self.socket.flush()).await.expect("the server reads");
        self.seq
    }

    /// Sends a request for an action that nobody knows.
    pub async fn send_unknown(&mut self) -> u64 {
        self.seq += 1;
        self.say(&ClientMessage::Request(Request { seq: Seq::new(self.seq), action: Asked::Unknown })).await;
        self.seq
    }

    /// What comes next; pings are answered on the way.
    ///
    /// # Panics
    /// When nothing comes, or something that does not fit the mirror.
    pub async fn hear(&mut self) -> Heard {
        self.hear_within(PATIENCE).await.expect("the server says something")
    }

    /// What comes next within so much time.
    ///
    /// # Panics
    /// When it does not fit the mirror.
    pub async fn hear_within(&mut self, patience: Duration) -> Option<Heard> {
        // Pings do not prolong it.
        let deadline = Instant::now() + patience;
        loop {
            let bytes = match timeout_at(deadline, self.socket.next()).await.ok()? {
                Some(Ok(Message::Binary(bytes))) if self.subprotocol == Subprotocol::Msgpack => bytes,
                Some(Ok(Message::Text(text))) if self.subprotocol == Subprotocol::Json => text.into(),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                Some(Ok(Message::Close(Some(frame)))) => {
                    let close = Close::from_number(frame.code.into()).expect("a close code of ours");
                    assert!(frame.reason.starts_with(close.as_str()), "{close}: {}", frame.reason);
                    return Some(Heard::Close(close, frame.reason.to_string()));
                }
                Some(Ok(Message::Close(None)) | Err(_)) | None => return Some(Heard::Gone),
                Some(Ok(other)) => panic!("a server does not send {other:?}"),
            };
            let message = self.subprotocol.decode_server(&bytes).expect("the server sends messages");
            self.frame = bytes;
            self.mind(&message);
            return Some(Heard::Message(Box::new(message)));
        }
    }

    /// Takes a message into the mirror.
    fn mind(&mut self, message: &ServerMessage) {
        match message {
            ServerMessage::Welcome(welcome) => {
                self.seq = welcome.seq.get();
                if !welcome.resumed {
                    self.mirror = None;
                }
                self.welcome = Some((**welcome).clone());
            }
            ServerMessage::Snapshot(snapshot) => {
                self.mirror = Some(Mirror::of(snapshot).expect("a right snapshot"));
                self.snapshots.push(snapshot.clone());
            }
            ServerMessage::Applied(applied) if applied.collapsed => self.mirror = None,
            ServerMessage::Applied(Applied { revision, changes, checksum, .. }) => {
                let Some(mirror) = &mut self.mirror else { return };
                // A kept answer, told again, is behind the mirror.
                if *revision == mirror.revision() && changes.is_empty() {
                    mirror.told(*checksum).expect("the reply's checksum is the mirror's");
                } else if *revision > mirror.revision() {
                    mirror.apply(*revision, changes, *checksum).expect("the reply fits the mirror");
                }
            }
            ServerMessage::Delta(delta) => {
                self.deltas.push(delta.clone());
                if let Some(mirror) = &mut self.mirror {
                    mirror.apply(delta.revision, &delta.changes, delta.checksum).expect("the delta fits the mirror");
                }
            }
            ServerMessage::Answer(answer) => {
                let Answered::Snapshot(snapshot) = &answer.answer else { return };
                if let Some(mirror) = &self.mirror {
                    mirror.same_as(snapshot).expect("the snapshot shows what the mirror has");
                }
                self.mirror = Some(Mirror::of(snapshot).expect("a right snapshot"));
            }
            ServerMessage::Trade(trade) => self.trades.push((**trade).clone()),
            ServerMessage::Hold(hold) => self.holds.push((**hold).clone()),
            ServerMessage::Reloaded(reloaded) => {
                if let Some(mirror) = &mut self.mirror {
                    mirror.freeze(&reloaded.frozen);
                }
                self.reloads.push((**reloaded).clone());
            }
            ServerMessage::Refused(_) => {}
        }
    }

    /// The next message.
    ///
    /// # Panics
    /// When the connection ends instead.
    pub async fn message(&mut self) -> ServerMessage {
        match self.hear().await {
            Heard::Message(message) => *message,
            end => panic!("no message but {end:?}"),
        }
    }

    /// The next reply, deltas and snapshots before it minded.
    ///
    /// # Panics
    /// When the connection ends instead.
    pub async fn any_reply(&mut self) -> ServerMessage {
        loop {
            let message = self.message().await;
            if seq_of(&message).is_some() {
                return message;
            }
        }
    }

    /// The reply to a request, which must be the next one.
    ///
    /// # Panics
    /// When the next reply is to another request.
    pub async fn reply(&mut self, seq: u64) -> ServerMessage {
        let message = self.any_reply().await;
        assert_eq!(seq_of(&message), Some(seq), "replies come in order: {message:?}");
        message
    }

    /// Asks and hears the reply.
    ///
    /// # Panics
    /// When another reply comes.
    pub async fn ask(&mut self, action: Action) -> ServerMessage {
        let seq = self.send(action).await;
        self.reply(seq).await
    }

    /// Asks for something that takes effect.
    ///
    /// # Panics
    /// When it does not.
    pub async fn apply(&mut self, action: Action) -> Applied {
        match self.ask(action).await {
            ServerMessage::Applied(applied) => applied,
            other => panic!("not applied: {other:?}"),
        }
    }

    /// Asks for something that is refused.
    ///
    /// # Panics
    /// When it is not.
    pub async fn refuse(&mut self, action: Action) -> Refused {
        match self.ask(action).await {
            ServerMessage::Refused(refused) => refused,
            other => panic!("not refused: {other:?}"),
        }
    }

    /// Asks a question.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn question(&mut self, action: Action) -> Answered {
        match self.ask(action).await {
            ServerMessage::Answer(answer) => answer.answer,
            other => panic!("not answered: {other:?}"),
        }
    }

    /// Waits for a revision that somebody else makes.
    ///
    /// # Panics
    /// When the connection ends instead.
    pub async fn until_revision(&mut self, revision: u64) {
        while self.mirror.as_ref().is_none_or(|mirror| mirror.revision().get() < revision) {
            self.message().await;
        }
    }

    /// Waits until it is told of this version of the catalogue; how things stand then.
    ///
    /// # Panics
    /// When the connection ends instead.
    pub async fn until_reloaded(&mut self, version: u64) -> Reloaded {
        loop {
            if let Some(told) = self.reloads.iter().find(|told| told.catalog.version == version) {
                return told.clone();
            }
            self.message().await;
        }
    }

    /// How it ends, whatever comes before.
    pub async fn end(&mut self) -> Heard {
        self.rest().await.1
    }

    /// Everything that still comes, and how it ends.
    pub async fn rest(&mut self) -> (Vec<ServerMessage>, Heard) {
        let mut messages = Vec::new();
        loop {
            match self.hear().await {
                Heard::Message(message) => messages.push(*message),
                end => return (messages, end),
            }
        }
    }

    /// Expects the connection to be closed with this code, whatever comes before; the reason.
    ///
    /// # Panics
    /// When it ends otherwise.
    pub async fn expect_close(&mut self, close: Close) -> String {
        match self.end().await {
            Heard::Close(found, reason) => {
                assert_eq!(found, close, "{reason}");
                reason
            }
            end => panic!("not closed as {close} but {end:?}"),
        }
    }

    /// Checks that the server has exactly what the mirror has.
    ///
    /// # Panics
    /// When it has not.
    pub async fn compare(&mut self) {
        self.mirror().verify().expect("a mirror in order");
        let answer = self.question(Action::Resync(action::Resync {})).await;
        assert!(matches!(answer, Answered::Snapshot(_)), "{answer:?}");
    }
}

impl Away {
    /// Comes back to a development server and hears the welcome.
    ///
    /// # Panics
    /// When it is not welcome.
    pub async fn resume(self, game: SocketAddr, subprotocol: Subprotocol, player: &str) -> Client {
        let mut client = Client::open(game, subprotocol).await;
        client.mirror = Some(self.mirror);
        client.hello(&format!("dev:{player}"), Some(self.standing)).await;
        client.expect_welcome().await;
        client
    }
}

/// The request that a message answers.
#[must_use]
pub const fn seq_of(message: &ServerMessage) -> Option<u64> {
    match message {
        ServerMessage::Applied(Applied { seq, .. }) | ServerMessage::Refused(Refused { seq, .. }) => Some(seq.get()),
        ServerMessage::Answer(answer) => Some(answer.seq.get()),
        ServerMessage::Welcome(_) | ServerMessage::Snapshot(_) | ServerMessage::Delta(_) => None,
        ServerMessage::Trade(_) | ServerMessage::Hold(_) | ServerMessage::Reloaded(_) => None,
    }
}

/// An item's id.
///
/// # Panics
/// When it is none.
#[must_use]
pub fn item(id: &str) -> ItemId {
    ItemId::new(id).expect("an item id")
}

/// Makes items or currency.
#[must_use]
pub fn grant(id: &str, quantity: u64) -> Action {
    let quantity = Quantity::new(quantity);
    Action::DevGrant(action::DevGrant { item: Some(item(id)), currency: None, quantity, partial: None })
}

/// Makes currency.
#[must_use]
pub fn pay(id: &str, quantity: u64) -> Action {
    let quantity = Quantity::new(quantity);
    Action::DevGrant(action::DevGrant { item: None, currency: Some(item(id)), quantity, partial: None })
}

/// Drops an item.
#[must_use]
pub fn drop_item(id: &str, quantity: u64) -> Action {
    Action::Drop(action::Drop { target: Target::Item(item(id)), quantity: Quantity::new(quantity) })
}

/// Gives part of one stack.
///
/// # Panics
/// When `to` is no player id.
#[must_use]
pub fn gift(to: &str, instance: InstanceId, quantity: u64) -> Action {
    let to = PlayerId::new(to).expect("a player id");
    let items = vec![action::GiftItem { instance, quantity: Quantity::new(quantity) }];
    Action::Gift(action::Gift { to, items })
}

/// Asks for the figures.
#[must_use]
pub const fn stats() -> Action {
    Action::Stats(action::Stats {})
}

/// A bag slot.
#[must_use]
pub const fn bag(slot: u16) -> Place {
    Place::Bag(slot)
}
