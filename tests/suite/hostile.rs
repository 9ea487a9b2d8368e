//! Hostile input against a whole server: every kind of it ends in a refusal or a named close, changes nothing, and is
//! noticed by nobody else.

mod bytes;
mod frames;
mod requests;
mod tokens;

use holdall_harness::{
    raw::{Heard, Raw},
    server::{Server, TempDir},
};
use holdall_protocol::{
    action::{Action, DevGrant, Quantity, Stats},
    close::Close,
    code::Code,
    frame::Subprotocol,
    ids::{ItemId, Seq},
    message::{Answered, ClientMessage, ServerMessage, Snapshot},
};
use holdall_server::{app::Stopped, config::Settings};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{task::JoinHandle, time::sleep};

/// What another player never waits longer for, whatever is done to the server: ten times what it takes on a busy machine.
const NOTICED: Duration = Duration::from_secs(3);

/// How an input must end.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Ends {
    /// Refused; the connection stays.
    Refused(Code),
    /// The connection is closed with this code.
    Closed(Close),
}

/// A server, a player that is well behaved on it, and one that is not.
struct Arena {
    server: Server,
    _dir: TempDir,
    done: Arc<AtomicBool>,
    bystander: JoinHandle<u64>,
    /// What the hostile player owns, which must stay as it is.
    owned: Snapshot,
}

const HOSTILE: &str = "mallory";

impl Arena {
    async fn open(configure: impl FnOnce(&mut Settings)) -> Self {
        let dir = TempDir::new();
        let server = Server::start(dir.path(), |settings| {
            settings.limits.actions_per_second = 100_000;
            settings.limits.actions_burst = 100_000;
            configure(settings);
        })
        .await;
        let done = Arc::new(AtomicBool::new(false));
        let bystander = tokio::spawn(stand_by(server.game, done.clone()));
        let (mut raw, welcome, _) = Raw::join(server.game, Subprotocol::Json, HOSTILE).await;
        raw.send(&grant(welcome.seq.next(), 50)).await;
        assert!(matches!(raw.message().await, ServerMessage::Applied(_)));
        drop(raw);
        let (_, _, owned) = Raw::join(server.game, Subprotocol::Json, HOSTILE).await;
        assert_eq!(owned.places.len(), 1);
        Self { server, _dir: dir, done, bystander, owned }
    }

    /// The hostile player, in the game, with the number of its next request.
    async fn hostile(&self, subprotocol: Subprotocol) -> (Raw, u64) {
        let (raw, welcome, snapshot) = Raw::join(self.server.game, subprotocol, HOSTILE).await;
        assert_eq!(snapshot, self.owned, "something changed");
        (raw, welcome.seq.next().get())
    }

    /// Does `input` end as it must, and is everything as it was?
    async fn expect(&self, name: &str, subprotocol: Subprotocol, input: &Input<'_>, ends: Ends) {
        let (mut raw, seq) = self.hostile(subprotocol).await;
        let sent = match input {
            Input::Payload(payload) => raw.payload(&payload(seq)).await,
            Input::Bytes(bytes) => raw.bytes(bytes).await,
        };
        // Clients give up at a write that fails, and never read why.
        assert!(sent, "{name} in {subprotocol:?} was cut while it was being sent");
        match ends {
            Ends::Closed(close) => match raw.end().await {
                Heard::Close(found, _) => assert_eq!(found, close, "{name} in {subprotocol:?}"),
                end => panic!("{name} in {subprotocol:?} should close with {close}, but: {end:?}"),
            },
            Ends::Refused(code) => match raw.message().await {
                ServerMessage::Refused(refused) => {
                    assert_eq!(refused.code, code, "{name} in {subprotocol:?}: {}", refused.message);
                    assert_eq!(refused.revision, self.owned.revision, "{name}");
                }
                other => panic!("{name} in {subprotocol:?} should be refused as {code}, but: {other:?}"),
            },
        }
    }

    /// Whoever behaves has noticed nothing, nothing changed, and the server stops cleanly.
    async fn close(self) {
        self.hostile(Subprotocol::Msgpack).await;
        self.done.store(true, Ordering::Relaxed);
        let rounds = self.bystander.await.expect("the bystander noticed nothing");
        assert!(rounds > 0);
        assert_eq!(self.server.stop().await, Stopped::Clean);
    }
}

/// A payload that depends on the number of the next request.
type Payload = Box<dyn Fn(u64) -> Vec<u8> + Sync>;

/// What is sent.
enum Input<'a> {
    /// A payload that depends on the number of the next request, in a frame as it should be.
    Payload(&'a (dyn Fn(u64) -> Vec<u8> + Sync)),
    /// Bytes as they are.
    Bytes(&'a [u8]),
}

fn grant(seq: Seq, quantity: u64) -> ClientMessage {
    let item = ItemId::new("ore").expect("an id");
    let grant = DevGrant { item: Some(item), currency: None, quantity: Quantity::new(quantity), partial: None };
    ClientMessage::request(seq, Action::DevGrant(grant))
}

/// Plays in peace until told to stop; panics when the peace is disturbed.
async fn stand_by(game: std::net::SocketAddr, done: Arc<AtomicBool>) -> u64 {
    let (mut raw, welcome, _) = Raw::join(game, Subprotocol::Msgpack, "bystander").await;
    let mut seq = welcome.seq;
    let mut rounds = 0;
    while !done.load(Ordering::Relaxed) {
        let begun = Instant::now();
        seq = seq.next();
        raw.send(&grant(seq, 1)).await;
        assert!(matches!(raw.message().await, ServerMessage::Applied(applied) if applied.seq == seq));
        seq = seq.next();
        raw.send(&ClientMessage::request(seq, Action::Stats(Stats {}))).await;
        rounds += 1;
        match raw.message().await {
            ServerMessage::Answer(answer) => match answer.answer {
                Answered::Stats(stats) => assert_eq!(stats.item_count, rounds, "every grant once"),
                other => panic!("no stats: {other:?}"),
            },
            other => panic!("no answer: {other:?}"),
        }
        assert!(begun.elapsed() < NOTICED, "the bystander waited {:?}", begun.elapsed());
        sleep(Duration::from_millis(100)).await;
    }
    rounds
}
