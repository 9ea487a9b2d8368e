//! A server played by hand: it keeps one inventory, and says what it is told to say, true or not.

use holdall_client_sim::{
    checker::{Checker, Heard, Reply},
    conservation::Tally,
    fault::Fault,
};
use holdall_protocol::{
    action::{Action, Count, DevGrant, Drop, Move, Quantity, Resync, Sell, Stats, Target, Use},
    attribute::Attributes,
    checksum::{Checksum, StackLine, of_balance, of_stack},
    code::Code,
    ids::{Incarnation, InstanceId, ItemId, Place, PlayerId, Revision, Seq, SessionId},
    message::{
        Answer, Answered, Applied, CatalogVersion, Cause, Change, Delta, Duplicate, Durability, Filled, Limits,
        Refused, Removed, ServerMessage, Snapshot, Stack, Trade, Welcome,
    },
};
use std::collections::BTreeMap;
use uuid::Uuid;

pub(super) fn item(id: &str) -> ItemId {
    ItemId::new(id).unwrap()
}

pub(super) fn instance(number: u128) -> InstanceId {
    InstanceId::new(Uuid::from_u128(number))
}

/// A stack in a bag slot; its instance is the slot's number plus 100.
pub(super) fn stack(slot: u16, id: &str, quantity: u32) -> Filled {
    let stack = Stack {
        instance: instance(u128::from(slot) + 100),
        item: item(id),
        quantity,
        acquired_at: 1_700_000_000_000,
        attributes: Attributes::default(),
    };
    Filled { place: Place::Bag(slot), stack: Some(stack), amount: None }
}

pub(super) fn balance(currency: &str, amount: u64) -> Filled {
    Filled { place: Place::Balance(item(currency)), stack: None, amount: Some(amount) }
}

pub(super) fn checksum<'a>(places: impl Iterator<Item = &'a Filled>) -> u32 {
    let mut scratch = Vec::new();
    let line = |filled: &Filled| match &filled.stack {
        Some(stack) => of_stack(
            &filled.place,
            StackLine {
                instance: stack.instance,
                item: &stack.item,
                quantity: stack.quantity,
                acquired_at: stack.acquired_at,
                attributes: &stack.attributes,
            },
            &mut scratch,
        ),
        None => of_balance(&filled.place, filled.amount.unwrap(), &mut scratch),
    };
    places.map(line).fold(Checksum::default(), Checksum::with).get()
}

pub(super) fn drop_of(slot: u16, units: u64) -> Action {
    let target = Target::Instance(instance(u128::from(slot) + 100));
    Action::Drop(Drop { target, quantity: Quantity::new(units) })
}

pub(super) fn use_of(id: &str) -> Action {
    Action::Use(Use { target: Target::Item(item(id)) })
}

pub(super) fn sell(slot: u16, units: u64) -> Action {
    Action::Sell(Sell { instance: instance(u128::from(slot) + 100), quantity: Quantity::new(units) })
}

pub(super) fn shift(from: u16, to: u16) -> Action {
    Action::Move(Move { from, to, quantity: None })
}

pub(super) fn grant(id: &str, units: u64) -> Action {
    Action::DevGrant(DevGrant { item: Some(item(id)), currency: None, quantity: Quantity::new(units), partial: None })
}

pub(super) fn count(id: &str) -> Action {
    Action::Count(Count { item: item(id) })
}

pub(super) fn stats() -> Action {
    Action::Stats(Stats {})
}

pub(super) fn resync() -> Action {
    Action::Resync(Resync {})
}

/// The server's inventory and the checker that listens to it.
pub(super) struct Scene {
    pub(super) checker: Checker,
    pub(super) places: BTreeMap<Place, Filled>,
    pub(super) revision: u64,
    incarnation: u128,
    pub(super) ack: &'static str,
    /// What a welcome tells of trades.
    pub(super) trades: Vec<Trade>,
}

/// The bounds of every scene.
pub(super) const LIMITS: Limits = Limits {
    frame_bytes_max: 16_384,
    actions_per_second: 10,
    actions_burst: 10,
    in_flight_max: 64,
    max_slots: 100,
    max_weight: 0,
    idle_seconds: 60,
};

impl Scene {
    /// A player at revision 1 with these things, welcomed and shown them.
    pub(super) fn new(things: impl IntoIterator<Item = Filled>) -> Self {
        let mut scene = Self {
            checker: Checker::new(PlayerId::new("bot-1").unwrap()),
            places: things.into_iter().map(|filled| (filled.place.clone(), filled)).collect(),
            revision: 1,
            incarnation: 1,
            ack: "durable",
            trades: Vec::new(),
        };
        scene.welcome(0, false);
        scene.show();
        assert!(scene.checker.is_live());
        scene
    }

    /// The bag most rows start from.
    pub(super) fn usual() -> Self {
        Self::new([stack(0, "ore", 30), stack(1, "potion", 5), balance("gold", 10)])
    }

    pub(super) fn hear(&mut self, message: ServerMessage) -> Option<Reply> {
        match self.checker.hear(&message) {
            Heard::Reply(reply) => Some(*reply),
            Heard::Pushed => None,
        }
    }

