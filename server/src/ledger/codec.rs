//! An entry's bytes: a MessagePack array, so that a stream of them needs no other framing.
//!
//! `[version, revision, at, actor, reason, seq, hash, partner, schema, [[place, before]…], [[from, to, item, quantity,
//! [instance…]]…], gift, again, [key, why], trade, more]`. Actors and accounts are text: `player:<id>`, `inbox:<id>`, `server`,
//! `operator:<name>`, `shop`, `mint`, `sink`. `before` is the place's value in a record of format `schema`, nil where it was empty. The
//! last five are there only where they, or what stands behind them, are needed, and else nil: `gift` where an inbox was
//! touched, the 16 bytes of the id under which something was put or taken; `again` where it was sent back, the id under which
//! it waits from then on; `[key, why]` where an operator ordered it; `trade`, 16 bytes, where one was settled; `more`, a map, to which
//! whatever comes next is added: `hold`, 16 bytes, where one of the shop was made, given back or paid for.

use super::entry::{Actor, Asked, Entry, Ordered};
use crate::engine::change::Change;
use bytes::Bytes;
use holdall_protocol::ids::{InstanceId, ItemId, OrderKey, ReservationId, Revision, Seq, TradeId};
use serde::Deserialize;
use std::sync::Arc;
use uuid::Uuid;

/// The version of this layout.
const VERSION: u8 = 1;

#[derive(Deserialize)]
struct StoredLine(String, String, ItemId, u64, Vec<InstanceId>);

#[derive(Deserialize)]
struct StoredBefore(String, Option<Bytes>);

#[derive(Deserialize)]
struct StoredEntry(
    u8,
    u64,
    u64,
    String,
    String,
    u64,
    u64,
    Option<(String, u64)>,
    u32,
    Vec<StoredBefore>,
    Vec<StoredLine>,
    #[serde(default)] Option<Option<Uuid>>,
    #[serde(default)] Option<Option<Uuid>>,
    #[serde(default)] Option<Option<StoredOrder>>,
    #[serde(default)] Option<Option<TradeId>>,
    #[serde(default)] Option<StoredMore>,
);

#[derive(Deserialize)]
struct StoredMore {
    #[serde(default)]
    hold: Option<ReservationId>,
}

#[derive(Deserialize)]
struct StoredOrder(OrderKey, Arc<str>);

/// An entry as it was read back.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// The revision it made.
    pub revision: Revision,
    /// When, in milliseconds since 1970.
    pub at: u64,
    /// Who, as stored.
    pub actor: String,
    /// Why, as stored.
    pub reason: String,
    /// The player's own request.
    pub asked: Option<Asked>,
    /// The other player of the same record and the revision it made there.
    pub partner: Option<(String, Revision)>,
    /// The record format of `before`.
    pub schema: u32,
    /// Every place touched and its value before.
    pub before: Vec<(String, Option<Bytes>)>,
    /// From, to, item, quantity and whole stacks of each line.
    pub lines: Vec<(String, String, ItemId, u64, Vec<InstanceId>)>,
    /// The waiting gift that was put, taken or sent back.
    pub gift: Option<Uuid>,
    /// The id under which it waits from then on, where it was sent back.
    pub again: Option<Uuid>,
    /// The operator's order behind it.
    pub ordered: Option<Ordered>,
    /// The trade that it settled.
    pub trade: Option<TradeId>,
    /// The hold of the shop that was made, given back or paid for.
    pub hold: Option<ReservationId>,
}

/// Appends an entry's bytes. Returns by how many units of everything, things and money, its player has more by its lines.
/// `scratch` is room for values on their way.
pub fn write(entry: &Entry<'_>, out: &mut Vec<u8>, scratch: &mut Vec<u8>) -> i128 {
    let asked = entry.asked.unwrap_or(Asked { seq: Seq::ZERO, hash: 0 });
    let behind = Behind::of(entry);
    let lines = entry.lines();
    let mut pen = Pen(out);
    pen.array(ELEMENTS.saturating_add(behind.count()));
    pen.number(VERSION.into()).number(entry.revision.get()).number(entry.at);
    match &entry.actor {
        Actor::Player(player) => pen.text(["player:", player.as_str()]),
        Actor::Server => pen.text(["server"]),
        Actor::Operator(name) => pen.text(["operator:", name]),
    };
    pen.text([entry.reason.as_str()]).number(asked.seq.get()).number(asked.hash);
    match &entry.partner {
        Some(partner) => pen.array(2).text([partner.player.as_str()]).number(partner.revision.get()),
        None => pen.nil(),
    };
    pen.number(entry.form.stamp().format.into()).array(entry.changes.len());
    for Change { place, before, .. } in entry.changes {
        pen.array(2).text([place.text().as_str()]);
        match before {
            Some(content) => {
                scratch.clear();
                entry.form.write(content, scratch);
                pen.bytes(scratch)
            }
            None => pen.nil(),
        };
    }
    pen.array(lines.len());
    for line in &lines {
        pen.array(5).text(line.from.text()).text(line.to.text()).text([line.item.as_str()]);
        pen.number(line.quantity).array(line.instances.len());
        for instance in &line.instances {
            pen.uuid(Some(instance.uuid()));
        }
    }
    behind.write(&mut pen);
    lines.iter().map(|line| line.gain_of(entry.player)).sum()
}

