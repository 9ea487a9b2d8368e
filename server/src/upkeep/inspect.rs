//! One stored player, readably: as text for people and as JSON for programs.
//!
//! What cannot be read is shown as what it is, beside everything that can.

pub(super) mod text;

use crate::{
    engine::change::{Content, Nature, Stack},
    ledger::{
        codec::{self, Page},
        entry::Ordered,
        past::Opening,
    },
    schema::{
        OURS, Stamp,
        waiting::{self, Gift, Slip},
    },
    store::{Owner, ReadError, Store, Stored},
};
use holdall_protocol::{
    attribute::Attributes,
    ids::{InstanceId, ItemId, OrderKey, Place, PlayerId, ReservationId, Revision, Seq, TradeId},
};
use serde::{Deserialize, Serialize};
use std::{collections::VecDeque, fmt::Write as _, sync::Arc};
use utoipa::ToSchema;

/// Ledger entries that are shown.
const ENTRIES_SHOWN: usize = 10;

/// A stored player.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = StoredPlayer)]
pub struct Inspection {
    /// Who.
    pub player: PlayerId,
    /// Who may write it, as stored; nobody after a release.
    #[schema(value_type = Option<String>)]
    pub owner: Option<Owner>,
    /// The highest epoch ever given out.
    pub epoch: u64,
    /// The revision.
    pub revision: Revision,
    /// The last request number spent.
    pub seq: Seq,
    /// The record format.
    pub schema: u32,
    /// The oldest record format whose builds can read it; 0 where the store says nothing of it.
    pub readable_by: u32,
    /// The content step.
    pub content: u32,
    /// When it was written last, in milliseconds since 1970.
    pub saved_at: u64,
    /// Every place: bag, equipment, wallet.
    pub places: Vec<Held>,
    /// Whether others may give to the player.
    pub takes_gifts: bool,
    /// Whether others may invite the player to a trade.
    pub takes_invites: bool,
    /// Until when the player may not sign in, in milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub barred_until: Option<u64>,
    /// What waits for the player, the oldest first.
    pub inbox: Vec<Waiting>,
    /// Its ledger.
    pub ledger: Ledger,
}

/// What stands in one place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Held {
    /// Where.
    pub place: String,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// What a place can hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
#[schema(as = Content)]
pub enum What {
    /// A stack.
    Stack {
        /// Its id.
        instance: InstanceId,
        /// Of what.
        item: ItemId,
        /// How many.
        quantity: u32,
        /// When it was acquired, in milliseconds since 1970.
        acquired_at: u64,
        /// Its attributes.
        attributes: Attributes,
    },
    /// A balance.
    Balance {
        /// How much.
        amount: u64,
    },
    /// Bytes that are neither.
    Unreadable {
        /// What is wrong with them.
        unreadable: String,
        /// The bytes, in hexadecimal.
        bytes: String,
    },
}

/// A gift that waits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = WaitingGift)]
pub struct Waiting {
    /// Its id.
    pub gift: String,
    /// What it is.
    #[serde(flatten)]
    pub what: Parcel,
}

/// What can wait.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum Parcel {
    /// A gift.
    Gift {
        /// Who gave it; where it came back, who did not take it.
        from: PlayerId,
        /// Since when it has been waiting, in milliseconds since 1970.
        sent_at: u64,
        /// Whether it came back to its giver.
        returned: bool,
        /// The record format of its things.
        schema: u32,
        /// The content step that its things are at.
        content: u32,
        /// Its things, as they were given.
        stacks: Vec<What>,
    },
    /// Bytes that are none.
    Unreadable {
        /// What is wrong with them.
        unreadable: String,
        /// The bytes, in hexadecimal.
        bytes: String,
    },
}

/// What the ledger says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Ledger {
    /// Entries that could be read.
    pub entries: u64,
    /// The last ones of them, oldest first.
    pub last: Vec<Entry>,
    /// What could not be read.
    pub unreadable: Vec<String>,
}

/// One revision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = LedgerEntry)]
pub struct Entry {
    /// Which.
    pub revision: Revision,
    /// When, in milliseconds since 1970.
    pub at: u64,
    /// Who caused it.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// The player's own request.
    pub seq: Option<Seq>,
    /// The other player of the same record, and the revision it made there.
    pub partner: Option<String>,
    /// The operator's order behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<Order>,
    /// The trade that it settled.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub trade: Option<TradeId>,
    /// The waiting gift that was put, taken or sent back.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub gift: Option<String>,
    /// The hold of the shop that was made, given back or paid for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub hold: Option<ReservationId>,
    /// The places that it touched.
    pub places: Vec<String>,
    /// What went where.
    pub lines: Vec<Line>,
}

/// An operator's order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Order {
    /// Under which key it was given.
    pub key: OrderKey,
    /// Why.
    pub why: String,
}

/// A quantity that went from one account to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = LedgerLine)]
pub struct Line {
    /// Whence.
    pub from: String,
    /// Whither.
    pub to: String,
    /// Of what.
    pub item: ItemId,
    /// How much.
    pub quantity: u64,
}

