//! From what Redis answers to what the contract says.

use super::{link::Failure, stock};
use crate::store::{
    AcquireError, Batch, GiftId, Header, LedgerItem, Loaded, Outcome, Owner, Preferences, Stored, Waiting,
};
use bytes::Bytes;
use holdall_protocol::ids::{PlayerId, Revision, Seq};
use redis::Value;

/// An answer that no script of ours gives: whatever it is, nothing is known of what was done.
pub(super) fn strange(value: &Value) -> Failure {
    Failure::Lost(format!("Redis answered what no script of this server answers: {value:?}"))
}

pub(super) fn list(value: Value) -> Result<Vec<Value>, Failure> {
    value.into_sequence().map_err(|value| strange(&value))
}

pub(super) fn bytes(value: Value) -> Result<Bytes, Failure> {
    match value {
        Value::BulkString(bytes) => Ok(bytes.into()),
        Value::SimpleString(text) => Ok(text.into_bytes().into()),
        Value::Okay => Ok(Bytes::from_static(b"OK")),
        other => Err(strange(&other)),
    }
}

pub(super) fn text(value: Value) -> Result<String, Failure> {
    let bytes = bytes(value)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

pub(super) fn is_one(value: &Value) -> bool {
    matches!(value, Value::Int(1))
}

/// The outcome of a batch. The answer names the batch: one that was meant for another says nothing about this one.
pub(super) fn outcome(value: Value, batch: &Batch) -> Result<Outcome, Failure> {
    let mut parts = list(value)?.into_iter();
    let mut part = || parts.next().unwrap_or(Value::Nil);
    if bytes(part())?.as_ref() != batch.id.as_bytes() {
        return Err(Failure::Lost("Redis answered about another batch".to_owned()));
    }
    let verdict = text(part())?;
    let mut named = || -> Result<Vec<PlayerId>, Failure> {
        let player = |number: Value| {
            let Value::Int(number) = number else { return Err(strange(&number)) };
            let at = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
            let write = at.and_then(|at| batch.players.get(at)).ok_or_else(|| strange(&Value::Int(number)))?;
            Ok(write.player.clone())
        };
        list(part())?.into_iter().map(player).collect()
    };
    Ok(match verdict.as_str() {
        "applied" => Outcome::Applied,
        "already" => Outcome::Already,
        "fenced" => Outcome::Fenced { players: named()? },
        "regressed" => Outcome::Regressed { players: named()? },
        "conflict" => Outcome::Conflict { players: named()? },
        _ => return Err(strange(&Value::SimpleString(verdict))),
    })
}

/// A player's hash, its header sorted out. Fields that this build does not know are left alone and not looked at.
#[derive(Debug, Default)]
pub(super) struct Fields {
    owner: Option<String>,
    epoch: u64,
    revision: u64,
    seq: u64,
    schema: u32,
    readable_by: u32,
    content: u32,
    saved_at: u64,
    preferences: u64,
    writer: Option<String>,
    opened: u64,
    opening: Option<Bytes>,
    places: Vec<(String, Bytes)>,
}

impl Fields {
    /// Reads the answer of HGETALL. The error says which field stands in the way.
    pub(super) fn read(value: Value) -> Result<Result<Self, String>, Failure> {
        let mut fields = Self::default();
        let mut parts = list(value)?.into_iter();
        while let (Some(name), Some(value)) = (parts.next(), parts.next()) {
            let (name, value) = (bytes(name)?, bytes(value)?);
            let Ok(name) = std::str::from_utf8(&name) else {
                return Ok(Err("a field's name is no text".to_owned()));
            };
            if let Err(why) = fields.set(name, value) {
                return Ok(Err(format!("{name}: {why}")));
            }
        }
        fields.places.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        Ok(Ok(fields))
    }

    fn set(&mut self, name: &str, value: Bytes) -> Result<(), String> {
        match name {
            "owner" => self.owner = Some(String::from_utf8_lossy(&value).into_owned()),
            "epoch" => self.epoch = number(&value)?,
            "rev" => self.revision = number(&value)?,
            "seq" => self.seq = number(&value)?,
            "schema" => self.schema = number(&value)?,
            "readable_by" => self.readable_by = number(&value)?,
            "content" => self.content = number(&value)?,
            "saved_at" => self.saved_at = number(&value)?,
            "prefs" => self.preferences = number(&value)?,
            "writer" => self.writer = Some(String::from_utf8_lossy(&value).into_owned()),
            "opened" => self.opened = number(&value)?,
            "opening" => self.opening = Some(value),
            // Only places have a colon in their names.
            place if place.contains(':') => self.places.push((place.to_owned(), value)),
            _ => {}
        }
        Ok(())
    }

    pub(super) fn loaded(self, owner: Owner, recent: Vec<LedgerItem>, has_mail: bool) -> Loaded {
        Loaded {
            owner,
            revision: Revision::new(self.revision),
            seq: Seq::new(self.seq),
            schema: self.schema,
            readable_by: self.readable_by,
            content: self.content,
            places: self.places,
            recent: recent.into_iter().rev().map(|(_, entries)| entries).collect(),
            preferences: Preferences::stored(self.preferences),
            has_mail,
            writer: self.writer.as_deref().map(Owner::stored),
            opened: Revision::new(self.opened),
            holds: Vec::new(),
        }
    }

    /// What the ledger begins with.
    pub(super) fn opening(&self) -> Option<LedgerItem> {
        self.opening.clone().map(|content| (Revision::new(self.opened), content))
    }

    pub(super) fn stored(self, inbox: Vec<Waiting>) -> Stored {
        Stored {
            owner: self.owner.as_deref().map(Owner::stored),
            epoch: self.epoch,
            revision: Revision::new(self.revision),
            seq: Seq::new(self.seq),
            schema: self.schema,
            readable_by: self.readable_by,
            content: self.content,
            saved_at: self.saved_at,
            places: self.places,
            preferences: Preferences::stored(self.preferences),
            inbox,
            writer: self.writer.as_deref().map(Owner::stored),
            opened: Revision::new(self.opened),
        }
    }
}

/// A whole number as it is written, and nothing else.
pub(super) fn number<N: TryFrom<u64>>(text: &[u8]) -> Result<N, String> {
    let digits = std::str::from_utf8(text).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let number = digits.and_then(|digits| digits.parse::<u64>().ok());
    number.and_then(|number| N::try_from(number).ok()).ok_or_else(|| {
        let shown: String = String::from_utf8_lossy(text).chars().take(40).collect();
        format!("{shown:?} is no number that fits")
    })
}

/// The number, or 0 where there is none.
pub(super) fn number_or_zero(text: &[u8]) -> u64 {
    number(text).unwrap_or(0)
}

/// What `acquire.lua` answers.
pub(super) fn loaded(answered: Value) -> Result<Result<Loaded, AcquireError>, Failure> {
    let mut parts = list(answered)?.into_iter();
    let mut part = || parts.next().unwrap_or(Value::Nil);
    let unreadable = |why| Ok(Err(AcquireError::Unreadable(why)));
    match text(part())?.as_str() {
        "loaded" => {
            let owner = Owner::stored(&text(part())?);
            let (fields, recent) = (Fields::read(part())?, ledger(part())?);
            let has_mail = text(part())? == "1";
            let holds = stock::open_holds(part())?;
            match (fields, recent) {
                (Ok(fields), Ok(recent)) => {
                    let recent = recent.into_iter().map(|(_, item)| item).collect();
                    Ok(Ok(Loaded { holds, ..fields.loaded(owner, recent, has_mail) }))
                }
                (Err(why), _) | (_, Err(why)) => unreadable(why),
            }
        }
        "held" => Ok(Err(AcquireError::Held(Owner::stored(&text(part())?)))),
        "unsettled" => Ok(Err(AcquireError::Unsettled)),
        "unreadable" => unreadable(text(part())?),
        _ => Ok(Err(AcquireError::Unavailable(
            "this Redis holds another world than it did; nobody is loaded".to_owned(),
        ))),
    }
}

/// One player's header, as `standings.lua` answers it.
pub(super) fn header(value: Value) -> Result<Header, Failure> {
    let mut parts = list(value)?.into_iter();
    let mut part = || bytes(parts.next().unwrap_or(Value::Nil));
    let token = |token: Bytes| (!token.is_empty()).then(|| Owner::stored(&String::from_utf8_lossy(&token)));
    Ok(Header {
        owner: token(part()?),
        epoch: number_or_zero(&part()?),
        revision: Revision::new(number_or_zero(&part()?)),
        writer: token(part()?),
    })
}

/// One item of a stream: its id and its fields.
pub(super) fn stream_item(value: Value) -> Result<(String, Vec<(Bytes, Bytes)>), Failure> {
    let mut parts = list(value)?.into_iter();
    let id = text(parts.next().unwrap_or(Value::Nil))?;
    let mut fields = list(parts.next().unwrap_or(Value::Nil))?.into_iter();
    let mut found = Vec::with_capacity(2);
    while let (Some(name), Some(value)) = (fields.next(), fields.next()) {
        found.push((bytes(name)?, bytes(value)?));
    }
    Ok((id, found))
}

/// The id of a waiting gift as it stands in a hash.
pub(super) fn gift(field: Value) -> Result<Result<GiftId, String>, Failure> {
    let field = text(field)?;
    Ok(GiftId::parse(&field).ok_or_else(|| format!("inbox: {field:?} is no gift's id")))
}

/// Items of a ledger, each with its id in the stream. The error says what stands in the way of reading it.
pub(super) fn ledger(value: Value) -> Result<Result<Vec<(String, LedgerItem)>, String>, Failure> {
    let mut items = Vec::new();
    for item in list(value)? {
        let (id, fields) = stream_item(item)?;
        let field = |wanted: &[u8]| fields.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone());
        let (Some(revision), Some(entries)) = (field(b"r"), field(b"e")) else {
            return Ok(Err(format!("ledger item {id} has no revision or no entries")));
        };
        match number(&revision) {
            Ok(revision) => items.push((id, (Revision::new(revision), entries))),
            Err(why) => return Ok(Err(format!("ledger item {id}: {why}"))),
        }
    }
    Ok(Ok(items))
}
