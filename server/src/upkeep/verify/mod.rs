//! The proof that nothing was lost, doubled or made up: every entry of every player against what is stored.
//!
//! One walk over all players, one at a time, and no player is locked: so what two of them say may be of different moments.
//! What then seems wrong is looked at again, everybody involved at one and the same moment, and only what is wrong there
//! is a fault. A record is stored whole or not at all, for all its players, and a gift is taken only where it is, so that no
//! moment shows half of anything. Stocks come last: what is bought is confirmed in the step that stores its entry, so that
//! every purchase that was seen is in the audits that are read after it.

mod books;
mod exchange;
mod fault;
mod gift;
mod player;
mod replay;
mod stock;
mod text;

pub use fault::{Fault, Kind};

use super::{all_players, whole};
use crate::{
    schema::OURS,
    store::{Found, ReadError, Store},
};
use books::{Books, Suspicion};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use holdall_protocol::ids::{ItemId, PlayerId};
use player::Examined;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use stock::Counted;
use tokio::time::Instant;

/// Players, or suspicions, that are read at once.
const AT_ONCE: usize = 16;

/// Who does the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// A command: who else is alive on the store, the store says.
    Command,
    /// A server, which goes on serving.
    Server,
}

/// What was looked at and what was found.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Verified {
    /// Players.
    pub players: u64,
    /// Their ledger entries.
    pub entries: u64,
    /// Stacks in bags, equipment and inboxes.
    pub instances: u64,
    /// Halves of exchanges.
    pub exchanges: u64,
    /// Gifts that were put into inboxes, those that went back counted again.
    pub gifts: u64,
    /// SKUs of limited stock.
    pub skus: u64,
    /// Holds that were made on them.
    pub holds: u64,
    /// Whether nobody could write meanwhile. Else the totals are of no one moment, and were not judged.
    pub quiet: bool,
    /// How long it took.
    pub seconds: f64,
    /// Entries looked at in one.
    pub entries_per_second: u64,
    /// Units of each item and currency.
    pub totals: BTreeMap<ItemId, Total>,
    /// Everything that is wrong.
    pub faults: Vec<Fault>,
}

/// What became of the units of one item or currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Total {
    /// Made, or bought in the shop.
    pub minted: u64,
    /// Used up, dropped, sold, paid to the shop.
    pub sunk: u64,
    /// In bags, equipment and wallets.
    pub held: u64,
    /// In inboxes.
    pub waiting: u64,
}

/// Looks at every player. `progress` hears how many of how many are done.
///
/// # Errors
/// [`ReadError`]: the store does not answer.
pub async fn verify(store: &dyn Store, by: By, mut progress: impl FnMut(usize, usize)) -> Result<Verified, ReadError> {
    let begin = Instant::now();
    let mut quiet = by == By::Command && store.alive().await?.is_empty();
    let players = all_players(store).await?;
    let (mut books, mut done, total) = (Books::default(), 0_usize, players.len());
    let mut under_way = stream::iter(players).map(|player| one(store, player)).buffer_unordered(AT_ONCE);
    while let Some(examined) = under_way.next().await {
        books.enter(examined?);
        done = done.saturating_add(1);
        progress(done, total);
    }
    drop(under_way);
    let suspicions = books.suspicions();
    quiet &= store.alive().await?.is_empty();
    let steps = books.steps;
    let judged = stream::iter(suspicions).map(|suspicion| again(store, suspicion, steps)).buffer_unordered(AT_ONCE);
    let faults: Vec<Vec<Fault>> = judged.try_collect().await?;
    let counted = stock::count(store, &books.bought, quiet).await?;
    quiet &= store.alive().await?.is_empty();
    let verified = books.close(faults.concat(), counted, quiet);
    let took = begin.elapsed();
    // Of less than a millisecond there is no rate.
    let rate = u128::from(verified.entries).saturating_mul(1_000).checked_div(took.as_millis()).unwrap_or(0);
    let entries_per_second = u64::try_from(rate).unwrap_or(u64::MAX);
    Ok(Verified { seconds: took.as_secs_f64(), entries_per_second, ..verified })
}

/// The same for everybody as they were at one moment, without the shop.
#[must_use]
pub fn verify_picture(picture: &BTreeMap<PlayerId, Found>) -> Verified {
    let examine = |player: &PlayerId| Examined::of(&OURS, player, picture.get(player).unwrap_or(&Ok(None)));
    let mut books = Books::default();
    for player in picture.keys() {
        books.enter(examine(player));
    }
    let suspicions = books.suspicions();
    let judge = |suspicion: &Suspicion| {
        let seen: Vec<Examined> = suspicion.involved.iter().map(examine).collect();
        suspicion.judge(&seen, books.steps)
    };
    let faults = suspicions.iter().flat_map(judge).collect();
    books.close(faults, Counted::default(), true)
}

async fn one(store: &dyn Store, player: PlayerId) -> Result<Examined, ReadError> {
    let found = match whole(store, &player).await {
        Ok(found) => Ok(found),
        Err(ReadError::Unreadable(why)) => Err(why),
        Err(error) => return Err(error),
    };
    examined(player, found).await
}

/// A long ledger takes a while: longer than whoever shares this thread should wait.
async fn examined(player: PlayerId, found: Found) -> Result<Examined, ReadError> {
    let work = tokio::task::spawn_blocking(move || Examined::of(&OURS, &player, &found));
    Ok(work.await.expect("looking at a player does not panic"))
}

/// Looks again at what seems wrong, and answers what is.
async fn again(store: &dyn Store, suspicion: Suspicion, steps: bool) -> Result<Vec<Fault>, ReadError> {
    let found = store.together(suspicion.involved.clone()).await?;
    let mut seen = Vec::with_capacity(found.len());
    for (player, found) in suspicion.involved.iter().zip(found) {
        seen.push(examined(player.clone(), found).await?);
    }
    Ok(suspicion.judge(&seen, steps))
}
