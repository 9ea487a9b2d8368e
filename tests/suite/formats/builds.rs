//! Builds of the server that never were: formats two to four, and a server process over them.
//!
//! The second format has a flag behind a stack's elements and can be read by the first build. The third stores balances as
//! texts, which no older build reads. The fourth has a maker's name behind the flag and can be read by the third. The
//! engine of these builds sees flag and name as attributes.

use crate::conformance::id;
use holdall_protocol::{
    attribute::{Attributes, Value},
    ids::{AttributeKey, InstanceId, ItemId, Seq},
};
use holdall_server::{
    clock::{Clock, Dice},
    engine::{
        action::Action,
        apply,
        change::{Beyond, Changes, Content, Nature, Stack},
        moment::Moment,
    },
    journal::{Ack, Journal, Options as JournalOptions},
    ledger::entry::{Actor, Asked, Reason},
    market::{Party, gift},
    roster::{
        Options, Roster,
        allowance::Quotas,
        cell::Cell,
        pair,
        record::{Half, Note},
        retention::Retention,
    },
    schema::{Behind, Chain, OURS},
    store::{Node, Store, memory::Shelf},
};
use std::{num::NonZeroU32, sync::Arc, time::Duration};

pub(super) static SECOND: Chain =
    Chain { number: 2, readable_by: 1, upgrades: &[flagged], read: read_second, write: write_second };
pub(super) static THIRD: Chain =
    Chain { number: 3, readable_by: 3, upgrades: &[flagged, in_words], read: read_third, write: write_third };
pub(super) static FOURTH: Chain =
    Chain { number: 4, readable_by: 3, upgrades: &[flagged, in_words, signed], read: read_fourth, write: write_fourth };

/// A balance that the step to the third format cannot bring forward.
pub(super) const UNLUCKY: u64 = 13;

const FALSE: u8 = 0xc2;
const EMPTY_TEXT: u8 = 0xa0;

/// From the first format to the second: nothing is flagged.
fn flagged(value: &[u8]) -> Result<Vec<u8>, String> {
    Ok(behind(value, 5, FALSE))
}

/// From the second to the third: balances in words.
fn in_words(value: &[u8]) -> Result<Vec<u8>, String> {
    if is_stack(value) {
        return Ok(behind(value, 5, FALSE));
    }
    let amount: u64 = rmp_serde::from_slice(value).map_err(|error| error.to_string())?;
    if amount == UNLUCKY {
        return Err(format!("{amount} is no balance"));
    }
    Ok(rmp_serde::to_vec(&amount.to_string()).expect("bytes"))
}

/// From the third to the fourth: nobody signed.
fn signed(value: &[u8]) -> Result<Vec<u8>, String> {
    Ok(behind(value, 6, EMPTY_TEXT))
}

fn is_stack(value: &[u8]) -> bool {
    matches!(value, [0x90..=0x9f, ..])
}

/// A stack of so many elements with one more.
fn behind(value: &[u8], count: u8, element: u8) -> Vec<u8> {
    match value {
        [head, rest @ ..] if *head == 0x90 + count => [&[0x91 + count], rest, &[element]].concat(),
        _ => value.to_vec(),
    }
}

fn read_second(value: &[u8], behind: Behind) -> Result<Content, String> {
    let mut content = (OURS.read)(value, Behind::Kept)?;
    if let Content::Stack(stack) = &mut content {
        if let Some(true) = shift(stack)? {
            set(stack, "bound", Some(Value::Bool(true)));
        }
        if behind == Behind::Refused && !stack.beyond.bytes().is_empty() {
            return Err("elements behind the flag".to_owned());
        }
    }
    Ok(content)
}

fn write_second(content: &Content, out: &mut Vec<u8>) {
    let mut content = content.clone();
    if let Content::Stack(stack) = &mut content {
        let bound = attribute(stack, "bound").is_some();
        set(stack, "bound", None);
        unshift(stack, &bound);
    }
    (OURS.write)(&content, out);
}

