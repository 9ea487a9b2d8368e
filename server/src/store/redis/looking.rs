//! Looking through a realm, and putting whole players into one: for whoever inspects, copies or brings forward.

use super::{
    Inner, damaged_or_away,
    link::Failure,
    reply::{self, Fields},
    script::{self, Call},
};
use crate::store::{Found, LedgerItem, Page, ReadError, Stored, Whole};
use holdall_protocol::ids::{PlayerId, Revision};
use redis::{Value, cmd};

/// Ledger items of one page.
const PAGE: usize = 256;

impl Inner {
    pub(super) async fn players(&self, mark: Option<String>) -> Result<Page<PlayerId>, Failure> {
        // A mark that no page has named marks the end: Redis would take it for a fault of the command.
        if mark.as_ref().is_some_and(|mark| mark.parse::<u64>().is_err()) {
            return Ok(Page { items: Vec::new(), next: None });
        }
        let (keys, next) = self.scan(&self.keys.players(), mark).await?;
        Ok(Page { items: keys.iter().filter_map(|key| self.keys.player_of(key)).collect(), next })
    }

    pub(super) async fn scan(
        &self,
        pattern: &str,
        mark: Option<String>,
    ) -> Result<(Vec<String>, Option<String>), Failure> {
        let mut command = cmd("SCAN");
        command.arg(mark.as_deref().unwrap_or("0")).arg("MATCH").arg(pattern).arg("COUNT").arg(1_000);
        let mut parts = reply::list(self.look(&command).await?)?.into_iter();
        let next = reply::text(parts.next().unwrap_or(Value::Nil))?;
        let keys = reply::list(parts.next().unwrap_or(Value::Nil))?.into_iter().map(reply::text);
        Ok((keys.collect::<Result<_, _>>()?, (next != "0").then_some(next)))
    }

    pub(super) async fn peek(&self, player: &PlayerId) -> Result<Option<Stored>, ReadError> {
        let fields = match self.look(cmd("HGETALL").arg(self.keys.player(player))).await {
            Ok(fields) => fields,
            Err(failure) => return Err(damaged_or_away(failure)),
        };
        if fields.as_sequence().is_some_and(<[Value]>::is_empty) {
            return Ok(None);
        }
        let inbox = self.inbox(player, usize::MAX).await?;
        Ok(Some(Fields::read(fields)?.map_err(ReadError::Unreadable)?.stored(inbox)))
    }

    pub(super) async fn ledger(&self, player: &PlayerId, mark: Option<String>) -> Result<Page<LedgerItem>, ReadError> {
        let is_first = mark.is_none();
        let from = mark.map_or_else(|| "-".to_owned(), |mark| format!("({mark}"));
        let mut command = cmd("XRANGE");
        command.arg(self.keys.ledger(player)).arg(from).arg("+").arg("COUNT").arg(PAGE);
        let items = self.look(&command).await.map_err(damaged_or_away)?;
        let items = reply::ledger(items)?.map_err(ReadError::Unreadable)?;
        let next = items.last().filter(|_| items.len() == PAGE).map(|(id, _)| id.clone());
        // Looked at after the items: those that it stands for may be among them, but none can be missing between the two.
        let opening = if is_first { self.opening(player).await? } else { None };
        Ok(Page { items: opening.into_iter().chain(items.into_iter().map(|(_, item)| item)).collect(), next })
    }

    async fn opening(&self, player: &PlayerId) -> Result<Option<LedgerItem>, ReadError> {
        let fields = cmd("HMGET").arg(self.keys.player(player)).arg("opened").arg("opening").clone();
        let mut parts = reply::list(self.look(&fields).await.map_err(damaged_or_away)?)?.into_iter();
        match (parts.next(), parts.next()) {
            (Some(opened @ Value::BulkString(_)), Some(opening @ Value::BulkString(_))) => {
                let opened = reply::number(&reply::bytes(opened)?).map_err(ReadError::Unreadable)?;
                Ok(Some((Revision::new(opened), reply::bytes(opening)?)))
            }
            _ => Ok(None),
        }
    }

    pub(super) async fn together(&self, players: &[PlayerId]) -> Result<Vec<Found>, Failure> {
        let mut call = Call::default();
        for player in players {
            call.keys.extend([self.keys.player(player), self.keys.ledger(player), self.keys.inbox(player)]);
        }
        let live = self.looks.live().await?;
        let answered = reply::list(call.run(&self.looks, &live, &script::TOGETHER).await?)?;
        answered.into_iter().map(found).collect()
    }

