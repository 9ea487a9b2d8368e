//! An entry's bytes: a MessagePack array, so that a stream of them needs no other framing.
//!
//! `[version, revision, at, actor, reason, seq, hash, partner, schema, [[place, before]…], [[from, to, item, quantity,
//! [instance…]]…], gift, again, [key, why], trade, more]`. Actors and accounts are text: `player:<id>`, `inbox:<id>`, `server`,
//! `operator:<name>`, `shop`, `mint`, `sink`. `before` is the place's value in a record of format `schema`, nil where it was empty. The
//! last five are there only where they, or what stands behind them, are needed, and else nil: `gift` where an inbox was
//! touched, the 16 bytes of the id under which something was put or taken; `again` where it was sent back, the id under which
//! it waits from then on; `[key, why]` where an operator ordered it; `trade`, 16 bytes, where one was settled; `more`, a map, to which
//! whatever comes next is added: `hold`, 16 bytes, where one of the shop was made, given back or paid for.

use super::{
    entry::{Actor, Asked, Entry, Ordered},
    line::Line,
};
use bytes::Bytes;
use holdall_protocol::ids::{InstanceId, ItemId, OrderKey, ReservationId, Revision, Seq, TradeId};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use uuid::Uuid;

/// The version of this layout.
const VERSION: u8 = 1;

#[derive(Serialize, Deserialize)]
struct StoredLine(String, String, ItemId, u64, Vec<InstanceId>);

#[derive(Serialize, Deserialize)]
struct StoredBefore(String, Option<Bytes>);

#[derive(Serialize, Deserialize)]
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
    #[serde(default, skip_serializing_if = "Option::is_none")] Option<Option<Uuid>>,
    #[serde(default, skip_serializing_if = "Option::is_none")] Option<Option<Uuid>>,
    #[serde(default, skip_serializing_if = "Option::is_none")] Option<Option<StoredOrder>>,
    #[serde(default, skip_serializing_if = "Option::is_none")] Option<Option<TradeId>>,
    #[serde(default, skip_serializing_if = "Option::is_none")] Option<StoredMore>,
);

#[derive(Serialize, Deserialize)]
struct StoredMore {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hold: Option<ReservationId>,
}

#[derive(Serialize, Deserialize)]
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

/// Appends an entry's bytes.
pub fn write(entry: &Entry<'_>, out: &mut Vec<u8>) {
    let actor = match &entry.actor {
        Actor::Player(player) => format!("player:{player}"),
        Actor::Server => "server".to_owned(),
        Actor::Operator(name) => format!("operator:{name}"),
    };
    let asked = entry.asked.unwrap_or(Asked { seq: Seq::ZERO, hash: 0 });
    let before = entry.changes.iter().map(|change| {
        StoredBefore(change.place.to_string(), change.before.as_ref().map(|content| entry.form.to_bytes(content)))
    });
    let gift = entry.waits.as_ref().map(|waits| waits.gift);
    let again = entry.waits.as_ref().and_then(|waits| waits.again);
    let order = entry.ordered.as_ref().map(|Ordered { key, why }| StoredOrder(key.clone(), why.clone()));
    let trade = entry.partner.as_ref().and_then(|partner| partner.trade);
    // The last elements are left out where nothing follows.
    let more = entry.hold.map(|hold| StoredMore { hold: Some(hold) });
    let rest = [gift.is_some(), again.is_some(), order.is_some(), trade.is_some(), more.is_some()];
    let goes_on = |from: usize| rest.into_iter().skip(from).any(|is_there| is_there);
    let stored = StoredEntry(
        VERSION,
        entry.revision.get(),
        entry.at,
        actor,
        entry.reason.as_str().to_owned(),
        asked.seq.get(),
        asked.hash,
        entry.partner.as_ref().map(|partner| (partner.player.to_string(), partner.revision.get())),
        entry.form.stamp().format,
        before.collect(),
        entry.lines().into_iter().map(stored_line).collect(),
        goes_on(0).then_some(gift),
        goes_on(1).then_some(again),
        goes_on(2).then_some(order),
        goes_on(3).then_some(trade),
        more,
    );
    rmp_serde::encode::write_named(out, &stored).expect("an entry serialises into memory");
}

fn stored_line(line: Line) -> StoredLine {
    StoredLine(line.from.to_string(), line.to.to_string(), line.item, line.quantity, line.instances)
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
