//! Kept answers in Redis: a hash an order, which expires by itself.

use super::{Inner, damaged_or_away, keys::Keys, reply, script::Call};
use crate::store::{Batch, KeptAnswer, ReadError};
use bytes::Bytes;
use holdall_protocol::ids::OrderKey;
use redis::{Value, cmd};

/// The answers of a batch, behind the steps of its inboxes, as `commit.lua` reads them.
pub(super) fn add_answers(call: &mut Call, keys: &Keys, batch: &Batch) {
    for (writer, write) in (1..).zip(&batch.players) {
        for answer in &write.answers {
            call.keys.push(keys.answer(&answer.key));
            call.number(writer).bytes(&format!("{:016x}", answer.order)).bytes(&answer.bytes);
        }
    }
}

impl Inner {
    pub(super) async fn answer(&self, key: OrderKey) -> Result<Option<KeptAnswer>, ReadError> {
        let fields = cmd("HMGET").arg(self.keys.answer(&key)).arg("order").arg("answer").clone();
        let mut parts = reply::list(self.look(&fields).await.map_err(damaged_or_away)?)?.into_iter();
        let (Some(order), Some(bytes)) = (parts.next(), parts.next()) else { return Ok(None) };
        if matches!(order, Value::Nil) {
            return Ok(None);
        }
        let order = u64::from_str_radix(&reply::text(order)?, 16)
            .map_err(|error| ReadError::Unreadable(format!("the hash of order {key}: {error}")))?;
        // Where a deed was answered, there are no bytes for whoever asks about an order.
        let bytes = if matches!(bytes, Value::Nil) { Bytes::new() } else { reply::bytes(bytes)? };
        Ok(Some(KeptAnswer { key, order, bytes }))
    }
}
