//! Looking into the file: what the last commit left, without waiting for the writer and without changing anything.

use super::{
    HeaderRow, INBOX, KeptAnswer, LEDGER, PLACES, PLAYERS,
    answers::{self, ANSWERS},
    key_of,
};
use crate::store::{Door, Found, GiftId, LedgerItem, Owner, Page, ReadError, Stored, Waiting, Whole};
use bytes::Bytes;
use holdall_protocol::ids::{OrderKey, PlayerId, Revision, Seq};
use redb::{Database, ReadOnlyTable, ReadableDatabase as _, ReadableTable};
use std::ops::Bound;

/// Items of one page.
pub(super) const PAGE: usize = 256;

/// The tables as one commit left them.
pub(super) struct Snapshot {
    players: ReadOnlyTable<&'static str, &'static [u8]>,
    places: ReadOnlyTable<&'static [u8], &'static [u8]>,
    ledger: ReadOnlyTable<&'static [u8], &'static [u8]>,
    inbox: ReadOnlyTable<&'static [u8], &'static [u8]>,
    answers: ReadOnlyTable<&'static str, (u64, &'static [u8])>,
}

/// What was read, or what stands in the way of reading this one player.
pub(super) type Look<T> = Result<Result<T, ReadError>, redb::Error>;

impl Snapshot {
    pub(super) fn open(database: &Database) -> Result<Self, redb::Error> {
        let read = database.begin_read()?;
        Ok(Self {
            players: read.open_table(PLAYERS)?,
            places: read.open_table(PLACES)?,
            ledger: read.open_table(LEDGER)?,
            inbox: read.open_table(INBOX)?,
            answers: read.open_table(ANSWERS)?,
        })
    }

    pub(super) fn header(&self, player: &PlayerId) -> Result<Result<Option<HeaderRow>, String>, redb::Error> {
        header(&self.players, player)
    }

    pub(super) fn players(&self, mark: Option<&str>) -> Result<Page<PlayerId>, redb::Error> {
        let from = mark.map_or(Bound::Unbounded, Bound::Excluded);
        let (mut items, mut rows, mut last) = (Vec::new(), 0_usize, None);
        for row in self.players.range::<&str>((from, Bound::Unbounded))?.take(PAGE) {
            let (key, _) = row?;
            // A key that is no player id was not written by this program; whoever walks the players passes it by.
            items.extend(PlayerId::new(key.value()).ok());
            last = Some(key.value().to_owned());
            rows = rows.saturating_add(1);
        }
        let next = last.filter(|_| rows == PAGE);
        Ok(Page { items, next })
    }

    pub(super) fn peek(&self, player: &PlayerId) -> Look<Option<Stored>> {
        let row = match self.header(player)? {
            Ok(Some(row)) => row,
            Ok(None) => return Ok(Ok(None)),
            Err(error) => return Ok(Err(ReadError::Unreadable(error))),
        };
        let places = match places(&self.places, player)? {
            Ok(places) => places,
            Err(error) => return Ok(Err(ReadError::Unreadable(error))),
        };
        let inbox = match self.inbox(player, usize::MAX)? {
            Ok(inbox) => inbox,
            Err(error) => return Ok(Err(error)),
        };
        Ok(Ok(Some(Stored {
            owner: row.owner.as_deref().map(Owner::stored),
            epoch: row.epoch,
            revision: Revision::new(row.revision),
            seq: Seq::new(row.seq),
            schema: row.schema,
            readable_by: row.readable_by,
            content: row.content,
            saved_at: row.saved_at,
            places,
            preferences: row.preferences,
            inbox,
            writer: row.writer.as_deref().map(Owner::stored),
            opened: Revision::new(row.opened),
        })))
    }

    /// The oldest gifts that wait, at most so many.
    pub(super) fn inbox(&self, player: &PlayerId, max: usize) -> Look<Vec<Waiting>> {
        let (key, end) = range_of(player);
        let mut waiting = Vec::new();
        for row in self.inbox.range(key.as_slice()..end.as_slice())?.take(max) {
            let (at, content) = row?;
            let Some(gift) = at.value().get(key.len()..).and_then(GiftId::from_bytes) else {
                return Ok(Err(ReadError::Unreadable("a waiting gift has no id".to_owned())));
            };
            waiting.push((gift, Bytes::copy_from_slice(content.value())));
        }
        Ok(Ok(waiting))
    }

