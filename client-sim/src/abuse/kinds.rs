//! The abuses: what is sent, and what a server must answer.

use crate::{scenario::World, socket::Throw};
use holdall_protocol::{
    action::{Action, Gift, GiftItem, Quantity, Sell, Sort, Stats},
    close::Close,
    code::Code,
    frame::{DEPTH_MAX, Subprotocol},
    ids::{InstanceId, PlayerId, Seq},
    message::{ClientMessage, Hello, Welcome},
};
use serde_json::{Value, json};
use uuid::Uuid;

/// How an abuse must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ends {
    /// The last request is refused with one of these.
    Refused(&'static [Code]),
    /// The connection is closed with this.
    Closed(Close),
    /// The repeat gets what the first one got, or is called a duplicate.
    Once,
    /// Hardly more is served than a player may ask for.
    Limited,
}

/// When an abuse begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begins {
    /// Before anybody has signed in.
    Stranger,
    /// As a player who was let in.
    Welcomed,
}

/// One kind of abuse.
#[derive(Debug, Clone, Copy)]
pub(super) struct Abuse {
    /// What it is.
    pub(super) name: &'static str,
    /// When it begins.
    pub(super) begins: Begins,
    /// What is sent.
    pub(super) frames: fn(&Scene<'_>) -> Vec<Throw>,
    /// How it must end.
    pub(super) ends: Ends,
}

/// Who abuses whom.
pub(super) struct Scene<'a> {
    /// The run.
    pub(super) world: &'a World,
    /// Who it is.
    pub(super) player: &'a PlayerId,
    /// What the server said, to who was welcomed.
    pub(super) welcome: Option<&'a Welcome>,
}

use Begins::{Stranger, Welcomed};
use Ends::{Closed, Limited, Once, Refused};

/// All of them.
pub(super) const ABUSES: [Abuse; 18] = [
    of("a flood", Welcomed, |_| Vec::new(), Limited),
    of("a broken frame", Welcomed, |scene| vec![scene.own(vec![0xc1, 0xff, 0x00, 0x7b])], Closed(Close::ProtocolError)),
    of("the other kind of frame", Welcomed, |scene| scene.other_kind(), Closed(Close::ProtocolError)),
    of("an oversized frame", Welcomed, |scene| scene.oversized(), Closed(Close::FrameTooLarge)),
    of("a frame too deep", Welcomed, |scene| scene.deep(), Closed(Close::ProtocolError)),
    of("a second hello", Welcomed, |scene| vec![scene.hello(scene.token())], Closed(Close::ProtocolError)),
    of("a request before hello", Stranger, |scene| vec![scene.ask(1, stats())], Closed(Close::ProtocolError)),
    of("a forged token", Stranger, |scene| vec![scene.hello(scene.forged())], Closed(Close::Unauthorized)),
    of("silence", Stranger, |_| Vec::new(), Closed(Close::HelloTimeout)),
    of("a replayed request", Welcomed, |scene| vec![scene.ask(1, sort()), scene.ask(1, sort())], Once),
    of(
        "a used number for something else",
        Welcomed,
        |scene| vec![scene.ask(1, sort()), scene.ask(1, stats())],
        Refused(&[Code::SeqReused]),
    ),
    of("a number far ahead", Welcomed, |scene| vec![scene.ask(1_000_000, stats())], Refused(&[Code::SeqGap])),
    of(
        "an action nobody has",
        Welcomed,
        |scene| vec![scene.forge(json!({"fly": {"to": "the moon"}}))],
        Refused(&[Code::UnknownAction]),
    ),
    of(
        "an operator's power",
        Welcomed,
        |scene| vec![scene.forge(json!({"grant": {"item": "gold", "quantity": 1_000_000}}))],
        Refused(&[Code::UnknownAction]),
    ),
    of(
        "a negative quantity",
        Welcomed,
        |scene| vec![scene.forge(json!({"drop": {"target": {"item": "gold"}, "quantity": -1}}))],
        Refused(&[Code::InvalidQuantity, Code::InvalidItem, Code::NotFound]),
    ),
    of(
        "more than one has",
        Welcomed,
        |scene| vec![scene.forge(json!({"drop": {"target": {"item": "ore"}, "quantity": 4_000_000_000_u32}}))],
        Refused(&[Code::InsufficientQuantity, Code::InvalidQuantity, Code::InvalidItem, Code::NotFound]),
    ),
    of("a sale of what is not one's own", Welcomed, |scene| vec![scene.ask(1, sell())], Refused(&[Code::NotFound])),
    of(
        "a gift to oneself",
        Welcomed,
        |scene| vec![scene.ask(1, scene.gift())],
        Refused(&[Code::SamePlayer, Code::NotFound]),
    ),
];

