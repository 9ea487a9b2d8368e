//! Inboxes in Redis: a hash a player, from a gift's id to its bytes.

use super::{Inner, damaged_or_away, keys::Keys, reply, script, script::Call};
use crate::store::{Batch, Door, Owner, Preferences, ReadError, Waiting};
use bytes::Bytes;
use holdall_protocol::ids::PlayerId;
use redis::{Value, cmd};

/// Gifts whose bytes are read in one call, so that nobody waits long.
const GIFTS_PER_CALL: usize = 64;

/// The steps of a batch, behind the arguments of its players, as `commit.lua` reads them.
pub(super) fn add_steps(call: &mut Call, keys: &Keys, batch: &Batch) {
    for (writer, write) in (1..).zip(&batch.players) {
        for step in &write.inbox {
            call.keys.push(keys.inbox(&step.owner));
            call.number(writer).bytes(&step.gift.to_string());
            call.bytes(step.content.as_ref().map_or(&b""[..], |content| content));
        }
    }
}

impl Inner {
    /// The oldest gifts that wait, at most so many. One that is taken between two calls is left out.
    pub(super) async fn inbox(&self, player: &PlayerId, max: usize) -> Result<Vec<Waiting>, ReadError> {
        let key = self.keys.inbox(player);
        let fields = self.look(cmd("HKEYS").arg(&key)).await.map_err(damaged_or_away)?;
        let mut gifts = Vec::new();
        for field in reply::list(fields)? {
            gifts.push(reply::gift(field)?.map_err(ReadError::Unreadable)?);
        }
        gifts.sort_unstable();
        gifts.truncate(max);
        let mut waiting = Vec::with_capacity(gifts.len());
        for some in gifts.chunks(GIFTS_PER_CALL) {
            let mut command = cmd("HMGET");
            command.arg(&key);
            for gift in some {
                command.arg(gift.to_string());
            }
            let contents = reply::list(self.look(&command).await.map_err(damaged_or_away)?)?;
            for (gift, content) in some.iter().zip(contents) {
                if !matches!(content, Value::Nil) {
                    waiting.push((*gift, reply::bytes(content)?));
                }
            }
        }
        Ok(waiting)
    }

    pub(super) async fn door(&self, player: &PlayerId) -> Result<Door, ReadError> {
        let mut call = Call::default();
        call.keys.extend([self.keys.player(player), self.keys.inbox(player), self.keys.node("")]);
        let live = self.looks.live().await?;
        let answered = call.run(&self.looks, &live, &script::DOOR).await?;
        let mut parts = reply::list(answered)?.into_iter();
        let mut part = || parts.next().unwrap_or(Value::Nil);
        if reply::text(part())? != "door" {
            return Err(ReadError::Unreadable(reply::text(part())?));
        }
        let (revision, preferences) = (reply::bytes(part())?, reply::bytes(part())?);
        let waiting = match part() {
            Value::Int(waiting) => usize::try_from(waiting).unwrap_or(usize::MAX),
            _ => usize::MAX,
        };
        let owner = reply::text(part())?;
        Ok(Door {
            exists: reply::number_or_zero(&revision) > 0,
            preferences: bits(&preferences)?,
            waiting,
            owner: (!owner.is_empty()).then(|| Owner::stored(&owner)),
        })
    }
}

fn bits(text: &Bytes) -> Result<Preferences, ReadError> {
    let bits = reply::number(text).map_err(|why| ReadError::Unreadable(format!("prefs: {why}")))?;
    Ok(Preferences::stored(bits))
}
