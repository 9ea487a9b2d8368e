//! What `verify` says of a store in which something was changed that nobody could have changed by playing.

use super::{
    World,
    picture::{Picture, Raw, id},
    said,
};
use crate::conformance::on_realm;
use bytes::Bytes;
use holdall_harness::{command::holdall, redis::Redis, server::TempDir};
use holdall_protocol::ids::{InstanceId, Revision};
use holdall_server::{
    engine::change::{Content, Stack},
    schema::{
        OURS,
        waiting::{self, Gift},
    },
    store::{GiftId, Node, Store as _},
    upkeep::verify::{Fault, Kind, Verified, verify_picture},
};
use std::num::NonZeroU32;
use uuid::Uuid;

/// What is planted, and the fault that must be found.
pub(super) struct Planted {
    name: &'static str,
    picture: Picture,
    kind: Kind,
    players: &'static [&'static str],
    revision: Option<u64>,
    instance: Option<InstanceId>,
    gift: Option<Uuid>,
}

impl Planted {
    pub(super) fn new(name: &'static str, from: &Picture, kind: Kind, players: &'static [&'static str]) -> Self {
        Self { name, picture: from.clone(), kind, players, revision: None, instance: None, gift: None }
    }

    pub(super) fn at(mut self, revision: u64) -> Self {
        self.revision = Some(revision);
        self
    }

    fn stack(mut self, instance: InstanceId) -> Self {
        self.instance = Some(instance);
        self
    }

    fn gift(mut self, gift: Uuid) -> Self {
        self.gift = Some(gift);
        self
    }

    pub(super) fn by(mut self, plant: impl FnOnce(&mut Picture)) -> Self {
        plant(&mut self.picture);
        self
    }

    fn is(&self, fault: &Fault) -> bool {
        let mut players: Vec<_> = self.players.iter().map(|player| id(player)).collect();
        let mut named = fault.players.clone();
        players.sort();
        named.sort();
        fault.kind == self.kind
            && named == players
            && self.revision.is_none_or(|revision| fault.revision == Some(Revision::new(revision)))
            && self.instance.is_none_or(|instance| fault.instance == Some(instance))
            && self.gift.is_none_or(|gift| fault.gift == Some(gift))
    }

    fn is_found_in(&self, verified: &Verified) {
        let found = verified.faults.iter().any(|fault| self.is(fault));
        assert!(found, "{}: no {:?} of {:?} in {:#?}", self.name, self.kind, self.players, verified.faults);
    }
}

fn waiting_for<'p>(picture: &'p mut Picture, player: &str) -> &'p mut (GiftId, Bytes) {
    picture.of_player(player).stored.inbox.first_mut().expect("something waits")
}

pub(super) fn more(stack: &Stack) -> Stack {
    Stack { quantity: NonZeroU32::new(stack.quantity.get() + 1).expect("not zero"), ..stack.clone() }
}

fn shifted(stack: &Stack) -> Stack {
    Stack { instance: InstanceId::new(Uuid::from_u128(7)), ..stack.clone() }
}

/// A stack in two places.
fn doubles(World { end, .. }: &World) -> Vec<Planted> {
    let mut copy = end.clone();
    let (ore, held) = (end.stack("anna", "ore").1, end.stack("bert", "bread").1);
    let gift: Gift = waiting::read(&OURS, &waiting_for(&mut copy, "cara").1).expect("a gift");
    let waits = gift.stacks[0].clone();
    let put = |stack: Stack| Content::Stack(stack);
    vec![
        Planted::new("twice with one player", end, Kind::DoubledInstance, &["anna"])
            .stack(ore.instance)
            .by(|picture| picture.place("anna", "b:90", &put(ore.clone()))),
        Planted::new("with two players", end, Kind::DoubledInstance, &["bert", "cara"])
            .stack(held.instance)
            .by(|picture| picture.place("cara", "b:90", &put(held.clone()))),
        Planted::new("in an inbox and a bag", end, Kind::DoubledInstance, &["bert", "cara"])
            .stack(waits.instance)
            .by(|picture| picture.place("bert", "b:90", &put(waits.clone()))),
    ]
}

