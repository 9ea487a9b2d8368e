//! The last judgement: everything at rest against everything that was acknowledged.

use super::{client::Client, shop};
use bytes::Bytes;
use holdall_protocol::ids::{InstanceId, ItemId, PlayerId};
use holdall_server::{
    engine::change::{Content, Stack},
    ledger::codec::{self, Page},
    schema::{OURS, Stamp, waiting},
    store::{
        Node, PlayerWrite,
        memory::{Row, Shelf},
    },
    upkeep::verify::{By, verify, verify_picture},
};
use std::collections::{BTreeMap, BTreeSet};

/// With whom these entries' player has exchanged something, or passed it through an inbox.
pub(super) fn partners_in(entries: &Bytes) -> Vec<PlayerId> {
    let pages = codec::read(entries).expect("the server's own entries");
    let named = pages.iter().flat_map(|page| {
        let partner = page.partner.iter().map(|(partner, _)| partner.as_str());
        let inboxes =
            page.lines.iter().flat_map(|(from, to, ..)| [from, to]).filter_map(|of| of.strip_prefix("inbox:"));
        partner.chain(inboxes).chain(page.actor.strip_prefix("player:"))
    });
    named.map(|name| PlayerId::new(name).expect("a player id")).collect()
}

/// Whether these entries hold the half of a trade that somebody else's accept has settled.
pub(super) fn other_half_in(write: &PlayerWrite) -> bool {
    let pages = codec::read(&write.entries).expect("the server's own entries");
    pages.iter().any(|page| page.reason == "trade" && page.asked.is_none())
}

/// At rest and with everybody in the game, two who trade are shown the same trade, each from their side.
pub(super) fn trades(clients: &[Client]) -> Vec<String> {
    let mut wrong = Vec::new();
    for client in clients {
        for trade in client.trades.iter() {
            let other = clients.iter().find(|other| other.id == trade.with).expect("one of the players");
            let same = other.trades.iter().any(|theirs| {
                let shown = (theirs.trade, theirs.stage, theirs.offer_revision, &theirs.yours, &theirs.theirs);
                shown == (trade.trade, trade.stage, trade.offer_revision, &trade.theirs, &trade.yours)
            });
            if !same {
                wrong.push(format!("{}: {trade:?} is not what {} is shown", client.id, other.id));
            }
        }
    }
    wrong
}

/// At rest, no client believes in a hold whose time is over.
pub(super) fn holds(clients: &[Client]) -> Vec<String> {
    let open = clients.iter().flat_map(|client| client.shop.open().map(move |hold| (client, hold)));
    open.map(|(client, hold)| format!("{}: is never told that {hold:?} has ended", client.id)).collect()
}

/// What `verify` finds, stocks among it, of which there should be so many.
pub(super) async fn proof(shelf: &Shelf, skus: usize) -> Vec<String> {
    let store = shelf.open(Node { id: "auditor".into(), boot: 1 });
    let verified = verify(&store, By::Command, |_, _| {}).await.expect("the weather is fair");
    let mut wrong: Vec<String> = verified.faults.iter().map(ToString::to_string).collect();
    if verified.skus != skus as u64 {
        wrong.push(format!("{} SKUs are left of {skus}", verified.skus));
    }
    wrong
}

/// Everything that is wrong.
pub(super) fn audit(shelf: &Shelf, clients: &[Client]) -> Vec<String> {
    let rows = &shelf.rows();
    let mut wrong = Vec::new();
    let mut books: BTreeMap<PlayerId, Vec<Page>> = BTreeMap::new();
    for (player, row) in rows {
        match row.ledger.iter().map(|(_, bytes)| codec::read(bytes)).collect::<Result<Vec<_>, _>>() {
            Ok(pages) => drop(books.insert(player.clone(), pages.into_iter().flatten().collect())),
            Err(error) => wrong.push(format!("{player}: {error}")),
        }
    }
    let mut seen = BTreeSet::new();
    for (player, row) in rows {
        let Some(pages) = books.get(player) else { continue };
        let mut say = |text: String| wrong.push(format!("{player}: {text}"));
        chain(row, pages, &mut say);
        replay(row, pages, &mut say);
        sums(player, row, pages, &mut say);
        partners(player, pages, &books, &mut say);
        unique(row, &mut seen, &mut say);
        inbox(player, row, &books, &mut say);
    }
    let picture = rows.iter().map(|(player, row)| (player.clone(), Ok(Some(row.whole())))).collect();
    wrong.extend(verify_picture(&picture).faults.iter().map(ToString::to_string));
    wrong.extend(shop::prices(shelf, &books));
    for client in clients.iter().filter(|client| !shelf.is_hopeless(&client.id)) {
        acknowledged(client, books.get(&client.id).map(Vec::as_slice).unwrap_or_default(), &mut wrong);
    }
    wrong
}

/// Revisions are whole; no request took effect twice.
fn chain(row: &Row, pages: &[Page], say: &mut impl FnMut(String)) {
    let revisions: Vec<u64> = pages.iter().map(|page| page.revision.get()).collect();
    let whole: Vec<u64> = (1..=row.revision.get()).collect();
    if revisions != whole {
        say(format!("the ledger has revisions {revisions:?}, the player is at {}", row.revision));
    }
    let mut seqs = BTreeSet::new();
    for page in pages {
        if let Some(asked) = page.asked
            && !seqs.insert(asked.seq)
        {
            say(format!("request {} took effect twice", asked.seq));
        }
    }
}