/// The elements that every entry has.
const ELEMENTS: usize = 11;

/// The elements behind them, left out from where nothing follows.
struct Behind<'a> {
    gift: Option<Uuid>,
    again: Option<Uuid>,
    ordered: Option<&'a Ordered>,
    trade: Option<TradeId>,
    hold: Option<ReservationId>,
}

impl<'a> Behind<'a> {
    fn of(entry: &'a Entry<'_>) -> Self {
        Self {
            gift: entry.waits.as_ref().map(|waits| waits.gift),
            again: entry.waits.as_ref().and_then(|waits| waits.again),
            ordered: entry.ordered.as_ref(),
            trade: entry.partner.as_ref().and_then(|partner| partner.trade),
            hold: entry.hold,
        }
    }

    fn count(&self) -> usize {
        let Self { gift, again, ordered, trade, hold } = self;
        let there = [gift.is_some(), again.is_some(), ordered.is_some(), trade.is_some(), hold.is_some()];
        there.iter().rposition(|is_there| *is_there).map_or(0, |last| last.saturating_add(1))
    }

    fn write(&self, pen: &mut Pen<'_>) {
        let count = self.count();
        if count > 0 {
            pen.uuid(self.gift);
        }
        if count > 1 {
            pen.uuid(self.again);
        }
        if count > 2 {
            match self.ordered {
                Some(Ordered { key, why }) => pen.array(2).text([key.as_str()]).text([why]),
                None => pen.nil(),
            };
        }
        if count > 3 {
            pen.uuid(self.trade.map(TradeId::uuid));
        }
        if let Some(hold) = self.hold {
            pen.map(1).text(["hold"]).uuid(Some(hold.uuid()));
        }
    }
}

/// Writes MessagePack into memory.
struct Pen<'o>(&'o mut Vec<u8>);

const MEMORY: &str = "memory takes it";

impl Pen<'_> {
    fn nil(&mut self) -> &mut Self {
        rmp::encode::write_nil(self.0).expect(MEMORY);
        self
    }

    fn number(&mut self, number: u64) -> &mut Self {
        rmp::encode::write_uint(self.0, number).expect(MEMORY);
        self
    }

    fn array(&mut self, elements: usize) -> &mut Self {
        rmp::encode::write_array_len(self.0, length(elements)).expect(MEMORY);
        self
    }

    fn map(&mut self, pairs: usize) -> &mut Self {
        rmp::encode::write_map_len(self.0, length(pairs)).expect(MEMORY);
        self
    }

    /// One text of several parts.
    fn text<const N: usize>(&mut self, parts: [&str; N]) -> &mut Self {
        let bytes = parts.iter().map(|part| part.len()).sum();
        rmp::encode::write_str_len(self.0, length(bytes)).expect(MEMORY);
        for part in parts {
            self.0.extend_from_slice(part.as_bytes());
        }
        self
    }

    fn uuid(&mut self, uuid: Option<Uuid>) -> &mut Self {
        match uuid {
            Some(uuid) => self.bytes(uuid.as_bytes()),
            None => self.nil(),
        }
    }

    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        rmp::encode::write_bin(self.0, bytes).expect(MEMORY);
        self
    }
}

fn length(count: usize) -> u32 {
    u32::try_from(count).expect("an entry is far smaller")
}

/// Reads what one batch added: all of its entries, in order.
///
/// # Errors
/// What is wrong with the bytes.
pub fn read(mut bytes: &[u8]) -> Result<Vec<Page>, String> {
    let mut pages = Vec::new();
    while !bytes.is_empty() {
        let mut reader = rmp_serde::Deserializer::new(bytes);
        let stored = StoredEntry::deserialize(&mut reader).map_err(|error| format!("ledger entry: {error}"))?;
        bytes = reader.into_inner();
        pages.push(page(stored)?);
    }
    Ok(pages)
}

fn page(stored: StoredEntry) -> Result<Page, String> {
    let StoredEntry(
        version,
        revision,
        at,
        actor,
        reason,
        seq,
        hash,
        partner,
        schema,
        before,
        lines,
        gift,
        again,
        order,
        trade,
        more,
    ) = stored;
    if version != VERSION {
        return Err(format!("ledger entry of version {version}: use the newer build"));
    }
    let asked = (seq != 0).then_some(Asked { seq: Seq::new(seq), hash });
    Ok(Page {
        revision: Revision::new(revision),
        at,
        actor,
        reason,
        asked,
        partner: partner.map(|(player, revision)| (player, Revision::new(revision))),
        schema,
        before: before.into_iter().map(|StoredBefore(place, value)| (place, value)).collect(),
        lines: lines
            .into_iter()
            .map(|StoredLine(from, to, item, n, instances)| (from, to, item, n, instances))
            .collect(),
        gift: gift.flatten(),
        again: again.flatten(),
        ordered: order.flatten().map(|StoredOrder(key, why)| Ordered { key, why }),
        trade: trade.flatten(),
        hold: more.and_then(|more| more.hold),
    })
}
