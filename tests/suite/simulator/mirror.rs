//! A mirror is right or knows that it is not.

use super::scene::{balance, checksum, instance, item, stack};
use holdall_client_sim::{fault::Fault, model::Mirror};
use holdall_protocol::{
    ids::{Place, Revision},
    message::{Change, Filled, Nothing, Removed, Snapshot, Updated},
};

fn snapshot(places: Vec<Filled>) -> Snapshot {
    Snapshot { revision: Revision::new(4), checksum: checksum(places.iter()), places, frozen: vec![] }
}

fn usual() -> Vec<Filled> {
    vec![stack(0, "ore", 30), stack(3, "potion", 5), balance("gold", 10)]
}

fn update(place: Place, quantity: Option<u32>, amount: Option<u64>) -> Change {
    Change::Update(Updated { place, quantity, acquired_at: None, attributes: None, amount })
}

#[test]
fn changes_of_every_kind_lead_to_the_mirror_of_the_next_snapshot() {
    let mut mirror = Mirror::of(&snapshot(usual())).unwrap();
    let after = vec![stack(0, "ore", 7), stack(5, "helm", 1), balance("gold", 12)];
    let changes = [
        update(Place::Bag(0), Some(7), None),
        Change::Remove(Removed { place: Place::Bag(3) }),
        Change::Add(stack(5, "helm", 1)),
        update(Place::Balance(item("gold")), None, Some(12)),
    ];
    let step = mirror.apply(Revision::new(5), &changes, checksum(after.iter())).unwrap();
    assert_eq!(step.effect.to_string(), "gold +2, helm +1, ore -23, potion -5");
    mirror.verify().unwrap();
    mirror.same_as(&Snapshot { revision: Revision::new(5), ..snapshot(after) }).unwrap();

    let rest = [stack(1, "ore", 1), balance("gold", 12)];
    let changes = [Change::Clear(Nothing {}), Change::Add(stack(1, "ore", 1))];
    mirror.apply(Revision::new(6), &changes, checksum(rest.iter())).unwrap();
    assert_eq!(mirror.bag_from(0).count(), 1);
}

#[test]
fn a_stack_that_only_moves_has_no_effect() {
    let mut mirror = Mirror::of(&snapshot(usual())).unwrap();
    let mut moved = stack(0, "ore", 30);
    moved.place = Place::Bag(9);
    let after = [moved.clone(), stack(3, "potion", 5), balance("gold", 10)];
    let changes = [Change::Remove(Removed { place: Place::Bag(0) }), Change::Add(moved)];
    let step = mirror.apply(Revision::new(5), &changes, checksum(after.iter())).unwrap();
    assert!(step.effect.is_empty() && step.instances.is_empty(), "{step:?}");
}

#[test]
fn a_wrong_checksum_is_found_in_snapshots_and_changes() {
    let wrong = Snapshot { checksum: 1, ..snapshot(usual()) };
    assert!(matches!(Mirror::of(&wrong), Err(Fault::WrongChecksum { told: 1, .. })));
    let mut mirror = Mirror::of(&snapshot(usual())).unwrap();
    let told = mirror.apply(Revision::new(5), &[update(Place::Bag(0), Some(7), None)], 1);
    assert!(matches!(told, Err(Fault::WrongChecksum { told: 1, .. })));
}

#[test]
fn a_missing_revision_changes_nothing() {
    let mut mirror = Mirror::of(&snapshot(usual())).unwrap();
    for told in [3, 4, 6] {
        let gap = mirror.apply(Revision::new(told), &[update(Place::Bag(0), Some(7), None)], 1);
        assert!(matches!(gap, Err(Fault::Gap { .. })));
        mirror.same_as(&snapshot(usual())).unwrap();
    }
}

#[test]
fn places_that_cannot_hold_what_they_are_told_to_hold_are_found() {
    let twice = vec![stack(0, "ore", 30), stack(0, "ore", 30)];
    assert!(matches!(Mirror::of(&snapshot(twice)), Err(Fault::BadPlace { .. })));
    let mut copy = stack(0, "ore", 30);
    copy.place = Place::Bag(8);
    assert_eq!(
        Mirror::of(&snapshot(vec![stack(0, "ore", 30), copy])).unwrap_err(),
        Fault::InstanceTwice(instance(100))
    );
    let coins_in_the_bag = Filled { place: Place::Bag(1), stack: None, amount: Some(5) };
    let bad = Snapshot { checksum: 0, places: vec![coins_in_the_bag], ..snapshot(vec![]) };
    assert!(matches!(Mirror::of(&bad), Err(Fault::BadPlace { .. })));
    for impossible in [
        update(Place::Bag(7), Some(1), None),
        update(Place::Bag(0), None, Some(1)),
        update(Place::Balance(item("gold")), Some(1), None),
        Change::Remove(Removed { place: Place::Bag(7) }),
    ] {
        let mut mirror = Mirror::of(&snapshot(usual())).unwrap();
        let told = mirror.apply(Revision::new(5), std::slice::from_ref(&impossible), 1);
        assert!(matches!(told, Err(Fault::BadPlace { .. })), "{impossible:?}: {told:?}");
    }
}

#[test]
fn another_snapshot_of_the_same_revision_is_told_apart() {
    let mirror = Mirror::of(&snapshot(usual())).unwrap();
    let other = snapshot(vec![stack(0, "ore", 29), stack(3, "potion", 5), balance("gold", 10)]);
    let Err(Fault::MirrorDiffers { what, .. }) = mirror.same_as(&other) else { panic!("they differ") };
    assert!(what.contains("b:0") && !what.contains("b:3"), "{what}");
}