    pub(super) fn door(&self, player: &PlayerId) -> Look<Door> {
        let row = match self.header(player)? {
            Ok(row) => row.unwrap_or_default(),
            Err(error) => return Ok(Err(ReadError::Unreadable(error))),
        };
        let (key, end) = range_of(player);
        Ok(Ok(Door {
            exists: row.revision > 0,
            preferences: row.preferences,
            waiting: self.inbox.range(key.as_slice()..end.as_slice())?.count(),
            owner: row.owner.as_deref().map(Owner::stored),
        }))
    }

    pub(super) fn answer(&self, key: &OrderKey) -> Result<Option<KeptAnswer>, redb::Error> {
        answers::answer(&self.answers, key)
    }

    pub(super) fn ledger(&self, player: &PlayerId, mark: Option<&str>) -> Look<Page<LedgerItem>> {
        let (key, end) = range_of(player);
        let mut from = key.clone();
        if let Some(mark) = mark.and_then(|mark| mark.parse::<u64>().ok()) {
            from.extend_from_slice(&mark.saturating_add(1).to_be_bytes());
        }
        let mut items = Vec::new();
        for row in self.ledger.range(from.as_slice()..end.as_slice())?.take(PAGE) {
            let (at, entries) = row?;
            let Some(revision) = at.value().get(key.len()..).and_then(|bytes| bytes.try_into().ok()) else {
                return Ok(Err(ReadError::Unreadable("a ledger entry has no revision".to_owned())));
            };
            items.push((Revision::new(u64::from_be_bytes(revision)), Bytes::copy_from_slice(entries.value())));
        }
        let last = items.last().filter(|_| items.len() == PAGE);
        let next = last.map(|(revision, _)| revision.get().to_string());
        Ok(Ok(Page { items, next }))
    }

    /// All that there is of a player.
    pub(super) fn whole(&self, player: &PlayerId) -> Result<Found, redb::Error> {
        let stored = match self.peek(player)? {
            Ok(Some(stored)) => stored,
            Ok(None) => return Ok(Ok(None)),
            Err(error) => return Ok(Err(error.to_string())),
        };
        let (mut ledger, mut mark) = (Vec::new(), None);
        loop {
            let page = match self.ledger(player, mark.as_deref())? {
                Ok(page) => page,
                Err(error) => return Ok(Err(error.to_string())),
            };
            ledger.extend(page.items);
            mark = page.next;
            if mark.is_none() {
                return Ok(Ok(Some(Whole { stored, ledger })));
            }
        }
    }
}

/// All keys of one player: from the first to before the second.
pub(super) fn range_of(player: &PlayerId) -> (Vec<u8>, Vec<u8>) {
    let key = key_of(player);
    let mut end = key.clone();
    *end.last_mut().expect("a key ends in its separator") = 1;
    (key, end)
}

/// The header, `None` where there is no player, an error text where it cannot be read.
pub(super) fn header(
    players: &impl ReadableTable<&'static str, &'static [u8]>,
    player: &PlayerId,
) -> Result<Result<Option<HeaderRow>, String>, redb::Error> {
    let stored = players.get(player.as_str())?;
    Ok(stored.map(|bytes| rmp_serde::from_slice(bytes.value()).map_err(|error| format!("header: {error}"))).transpose())
}

/// A player's places as they are spelled.
type Places = Vec<(String, Bytes)>;

/// All places of a player, an error text where one cannot be read.
pub(super) fn places(
    places: &impl ReadableTable<&'static [u8], &'static [u8]>,
    player: &PlayerId,
) -> Result<Result<Places, String>, redb::Error> {
    let (key, end) = range_of(player);
    let mut found = Vec::new();
    for row in places.range(key.as_slice()..end.as_slice())? {
        let (place, value) = row?;
        let Ok(place) = std::str::from_utf8(place.value().get(key.len()..).unwrap_or_default()) else {
            return Ok(Err("a place is no text".to_owned()));
        };
        found.push((place.to_owned(), Bytes::copy_from_slice(value.value())));
    }
    Ok(Ok(found))
}