/// A chain that is not whole, or does not lead from nothing to what is stored.
fn chains(World { end, .. }: &World) -> Vec<Planted> {
    let (ore_at, ore) = end.stack("anna", "ore");
    let dropped = end.last("anna", "drop");
    let remove = |entries: &mut Vec<Raw>, at: u64| entries.retain(|entry| entry.1 != at);
    let last = end.entries("anna").last().expect("entries").1;
    vec![
        Planted::new("a missing entry", end, Kind::MissingEntry, &["anna"])
            .at(dropped)
            .by(|picture| picture.edit("anna", |entries| remove(entries, dropped))),
        Planted::new("the newest entry is missing", end, Kind::MissingEntry, &["anna"])
            .at(last)
            .by(|picture| picture.edit("anna", |entries| remove(entries, last))),
        Planted::new("a revision twice", end, Kind::SurplusEntry, &["anna"]).at(dropped).by(|picture| {
            picture.edit("anna", |entries| {
                let again = entries.iter().find(|entry| entry.1 == dropped).expect("it is there").clone();
                entries.push(again);
            });
        }),
        Planted::new("the player set back by one", end, Kind::SurplusEntry, &["anna"])
            .at(last)
            .by(|picture| picture.of_player("anna").stored.revision = Revision::new(last - 1)),
        Planted::new("an unreadable entry", end, Kind::UnreadableEntry, &["anna"]).by(|picture| {
            let (_, bytes) = &mut picture.of_player("anna").ledger[2];
            *bytes = Bytes::from_static(b"\xff\xff");
        }),
        Planted::new("an unreadable value", end, Kind::UnreadableValue, &["anna"]).by(|picture| {
            picture.of_player("anna").stored.places[0].1 = Bytes::from_static(b"\xc1");
        }),
        Planted::new("a changed quantity", end, Kind::WrongLines, &["anna"])
            .by(|picture| picture.place("anna", &ore_at, &Content::Stack(more(&ore)))),
        Planted::new("a changed balance", end, Kind::WrongLines, &["bert"])
            .by(|picture| picture.place("bert", "c:gold", &Content::Amount(9_000))),
        Planted::new("money beyond any wallet", end, Kind::ImpossibleValue, &["bert"])
            .by(|picture| picture.place("bert", "c:gold", &Content::Amount(1 << 53))),
        Planted::new("money out of nothing", end, Kind::WrongBeginning, &["cara"])
            .at(0)
            .by(|picture| picture.place("cara", "c:gems", &Content::Amount(5))),
        Planted::new("a line that says more", end, Kind::WrongLines, &["anna"]).at(dropped).by(|picture| {
            picture.edit("anna", |entries| {
                let entry = entries.iter_mut().find(|entry| entry.1 == dropped).expect("it is there");
                entry.10[0].3 += 1;
            });
        }),
    ]
}

/// An exchange that is not the same for both.
fn exchanges(World { before_trade, end }: &World) -> Vec<Planted> {
    let (annas, berts) = (end.last("anna", "trade"), end.last("bert", "trade"));
    let (sword_at, sword) = end.stack("anna", "iron_sword");
    vec![
        Planted::new("half a trade", end, Kind::HalfExchange, &["anna", "bert"])
            .at(annas)
            .by(|picture| *picture.of_player("bert") = before_trade.clone().of_player("bert").clone()),
        Planted::new("a wrong partner revision", end, Kind::HalfExchange, &["anna", "bert"]).at(annas).by(|picture| {
            picture.edit("anna", |entries| {
                let entry = entries.iter_mut().find(|entry| entry.1 == annas).expect("it is there");
                entry.7 = Some(("bert".to_owned(), berts - 1));
            });
        }),
        Planted::new("another sword than the one that was given", end, Kind::UnequalExchange, &["anna", "bert"])
            .stack(shifted(&sword).instance)
            .by(|picture| picture.place("anna", &sword_at, &Content::Stack(shifted(&sword)))),
    ]
}

