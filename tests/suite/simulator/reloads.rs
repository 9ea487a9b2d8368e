//! What the checker says of a server that reloads its catalogue in the middle of a conversation.

use super::scene::{LIMITS, Scene, found};
use holdall_client_sim::fault::Fault;
use holdall_protocol::{
    ids::Place,
    message::{CatalogVersion, Reloaded, ServerMessage},
};

fn reloaded(version: u64, frozen: &[u16]) -> ServerMessage {
    let catalog = CatalogVersion { version, hash: version.to_string() };
    let frozen = frozen.iter().map(|slot| Place::Bag(*slot)).collect();
    ServerMessage::Reloaded(Box::new(Reloaded { catalog, limits: LIMITS, frozen }))
}

#[test]
fn what_is_frozen_is_what_the_newest_one_names() {
    let mut scene = Scene::usual();
    let frozen = |scene: &Scene| {
        let mirror = scene.checker.mirror().expect("a mirror");
        [0, 1].map(|slot| mirror.is_frozen(&Place::Bag(slot)))
    };
    scene.hear(reloaded(2, &[0]));
    assert_eq!(frozen(&scene), [true, false]);
    scene.hear(reloaded(4, &[1]));
    assert_eq!(frozen(&scene), [false, true]);
    scene.dropped(1, 10);
    scene.honest();
}

#[test]
fn a_catalogue_older_than_the_last_one_is_a_fault() {
    let mut scene = Scene::usual();
    scene.hear(reloaded(3, &[]));
    scene.hear(reloaded(2, &[]));
    found!(scene, Fault::Protocol(_));
}

#[test]
fn one_before_the_welcome_is_a_fault() {
    let mut scene = Scene::usual();
    scene.checker.cut();
    scene.hear(reloaded(2, &[]));
    found!(scene, Fault::Protocol(_));
}