fn read_third(value: &[u8], behind: Behind) -> Result<Content, String> {
    if is_stack(value) {
        return read_second(value, behind);
    }
    let words: String = rmp_serde::from_slice(value).map_err(|error| error.to_string())?;
    words.parse().map(Content::Amount).map_err(|_| format!("{words} is no balance"))
}

fn write_third(content: &Content, out: &mut Vec<u8>) {
    match content {
        Content::Amount(amount) => rmp_serde::encode::write(out, &amount.to_string()).expect("bytes"),
        Content::Stack(_) => write_second(content, out),
    }
}

fn read_fourth(value: &[u8], behind: Behind) -> Result<Content, String> {
    let mut content = read_third(value, Behind::Kept)?;
    if let Content::Stack(stack) = &mut content {
        let maker: Option<String> = shift(stack)?;
        set(stack, "maker", maker.filter(|maker| !maker.is_empty()).map(|maker| Value::String(maker.into())));
        if behind == Behind::Refused && !stack.beyond.bytes().is_empty() {
            return Err("elements behind the maker".to_owned());
        }
    }
    Ok(content)
}

fn write_fourth(content: &Content, out: &mut Vec<u8>) {
    let mut content = content.clone();
    if let Content::Stack(stack) = &mut content {
        let maker = match attribute(stack, "maker") {
            Some(Value::String(maker)) => maker.to_string(),
            _ => String::new(),
        };
        set(stack, "maker", None);
        unshift(stack, &maker);
    }
    write_third(&content, out);
}

/// Takes the first of the elements behind those known.
fn shift<T: serde::de::DeserializeOwned>(stack: &mut Stack) -> Result<Option<T>, String> {
    let Some((head, rest)) = stack.beyond.bytes().split_first() else { return Ok(None) };
    let count = head - 0x90;
    let mut reader = rmp_serde::Deserializer::new(rest);
    let element = T::deserialize(&mut reader).map_err(|error| error.to_string())?;
    let rest = reader.into_inner();
    stack.beyond = Beyond::new(if count > 1 { [&[head - 1], rest].concat() } else { Vec::new() });
    Ok(Some(element))
}

/// Puts one more before them.
fn unshift(stack: &mut Stack, element: &impl serde::Serialize) {
    let element = rmp_serde::to_vec(element).expect("bytes");
    let (count, rest) = stack.beyond.bytes().split_first().map_or((0, &[][..]), |(head, rest)| (head - 0x90, rest));
    stack.beyond = Beyond::new([&[0x91 + count], &element[..], rest].concat());
}

pub(super) fn key(name: &str) -> AttributeKey {
    AttributeKey::new(name).expect("a key")
}

pub(super) fn attribute<'a>(stack: &'a Stack, name: &str) -> Option<&'a Value> {
    stack.attributes.get(&key(name))
}

fn set(stack: &mut Stack, name: &str, value: Option<Value>) {
    let mut pairs = stack.attributes.to_map();
    pairs.remove(&key(name));
    pairs.extend(value.map(|value| (key(name), value)));
    stack.attributes = Attributes::new(pairs);
}

pub(super) fn instance(number: u128) -> InstanceId {
    InstanceId::new(uuid::Uuid::from_u128(number))
}

/// Ore, really: swords do not stack.
pub(super) fn sword(number: u128, quantity: u32) -> Content {
    Content::Stack(Stack {
        instance: instance(number),
        nature: Nature::plain(ItemId::new("ore").expect("an item id")),
        quantity: NonZeroU32::new(quantity).expect("not zero"),
        acquired_at: 1_700_000_000_000,
    })
}

/// The same, flagged.
pub(super) fn flag(content: Content) -> Content {
    with(content, "bound", Value::Bool(true))
}

pub(super) fn text(content: Content, name: &str, value: &str) -> Content {
    with(content, name, Value::String(value.into()))
}

