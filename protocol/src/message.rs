//! The messages of both directions.

mod market;

pub use market::{Hold, HoldState, Price, ShopEntry, Trade, TradeAmount, TradeEnd, TradeOffer, TradeStage};

use crate::{
    action::{Action, Asked, Request},
    attribute::Attributes,
    code::Code,
    ids::{Incarnation, InstanceId, ItemId, Place, PlayerId, Revision, Seq, SessionId, SlotId, TradeId},
    strict::{Key, body, fields},
};
use serde::{Deserialize, Deserializer, Serialize, de, ser::SerializeMap};
use std::{collections::BTreeMap, fmt, sync::Arc};

fields!(Resume, Incarnation);

body! {
    /// The first message of a connection.
    pub struct Hello {
        /// The sign-in token: a JWT, or `dev:<player-id>` where development sign-in is on.
        token: String,
        /// Where the client's mirror stands, when it comes back.
        resume: Option<Resume>,
        /// What the client calls itself, for the server's log; at most 64 characters are kept.
        client: Option<String>,
    }
}
body! {
    /// A mirror that wants only what it missed.
    pub struct Resume {
        /// The incarnation that `welcome` told.
        incarnation: Incarnation,
        /// The revision the mirror is at.
        revision: u64,
    }
}

/// What a client sends.
#[derive(Debug, Clone, PartialEq)]
pub enum ClientMessage {
    /// `{"hello": {…}}`
    Hello(Hello),
    /// `{"seq": 1, "action": {…}}`
    Request(Request),
}

impl ClientMessage {
    /// A request for one of the known actions.
    #[must_use]
    pub const fn request(seq: Seq, action: Action) -> Self {
        Self::Request(Request { seq, action: Asked::Known(action) })
    }
}

impl Serialize for ClientMessage {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Hello(hello) => {
                let mut map = s.serialize_map(Some(1))?;
                map.serialize_entry("hello", hello)?;
                map.end()
            }
            Self::Request(Request { seq, action }) => {
                let mut map = s.serialize_map(Some(2))?;
                map.serialize_entry("seq", seq)?;
                match action {
                    Asked::Known(action) => map.serialize_entry("action", action)?,
                    Asked::Unknown => map.serialize_entry("action", &BTreeMap::from([("unknown", ())]))?,
                }
                map.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for ClientMessage {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> de::Visitor<'de> for Either {
            type Value = ClientMessage;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map: {\"hello\": …} or {\"seq\": …, \"action\": …}")
            }

            fn visit_map<A: de::MapAccess<'de>>(self, mut access: A) -> Result<ClientMessage, A::Error> {
                let (mut hello, mut seq, mut action) = (None, None, None);
                while let Some(key) = access.next_key::<Key>()? {
                    let twice = match key.as_str() {
                        "hello" => hello.replace(access.next_value::<Hello>()?).is_some(),
                        "seq" => seq.replace(access.next_value::<u64>()?).is_some(),
                        "action" => action.replace(access.next_value::<Asked>()?).is_some(),
                        _ => {
                            access.next_value::<de::IgnoredAny>()?;
                            false
                        }
                    };
                    if twice {
                        return Err(de::Error::custom("a key stands twice"));
                    }
                }
                match (hello, seq, action) {
                    (Some(hello), None, None) => Ok(ClientMessage::Hello(hello)),
                    (None, Some(seq), Some(action)) => {
                        Ok(ClientMessage::Request(Request { seq: Seq::new(seq), action }))
                    }
                    _ => Err(de::Error::custom("a message is {\"hello\": …} or {\"seq\": …, \"action\": …}")),
                }
            }
        }
        d.deserialize_map(Either)
    }
}

/// What the server sends, written as a map with one key: `{"applied": {…}}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServerMessage {
    /// The answer to `hello`.
    Welcome(Box<Welcome>),
    /// The whole inventory: after a join, and where deltas were too many to keep.
    Snapshot(Snapshot),
    /// The terminal reply to a request that changed something (or found nothing to change).
    Applied(Applied),
    /// The terminal reply to a request that changed nothing.
    Refused(Refused),
    /// The terminal reply to a question.
    Answer(Answer),
    /// A revision that was not the answer to one of this client's requests.
    Delta(Delta),
    /// A trade of this player's took a step that no reply tells of.
    Trade(Box<Trade>),
    /// A hold of this player's came to an end that no reply tells of: mostly it has expired.
    Hold(Box<Hold>),
    /// The server has read its catalogue and limits again.
    Reloaded(Box<Reloaded>),
}

