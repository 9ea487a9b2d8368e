//! A player of the comparison: a connection that is in the game, with things to do.

use super::{
    Failure,
    plan::{Owned, Plan},
    settings::{ITEMS, STACK},
};
use crate::{
    socket::{self, ConnectError},
    url::Url,
};
use futures_util::{SinkExt as _, StreamExt as _, stream};
use holdall_protocol::{
    action::{Action, DevGrant, Quantity},
    frame::Subprotocol,
    ids::{InstanceId, ItemId, Place, Seq},
    message::{Change, ClientMessage, Filled, Hello, Resume, ServerMessage, Welcome},
};
use std::time::Duration;
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Bytes, Message},
};
use uuid::Uuid;

/// The encoding of every frame.
const ENCODING: Subprotocol = Subprotocol::Msgpack;

/// Connections that come up at the same time.
const CONCURRENT: usize = 128;

/// The longest that an answer may take while nobody is in a hurry.
const PATIENCE: Duration = Duration::from_secs(30);

/// A socket.
pub(super) type Wire = WebSocketStream<TcpStream>;

/// One who acts.
#[derive(Debug)]
pub(super) struct Player {
    /// The connection.
    pub(super) wire: Wire,
    /// What comes next.
    pub(super) plan: Plan,
    /// The number of the last request.
    pub(super) number: u32,
}

/// One who has just come in.
#[derive(Debug)]
pub(super) struct Entry {
    /// The connection; a snapshot waits in it unless the player resumed.
    pub(super) wire: Wire,
    /// What the server said.
    pub(super) welcome: Box<Welcome>,
}

impl Player {
    /// One who talks to echo: nobody, with the same requests.
    pub(super) async fn of_echo(url: &Url, stacks: u16) -> Result<Self, Failure> {
        let wire = socket::open(url, None).await.map_err(refused)?;
        let made_up = |slot| Owned { slot, instance: InstanceId::new(Uuid::from_u128(slot.into())) };
        let stacks: Vec<Owned> = (0..stacks).map(made_up).collect();
        Ok(Self { wire, plan: plan(&stacks), number: 0 })
    }

    /// One who is in the game with so many full stacks, a multiple of five. A new player is given them.
    pub(super) async fn of_holdall(url: &Url, name: &str, stacks: u16) -> Result<Self, Failure> {
        let Entry { mut wire, welcome } = Entry::enter(url, name, None).await?;
        let mut number = u32::try_from(welcome.seq.get()).map_err(|_| unexpected("a high request number"))?;
        let ServerMessage::Snapshot(snapshot) = hear(&mut wire).await? else {
            return Err(unexpected("no snapshot"));
        };
        let mut owned: Vec<Owned> = snapshot.places.iter().filter_map(stack).collect();
        if owned.is_empty() {
            for item in ITEMS {
                number += 1;
                let quantity = u64::from(stacks) / ITEMS.len() as u64 * STACK;
                owned.extend(granted(&mut wire, number, item, quantity).await?);
            }
        }
        if owned.len() != usize::from(stacks) {
            return Err(unexpected(&format!("{name} has {} stacks instead of {stacks}", owned.len())));
        }
        Ok(Self { wire, plan: plan(&owned), number })
    }
}

impl Entry {
    /// Comes in.
    pub(super) async fn enter(url: &Url, name: &str, resume: Option<Resume>) -> Result<Self, Failure> {
        let mut wire = socket::open(url, Some(ENCODING)).await.map_err(refused)?;
        let client = Some("compare".to_owned());
        say(&mut wire, &ClientMessage::Hello(Hello { token: format!("dev:{name}"), resume, client })).await?;
        match hear(&mut wire).await? {
            ServerMessage::Welcome(welcome) => Ok(Self { wire, welcome }),
            other => Err(unexpected(&format!("{other:?}"))),
        }
    }

    /// Waits for the snapshot and leaves it undecoded.
    pub(super) async fn take_snapshot(&mut self) -> Result<(), Failure> {
        frame(&mut self.wire).await.map(drop)
    }

    /// What to name in order to resume here.
    pub(super) fn resume(&self) -> Resume {
        Resume { incarnation: self.welcome.incarnation, revision: self.welcome.revision.get() }
    }
}

/// Does something for each of these, for many of them at a time, in any order.
pub(super) async fn for_each<I, T>(
    each: impl IntoIterator<Item = I>,
    act: impl AsyncFn(I) -> Result<T, Failure>,
) -> Result<Vec<T>, Failure> {
    let act = &act;
    let mut done = stream::iter(each).map(|one| act(one)).buffer_unordered(CONCURRENT);
    let mut all = Vec::new();
    while let Some(one) = done.next().await {
        all.push(one?);
    }
    Ok(all)
}

fn plan(stacks: &[Owned]) -> Plan {
    let free = stacks.iter().map(|stack| stack.slot + 1).max().unwrap_or(0);
    Plan::new(stacks, free)
}

fn stack(filled: &Filled) -> Option<Owned> {
    match (&filled.place, &filled.stack) {
        (Place::Bag(slot), Some(stack)) => Some(Owned { slot: *slot, instance: stack.instance }),
        _ => None,
    }
}

async fn granted(wire: &mut Wire, number: u32, item: &str, quantity: u64) -> Result<Vec<Owned>, Failure> {
    let item = ItemId::new(item).expect("it is the id of a shipped item");
    let grant = DevGrant { item: Some(item), currency: None, quantity: Quantity::new(quantity), partial: None };
    say(wire, &ClientMessage::request(Seq::new(number.into()), Action::DevGrant(grant))).await?;
    match hear(wire).await? {
        ServerMessage::Applied(applied) => Ok(applied
            .changes
            .iter()
            .filter_map(|change| match change {
                Change::Add(filled) => stack(filled),
                Change::Update(_) | Change::Remove(_) | Change::Clear(_) => None,
            })
            .collect()),
        other => Err(unexpected(&format!("{other:?}"))),
    }
}

async fn say(wire: &mut Wire, message: &ClientMessage) -> Result<(), Failure> {
    let mut frame = Vec::new();
    ENCODING.encode(message, &mut frame);
    wire.send(Message::Binary(frame.into())).await.map_err(|error| unexpected(&error.to_string()))
}

async fn hear(wire: &mut Wire) -> Result<ServerMessage, Failure> {
    let frame = frame(wire).await?;
    ENCODING.decode_server(&frame).map_err(|error| unexpected(&error.to_string()))
}

/// The next binary frame.
async fn frame(wire: &mut Wire) -> Result<Bytes, Failure> {
    let binary = async {
        loop {
            match wire.next().await {
                Some(Ok(Message::Binary(frame))) => return Ok(frame),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(other)) => return Err(unexpected(&format!("{other:?}"))),
                Some(Err(error)) => return Err(unexpected(&error.to_string())),
                None => return Err(unexpected("the end of a connection")),
            }
        }
    };
    timeout(PATIENCE, binary).await.map_err(|_| unexpected("no answer"))?
}

fn refused(error: ConnectError) -> Failure {
    Failure::new(format!("no connection: {error}"))
}

fn unexpected(what: &str) -> Failure {
    Failure::new(format!("while players came in: {what}"))
}