    pub(super) fn checksum(&self) -> u32 {
        checksum(self.places.values())
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        let places = self.places.values().cloned().collect();
        Snapshot { revision: Revision::new(self.revision), checksum: self.checksum(), places, frozen: vec![] }
    }

    pub(super) fn show(&mut self) {
        let snapshot = self.snapshot();
        self.hear(ServerMessage::Snapshot(snapshot));
    }

    pub(super) fn welcome(&mut self, seq: u64, resumed: bool) {
        let welcome = Welcome {
            player: self.checker.player().clone(),
            session: SessionId::new(Uuid::from_u128(7)),
            incarnation: Incarnation::new(Uuid::from_u128(self.incarnation)),
            revision: Revision::new(self.revision),
            seq: Seq::new(seq),
            resumed,
            limits: LIMITS,
            catalog: CatalogVersion { version: 1, hash: "0".into() },
            durability: Durability { ack: self.ack.into(), store: "embedded".into(), promise: String::new() },
            now: 1_700_000_000_000,
            trades: self.trades.clone(),
            settings: None,
            holds: Vec::new(),
        };
        self.hear(ServerMessage::Welcome(Box::new(welcome)));
    }

    /// The server starts anew: the next welcome is of another incarnation.
    pub(super) fn restart(&mut self) {
        self.checker.cut();
        self.incarnation += 1;
    }

    /// The player asks. The requests of a scene are numbered from 1.
    pub(super) fn ask(&mut self, action: Action) {
        self.checker.ask(action, 0).expect("the mirror is whole");
    }

    /// A bag slot holds so many units from now on.
    pub(super) fn becomes(&mut self, slot: u16, units: u32) -> Change {
        let place = Place::Bag(slot);
        if units == 0 {
            self.places.remove(&place);
            return Change::Remove(Removed { place });
        }
        let filled = self.places.get_mut(&place).expect("something is there");
        filled.stack.as_mut().expect("a stack").quantity = units;
        Change::Add(filled.clone())
    }

    /// A place holds this from now on.
    pub(super) fn holds(&mut self, filled: Filled) -> Change {
        self.places.insert(filled.place.clone(), filled.clone());
        Change::Add(filled)
    }

    /// The true reply to a request that made these changes: the next revision.
    pub(super) fn reply(&mut self, seq: u64, changes: Vec<Change>) -> Applied {
        self.revision += 1;
        self.kept(seq, self.revision, changes)
    }

    /// The reply to a request that made this revision.
    pub(super) fn kept(&self, seq: u64, revision: u64, changes: Vec<Change>) -> Applied {
        let (seq, revision, checksum) = (Seq::new(seq), Revision::new(revision), self.checksum());
        Applied { seq, revision, changes, checksum, overflow: None, hold: None, collapsed: false }
    }

    /// Asks for a drop from slot 0 and takes effect truly.
    pub(super) fn dropped(&mut self, seq: u64, units: u32) {
        self.ask(drop_of(0, units.into()));
        let applied = self.drop_applied(seq, units);
        self.hear(ServerMessage::Applied(applied));
    }

    pub(super) fn drop_applied(&mut self, seq: u64, units: u32) -> Applied {
        let have = self.places.get(&Place::Bag(0)).and_then(|filled| filled.stack.as_ref()).unwrap().quantity;
        let change = self.becomes(0, have - units);
        self.reply(seq, vec![change])
    }

    pub(super) fn gift(&mut self, filled: Filled) -> Delta {
        let change = self.holds(filled);
        self.revision += 1;
        let from = PlayerId::new("bot-2").unwrap();
        let (revision, checksum) = (Revision::new(self.revision), self.checksum());
        Delta { revision, changes: vec![change], checksum, cause: Cause::Gift { from } }
    }

    pub(super) fn refusal(&self, seq: u64, code: Code) -> Refused {
        Refused {
            seq: Seq::new(seq),
            revision: Revision::new(self.revision),
            code,
            message: String::new(),
            retry_after_ms: None,
            duplicate: None,
        }
    }

    pub(super) fn duplicate(&self, seq: u64, revision: Option<u64>) -> ServerMessage {
        let duplicate = Duplicate { applied: Some(revision.is_some()), revision: revision.map(Revision::new) };
        ServerMessage::Refused(Refused { duplicate: Some(duplicate), ..self.refusal(seq, Code::Duplicate) })
    }

    pub(super) fn answer(&self, seq: u64, answer: Answered) -> ServerMessage {
        ServerMessage::Answer(Answer { seq: Seq::new(seq), revision: Revision::new(self.revision), answer })
    }

    pub(super) fn faults(&mut self) -> Vec<Fault> {
        self.checker.take_faults()
    }

    /// The end of an honest story: nothing was found, and the books hold what is there.
    pub(super) fn honest(mut self) -> Tally {
        let tally = self.checker.finish();
        assert_eq!(self.checker.take_faults(), [], "an honest server is not accused");
        tally
    }
}

/// Asserts that exactly one fault was found, and that it is of this kind.
macro_rules! found {
    ($scene:expr, $pattern:pat) => {{
        let faults = $scene.faults();
        assert!(matches!(faults.as_slice(), [$pattern]), "expected {}, found {faults:?}", stringify!($pattern));
    }};
}
pub(super) use found;