/// Undoing every entry from what is stored leaves nothing.
fn replay(row: &Row, pages: &[Page], say: &mut impl FnMut(String)) {
    let mut places: BTreeMap<String, Vec<u8>> =
        row.places.iter().map(|(place, value)| (place.clone(), value.to_vec())).collect();
    for page in pages.iter().rev() {
        for (place, before) in &page.before {
            let was = match before {
                Some(value) => places.insert(place.clone(), value.to_vec()),
                None => places.remove(place),
            };
            if was.is_none() && before.is_none() {
                say(format!("revision {} emptied {place}, which was empty before and after", page.revision));
            }
        }
    }
    if !places.is_empty() {
        say(format!("undoing the whole ledger leaves {:?}", places.keys()));
    }
}

fn contents(row: &Row) -> Vec<Content> {
    let stamp = Stamp::stored(row.schema, row.readable_by);
    row.places
        .iter()
        .map(|(place, value)| OURS.read(stamp, place, value).expect("stored values can be read").1)
        .collect()
}

/// What is stored is the sum of the ledger's lines.
fn sums(player: &PlayerId, row: &Row, pages: &[Page], say: &mut impl FnMut(String)) {
    let own = format!("player:{player}");
    let mut lines: BTreeMap<ItemId, i128> = BTreeMap::new();
    for (from, to, item, quantity, _) in pages.iter().flat_map(|page| &page.lines) {
        let net = lines.entry(item.clone()).or_default();
        *net += if *to == own { i128::from(*quantity) } else { 0 };
        *net -= if *from == own { i128::from(*quantity) } else { 0 };
    }
    let mut stored: BTreeMap<ItemId, i128> = BTreeMap::new();
    for (place, content) in row.places.keys().zip(contents(row)) {
        match content {
            Content::Stack(stack) => *stored.entry(stack.item.clone()).or_default() += i128::from(stack.quantity.get()),
            Content::Amount(amount) => {
                let currency = place.strip_prefix("c:").expect("a balance");
                *stored.entry(ItemId::new(currency).expect("a currency")).or_default() += i128::from(amount);
            }
        }
    }
    lines.retain(|_, net| *net != 0);
    if lines != stored {
        say(format!("the ledger sums to {lines:?}, stored is {stored:?}"));
    }
}

/// What waits is what the ledgers of all say was put there and not taken.
fn inbox(player: &PlayerId, row: &Row, books: &BTreeMap<PlayerId, Vec<Page>>, say: &mut impl FnMut(String)) {
    let own = format!("inbox:{player}");
    let mut lines: BTreeMap<ItemId, i128> = BTreeMap::new();
    for (from, to, item, quantity, _) in books.values().flatten().flat_map(|page| &page.lines) {
        let net = lines.entry(item.clone()).or_default();
        *net += if *to == own { i128::from(*quantity) } else { 0 };
        *net -= if *from == own { i128::from(*quantity) } else { 0 };
    }
    let mut stored: BTreeMap<ItemId, i128> = BTreeMap::new();
    for stack in waiting(row) {
        *stored.entry(stack.item.clone()).or_default() += i128::from(stack.quantity.get());
    }
    lines.retain(|_, net| *net != 0);
    if lines != stored {
        say(format!("the ledgers put {lines:?} into the inbox, there is {stored:?}"));
    }
}

fn waiting(row: &Row) -> Vec<Stack> {
    let gifts = row.inbox.values().map(|bytes| waiting::read(&OURS, bytes).expect("stored gifts can be read"));
    gifts.flat_map(|gift| gift.stacks).collect()
}

/// No half of an exchange.
fn partners(player: &PlayerId, pages: &[Page], books: &BTreeMap<PlayerId, Vec<Page>>, say: &mut impl FnMut(String)) {
    for page in pages {
        let Some((partner, revision)) = &page.partner else { continue };
        let other = PlayerId::new(partner).ok().and_then(|partner| books.get(&partner));
        let half = other.into_iter().flatten().find(|other| other.revision == *revision);
        let theirs = half.and_then(|half| half.partner.as_ref());
        if theirs != Some(&(player.to_string(), page.revision)) {
            say(format!("revision {} exchanged with {partner}, who has no such revision {revision}", page.revision));
        }
    }
}

/// No stack in two places, inboxes among them.
fn unique(row: &Row, seen: &mut BTreeSet<InstanceId>, say: &mut impl FnMut(String)) {
    let held = contents(row).into_iter().filter_map(|content| match content {
        Content::Stack(stack) => Some(stack),
        Content::Amount(_) => None,
    });
    for stack in held.chain(waiting(row)) {
        if !seen.insert(stack.instance) {
            say(format!("stack {} stands in two places", stack.instance));
        }
    }
}

/// Every acknowledged effect is there; nothing that was refused is.
fn acknowledged(client: &Client, pages: &[Page], wrong: &mut Vec<String>) {
    let done: BTreeMap<u64, (u64, u64)> = pages
        .iter()
        .filter_map(|page| page.asked.map(|asked| (asked.seq.get(), (asked.hash, page.revision.get()))))
        .collect();
    for (seq, hash, revision) in &client.acked {
        if done.get(seq) != Some(&(*hash, *revision)) {
            wrong.push(format!("{}: acked request {seq} at revision {revision} is lost", client.id));
        }
    }
    for (seq, hash) in &client.refused {
        if done.get(seq).is_some_and(|(done, _)| done == hash) {
            wrong.push(format!("{}: refused request {seq} took effect", client.id));
        }
    }
}