const fn of(name: &'static str, begins: Begins, frames: fn(&Scene<'_>) -> Vec<Throw>, ends: Ends) -> Abuse {
    Abuse { name, begins, frames, ends }
}

pub(super) const fn stats() -> Action {
    Action::Stats(Stats {})
}

const fn sort() -> Action {
    Action::Sort(Sort {})
}

/// A stack that nobody has.
const fn nobodys() -> InstanceId {
    InstanceId::new(Uuid::from_u128(0x0189_0000_0000_7000_8000_0000_0000_0000))
}

fn sell() -> Action {
    Action::Sell(Sell { instance: nobodys(), quantity: Quantity::new(1) })
}

impl Scene<'_> {
    fn subprotocol(&self) -> Subprotocol {
        self.world.options.subprotocol
    }

    fn own(&self, bytes: Vec<u8>) -> Throw {
        match self.subprotocol() {
            Subprotocol::Msgpack => Throw::Binary(bytes),
            // What is not even text would be another abuse.
            Subprotocol::Json => Throw::Text("{\"seq\":".to_owned()),
        }
    }

    fn other_kind(&self) -> Vec<Throw> {
        match self.subprotocol() {
            Subprotocol::Msgpack => vec![Throw::Text("{}".to_owned())],
            Subprotocol::Json => vec![Throw::Binary(vec![0x80])],
        }
    }

    fn encoded(&self, message: &impl serde::Serialize) -> Throw {
        let mut bytes = Vec::new();
        self.subprotocol().encode(message, &mut bytes);
        match self.subprotocol() {
            Subprotocol::Msgpack => Throw::Binary(bytes),
            Subprotocol::Json => Throw::Text(String::from_utf8_lossy(&bytes).into_owned()),
        }
    }

    fn oversized(&self) -> Vec<Throw> {
        let most = self.welcome.map_or(0, |welcome| welcome.limits.frame_bytes_max);
        let bytes = usize::try_from(most).unwrap_or_default().saturating_add(1);
        vec![match self.subprotocol() {
            Subprotocol::Msgpack => Throw::Binary(vec![0; bytes]),
            Subprotocol::Json => Throw::Text(" ".repeat(bytes)),
        }]
    }

    fn deep(&self) -> Vec<Throw> {
        let deep = (0..DEPTH_MAX * 2).fold(json!(1), |inner, _| json!([inner]));
        vec![self.encoded(&json!({"seq": 1, "action": {"stats": {}}, "more": deep}))]
    }

    pub(super) fn hello(&self, token: String) -> Throw {
        self.encoded(&ClientMessage::Hello(Hello { token, resume: None, client: Some("client-sim abuser".to_owned()) }))
    }

    pub(super) fn token(&self) -> String {
        self.world.options.tokens.of(self.player)
    }

    fn forged(&self) -> String {
        self.world.options.tokens.forged(self.player)
    }

    /// The number that lies so far behind the last one.
    fn number(&self, ahead: u64) -> Seq {
        let last = self.welcome.map_or(0, |welcome| welcome.seq.get());
        Seq::new(last.saturating_add(ahead))
    }

    pub(super) fn ask(&self, ahead: u64, action: Action) -> Throw {
        self.encoded(&ClientMessage::request(self.number(ahead), action))
    }

    fn forge(&self, action: Value) -> Throw {
        self.encoded(&json!({"seq": self.number(1).get(), "action": action}))
    }

    fn gift(&self) -> Action {
        let items = vec![GiftItem { instance: nobodys(), quantity: Quantity::new(1) }];
        Action::Gift(Gift { to: self.player.clone(), items })
    }
}