/// What is in force from now on, in place of what `welcome` told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reloaded {
    /// The catalogue in force.
    pub catalog: CatalogVersion,
    /// The bounds this client lives in.
    pub limits: Limits,
    /// All places whose content does not fit the catalogue, in place of those that the last snapshot named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub frozen: Vec<Place>,
}

/// Who the client is and where it stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Welcome {
    /// The signed-in player.
    pub player: PlayerId,
    /// This connection's session.
    pub session: SessionId,
    /// This load of the player: name it to resume.
    pub incarnation: Incarnation,
    /// The player's revision. A resumed client gets the deltas up to here, another one the snapshot of it.
    pub revision: Revision,
    /// The last request number that was spent. Whatever was sent above it had no effect: number on from here.
    pub seq: Seq,
    /// Whether deltas follow (true) or a snapshot (false).
    pub resumed: bool,
    /// The bounds this client lives in.
    pub limits: Limits,
    /// The catalogue in force.
    pub catalog: CatalogVersion,
    /// What an acknowledgement promises.
    pub durability: Durability,
    /// The server's clock, in milliseconds since 1970.
    pub now: u64,
    /// The open trade and the invites that wait for an answer, the player's own and others'.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trades: Vec<Trade>,
    /// What the player accepts from others. Absent from the first servers of this protocol, which did not know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<Settings>,
    /// The player's open holds in the shop.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holds: Vec<Hold>,
}

/// The bounds a client lives in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes in one frame from the client.
    pub frame_bytes_max: u32,
    /// Requests a second, sustained.
    pub actions_per_second: u32,
    /// Requests at once.
    pub actions_burst: u32,
    /// Requests that may wait for their reply.
    pub in_flight_max: u32,
    /// Bag slots.
    pub max_slots: u16,
    /// Carried weight in thousandths of a unit; 0 is no bound.
    pub max_weight: u64,
    /// Seconds of silence after which the connection is closed.
    pub idle_seconds: u32,
}

/// Which catalogue is in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CatalogVersion {
    /// Counts reloads, from 1 at each start.
    pub version: u64,
    /// Names the contents: equal catalogues have equal hashes on every server.
    pub hash: String,
}

/// When replies leave, and what they then promise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Durability {
    /// `durable`: after the commit. `applied`: at once.
    pub ack: String,
    /// `embedded` or `redis`.
    pub store: String,
    /// What survives which crash, in words.
    pub promise: String,
}

/// One stack.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stack {
    /// Its identity, for ever.
    pub instance: InstanceId,
    /// What it is.
    pub item: ItemId,
    /// How many, from 1.
    pub quantity: u32,
    /// When it was acquired, in milliseconds since 1970.
    pub acquired_at: u64,
    /// Its attributes; absent when there are none.
    #[serde(default, skip_serializing_if = "Attributes::is_empty")]
    pub attributes: Attributes,
}

/// A place and what it holds: a stack (bag and equipment) or an amount (balances).
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Filled {
    /// The place.
    pub place: Place,
    /// The stack, in a bag or equipment slot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stack: Option<Stack>,
    /// The amount, of a balance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<u64>,
}

/// The same thing in the same place, with other numbers. Absent fields stay as they were.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Updated {
    /// The place.
    pub place: Place,
    /// The stack's new quantity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantity: Option<u32>,
    /// The stack's new (older) time of acquisition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acquired_at: Option<u64>,
    /// All of the stack's new attributes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attributes: Option<Attributes>,
    /// The balance's new amount.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<u64>,
}

/// A place that is empty now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    /// The place.
    pub place: Place,
}

/// Nothing more to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nothing {}

/// One step of a delta, to be applied in order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// The place now holds exactly this, whatever was there before.
    Add(Filled),
    /// What is in the place changed its numbers.
    Update(Updated),
    /// The place is empty.
    Remove(Removed),
    /// Every bag slot is empty.
    Clear(Nothing),
}

/// The whole inventory at a revision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The revision it shows.
    pub revision: Revision,
    /// The checksum of all places.
    pub checksum: u32,
    /// Every place that is not empty.
    pub places: Vec<Filled>,
    /// Places whose stack no longer fits the catalogue: it can be moved, nothing else.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub frozen: Vec<Place>,
}