/// Gifts that are not where they should be.
fn gifts(World { end, .. }: &World) -> Vec<Planted> {
    let mut copy = end.clone();
    let (waits, bytes) = waiting_for(&mut copy, "cara").clone();
    let gift: Gift = waiting::read(&OURS, &bytes).expect("a gift");
    let taken = end.last("cara", "inbox_taken");
    let taken_gift = end.entries("cara").iter().find(|entry| entry.1 == taken).and_then(|entry| entry.11);
    let taken_gift = taken_gift.expect("the entry names its gift");
    let nowhere = Uuid::from_u128(9);
    vec![
        Planted::new("a vanished gift", end, Kind::GiftVanished, &["anna", "cara"])
            .gift(waits.uuid())
            .by(|picture| picture.of_player("cara").stored.inbox.clear()),
        Planted::new("a gift from nowhere", end, Kind::GiftFromNowhere, &["anna", "cara"])
            .gift(nowhere)
            .by(|picture| picture.of_player("cara").stored.inbox.push((GiftId::new(nowhere), bytes.clone()))),
        Planted::new("a gift with more in it", end, Kind::GiftChanged, &["anna", "cara"]).gift(waits.uuid()).by(
            |picture| {
                let stacks: Vec<Stack> = gift.stacks.iter().map(more).collect();
                waiting_for(picture, "cara").1 = waiting::write(&gift.slip, &stacks, OURS.form());
            },
        ),
        Planted::new("a gift that waits for another", end, Kind::GiftChanged, &["anna", "bert"]).gift(waits.uuid()).by(
            |picture| {
                let gift = picture.of_player("cara").stored.inbox.remove(0);
                picture.of_player("bert").stored.inbox.push(gift);
            },
        ),
        Planted::new("a gift taken twice", end, Kind::GiftTwice, &["anna", "cara"]).gift(taken_gift).by(|picture| {
            let cara = picture.of_player("cara");
            cara.stored.revision = cara.stored.revision.next();
            let newest = cara.stored.revision.get();
            picture.edit("cara", |entries| {
                let mut again = entries.iter().find(|entry| entry.1 == taken).expect("it is there").clone();
                again.1 = newest;
                entries.push(again);
            });
        }),
        Planted::new("a gift that was taken and waits", end, Kind::GiftTwice, &["anna", "cara"])
            .gift(taken_gift)
            .by(|picture| picture.of_player("cara").stored.inbox.insert(0, (GiftId::new(taken_gift), bytes.clone()))),
        Planted::new("an unreadable gift", end, Kind::UnreadableGift, &["cara"])
            .gift(waits.uuid())
            .by(|picture| waiting_for(picture, "cara").1 = Bytes::from_static(b"\x01")),
    ]
}

fn all(world: &World) -> Vec<Planted> {
    [doubles(world), chains(world), exchanges(world), gifts(world)].into_iter().flatten().collect()
}

/// In a picture, in a data directory and on a Redis.
pub(super) async fn are_found_everywhere(all: &[Planted]) {
    let (dir, redis) = (TempDir::new(), Redis::run().await);
    for (n, planted) in all.iter().enumerate() {
        planted.is_found_in(&verify_picture(&planted.picture.found()));

        let name = format!("data-{n}");
        planted.picture.put_into_new(&dir.path().join(&name)).await;
        let found = holdall(dir.path(), &["verify", "--data-dir", &name, "--json"]).await;
        assert_eq!(found.code, Some(1), "{}: {found:?}", planted.name);
        planted.is_found_in(&said(&found));

        let realm = format!("realm-{n}");
        let store = on_realm(&redis, Node { id: "test".to_owned(), boot: 1 }, &realm).await;
        planted.picture.put_into(&store).await;
        store.resign().await;
        let found = holdall(dir.path(), &["verify", "--store", &redis.url(), "--realm", &realm, "--json"]).await;
        assert_eq!(found.code, Some(1), "{}: {found:?}", planted.name);
        planted.is_found_in(&said(&found));
    }
}

#[tokio::test]
async fn each_is_found_and_named_in_every_store() {
    let world = World::play().await;
    assert_eq!(verify_picture(&world.end.found()).faults, []);
    are_found_everywhere(&all(&world)).await;
}

#[tokio::test]
async fn people_are_told_each_fault_in_a_line() {
    let world = World::play().await;
    let dir = TempDir::new();
    let planted = all(&world).into_iter().find(|planted| planted.name == "a missing entry").expect("it is planted");
    planted.picture.put_into_new(&dir.path().join("data")).await;
    let at = planted.revision.expect("it is known");
    let line = format!("FAULT missing entry: anna, revision {at}: it has no entry");
    holdall(dir.path(), &["verify", "--data-dir", "data"]).await.expect(1, &[&line, "players    3"]);
}