    pub(super) async fn import(
        &self,
        player: &PlayerId,
        stored: &Stored,
        ledger: &[LedgerItem],
    ) -> Result<(), ReadError> {
        let mut call = Call::default();
        call.keys.extend([self.keys.player(player), self.keys.ledger(player), self.keys.inbox(player)]);
        let header = [
            ("epoch", stored.epoch),
            ("rev", stored.revision.get()),
            ("seq", stored.seq.get()),
            ("schema", stored.schema.into()),
            ("readable_by", stored.readable_by.into()),
            ("content", stored.content.into()),
            ("saved_at", stored.saved_at),
            ("prefs", stored.preferences.bits()),
        ];
        // Where there is an opening, it is the ledger's first item.
        let (opening, ledger) = match ledger.split_first() {
            Some((opening, rest)) if stored.opened > Revision::ZERO => (Some(opening), rest),
            _ => (None, ledger),
        };
        let optional = stored.writer.iter().len().saturating_add(opening.iter().len().saturating_mul(2));
        let fields = header.len().saturating_add(optional).saturating_add(stored.places.len());
        call.number(u64::try_from(fields.saturating_mul(2)).unwrap_or(u64::MAX));
        for (name, number) in header {
            call.bytes(name).number(number);
        }
        if let Some(writer) = &stored.writer {
            call.bytes("writer").bytes(writer.as_str());
        }
        if let Some((opened, opening)) = opening {
            call.bytes("opened").number(opened.get()).bytes("opening").bytes(opening);
        }
        for (place, value) in &stored.places {
            call.bytes(place).bytes(value);
        }
        call.number(u64::try_from(stored.inbox.len().saturating_mul(2)).unwrap_or(u64::MAX));
        for (gift, content) in &stored.inbox {
            call.bytes(&gift.to_string()).bytes(content);
        }
        for (revision, entries) in ledger {
            call.number(revision.get()).bytes(entries);
        }
        let live = self.looks.live().await.map_err(ReadError::from)?;
        let answered = call.run(&self.looks, &live, &script::IMPORT).await?;
        if reply::is_one(&answered) { Ok(()) } else { Err(ReadError::Exists) }
    }

    pub(super) async fn now_ms(&self) -> Result<u64, Failure> {
        let mut parts = reply::list(self.look(&cmd("TIME")).await?)?.into_iter();
        let mut part = || Ok::<u64, Failure>(reply::number_or_zero(&reply::bytes(parts.next().unwrap_or(Value::Nil))?));
        let (seconds, micros) = (part()?, part()?);
        Ok(seconds.saturating_mul(1_000).saturating_add(micros.checked_div(1_000).unwrap_or(0)))
    }

    pub(super) async fn alive(&self) -> Result<Vec<String>, Failure> {
        let (mut mark, mut alive) = (None, Vec::new());
        loop {
            let (keys, next) = self.scan(&self.keys.node("*"), mark).await?;
            for key in &keys {
                let Some(node) = self.keys.node_of(key).filter(|node| *node != self.node.id) else { continue };
                let until = self.look(cmd("HGET").arg(key).arg("until")).await?;
                let now = self.now_ms().await?;
                if matches!(until, Value::BulkString(until) if reply::number_or_zero(&until) > now) {
                    alive.push(node.to_owned());
                }
            }
            mark = next;
            if mark.is_none() {
                return Ok(alive);
            }
        }
    }
}

/// One player's part of what `together.lua` answers.
fn found(value: Value) -> Result<Found, Failure> {
    let mut parts = reply::list(value)?.into_iter();
    let (Some(fields), ledger, inbox) = (parts.next(), parts.next(), parts.next()) else { return Ok(Ok(None)) };
    let (Some(ledger), Some(inbox)) = (ledger, inbox) else { return Ok(Err(reply::text(fields)?)) };
    if fields.as_sequence().is_some_and(<[Value]>::is_empty) {
        return Ok(Ok(None));
    }
    let (fields, ledger) = (Fields::read(fields)?, reply::ledger(ledger)?);
    let (mut waiting, mut parts) = (Vec::new(), reply::list(inbox)?.into_iter());
    while let (Some(gift), Some(content)) = (parts.next(), parts.next()) {
        match reply::gift(gift)? {
            Ok(gift) => waiting.push((gift, reply::bytes(content)?)),
            Err(why) => return Ok(Err(why)),
        }
    }
    waiting.sort_unstable_by_key(|(gift, _)| *gift);
    Ok(fields.and_then(|fields| {
        let ledger = fields.opening().into_iter().chain(ledger?.into_iter().map(|(_, item)| item)).collect();
        Ok(Some(Whole { stored: fields.stored(waiting), ledger }))
    }))
}