/// A request took effect.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Applied {
    /// The request.
    pub seq: Seq,
    /// The revision it made; the one it found where there was nothing to change.
    pub revision: Revision,
    /// What changed; empty where there was nothing to change.
    pub changes: Vec<Change>,
    /// The checksum after it.
    pub checksum: u32,
    /// Units that a partial grant could not place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overflow: Option<u64>,
    /// How the hold stands that the request made, paid for or gave back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Box<Hold>>,
    /// The changes were left out because too much waited to be read; a snapshot follows.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub collapsed: bool,
}

/// A request changed nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Refused {
    /// The request.
    pub seq: Seq,
    /// The revision it was judged against.
    pub revision: Revision,
    /// Why, for programs.
    pub code: Code,
    /// Why, for people: may change between versions.
    pub message: String,
    /// After how many milliseconds another try may succeed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// With code `duplicate`: what became of the first one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duplicate: Option<Duplicate>,
}

/// What became of a request that was answered before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Duplicate {
    /// Whether it took effect; absent where it is too old to tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied: Option<bool>,
    /// The revision it made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<Revision>,
}

/// The reply to a question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The request.
    pub seq: Seq,
    /// The revision the answer holds for.
    pub revision: Revision,
    /// The answer itself.
    pub answer: Answered,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answered {
    /// To `resync`.
    Snapshot(Snapshot),
    /// To `count`: units in bag and equipment, or the balance.
    Count(u64),
    /// To `item`.
    Item(Box<ItemAnswer>),
    /// To `stats`.
    Stats(Stats),
    /// To a step of a trade that did not settle it: how it stands then.
    Trade(Box<Trade>),
    /// To `shop_list`.
    Shop(Vec<ShopEntry>),
}

/// One item and where the player has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ItemAnswer {
    /// Its definition; absent where the catalogue has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<Arc<ItemDefinition>>,
    /// The places that hold it.
    pub places: Vec<Filled>,
}

/// An item as clients are told of it.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ItemDefinition {
    /// Its id.
    pub id: ItemId,
    /// Its name for people.
    pub name: String,
    /// Its description for people.
    pub description: String,
    /// weapon, armor, consumable, material, currency or quest.
    pub kind: String,
    /// common, uncommon, rare, epic or legendary.
    pub rarity: String,
    /// The largest stack.
    pub max_stack: u32,
    /// Weight of one unit, in thousandths.
    pub weight: u64,
    /// Whether it can change hands.
    pub tradeable: bool,
    /// Whether it can be sold.
    pub sellable: bool,
    /// What one unit is worth.
    pub base_value: u64,
    /// Where its picture is.
    pub icon_url: String,
    /// The equipment slots it goes into.
    pub slots: Vec<SlotId>,
    /// Whether it holds both hands.
    pub two_handed: bool,
    /// The attributes a new one has.
    #[serde(default, skip_serializing_if = "Attributes::is_empty")]
    pub attributes: Attributes,
}

/// The inventory's figures.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// Bag slots in use.
    pub used_slots: u16,
    /// Bag slots in all.
    pub max_slots: u16,
    /// Carried weight (bag and equipment), in thousandths; 2^53 − 1 stands for anything above.
    pub weight: u64,
    /// The weight that may be carried, in thousandths; 0 is no bound.
    pub max_weight: u64,
    /// Units in bag and equipment.
    pub item_count: u64,
    /// Their base value; 2^53 − 1 stands for anything above.
    pub total_value: u64,
}

/// What a player accepts from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Gifts.
    pub gifts: bool,
    /// Invites to trade.
    pub invites: bool,
}

/// One revision that no request of this player made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Delta {
    /// The revision it makes: the one after the mirror's, else there is a gap and the client resyncs.
    pub revision: Revision,
    /// What changed.
    pub changes: Vec<Change>,
    /// The checksum after it.
    pub checksum: u32,
    /// Where it came from.
    pub cause: Cause,
}

/// Why something changed that the client did not ask for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Another player's gift.
    Gift {
        /// Who gave.
        from: PlayerId,
    },
    /// A gift that had waited in the inbox arrived.
    Inbox {
        /// Who gave; where it came back, who did not take it.
        from: PlayerId,
        /// Whether it is the player's own gift that came back.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        returned: bool,
    },
    /// A gift that had waited too long in the inbox went back. Nothing changed in the inventory.
    InboxReturned {
        /// Who had given it.
        to: PlayerId,
    },
    /// A trade that settled when the other player accepted.
    Trade {
        /// Which.
        trade: TradeId,
        /// With whom.
        with: PlayerId,
    },
    /// The server itself: a repair, a migration, an operator.
    Server(Nothing),
}
