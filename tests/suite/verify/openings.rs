//! Ledgers that begin with an opening balance are proven too, and a wrong one is found.

use super::{
    World,
    corruptions::{Planted, are_found_everywhere, more},
    picture::Picture,
};
use bytes::Bytes;
use holdall_protocol::ids::Revision;
use holdall_server::{
    engine::change::Content,
    ledger::past::Opening,
    upkeep::verify::{Kind, verify_picture},
};

/// So much may clocks of two servers be apart.
const CLOCKS_APART_MS: u64 = 30_000;
const HOUR_MS: u64 = 60 * 60 * 1_000;

/// The picture as it is without a player's oldest entries: those up to each of their revisions in turn, and with all.
fn cuts(picture: &Picture, player: &str) -> Vec<Picture> {
    let entries = picture.entries(player);
    let without = |revision| {
        let mut cut = picture.clone();
        cut.open(player, revision);
        let opening = cut.opening(player);
        cut.reopen(player, &Opening { at: opening.at - CLOCKS_APART_MS, ..opening });
        cut
    };
    std::iter::once(picture.clone()).chain(entries.iter().map(|entry| without(entry.1))).collect()
}

#[tokio::test]
async fn whatever_is_no_longer_kept_of_whomever_is_no_fault() {
    let World { end, .. } = World::play().await;
    let mut looked_at = 0;
    for annas in cuts(&end, "anna") {
        for berts in cuts(&annas, "bert") {
            for all in cuts(&berts, "cara") {
                assert_eq!(verify_picture(&all.found()).faults, []);
                looked_at += 1;
            }
        }
    }
    assert!(looked_at > 100, "{looked_at}");
}

/// What was put after the beginning of the receiver's ledger.
fn vanished(World { end, .. }: &World) -> Planted {
    let mut opened = end.clone();
    opened.open("cara", 1);
    let opening = opened.opening("cara");
    opened.reopen("cara", &Opening { at: opening.at - HOUR_MS, ..opening });
    assert_eq!(verify_picture(&opened.found()).faults, []);
    Planted::new("a gift that vanished later", &opened, Kind::GiftVanished, &["anna", "cara"])
        .by(|picture| picture.of_player("cara").stored.inbox.clear())
}

/// Anna's ledger begins with what she had at a revision, which is wrong.
fn wrong_openings(World { end, .. }: &World) -> Vec<Planted> {
    let begin = end.last("anna", "drop");
    let mut right = end.clone();
    right.open("anna", begin);
    assert_eq!(verify_picture(&right.found()).faults, []);
    let opening = right.opening("anna");
    let richer = opening.things.iter().map(|(place, content)| {
        let content = match content {
            Content::Stack(stack) => Content::Stack(more(stack)),
            Content::Amount(amount) => Content::Amount(amount + 1),
        };
        (place.clone(), content)
    });
    let richer = Opening { things: richer.collect(), ..opening.clone() };
    let poorer = Opening {
        things: opening.things.iter().skip(1).map(|(p, c)| (p.clone(), c.clone())).collect(),
        ..opening.clone()
    };
    let earlier = Opening { revision: Revision::new(begin - 1), ..opening.clone() };
    let later = Opening { revision: Revision::new(begin + 1), ..opening };
    let planted = |name, kind| Planted::new(name, &right, kind, &["anna"]);
    vec![
        planted("an opening with more in it", Kind::WrongBeginning)
            .at(begin)
            .by(|picture| picture.reopen("anna", &richer)),
        planted("an opening with less in it", Kind::WrongBeginning)
            .at(begin)
            .by(|picture| picture.reopen("anna", &poorer)),
        planted("an opening of an earlier revision", Kind::MissingEntry)
            .at(begin)
            .by(|picture| picture.reopen("anna", &earlier)),
        planted("an opening of a later revision", Kind::WrongBeginning).at(begin + 1).by(|picture| {
            picture.of_player("anna").ledger.remove(1);
            picture.reopen("anna", &later);
        }),
        planted("a missing opening", Kind::MissingEntry)
            .at(1)
            .by(|picture| drop(picture.of_player("anna").ledger.remove(0))),
        planted("an opening of which the player does not know", Kind::WrongBeginning).at(begin).by(|picture| {
            let anna = picture.of_player("anna");
            (anna.stored.opened, anna.ledger[0].0) = (earlier.revision, earlier.revision);
        }),
        planted("an unreadable opening", Kind::UnreadableEntry).at(begin).by(|picture| {
            let bytes = &mut picture.of_player("anna").ledger[0].1;
            *bytes = Bytes::copy_from_slice(&bytes[..bytes.len() - 1]);
        }),
    ]
}

#[tokio::test]
async fn a_wrong_opening_is_found_in_every_store() {
    let world = World::play().await;
    let all: Vec<_> = wrong_openings(&world).into_iter().chain([vanished(&world)]).collect();
    are_found_everywhere(&all).await;
}