fn with(content: Content, name: &str, value: Value) -> Content {
    let Content::Stack(mut stack) = content else { panic!("a balance has no attributes") };
    set(&mut stack, name, Some(value));
    Content::Stack(stack)
}

/// A server process without its sockets.
pub(super) struct Build {
    pub(super) roster: Arc<Roster>,
    node: Node,
    writer: tokio::task::JoinHandle<()>,
}

impl Build {
    pub(super) fn start(shelf: &Shelf, boot: u64, chain: &'static Chain) -> Self {
        let node = Node { id: "here".to_owned(), boot };
        let store: Arc<dyn Store> = Arc::new(shelf.open(node.clone()));
        let options = JournalOptions { ack: Ack::Durable, pending_bytes_max: 1 << 20 };
        let (clock, dice) = (Clock::System, Dice::from_seed(boot));
        let journal = Arc::new(Journal::new(store.clone(), options, clock, dice.clone()));
        let some = |n| NonZeroU32::new(n).expect("not zero");
        let options = Options {
            linger: Duration::from_secs(3_600),
            resume_bytes_max: 4_096,
            outbox_bytes_max: 6_000,
            quotas: Quotas::new((some(50), some(50)), (some(600), some(50)), (some(600), some(50))),
            chain,
            inbox_max: 100,
            inbox_time: Duration::from_secs(60),
            retention: Retention { entries_max: 10_000, time_max: None },
        };
        let rules = Arc::new(holdall_harness::rules());
        let roster = Roster::new(journal.clone(), store, rules, (clock, dice), options);
        let writer = tokio::spawn(async move {
            journal.run().await;
        });
        Self { roster, node, writer }
    }

    async fn cell(&self, player: &str) -> Arc<Cell> {
        self.roster.load(&id(player)).await.unwrap_or_else(|error| panic!("{player}: {error}"))
    }

    /// Loads the player, and ends.
    pub(super) async fn visit(self, player: &str) {
        self.cell(player).await;
        self.end().await;
    }

    /// Does something to a loaded player and records it.
    pub(super) async fn act(&self, player: &str, action: &Action) {
        assert!(!self.refuses(player, action).await, "{action:?} of {player} is refused");
    }

    pub(super) async fn refuses(&self, player: &str, action: &Action) -> bool {
        let cell = self.cell(player).await;
        let mut inner = cell.lock();
        let (rules, mut dice) = (self.roster.rules(), self.roster.dice.clone());
        let mut moment = Moment::new(self.roster.clock.now_ms(), &mut dice);
        let mut changes = Changes::default();
        let seat = inner.seat().expect("in the game");
        if apply(&mut seat.player, action, &rules, &mut moment, &mut changes).is_err() {
            return true;
        }
        let note = Note { actor: Actor::Server, reason: Reason::Move, asked: None };
        self.roster.record(Half { player: &cell.id, inner: &mut inner, changes: &changes, note }, true);
        false
    }

    /// Gives (part of) a stack to another player.
    pub(super) async fn give(&self, from: &str, to: &str, number: u128, quantity: u32) {
        let (giver, receiver) = (self.cell(from).await, self.cell(to).await);
        let (mut one, mut other) = pair::lock(&giver, &receiver);
        let seq = one.seat().expect("in the game").seq.next();
        let lines = [(instance(number), NonZeroU32::new(quantity).expect("not zero"))];
        let giver = Party { cell: &giver, inner: &mut one };
        let receiver = Party { cell: &receiver, inner: &mut other };
        gift::give(&self.roster, giver, receiver, &lines, Asked { seq: Seq::new(seq.get()), hash: 1 })
            .expect("it is given");
    }

    /// Saves and ends.
    pub(super) async fn end(self) {
        self.roster.unload_all();
        assert!(self.roster.journal.flush(Duration::from_secs(30)).await, "everything is saved");
        self.writer.abort();
    }

    /// Ends without a word.
    pub(super) fn kill(self, shelf: &Shelf) {
        shelf.kill(&self.node);
        self.writer.abort();
    }
}