/// Looks at a player; `None` where there is none.
///
/// # Errors
/// [`ReadError`]: the store is away, or not even the player's header can be read.
pub async fn look(store: &dyn Store, player: &PlayerId) -> Result<Option<Inspection>, ReadError> {
    let Some(stored) = store.peek(player.clone()).await? else { return Ok(None) };
    let ledger = read_ledger(store, player).await?;
    let mut places: Vec<Held> = stored.places.iter().map(|(place, value)| held(&stored, place, value)).collect();
    places.sort_by_cached_key(|held| Place::parse(&held.place).map_err(|_| held.place.clone()));
    Ok(Some(Inspection {
        player: player.clone(),
        owner: stored.owner,
        epoch: stored.epoch,
        revision: stored.revision,
        seq: stored.seq,
        schema: stored.schema,
        readable_by: stored.readable_by,
        content: stored.content,
        saved_at: stored.saved_at,
        places,
        takes_gifts: stored.preferences.takes_gifts(),
        takes_invites: stored.preferences.takes_invites(),
        barred_until: stored.preferences.barred_until(),
        inbox: stored
            .inbox
            .iter()
            .map(|(gift, bytes)| Waiting { gift: gift.to_string(), what: parcel(bytes) })
            .collect(),
        ledger,
    }))
}

/// What to say of a player that could not be looked at.
#[must_use]
pub fn refusal(error: &ReadError) -> String {
    match error {
        ReadError::Unreadable(_) => format!("{error}; it is left as it is"),
        ReadError::Unavailable(_) | ReadError::Exists => error.to_string(),
    }
}

async fn read_ledger(store: &dyn Store, player: &PlayerId) -> Result<Ledger, ReadError> {
    let (mut entries, mut last, mut unreadable) = (0_u64, VecDeque::with_capacity(ENTRIES_SHOWN), Vec::new());
    let mut mark = None;
    loop {
        let page = store.ledger(player.clone(), mark).await?;
        for (newest, bytes) in page.items.iter().filter(|(_, bytes)| !Opening::is(bytes)) {
            match codec::read(bytes) {
                Ok(read) => {
                    entries = entries.saturating_add(u64::try_from(read.len()).unwrap_or(u64::MAX));
                    last.extend(read);
                    let surplus = last.len().saturating_sub(ENTRIES_SHOWN);
                    last.drain(..surplus);
                }
                Err(error) => unreadable.push(format!("what was written with revision {newest}: {error}")),
            }
        }
        mark = page.next;
        if mark.is_none() {
            return Ok(Ledger { entries, last: last.into_iter().map(Entry::from).collect(), unreadable });
        }
    }
}

fn held(stored: &Stored, place: &str, value: &[u8]) -> Held {
    let what = match OURS.read(Stamp::stored(stored.schema, stored.readable_by), place, value) {
        Ok((_, content)) => content.into(),
        Err(error) => What::Unreadable { unreadable: error.to_string(), bytes: hex(value) },
    };
    Held { place: place.to_owned(), what }
}

impl From<(Place, Content)> for Held {
    fn from((place, content): (Place, Content)) -> Self {
        Self { place: place.to_string(), what: content.into() }
    }
}

impl From<Content> for What {
    fn from(content: Content) -> Self {
        match content {
            Content::Stack(stack) => shown(stack),
            Content::Amount(amount) => Self::Balance { amount },
        }
    }
}

/// What a newer build keeps beyond is nothing that this one could show.
fn shown(Stack { instance, nature, quantity, acquired_at }: Stack) -> What {
    let Nature { item, attributes, beyond: _ } = Arc::unwrap_or_clone(nature);
    What::Stack { instance, item, quantity: quantity.get(), acquired_at, attributes }
}

fn parcel(bytes: &[u8]) -> Parcel {
    match waiting::read(&OURS, bytes) {
        Ok(Gift { slip: Slip { from, sent_at, returned, content }, stamp, stacks }) => {
            let stacks = stacks.into_iter().map(shown).collect();
            Parcel::Gift { from, sent_at, returned, schema: stamp.format, content, stacks }
        }
        Err(error) => Parcel::Unreadable { unreadable: error.to_string(), bytes: hex(bytes) },
    }
}

/// Bytes in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len().saturating_mul(2)), |mut text, byte| {
        write!(text, "{byte:02x}").expect("memory takes it");
        text
    })
}

impl From<Page> for Entry {
    fn from(page: Page) -> Self {
        let lines = page.lines.into_iter().map(|(from, to, item, quantity, _)| Line { from, to, item, quantity });
        Self {
            revision: page.revision,
            at: page.at,
            actor: page.actor,
            reason: page.reason,
            seq: page.asked.map(|asked| asked.seq),
            trade: page.trade,
            partner: page.partner.map(|(player, revision)| format!("{player} at revision {revision}")),
            order: page.ordered.map(|Ordered { key, why }| Order { key, why: why.as_ref().to_owned() }),
            gift: page.gift.map(|gift| gift.to_string()),
            hold: page.hold,
            places: page.before.into_iter().map(|(place, _)| place).collect(),
            lines: lines.collect(),
        }
    }
}
